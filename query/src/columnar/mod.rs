//! Events as columns: what SIEMs, notebooks and query engines read.
//!
//! | module | what is there |
//! |---|---|
//! | [`schema`] | the columns: names, types, field ids |
//! | [`rows`], `cells` | events to record batches |
//! | [`outputs`] | what rows have of outputs |
//! | [`parquet`] | record batches to Parquet, for segments and exports |
//! | [`arrow_file`], [`csv`] | record batches to Arrow IPC and to CSV, for exports |

pub mod arrow_file;
mod cells;
pub mod csv;
pub mod outputs;
pub mod parquet;
pub mod rows;
pub mod schema;

/// What can go wrong between an event and its columns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log's: an event that can't be read.
    #[error(transparent)]
    Engine(#[from] daybook_engine::Error),
    /// Arrow's.
    #[error("writing columns failed: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet's; also how it reports that its output can't be written.
    #[error("writing Parquet failed: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The output can't be written: the disk is full, or the reader went away.
    #[error("writing the export failed: {0}")]
    Io(#[from] std::io::Error),
}
