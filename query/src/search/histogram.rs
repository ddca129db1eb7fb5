//! How the events that match are spread over time.

use crate::item::Time;
use crate::spread::Spread;
use daybook_engine::event::Verdict;
use daybook_engine::view::Moment;
use serde::Serialize;
use std::collections::BTreeMap;

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

/// A histogram being made: events without a verdict, then with each.
#[derive(Debug, Default)]
pub(super) struct Making(Spread<6>);

impl Making {
    /// Adds an event.
    pub(super) fn add(&mut self, moment: &Moment) {
        let slot = moment.verdict.map_or(0, |verdict| usize::from(verdict.code()));
        if let Some(count) = self.0.at(moment.time).and_then(|counts| counts.get_mut(slot)) {
            *count += 1;
        }
    }

    /// Adds what is in another.
    pub(super) fn merge(&mut self, other: Making) {
        self.0.add(other.0);
    }

    /// The histogram.
    pub(super) fn finish(self) -> Histogram {
        let (bucket_ms, buckets) = self.0.finish();
        let buckets = buckets.map(|(start, counts)| {
            let verdicts = Verdict::ALL
                .iter()
                .filter_map(|v| Some((v.name(), *counts.get(usize::from(v.code()))?)))
                .filter(|(_, count)| *count > 0)
                .collect();
            Bucket { start, count: counts.iter().sum(), verdicts }
        });
        Histogram { bucket_ms, buckets: buckets.collect() }
    }
}
