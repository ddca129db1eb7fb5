//! Events as templates: everything but the session's id, which is new each time they are sent.

use crate::demo;
use crate::demo::rng::Rng;
use crate::import::{Chunks, open};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use daybook_engine::event::Micros;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Events to send.
pub struct Pool {
    /// The number of each event's session, and its line after the session's id, in order.
    lines: Vec<(u32, Box<[u8]>)>,
    sessions: usize,
    /// Tells the sessions of this run from those of others.
    run: String,
}

impl Pool {
    /// Generated sessions, as the demo has them.
    ///
    /// # Errors
    /// None in fact.
    pub fn generate(sessions: usize) -> anyhow::Result<Pool> {
        let options = demo::Options { seed: demo::SEED, now: Micros::now(), sessions };
        let mut pool = Pool::empty();
        let mut numbers = HashMap::new();
        for line in demo::lines(&options) {
            pool.push(line.as_bytes(), sessions, &mut numbers)?;
        }
        Ok(pool)
    }

    /// The sessions of a file, the first so many of them.
    ///
    /// # Errors
    /// A file that can't be read or holds no event.
    pub fn read(path: &Path, sessions: usize) -> anyhow::Result<Pool> {
        let opened = open(path).with_context(|| format!("can't open {}", path.display()))?;
        let mut chunks = Chunks::new(path, opened, &crate::asciicast::Labels::default())?;
        let mut pool = Pool::empty();
        let mut numbers = HashMap::new();
        while let Some(chunk) = chunks.next_chunk()? {
            for (line, number) in chunk.bytes.split(|b| *b == b'\n').zip(chunk.first_line..) {
                if !line.trim_ascii().is_empty() {
                    pool.push(line, sessions, &mut numbers)
                        .with_context(|| format!("{}:{number}", path.display()))?;
                }
            }
        }
        if pool.lines.is_empty() {
            bail!("{} holds no events", path.display());
        }
        Ok(pool)
    }

    fn empty() -> Pool {
        let seed = Micros::now().0.unsigned_abs() ^ u64::from(std::process::id());
        Pool { lines: Vec::new(), sessions: 0, run: Rng::new(seed).id(8) }
    }

    fn push(
        &mut self,
        line: &[u8],
        sessions: usize,
        numbers: &mut HashMap<String, u32>,
    ) -> anyhow::Result<()> {
        let mut fields: Map<String, Value> =
            serde_json::from_slice(line).context("the line is no event")?;
        let Some(Value::String(session)) = fields.remove("session") else {
            bail!("the event has no session");
        };
        let next = numbers.len() as u32;
        let number = match numbers.get(&session) {
            Some(number) => *number,
            None if numbers.len() == sessions => return Ok(()),
            None => {
                numbers.insert(session, next);
                next
            }
        };
        self.sessions = numbers.len();
        let rest = Value::Object(fields).to_string();
        let rest = rest.strip_prefix('{').unwrap_or(&rest);
        self.lines.push((number, rest.as_bytes().into()));
        Ok(())
    }

    /// How many sessions it has.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions
    }

    /// How many events it has.
    #[must_use]
    pub fn events(&self) -> usize {
        self.lines.len()
    }

    /// The share of one producer of `of`: the events of every `of`-th session, round after round. A
    /// producer beyond the last session shares with another one.
    #[must_use]
    pub fn producer(self: &Arc<Pool>, number: usize, of: usize) -> Producer {
        let share = number % self.sessions.clamp(1, of.max(1));
        let mine = |session: u32| session as usize % self.sessions.clamp(1, of.max(1)) == share;
        let lines = (0..).zip(&self.lines).filter(|(_, (s, _))| mine(*s)).map(|(i, _)| i).collect();
        Producer { pool: Arc::clone(self), number, lines, at: 0, round: 0 }
    }
}

/// One producer's events.
pub struct Producer {
    pool: Arc<Pool>,
    number: usize,
    lines: Vec<u32>,
    at: usize,
    round: u64,
}

impl Producer {
    /// The next so many events as lines.
    pub fn batch(&mut self, events: usize) -> Bytes {
        let mut out = Vec::with_capacity(events * 320);
        for _ in 0..events {
            if self.at == self.lines.len() {
                self.at = 0;
                self.round += 1;
            }
            let index = self.lines.get(self.at).copied().unwrap_or(0) as usize;
            self.at += 1;
            let Some((session, rest)) = self.pool.lines.get(index) else { break };
            let id = format!(
                "{{\"session\":\"load-{}-{}-{}-{session}\",",
                self.pool.run, self.number, self.round
            );
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(rest);
            out.push(b'\n');
        }
        out.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use daybook_engine::event::wire::Event;
    use std::collections::HashSet;

    #[test]
    fn no_event_is_ever_sent_twice_and_each_is_whole() {
        let pool = Arc::new(Pool::generate(5).unwrap());
        let mut seen = HashSet::new();
        for number in 0..8 {
            let mut producer = pool.producer(number, 8);
            for _ in 0..3 {
                let batch = producer.batch(pool.events());
                for line in batch.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                    let event = Event::decode(line).unwrap();
                    assert!(seen.insert((event.session.into_owned(), event.seq)));
                }
            }
        }
        assert_eq!(seen.len(), pool.events() * 24);
    }
}
