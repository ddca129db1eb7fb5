//! Reading the catalog: one session, pages of a list, keys and facets.

use super::filter::{NumberFact, SessionFilter, TextFact};
use super::index::{Place, View, ViewSegment};
use super::overlay::Catalog;
use super::sort::{Order, Sort};
use crate::error::Error;
use crate::event::SessionKey;
use crate::session::SessionState;
use crate::text::docs::{Docs, each_value_of};
use crate::together;
use crate::view::{
    Facet, ListPage, ListPlace, ListRequest, Session, SessionSet, Sessions, Weights,
};
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use tantivy::columnar::{Cardinality, StrColumn};

/// What a filter selects at one moment.
struct Seen {
    view: Arc<View>,
    hidden: Arc<Vec<Docs>>,
    /// The overlay's matching sessions.
    changed: Vec<Session>,
}

impl Catalog {
    fn seen(&self, filter: &SessionFilter) -> Result<Seen, Error> {
        let inner = self.whole()?;
        let changed = inner
            .overlay
            .values()
            .filter(|entry| entry.dirty)
            .map(|entry| &entry.session)
            .filter(|session| filter.matches(&session.id, session.key, &session.state))
            .cloned()
            .collect();
        Ok(Seen { view: Arc::clone(&inner.view), hidden: Arc::clone(&inner.hidden), changed })
    }

    /// The states of many sessions, of those that are there. They are read in the order in which they lie in the index, so
    /// that each of its blocks is unpacked once.
    ///
    /// # Errors
    /// A damaged index.
    pub fn states(
        &self,
        keys: impl IntoIterator<Item = SessionKey>,
    ) -> Result<HashMap<SessionKey, Arc<SessionState>>, Error> {
        let (mut states, mut indexed) = (HashMap::new(), SessionSet::default());
        let view = {
            let inner = self.whole()?;
            for key in keys {
                if let Some(entry) = inner.overlay.get(&key) {
                    states.insert(key, Arc::clone(&entry.session.state));
                } else if !inner.removed.contains(&key) {
                    indexed.insert(key);
                }
            }
            Arc::clone(&inner.view)
        };
        self.sound(&view, || {
            for place in view.places(&indexed)? {
                let session = view.load(place)?;
                states.insert(session.key, session.state);
            }
            Ok(())
        })?;
        Ok(states)
    }

    /// The number of a session, by its id.
    ///
    /// # Errors
    /// A damaged index.
    pub fn number(&self, id: &str) -> Result<Option<SessionKey>, Error> {
        let inner = self.whole()?;
        if let Some(key) = inner.ids.get(id) {
            return Ok(Some(*key));
        }
        let number = self.sound(&inner.view, || match inner.view.place_of_id(id)? {
            Some(place) => inner.view.number(place),
            None => Ok(None),
        })?;
        Ok(number.filter(|key| !inner.removed.contains(key)))
    }
}

impl Seen {
    /// Visits each segment with its matching sessions.
    fn each<'a>(
        &'a self,
        filter: &SessionFilter,
        mut visit: impl FnMut(usize, &'a ViewSegment, &Docs) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (at, (segment, hidden)) in self.view.segments.iter().zip(self.hidden.iter()).enumerate()
        {
            visit(at, segment, &segment.matching(self.view.fields, filter, hidden)?)?;
        }
        Ok(())
    }
}

impl Sessions for Catalog {
    fn get(&self, id: &str) -> Result<Option<Session>, Error> {
        let (view, removed) = {
            let inner = self.whole()?;
            if let Some(entry) = inner.ids.get(id).and_then(|key| inner.overlay.get(key)) {
                return Ok(Some(entry.session.clone()));
            }
            // Empty but for the moments between an erasure and the next commit.
            (Arc::clone(&inner.view), inner.removed.clone())
        };
        let found =
            self.sound(&view, || view.place_of_id(id)?.map(|place| view.load(place)).transpose())?;
        Ok(found.filter(|session| !removed.contains(&session.key)))
    }

    fn by_key(&self, key: SessionKey) -> Result<Option<Session>, Error> {
        let view = {
            let inner = self.whole()?;
            if let Some(entry) = inner.overlay.get(&key) {
                return Ok(Some(entry.session.clone()));
            }
            if inner.removed.contains(&key) {
                return Ok(None);
            }
            Arc::clone(&inner.view)
        };
        self.sound(&view, || view.place_of(key)?.map(|place| view.load(place)).transpose())
    }

