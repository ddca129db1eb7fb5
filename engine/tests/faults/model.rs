//! What has to be in the log: events, when they were sent and when they were acknowledged.

use daybook_engine::event::Offset;
use daybook_engine::{Ack, Batch, Engine, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A session and an event's number in it.
pub type Name = (String, u32);

/// An event that was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub line: String,
    /// How many operations the disk had done before it was sent; 0: it may have been there before.
    pub sent: u64,
    /// How many it had done when the acknowledgement was here.
    pub acked: Option<u64>,
    /// How many it had done when a pass of retention began that may have erased it.
    pub erasable: Option<u64>,
    /// Other contents that were sent under its name: what was erased may be sent again as something else.
    pub others: Vec<String>,
}

/// All events that were sent. What is sent again under the same name is a duplicate or a conflict, so
/// that the first content of a name is the one that counts.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub events: BTreeMap<Name, Sent>,
    /// Checkpoints that were handed out, and how many operations the disk had done by then.
    pub checkpoints: Vec<(u64, String)>,
    /// Sessions under a legal hold.
    pub held: BTreeSet<String>,
}

/// Sessions that retention may erase.
const SHORT: [&str; 2] = ["s4", "s5"];

/// The resource role of a session: that of some is not kept for long.
pub fn role(session: &str) -> &'static str {
    if SHORT.contains(&session) { "short" } else { "prod" }
}

impl Model {
    /// What a crash after an operation may find: whether each event has to be there, and as what.
    pub fn after(&self, operation: u64) -> BTreeMap<&Name, (bool, Vec<&str>)> {
        let sent = |event: &Sent| event.sent == 0 || event.sent < operation;
        let events = self.events.iter().filter(|(_, event)| sent(event));
        events
            .map(|(name, event)| {
                let gone = event.erasable.is_some_and(|erasable| erasable < operation);
                let must = event.acked.is_some_and(|acked| acked <= operation) && !gone;
                // What a crash has left may be any of them.
                let any = gone || event.sent == 0;
                let others = event.others.iter().filter(|_| any).map(String::as_str);
                let lines = std::iter::once(event.line.as_str()).chain(others).collect();
                (name, (must, lines))
            })
            .collect()
    }

    /// The model of a disk that a crash after an operation has left: what was acknowledged is.
    pub fn crashed(&self, operation: u64) -> Model {
        let events = self.after(operation).into_iter().map(|(name, (must, lines))| {
            let mut lines = lines.into_iter().map(str::to_owned);
            let line = lines.next().unwrap_or_default();
            let (acked, others) = (must.then_some(0), lines.collect());
            (name.clone(), Sent { line, sent: 0, acked, erasable: None, others })
        });
        let known = self.checkpoints.iter().filter(|(at, _)| *at <= operation);
        let checkpoints = known.map(|(_, note)| (0, note.clone())).collect();
        Model { events: events.collect(), checkpoints, held: self.held.clone() }
    }

    /// Says that these lines are about to be sent.
    pub fn send(&mut self, events: &[(Name, String)], operations: u64) {
        for (name, line) in events {
            let new = Sent { line: line.clone(), sent: operations, ..Sent::default() };
            let known = self.events.entry(name.clone()).or_insert(new);
            if known.line != *line && !known.others.contains(line) {
                known.others.push(line.clone());
            }
        }
    }

    /// Says what an event is that was found.
    pub fn found(&mut self, name: &Name, line: &str) {
        if let Some(event) = self.events.get_mut(name) {
            event.line = line.to_owned();
            event.others.clear();
        }
    }

    /// Says that a pass of retention is about to begin.
    pub fn retain(&mut self, operations: u64) {
        for ((session, _), event) in &mut self.events {
            if role(session) == "short" && !self.held.contains(session) {
                event.erasable.get_or_insert(operations);
            }
        }
    }

    /// Says that these lines have been acknowledged.
    pub fn acked(&mut self, events: &[(Name, String)], operations: u64) {
        for (name, _) in events {
            if let Some(event) = self.events.get_mut(name) {
                event.acked.get_or_insert(operations);
            }
        }
    }
}

/// A batch of lines.
pub fn batch<'a>(lines: impl IntoIterator<Item = &'a str>) -> Batch {
    let mut batch = Batch::new();
    for (at, line) in lines.into_iter().enumerate() {
        batch.push(at as u64 + 1, line.as_bytes()).unwrap();
    }
    batch
}

/// Sends several batches at once, so that they may be written as one group, and answers the
/// acknowledgements in order.
pub fn append_all(
    engine: &Arc<Engine>,
    batches: Vec<Batch>,
    each: &mut dyn FnMut(usize, Result<Ack, Error>),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = batches
            .into_iter()
            .map(|batch| {
                let engine = Arc::clone(engine);
                tokio::spawn(async move { engine.append(batch).await })
            })
            .collect();
        for (at, task) in tasks.into_iter().enumerate() {
            each(at, task.await.unwrap());
        }
    });
}

/// The offsets of an acknowledgement name as many events as it says.
pub fn check_ack(ack: &Ack, events: usize) {
    let all = ack.accepted as usize + ack.duplicates as usize + ack.rejected.len();
    assert_eq!(all, events, "every line has an answer: {ack:?}");
    let Some((Offset(first), Offset(last))) = ack.first_offset.zip(ack.last_offset) else {
        return assert_eq!(ack.accepted, 0);
    };
    assert_eq!(last - first + 1, ack.accepted);
}
