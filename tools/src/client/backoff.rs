//! How long to wait before the next attempt.
//!
//! Each wait is twice as long as the one before, up to a bound, and of each a random half is left out:
//! clients that lost the server in the same moment do not come back in the same moment. What the server
//! asked for (`Retry-After`) is waited at least.

use crate::demo::rng::Rng;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, unless the server asks for more.
const LONGEST: Duration = Duration::from_secs(15);

/// The waits of one client.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    rng: Rng,
}

impl Default for Backoff {
    fn default() -> Backoff {
        // The hasher's keys are random in each process and differ from one to the next.
        Backoff { failures: 0, rng: Rng::new(RandomState::new().build_hasher().finish()) }
    }
}

impl Backoff {
    /// The wait after one more failure; `asked` is what the server said.
    pub fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let spread = doubled.min(LONGEST).mul_f64(self.fraction());
        match asked {
            // After what was asked for, not before it.
            Some(asked) => asked + spread.min(asked / 2),
            None => spread,
        }
    }

    /// Notes that it went well: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// From a half to one.
    fn fraction(&mut self) -> f64 {
        0.5 + self.rng.between(0, 1_000) as f64 / 2_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_differ_and_start_again() {
        let (mut one, mut two) = (Backoff::default(), Backoff::default());
        let waits: Vec<_> = (0..40).map(|_| one.wait(None)).collect();
        let others: Vec<_> = (0..40).map(|_| two.wait(None)).collect();
        assert_ne!(waits, others, "two clients must not come back in step");
        assert!(waits.iter().all(|wait| (FIRST / 2..=LONGEST).contains(wait)), "{waits:?}");
        assert!(waits.last() > waits.first());
        one.reset();
        assert!(one.wait(None) <= FIRST);
    }

    #[test]
    fn what_the_server_asks_for_is_waited_at_least() {
        let asked = Duration::from_secs(5);
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            let wait = backoff.wait(Some(asked));
            assert!((asked..=asked + asked / 2).contains(&wait), "{wait:?}");
        }
    }
}
