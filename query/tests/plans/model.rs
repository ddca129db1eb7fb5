//! The obvious model of a log: parts and sessions in memory.

use daybook_engine::block::Record;
use daybook_engine::catalog::filter::{NumberFact, SessionFilter, TextFact};
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Micros, Offset, Seq, SessionKey};
use daybook_engine::session::{Change, SessionState};
use daybook_engine::text::Narrowed;
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::text::words::{dotted, words};
use daybook_engine::view::{
    EventFacts, Facet, ListPage, ListPlace, ListRequest, Lost, Ordinals, Part, Prefilter, Session,
    SessionRun, SessionSet, Sessions, Snapshot, Stretch, Visit, Weights,
};
use daybook_engine::{Error, OWN_SEQ_MIN};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A stored event.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: String,
    pub line: String,
    pub facts: EventFacts,
}

impl Stored {
    pub fn event(&self) -> Event<'_> {
        Event::decode(self.line.as_bytes()).unwrap()
    }

    pub fn texts(&self) -> Vec<String> {
        Texts::of(&self.event()).iter().map(|(_, text)| text.to_owned()).collect()
    }
}

struct ModelPart {
    base: Offset,
    sealed: bool,
    /// By ordinal.
    events: Vec<Stored>,
}

impl ModelPart {
    fn may(&self, ordinal: usize, narrow: &Narrow) -> bool {
        let stored = &self.events[ordinal];
        match narrow {
            Narrow::All => true,
            Narrow::None => false,
            Narrow::Kind(kinds) => kinds.contains(&stored.facts.kind),
            Narrow::Verdict(verdicts) => {
                stored.facts.verdict.is_some_and(|v| verdicts.contains(&v))
            }
            Narrow::Number(number, range) => {
                number.of(&stored.event()).is_some_and(|n| range.contains(&n))
            }
            Narrow::And(all) => all.iter().all(|n| self.may(ordinal, n)),
            Narrow::Or(any) => any.iter().any(|n| self.may(ordinal, n)),
            Narrow::Word(fields, shape) => {
                Texts::of(&stored.event()).iter().any(|(field, text)| {
                    (*fields == Fields::Any || *fields == Fields::One(field))
                        && words(text).chain(dotted(text)).any(|range| {
                            let word = text[range].to_ascii_lowercase();
                            match shape {
                                WordShape::Is(w) => word == *w,
                                WordShape::StartsWith(w) => word.starts_with(w),
                                WordShape::EndsWith(w) => word.ends_with(w),
                                WordShape::Contains(w) => word.contains(w),
                            }
                        })
                })
            }
        }
    }

    fn run(&self, test: impl Fn(&Stored) -> bool) -> Option<SessionRun> {
        let mut ordinals: Vec<u32> =
            (0..self.len()).filter(|o| test(&self.events[*o as usize])).collect();
        let key = self.events[*ordinals.first()? as usize].facts.session;
        ordinals.sort_by_key(|o| self.events[*o as usize].facts.seq);
        let ordinals = if self.sealed {
            Ordinals::Range(ordinals[0]..ordinals[ordinals.len() - 1] + 1)
        } else {
            Ordinals::List(ordinals)
        };
        Some(SessionRun { key, ordinals })
    }
}

impl Part for ModelPart {
    fn len(&self) -> u32 {
        self.events.len() as u32
    }

    fn sealed(&self) -> bool {
        self.sealed
    }

    fn base(&self) -> Offset {
        self.base
    }

    fn end(&self) -> Offset {
        Offset(self.base.0 + self.events.len() as u64)
    }

    fn time_range(&self) -> Option<(Micros, Micros)> {
        let times = || self.events.iter().map(|e| e.facts.time);
        Some((times().min()?, times().max()?))
    }

    fn facts(&self, ordinal: u32) -> Option<EventFacts> {
        self.events.get(ordinal as usize).map(|e| e.facts)
    }

    fn stretches(&self) -> Arc<[Stretch]> {
        let mut offsets: Vec<&EventFacts> = self.events.iter().map(|e| &e.facts).collect();
        offsets.sort_by_key(|facts| facts.offset);
        let stretch = |facts: &[&EventFacts]| Stretch {
            from: facts[0].offset,
            to: Offset(facts[facts.len() - 1].offset.0 + 1),
            times: (
                facts.iter().map(|f| f.time).min().unwrap(),
                facts.iter().map(|f| f.time).max().unwrap(),
            ),
        };
        offsets.chunks(5).map(stretch).collect()
    }

