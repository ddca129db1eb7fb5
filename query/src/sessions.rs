//! Lists of sessions, and one session's details.
//!
//! | module | what is there |
//! |---|---|
//! | here | lists and details |
//! | `histogram` | when the sessions of a list started |
//! | `pick` | pages of those of a list that are wanted |
//! | `values` | the values of a field that they have |

mod histogram;
mod pick;
mod values;

use crate::cursor::{self, List};
use crate::error::QueryError;
use crate::item::{FacetCount, SessionItem, Time};
use crate::lang::Query;
use crate::reviews::ReviewItem;
use crate::search::SearchLimits;
use crate::search::sets;
use crate::search::tally::{FACET_VALUES_MAX, FACETS};
use daybook_engine::Coverage;
use daybook_engine::catalog::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use daybook_engine::catalog::sort::{Sort, SortFact, SortValue};
use daybook_engine::event::{Micros, Offset, SessionKey};
use daybook_engine::view::{Facet, ListPlace, ListRequest, SessionSet, Snapshot, Weights};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

pub use histogram::{SessionBucket, SessionHistogram};
pub use pick::{PickPage, PickParams, pick};
pub use values::{Values, ValuesParams, values};

/// The most sessions of a page.
pub const LIMIT_MAX: usize = 1000;

/// Sessions that started within a day of each other are similar, in microseconds.
pub const SIMILAR_WINDOW: i64 = 86_400_000_000;

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
    /// Also when they started.
    pub histogram: bool,
    /// How much the query may read.
    pub limits: SearchLimits,
}

