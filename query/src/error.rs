//! What can go wrong while a question is answered.

use crate::columnar;
use crate::lang::ParseError;
use daybook_engine::Error;
use std::sync::Arc;

/// Why a question has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query can't be read. Mend it at the place that is named.
    #[error("the query can't be read: {0}")]
    Parse(#[from] ParseError),
    /// The cursor was not made by this list. Start again without one.
    #[error("the cursor {0}; start again without one")]
    Cursor(&'static str),
    /// Another part of the request makes no sense; the message says what would.
    #[error("{0}")]
    Request(String),
    /// The answer can't be given in part, and all of it would read too much. Narrow the query.
    #[error("the query would {what}; add a word, a session filter or a time range")]
    TooCostly {
        /// The bound that was reached.
        what: String,
    },
    /// The answer can't be given in part, and a part of the log that it takes is damaged.
    #[error(
        "{events} events that the query asks about can't be read: a part of the log is damaged; `daybook verify` says which; leave out session(...), or narrow it"
    )]
    Unreadable {
        /// So many events.
        events: u64,
    },
    /// An export can't be written: the disk is full, or its reader went away. Ask for it again.
    #[error(transparent)]
    Output(Arc<columnar::Error>),
    /// The log can't be read.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<columnar::Error> for QueryError {
    fn from(error: columnar::Error) -> QueryError {
        match error {
            columnar::Error::Engine(error) => QueryError::Engine(error),
            other => QueryError::Output(Arc::new(other)),
        }
    }
}
