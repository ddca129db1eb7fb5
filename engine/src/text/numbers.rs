//! Numbers as terms of the text index: by classes, in the order of the numbers.
//!
//! ```text
//! class   0     1   2  ...  256   257 ...
//! values  < 0   0   1  ...  255   256..287  288..319 ...   eight classes for each power of two
//! term    the letter of the number, and the class in two bytes, the high one first
//! ```
//!
//! Exit codes and small counts have classes of their own. Of a range whose ends are inside of classes, the events of
//! these may satisfy it or not: they have to be read.

use crate::event::number::{EventNumber, Numbers};
use std::ops::RangeInclusive;

/// The values below this power of two have a class each.
const ALONE_BITS: u32 = 8;
const ALONE: i64 = 1 << ALONE_BITS;
/// Each power above has as many classes as this power of two.
const FINE_BITS: u32 = 3;

/// The class of a value; classes rise with values.
pub(super) fn class(value: i64) -> u16 {
    match u64::try_from(value) {
        Err(_) => 0,
        Ok(_) if value < ALONE => 1 + value as u16,
        Ok(value) => {
            let power = value.ilog2();
            let fine = (value >> (power - FINE_BITS)) & ((1 << FINE_BITS) - 1);
            1 + ALONE as u16 + (((power - ALONE_BITS) << FINE_BITS) as u16) + fine as u16
        }
    }
}

/// The classes of a range of values, and whether its first and its last one have values beside it.
pub(super) fn classes(range: &RangeInclusive<i64>) -> (RangeInclusive<u16>, bool, bool) {
    let (low, high) = (*range.start(), *range.end());
    let (first, last) = (class(low), class(high));
    let shares = |outside: Option<i64>, of| outside.is_some_and(|value| class(value) == of);
    let low_shared = shares(low.checked_sub(1), first);
    let high_shared = shares(high.checked_add(1), last);
    (first..=last, low_shared, high_shared)
}

/// The term of a class of a number.
pub(super) fn term(number: EventNumber, class: u16) -> [u8; 3] {
    let letter = match number {
        EventNumber::Masked => b'm',
        EventNumber::Duration => b'd',
        EventNumber::Exit => b'e',
        EventNumber::Rows => b'r',
    };
    let [high, low] = class.to_be_bytes();
    [letter, high, low]
}

/// What an event is indexed by. That nothing was masked is so of most events, and is not.
pub(super) fn terms(numbers: Numbers) -> [Option<[u8; 3]>; EventNumber::ALL.len()] {
    let mut terms = [None; EventNumber::ALL.len()];
    let said = numbers.iter().filter(|number| *number != (EventNumber::Masked, 0));
    for (place, (number, value)) in terms.iter_mut().zip(said) {
        *place = Some(term(number, class(value)));
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![-3i64..600, any::<i64>(), (0u32..63).prop_map(|power| (1 << power) - 1)]
    }

    proptest! {
        #[test]
        fn classes_rise_with_values(a in value(), b in value()) {
            prop_assert!(a > b || class(a) <= class(b));
            let (one, other) = (term(EventNumber::Rows, class(a)), term(EventNumber::Rows, class(b)));
            prop_assert_eq!(one.cmp(&other), class(a).cmp(&class(b)));
        }

        #[test]
        fn a_range_is_its_classes_but_for_what_is_shared(low in value(), high in value(), n in value()) {
            prop_assume!(low <= high);
            let (found, low_shared, high_shared) = classes(&(low..=high));
            let inside = (low..=high).contains(&n);
            prop_assert!(!inside || found.contains(&class(n)));
            let shared = low_shared && class(n) == *found.start() || high_shared && class(n) == *found.end();
            prop_assert!(inside || shared || !found.contains(&class(n)));
        }
    }

    #[test]
    fn exit_codes_are_told_apart() {
        for code in 0..256 {
            assert_eq!(classes(&(code..=code)), (class(code)..=class(code), false, false));
        }
        assert_eq!(class(i64::MAX), 1 + 256 + 54 * 8 + 7);
    }
}
