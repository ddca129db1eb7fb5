//! Times: RFC 3339 on the wire, microseconds since 1970 in UTC inside.
//!
//! A record keeps the bytes that were sent, so a time with nanoseconds comes back as it was; only
//! sorting and filtering see microseconds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

/// The earliest time that an event may carry: 1970-01-01T00:00:00Z.
pub const TIME_MIN: Micros = Micros(0);

/// The first time that is too late for an event: 2200-01-01T00:00:00Z.
pub const TIME_LIMIT: Micros = Micros(7_258_118_400_000_000);

impl Micros {
    /// Now, by the system's clock.
    #[must_use]
    pub fn now() -> Micros {
        Micros(Timestamp::now().as_microsecond())
    }

    /// So much later, or as late as a time can be.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Micros {
        Micros(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Reads an RFC 3339 time with any offset, down to nanoseconds (which round towards the past).
    ///
    /// # Errors
    /// A text that is not RFC 3339, or a time outside [`TIME_MIN`]..[`TIME_LIMIT`].
    pub fn parse(text: &str) -> Result<Micros, String> {
        let stamp: Timestamp = text.parse().map_err(|_| {
            format!(
                "`{}` is not an RFC 3339 time such as 2026-03-01T09:30:00.000000Z",
                excerpt(text)
            )
        })?;
        // Floor, so that a time never moves into the future.
        let micros = Micros(stamp.as_nanosecond().div_euclid(1_000).try_into().unwrap_or(-1));
        if micros < TIME_MIN || micros >= TIME_LIMIT {
            return Err(format!(
                "time {} is out of range: events are from {TIME_MIN} to before {TIME_LIMIT}",
                excerpt(text)
            ));
        }
        Ok(micros)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.6}"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

/// The start of a text, for an error message: at most 40 characters, no control characters.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut out: String =
        text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(40).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_offset_and_written_in_utc_with_microseconds() {
        let t = Micros::parse("2026-03-01T10:00:00.123456789+01:00").map(|t| t.to_string());
        assert_eq!(t.as_deref(), Ok("2026-03-01T09:00:00.123456Z"));
        assert_eq!(TIME_LIMIT.to_string(), "2200-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_time_out_of_range_or_malformed_is_refused() {
        for bad in [
            "1969-12-31T23:59:59Z",
            "2200-01-01T00:00:00Z",
            "yesterday",
            "",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(Micros::parse(bad).is_err(), "{bad}");
        }
    }
}
