//! Timelines: one session's events in order.
//!
//! | module | what is there |
//! |---|---|
//! | `runs` | the events by `seq`, across parts |
//! | `fold` | which event stands under which |
//! | `groups` | the items of a page |
//! | `render` | their JSON |

mod fold;
mod groups;
pub(crate) mod render;
pub(crate) mod runs;

use crate::cursor::{self, List};
use crate::error::QueryError;
use crate::excerpt::Excerpt;
use crate::lang::Query;
use crate::search::SearchLimits;
use crate::search::plan::Plan;
use daybook_engine::event::Micros;
use daybook_engine::view::{SessionSet, Snapshot};
use fold::Folder;
use groups::Group;
use runs::{END, Position, Runs};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

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
    /// Without a cursor: start at the event with this number, or the first one after it.
    pub from: Option<u32>,
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
            from: None,
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

/// Where a page starts, and in which direction it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The items from a place on.
    From(Position),
    /// The items before a place.
    Below(Position),
}

impl Start {
    fn encode(self) -> String {
        let (direction, position) = match self {
            Start::From(position) => (0, position),
            Start::Below(position) => (1, position),
        };
        cursor::encode(List::Timeline, [direction, position])
    }

    fn decode(text: &str) -> Result<Start, QueryError> {
        match cursor::decode(List::Timeline, text)? {
            [0, position] if position <= END => Ok(Start::From(position)),
            [1, position] if position <= END => Ok(Start::Below(position)),
            _ => Err(QueryError::Cursor("is not one that daybook gave out")),
        }
    }
}

/// A page of a session's timeline, or `None` if there is no session of this id.
///
/// A page may be shorter than its limit when its items are long or few match; its cursor goes on.
///
/// # Errors
/// A cursor of another list, a query that costs too much, or what the engine says.
pub fn timeline(
    snapshot: &Snapshot,
    id: &str,
    request: &TimelineRequest<'_>,
) -> Result<Option<TimelinePage>, QueryError> {
    timeline_of(snapshot, id, &Excerpt::default(), request)
}

/// As [`timeline`], of what an excerpt shows.
///
/// # Errors
/// As [`timeline`]; a query about an excerpt, which could ask for what is not shown.
pub fn timeline_of(
    snapshot: &Snapshot,
    id: &str,
    excerpt: &Excerpt,
    request: &TimelineRequest<'_>,
) -> Result<Option<TimelinePage>, QueryError> {
    if request.query.is_some() && !excerpt.is_all() {
        return Err(QueryError::Request(crate::excerpt::NO_QUERY.to_owned()));
    }
    let Some(session) = snapshot.sessions.get(id)? else { return Ok(None) };
    let runs = Runs::shown(snapshot, session.key, excerpt)?;
    let scope = Arc::new(SessionSet::from_iter([session.key]));
    let plan = match request.query {
        None => None,
        Some(query) => Some(Plan::new(snapshot, query, Some(&scope), &SearchLimits::default())?),
    };
    let mut folder = Folder::new(&runs, &session.state, request.fold, plan.as_ref());
    let limit = request.limit.clamp(1, LIMIT_MAX);
    let page = match start(&mut folder, request)? {
        Start::From(from) => {
            let found = groups::forwards(&mut folder, from, limit)?;
            let items = render::items((&runs, &session.state), &found.groups)?;
            let cut = found.groups.get(items.len()).map(Group::seq);
            let earlier = runs.backwards(from).next().is_some();
            TimelinePage {
                items,
                next_cursor: cut.or(found.next).map(|place| Start::From(place).encode()),
                prev_cursor: earlier.then(|| Start::Below(from).encode()),
                count: runs.len(),
            }
        }
        Start::Below(below) => {
            let found = groups::backwards(&mut folder, below, limit)?;
            let mut items = render::items((&runs, &session.state), &found.groups)?;
            items.reverse();
            let cut = found.groups.get(items.len()).map(|group| group.seq() + 1);
            let later = runs.forwards(below).next().is_some();
            TimelinePage {
                items,
                next_cursor: later.then(|| Start::From(below).encode()),
                prev_cursor: cut.or(found.next).map(|place| Start::Below(place).encode()),
                count: runs.len(),
            }
        }
    };
    runs.check()?;
    Ok(Some(page))
}

/// One event of a session as an item of its timeline, with what is folded under it; `None` if there is no such session, or
/// no event of this number that is an item by itself.
///
/// # Errors
/// What the engine says.
pub fn item(snapshot: &Snapshot, id: &str, seq: u32) -> Result<Option<Box<RawValue>>, QueryError> {
    let Some(session) = snapshot.sessions.get(id)? else { return Ok(None) };
    let runs = Runs::of(snapshot, session.key)?;
    let mut folder = Folder::new(&runs, &session.state, true, None);
    let mut found = groups::forwards(&mut folder, seq.into(), 1)?;
    found.groups.retain(|group| group.seq() == Position::from(seq));
    let mut items = render::items((&runs, &session.state), &found.groups)?;
    runs.check()?;
    Ok(items.pop())
}

/// Where the page that is asked for starts.
fn start(folder: &mut Folder<'_>, request: &TimelineRequest<'_>) -> Result<Start, QueryError> {
    if let Some(text) = request.cursor {
        return Start::decode(text);
    }
    let position = match request.at {
        None if request.from.is_some() => request.from.map_or(0, Position::from),
        None if request.backwards => END,
        None => 0,
        Some(time) => match folder.runs.at(time) {
            None => END,
            // The item that it stands under, so that it is in the page.
            Some(entry) => folder.steps(&[entry])?.first().map_or(entry.seq(), |step| step.leader),
        },
    };
    Ok(if request.backwards { Start::Below(position) } else { Start::From(position) })
}
