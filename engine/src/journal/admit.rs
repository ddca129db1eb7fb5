//! Admission: what becomes of an event, and why one is refused.
//!
//! Each is compared with what has been stored (exactly once) and with the bounds of the log and of its
//! session. A refusal names the bound; it never stops the events beside it.

use super::seen::{SeenSession, SeqSet};
use super::writer::{Stamps, Writer};
use crate::batch::{Ack, Batch, Incoming, OWN_SEQ_MIN, Origin, Rejection, Sender, is_own};
use crate::block::{Record, Retry};
use crate::error::Error;
use crate::event::time::excerpt;
use crate::event::wire::Event;
use crate::event::{Kind, Micros, Offset, Seq, SessionKey, Verdict};
use crate::view::{Ordinals, Part as _, Sessions as _};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

/// What becomes of an event.
enum Admission {
    New(Admitted),
    Duplicate,
    Refused(String),
}

/// An event that is stored.
pub(super) struct Admitted {
    pub seq: Seq,
    pub id: Arc<str>,
    pub key: SessionKey,
    /// The session's event before it.
    pub previous: Option<Offset>,
    /// It is the first that is known of its session.
    pub new: bool,
}

impl Writer {
    /// Puts a batch's new events into blocks.
    pub(super) fn admit(&mut self, batch: Batch) -> Result<Ack, Error> {
        let (origin, lines, events) = batch.into_parts();
        let received = Micros::now();
        let mut ack = Ack::default();
        for event in events {
            let line = event.line(&lines);
            let retry = origin.retry(&event, line);
            match self.admission(&event, line, (&origin, retry))? {
                Admission::Duplicate => ack.duplicates += 1,
                Admission::Refused(error) => {
                    ack.rejected.push(Rejection { line: event.number, error });
                }
                Admission::New(admitted) => {
                    ack.accepted += 1;
                    ack.first_offset.get_or_insert(self.next);
                    ack.last_offset = Some(self.next);
                    if let Some(retry) = retry {
                        self.seen.insert_retry(retry, self.journal.base());
                    }
                    let stamps = Stamps { received, producer: origin.producer(), retry };
                    self.stage(event, line, admitted, stamps)?;
                }
            }
        }
        Ok(ack)
    }

    fn admission(
        &mut self,
        event: &Incoming,
        line: &[u8],
        (origin, retry): (&Origin, Option<Retry>),
    ) -> Result<Admission, Error> {
        // What daybook has to tell of itself is bounded by what it does.
        let own = is_own(&event.session);
        if !own && let Some(refusal) = self.over_bounds(event, line) {
            return Ok(Admission::Refused(refusal));
        }
        if let Some(retry) = retry {
            match self.retried(retry) {
                Ok(false) => {}
                Ok(true) => return Ok(Admission::Duplicate),
                Err(error) => {
                    return Ok(Admission::Refused(format!(
                        "can't be checked for being new: {error}"
                    )));
                }
            }
        }
        let next = self.next;
        let new = match self.recall(&event.session) {
            Ok(new) => new,
            // Without the segment that may hold it, nobody can say whether this event is new.
            Err(error) => {
                return Ok(Admission::Refused(format!("can't be checked for being new: {error}")));
            }
        };
        if let Some(sender) = origin.sender.as_deref()
            && let Some(refusal) = self.not_its_own(&event.session, new, sender)
        {
            return Ok(Admission::Refused(refusal));
        }
        let events_max = self.shared.options.session_events_max;
        let Some(session) = self.seen.get_mut(&event.session) else {
            return Ok(Admission::Refused("the session can't be looked up".to_owned()));
        };
        let seq = match event.seq {
            Some(seq) if session.seqs.contains(seq) => {
                return self.repeated(&event.session, seq, line);
            }
            _ if !own && session.seqs.holds(events_max) => {
                return Ok(Admission::Refused(format!(
                    "session `{}` has {events_max} events, as many as it may (session_events_max); go on in another session",
                    excerpt(&event.session)
                )));
            }
            Some(seq) => seq,
            None => match session.seqs.next_within(numbers(origin.apart)) {
                Some(seq) => seq,
                None => {
                    return Ok(Admission::Refused("the session has no numbers left".to_owned()));
                }
            },
        };
        session.seqs.insert(seq);
        session.touched = self.journal.base();
        if new {
            session.key = SessionKey(next.0);
        }
        let previous = session.last.replace(next);
        let (id, key) = (Arc::clone(&session.id), session.key);
        Ok(Admission::New(Admitted { seq, id, key, previous, new }))
    }

    /// What a line or its session has too much of. Nothing of the session is looked up yet, so that a
    /// refusal leaves nothing behind.
    fn over_bounds(&self, event: &Incoming, line: &[u8]) -> Option<String> {
        let options = &self.shared.options;
        if line.len() as u64 > options.event_bytes_max {
            return Some(format!(
                "line of {} bytes is over the limit of {} (event_bytes_max); send long outputs as several `output` events",
                line.len(),
                options.event_bytes_max
            ));
        }
        if event.session.len() as u64 > options.session_id_bytes_max {
            return Some(format!(
                "`session` has {} bytes, over the limit of {} (session_id_bytes_max)",
                event.session.len(),
                options.session_id_bytes_max
            ));
        }
        let is_state = matches!(event.kind, Kind::ReviewRequest | Kind::ReviewDecision)
            || event.verdict == Some(Verdict::Pending);
        if is_state && let Ok(Some(session)) = self.shared.catalog.get(&event.session) {
            let max = options.session_reviews_max;
            return (session.state.reviews_len() >= max).then(|| {
                format!(
                    "session `{}` has {max} reviews and pending commands, as many as it may (session_reviews_max); go on in another session",
                    excerpt(&event.session)
                )
            });
        }
        None
    }

