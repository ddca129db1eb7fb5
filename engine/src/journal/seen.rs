//! Exactly once: which `(session, seq)` have been stored.

use crate::block::Retry;
use crate::event::{Offset, Seq, SessionKey};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A set of numbers as sorted, disjoint, non-adjacent ranges. A session whose events arrive in order
/// costs one range, whatever its length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeqSet {
    ranges: Vec<RangeInclusive<u32>>,
}

impl SeqSet {
    /// Is it in the set?
    #[must_use]
    pub fn contains(&self, seq: Seq) -> bool {
        let after = self.ranges.partition_point(|range| *range.start() <= seq.0);
        let before = after.checked_sub(1).and_then(|i| self.ranges.get(i));
        before.is_some_and(|range| range.contains(&seq.0))
    }

    /// Adds one number.
    pub fn insert(&mut self, seq: Seq) {
        self.insert_range(seq.0..=seq.0);
    }

    /// Adds a range.
    pub fn insert_range(&mut self, new: RangeInclusive<u32>) {
        let (mut start, mut end) = new.into_inner();
        // In order, the usual case: grow the last range.
        if let Some(last) = self.ranges.last_mut()
            && start > *last.start()
            && start <= last.end().saturating_add(1)
        {
            *last = *last.start()..=end.max(*last.end());
            return;
        }
        let from = self.ranges.partition_point(|r| r.end().saturating_add(1) < start);
        let to = self.ranges.partition_point(|r| *r.start() <= end.saturating_add(1));
        for range in self.ranges.get(from..to.max(from)).unwrap_or_default() {
            start = start.min(*range.start());
            end = end.max(*range.end());
        }
        self.ranges.splice(from..to.max(from), [start..=end]);
    }

    /// Takes one number out.
    pub fn remove(&mut self, seq: Seq) {
        let at = self.ranges.partition_point(|range| *range.end() < seq.0);
        let Some(range) = self.ranges.get(at).filter(|range| range.contains(&seq.0)).cloned()
        else {
            return;
        };
        let (start, end) = range.into_inner();
        let below = seq.0.checked_sub(1).filter(|last| *last >= start).map(|last| start..=last);
        let above = seq.0.checked_add(1).filter(|first| *first <= end).map(|first| first..=end);
        self.ranges.splice(at..=at, below.into_iter().chain(above));
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|range| u64::from(range.end() - range.start()) + 1).sum()
    }

    /// Are there at least this many? Quick while the largest number is below.
    #[must_use]
    pub fn holds(&self, many: u64) -> bool {
        let largest = self.ranges.last().map_or(0, |last| u64::from(*last.end()) + 1);
        largest >= many && self.count() >= many
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The number after the largest of those within bounds, or the first one if there is none; `None` past the last.
    #[must_use]
    pub fn next_within(&self, bounds: RangeInclusive<u32>) -> Option<Seq> {
        let (first, last) = bounds.into_inner();
        let from = self.ranges.partition_point(|range| *range.start() <= last);
        match from.checked_sub(1).and_then(|at| self.ranges.get(at)) {
            Some(range) if *range.end() >= first => {
                let next = range.end().checked_add(1)?;
                (next <= last).then_some(Seq(next))
            }
            _ => Some(Seq(first)),
        }
    }
}

/// What the writer knows of a session.
#[derive(Clone, Debug)]
pub struct SeenSession {
    /// Its id, shared with the journal and the catalog.
    pub id: Arc<str>,
    /// Its number.
    pub key: SessionKey,
    /// Its events.
    pub seqs: SeqSet,
    /// The one that was stored last.
    pub last: Option<Offset>,
    /// The producer that began it, once somebody asked; empty if nobody is known to have.
    pub owner: Option<Box<str>>,
    /// The journal (by its base) that last took one of its events.
    pub touched: Offset,
}

/// The sessions that the writer keeps in memory: those of journals that are not sealed yet, and those
/// that were looked up since. Everything else is looked up in the segments.
#[derive(Debug, Default)]
pub struct Seen {
    sessions: HashMap<Arc<str>, SeenSession, foldhash::fast::RandomState>,
    /// The events that came with an idempotency key, with their journals (by base).
    retries: HashMap<Retry, Offset, foldhash::fast::RandomState>,
}

impl Seen {
    /// A session that is in memory.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut SeenSession> {
        self.sessions.get_mut(id)
    }

    /// Puts a session in memory.
    pub fn insert(&mut self, session: SeenSession) {
        self.sessions.insert(Arc::clone(&session.id), session);
    }

    /// Takes back an event that did not get into the log; a session that has no other is forgotten.
    pub fn forget(&mut self, id: &str, seq: Seq) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.seqs.remove(seq);
            if session.seqs.is_empty() {
                self.sessions.remove(id);
            }
        }
    }

    /// Forgets a session; was it known?
    pub fn forget_session(&mut self, id: &str) -> bool {
        self.sessions.remove(id).is_some()
    }

    /// Was an event of this name stored in a journal that is not sealed?
    #[must_use]
    pub fn has_retry(&self, retry: Retry) -> bool {
        self.retries.contains_key(&retry)
    }

    /// Remembers an event's name.
    pub fn insert_retry(&mut self, retry: Retry, journal: Offset) {
        self.retries.insert(retry, journal);
    }

    /// Takes back the name of an event that did not get into the log.
    pub fn forget_retry(&mut self, retry: Retry) {
        self.retries.remove(&retry);
    }

    /// Forgets the sessions whose last event is in a journal before `oldest`: they are all sealed.
    pub fn forget_before(&mut self, oldest: Offset) {
        self.sessions.retain(|_, session| session.touched >= oldest);
        self.retries.retain(|_, journal| *journal >= oldest);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_seq_set_is_a_set(
            ranges in prop::collection::vec((0u32..60, 0u32..4, any::<bool>()), 0..60),
        ) {
            let mut set = SeqSet::default();
            let mut model = BTreeSet::new();
            for (start, len, put) in ranges {
                if put {
                    set.insert_range(start..=start + len);
                    model.extend(start..=start + len);
                } else {
                    set.remove(Seq(start));
                    model.remove(&start);
                }
                prop_assert!(set.holds(model.len() as u64) && !set.holds(model.len() as u64 + 1));
                prop_assert_eq!((set.count(), set.is_empty()), (model.len() as u64, model.is_empty()));
                for (first, last) in [(0, u32::MAX), (0, 19), (20, u32::MAX)] {
                    let next = model.range(first..=last).last().map_or(first, |m| m + 1);
                    let next = (next <= last).then_some(Seq(next));
                    prop_assert_eq!(set.next_within(first..=last), next);
                }
                for n in 0..70 {
                    prop_assert_eq!(set.contains(Seq(n)), model.contains(&n));
                }
                for pair in set.ranges.windows(2) {
                    prop_assert!(pair[0].end() + 1 < *pair[1].start());
                }
            }
        }
    }

    #[test]
    fn the_last_number_there_is_has_no_next() {
        let mut set = SeqSet::default();
        set.insert(Seq(u32::MAX));
        set.insert(Seq(u32::MAX - 1));
        assert!(set.contains(Seq(u32::MAX)) && set.next_within(5..=u32::MAX).is_none());
    }
}
