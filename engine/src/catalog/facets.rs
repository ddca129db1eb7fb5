//! Facets: for how much the sessions that a filter admits count, by each value of their fields.
//!
//! ```text
//! segment ├─ piece ─┼─ piece ─┼─ piece ─┤  documents ─ weights ─> of each column, a count by the value's number
//!                                                                   └─ added up, then named
//! ```
//!
//! Pieces of all segments are counted by several threads at once; what changed since the commit is counted one by one.

use super::filter::{SessionFilter, TextFact};
use super::index::{Fields, ViewSegment};
use super::list::Seen;
use crate::error::Error;
use crate::event::SessionKey;
use crate::text::docs::{Docs, each_value_of};
use crate::together;
use crate::view::{Facet, Weights};
use std::collections::HashMap;
use std::ops::Range;
use tantivy::columnar::{Cardinality, StrColumn};

/// So many documents are counted in one go; a multiple of 64. Fewer are counted sooner than a thread is there to help.
const PIECE: u32 = 64 * 1024;

/// For each fact, how often each of a segment's values was counted, by its number there.
type ByOrd = Vec<Vec<u64>>;

/// A segment to be counted.
struct Counted<'a> {
    segment: &'a ViewSegment,
    docs: Docs,
    /// For each fact; `None` where no session here has it.
    columns: Vec<Option<StrColumn>>,
}

impl Seen {
    /// The values of fields, the most frequent first, at most `limit` of each.
    pub(super) fn facets(
        &self,
        filter: &SessionFilter,
        weights: Weights<'_>,
        fields: &[TextFact],
        limit: usize,
    ) -> Result<Vec<(TextFact, Facet)>, Error> {
        let mut counts: Vec<HashMap<String, u64>> = vec![HashMap::new(); fields.len()];
        for session in &self.changed {
            let weight = weights.of(session.key);
            if weight == 0 {
                continue;
            }
            for (fact, counts) in fields.iter().zip(&mut counts) {
                fact.each(&session.id, &session.state, |value| add(counts, value, weight));
            }
        }
        self.count_indexed(filter, weights, fields, limit, &mut counts)?;
        let sorted = |counts: HashMap<String, u64>| {
            let mut facet: Facet = counts.into_iter().filter(|(_, count)| *count > 0).collect();
            facet.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
            facet.truncate(limit);
            facet
        };
        Ok(fields.iter().copied().zip(counts.into_iter().map(sorted)).collect())
    }

    /// Counts the values that indexed sessions have: pieces of all segments, several at once.
    fn count_indexed(
        &self,
        filter: &SessionFilter,
        weights: Weights<'_>,
        fields: &[TextFact],
        limit: usize,
        counts: &mut [HashMap<String, u64>],
    ) -> Result<(), Error> {
        let mut segments = Vec::new();
        self.each(filter, |_, segment, docs| {
            let columns = fields.iter().map(|fact| match fact {
                TextFact::Id => Ok(None),
                _ => segment.texts(*fact),
            });
            let columns = columns.collect::<Result<_, _>>()?;
            segments.push(Counted { segment, docs, columns });
            Ok(())
        })?;
        let pieces: Vec<(usize, Range<u32>)> = segments
            .iter()
            .enumerate()
            .flat_map(|(at, counted)| {
                let max = counted.segment.reader.max_doc();
                let piece = move |start: u32| (at, start..start.saturating_add(PIECE).min(max));
                (0..max).step_by(PIECE as usize).map(piece)
            })
            .collect();
        let start = || -> Vec<ByOrd> {
            let zeros = |column: &Option<StrColumn>| {
                vec![0; column.as_ref().map_or(0, |column| column.num_terms())]
            };
            segments.iter().map(|counted| counted.columns.iter().map(zeros).collect()).collect()
        };
        let step = |of_segments: &mut Vec<ByOrd>, piece: usize| {
            let Some((at, range)) = pieces.get(piece) else { return Ok(()) };
            let (Some(counted), Some(by_ord)) = (segments.get(*at), of_segments.get_mut(*at))
            else {
                return Ok(());
            };
            counted.count(range.clone(), weights, by_ord)
        };
        let docs: u64 = segments.iter().map(|counted| counted.docs.len()).sum();
        let threads = if docs < u64::from(PIECE) { 1 } else { together::threads() };
        let mut states = together::fold(pieces.len(), threads, start, step)?.into_iter();
        let mut all = states.next().unwrap_or_default();
        for state in states {
            let sums = all.iter_mut().flatten().flatten();
            sums.zip(state.iter().flatten().flatten()).for_each(|(sum, count)| *sum += count);
        }
        for (counted, by_ords) in segments.iter().zip(all) {
            let of_facts = fields.iter().zip(&counted.columns).zip(by_ords).zip(&mut *counts);
            for (((fact, column), by_ord), counts) in of_facts {
                if *fact == TextFact::Id {
                    let docs = counted.weighty(weights)?;
                    counted.segment.count_ids(self.view.fields, &docs, limit, counts)?;
                } else if let Some(column) = column {
                    name(column, &by_ord, counts)?;
                }
            }
        }
        Ok(())
    }
}

