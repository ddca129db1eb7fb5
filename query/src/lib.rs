//! daybook's meaning: the query language and what is done with it.

pub mod lang;
