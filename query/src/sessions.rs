//! Lists of sessions, and one session's details.

use crate::error::QueryError;
use crate::item::{FacetCount, SessionItem, Time};
use crate::lang::Query;
use crate::search::SearchLimits;
use daybook_engine::catalog::filter::{NumberFact, SessionFilter, Sort};
use daybook_engine::event::wire::{ReviewDecision, ReviewRequest};
use daybook_engine::event::{Offset, Seq};
use daybook_engine::session::ReviewStatus;
use daybook_engine::view::Snapshot;
use serde::Serialize;
use std::collections::BTreeMap;

/// The most sessions of a page.
pub const LIMIT_MAX: usize = 1000;

/// What list is asked for. [`ListParams::default`] is the first 50 of all, latest start first.
#[derive(Clone, Debug)]
pub struct ListParams<'a> {
    /// Only sessions with an event that matches; a query on sessions alone is read as a filter.
    pub query: Option<&'a Query>,
    /// Only these sessions.
    pub filter: SessionFilter,
    /// In which order.
    pub sort: Sort,
    /// Where the page before ended; it belongs to its sort.
    pub cursor: Option<&'a str>,
    /// At most this many, up to [`LIMIT_MAX`].
    pub limit: usize,
    /// Also how many of all sessions of the list have each user, role, ...
    pub facets: bool,
    /// How much the query may read.
    pub limits: SearchLimits,
}

impl Default for ListParams<'_> {
    fn default() -> Self {
        ListParams {
            query: None,
            filter: SessionFilter::All,
            sort: Sort { by: NumberFact::Started, descending: true },
            cursor: None,
            limit: 50,
            facets: false,
            limits: SearchLimits::default(),
        }
    }
}

/// A page of sessions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionPage {
    /// The sessions.
    pub items: Vec<SessionItem>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
    /// How many sessions the list has in all, exactly.
    pub count: u64,
    /// For `user`, `role`, `type`, `status`, `tag` and `agent`: how many sessions have the most
    /// frequent values, most first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facets: Option<BTreeMap<&'static str, Vec<FacetCount>>>,
}

/// A session with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionDetails {
    /// The item of the lists.
    #[serde(flatten)]
    pub item: SessionItem,
    /// The user's groups.
    pub groups: Vec<Box<str>>,
    /// Where it came from.
    pub origin: Option<Box<str>>,
    /// The client's address.
    pub client_ip: Option<Box<str>>,
    /// Joins it to something elsewhere.
    pub correlation_id: Option<Box<str>>,
    /// Joins it to the sessions that were started with it.
    pub batch_id: Option<Box<str>>,
    /// The terminal's columns.
    pub cols: Option<u32>,
    /// The terminal's rows.
    pub rows: Option<u32>,
    /// Anything else that its proxy said.
    pub metadata: BTreeMap<Box<str>, Box<str>>,
    /// The exit code, once it ended.
    pub exit_code: Option<i64>,
    /// Why it ended.
    pub end_reason: Option<Box<str>>,
    /// When its earliest and its latest event happened.
    pub first_event_at: Option<Time>,
    /// See [`SessionDetails::first_event_at`].
    pub last_event_at: Option<Time>,
    /// Its reviews, by when they were asked for.
    pub reviews: Vec<ReviewItem>,
    /// Where its events are.
    pub segments: Vec<SegmentItem>,
    /// The checkpoint that covers it.
    pub checkpoint: Option<String>,
}

/// A review of a session or of one of its commands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewItem {
    /// Its id.
    pub id: Box<str>,
    /// Where it stands.
    pub status: ReviewStatus,
    /// The request's number in the session; none while only decisions have arrived.
    pub seq: Option<Seq>,
    /// When it was asked for.
    pub requested_at: Option<Time>,
    /// When it expires.
    pub expires_at: Option<Time>,
    /// What was asked. Its `expires_at` is in microseconds; the one beside it is for people.
    pub request: Option<Box<ReviewRequest>>,
    /// What was said, in order.
    pub decisions: Vec<DecisionItem>,
}

/// What was said of a review.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionItem {
    /// Its number in the session.
    pub seq: Seq,
    /// When it was said.
    pub time: Time,
    /// What was said, by whom.
    #[serde(flatten)]
    pub said: Box<ReviewDecision>,
}

/// The events of a session in one part of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentItem {
    /// The part's first offset, which is its name.
    pub base: Offset,
    /// Is it a segment (or the journal)?
    pub sealed: bool,
    /// The session's events in it.
    pub events: u64,
    /// The lowest offset of these.
    pub first_offset: Offset,
    /// The highest.
    pub last_offset: Offset,
}

/// Reads a sort such as `-started` (latest first) or `duration` (shortest first).
///
/// # Errors
/// A name that is none, with those that are.
pub fn parse_sort(text: &str) -> Result<Sort, QueryError> {
    let (descending, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text),
    };
    let by = NumberFact::ALL.into_iter().find(|fact| fact.name() == name).ok_or_else(|| {
        let names: Vec<_> = NumberFact::ALL.iter().map(|fact| fact.name()).collect();
        QueryError::Request(format!(
            "sessions can't be sorted by `{}`; sort by one of {}, with `-` before it for largest first",
            daybook_engine::event::time::excerpt(name),
            names.join(", ")
        ))
    })?;
    Ok(Sort { by, descending })
}

/// A page of the sessions that match.
///
/// # Errors
/// A cursor of another list or sort, a query that costs too much, or what the engine says.
pub fn list(_snapshot: &Snapshot, _params: &ListParams<'_>) -> Result<SessionPage, QueryError> {
    Err(QueryError::Request("not built yet".into()))
}

/// Everything that is known of a session, or `None` if there is none of this id.
///
/// # Errors
/// What the engine says.
pub fn details(_snapshot: &Snapshot, _id: &str) -> Result<Option<SessionDetails>, QueryError> {
    Err(QueryError::Request("not built yet".into()))
}
