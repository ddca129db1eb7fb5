//! Timelines: one session's events in order.

use crate::error::QueryError;
use crate::lang::Query;
use daybook_engine::event::Micros;
use daybook_engine::view::Snapshot;
use serde::Serialize;
use serde_json::value::RawValue;

/// The most items of a page.
pub const LIMIT_MAX: usize = 1000;

/// Which page of a timeline is asked for. [`TimelineRequest::default`] is the first.
#[derive(Clone, Copy, Debug)]
pub struct TimelineRequest<'a> {
    /// Only events that match; a command matches if it or what is folded under it does.
    pub query: Option<&'a Query>,
    /// A `next_cursor` or `prev_cursor`, which also says in which direction.
    pub cursor: Option<&'a str>,
    /// Without a cursor: start at the first event of this time or later.
    pub at: Option<Micros>,
    /// Without a cursor: the page that ends at `at` or at the session's end, not the one that starts
    /// there.
    pub backwards: bool,
    /// At most this many items, up to [`LIMIT_MAX`].
    pub limit: usize,
    /// Commands carry their outputs, their end and their reviews.
    pub fold: bool,
}

impl Default for TimelineRequest<'_> {
    fn default() -> Self {
        TimelineRequest {
            query: None,
            cursor: None,
            at: None,
            backwards: false,
            limit: 100,
            fold: true,
        }
    }
}

/// A page of a timeline.
#[derive(Clone, Debug, Serialize)]
pub struct TimelinePage {
    /// The items in the order of `seq`, whichever direction the page was reached in: each event as
    /// it was sent, plus `offset` (and `seq`, if it was assigned here).
    pub items: Vec<Box<RawValue>>,
    /// The page of later events, if there are any.
    pub next_cursor: Option<String>,
    /// The page of earlier events, if there are any.
    pub prev_cursor: Option<String>,
    /// How many events the session has.
    pub count: u64,
}

/// A page of a session's timeline, or `None` if there is no session of this id.
///
/// # Errors
/// A cursor of another list, a query that costs too much, or what the engine says.
pub fn timeline(
    _snapshot: &Snapshot,
    _id: &str,
    _request: &TimelineRequest<'_>,
) -> Result<Option<TimelinePage>, QueryError> {
    Err(QueryError::Request("not built yet".into()))
}
