//! The engine's errors: each says what happened, where, and what to do.

use crate::crypt::{Altered, NoKey};
use crate::event::Offset;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can go wrong in the engine.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file. What to do is in the cause.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// A file holds what it must not: it was damaged or altered after it was written.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// The data directory was made by something else or by a newer version.
    #[error("{} can't be used as a data directory: {what}", path.display())]
    Unusable {
        /// Which directory.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A file is encrypted and its key was not given. Add the key's line to the encryption keys.
    #[error("{} can't be read: {why}", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// Which key, and what was given instead.
        why: NoKey,
    },
    /// Too much waits to be written, or to be sealed. Send the batch again after a moment.
    #[error(
        "the log is busy: {waiting_bytes} bytes wait to be {what}, the limit is {limit_bytes}; send the batch again later"
    )]
    Busy {
        /// What they wait for: to be `written` or `sealed`.
        what: &'static str,
        /// Bytes that wait.
        waiting_bytes: u64,
        /// The bound on them.
        limit_bytes: u64,
    },
    /// The log takes no more events until daybook is started again; reads go on.
    #[error("the log is read-only: {reason}; reads go on, and appending resumes after a restart")]
    ReadOnly {
        /// Why.
        reason: Arc<str>,
    },
    /// The disk is full. Make room on it, or give it more; events are then taken again by themselves.
    #[error(
        "the disk is full: {what}; reads go on, and events are taken again by themselves once there is room"
    )]
    Full {
        /// How full.
        what: Arc<str>,
    },
    /// The text index or the catalog failed.
    #[error("the {index} index failed: {what}")]
    Index {
        /// Which index.
        index: &'static str,
        /// How.
        what: String,
    },
    /// An event that an index names is not in the log.
    #[error("event {0} is not in the log")]
    NoSuchEvent(Offset),
    /// What waits in a block, in memory or in a file is over a bound.
    #[error("{what} is over its bound of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// What was asked for can't be done as it was asked. The text says how it can.
    #[error("{what}")]
    Refused {
        /// What is wrong with it.
        what: String,
    },
    /// The engine is shutting down.
    #[error("daybook is shutting down")]
    Closed,
}

impl Error {
    /// Wraps an I/O error with what was tried on which file: `.map_err(Error::io("read", path))`.
    /// What the layer that encrypts says of a file stays what it is.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| {
            let inner = source.get_ref();
            if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<Altered>()) {
                return Error::Corrupt { path, at: found.at, what: found.what.to_owned() };
            }
            if let Some(why) = inner.and_then(|inner| inner.downcast_ref::<NoKey>()) {
                return Error::NoKey { path, why: *why };
            }
            Error::Io { action, path, source: Arc::new(source) }
        }
    }

    /// Names a damaged place in a file.
    pub fn corrupt(path: &Path, at: u64, what: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_owned(), at, what: what.into() }
    }

    /// Is it that the disk has no room left?
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind;
        match self {
            Error::Full { .. } => true,
            Error::Io { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// Wraps an error of the text index.
    pub fn text(error: impl std::fmt::Display) -> Error {
        Error::Index { index: "text", what: error.to_string() }
    }

    /// Wraps an error of the catalog.
    pub fn catalog(error: impl std::fmt::Display) -> Error {
        Error::Index { index: "catalog", what: error.to_string() }
    }
}
