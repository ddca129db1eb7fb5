//! The numbers that a query compares, and the durations that it names.

use super::literal::any;
use daybook_engine::catalog::filter::NumberFact;
use daybook_engine::event::number::EventNumber;
use daybook_engine::text::narrow::Narrow;
use std::ops::Bound;

/// A number of an event or of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Fields masked, as the event says; none said is 0.
    Masked,
    /// How long a command took, in milliseconds.
    Duration,
    /// An exit code.
    Exit,
    /// Rows returned or changed.
    Rows,
    /// The session's commands.
    Commands,
    /// The session's blocked commands.
    Blocked,
    /// The session's approved commands.
    Approved,
    /// The session's commands that wait for a review.
    Pending,
}

impl Number {
    /// Every number.
    pub const ALL: [Number; 8] = [
        Number::Masked,
        Number::Duration,
        Number::Exit,
        Number::Rows,
        Number::Commands,
        Number::Blocked,
        Number::Approved,
        Number::Pending,
    ];

    /// Its name in queries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Number::Masked => "masked",
            Number::Duration => "duration",
            Number::Exit => "exit",
            Number::Rows => "rows",
            Number::Commands => "commands",
            Number::Blocked => "blocked",
            Number::Approved => "approved",
            Number::Pending => "pending",
        }
    }

    /// The session's number of the same name, if there is one.
    #[must_use]
    pub const fn of_session(self) -> Option<NumberFact> {
        match self {
            Number::Masked => Some(NumberFact::Masked),
            Number::Duration => Some(NumberFact::Duration),
            Number::Exit | Number::Rows => None,
            Number::Commands => Some(NumberFact::Commands),
            Number::Blocked => Some(NumberFact::Blocked),
            Number::Approved => Some(NumberFact::Approved),
            Number::Pending => Some(NumberFact::Pending),
        }
    }

    /// Does no event have it, but only a session?
    #[must_use]
    pub const fn session_only(self) -> bool {
        matches!(self, Number::Commands | Number::Blocked | Number::Approved | Number::Pending)
    }

    /// The event's number of the same name, if there is one.
    #[must_use]
    pub const fn of_event(self) -> Option<EventNumber> {
        match self {
            Number::Masked => Some(EventNumber::Masked),
            Number::Duration => Some(EventNumber::Duration),
            Number::Exit => Some(EventNumber::Exit),
            Number::Rows => Some(EventNumber::Rows),
            Number::Commands | Number::Blocked | Number::Approved | Number::Pending => None,
        }
    }
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `:5`
    Equal,
    /// `:!=5`
    NotEqual,
    /// `:<5`
    Less,
    /// `:<=5`
    AtMost,
    /// `:>5`
    Greater,
    /// `:>=5`
    AtLeast,
}

impl Comparison {
    /// Every comparison, the longer signs first.
    pub const ALL: [Comparison; 6] = [
        Comparison::NotEqual,
        Comparison::AtMost,
        Comparison::AtLeast,
        Comparison::Less,
        Comparison::Greater,
        Comparison::Equal,
    ];

    /// How it is written.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }

    /// Does `left` compare so to `right`?
    #[must_use]
    pub const fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::AtMost => left <= right,
            Comparison::Greater => left > right,
            Comparison::AtLeast => left >= right,
        }
    }

    /// A narrowing to the events whose number compares so to `value`, and to no others.
    #[must_use]
    pub fn narrow(self, number: EventNumber, value: i64) -> Narrow {
        // Every event has it, and most are not indexed by it.
        if number == EventNumber::Masked && self.holds(0, value) {
            return Narrow::All;
        }
        let below = value.checked_sub(1).map(|high| i64::MIN..=high);
        let above = value.checked_add(1).map(|low| low..=i64::MAX);
        let ranges = match self {
            Comparison::Equal => [Some(value..=value), None],
            Comparison::NotEqual => [below, above],
            Comparison::Less => [below, None],
            Comparison::AtMost => [Some(i64::MIN..=value), None],
            Comparison::Greater => [above, None],
            Comparison::AtLeast => [Some(value..=i64::MAX), None],
        };
        let ranges = ranges.into_iter().flatten();
        any(ranges.map(|range| Narrow::Number(number, range)).collect())
    }

    /// The numbers that compare so to `value`, as a range; for [`Comparison::NotEqual`] the range is
    /// of those that do not.
    #[must_use]
    pub const fn range(self, value: i64) -> (Bound<i64>, Bound<i64>) {
        use Bound::{Excluded, Included, Unbounded};
        match self {
            Comparison::Equal | Comparison::NotEqual => (Included(value), Included(value)),
            Comparison::Less => (Unbounded, Excluded(value)),
            Comparison::AtMost => (Unbounded, Included(value)),
            Comparison::Greater => (Excluded(value), Unbounded),
            Comparison::AtLeast => (Included(value), Unbounded),
        }
    }
}

/// Reads a duration such as `250ms`, `1.5s`, `7d` or `1h30m`: microseconds.
#[must_use]
pub fn duration_micros(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit: i64 = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" | "min" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let scale = 10i64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = fraction.parse::<i64>().ok()?.checked_mul(unit)?;
        if part % scale != 0 {
            return None;
        }
        let whole = whole.parse::<i64>().ok()?.checked_mul(unit)?;
        total = total.checked_add(whole)?.checked_add(part / scale)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}