    fn list(&self, request: &ListRequest) -> Result<ListPage, Error> {
        let seen = self.seen(&request.filter)?;
        self.sound(&seen.view, || seen.page(request))
    }

    fn was_erased(&self, key: SessionKey) -> bool {
        self.whole().is_ok_and(|inner| inner.erased.contains(key))
    }

    fn keys(&self, filter: &SessionFilter) -> Result<Arc<SessionSet>, Error> {
        let seen = self.seen(filter)?;
        self.sound(&seen.view, || seen.keys(filter))
    }

    fn facets(
        &self,
        filter: &SessionFilter,
        weights: Weights<'_>,
        fields: &[TextFact],
        limit: usize,
    ) -> Result<Vec<(TextFact, Facet)>, Error> {
        let seen = self.seen(filter)?;
        self.sound(&seen.view, || seen.facets(filter, weights, fields, limit))
    }

    fn each_numbers(
        &self,
        filter: &SessionFilter,
        facts: &[NumberFact],
        visit: &mut dyn FnMut(&[Option<i64>]),
    ) -> Result<(), Error> {
        let seen = self.seen(filter)?;
        for session in &seen.changed {
            let numbers: Vec<_> = facts.iter().map(|fact| fact.of(&session.state)).collect();
            visit(&numbers);
        }
        self.sound(&seen.view, || {
            seen.each(filter, |_, segment, docs| segment.each_numbers(docs, facts, visit))
        })
    }

    fn count(&self) -> Result<u64, Error> {
        let inner = self.whole()?;
        let hidden: u64 = inner.hidden.iter().map(Docs::len).sum();
        let changed = inner.overlay.values().filter(|entry| entry.dirty).count() as u64;
        Ok(inner.view.len() - hidden + changed)
    }
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

/// A session's rank in a list; lower ranks come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    by: (bool, u64),
    key: u64,
}

impl Rank {
    /// Sessions without the number come last, whatever the direction.
    fn by(sort: Sort, value: Option<i64>) -> (bool, u64) {
        let value = value.map(|value| value.cast_unsigned() ^ (1 << 63));
        (value.is_none(), value.map_or(0, |value| if sort.descending { !value } else { value }))
    }

    fn key(sort: Sort, key: SessionKey) -> u64 {
        if sort.descending { !key.0 } else { key.0 }
    }

    fn of(sort: Sort, value: Option<i64>, key: SessionKey) -> Rank {
        Rank { by: Rank::by(sort, value), key: Rank::key(sort, key) }
    }

    fn place(self, sort: Sort, order: &Order) -> ListPlace {
        let turn = |number: u64| if sort.descending { !number } else { number };
        let value = (!self.by.0).then(|| (turn(self.by.1) ^ (1 << 63)).cast_signed());
        ListPlace {
            value: value.and_then(|number| order.value(number)),
            key: SessionKey(turn(self.key)),
        }
    }
}

/// Where a session of a page comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Overlay(usize),
    Index(usize, u32),
}

/// The lowest ranks after a place.
struct Top {
    heap: BinaryHeap<(Rank, Source)>,
    limit: usize,
    after: Option<Rank>,
}

impl Top {
    /// May a session with this number be among them? Spares reading its key.
    fn open_to(&self, by: (bool, u64)) -> bool {
        self.after.is_none_or(|after| by >= after.by)
            && (self.heap.len() < self.limit
                || self.heap.peek().is_some_and(|(worst, _)| by <= worst.by))
    }

    fn push(&mut self, rank: Rank, source: Source) {
        if self.after.is_some_and(|after| rank <= after) {
            return;
        }
        if self.heap.len() < self.limit {
            self.heap.push((rank, source));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && rank < worst.0
        {
            *worst = (rank, source);
        }
    }
}

impl Seen {
    fn keys(&self, filter: &SessionFilter) -> Result<Arc<SessionSet>, Error> {
        let mut keys = self.view.keys(filter)?;
        for (segment, hidden) in self.view.segments.iter().zip(self.hidden.iter()) {
            if hidden.len() > 0 {
                let keys = Arc::make_mut(&mut keys);
                hidden.each_value(&segment.keys()?, |_, key| {
                    key.map(|key| keys.remove(SessionKey(key)));
                });
            }
        }
        if !self.changed.is_empty() {
            Arc::make_mut(&mut keys).extend(self.changed.iter().map(|session| session.key));
        }
        Ok(keys)
    }

