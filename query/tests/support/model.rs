//! Searches by reading everything: the reference for every faster way.

use daybook_engine::event::wire::Event;
use daybook_engine::event::{Micros, Offset, Seq, SessionKey};
use daybook_engine::screen::{Context, Seen, Size};
use daybook_engine::session::{Change, SessionState};
use daybook_engine::view::{EventFacts, SessionSet};
use daybook_query::lang::{Matcher, Query, SessionCondition};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

/// Events as they were sent, with their sessions.
#[derive(Default)]
pub struct Model {
    pub lines: Vec<(EventFacts, Box<[u8]>)>,
    /// What was seen with each event.
    pub seen: Vec<Seen>,
    pub sessions: BTreeMap<SessionKey, (String, SessionState)>,
    keys: HashMap<String, SessionKey>,
    terminals: HashMap<SessionKey, (Context, Size)>,
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
        let (context, size) = self.terminals.entry(key).or_default();
        *size = Size::of(&event).unwrap_or(*size);
        self.seen.push(context.seen(&event, *size));
        context.push(&event);
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

    /// Does an event of the model match?
    pub fn matches(&self, matcher: &Matcher, facts: &EventFacts, event: &Event<'_>) -> bool {
        matcher.matches(facts, event, &mut || Arc::new(self.seen_with(facts).clone()))
    }

    /// What was seen with an event of the model.
    pub fn seen_with(&self, facts: &EventFacts) -> &Seen {
        &self.seen[facts.offset.0 as usize]
    }

    /// The offsets of the events that match, and their sessions.
    pub fn search(&self, query: &Query) -> (Vec<Offset>, SessionSet) {
        let matcher = self.matcher(query);
        let (mut offsets, mut sessions) = (Vec::new(), SessionSet::default());
        for (facts, line) in &self.lines {
            if self.matches(&matcher, facts, &Event::decode(line).unwrap()) {
                offsets.push(facts.offset);
                sessions.insert(facts.session);
            }
        }
        (offsets, sessions)
    }

    /// The sessions that satisfy a condition.
    pub fn resolve(&self, condition: &SessionCondition) -> SessionSet {
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
                .reduce(|a, b| a.intersection(&b))
                .unwrap_or_default(),
            SessionCondition::InOrder(queries, within) => {
                // Every sequence so far: its session, its last event's seq, its first event's time.
                let mut reached: Option<HashSet<(SessionKey, Seq, Micros)>> = None;
                for query in queries {
                    let mut next = HashSet::new();
                    for offset in self.search(query).0 {
                        let facts = self.lines[offset.0 as usize].0;
                        let starts = match &reached {
                            None => vec![facts.time],
                            Some(all) => all
                                .iter()
                                .filter(|(key, seq, began)| {
                                    *key == facts.session
                                        && *seq < facts.seq
                                        && within.is_none_or(|w| facts.time.0 - began.0 <= w)
                                })
                                .map(|(_, _, began)| *began)
                                .collect(),
                        };
                        next.extend(starts.into_iter().map(|at| (facts.session, facts.seq, at)));
                    }
                    reached = Some(next);
                }
                reached.unwrap_or_default().into_iter().map(|(key, _, _)| key).collect()
            }
        }
    }
}
