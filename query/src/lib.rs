//! daybook's meaning: the query language and what is done with it.

pub mod columnar;
pub mod export;
pub mod lang;
pub mod scan;
