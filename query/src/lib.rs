//! daybook's meaning: the query language and what is done with it.

pub mod case_file;
pub mod columnar;
pub mod completeness;
pub mod cursor;
pub mod download;
pub mod error;
pub mod excerpt;
pub mod export;
pub mod feed;
pub mod holds;
pub mod item;
pub mod lang;
pub mod ocsf;
pub mod replay;
pub mod report;
pub mod reviews;
pub mod scan;
pub mod search;
pub mod sessions;
mod spread;
pub mod timeline;

pub use error::QueryError;
