//! The links that were made here: what the acts in `daybook.links` amount to.
//!
//! | action | metadata |
//! |---|---|
//! | `link.create` | `grant`, as the link has it; `note` |
//! | `link.use` | `id`, `what` |
//! | `link.revoke` | `id` |
//!
//! A link needs none of it to work, but that it is not revoked.

use super::grant::Grant;
use crate::ledger::Fold;
use daybook_engine::event::Micros;
use daybook_engine::{Act, Beside, OwnSession};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So long after it expired a link is listed, in microseconds.
const LISTED: i64 = 30 * 86_400_000_000;

/// Somebody's act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// By whom.
    pub by: Box<str>,
    /// When.
    pub at: Micros,
}

/// A link that was made here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it grants.
    pub grant: Grant,
    /// Who made it.
    pub made: Done,
    /// What they wrote.
    pub note: Box<str>,
    /// Who revoked it.
    pub revoked: Option<Done>,
    /// How often it was used here.
    pub uses: u64,
    /// By whom it was used last.
    pub used: Option<Done>,
}

/// All links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Those that were made here, by their ids.
    pub links: BTreeMap<Box<str>, Link>,
    /// Those that were made at another node and revoked here.
    pub revoked: BTreeMap<Box<str>, Done>,
}

impl Fold for State {
    const SESSION: OwnSession = OwnSession::Links;
    const FILE: Beside = Beside::Links;

    fn apply(&mut self, act: &Act) {
        let done = Done { by: act.access.by.clone(), at: act.time };
        let said = |name: &str| act.access.said(name);
        match &*act.access.action {
            "link.create" => {
                let Some(grant) = said("grant").and_then(|text| serde_json::from_str(text).ok())
                else {
                    return;
                };
                self.forget(act.time);
                let grant: Grant = grant;
                let note = said("note").unwrap_or_default().into();
                let id = grant.id.clone();
                let link = Link { grant, made: done, note, revoked: None, uses: 0, used: None };
                self.links.insert(id, link);
            }
            "link.use" => {
                if let Some(link) = said("id").and_then(|id| self.links.get_mut(id)) {
                    link.uses += 1;
                    link.used = Some(done);
                }
            }
            "link.revoke" => {
                let Some(id) = said("id") else { return };
                match self.links.get_mut(id) {
                    Some(link) => _ = link.revoked.get_or_insert(done),
                    None => _ = self.revoked.entry(id.into()).or_insert(done),
                }
            }
            _ => {}
        }
    }
}

impl State {
    /// Was a link revoked?
    #[must_use]
    pub fn is_revoked(&self, id: &str) -> bool {
        self.revoked.contains_key(id)
            || self.links.get(id).is_some_and(|link| link.revoked.is_some())
    }

    /// How many can be used at a time.
    #[must_use]
    pub fn live(&self, now: Micros) -> usize {
        let now = now.0 / 1_000_000;
        self.links.values().filter(|l| l.revoked.is_none() && now < l.grant.expires).count()
    }

    /// Forgets those that expired long ago: whether they were revoked does not matter any more.
    fn forget(&mut self, now: Micros) {
        self.links.retain(|_, link| link.grant.expires * 1_000_000 + LISTED > now.0);
        self.revoked.retain(|_, done| done.at.0 + super::EXPIRES_MAX + LISTED > now.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::grant::To;
    use super::*;
    use daybook_engine::event::Seq;
    use daybook_engine::event::wire::Access;
    use daybook_query::excerpt::Part;

    #[test]
    fn links_are_made_used_revoked_and_forgotten() {
        let mut state = State::default();
        let mut seq = 0;
        let mut apply = |state: &mut State, days: i64, access: Access| {
            seq += 1;
            state.apply(&Act { seq: Seq(seq), time: Micros(days * 86_400_000_000), access });
        };
        let create = |id: &str, days: i64| {
            let grant = Grant {
                id: id.into(),
                session: "s".into(),
                expires: days * 86_400,
                to: To::ShowAnyone,
                part: Part::Whole,
                hides_outputs: false,
            };
            let json = serde_json::to_string(&grant).unwrap();
            Access::new("ann", "link.create", "s").with("grant", json)
        };
        let act = |what: &str, id: &str| Access::new("bob", what, "s").with("id", id);
        apply(&mut state, 1, create("a", 9));
        apply(&mut state, 2, act("link.use", "a"));
        apply(&mut state, 2, act("link.use", "unknown"));
        assert_eq!(state.links["a"].uses, 1);
        assert_eq!(state.live(Micros(3 * 86_400_000_000)), 1);
        apply(&mut state, 3, act("link.revoke", "a"));
        apply(&mut state, 3, act("link.revoke", "elsewhere"));
        assert!(state.is_revoked("a") && state.is_revoked("elsewhere") && !state.is_revoked("b"));
        assert_eq!(state.live(Micros(3 * 86_400_000_000)), 0);
        apply(&mut state, 38, create("b", 99));
        assert!(state.is_revoked("a"), "it can be listed a month longer");
        apply(&mut state, 40, create("c", 99));
        assert_eq!(state.links.keys().map(|id| &**id).collect::<Vec<_>>(), ["b", "c"]);
        assert!(state.is_revoked("elsewhere"));
    }
}