    fn narrow_to_sessions(&self, wanted: &dyn Fn(SessionKey) -> bool) -> Option<Narrowed> {
        let wanted = self.events.iter().filter(|event| wanted(event.facts.session));
        let mut offsets: Vec<u64> = wanted.map(|event| event.facts.offset.0).collect();
        offsets.sort_unstable();
        self.sealed.then(|| offsets.into())
    }

    fn ordinal_of(&self, offset: Offset) -> Option<u32> {
        self.events.iter().position(|e| e.facts.offset == offset).map(|o| o as u32)
    }

    fn ordinals_of(&self, offsets: &[u64]) -> Result<Vec<u32>, Error> {
        let mut ordinals: Vec<u32> =
            offsets.iter().map(|offset| self.ordinal_of(Offset(*offset)).unwrap()).collect();
        ordinals.sort_unstable();
        Ok(ordinals)
    }

    fn session(&self, id: &str) -> Result<Option<SessionRun>, Error> {
        Ok(self.run(|e| e.id == id))
    }

    fn session_by_key(&self, key: SessionKey) -> Result<Option<SessionRun>, Error> {
        Ok(self.run(|e| e.facts.session == key))
    }

    fn narrow_offsets(&self, narrow: &Narrow) -> Result<Option<Narrowed>, Error> {
        // Only segments have an index here.
        Ok(self.sealed.then(|| {
            let may = (0..self.events.len()).filter(|ordinal| self.may(*ordinal, narrow));
            let mut offsets: Vec<u64> = may.map(|o| self.events[o].facts.offset.0).collect();
            offsets.sort_unstable();
            offsets.into()
        }))
    }

    fn read_past(
        &self,
        ordinals: &Ordinals,
        prefilter: Option<Prefilter<'_>>,
        _: Lost<'_>,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        for ordinal in ordinals.iter() {
            let Stored { line, facts, .. } = &self.events[ordinal as usize];
            if prefilter.is_some_and(|test| !test(line.as_bytes())) {
                continue;
            }
            let record = Record {
                offset: facts.offset,
                previous: None,
                seq: facts.seq,
                time: facts.time,
                kind: facts.kind,
                verdict: facts.verdict,
                received: Micros(1_772_000_000_000_000),
                producer: "",
                retry: None,
                json: line.as_bytes(),
            };
            if visit(ordinal, record)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

pub struct ModelSessions(pub BTreeMap<String, (SessionKey, Arc<SessionState>)>);

impl ModelSessions {
    pub fn all(&self) -> impl Iterator<Item = Session> + '_ {
        self.0.iter().map(|(id, (key, state))| Session {
            id: id.as_str().into(),
            key: *key,
            state: state.clone(),
        })
    }

    pub fn matching(&self, filter: &SessionFilter) -> Vec<Session> {
        self.all().filter(|s| filter.matches(&s.id, s.key, &s.state)).collect()
    }
}

impl Sessions for ModelSessions {
    fn get(&self, id: &str) -> Result<Option<Session>, Error> {
        Ok(self.all().find(|s| &*s.id == id))
    }

    fn by_key(&self, key: SessionKey) -> Result<Option<Session>, Error> {
        Ok(self.all().find(|s| s.key == key))
    }

    fn list(&self, request: &ListRequest) -> Result<ListPage, Error> {
        let mut items = self.matching(&request.filter);
        let count = items.len() as u64;
        let place =
            |s: &Session| ListPlace { value: request.sort.by.of(&s.id, &s.state), key: s.key };
        let turn = |order: Ordering| if request.sort.descending { order.reverse() } else { order };
        let rank = |a: &ListPlace, b: &ListPlace| {
            let none = a.value.is_none().cmp(&b.value.is_none());
            none.then(turn(a.value.cmp(&b.value))).then(turn(a.key.cmp(&b.key)))
        };
        items.sort_by(|a, b| rank(&place(a), &place(b)));
        items.retain(|s| request.after.as_ref().is_none_or(|after| rank(&place(s), after).is_gt()));
        let more = items.len() > request.limit;
        items.truncate(request.limit);
        let next = items.last().map(place).filter(|_| more);
        Ok(ListPage { items, count, next })
    }

