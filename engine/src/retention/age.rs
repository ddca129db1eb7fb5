//! Ages as people write them: `30d`, `12h`, `7y`, `forever`.

use crate::event::Micros;
use crate::event::time::excerpt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The units, largest first, with their seconds; a year is 365 days.
const UNITS: [(&str, u64); 6] =
    [("y", 365 * 86_400), ("w", 7 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
/// The longest age: what a clock in microseconds can tell apart from for ever.
const SECONDS_MAX: u64 = 10_000 * 365 * 86_400;

/// How long something is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Keep {
    /// It is never deleted for its age.
    #[default]
    Forever,
    /// It may be deleted once it is older than this many seconds.
    Seconds(u64),
}

impl Keep {
    /// When something that came at `created` may go; `None` for never.
    #[must_use]
    pub fn until(self, created: Micros) -> Option<Micros> {
        match self {
            Keep::Forever => None,
            Keep::Seconds(seconds) => {
                let micros = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
                Some(Micros(created.0.saturating_add(micros)))
            }
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Keep::Seconds(seconds) = *self else { return f.write_str("forever") };
        let whole = UNITS.iter().find(|(_, unit)| seconds % unit == 0 && seconds >= *unit);
        let (name, unit) = whole.copied().unwrap_or(("s", 1));
        write!(f, "{}{name}", seconds / unit)
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Keep, String> {
        if text == "forever" {
            return Ok(Keep::Forever);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let seconds =
            number.parse::<u64>().ok().zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
        match seconds {
            Some(seconds) if seconds > 0 && seconds <= SECONDS_MAX => Ok(Keep::Seconds(seconds)),
            _ => Err(format!(
                "`{}` is not an age: write a number and one of y, w, d, h, m, s, such as 90d, or forever",
                excerpt(text)
            )),
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_age_is_read_as_it_is_written() {
        for text in ["forever", "1s", "90s", "5m", "36h", "30d", "2w", "7y"] {
            let keep: Keep = text.parse().unwrap();
            assert_eq!(keep.to_string(), text);
        }
        assert_eq!("14d".parse::<Keep>().unwrap().to_string(), "2w");
        assert_eq!("30d".parse(), Ok(Keep::Seconds(30 * 86_400)));
        for bad in ["", "d", "0d", "-1d", "1.5d", "30", "30 d", "30days", "99999999999y", "never"] {
            assert!(bad.parse::<Keep>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_goes_after_its_age_and_never_overflows() {
        assert_eq!(Keep::Forever.until(Micros(5)), None);
        assert_eq!(Keep::Seconds(2).until(Micros(5)), Some(Micros(2_000_005)));
        assert_eq!(Keep::Seconds(u64::MAX).until(Micros(5)), Some(Micros(i64::MAX)));
    }
}
