//! Visits every event of a snapshot that a query matches: the way of exports and of exact counts.
//!
//! Parts come oldest first; inside a part events come as they are stored: in a segment by session,
//! then `seq`, so that each block is read once and a session's events come together; in the journal
//! by offset. Memory does not depend on how much matches.
//!
//! ```text
//! part ── time range ── few sessions, or the text index ── facts ── raw bytes ── the event
//!         of the part   name the candidates                each step drops what can't match
//! ```

use crate::QueryError;
use crate::lang::{Query, Tri};
use crate::search::plan::Plan;
use crate::search::{SearchLimits, sets};
use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::SessionKey;
use daybook_engine::view::{EventFacts, Ordinals, Part, Session, Snapshot};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::{ControlFlow, Range};

/// How many sessions are remembered between events. In a segment one would do; in the journal the
/// events of all open sessions alternate.
const SESSIONS_KEPT_MAX: usize = 16 << 10;

/// An event that matches.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// What is known of it without its line.
    pub facts: EventFacts,
    /// The event.
    pub record: Record<'a>,
    /// Its session.
    pub session: &'a Session,
}

/// Calls `visit` with each event of these offsets that matches `query` (all of them, without one) and is in a session
/// that `scope` admits, until it answers [`ControlFlow::Break`]. What is erased meanwhile is left out.
///
/// # Errors
/// The log's, or what `visit` answers.
pub fn for_each_match(
    snapshot: &Snapshot,
    query: Option<&Query>,
    scope: &SessionFilter,
    offsets: &Range<u64>,
    visit: &mut dyn FnMut(Match<'_>) -> Result<ControlFlow<()>, QueryError>,
) -> Result<(), QueryError> {
    let all = Query::all();
    let scope = sets::scope(snapshot, scope)?;
    // An export is whole, however much it reads.
    let limits = SearchLimits::NONE;
    let plan = Plan::new(snapshot, query.unwrap_or(&all), scope.as_ref(), &limits)?;
    let mut sessions = SessionCache::new(snapshot);
    for part in &snapshot.parts {
        let Some(ordinals) = candidates(&plan, part.as_ref(), offsets)? else { continue };
        // A part's reader knows only the engine's errors, so any other waits here.
        let mut outcome = Ok(ControlFlow::Continue(()));
        let asks_seen = |ordinal| plan.asks_seen(part.as_ref(), ordinal);
        let prefilter = plan.prefilter().filter(|_| !ordinals.iter().any(asks_seen));
        part.read(&ordinals, prefilter, &mut |ordinal, record| {
            let facts = part.facts(ordinal).ok_or(Error::NoSuchEvent(record.offset))?;
            let matches = match plan.accepts(&facts) {
                Tri::Yes => true,
                Tri::No => false,
                Tri::Maybe => plan.matches(&facts, &record, &record.event()?)?.is_some(),
            };
            if matches && let Some(session) = sessions.get(facts.session)? {
                outcome = visit(Match { facts, record, session });
            }
            Ok(match outcome {
                Ok(flow) => flow,
                Err(_) => ControlFlow::Break(()),
            })
        })?;
        if outcome?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The events of a part that may match, ascending; `None` if there are none.
fn candidates(
    plan: &Plan<'_>,
    part: &dyn Part,
    offsets: &Range<u64>,
) -> Result<Option<Ordinals>, QueryError> {
    if part.end().0 <= offsets.start || offsets.end <= part.base().0 {
        return Ok(None);
    }
    let mut left = Vec::new();
    part.each_facts(&plan.ordinals(part)?, &mut |ordinal, facts| {
        if offsets.contains(&facts.offset.0) && plan.accepts(facts) != Tri::No {
            left.push(ordinal);
        }
    });
    part.check()?;
    Ok(match left.len() {
        0 => None,
        all if all == part.len() as usize => Some(Ordinals::Range(0..part.len())),
        _ => Some(Ordinals::List(left)),
    })
}

/// Looks sessions up by number, and remembers the last ones.
pub(crate) struct SessionCache<'a> {
    snapshot: &'a Snapshot,
    known: HashMap<SessionKey, Session>,
}

impl<'a> SessionCache<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> SessionCache<'a> {
        SessionCache { snapshot, known: HashMap::new() }
    }

    /// A session; `None` for one that was erased since the snapshot was taken.
    pub(crate) fn get(&mut self, key: SessionKey) -> Result<Option<&Session>, Error> {
        if self.known.len() >= SESSIONS_KEPT_MAX && !self.known.contains_key(&key) {
            self.known.clear();
        }
        match self.known.entry(key) {
            Entry::Occupied(known) => Ok(Some(known.into_mut())),
            Entry::Vacant(free) => match self.snapshot.sessions.by_key(key)? {
                Some(session) => Ok(Some(free.insert(session))),
                None if self.snapshot.sessions.was_erased(key) => Ok(None),
                None => Err(Error::catalog(format!("session number {} is not in it", key.0))),
            },
        }
    }
}
