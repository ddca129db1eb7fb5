//! daybook's own sessions: what it tells of itself, and what people did at it.
//!
//! Holds, deletions and losses are events of the session `daybook`, whose user, role and type are
//! `daybook` too. Each line carries its number before it is written anywhere, so that a line that was
//! noted down (see [`crate::retention`]) can be given to the log again after a crash: the log takes it
//! once. Retention never deletes this session, and no producer can write to it.
//!
//! What people did is told as `access` events in further sessions ([`OwnSession`]), numbered by the log: an [`Act`] is
//! one of them. What acts amount to is the server's business, which reads them again when it starts.

use super::shared::Shared;
use crate::batch::{Ack, Batch, OWN_SESSION, OwnSession};
use crate::error::Error;
use crate::event::wire::{Access, Body, Event, Retention, Start};
use crate::event::{Kind, Micros, Seq};
use crate::view::{Ordinals, Sessions as _};
use parking_lot::Mutex;
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long a line waits for room in the queue.
const PATIENCE: Duration = Duration::from_secs(30);

/// The numbering of daybook's own events; `None` until it was looked up.
#[derive(Debug, Default)]
pub(crate) struct Own {
    next: Mutex<Option<u32>>,
    /// Held while acts are told.
    acts: Mutex<()>,
}

/// One thing that somebody did at this node, as the log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Its number in its session.
    pub seq: Seq,
    /// When it was done.
    pub time: Micros,
    /// By whom, what, to what.
    pub access: Access,
}

#[derive(Serialize)]
struct Line<'a, B: Serialize> {
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
    time: String,
    kind: Kind,
    #[serde(flatten)]
    body: B,
}

impl<B: Serialize> Line<'_, B> {
    fn write(session: &str, seq: Option<u32>, kind: Kind, body: B) -> Result<Box<str>, Error> {
        let time = Micros::now().to_string();
        let line = Line { session, seq: seq.map(Seq), time, kind, body };
        serde_json::to_string(&line).map(Into::into).map_err(|error| wrong(&error))
    }
}

fn wrong(what: &dyn std::fmt::Display) -> Error {
    Error::Refused { what: format!("daybook's own event can't be written: {what}") }
}

impl Shared {
    /// The line of an event of daybook's own, numbered.
    ///
    /// # Errors
    /// A damaged index, from which its number can't be told.
    pub(crate) fn own_line(&self, told: &Retention) -> Result<Box<str>, Error> {
        let mut next = self.own.next.lock();
        let seq = match *next {
            Some(seq) => seq,
            None => self.first_free()?,
        };
        let line = Line::write(OWN_SESSION, Some(seq), Kind::Retention, told)?;
        *next = Some(seq + 1);
        Ok(line)
    }

    /// The number after all that were given; 0 is the session's start.
    fn first_free(&self) -> Result<u32, Error> {
        let mut last = 0;
        for part in self.snapshot().parts {
            if let Some(run) = part.session(OWN_SESSION)? {
                let facts = run.ordinals.len().checked_sub(1).and_then(|at| run.ordinals.get(at));
                last = last.max(facts.and_then(|at| part.facts(at)).map_or(0, |facts| facts.seq.0));
            }
        }
        for line in self.retention.noted()? {
            let seq = Event::decode(line.as_bytes()).ok().and_then(|event| event.seq);
            last = last.max(seq.map_or(0, |seq| seq.0));
        }
        Ok(last + 1)
    }

    /// Appends lines of [`Shared::own_line`]; those that the log has already are left as they are.
    ///
    /// # Errors
    /// The log takes no events, or none for a long time; then the lines are to be tried again.
    pub(crate) fn tell(&self, lines: &[Box<str>]) -> Result<(), Error> {
        // One at a time, so that the session's start is written once.
        let _one = self.own.next.lock();
        self.append_own(OWN_SESSION, lines)
    }

    /// Tells what was done, in the order of `acts`; all of it, or nothing. It is durable when this answers.
    ///
    /// # Errors
    /// The log takes no events, or none for a long time; then nothing was told.
    pub(crate) fn tell_acts(&self, session: OwnSession, acts: &[Access]) -> Result<(), Error> {
        let _one = self.own.acts.lock();
        let lines = acts.iter().map(|act| Line::write(session.id(), None, Kind::Access, act));
        self.append_own(session.id(), &lines.collect::<Result<Vec<_>, Error>>()?)
    }

    /// Calls `visit` with what was done after an act, the oldest first.
    ///
    /// # Errors
    /// A part of the log that can't be read.
    pub(crate) fn acts(
        &self,
        session: OwnSession,
        after: Option<Seq>,
        visit: &mut dyn FnMut(Act),
    ) -> Result<(), Error> {
        // Parts come in the order of the log, in which a session of this kind is numbered.
        for part in self.snapshot().parts {
            let Some(run) = part.session(session.id())? else { continue };
            // From the last one back: there are few new ones, and many old ones.
            let is_new = |ordinal: &u32| {
                part.facts(*ordinal).is_some_and(|facts| after.is_none_or(|seq| facts.seq > seq))
            };
            let backwards = (0..run.ordinals.len()).rev().filter_map(|at| run.ordinals.get(at));
            let mut new: Vec<u32> = backwards.take_while(is_new).collect();
            part.check()?;
            new.reverse();
            let new = Ordinals::List(new);
            part.read(&new, None, &mut |_, record| {
                let event = record.event()?;
                if let Body::Access(access) = event.body {
                    visit(Act { seq: record.seq, time: event.time, access: *access });
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    fn append_own(&self, session: &str, lines: &[Box<str>]) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut batch = Batch::new();
            if self.catalog.get(session)?.is_none_or(|known| known.state.start.is_none()) {
                let name = || Some(OWN_SESSION.into());
                let (user, role, kind) = (name(), Some(session.into()), name());
                let start = Start { user, role, kind, ..Start::default() };
                let start = Line::write(session, Some(0), Kind::SessionStart, start)?;
                batch.push_own(start.as_bytes()).map_err(|what| wrong(&what))?;
            }
            for line in lines {
                batch.push_own(line.as_bytes()).map_err(|what| wrong(&what))?;
            }
            match self.append_blocking(batch) {
                Ok(Ack { rejected, .. }) => {
                    return rejected
                        .first()
                        .map_or(Ok(()), |rejection| Err(wrong(&rejection.error)));
                }
                Err(Error::Busy { .. }) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn append_blocking(&self, batch: Batch) -> Result<Ack, Error> {
        if let Some(reason) = self.read_only_reason() {
            return Err(Error::ReadOnly { reason });
        }
        self.queue.push(batch)?.blocking_recv().map_err(|_| Error::Closed)?
    }
}
