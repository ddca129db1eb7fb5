//! The events that a narrowing leaves, by their offsets.
//!
//! Of a frequent word these are a large part of all events, and who wants the newest looks at few of them. So where the
//! index has its events in a row they stay a set of bits, of which any stretch is written out when it is wanted.

use super::docs::Docs;
use std::ops::Range;

/// The offsets of events that may satisfy a narrowing.
#[derive(Clone, Debug)]
pub struct Narrowed(Form);

#[derive(Clone, Debug)]
enum Form {
    /// These, ascending.
    List(Vec<u64>),
    /// Documents, of which the first has this offset and the others follow one after the other.
    InARow(u64, Docs),
}

impl From<Vec<u64>> for Narrowed {
    /// From offsets that ascend.
    fn from(offsets: Vec<u64>) -> Narrowed {
        Narrowed(Form::List(offsets))
    }
}

impl Narrowed {
    pub(crate) fn in_a_row(first: u64, docs: Docs) -> Narrowed {
        Narrowed(Form::InARow(first, docs))
    }

    /// Those that are in both.
    #[must_use]
    pub fn intersection(self, other: &Narrowed) -> Narrowed {
        match (self.0, &other.0) {
            (Form::InARow(first, mut docs), Form::InARow(others_first, others))
                if first == *others_first && docs.bound() == others.bound() =>
            {
                docs.intersect(others);
                Narrowed::in_a_row(first, docs)
            }
            (form, _) => {
                let mut offsets = Narrowed(form).all();
                offsets.retain(|offset| other.contains(*offset));
                Narrowed::from(offsets)
            }
        }
    }

    fn contains(&self, offset: u64) -> bool {
        match &self.0 {
            Form::List(offsets) => offsets.binary_search(&offset).is_ok(),
            Form::InARow(first, docs) => {
                let doc = offset.checked_sub(*first).and_then(|doc| u32::try_from(doc).ok());
                doc.is_some_and(|doc| docs.contains(doc))
            }
        }
    }

    /// How many there are. Counting takes as long as looking at each once.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.0 {
            Form::List(offsets) => offsets.len() as u64,
            Form::InARow(_, docs) => docs.len(),
        }
    }

    /// All of them, ascending.
    #[must_use]
    pub fn all(self) -> Vec<u64> {
        match self.0 {
            Form::List(offsets) => offsets,
            form => Narrowed(form).within(0..u64::MAX),
        }
    }

    /// Those in a range, ascending.
    #[must_use]
    pub fn within(&self, range: Range<u64>) -> Vec<u64> {
        match &self.0 {
            Form::List(offsets) => {
                let start = offsets.partition_point(|offset| *offset < range.start);
                let end = offsets.partition_point(|offset| *offset < range.end);
                offsets.get(start..end).unwrap_or_default().to_vec()
            }
            Form::InARow(first, docs) => {
                let place =
                    |offset: u64| u32::try_from(offset.saturating_sub(*first)).unwrap_or(u32::MAX);
                let places = place(range.start)..place(range.end).min(docs.bound());
                let words = places.start / 64 * 64..places.end.next_multiple_of(64);
                let mut found = Vec::new();
                docs.blocks_in(words, |block| {
                    let block = block.iter().filter(|doc| places.contains(doc));
                    found.extend(block.map(|doc| first + u64::from(*doc)));
                });
                found
            }
        }
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.0 {
            Form::List(offsets) => size_of_val(offsets.as_slice()),
            Form::InARow(_, docs) => docs.memory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Both forms say the same.
        #[test]
        fn a_row_has_what_a_list_has(
            places in prop::collection::btree_set(0u32..700, 0..300),
            bound in 1u32..700,
            first in 0u64..1000,
            (from, to) in (0u64..2000, 0u64..2000),
        ) {
            let mut docs = Docs::none(bound);
            places.iter().for_each(|place| docs.insert(*place));
            let list = places.iter().filter(|place| **place < bound).map(|place| first + u64::from(*place));
            let list: Vec<u64> = list.collect();
            let row = Narrowed::in_a_row(first, docs);
            let within: Vec<u64> = list.iter().copied().filter(|offset| (from..to).contains(offset)).collect();
            prop_assert_eq!(row.count(), list.len() as u64);
            prop_assert_eq!(row.within(from..to), within.clone());
            prop_assert_eq!(row.within(from..u64::MAX), Narrowed::from(list.clone()).within(from..u64::MAX));
            prop_assert_eq!(Narrowed::from(list.clone()).within(from..to), within);
            let lower: Vec<u64> = list.iter().copied().filter(|offset| offset.is_multiple_of(3)).collect();
            let other = Narrowed::from(lower.clone());
            prop_assert_eq!(row.clone().intersection(&other).all(), lower.clone());
            prop_assert_eq!(other.clone().intersection(&row).all(), lower.clone());
            prop_assert_eq!(row.clone().intersection(&row).all(), list.clone());
            // In a row that begins elsewhere.
            let mut docs = Docs::none(bound + 1);
            lower.iter().for_each(|offset| docs.insert((offset + 1 - first) as u32));
            if let Some(before) = first.checked_sub(1) {
                let other = Narrowed::in_a_row(before, docs);
                prop_assert_eq!(row.clone().intersection(&other).all(), lower);
            }
            prop_assert_eq!(row.all(), list.clone());
            prop_assert_eq!(Narrowed::from(list.clone()).all(), list);
        }
    }
}
