//! What goes: a pure function of what the segments hold, the policy, the holds and the time.
//!
//! Segments are taken oldest first. From each go the sessions that are past their age and not held;
//! then, if what stays is over `bytes_max`, all sessions that are not held, until it is under. A
//! segment of which all sessions go is deleted whole, one of which some go is written again without
//! them. daybook's own session never goes.
//!
//! A segment's sessions are asked for only if something of it may go: nothing is read of a segment
//! that is younger than the policy's shortest age, or of which it is known that nothing is due yet.

use super::holds::Hold;
use super::policy::Policy;
use crate::batch::{OwnSession, is_own};
use crate::event::{Micros, SessionKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is known of a segment without asking for its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// When its events were sealed; their age counts from here.
    pub created: Micros,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many events it has.
    pub events: u64,
    /// Nothing of it is past its age before this, as far as the last look said.
    pub due: Micros,
}

/// What is known of a session in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Its number.
    pub key: SessionKey,
    /// Its id.
    pub id: Arc<str>,
    /// How many events it has in the segment.
    pub events: u64,
    /// Its user, if that is known.
    pub user: Option<Box<str>>,
    /// Its resource role, if that is known.
    pub role: Option<Box<str>>,
    /// Its role's type, if that is known.
    pub kind: Option<Box<str>>,
}

/// Why something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A rule's age, by the rule's place in the policy.
    Rule(usize),
    /// The default age.
    Default,
    /// The bound on all bytes.
    Bytes,
}

/// What becomes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing of it goes.
    Keep,
    /// All of it goes.
    Delete,
    /// These sessions go.
    Rewrite {
        /// Which.
        erase: BTreeSet<SessionKey>,
    },
}

/// A segment of which something goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its place among the candidates.
    pub segment: usize,
    /// Does all of it go? Otherwise it is written again without what goes.
    pub whole: bool,
    /// Why.
    pub causes: BTreeSet<Cause>,
    /// The sessions that go; none are named when all do.
    pub erase: BTreeSet<SessionKey>,
    /// How many sessions go.
    pub sessions: u64,
    /// How many events go.
    pub events: u64,
    /// How many bytes that frees: all, or of a part the share that its events are.
    pub bytes: u64,
}

impl Planned {
    /// What becomes of the segment.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match (self.whole, self.erase.is_empty()) {
            (true, _) => Decision::Delete,
            (false, true) => Decision::Keep,
            (false, false) => Decision::Rewrite { erase: self.erase.clone() },
        }
    }
}

/// What a look at all segments says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What goes, oldest first.
    pub planned: Vec<Planned>,
    /// For each segment that was looked into and of which nothing goes for its age: when something
    /// may, by its place among the candidates.
    pub due: Vec<(usize, Micros)>,
}

/// Is a session one that must stay? So must what daybook tells of itself, but for who read what: there is no end of that.
#[must_use]
pub fn held(session: &SessionFacts, holds: &[Hold]) -> bool {
    let (user, role) = (session.user.as_deref(), session.role.as_deref());
    (is_own(&session.id) && *session.id != *OwnSession::Reads.id())
        || holds.iter().any(|hold| hold.covers(session.key, &session.id, user, role))
}

/// Decides what goes of `candidates`, which come oldest first. `sessions` answers the sessions of the
/// one at a place.
///
/// # Errors
/// What `sessions` answers.
pub fn plan<E>(
    candidates: &[Candidate],
    policy: &Policy,
    holds: &[Hold],
    now: Micros,
    sessions: &mut dyn FnMut(usize) -> Result<Vec<SessionFacts>, E>,
) -> Result<Plan, E> {
    let mut plan = Plan::default();
    let shortest = policy.shortest();
    let past = |due: Option<Micros>| due.is_some_and(|due| due <= now);
    for (at, candidate) in candidates.iter().enumerate() {
        if !past(shortest.until(candidate.created)) || candidate.due > now {
            continue;
        }
        let sessions = sessions(at)?;
        let mut look = Look::default();
        let mut due = Micros(i64::MAX);
        for session in &sessions {
            let (user, role) = (session.user.as_deref(), session.role.as_deref());
            let (keep, rule) = policy.keep(user, role, session.kind.as_deref());
            let until = keep.until(candidate.created);
            if !past(until) {
                due = due.min(until.unwrap_or(due));
            } else if held(session, holds) {
                // Its hold may be released at any time.
                due = now;
            } else {
                look.erase(session, rule.map_or(Cause::Default, Cause::Rule));
            }
        }
        match look.planned(at, candidate, &sessions) {
            Some(planned) => plan.planned.push(planned),
            None => plan.due.push((at, due)),
        }
    }
    if let Some(bytes_max) = policy.bytes_max {
        make_room(candidates, bytes_max, holds, sessions, &mut plan.planned)?;
    }
    Ok(plan)
}

/// Adds the oldest of what stays until the rest is within its bound.
fn make_room<E>(
    candidates: &[Candidate],
    bytes_max: u64,
    holds: &[Hold],
    sessions: &mut dyn FnMut(usize) -> Result<Vec<SessionFacts>, E>,
    planned: &mut Vec<Planned>,
) -> Result<(), E> {
    let all: u64 = candidates.iter().map(|candidate| candidate.bytes).sum();
    let mut left = all.saturating_sub(planned.iter().map(|planned| planned.bytes).sum());
    for (at, candidate) in candidates.iter().enumerate() {
        if left <= bytes_max {
            break;
        }
        let place = planned.binary_search_by_key(&at, |planned| planned.segment);
        let before = place.ok().and_then(|place| planned.get(place));
        if before.is_some_and(|planned| planned.whole) {
            continue;
        }
        let sessions = sessions(at)?;
        let mut look = Look::default();
        for session in &sessions {
            if before.is_some_and(|planned| planned.erase.contains(&session.key)) {
                look.count(session);
            } else if !held(session, holds) {
                look.erase(session, Cause::Bytes);
            }
        }
        if look.causes.is_empty() {
            continue;
        }
        look.causes.extend(before.iter().flat_map(|planned| planned.causes.iter().copied()));
        let freed = before.map_or(0, |planned| planned.bytes);
        let Some(more) = look.planned(at, candidate, &sessions) else { continue };
        left = left.saturating_sub(more.bytes.saturating_sub(freed));
        match place {
            Ok(place) => {
                if let Some(slot) = planned.get_mut(place) {
                    *slot = more;
                }
            }
            Err(place) => planned.insert(place, more),
        }
    }
    Ok(())
}

/// What goes of the segment that is looked into.
#[derive(Default)]
struct Look {
    erase: BTreeSet<SessionKey>,
    events: u64,
    causes: BTreeSet<Cause>,
}

impl Look {
    fn erase(&mut self, session: &SessionFacts, cause: Cause) {
        self.causes.insert(cause);
        self.count(session);
    }

    fn count(&mut self, session: &SessionFacts) {
        self.events += session.events;
        self.erase.insert(session.key);
    }

    fn planned(
        self,
        segment: usize,
        candidate: &Candidate,
        sessions: &[SessionFacts],
    ) -> Option<Planned> {
        let Look { erase, events, causes } = self;
        if erase.is_empty() {
            return None;
        }
        let whole = erase.len() == sessions.len();
        let share =
            u128::from(candidate.bytes) * u128::from(events) / u128::from(candidate.events.max(1));
        let bytes = if whole { candidate.bytes } else { u64::try_from(share).unwrap_or(u64::MAX) };
        let count = erase.len() as u64;
        let erase = if whole { BTreeSet::new() } else { erase };
        Some(Planned { segment, whole, causes, erase, sessions: count, events, bytes })
    }
}
