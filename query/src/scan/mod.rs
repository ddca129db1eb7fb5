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

mod resolve;

use crate::QueryError;
use crate::lang::Query;
use crate::lang::matcher::{Matcher, Tri};
use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Micros, SessionKey};
use daybook_engine::text::narrow::Narrow;
use daybook_engine::view::{EventFacts, Ordinals, Part, Prefilter, Session, Snapshot};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

pub use resolve::resolve;

/// How many sessions are remembered between events. In a segment one would do; in the journal the
/// events of all open sessions alternate.
const SESSIONS_KEPT_MAX: usize = 16 << 10;

/// Up to this many sessions are looked up one by one in each part; more are met on the way.
const SESSIONS_LOOKED_UP_MAX: usize = 1 << 10;

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

/// Calls `visit` with each event that matches `query` (all of them, without one) and is in a session
/// that `scope` admits, until it answers [`ControlFlow::Break`].
///
/// # Errors
/// The log's, or what `visit` answers.
pub fn for_each_match(
    snapshot: &Snapshot,
    query: Option<&Query>,
    scope: &SessionFilter,
    visit: &mut dyn FnMut(Match<'_>) -> Result<ControlFlow<()>, QueryError>,
) -> Result<(), QueryError> {
    let all = Query::all();
    let matcher =
        Matcher::new(query.unwrap_or(&all), &mut |condition| resolve(snapshot, condition))?;
    let scope = match scope {
        SessionFilter::All => None,
        scope => Some(Arc::new(snapshot.sessions.keys(scope)?)),
    };
    let mut sessions = SessionCache { snapshot, known: HashMap::new() };
    for_each_record(snapshot, &matcher, scope.as_deref(), &mut |facts, record| {
        let session = sessions.get(facts.session)?;
        visit(Match { facts: *facts, record, session })
    })
}

/// What is done with the facts and the record of an event.
type VisitRecord<'a> =
    &'a mut dyn FnMut(&EventFacts, Record<'_>) -> Result<ControlFlow<()>, QueryError>;

/// Calls `visit` with each event that matches and is in a session of `scope`.
fn for_each_record(
    snapshot: &Snapshot,
    matcher: &Matcher,
    scope: Option<&HashSet<SessionKey>>,
    visit: VisitRecord<'_>,
) -> Result<(), QueryError> {
    let raw_test = matcher.prefilter();
    let prefilter: Option<Prefilter<'_>> = raw_test.as_ref().map(|test| &**test as Prefilter<'_>);
    for part in &snapshot.parts {
        let Some(ordinals) = candidates(part.as_ref(), matcher, scope)? else { continue };
        // A part's reader knows only the engine's errors, so any other waits here.
        let mut outcome = Ok(ControlFlow::Continue(()));
        part.read(&ordinals, prefilter, &mut |ordinal, record| {
            let facts = part.facts(ordinal).ok_or(Error::NoSuchEvent(record.offset))?;
            let matches = match matcher.accepts(&facts) {
                Tri::Yes => true,
                Tri::No => false,
                Tri::Maybe => matcher.matches(&facts, &record.event()?),
            };
            if matches {
                outcome = visit(&facts, record);
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
    part: &dyn Part,
    matcher: &Matcher,
    scope: Option<&HashSet<SessionKey>>,
) -> Result<Option<Ordinals>, Error> {
    let outside = part.time_range().is_none_or(|times| apart(matcher.time_range(), times));
    let sets = [matcher.sessions(), scope];
    let smallest = sets.into_iter().flatten().min_by_key(|keys| keys.len());
    if outside || smallest.is_some_and(HashSet::is_empty) {
        return Ok(None);
    }
    let named = match smallest {
        Some(keys) if keys.len() <= SESSIONS_LOOKED_UP_MAX => {
            let mut ordinals: Vec<u32> = Vec::new();
            for key in keys {
                if let Some(run) = part.session_by_key(*key)? {
                    ordinals.extend(run.ordinals.iter());
                }
            }
            ordinals.sort_unstable();
            Some(ordinals)
        }
        _ if *matcher.narrow() == Narrow::All => None,
        _ => part.narrow(matcher.narrow())?,
    };
    let may_match = |ordinal: &u32| {
        part.facts(*ordinal).is_some_and(|facts| {
            scope.is_none_or(|keys| keys.contains(&facts.session))
                && matcher.accepts(&facts) != Tri::No
        })
    };
    let left: Vec<u32> = match named {
        Some(ordinals) => ordinals.into_iter().filter(may_match).collect(),
        None => (0..part.len()).filter(may_match).collect(),
    };
    Ok(match left.len() {
        0 => None,
        all if all == part.len() as usize => Some(Ordinals::Range(0..part.len())),
        _ => Some(Ordinals::List(left)),
    })
}

/// Has a window no time in common with a range?
fn apart((low, high): (Bound<Micros>, Bound<Micros>), (first, last): (Micros, Micros)) -> bool {
    let after = match low {
        Bound::Included(low) => last < low,
        Bound::Excluded(low) => last <= low,
        Bound::Unbounded => false,
    };
    let before = match high {
        Bound::Included(high) => first > high,
        Bound::Excluded(high) => first >= high,
        Bound::Unbounded => false,
    };
    after || before
}

/// Looks sessions up by number, and remembers the last ones.
struct SessionCache<'a> {
    snapshot: &'a Snapshot,
    known: HashMap<SessionKey, Session>,
}

impl SessionCache<'_> {
    fn get(&mut self, key: SessionKey) -> Result<&Session, Error> {
        if self.known.len() >= SESSIONS_KEPT_MAX && !self.known.contains_key(&key) {
            self.known.clear();
        }
        match self.known.entry(key) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(free) => {
                let session = self.snapshot.sessions.by_key(key)?.ok_or_else(|| {
                    Error::catalog(format!("session number {} is not in it", key.0))
                })?;
                Ok(free.insert(session))
            }
        }
    }
}
