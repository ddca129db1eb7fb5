//! Searches by reading everything: the reference for every faster way.

use daybook_engine::event::wire::Event;
use daybook_engine::event::{Offset, Seq, SessionKey};
use daybook_engine::session::{Change, SessionState};
use daybook_engine::view::EventFacts;
use daybook_query::lang::{Matcher, Query, SessionCondition};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

/// Events as they were sent, with their sessions.
#[derive(Default)]
pub struct Model {
    pub lines: Vec<(EventFacts, Box<[u8]>)>,
    pub sessions: BTreeMap<SessionKey, (String, SessionState)>,
    keys: HashMap<String, SessionKey>,
}

impl Model {
    /// Adds an event; it gets the next offset.
    pub fn push(&mut self, line: &[u8]) {
        let event = Event::decode(line).unwrap_or_else(|e| panic!("{e}"));
        let offset = self.lines.len() as u64;
        let key = *self.keys.entry(event.session.to_string()).or_insert(SessionKey(offset));
        let seq = event.seq.unwrap_or(Seq(offset as u32));
        let facts = EventFacts {
            offset: Offset(offset),
            seq,
            time: event.time,
            kind: event.body.kind(),
            verdict: event.body.verdict(),
            session: key,
        };
        let id = event.session.to_string();
        let (_, state) = self.sessions.entry(key).or_insert_with(|| (id, SessionState::default()));
        state.apply(Change::of(event, seq, line.len() as u64));
        self.lines.push((facts, line.into()));
    }

    /// A matcher whose conditions on sessions are answered from the model.
    pub fn matcher(&self, query: &Query) -> Matcher {
        let made: Result<Matcher, Infallible> =
            Matcher::new(query, &mut |condition| Ok(Arc::new(self.resolve(condition))));
        made.unwrap()
    }

    /// The offsets of the events that match, and their sessions.
    pub fn search(&self, query: &Query) -> (Vec<Offset>, HashSet<SessionKey>) {
        let matcher = self.matcher(query);
        let (mut offsets, mut sessions) = (Vec::new(), HashSet::new());
        for (facts, line) in &self.lines {
            if matcher.matches(facts, &Event::decode(line).unwrap()) {
                offsets.push(facts.offset);
                sessions.insert(facts.session);
            }
        }
        (offsets, sessions)
    }

    /// The sessions that satisfy a condition.
    pub fn resolve(&self, condition: &SessionCondition) -> HashSet<SessionKey> {
        match condition {
            SessionCondition::Filter(filter) => self
                .sessions
                .iter()
                .filter(|(key, (id, state))| filter.matches(id, **key, state))
                .map(|(key, _)| *key)
                .collect(),
            SessionCondition::Together(queries) => queries
                .iter()
                .map(|query| self.search(query).1)
                .reduce(|a, b| a.intersection(&b).copied().collect())
                .unwrap_or_default(),
            SessionCondition::InOrder(queries) => {
                // How far each session has come: the seq of the last step's earliest event.
                let mut reached: Option<HashMap<SessionKey, Seq>> = None;
                for query in queries {
                    let mut next: HashMap<SessionKey, Seq> = HashMap::new();
                    for offset in self.search(query).0 {
                        let facts = self.lines[offset.0 as usize].0;
                        let after = match &reached {
                            None => true,
                            Some(r) => r.get(&facts.session).is_some_and(|seq| facts.seq > *seq),
                        };
                        if after {
                            let first = next.entry(facts.session).or_insert(facts.seq);
                            *first = (*first).min(facts.seq);
                        }
                    }
                    reached = Some(next);
                }
                reached.unwrap_or_default().into_keys().collect()
            }
        }
    }
}
