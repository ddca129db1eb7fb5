//! Following the log: the matches from an offset on, in the order in which they arrived.
//!
//! One step looks at a *window* of offsets, which ends where it has enough events, sessions or hits. What a
//! step found and where the next one begins are answered together, so whoever goes on there skips nothing and
//! gets nothing twice: also over a restart, for the place is an offset.
//!
//! Sessions are asked about as they are at the step, and only those of the window: a step costs the same
//! however many sessions the log has.

use super::plan::Plan;
use super::sets;
use super::snippet::Hits;
use super::{SearchLimits, Spent};
use crate::error::QueryError;
use crate::item::Hit;
use crate::lang::{Query, Tri};
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Offset, SessionKey};
use daybook_engine::view::{Part, Snapshot};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Offsets in a window, at most.
const EVENTS_MAX: u64 = 4_096;
/// Sessions in a window, at most: so few are a part of what the catalog is asked.
const SESSIONS_MAX: usize = 64;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// The matches, in the order of offsets.
    pub hits: Vec<Hit>,
    /// Where the next step begins: everything before it has been looked at.
    pub next: Offset,
    /// Is there nothing more, as of this snapshot?
    pub at_end: bool,
    /// So many events may match, but are in parts of the log that are damaged.
    pub unreadable: u64,
}

/// An event of the window.
struct Candidate {
    part: usize,
    ordinal: u32,
    session: SessionKey,
}

/// Finds the matches at `from` or later, of the sessions in `scope`: at most `limit` of them, and not all that
/// there are; see [`Followed::next`].
///
/// # Errors
/// What the engine says, or a set of sessions that costs too much.
pub fn follow(
    snapshot: &Snapshot,
    query: &Query,
    scope: &SessionFilter,
    from: Offset,
    limit: usize,
) -> Result<Followed, QueryError> {
    let (window, mut next, end) = window(snapshot, from);
    let mut followed = Followed { hits: Vec::new(), next, at_end: false, unreadable: 0 };
    let sessions: HashSet<SessionKey> = window.values().map(|found| found.session).collect();
    let sessions = SessionFilter::And(vec![SessionFilter::Keys(Arc::new(sessions)), scope.clone()]);
    let seen = sets::scope(snapshot, &sessions)?;
    let limits = SearchLimits::default();
    let plan = Plan::new(snapshot, query, seen.as_ref(), limits)?;
    let mut of_parts: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for candidate in window.values() {
        of_parts.entry(candidate.part).or_default().push(candidate.ordinal);
    }
    let mut spent = Spent::new(limits);
    let mut hits = Hits::new(&plan);
    let mut found: BTreeMap<Offset, Hit> = BTreeMap::new();
    for (index, mut ordinals) in of_parts {
        let Some(part) = snapshot.parts.get(index).map(AsRef::as_ref) else { continue };
        let may = |ordinal: &u32| part.facts(*ordinal).is_some_and(|f| plan.accepts(&f) != Tri::No);
        ordinals.retain(may);
        part.check()?;
        ordinals.sort_unstable();
        let mut failed = None;
        followed.unreadable += plan.verify(
            part,
            ordinals,
            &mut spent,
            |_| true,
            |matched| match hits.make(matched) {
                Ok(hit) => {
                    found.insert(matched.facts.offset, hit);
                    if found.len() > limit.max(1) {
                        // Left to the next step.
                        found.pop_last();
                    }
                }
                Err(error) => failed = Some(error),
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    if found.len() >= limit.max(1)
        && let Some((last, _)) = found.last_key_value()
    {
        next = Offset(last.0 + 1);
    }
    followed.hits = found.into_values().collect();
    followed.next = next;
    followed.at_end = next >= end;
    Ok(followed)
}

/// The events from an offset on, as many as a step looks at; where they end; and where the log does.
fn window(snapshot: &Snapshot, from: Offset) -> (BTreeMap<Offset, Candidate>, Offset, Offset) {
    let end = snapshot.parts.last().map_or(Offset(0), |part| part.end());
    let mut window = BTreeMap::new();
    let mut sessions = HashSet::new();
    let mut next = from;
    for (index, part) in snapshot.parts.iter().enumerate() {
        if part.end() <= from {
            continue;
        }
        // What was erased between parts has no events.
        next = next.max(part.base());
        while next < part.end() {
            if window.len() as u64 >= EVENTS_MAX || next.0 - from.0 >= EVENTS_MAX << 8 {
                return (window, next, end);
            }
            if let Some((ordinal, session)) = event_at(part.as_ref(), next) {
                if sessions.len() >= SESSIONS_MAX && !sessions.contains(&session) {
                    return (window, next, end);
                }
                sessions.insert(session);
                window.insert(next, Candidate { part: index, ordinal, session });
            }
            next.0 += 1;
        }
    }
    (window, next, end.max(from))
}

fn event_at(part: &dyn Part, offset: Offset) -> Option<(u32, SessionKey)> {
    let ordinal = part.ordinal_of(offset)?;
    Some((ordinal, part.facts(ordinal)?.session))
}
