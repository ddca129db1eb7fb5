//! Feeds: the log as Parquet files that come one after the other, for SIEMs and data lakes.
//!
//! ```text
//! log ─ closed journal or segment ─ events by time ─► files ─► a commit of a Delta Lake table
//!          │                                                        ├─► the pull feed: files after a cursor
//!          └── a stretch of offsets: a unit                         ├─► Delta Sharing
//!                                                                   └─► whoever reads the table itself
//! ```
//!
//! A feed follows the log by its offset. What it has of a stretch of offsets is a *unit*: one file, or several where
//! they would be too large, or are of different days. Units are made of whole stretches, in order, and never overlap:
//! so an offset says exactly what a reader has ([`pull`]). Later, units that are small are made into a larger one, and
//! of one that something was erased of a new one is made; both replace the old in one commit.
//!
//! Several nodes may write the same tables, each under its own name: a node makes and takes away only files of its own
//! log, and reads what the others did before it does.
//!
//! A feed in daybook's own schema has one table; one in OCSF has a table for each class. What it has written it knows
//! from the tables themselves: each commit says in its `txn` how far it comes, so nothing is there twice, whatever a
//! crash leaves.
//!
//! | module | what is there |
//! |---|---|
//! | [`Feed`] | one feed at work: new units, larger ones, erased ones |
//! | `units` | which files of a table are of which offsets |
//! | `files` | events to files |
//! | `by_time` | a stretch's events in the order of their times, in bounded memory |
//! | [`pull`] | the files after a cursor |
//! | [`mirror`] | a directory that has a table's files: which to take, and which to delete |
//! | [`table`], [`delta`], `checkpoint` | the table's log |
//! | [`shape`], [`state`] | what a table is made with, and what its log amounts to |
//! | [`store`], [`location`] | where its files are |
//! | `check` | whether they are what the tables say |

mod by_time;
mod check;
mod checkpoint;
pub mod delta;
mod files;
pub mod location;
pub mod mirror;
pub mod pull;
pub mod shape;
mod ship;
pub mod state;
pub mod store;
pub mod table;
pub mod units;

pub use check::check;
pub use ship::{Feed, Shipped};

use crate::columnar;
use crate::columnar::outputs::Outputs;
use crate::columnar::parquet::Codec;
use crate::columnar::schema;
use crate::ocsf::{self, Class, Mapping};
use arrow::datatypes::SchemaRef;
use daybook_engine::catalog::filter::SessionFilter;

/// The most feeds of a server beside the one that nobody asked for: each has a thread.
pub const FEEDS_MAX: usize = 32;

/// What a feed has, and how.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Where its tables are.
    pub location: location::Location,
    /// Its columns.
    pub columns: Columns,
    /// Which sessions' events; those of sessions that have not said who they are match only `All`.
    pub sessions: SessionFilter,
    /// How pages are compressed.
    pub codec: Codec,
    /// How files are put into directories.
    pub partition: Partition,
    /// A file is closed at about this size, in bytes.
    pub file_bytes_max: u64,
    /// So many small files that are neighbours are made into one.
    pub merge_fewest: usize,
    /// How long files stay that were replaced by larger ones, in milliseconds.
    pub replaced_kept_ms: i64,
}

impl Spec {
    /// The feed that there is if nothing else is said: all events, in daybook's own columns.
    #[must_use]
    pub fn native() -> Spec {
        Spec {
            name: "native".to_owned(),
            location: location::Location::Data,
            columns: Columns::Native { event_data: false, outputs: Outputs::Text },
            sessions: SessionFilter::All,
            codec: Codec::Zstd,
            partition: Partition::None,
            file_bytes_max: 100 << 20,
            merge_fewest: 8,
            replaced_kept_ms: 7 * 86_400_000,
        }
    }
}

/// The columns of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// daybook's own.
    Native {
        /// Fill the column `event_data`; it is not filled where rows have less of outputs than their text.
        event_data: bool,
        /// What rows have of outputs.
        outputs: Outputs,
    },
    /// OCSF's, a table for each class.
    Ocsf(Mapping),
}

/// How files are put into directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Partition {
    /// They are not.
    #[default]
    None,
    /// By the day (UTC): `eventDay=20260301/`.
    Day,
    /// As Amazon Security Lake wants them: `region=…/accountId=…/eventDay=20260301/`.
    SecurityLake {
        /// The region.
        region: String,
        /// The account.
        account: String,
    },
}

impl Partition {
    /// The columns that are in the paths.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        match self {
            Partition::None => Vec::new(),
            Partition::Day => vec!["eventDay"],
            Partition::SecurityLake { .. } => vec!["region", "accountId", "eventDay"],
        }
    }

    /// Their values for a day such as `20260301`.
    fn values(&self, day: &str) -> Vec<(&'static str, String)> {
        match self {
            Partition::None => Vec::new(),
            Partition::Day => vec![("eventDay", day.to_owned())],
            Partition::SecurityLake { region, account } => vec![
                ("region", region.clone()),
                ("accountId", account.clone()),
                ("eventDay", day.to_owned()),
            ],
        }
    }
}

impl Columns {
    /// The tables, by the class of their rows.
    #[must_use]
    pub fn tables(self) -> Vec<Option<Class>> {
        match self {
            Columns::Native { .. } => vec![None],
            Columns::Ocsf(mapping) => {
                let has = |class: &Class| *class != Class::DetectionFinding || mapping.findings;
                Class::ALL.into_iter().filter(has).map(Some).collect()
            }
        }
    }

    /// The columns of a table.
    #[must_use]
    pub fn schema(self, class: Option<Class>) -> SchemaRef {
        match (self, class) {
            (Columns::Ocsf(mapping), Some(class)) => ocsf::schema(class, mapping.version),
            _ => schema::schema(),
        }
    }
}

/// The name of a table: `events`, or its class.
#[must_use]
pub fn table_name(class: Option<Class>) -> &'static str {
    class.map_or("events", Class::name)
}

/// What can go wrong with a feed. It is tried again, and nothing is lost meanwhile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log's, or the disk's.
    #[error(transparent)]
    Engine(#[from] daybook_engine::Error),
    /// Of rows and columns.
    #[error(transparent)]
    Columnar(#[from] columnar::Error),
    /// The table's log.
    #[error("the table can't be used: {0}")]
    Table(String),
    /// Events that the log has could not be read from it.
    #[error("{0} events could not be read; `daybook verify` says what is damaged")]
    Unread(usize),
    /// Whoever keeps the files.
    #[error("the store of the table's files: {0}")]
    Store(String),
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Error {
        Error::Columnar(error.into())
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Error {
        Error::Columnar(error.into())
    }
}