    fn keys(&self, filter: &SessionFilter) -> Result<Arc<SessionSet>, Error> {
        let keys: SessionSet = self.matching(filter).iter().map(|s| s.key).collect();
        Ok(Arc::new(keys))
    }

    fn facets(
        &self,
        filter: &SessionFilter,
        weights: Weights<'_>,
        fields: &[TextFact],
        limit: usize,
    ) -> Result<Vec<(TextFact, Facet)>, Error> {
        let of_field = |fact: &TextFact| {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for session in self.matching(filter) {
                let values = std::cell::RefCell::new(HashSet::new());
                fact.any(&session.id, &session.state, |value| {
                    values.borrow_mut().insert(value.to_owned());
                    false
                });
                for value in values.into_inner() {
                    *counts.entry(value).or_default() += weights.of(session.key);
                }
            }
            let mut counts: Facet = counts.into_iter().filter(|(_, count)| *count > 0).collect();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            counts.truncate(limit);
            (*fact, counts)
        };
        Ok(fields.iter().map(of_field).collect())
    }

    fn each_numbers(
        &self,
        filter: &SessionFilter,
        facts: &[NumberFact],
        visit: &mut dyn FnMut(&[Option<i64>]),
    ) -> Result<(), Error> {
        for session in self.matching(filter) {
            let numbers: Vec<_> = facts.iter().map(|fact| fact.of(&session.state)).collect();
            visit(&numbers);
        }
        Ok(())
    }

    fn count(&self) -> Result<u64, Error> {
        Ok(self.0.len() as u64)
    }
}

/// A log with everything that is in it, in the order of arrival.
pub struct Model {
    pub events: Vec<Stored>,
    pub sessions: Arc<ModelSessions>,
    pub snapshot: Snapshot,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.snapshot.parts {
            writeln!(f, "part from {} of {}", part.base(), part.len())?;
        }
        self.events.iter().try_for_each(|e| writeln!(f, "{}", e.line))
    }
}

impl Model {
    /// Lines in the order of arrival, in parts of these sizes (the last part has the rest and is a
    /// journal).
    pub fn new(lines: Vec<String>, sizes: &[usize]) -> Model {
        let mut states: BTreeMap<String, (SessionKey, SessionState, u32)> = BTreeMap::new();
        let mut events = Vec::new();
        for (offset, line) in lines.into_iter().enumerate() {
            let event = Event::decode(line.as_bytes()).unwrap();
            let key = SessionKey(offset as u64);
            let id = event.session.to_string();
            let entry = states.entry(id.clone()).or_insert_with(|| (key, <_>::default(), 0));
            let seq = event.seq.unwrap_or(Seq(entry.2));
            if seq < OWN_SEQ_MIN {
                entry.2 = entry.2.max(seq.0 + 1);
            }
            let facts = EventFacts {
                offset: Offset(offset as u64),
                seq,
                time: event.time,
                kind: event.body.kind(),
                verdict: event.body.verdict(),
                session: entry.0,
            };
            entry.1.apply(Change::of(event, seq, line.len() as u64));
            events.push(Stored { id, line, facts });
        }
        let mut parts: Vec<Arc<dyn Part>> = Vec::new();
        let mut rest = events.as_slice();
        for size in sizes.iter().copied().chain([usize::MAX]) {
            let (some, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            if let Some(first) = some.first() {
                let (base, sealed) = (first.facts.offset, size != usize::MAX);
                let mut events = some.to_vec();
                if sealed {
                    events.sort_by_key(|e| (e.facts.session, e.facts.seq));
                }
                parts.push(Arc::new(ModelPart { base, sealed, events }));
            }
        }
        let sessions = states.into_iter().map(|(id, (key, s, _))| (id, (key, Arc::new(s))));
        let sessions = Arc::new(ModelSessions(sessions.collect()));
        let snapshot = Snapshot { parts, sessions: sessions.clone() };
        Model { events, sessions, snapshot }
    }

    /// A session's events by `seq`.
    pub fn of(&self, id: &str) -> Vec<&Stored> {
        let mut events: Vec<_> = self.events.iter().filter(|e| e.id == id).collect();
        events.sort_by_key(|e| e.facts.seq);
        events
    }
}
