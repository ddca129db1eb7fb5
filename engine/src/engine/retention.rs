//! Policy, holds and deletion; and the thread that deletes. What they are is in [`crate::retention`].

use super::Engine;
use super::shared::Shared;
use crate::batch::OWN_SESSION;
use crate::error::Error;
use crate::event::Micros;
use crate::retention::{Hold, NewHold, Policy, Report};
use std::time::{Duration, Instant};

impl Engine {
    /// How long what is kept.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.shared.retention.state().policy.clone()
    }

    /// Changes how long what is kept; `by` is who does. Nothing is deleted before the next pass.
    ///
    /// # Errors
    /// [`Error::Refused`] for a policy out of its bounds, [`Error::ReadOnly`], and the system's; the
    /// policy is then as it was.
    pub fn set_policy(&self, policy: Policy, by: &str) -> Result<(), Error> {
        self.shared.set_policy(policy, by)
    }

    /// The legal holds, in the order in which they were placed.
    #[must_use]
    pub fn holds(&self) -> Vec<Hold> {
        self.shared.retention.state().holds.clone()
    }

    /// Places a legal hold. When this answers, nothing that it covers is deleted any more.
    ///
    /// # Errors
    /// [`Error::Refused`] for a hold out of its bounds or a query that can't be used,
    /// [`Error::ReadOnly`], and the system's; then there is no hold.
    pub fn hold(&self, hold: NewHold) -> Result<Hold, Error> {
        self.shared.hold(None, hold)
    }

    /// Places a legal hold under an id of the caller's. One of this id gives way to it in the same moment: what both
    /// cover stays held all the time.
    ///
    /// # Errors
    /// As [`Engine::hold`]; the hold before is then as it was.
    pub fn hold_as(&self, id: &str, hold: NewHold) -> Result<Hold, Error> {
        self.shared.hold(Some(id.into()), hold)
    }

    /// Releases a legal hold; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`Error::Refused`] without a reason or who, [`Error::ReadOnly`], and the system's; then the
    /// hold is as it was.
    pub fn release(&self, id: &str, by: &str, reason: &str) -> Result<Option<Hold>, Error> {
        self.shared.release(id, by, reason)
    }

    /// Deletes what is past its age at `now` and not held; `by` is who is told to have done it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], a hold's query that can't be evaluated (nothing more is deleted then), and
    /// the system's. What was begun is finished at the next pass or the next start.
    pub fn retain(&self, now: Micros, by: &str) -> Result<Report, Error> {
        self.shared.retain(now, by)
    }

    /// What [`Engine::retain`] would delete.
    ///
    /// # Errors
    /// As [`Engine::retain`].
    pub fn retention_plan(&self, now: Micros) -> Result<Report, Error> {
        self.shared.retention_plan(now)
    }
}

/// Finishes what the last process began. What can't be finished now is tried again at each pass.
pub(super) fn resume(shared: &Shared) {
    let paid = || if shared.read_only_reason().is_none() { shared.pay() } else { Ok(()) };
    if let Err(error) = shared.finish_erasing().and_then(|()| paid()) {
        tracing::warn!(%error, "what retention began before could not be finished");
    }
}

/// A pass now and then, until the engine closes.
pub(super) fn run(shared: &Shared) {
    let Some(interval) = shared.options.retention_interval else { return };
    let mut next = Instant::now();
    let mut seen = 0;
    while !shared.closing() {
        if Instant::now() >= next {
            next = Instant::now() + interval;
            match shared.retain(Micros::now(), OWN_SESSION) {
                Ok(report) if report.gone.is_empty() => {}
                Ok(report) => {
                    tracing::info!(segments = report.gone.len(), "deleted what was past its age")
                }
                Err(Error::Closed) => return,
                Err(error) => tracing::warn!(%error, "retention could not finish its pass"),
            }
        }
        let wait = next.saturating_duration_since(Instant::now()).min(Duration::from_secs(60));
        seen = shared.wait(seen, wait);
    }
}
