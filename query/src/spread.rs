//! How things are spread over time: counts in buckets whose width follows the span.
//!
//! Things come in any order and their span is not known before the last, so the buckets start narrow
//! and are joined whenever there are more than [`BUCKETS_MAX`]. Each width divides the next, so the
//! result depends on the things alone, not on their order.

use crate::item::Time;
use daybook_engine::event::Micros;
use std::collections::VecDeque;
use std::ops::Range;

/// The most buckets of a histogram.
pub const BUCKETS_MAX: i64 = 120;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The widths, in microseconds; each divides the next.
const WIDTHS: [i64; 14] = [
    SECOND,
    5 * SECOND,
    15 * SECOND,
    60 * SECOND,
    300 * SECOND,
    900 * SECOND,
    3_600 * SECOND,
    3 * 3_600 * SECOND,
    12 * 3_600 * SECOND,
    DAY,
    7 * DAY,
    28 * DAY,
    364 * DAY,
    3_640 * DAY,
];

/// Buckets start on a Monday, 1970-01-05, and multiples of the width from it.
const ORIGIN: i64 = 4 * DAY;

/// A histogram being made: `N` counts in each bucket.
#[derive(Debug, Default)]
pub(crate) struct Spread<const N: usize> {
    level: usize,
    /// The number of the first bucket.
    first: i64,
    buckets: VecDeque<[u64; N]>,
    /// The times of the bucket that the last thing is in, and its place: neighbours are mostly in the same.
    last: Option<(Range<i64>, usize)>,
}

impl<const N: usize> Spread<N> {
    /// The counts of a moment's bucket, to be added to.
    pub(crate) fn at(&mut self, time: Micros) -> Option<&mut [u64; N]> {
        let at = match &self.last {
            Some((times, at)) if times.contains(&time.0) => *at,
            _ => self.turn_to(time),
        };
        self.buckets.get_mut(at)
    }

    /// The place of the bucket of a time.
    fn turn_to(&mut self, time: Micros) -> usize {
        if !(self.first..=self.last_number()).contains(&self.number(time)) {
            self.reach(time);
        }
        let number = self.number(time);
        let at = (number - self.first) as usize;
        let start = number * self.width() + ORIGIN;
        self.last = Some((start..start + self.width(), at));
        at
    }

    fn width(&self) -> i64 {
        WIDTHS.get(self.level).copied().unwrap_or(DAY)
    }

    fn number(&self, time: Micros) -> i64 {
        (time.0 - ORIGIN).div_euclid(self.width())
    }

    /// The number of the last bucket.
    fn last_number(&self) -> i64 {
        self.first + self.buckets.len() as i64 - 1
    }

    /// Adds buckets up to that of a time.
    fn reach(&mut self, time: Micros) {
        if self.buckets.is_empty() {
            self.first = self.number(time);
            self.buckets.push_back([0; N]);
        }
        let span = |spread: &Spread<N>| {
            let number = spread.number(time);
            spread.last_number().max(number) - spread.first.min(number) + 1
        };
        while span(self) > BUCKETS_MAX && self.level + 1 < WIDTHS.len() {
            self.join();
        }
        let number = self.number(time);
        while self.first > number {
            self.buckets.push_front([0; N]);
            self.first -= 1;
        }
        while self.last_number() < number {
            self.buckets.push_back([0; N]);
        }
    }

    fn join(&mut self) {
        let narrow = self.width();
        self.level += 1;
        let times = self.width() / narrow;
        let numbers = self.first..;
        let joined_first = self.first.div_euclid(times);
        let mut joined: VecDeque<[u64; N]> = VecDeque::new();
        for (number, counts) in numbers.zip(std::mem::take(&mut self.buckets)) {
            let at = (number.div_euclid(times) - joined_first) as usize;
            if at >= joined.len() {
                joined.push_back([0; N]);
            }
            for (sum, count) in joined.back_mut().into_iter().flatten().zip(counts) {
                *sum += count;
            }
        }
        (self.first, self.buckets, self.last) = (joined_first, joined, None);
    }

    /// Adds what is in another.
    pub(crate) fn add(&mut self, mut other: Spread<N>) {
        while self.level < other.level {
            self.join();
        }
        while other.level < self.level {
            other.join();
        }
        let width = other.width();
        for (number, counts) in (other.first..).zip(other.buckets) {
            if counts != [0; N]
                && let Some(sums) = self.at(Micros(number * width + ORIGIN))
            {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
    }

    /// How wide a bucket is in milliseconds, and the buckets from the earliest to the latest; neighbours, also where
    /// empty.
    pub(crate) fn finish(self) -> (u64, impl Iterator<Item = (Time, [u64; N])>) {
        let width = self.width();
        let start = move |number: i64| Time(Micros(number * width + ORIGIN));
        let buckets = (self.first..).map(start).zip(self.buckets);
        ((width / 1000).cast_unsigned(), buckets)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However many hands count, and whatever each is given.
        #[test]
        fn what_is_counted_apart_and_added_is_what_is_counted_at_once(
            times in prop::collection::vec((0i64..4, any::<i32>(), 0usize..3), 0..80),
        ) {
            let time = |scale: i64, at: i32| Micros(i64::from(at) * [1, 1_000, 1_000_000, 40_000_000][scale as usize]);
            let mut whole = Spread::<1>::default();
            let mut apart = [Spread::<1>::default(), Spread::default(), Spread::default()];
            for (scale, at, hand) in times {
                for spread in [&mut whole, &mut apart[hand]] {
                    spread.at(time(scale, at)).unwrap()[0] += 1;
                }
            }
            let [mut sum, second, third] = apart;
            sum.add(second);
            sum.add(third);
            let (sum, whole) = (sum.finish(), whole.finish());
            prop_assert_eq!(sum.0, whole.0);
            prop_assert_eq!(sum.1.collect::<Vec<_>>(), whole.1.collect::<Vec<_>>());
        }
    }
}
