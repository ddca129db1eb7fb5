//! A run as it is answered.

use super::Runs;
use super::machine::{Run, State};
use daybook_query::item::Time;
use serde::Serialize;

/// A run for people.
#[derive(Serialize)]
pub struct Item {
    id: Box<str>,
    session: Box<str>,
    command: u32,
    role: Box<str>,
    language: Option<Box<str>>,
    by: Box<str>,
    reason: Option<Box<str>>,
    repeat: bool,
    state: &'static str,
    why: Option<Box<str>>,
    version: u32,
    requested_at: Time,
    updated_at: Time,
    expires_at: Time,
    review: Option<Box<str>>,
    decided_by: Option<Box<str>>,
    cancelled_by: Option<Box<str>>,
    attempts: u32,
    attempts_max: u32,
    taker: Option<Box<str>>,
    lease_until: Option<Time>,
    result: Option<Box<str>>,
}

impl Item {
    /// As it stands now.
    pub fn of(runs: &Runs, run: Run) -> Item {
        let held = matches!(run.state, State::Leased | State::Running);
        let lease_until = run.lease.as_ref().filter(|_| held).map(|lease| Time(runs.until(lease)));
        Item {
            id: run.id,
            session: run.request.session,
            command: run.request.command.0,
            role: run.request.role,
            language: run.request.language,
            by: run.by,
            reason: run.request.reason,
            repeat: run.request.repeat,
            state: run.state.name(),
            why: run.why,
            version: run.version,
            requested_at: Time(run.requested),
            updated_at: Time(run.updated),
            expires_at: Time(run.request.expires),
            review: run.request.review,
            decided_by: run.decided_by,
            cancelled_by: run.cancelled_by,
            attempts: run.attempts,
            attempts_max: run.request.attempts_max,
            taker: run.lease.map(|lease| lease.taker),
            lease_until,
            result: run.result,
        }
    }
}
