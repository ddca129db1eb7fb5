//! Reading the catalog: one session, many, pages of a list, and keys.

use super::filter::{NumberFact, SessionFilter, TextFact};
use super::index::{Place, View, ViewSegment};
use super::overlay::Catalog;
use super::sort::{Order, Sort};
use super::zones::{self, Zone};
use crate::error::Error;
use crate::event::SessionKey;
use crate::session::SessionState;
use crate::text::docs::Docs;
use crate::view::{
    Facet, ListPage, ListPlace, ListRequest, Session, SessionSet, Sessions, Weights,
};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// What a filter selects at one moment.
pub(super) struct Seen {
    pub(super) view: Arc<View>,
    hidden: Arc<Vec<Docs>>,
    /// The overlay's matching sessions.
    pub(super) changed: Vec<Session>,
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
    pub(super) fn each<'a>(
        &'a self,
        filter: &SessionFilter,
        mut visit: impl FnMut(usize, &'a ViewSegment, Docs) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (at, (segment, hidden)) in self.view.segments.iter().zip(self.hidden.iter()).enumerate()
        {
            visit(at, segment, segment.matching(self.view.fields, filter, hidden)?)?;
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
            seen.each(filter, |_, segment, docs| segment.each_numbers(&docs, facts, visit))
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

    /// Between which ranks a zone's sessions are.
    fn span(sort: Sort, zone: Zone) -> ((bool, u64), (bool, u64)) {
        let none = Rank::by(sort, None);
        let Some((least, greatest)) = zone.values else { return (none, none) };
        let (least, greatest) = (Rank::by(sort, Some(least)), Rank::by(sort, Some(greatest)));
        let (first, last) = if sort.descending { (greatest, least) } else { (least, greatest) };
        (first, if zone.lacks { none } else { last })
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

    /// Can no session with this number, or a later one, be among them any more?
    fn closed_from(&self, by: (bool, u64)) -> bool {
        self.heap.len() >= self.limit && self.heap.peek().is_none_or(|(worst, _)| by > worst.by)
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
            segment.rank(at, &docs, (sort, &order), &mut top)
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
        let rank = |top: &mut Top, doc: u32, value: Option<i64>| {
            let by = Rank::by(sort, value);
            if top.open_to(by)
                && let Some(key) = keys.first(doc)
            {
                let key = Rank::key(sort, SessionKey(key));
                top.push(Rank { by, key }, Source::Index(at, doc));
            }
        };
        match order {
            Order::Numbers(fact) => {
                let column = self.numbers(*fact)?;
                let bound = self.reader.max_doc();
                let zones = self.zones.of(*fact, &column, bound);
                let mut zones: BinaryHeap<Reverse<_>> = (0u32..)
                    .zip(zones.iter())
                    .map(|(zone, values)| (Rank::span(sort, *values), zone))
                    .filter(|((_, last), _)| top.after.is_none_or(|after| *last >= after.by))
                    .map(|((first, _), zone)| Reverse((first, zone)))
                    .collect();
                while let Some(Reverse((first, zone))) = zones.pop()
                    && !top.closed_from(first)
                {
                    docs.each_value_in(zones::documents(zone, bound), &column, |doc, value| {
                        rank(top, doc, value);
                    });
                }
            }
            Order::Texts { fact, of_segments, .. } => {
                let Some(column) = self.texts(*fact)? else {
                    docs.blocks(|block| block.iter().for_each(|doc| rank(top, *doc, None)));
                    return Ok(());
                };
                let numbers = of_segments.get(at).map_or(&[][..], Vec::as_slice);
                let number = |ord: u64| numbers.get(usize::try_from(ord).ok()?).copied();
                docs.each_value(column.ords(), |doc, ord| rank(top, doc, ord.and_then(number)));
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
}