    /// Was this event stored before?
    fn retried(&self, retry: Retry) -> Result<bool, Error> {
        if self.seen.has_retry(retry) {
            return Ok(true);
        }
        for segment in self.shared.segments().iter().rev() {
            if segment.has_retry(retry)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Is a session another producer's? It is that of the producer which sent the event that was stored
    /// first; one that nobody is known to have begun is anybody's.
    fn not_its_own(&mut self, id: &str, new: bool, sender: &Sender) -> Option<String> {
        let known = self.seen.get_mut(id).and_then(|session| session.owner.clone());
        let owner = match known {
            Some(owner) => owner,
            None if new => Box::from(&*sender.producer),
            None => {
                let key = self.seen.get_mut(id)?.key;
                let found = self.shared.snapshot().producer_of(Offset(key.0));
                match found {
                    Ok(owner) => owner.unwrap_or_default(),
                    Err(error) => return Some(format!("can't be checked for its owner: {error}")),
                }
            }
        };
        let refused = !owner.is_empty() && owner != sender.producer && !sender.any_session;
        if let Some(session) = self.seen.get_mut(id) {
            session.owner = Some(owner);
        }
        refused.then(|| {
            format!(
                "session `{}` was begun by another producer; give it another id, or send with a token that may write into any session",
                excerpt(id)
            )
        })
    }

    /// Brings a session into memory; answers whether it is new to this node.
    fn recall(&mut self, id: &str) -> Result<bool, Error> {
        if self.seen.get_mut(id).is_some() {
            return Ok(false);
        }
        let mut session = SeenSession {
            id: id.into(),
            key: SessionKey(self.next.0),
            seqs: SeqSet::default(),
            last: None,
            owner: None,
            touched: self.journal.base(),
        };
        let mut new = true;
        for segment in self.shared.segments() {
            if let Some((key, ranges)) = segment.seqs(id)? {
                session.key = key;
                new = false;
                ranges.into_iter().for_each(|range| session.seqs.insert_range(range));
                session.last = session.last.max(segment.last_of(id)?);
            }
        }
        self.seen.insert(session);
        Ok(new)
    }

    /// Learns again what is stored of a session, after events of it were erased: their numbers may be
    /// taken again. Nothing is staged when this is called.
    pub(super) fn relearn(&mut self, id: &str) {
        if !self.seen.forget_session(id) {
            return;
        }
        let learn = |seen: &mut SeenSession| -> Result<bool, Error> {
            let mut any = false;
            for segment in self.shared.segments() {
                if let Some((key, ranges)) = segment.seqs(id)? {
                    (seen.key, any) = (key, true);
                    ranges.into_iter().for_each(|range| seen.seqs.insert_range(range));
                    seen.last = seen.last.max(segment.last_of(id)?);
                }
            }
            for journal in self.shared.journals() {
                let view = journal.view();
                if let Some(run) = view.session(id)? {
                    (seen.key, any) = (run.key, true);
                    let facts = run.ordinals.iter().filter_map(|ordinal| view.facts(ordinal));
                    facts.for_each(|facts| {
                        seen.seqs.insert(facts.seq);
                        seen.last = seen.last.max(Some(facts.offset));
                    });
                }
            }
            Ok(any)
        };
        let mut session = SeenSession {
            id: id.into(),
            key: SessionKey(self.next.0),
            seqs: SeqSet::default(),
            last: None,
            owner: None,
            touched: self.journal.base(),
        };
        // A segment that can't be read: as before, a later look refuses the event and says why.
        if learn(&mut session).unwrap_or(false) {
            self.seen.insert(session);
        }
    }

    /// An event whose number has been stored: the same content is a duplicate, other content a conflict.
    fn repeated(&mut self, id: &str, seq: Seq, line: &[u8]) -> Result<Admission, Error> {
        // It may be in this very group: what is stored can be read once it is durable.
        if !self.block.is_empty() || !self.blocks.is_empty() {
            self.flush_blocks()?;
        }
        let same = self.shared.find_stored(id, seq, |stored| {
            stored.json == line
                || matches!((stored.event(), Event::decode(line)), (Ok(a), Ok(b)) if {
                    a.session == b.session && a.time == b.time && a.body == b.body
                })
        });
        Ok(match same.ok().flatten() {
            Some(true) => Admission::Duplicate,
            Some(false) => Admission::Refused(format!(
                "conflict: event {seq} of session `{}` is already stored with other content",
                excerpt(id)
            )),
            None => Admission::Refused(format!(
                "conflict: event {seq} of session `{}` was stored, but its part of the log can't be read",
                excerpt(id)
            )),
        })
    }
}

/// The numbers of which an event without one gets the next.
fn numbers(apart: bool) -> RangeInclusive<u32> {
    let Seq(apart_min) = OWN_SEQ_MIN;
    if apart { apart_min..=u32::MAX } else { 0..=apart_min - 1 }
}

/// Reads the one record of an ordinal and answers what `test` says of it.
pub(crate) fn test_record(
    part: &dyn crate::view::Part,
    ordinal: u32,
    test: &mut dyn FnMut(&Record<'_>) -> bool,
) -> Result<Option<bool>, Error> {
    let mut answer = None;
    part.read(&Ordinals::Range(ordinal..ordinal + 1), None, &mut |_, record| {
        answer = Some(test(&record));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(answer)
}
