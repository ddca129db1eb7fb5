//! How events are spread over time: counts in buckets whose width follows the span.
//!
//! Events come in any order and their span is not known before the last, so the buckets start narrow
//! and are joined whenever there are more than [`BUCKETS_MAX`]. Each width divides the next, so the
//! result depends on the events alone, not on their order.

use crate::item::Time;
use daybook_engine::event::{Micros, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
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

/// Counts over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// How wide a bucket is, in milliseconds.
    pub bucket_ms: u64,
    /// The buckets from the earliest event's to the latest one's; neighbours, also where empty.
    pub buckets: Vec<Bucket>,
}

/// One bucket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// Its first moment.
    pub start: Time,
    /// Events in it.
    pub count: u64,
    /// Of these, commands by verdict; only those that occur.
    pub verdicts: BTreeMap<&'static str, u64>,
}

/// A histogram being made.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    level: usize,
    /// The number of the first bucket.
    first: i64,
    buckets: VecDeque<Counts>,
    /// The times of the bucket that the last event is in, and its place: neighbours are mostly in the same.
    last: Option<(Range<i64>, usize)>,
}

/// Events without a verdict, then with each.
type Counts = [u64; 6];

impl Spread {
    /// Adds an event.
    pub(crate) fn add(&mut self, time: Micros, verdict: Option<Verdict>) {
        let at = match &self.last {
            Some((times, at)) if times.contains(&time.0) => *at,
            _ => self.turn_to(time),
        };
        let slot = verdict.map_or(0, |v| usize::from(v.code()));
        if let Some(count) = self.buckets.get_mut(at).and_then(|counts| counts.get_mut(slot)) {
            *count += 1;
        }
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
            self.buckets.push_back(Counts::default());
        }
        let span = |spread: &Spread| {
            let number = spread.number(time);
            spread.last_number().max(number) - spread.first.min(number) + 1
        };
        while span(self) > BUCKETS_MAX && self.level + 1 < WIDTHS.len() {
            self.join();
        }
        let number = self.number(time);
        while self.first > number {
            self.buckets.push_front(Counts::default());
            self.first -= 1;
        }
        while self.last_number() < number {
            self.buckets.push_back(Counts::default());
        }
    }

    fn join(&mut self) {
        let narrow = self.width();
        self.level += 1;
        let times = self.width() / narrow;
        let numbers = self.first..;
        let joined_first = self.first.div_euclid(times);
        let mut joined: VecDeque<Counts> = VecDeque::new();
        for (number, counts) in numbers.zip(std::mem::take(&mut self.buckets)) {
            let at = (number.div_euclid(times) - joined_first) as usize;
            if at >= joined.len() {
                joined.push_back(Counts::default());
            }
            for (sum, count) in joined.back_mut().into_iter().flatten().zip(counts) {
                *sum += count;
            }
        }
        (self.first, self.buckets) = (joined_first, joined);
    }

    /// The histogram.
    pub(crate) fn finish(self) -> Histogram {
        let width = self.width();
        let buckets = (self.first..).zip(&self.buckets).map(|(number, counts)| {
            let verdicts = Verdict::ALL
                .iter()
                .filter_map(|v| Some((v.name(), *counts.get(usize::from(v.code()))?)))
                .filter(|(_, count)| *count > 0)
                .collect();
            Bucket {
                start: Time(Micros(number * width + ORIGIN)),
                count: counts.iter().sum(),
                verdicts,
            }
        });
        Histogram { bucket_ms: (width / 1000) as u64, buckets: buckets.collect() }
    }
}
