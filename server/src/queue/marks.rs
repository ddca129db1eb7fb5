//! What the acts in `daybook.marks` amount to: which sessions were looked at.
//!
//! | act | target | says also |
//! |---|---|---|
//! | `session.reviewed` | the session | `comment`, if there is one |
//! | `session.unreviewed` | the session | `comment`, if there is one |

use crate::ledger::Fold;
use daybook_engine::event::Micros;
use daybook_engine::{Act, Beside, OwnSession};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most sessions that may be marked.
pub const MARKS_MAX: usize = 250_000;

/// The sessions that were looked at, by their ids.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Marks {
    /// By whom each was.
    pub marks: BTreeMap<Box<str>, Mark>,
}

/// That somebody looked at a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// Who.
    pub by: Box<str>,
    /// When.
    pub at: Micros,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Box<str>>,
}

impl Fold for Marks {
    const SESSION: OwnSession = OwnSession::Marks;
    const FILE: Beside = Beside::Marks;

    fn apply(&mut self, act: &Act) {
        let Some(session) = act.access.target.clone() else { return };
        match &*act.access.action {
            "session.reviewed" => {
                let comment = act.access.said("comment").map(Into::into);
                let mark = Mark { by: act.access.by.clone(), at: act.time, comment };
                self.marks.insert(session, mark);
            }
            "session.unreviewed" => {
                self.marks.remove(&session);
            }
            _ => {}
        }
    }
}
