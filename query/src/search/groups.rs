//! Matches by session: which sessions have some, how many, and the newest of each.
//!
//! All matches are gone through to count them, newest parts first; what is kept of a session is a number and a
//! place. Lines are read again only for the groups of the page.

use super::page::Place;
use super::plan::Plan;
use super::snippet::Hits;
use super::tally::{self, Count};
use super::{LIMIT_MAX, SearchRequest, sets};
use crate::cursor::{self, List};
use crate::error::QueryError;
use crate::item::{Hit, SessionItem};
use daybook_engine::event::{Micros, Offset, SessionKey};
use daybook_engine::view::{EventFacts, Snapshot};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;

/// A session with matches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The session.
    pub session: SessionItem,
    /// How many of its events match.
    pub matches: u64,
    /// The newest of them.
    pub latest: Hit,
}

/// A page of sessions with matches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupPage {
    /// The sessions, that of the newest match first.
    pub items: Vec<Group>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
    /// How many sessions have matches; `None` where the limits left that open.
    pub count: Option<u64>,
    /// At least so many do, when that is all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_at_least: Option<u64>,
    /// `false` when the search stopped at its limits, or met events that can't be read: sessions may be missing,
    /// and numbers are floors.
    pub complete: bool,
    /// So many events may match, but are in parts of the log that are damaged.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub unreadable: u64,
}

/// Finds the sessions that have events which match; of the request, what is about a page of hits or about totals
/// makes no difference.
///
/// # Errors
/// As [`search`](super::search).
pub fn by_session(
    snapshot: &Snapshot,
    request: &SearchRequest<'_>,
) -> Result<GroupPage, QueryError> {
    let scope = sets::scope(snapshot, &request.scope)?;
    let plan = Plan::new(snapshot, request.query, scope.as_ref(), &request.limits)?;
    let after = request.cursor.map(decode).transpose()?;
    let mut found = Found::default();
    let (complete, mut unreadable) = tally::walk(&plan, &request.limits, &mut found)?;
    let of_session = found.of_session;
    unreadable += tally::lost_before(&plan);
    let complete = complete && unreadable == 0;
    let sessions = of_session.len() as u64;
    let mut groups: Vec<(Place, u64)> =
        of_session.into_values().map(|(matches, latest)| (latest, matches)).collect();
    groups.retain(|(latest, _)| after.is_none_or(|after| *latest < after));
    groups.sort_unstable_by_key(|(latest, _)| Reverse(*latest));
    let limit = request.limit.clamp(1, LIMIT_MAX);
    let more = groups.len() > limit;
    groups.truncate(limit);
    let next_cursor = groups.last().filter(|_| more).map(|(latest, _)| encode(*latest));
    let mut items = Vec::with_capacity(groups.len());
    let mut hits = Hits::new(&plan);
    for ((_, offset), matches) in groups {
        items.extend(group(&plan, &mut hits, offset, matches)?);
    }
    let (count, count_at_least) =
        if complete { (Some(sessions), None) } else { (None, Some(sessions)) };
    Ok(GroupPage { items, next_cursor, count, count_at_least, complete, unreadable })
}

/// Of each session, how many matches, and the newest.
#[derive(Default)]
struct Found {
    of_session: HashMap<SessionKey, (u64, Place)>,
}

impl Count for Found {
    fn add(&mut self, facts: &EventFacts) {
        let place = (facts.time, facts.offset);
        let (matches, latest) = self.of_session.entry(facts.session).or_insert((0, place));
        *matches += 1;
        *latest = place.max(*latest);
    }

    fn memory(&self) -> usize {
        self.of_session.capacity() * size_of::<(SessionKey, (u64, Place))>()
    }
}

fn group(
    plan: &Plan<'_>,
    hits: &mut Hits<'_, '_>,
    offset: Offset,
    matches: u64,
) -> Result<Option<Group>, QueryError> {
    let Some(latest) = hits.read(offset)? else { return Ok(None) };
    let Some(session) = plan.snapshot.sessions.get(&latest.session)? else { return Ok(None) };
    Ok(Some(Group { session: SessionItem::of(&session), matches, latest }))
}

fn encode((Micros(time), Offset(offset)): Place) -> String {
    cursor::encode(List::SearchSessions, [time.cast_unsigned(), offset])
}

fn decode(text: &str) -> Result<Place, QueryError> {
    let [time, offset] = cursor::decode(List::SearchSessions, text)?;
    Ok((Micros(time.cast_signed()), Offset(offset)))
}