impl Default for ListParams<'_> {
    fn default() -> Self {
        ListParams {
            query: None,
            filter: SessionFilter::All,
            sort: Sort { by: SortFact::Number(NumberFact::Started), descending: true },
            cursor: None,
            limit: 50,
            facets: false,
            histogram: false,
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
    /// How the starts of all sessions of the list are spread over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<SessionHistogram>,
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
    /// The log's last checkpoint; `None` without a Merkle log.
    pub checkpoint: Option<CheckpointItem>,
}

/// The log's last checkpoint, as it stands to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointItem {
    /// How many leaves its tree has.
    pub size: u64,
    /// Does it cover all of the session's events?
    pub covered: bool,
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
    let by = SortFact::all().find(|fact| fact.name() == name).ok_or_else(|| {
        let names: Vec<_> = SortFact::all().map(SortFact::name).collect();
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
pub fn list(snapshot: &Snapshot, params: &ListParams<'_>) -> Result<SessionPage, QueryError> {
    let after = params.cursor.map(|text| decode(params.sort, text)).transpose()?;
    let filter = filter_of(snapshot, params.query, &params.filter, &params.limits)?;
    let page = snapshot.sessions.list(&ListRequest {
        filter: filter.clone(),
        sort: params.sort,
        after,
        limit: params.limit.clamp(1, LIMIT_MAX),
    })?;
    let facets = if params.facets {
        let facets = snapshot.sessions.facets(&filter, Weights::One, &FACETS, FACET_VALUES_MAX)?;
        let counts = |facet: Facet| -> Vec<FacetCount> {
            facet.into_iter().map(|(value, count)| FacetCount { value, count }).collect()
        };
        Some(facets.into_iter().map(|(fact, facet)| (fact.name(), counts(facet))).collect())
    } else {
        None
    };
    Ok(SessionPage {
        items: page.items.iter().map(SessionItem::of).collect(),
        next_cursor: page.next.map(|place| encode(params.sort, &place)),
        count: page.count,
        facets,
        histogram: params.histogram.then(|| histogram::of(snapshot, &filter)).transpose()?,
    })
}

/// The sessions that a list is of.
fn filter_of(
    snapshot: &Snapshot,
    query: Option<&Query>,
    filter: &SessionFilter,
    limits: &SearchLimits,
) -> Result<SessionFilter, QueryError> {
    let Some(query) = query else { return Ok(filter.clone()) };
    let asked = match query.session_filter() {
        Some(filter) => filter,
        None => {
            let scope = sets::scope(snapshot, filter)?;
            SessionFilter::Keys(sets::matching(snapshot, query, scope.as_ref(), limits)?)
        }
    };
    Ok(match (filter, asked) {
        (SessionFilter::All, asked) => asked,
        (filter, asked) => SessionFilter::And(vec![filter.clone(), asked]),
    })
}

/// The sessions that are like one: of the same user, through the same resource role, started at most so many
/// microseconds before or after it; not itself. `None` if there is no session of this id.
///
/// # Errors
/// What the engine says.
pub fn like(
    snapshot: &Snapshot,
    id: &str,
    window: i64,
) -> Result<Option<SessionFilter>, QueryError> {
    let Some(session) = snapshot.sessions.get(id)? else { return Ok(None) };
    let facts = session.state.facts().cloned().unwrap_or_default();
    // A session of which the start has not arrived is like no other.
    let Some(Micros(started)) = session.state.started_at() else {
        return Ok(Some(SessionFilter::None));
    };
    let same = |fact: TextFact, value: Option<Box<str>>| match value {
        Some(value) => SessionFilter::Text(fact, Pattern::exact(&value)),
        None => SessionFilter::Not(Box::new(SessionFilter::Text(fact, Pattern::wildcard("*")))),
    };
    let (low, high) = (started.saturating_sub(window), started.saturating_add(window));
    Ok(Some(SessionFilter::And(vec![
        same(TextFact::User, facts.user),
        same(TextFact::Role, facts.role),
        SessionFilter::Number(NumberFact::Started, Bound::Included(low), Bound::Included(high)),
        SessionFilter::Not(Box::new(SessionFilter::Keys(Arc::new(SessionSet::from_iter([
            session.key,
        ]))))),
    ])))
}

fn sort_code(sort: Sort) -> u64 {
    let by = SortFact::all().position(|fact| fact == sort.by).unwrap_or_default();
    by as u64 * 2 + u64::from(sort.descending)
}

/// A place's value is none, a number, or a text.
const KINDS: [u64; 3] = [0, 1, 2];

fn encode(sort: Sort, place: &ListPlace) -> String {
    let [none, number, text] = KINDS;
    let (kind, value, words) = match &place.value {
        None => (none, 0, ""),
        Some(SortValue::Number(value)) => (number, value.cast_unsigned(), ""),
        Some(SortValue::Text(value)) => (text, 0, &**value),
    };
    cursor::encode_with(List::Sessions, [sort_code(sort), kind, value, place.key.0], words)
}

fn decode(sort: Sort, text: &str) -> Result<ListPlace, QueryError> {
    let ([of, kind, value, key], words) = cursor::decode_with(List::Sessions, text)?;
    if of != sort_code(sort) {
        return Err(QueryError::Cursor("belongs to a list with another sort"));
    }
    let value = match (kind, sort.by) {
        (0, _) => None,
        (_, SortFact::Number(_)) => Some(SortValue::Number(value.cast_signed())),
        (_, SortFact::Text(_)) => Some(SortValue::Text(words.into())),
    };
    Ok(ListPlace { value, key: SessionKey(key) })
}

/// Everything that is known of a session, or `None` if there is none of this id. `coverage` is what
/// the log's last checkpoint covers.
///
/// # Errors
/// What the engine says.
pub fn details(
    snapshot: &Snapshot,
    id: &str,
    coverage: Option<Coverage>,
) -> Result<Option<SessionDetails>, QueryError> {
    let Some(session) = snapshot.sessions.get(id)? else { return Ok(None) };
    let state = &session.state;
    let facts = state.facts().cloned().unwrap_or_default();
    let end = state.end.as_ref().map(|(_, _, end)| end);
    let mut reviews: Vec<ReviewItem> = state
        .reviews
        .iter()
        .map(|(id, review)| ReviewItem::of(id, review, state.requester()))
        .collect();
    reviews.sort_by(|a, b| (a.requested_at, &a.id).cmp(&(b.requested_at, &b.id)));
    let segments = segments(snapshot, session.key)?;
    Ok(Some(SessionDetails {
        item: SessionItem::of(&session),
        groups: facts.groups,
        origin: facts.origin,
        client_ip: facts.client_ip,
        correlation_id: facts.correlation_id,
        batch_id: facts.batch_id,
        cols: facts.cols,
        rows: facts.rows,
        metadata: facts.metadata,
        exit_code: end.and_then(|end| end.exit_code),
        end_reason: end.and_then(|end| end.reason.clone()),
        first_event_at: state.span.map(|(first, _)| Time(first)),
        last_event_at: state.span.map(|(_, last)| Time(last)),
        reviews,
        checkpoint: coverage.map(|Coverage { size, through }| CheckpointItem {
            size,
            covered: segments.last().is_some_and(|last| last.last_offset < through),
        }),
        segments,
    }))
}

fn segments(snapshot: &Snapshot, key: SessionKey) -> Result<Vec<SegmentItem>, QueryError> {
    let mut segments = Vec::new();
    for part in &snapshot.parts {
        let Some(run) = part.session_by_key(key)? else { continue };
        let offsets = || run.ordinals.iter().filter_map(|o| part.facts(o)).map(|f| f.offset);
        if let (Some(first_offset), Some(last_offset)) = (offsets().min(), offsets().max()) {
            segments.push(SegmentItem {
                base: part.base(),
                sealed: part.sealed(),
                events: run.ordinals.len() as u64,
                first_offset,
                last_offset,
            });
        }
        part.check()?;
    }
    Ok(segments)
}
