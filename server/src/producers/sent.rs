//! What the acts in `daybook.sent` amount to: how many events of which sessions each producer says that it sent.
//!
//! | act | says also |
//! |---|---|
//! | `events.sent` | a number for each session |

use crate::ledger::Fold;
use daybook_engine::event::Micros;
use daybook_engine::{Act, Beside, OwnSession};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The act.
pub const ACTION: &str = "events.sent";

/// The most sessions that are known of; then those that were first spoken of longest ago are forgotten.
const CLAIMS_MAX: usize = 100_000;

/// What producers say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// By their names.
    pub producers: BTreeMap<Box<str>, Claims>,
    /// Producers and sessions, in the order in which they were first spoken of.
    order: VecDeque<(Box<str>, Box<str>)>,
}

/// What a producer says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Claims {
    /// When it said something last.
    pub said_at: Option<Micros>,
    /// How many events of a session it sent.
    pub sessions: BTreeMap<Box<str>, u64>,
    /// How many sessions are forgotten.
    #[serde(default)]
    pub forgotten: u64,
}

impl Fold for Sent {
    const SESSION: OwnSession = OwnSession::Sent;
    const FILE: Beside = Beside::Sent;

    fn apply(&mut self, act: &Act) {
        if &*act.access.action != ACTION {
            return;
        }
        let by = &act.access.by;
        let claims = self.producers.entry(by.clone()).or_default();
        claims.said_at = Some(act.time);
        for (session, events) in &act.access.metadata {
            let Ok(events) = events.parse() else { continue };
            if claims.sessions.insert(session.clone(), events).is_none() {
                self.order.push_back((by.clone(), session.clone()));
            }
        }
        while self.order.len() > CLAIMS_MAX
            && let Some((producer, session)) = self.order.pop_front()
        {
            if let Some(claims) = self.producers.get_mut(&producer) {
                claims.sessions.remove(&session);
                claims.forgotten += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use daybook_engine::event::Seq;
    use daybook_engine::event::wire::Access;

    #[test]
    fn the_last_word_on_a_session_counts_and_what_is_oldest_is_forgotten() {
        let mut sent = Sent::default();
        let mut say = |by: &str, sessions: &[(String, u64)]| {
            let mut access = Access::new(by, ACTION, by);
            for (session, events) in sessions {
                access = access.with(session, events.to_string());
            }
            let act = Act { seq: Seq(1), time: Micros(1_773_500_000_000_000), access };
            sent.apply(&act);
            sent.clone()
        };
        say("a", &[("s-1".to_owned(), 4), ("s-2".to_owned(), 5)]);
        let now = say("a", &[("s-1".to_owned(), 6)]);
        assert_eq!(now.producers["a"].sessions["s-1"], 6);
        assert_eq!(now.order.len(), 2);
        let many: Vec<_> = (0..CLAIMS_MAX).map(|n| (format!("t-{n}"), 1)).collect();
        let now = say("b", &many);
        assert_eq!((now.producers["a"].sessions.len(), now.producers["a"].forgotten), (0, 2));
        assert_eq!(
            (now.producers["b"].sessions.len(), now.producers["b"].forgotten),
            (CLAIMS_MAX, 0)
        );
    }
}
