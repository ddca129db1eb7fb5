//! A session's events in a journal, in the order of `seq`, however they arrived.
//!
//! ```text
//! few        [(seq, ordinal), ...]                  most sessions
//! many       chunk ─ chunk ─ chunk ─ chunk          long ones: each chunk is shared with its readers
//! ```
//!
//! A reader takes the chunks as they are, which costs a pointer for each [`CHUNK`] of events, not the
//! events; the writer copies the one chunk that it changes, if a reader still has it. So a page of a
//! session costs the same however long the session is.

use crate::event::{Micros, Seq};
use std::sync::Arc;

/// A chunk has at most twice as many events.
const CHUNK: usize = 2048;
/// More events than this make chunks.
const FEW: usize = 128;

/// A session's events in the order of `seq`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    few: Vec<(Seq, u32)>,
    chunks: Vec<Arc<Chunk>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    /// Not empty.
    events: Vec<(Seq, u32)>,
    /// No event in it is later; after one was taken out, none may be as late.
    latest: Micros,
}

impl Chunk {
    fn last(&self) -> Seq {
        self.events.last().map_or(Seq(0), |(seq, _)| *seq)
    }
}

impl Order {
    /// Adds an event.
    pub(crate) fn insert(&mut self, seq: Seq, ordinal: u32, time: Micros) {
        if self.chunks.is_empty() {
            put(&mut self.few, seq, ordinal);
            if self.few.len() > FEW {
                let events = std::mem::take(&mut self.few);
                // Nobody knows their times any more; they are few.
                self.chunks.push(Arc::new(Chunk { events, latest: Micros(i64::MAX) }));
            }
            return;
        }
        let at = self.chunks.partition_point(|chunk| chunk.last() < seq);
        if at == self.chunks.len() && self.chunks.last().is_some_and(|c| c.events.len() >= CHUNK) {
            self.chunks.push(Arc::new(Chunk { events: vec![(seq, ordinal)], latest: time }));
            return;
        }
        let at = at.min(self.chunks.len() - 1);
        let Some(chunk) = self.chunks.get_mut(at).map(Arc::make_mut) else { return };
        put(&mut chunk.events, seq, ordinal);
        chunk.latest = chunk.latest.max(time);
        if chunk.events.len() >= 2 * CHUNK {
            let events = chunk.events.split_off(CHUNK);
            let latest = chunk.latest;
            self.chunks.insert(at + 1, Arc::new(Chunk { events, latest }));
        }
    }

    /// Takes an event out.
    pub(crate) fn remove(&mut self, seq: Seq, ordinal: u32) {
        let out = |events: &mut Vec<(Seq, u32)>| {
            if let Ok(at) = events.binary_search(&(seq, ordinal)) {
                events.remove(at);
            }
            events.is_empty()
        };
        out(&mut self.few);
        let at = self.chunks.partition_point(|chunk| chunk.last() < seq);
        if self.chunks.get_mut(at).is_some_and(|chunk| out(&mut Arc::make_mut(chunk).events)) {
            self.chunks.remove(at);
        }
    }

    /// The ordinal of a number.
    pub(crate) fn find(&self, seq: Seq) -> Option<u32> {
        let at = self.chunks.partition_point(|chunk| chunk.last() < seq);
        let events = self.chunks.get(at).map_or(&self.few, |chunk| &chunk.events);
        let at = events.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        events.get(at).map(|(_, ordinal)| *ordinal)
    }

    /// As readers see it.
    pub(crate) fn shared(self) -> SharedOrdinals {
        let mut ends = Vec::with_capacity(self.chunks.len());
        let mut len = self.few.len();
        for chunk in &self.chunks {
            len += chunk.events.len();
            ends.push(len);
        }
        SharedOrdinals { order: self, ends, len }
    }
}

/// Puts an event in its place, the last one in the usual case.
fn put(events: &mut Vec<(Seq, u32)>, seq: Seq, ordinal: u32) {
    let at = match events.last() {
        Some(last) if *last < (seq, ordinal) => events.len(),
        _ => events.partition_point(|other| *other < (seq, ordinal)),
    };
    events.insert(at, (seq, ordinal));
}

/// The ordinals of a session's events in the order of `seq`, shared with the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedOrdinals {
    order: Order,
    /// How many events each chunk and the ones before it have.
    ends: Vec<usize>,
    len: usize,
}

impl SharedOrdinals {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The one at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u32> {
        let (before, events) = if self.ends.is_empty() {
            (0, &self.order.few)
        } else {
            let at = self.ends.partition_point(|end| *end <= index);
            let before = at.checked_sub(1).and_then(|at| self.ends.get(at)).copied().unwrap_or(0);
            (before, &self.order.chunks.get(at)?.events)
        };
        events.get(index - before).map(|(_, ordinal)| *ordinal)
    }

    /// The place of the first one that `is_late` of those that may be: chunks that are all earlier than
    /// `time` are passed over.
    pub(crate) fn first_from(&self, time: Micros, is_late: impl Fn(u32) -> bool) -> Option<usize> {
        let find = |events: &[(Seq, u32)]| events.iter().position(|(_, ordinal)| is_late(*ordinal));
        if self.ends.is_empty() {
            return find(&self.order.few);
        }
        let mut before = 0;
        for (chunk, end) in self.order.chunks.iter().zip(&self.ends) {
            if chunk.latest >= time
                && let Some(at) = find(&chunk.events)
            {
                return Some(before + at);
            }
            before = *end;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn an_order_is_a_sorted_map_whatever_the_order_of_arrival(
            seed in any::<u64>(),
            len in 1u32..9_000,
            stride in prop::sample::select(vec![1u32, 2, 7, 1_001]),
            removed in prop::collection::vec(any::<u32>(), 0..200),
        ) {
            let mut order = Order::default();
            let mut model = BTreeMap::new();
            let time = |seq: u32| Micros(i64::from(seq) * 10 + (seed % 50) as i64);
            for ordinal in 0..len {
                // A stride that has no factor with the length's next power makes some other order.
                let seq = (ordinal.wrapping_mul(stride)) % 16_384;
                if let Entry::Vacant(place) = model.entry(Seq(seq)) {
                    place.insert(ordinal);
                    order.insert(Seq(seq), ordinal, time(seq));
                }
            }
            let before = order.clone().shared();
            let all: Vec<u32> = (0..before.len()).map(|i| before.get(i).unwrap()).collect();
            prop_assert!(all.iter().eq(model.values()));
            for at in removed {
                let seq = Seq(at % 16_384);
                if let Some(ordinal) = model.remove(&seq) {
                    order.remove(seq, ordinal);
                }
                prop_assert_eq!(order.find(seq), None);
            }
            for (seq, ordinal) in &model {
                prop_assert_eq!(order.find(*seq), Some(*ordinal));
            }
            let after = order.shared();
            prop_assert_eq!(after.len(), model.len());
            prop_assert_eq!(after.get(model.len()), None);
            let of: BTreeMap<u32, Seq> = model.iter().map(|(seq, o)| (*o, *seq)).collect();
            for wanted in [0, 500, 40_000, 90_000, i64::MAX] {
                let late = |ordinal: u32| of.get(&ordinal).is_some_and(|s| time(s.0).0 >= wanted);
                let right = model.values().position(|ordinal| late(*ordinal));
                prop_assert_eq!(after.first_from(Micros(wanted), late), right);
            }
            // What a reader took does not change under it.
            let again: Vec<u32> = (0..before.len()).map(|i| before.get(i).unwrap()).collect();
            prop_assert!(all == again);
        }
    }
}