    fn page(&self, request: &ListRequest) -> Result<ListPage, Error> {
        let sort = request.sort;
        let order = Order::new(sort.by, &self.view, &self.changed)?;
        let after = request.after.as_ref();
        let after = after.map(|place| Rank::of(sort, order.place(place), place.key));
        // One more than asked for tells whether there are more.
        let limit = request.limit.saturating_add(1);
        let mut top = Top { heap: BinaryHeap::new(), limit, after };
        let mut count = self.changed.len() as u64;
        for (at, session) in self.changed.iter().enumerate() {
            let rank = Rank::of(sort, order.of(session), session.key);
            top.push(rank, Source::Overlay(at));
        }
        self.each(&request.filter, |at, segment, docs| {
            count += docs.len();
            segment.rank(at, docs, (sort, &order), &mut top)
        })?;
        let mut found = top.heap.into_sorted_vec();
        let more = found.len() > request.limit;
        found.truncate(request.limit);
        let next = if more { found.last().map(|(rank, _)| rank.place(sort, &order)) } else { None };
        let items = found
            .into_iter()
            .filter_map(|(_, source)| match source {
                Source::Overlay(at) => self.changed.get(at).cloned().map(Ok),
                Source::Index(segment, doc) => Some(self.view.load(Place { segment, doc })),
            })
            .collect::<Result<_, _>>()?;
        Ok(ListPage { items, count, next })
    }

    fn facets(
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
}

/// So many documents are counted in one go; a multiple of 64.
const PIECE: u32 = 64 * 1024;

/// Fewer documents are counted sooner than a thread is there to help.
const DOCS_FOR_A_THREAD: u64 = 100_000;

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
            segments.push(Counted { segment, docs: docs.clone(), columns });
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
        let threads = if docs < DOCS_FOR_A_THREAD { 1 } else { together::threads() };
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

impl ViewSegment {
    /// The column of a text, if a session here has it.
    fn texts(&self, fact: TextFact) -> Result<Option<StrColumn>, Error> {
        self.reader.fast_fields().str(fact.name()).map_err(Error::catalog)
    }

    /// Ranks documents of the segment that is the `at`th of its view.
    fn rank(
        &self,
        at: usize,
        docs: &Docs,
        (sort, order): (Sort, &Order),
        top: &mut Top,
    ) -> Result<(), Error> {
        let keys = self.keys()?;
        let mut rank = |doc: u32, value: Option<i64>| {
            let by = Rank::by(sort, value);
            if top.open_to(by)
                && let Some(key) = keys.first(doc)
            {
                let key = Rank::key(sort, SessionKey(key));
                top.push(Rank { by, key }, Source::Index(at, doc));
            }
        };
        match order {
            Order::Numbers(fact) => docs.each_value(&self.numbers(*fact)?, rank),
            Order::Texts { fact, of_segments, .. } => {
                let Some(column) = self.texts(*fact)? else {
                    docs.blocks(|block| block.iter().for_each(|doc| rank(*doc, None)));
                    return Ok(());
                };
                let numbers = of_segments.get(at).map_or(&[][..], Vec::as_slice);
                let number = |ord: u64| numbers.get(usize::try_from(ord).ok()?).copied();
                docs.each_value(column.ords(), |doc, ord| rank(doc, ord.and_then(number)));
            }
        }
        Ok(())
    }

    /// Visits these numbers of each document; columns are read a block at a time.
    fn each_numbers(
        &self,
        docs: &Docs,
        facts: &[NumberFact],
        visit: &mut dyn FnMut(&[Option<i64>]),
    ) -> Result<(), Error> {
        let columns: Vec<_> =
            facts.iter().map(|fact| self.numbers(*fact)).collect::<Result<_, _>>()?;
        let mut of_columns: Vec<Vec<Option<i64>>> = vec![Vec::new(); columns.len()];
        let mut numbers = Vec::with_capacity(columns.len());
        docs.blocks(|block| {
            for (column, values) in columns.iter().zip(&mut of_columns) {
                values.clear();
                values.resize(block.len(), None);
                column.first_vals(block, values);
            }
            for at in 0..block.len() {
                numbers.clear();
                numbers.extend(of_columns.iter().map(|values| values.get(at).copied().flatten()));
                visit(&numbers);
            }
        });
        Ok(())
    }

    /// Counts ids, of which each is once: the first ones are as good as any.
    fn count_ids(
        &self,
        fields: super::index::Fields,
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
