//! How events are spread over time: counts in buckets whose width follows the span.
//!
//! Events come in any order and their span is not known before the last, so the buckets start narrow
//! and are joined whenever there are more than [`BUCKETS_MAX`]. Each width divides the next, so the
//! result depends on the events alone, not on their order.

use crate::item::Time;
use daybook_engine::event::{Micros, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

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
    /// By bucket number.
    buckets: BTreeMap<i64, Counts>,
    /// What the last events add to the bucket that they are all in: neighbours are of about the same time.
    run: (i64, Counts),
}

/// Events without a verdict, then with each.
type Counts = [u64; 6];

impl Spread {
    /// Adds an event.
    pub(crate) fn add(&mut self, time: Micros, verdict: Option<Verdict>) {
        let mut number = (time.0 - ORIGIN).div_euclid(self.width());
        if number != self.run.0 {
            self.end_run();
            self.buckets.entry(number).or_default();
            while self.span() > BUCKETS_MAX && self.level + 1 < WIDTHS.len() {
                self.join();
            }
            number = (time.0 - ORIGIN).div_euclid(self.width());
            self.run.0 = number;
        }
        let slot = verdict.map_or(0, |v| usize::from(v.code()));
        if let Some(count) = self.run.1.get_mut(slot) {
            *count += 1;
        }
    }

    fn end_run(&mut self) {
        let counts = std::mem::take(&mut self.run.1);
        if counts != Counts::default() {
            let bucket = self.buckets.entry(self.run.0).or_default();
            for (sum, count) in bucket.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }

    fn width(&self) -> i64 {
        WIDTHS.get(self.level).copied().unwrap_or(DAY)
    }

    fn span(&self) -> i64 {
        match (self.buckets.first_key_value(), self.buckets.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last - first + 1,
            _ => 0,
        }
    }

    fn join(&mut self) {
        let narrow = self.width();
        self.level += 1;
        let times = self.width() / narrow;
        for (number, counts) in std::mem::take(&mut self.buckets) {
            let joined = self.buckets.entry(number.div_euclid(times)).or_default();
            for (sum, count) in joined.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }

    /// The histogram.
    pub(crate) fn finish(mut self) -> Histogram {
        self.end_run();
        let width = self.width();
        let mut buckets = Vec::new();
        if let (Some((first, _)), Some((last, _))) =
            (self.buckets.first_key_value(), self.buckets.last_key_value())
        {
            for number in *first..=*last {
                let counts = self.buckets.get(&number).copied().unwrap_or_default();
                let verdicts = Verdict::ALL
                    .iter()
                    .filter_map(|v| Some((v.name(), *counts.get(usize::from(v.code()))?)))
                    .filter(|(_, count)| *count > 0)
                    .collect();
                buckets.push(Bucket {
                    start: Time(Micros(number * width + ORIGIN)),
                    count: counts.iter().sum(),
                    verdicts,
                });
            }
        }
        Histogram { bucket_ms: (width / 1000) as u64, buckets }
    }
}
