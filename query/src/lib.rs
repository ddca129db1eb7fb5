//! daybook's meaning: the query language and what is done with it.

#[cfg(feature = "columnar")]
pub mod case_file;
#[cfg(feature = "columnar")]
pub mod columnar;
pub mod completeness;
pub mod cursor;
#[cfg(feature = "columnar")]
pub mod download;
pub mod error;
pub mod excerpt;
#[cfg(feature = "columnar")]
pub mod export;
#[cfg(feature = "columnar")]
pub mod feed;
pub mod holds;
pub mod item;
pub mod lang;
#[cfg(feature = "columnar")]
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
