//! Visits every event of a snapshot that a query matches.
//!
//! Parts come oldest first; inside a part events come as they are stored: in a segment by session,
//! then `seq`, so that each block is read once and a session's events come together; in the journal
//! by offset. Memory does not depend on how much matches.

use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::event::SessionKey;
use daybook_engine::view::{Ordinals, Session, Snapshot};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// How many sessions are remembered between events. In a segment one would do; in the journal the
/// events of all open sessions alternate.
const SESSIONS_MAX: usize = 16 << 10;

/// An event that matches.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The event.
    pub record: Record<'a>,
    /// Its session.
    pub session: &'a Session,
}

/// Calls `visit` with each event, until it answers [`ControlFlow::Break`].
///
/// # Errors
/// The log's, or what `visit` answers.
pub fn for_each_match<E: From<Error>>(
    snapshot: &Snapshot,
    visit: &mut dyn FnMut(Match<'_>) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut sessions = SessionCache::new(snapshot);
    for part in &snapshot.parts {
        let ordinals = Ordinals::Range(0..part.len());
        // The part's reader knows only the engine's errors, so another one waits here.
        let mut outcome = Ok(ControlFlow::Continue(()));
        part.read(&ordinals, None, &mut |ordinal, record| {
            let Some(facts) = part.facts(ordinal) else {
                return Err(Error::NoSuchEvent(record.offset));
            };
            let session = sessions.get(facts.session)?;
            outcome = visit(Match { record, session });
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

/// Looks sessions up by number, and remembers the last ones.
struct SessionCache<'a> {
    snapshot: &'a Snapshot,
    known: HashMap<SessionKey, Session>,
}

impl<'a> SessionCache<'a> {
    fn new(snapshot: &'a Snapshot) -> SessionCache<'a> {
        SessionCache { snapshot, known: HashMap::new() }
    }

    fn get(&mut self, key: SessionKey) -> Result<&Session, Error> {
        if self.known.len() >= SESSIONS_MAX && !self.known.contains_key(&key) {
            self.known.clear();
        }
        match self.known.entry(key) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(free) => {
                let session = self.snapshot.sessions.by_key(key)?.ok_or_else(|| {
                    Error::catalog(format!("session number {} is not in it", key.0))
                })?;
                Ok(free.insert(session))
            }
        }
    }
}
