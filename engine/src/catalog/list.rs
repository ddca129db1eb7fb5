//! Reading the catalog: one session, pages of a list, keys and facets.

use super::filter::{NumberFact, SessionFilter, TextFact};
use super::index::{Place, View, ViewSegment};
use super::overlay::Catalog;
use super::sort::{Order, Sort};
use crate::error::Error;
use crate::event::SessionKey;
use crate::text::docs::Docs;
use crate::view::{
    Facet, ListPage, ListPlace, ListRequest, Session, SessionSet, Sessions, Weights,
};
use std::cell::RefCell;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use tantivy::columnar::Cardinality;

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
    fn each(
        &self,
        filter: &SessionFilter,
        mut visit: impl FnMut(usize, &ViewSegment, &Docs) -> Result<(), Error>,
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
        for (fact, counts) in fields.iter().zip(&mut counts) {
            for session in &self.changed {
                let values = RefCell::new(BTreeSet::new());
                fact.any(&session.id, &session.state, |value| {
                    values.borrow_mut().insert(value.to_owned());
                    false
                });
                for value in values.into_inner() {
                    *counts.entry(value).or_default() += weights.of(session.key);
                }
            }
        }
        self.each(filter, |_, segment, docs| {
            let weighed = match weights {
                Weights::One => None,
                Weights::Of(_) => Some(segment.weigh(docs, weights)?),
            };
            let (docs, weights) = match &weighed {
                None => (docs, None),
                Some((docs, weights)) => (docs, Some(weights.as_slice())),
            };
            for (fact, counts) in fields.iter().zip(&mut counts) {
                match fact {
                    TextFact::Id => segment.count_ids(self.view.fields, docs, limit, counts)?,
                    _ => segment.count(*fact, docs, weights, counts)?,
                }
            }
            Ok(())
        })?;
        let sorted = |counts: HashMap<String, u64>| {
            let mut facet: Facet = counts.into_iter().filter(|(_, count)| *count > 0).collect();
            facet.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
            facet.truncate(limit);
            facet
        };
        Ok(fields.iter().copied().zip(counts.into_iter().map(sorted)).collect())
    }
}

impl ViewSegment {
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
                let column = self.reader.fast_fields().str(fact.name()).map_err(Error::catalog)?;
                let Some(column) = column else {
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

    /// Those of some documents that have a weight, and the weight of each document.
    fn weigh(&self, docs: &Docs, weights: Weights<'_>) -> Result<(Docs, Vec<u64>), Error> {
        let keys = self.keys()?;
        let mut weighty = Docs::none(self.reader.max_doc());
        let mut of_docs = vec![0; self.reader.max_doc() as usize];
        docs.each_value(&keys, |doc, key| {
            let weight = key.map_or(0, |key| weights.of(SessionKey(key)));
            if let Some(slot) = of_docs.get_mut(doc as usize).filter(|_| weight > 0) {
                *slot = weight;
                weighty.insert(doc);
            }
        });
        Ok((weighty, of_docs))
    }

    /// Counts the values of a field that has a column.
    fn count(
        &self,
        fact: TextFact,
        docs: &Docs,
        weights: Option<&[u64]>,
        counts: &mut HashMap<String, u64>,
    ) -> Result<(), Error> {
        let column = self.reader.fast_fields().str(fact.name()).map_err(Error::catalog)?;
        let Some(column) = column else { return Ok(()) };
        let mut by_ord = vec![0u64; column.num_terms()];
        let mut add = |doc: u32, ord: u64| {
            if let Some(count) = by_ord.get_mut(ord as usize) {
                *count += weights.map_or(1, |of| of.get(doc as usize).copied().unwrap_or(0));
            }
        };
        if column.ords().get_cardinality() == Cardinality::Multivalued {
            let mut ords: Vec<u64> = Vec::new();
            docs.blocks(|block| {
                for &doc in block {
                    ords.clear();
                    ords.extend(column.term_ords(doc));
                    ords.sort_unstable();
                    ords.dedup();
                    ords.iter().for_each(|ord| add(doc, *ord));
                }
            });
        } else {
            docs.each_value(column.ords(), |doc, ord| {
                ord.into_iter().for_each(|ord| add(doc, ord))
            });
        }
        let mut count = |value: &[u8], count: u64| {
            // It was text when tantivy was given it.
            let value = String::from_utf8_lossy(value);
            match counts.get_mut(&*value) {
                Some(sum) => *sum += count,
                None => {
                    counts.insert(value.into_owned(), count);
                }
            }
        };
        // Looking up a value unpacks some before it.
        let used = by_ord.iter().filter(|count| **count > 0).count();
        if used > by_ord.len() / 8 {
            let mut values = column.dictionary().stream().map_err(Error::catalog)?;
            for number in by_ord {
                if values.advance() && number > 0 {
                    count(values.key(), number);
                }
            }
        } else {
            let mut value = Vec::new();
            for (ord, number) in (0u64..).zip(by_ord).filter(|(_, number)| *number > 0) {
                if column.dictionary().ord_to_term(ord, &mut value).map_err(Error::catalog)? {
                    count(&value, number);
                }
            }
        }
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
