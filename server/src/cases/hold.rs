//! A case's legal hold: one hold of the log's, under the case's id, on all of its sessions.
//!
//! It grows before the case does, and shrinks after it. So at every moment it covers the sessions of a case that is
//! under a hold, whatever stops in between; and the next change, or the next start, brings it in step again.

use super::state::{Case, Cases};
use crate::ledger::Ledger;
use crate::problem::Problem;
use daybook_engine::retention::{NewHold, Scope};
use daybook_engine::{Engine, Error};
use std::collections::BTreeSet;

/// What the ids of cases begin with, and of their holds.
pub const PREFIX: &str = "case-";

/// The sessions that the log holds for a case.
fn held(engine: &Engine, id: &str) -> Option<BTreeSet<Box<str>>> {
    let holds = engine.holds();
    let hold = holds.iter().find(|hold| *hold.id == *id)?;
    Some(hold.scope.sessions.iter().cloned().collect())
}

/// Has the log hold these sessions for a case.
pub fn place(
    engine: &Engine,
    (id, name): (&str, &str),
    (by, reason): (&str, &str),
    sessions: BTreeSet<Box<str>>,
) -> Result<(), Error> {
    if sessions.is_empty() || held(engine, id).is_some_and(|held| held == sessions) {
        return Ok(());
    }
    let scope = Scope { sessions: sessions.into_iter().collect(), ..Scope::default() };
    let hold = NewHold { scope, case: name.into(), reason: reason.into(), by: by.into() };
    engine.hold_as(id, hold).map(|_| ())
}

/// Brings the hold of one case in step with the case.
fn follow(
    engine: &Engine,
    id: &str,
    case: Option<&Case>,
    by: &str,
    why: &str,
) -> Result<(), Error> {
    let wanted = case.and_then(|case| Some((case, case.hold.as_ref()?)));
    match wanted {
        Some((case, hold)) if !case.sessions.is_empty() => {
            let sessions = case.sessions.keys().cloned().collect();
            place(engine, (id, &case.name), (&hold.by, &hold.text), sessions)
        }
        _ if held(engine, id).is_some() => engine.release(id, by, why).map(|_| ()),
        _ => Ok(()),
    }
}

/// Brings the hold of a case in step with it, once it changed.
///
/// # Errors
/// The log's; the hold then covers more than the case, and the next change tries again.
pub async fn in_step(
    ledger: &Ledger<Cases>,
    engine: std::sync::Arc<Engine>,
    (id, by, why): (Box<str>, Box<str>, Box<str>),
) -> Result<(), Problem> {
    // Nothing is told: it is in the ledger's turn, so that no other change comes in between.
    ledger
        .act(move |cases, _| {
            follow(&engine, &id, cases.cases.get(&id), &by, &why)?;
            Ok((Vec::new(), ()))
        })
        .await
}

/// At a start: what a crash, or a change of the log at rest, left out of step.
pub fn resume(ledger: &Ledger<Cases>, engine: &Engine) {
    if engine.read_only_reason().is_some() {
        return;
    }
    let holds = engine.holds();
    let held = holds.iter().map(|hold| &hold.id).filter(|id| id.starts_with(PREFIX)).cloned();
    ledger.read(|cases| {
        let under = cases.cases.iter().filter(|(_, case)| case.hold.is_some());
        let ids: BTreeSet<Box<str>> = under.map(|(id, _)| id.clone()).chain(held).collect();
        for id in ids {
            let why = "it is no part of a case under a hold any more";
            if let Err(error) = follow(engine, &id, cases.cases.get(&id), "daybook", why) {
                tracing::warn!(%error, %id, "the hold of a case is not in step with it");
            }
        }
    });
}