impl Counted<'_> {
    /// The documents that have a weight.
    fn weighty(&self, weights: Weights<'_>) -> Result<Docs, Error> {
        let mut docs = self.docs.clone();
        if let Weights::Of(_) = weights {
            docs = Docs::none(self.segment.reader.max_doc());
            self.docs.each_value(&self.segment.keys()?, |doc, key| {
                if key.is_some_and(|key| weights.of(SessionKey(key)) > 0) {
                    docs.insert(doc);
                }
            });
        }
        Ok(docs)
    }

    /// Counts the values of a range of the documents.
    fn count(
        &self,
        range: Range<u32>,
        weights: Weights<'_>,
        by_ord: &mut [Vec<u64>],
    ) -> Result<(), Error> {
        let (mut docs, mut of_docs) = (Vec::new(), Vec::new());
        match weights {
            Weights::One => self.docs.blocks_in(range, |block| docs.extend_from_slice(block)),
            Weights::Of(_) => {
                let keys = self.segment.keys()?;
                self.docs.blocks_in(range, |block| {
                    each_value_of(block, &keys, |doc, key| {
                        let weight = key.map_or(0, |key| weights.of(SessionKey(key)));
                        if weight > 0 {
                            docs.push(doc);
                            of_docs.push(weight);
                        }
                    });
                });
            }
        }
        of_docs.resize(docs.len(), 1);
        for (column, by_ord) in self.columns.iter().zip(by_ord) {
            let Some(column) = column else { continue };
            let mut add = |ord: u64, weight: u64| {
                if let Some(count) = by_ord.get_mut(ord as usize) {
                    *count += weight;
                }
            };
            if column.ords().get_cardinality() == Cardinality::Multivalued {
                let mut ords: Vec<u64> = Vec::new();
                for (doc, weight) in docs.iter().zip(&of_docs) {
                    ords.clear();
                    ords.extend(column.term_ords(*doc));
                    ords.sort_unstable();
                    ords.dedup();
                    ords.iter().for_each(|ord| add(*ord, *weight));
                }
            } else {
                for (block, weights) in docs.chunks(64).zip(of_docs.chunks(64)) {
                    let mut weights = weights.iter();
                    each_value_of(block, column.ords(), |_, ord| {
                        if let (Some(ord), Some(weight)) = (ord, weights.next()) {
                            add(ord, *weight);
                        }
                    });
                }
            }
        }
        Ok(())
    }
}

/// Counts values under their names.
fn name(
    column: &StrColumn,
    by_ord: &[u64],
    counts: &mut HashMap<String, u64>,
) -> Result<(), Error> {
    // It was text when tantivy was given it.
    let mut count = |value: &[u8], count: u64| add(counts, &String::from_utf8_lossy(value), count);
    // Looking up a value unpacks some before it.
    let used = by_ord.iter().filter(|count| **count > 0).count();
    if used > by_ord.len() / 8 {
        let mut values = column.dictionary().stream().map_err(Error::catalog)?;
        for number in by_ord {
            if values.advance() && *number > 0 {
                count(values.key(), *number);
            }
        }
    } else {
        let mut value = Vec::new();
        for (ord, number) in (0u64..).zip(by_ord).filter(|(_, number)| **number > 0) {
            if column.dictionary().ord_to_term(ord, &mut value).map_err(Error::catalog)? {
                count(&value, *number);
            }
        }
    }
    Ok(())
}

/// Counts a value.
fn add(counts: &mut HashMap<String, u64>, value: &str, count: u64) {
    match counts.get_mut(value) {
        Some(sum) => *sum += count,
        None => {
            counts.insert(value.to_owned(), count);
        }
    }
}

impl ViewSegment {
    /// Counts ids, of which each is once: the first ones are as good as any.
    fn count_ids(
        &self,
        fields: Fields,
        docs: &Docs,
        limit: usize,
        counts: &mut HashMap<String, u64>,
    ) -> Result<(), Error> {
        let index =
            self.reader.inverted_index(fields.text(TextFact::Id)).map_err(Error::catalog)?;
        let mut ids = index.terms().stream().map_err(Error::catalog)?;
        let mut left = limit;
        while let Some((id, info)) = ids.next() {
            if left == 0 {
                break;
            }
            let mut of_id = Docs::none(self.reader.max_doc());
            of_id.add_postings(&index, info).map_err(Error::catalog)?;
            of_id.intersect(docs);
            if of_id.len() > 0 {
                counts.insert(String::from_utf8_lossy(id).into_owned(), 1);
                left -= 1;
            }
        }
        Ok(())
    }
}
