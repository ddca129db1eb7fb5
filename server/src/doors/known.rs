//! Exactly once, for events that have an id in place of a number.
//!
//! daybook's log knows an event by its session and its number. Other protocols have no numbers: they have
//! a document's `_id`, or nothing but the record itself. Their events carry an `id`, get the next number of
//! their session when they come, and are told from repetitions here, by what the log holds: the ids of the
//! latest [`WINDOW`] events of a session, read back from the log when a session is met that is not in
//! memory. So a repetition is known after a restart as well, whatever was acknowledged or was not.
//!
//! ```text
//! session ─hash─► stripe (a lock, held until its events are durable)
//!                   └─ session ─► id's hash ─► hash of the line
//! ```
//!
//! Two requests with the same session wait for each other; hashes are keyed, so nobody can make two ids
//! meet. An id that comes again with another line is told apart: the first line stays, for events don't change.

use daybook_engine::event::wire::Event;
use daybook_engine::view::{Ordinals, Snapshot};
use daybook_engine::{Engine, Error};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many of a session's latest events are looked at.
pub const WINDOW: usize = 32_768;
/// Locks.
const STRIPES: usize = 16;
/// The most ids that a stripe remembers; the session that was met longest ago makes room. All take some
/// 50 MiB.
const STRIPE_IDS_MAX: usize = 2 * WINDOW;

/// The ids that were met.
#[derive(Debug)]
pub struct Known {
    stripes: Vec<Arc<Mutex<Stripe>>>,
    hasher: RandomState,
}

/// The sessions of a stripe.
#[derive(Debug, Default)]
pub struct Stripe {
    sessions: HashMap<Box<str>, Session>,
    clock: u64,
}

/// What is known of a session.
#[derive(Debug, Default)]
pub struct Session {
    lines: HashMap<u64, u64>,
    order: VecDeque<u64>,
    /// It has its `session.start`.
    pub started: bool,
    met: u64,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// It is new.
    New,
    /// It was stored, with this line.
    Same,
    /// It was stored, with another line.
    Other,
}

/// The stripes of a request's sessions, locked.
#[derive(Debug)]
pub struct Held {
    stripes: Vec<(usize, OwnedMutexGuard<Stripe>)>,
    hasher: RandomState,
}

impl Default for Known {
    fn default() -> Known {
        let stripes = (0..STRIPES).map(|_| Arc::default()).collect();
        Known { stripes, hasher: RandomState::new() }
    }
}

impl Known {
    /// Locks what some sessions are in, always in the same order.
    pub async fn hold(&self, sessions: impl Iterator<Item = &str>) -> Held {
        let mut indexes: Vec<usize> =
            sessions.map(|session| stripe_of(&self.hasher, session)).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let mut stripes = Vec::with_capacity(indexes.len());
        for index in indexes {
            if let Some(stripe) = self.stripes.get(index) {
                stripes.push((index, Arc::clone(stripe).lock_owned().await));
            }
        }
        Held { stripes, hasher: self.hasher.clone() }
    }
}

fn stripe_of(hasher: &RandomState, session: &str) -> usize {
    hasher.hash_one(session) as usize % STRIPES
}

impl Held {
    /// What is known of a session; read from the log, if it is not in memory.
    ///
    /// # Errors
    /// A part of the log that can't be read.
    pub fn session(&mut self, engine: &Engine, id: &str) -> Result<Option<&mut Session>, Error> {
        let index = stripe_of(&self.hasher, id);
        let Some((_, stripe)) = self.stripes.iter_mut().find(|(held, _)| *held == index) else {
            return Ok(None);
        };
        stripe.clock += 1;
        let clock = stripe.clock;
        if !stripe.sessions.contains_key(id) {
            let learned = Session::learn(&engine.snapshot(), &self.hasher, id)?;
            stripe.sessions.insert(id.into(), learned);
        }
        let mut session = stripe.sessions.get_mut(id);
        if let Some(session) = &mut session {
            session.met = clock;
        }
        Ok(session)
    }

    /// Forgets sessions of which it is not certain what was stored: they are read from the log again.
    pub fn forget<'a>(&mut self, sessions: impl Iterator<Item = &'a str>) {
        for id in sessions {
            for (_, stripe) in &mut self.stripes {
                stripe.sessions.remove(id);
            }
        }
    }

    /// The keyed hash of an id or a line.
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes)
    }

    /// Makes room, once a request's events are stored: a quarter more than has to be, so that it is
    /// seldom needed.
    pub fn trim(&mut self) {
        for (_, stripe) in &mut self.stripes {
            let mut ids: usize = stripe.sessions.values().map(Session::weight).sum();
            if ids <= STRIPE_IDS_MAX {
                continue;
            }
            let met = |session: &Session| (session.met, session.weight());
            let mut oldest: Vec<_> =
                stripe.sessions.iter().map(|(id, session)| (met(session), id.clone())).collect();
            oldest.sort_unstable();
            for ((_, weight), id) in oldest {
                if ids <= STRIPE_IDS_MAX / 4 * 3 {
                    break;
                }
                stripe.sessions.remove(&id);
                ids -= weight;
            }
        }
    }
}

impl Session {
    /// What is known of an id with a line, both by their hashes.
    #[must_use]
    pub fn look(&self, id: u64, line: u64) -> Meeting {
        match self.lines.get(&id) {
            None => Meeting::New,
            Some(known) if *known == line => Meeting::Same,
            Some(_) => Meeting::Other,
        }
    }

    /// Remembers an id with its line.
    pub fn meet(&mut self, id: u64, line: u64) {
        if self.lines.insert(id, line).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.lines.remove(&oldest);
        }
    }

    /// A session without ids takes memory, too.
    fn weight(&self) -> usize {
        self.lines.len() + 4
    }

    fn learn(snapshot: &Snapshot, hasher: &RandomState, id: &str) -> Result<Session, Error> {
        let mut learned = Session::default();
        let Some(session) = snapshot.sessions.get(id)? else { return Ok(learned) };
        learned.started = session.state.start.is_some();
        let mut left = WINDOW;
        let mut runs = Vec::new();
        for part in snapshot.parts.iter().rev() {
            if left == 0 {
                break;
            }
            let Some(run) = part.session(id)? else { continue };
            let mut ordinals: Vec<u32> = run.ordinals.iter().collect();
            let latest = ordinals.split_off(ordinals.len().saturating_sub(left));
            left -= latest.len();
            runs.push((part, latest));
        }
        for (part, ordinals) in runs.into_iter().rev() {
            part.read(&Ordinals::List(ordinals), None, &mut |_, record| {
                if let Ok(Event { id: Some(id), seq: None, .. }) = Event::decode(record.json) {
                    let line = hasher.hash_one(record.json);
                    learned.meet(hasher.hash_one(id.as_bytes()), line);
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(learned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_with_its_line_until_the_window_has_passed_it() {
        let mut session = Session::default();
        assert_eq!(session.look(1, 10), Meeting::New);
        session.meet(1, 10);
        assert_eq!(session.look(1, 10), Meeting::Same);
        assert_eq!(session.look(1, 11), Meeting::Other);
        (2..WINDOW as u64 + 1).for_each(|id| session.meet(id, id));
        assert_eq!(session.look(1, 10), Meeting::Same);
        session.meet(0, 0);
        assert_eq!((session.lines.len(), session.look(1, 10)), (WINDOW, Meeting::New));
    }
}
