//! How long to wait before what failed is tried again.

use std::time::Duration;

/// The wait after the first failure, at most.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait that a receiver can ask for.
const ASKED_MAX: Duration = Duration::from_secs(3_600);

/// How long to wait after so many failures, `wait_max` at most unless the receiver `asked` for more. A random half is
/// left out: senders whose receiver was away do not come back in the same moment.
#[must_use]
pub fn wait(failures: u32, asked: Option<Duration>, wait_max: Duration) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let mut random = [0];
    // Without random bytes, in step.
    let _ = getrandom::fill(&mut random);
    let spread = doubled.min(wait_max).mul_f64(0.5 + f64::from(random[0]) / 512.0);
    match asked {
        // After what was asked for, not before it.
        Some(asked) => asked.min(ASKED_MAX) + spread.min(asked / 2),
        None => spread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_what_is_asked_for_is_waited_at_least() {
        let within = |failures, asked, from: u64, to: u64| {
            let wait = wait(failures, asked, Duration::from_secs(300));
            let range = Duration::from_millis(from)..=Duration::from_millis(to);
            assert!(range.contains(&wait), "{failures} {asked:?}: {wait:?}");
        };
        within(1, None, 500, 1_000);
        within(2, None, 1_000, 2_000);
        within(5, None, 8_000, 16_000);
        for failures in [10, 20, u32::MAX] {
            within(failures, None, 150_000, 300_000);
        }
        within(1, Some(Duration::from_secs(7)), 7_000, 8_000);
        within(1, Some(Duration::MAX), 3_600_000, 3_601_000);
    }
}
