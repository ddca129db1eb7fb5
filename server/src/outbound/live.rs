//! How a sender fares as long as it runs.

use super::waits;
use daybook_engine::event::Micros;
use std::time::Duration;
use tokio::time::Instant;

/// Whether it succeeds, and when it is tried again.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// So often in a row it did not succeed.
    pub failures: u32,
    /// Since when it does not succeed.
    pub failing_since: Option<Micros>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it is tried again.
    pub next_attempt: Option<Micros>,
}

impl Live {
    /// Notes what went wrong; answers until when to wait, and whether it went well before.
    pub fn failed(
        &mut self,
        error: String,
        asked: Option<Duration>,
        wait_max: Duration,
    ) -> (Instant, bool) {
        self.failures = self.failures.saturating_add(1);
        let wait = waits::wait(self.failures, asked, wait_max);
        let now = Micros::now();
        let first = self.failing_since.is_none();
        self.failing_since.get_or_insert(now);
        self.last_error = Some(error);
        self.next_attempt = Some(now.saturating_add(wait));
        (Instant::now() + wait, first)
    }

    /// Notes that it went well; answers how often it had not, if that is news.
    pub fn succeeded(&mut self) -> Option<u32> {
        let failures = self.failing_since.map(|_| self.failures);
        if failures.is_some() {
            *self = Live::default();
        }
        failures
    }
}
