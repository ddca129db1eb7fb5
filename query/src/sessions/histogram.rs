//! When the sessions of a list started, and what became of the commands in them.

use crate::error::QueryError;
use crate::item::Time;
use crate::spread::Spread;
use daybook_engine::catalog::filter::{NumberFact, SessionFilter};
use daybook_engine::event::Micros;
use daybook_engine::view::Snapshot;
use serde::Serialize;

/// Sessions over time, by their start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionHistogram {
    /// How wide a bucket is, in milliseconds.
    pub bucket_ms: u64,
    /// The buckets from the earliest start's to the latest one's; neighbours, also where empty.
    pub buckets: Vec<SessionBucket>,
}

/// The sessions that started within one bucket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionBucket {
    /// Its first moment.
    pub start: Time,
    /// Sessions.
    pub count: u64,
    /// Commands in them.
    pub commands: u64,
    /// Of these, the blocked ones.
    pub blocked: u64,
    /// The approved ones.
    pub approved: u64,
    /// Those that wait for a review.
    pub pending: u64,
}

/// What is read of each session: when it started, and what is added up.
const NUMBERS: [NumberFact; 5] = [
    NumberFact::Started,
    NumberFact::Commands,
    NumberFact::Blocked,
    NumberFact::Approved,
    NumberFact::Pending,
];

/// The histogram of the sessions that match. Those of which the start has not arrived are in none.
pub(super) fn of(
    snapshot: &Snapshot,
    filter: &SessionFilter,
) -> Result<SessionHistogram, QueryError> {
    let mut spread: Spread<5> = Spread::default();
    snapshot.sessions.each_numbers(filter, &NUMBERS, &mut |numbers| {
        let [Some(started), commands @ ..] = numbers else { return };
        let Some([sessions, sums @ ..]) = spread.at(Micros(*started)) else { return };
        *sessions += 1;
        for (sum, number) in sums.iter_mut().zip(commands) {
            *sum += number.unwrap_or(0).max(0).cast_unsigned();
        }
    })?;
    let (bucket_ms, buckets) = spread.finish();
    let buckets = buckets.map(|(start, [count, commands, blocked, approved, pending])| {
        SessionBucket { start, count, commands, blocked, approved, pending }
    });
    Ok(SessionHistogram { bucket_ms, buckets: buckets.collect() })
}
