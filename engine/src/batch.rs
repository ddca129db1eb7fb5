//! Batches: what a producer sends at once, checked before it reaches the log, and the answer.

use crate::block::{Retry, is_plain};
use crate::catalog::filter::Pattern;
use crate::event::time::excerpt;
use crate::event::wire::{Body, Event};
use crate::event::{Kind, Micros, Offset, Seq, Verdict};
use crate::session::{Change, Detail};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::ops::Range;
use std::sync::Arc;

/// The session in which daybook tells what it did itself: holds, deletions, losses. What people did at it is told in
/// further ones, [`OwnSession`].
pub const OWN_SESSION: &str = "daybook";

/// The sessions in which daybook tells what people did at it, as `access` events. No producer can write to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnSession {
    /// Who read, searched and exported what.
    Reads,
    /// Links that were made, used and revoked.
    Links,
    /// Commands that were run again.
    Runs,
    /// Cases: sets of sessions.
    Cases,
    /// Sessions that were looked at and found to be in order, or not.
    Marks,
    /// What producers say that they sent.
    Sent,
}

impl OwnSession {
    /// Its id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            OwnSession::Reads => "daybook.reads",
            OwnSession::Links => "daybook.links",
            OwnSession::Runs => "daybook.runs",
            OwnSession::Cases => "daybook.cases",
            OwnSession::Marks => "daybook.marks",
            OwnSession::Sent => "daybook.sent",
        }
    }
}

/// Is a session one of daybook's own? All whose ids begin with `daybook.` are.
#[must_use]
pub fn is_own(session: &str) -> bool {
    session.strip_prefix(OWN_SESSION).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// From this number on daybook numbers the events that it writes itself into the sessions of producers: reviewers'
/// decisions and the like. A producer that numbers its events goes on with the next number, and must find it free.
pub const OWN_SEQ_MIN: Seq = Seq(1 << 31);

/// Who sends events, and what that one may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The producer's name. It is put beside each of its events, and names the owner of the sessions that
    /// it begins.
    pub producer: Box<str>,
    /// May it go on in sessions that another producer began?
    pub any_session: bool,
    /// May it send `review.decision` events?
    pub decides: bool,
    /// May it send `access` events?
    pub audits: bool,
    /// The roles that its sessions may be of; empty for all.
    pub roles: Vec<Pattern>,
}

/// Events that are appended together. They need not be of one session.
#[derive(Debug, Default)]
pub struct Batch {
    /// `None` where nobody asks who sends: all is allowed.
    sender: Option<Arc<Sender>>,
    /// Given with a batch of events without numbers, so that it can be sent again.
    key: Option<Arc<str>>,
    /// Events without numbers get one from [`OWN_SEQ_MIN`] on.
    apart: bool,
    lines: Vec<u8>,
    events: Vec<Incoming>,
}

/// An event that is ready for the log: its line, and what readers and the fold need of it.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The line's number in the request, for answers.
    pub number: u64,
    line: Range<usize>,
    pub session: Box<str>,
    pub seq: Option<Seq>,
    pub time: Micros,
    pub kind: Kind,
    pub verdict: Option<Verdict>,
    pub plain: bool,
    masked: u64,
    detail: Detail,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// An empty batch of a producer's.
    #[must_use]
    pub fn of(sender: Option<Arc<Sender>>) -> Batch {
        Batch { sender, ..Batch::default() }
    }

    /// An empty batch of events that daybook itself writes into sessions of producers, without numbers: they are numbered
    /// from [`OWN_SEQ_MIN`] on.
    #[must_use]
    pub fn apart() -> Batch {
        Batch { apart: true, ..Batch::default() }
    }

    /// The same batch with an idempotency key: an event without a number that was stored before, from the same
    /// line of a batch with this key of this producer's, is a duplicate.
    #[must_use]
    pub fn keyed(self, key: Option<Arc<str>>) -> Batch {
        Batch { key, ..self }
    }

    /// Decodes, checks and adds a line of a producer's. `number` is its number in the request, for
    /// answers.
    ///
    /// # Errors
    /// What is wrong with the line, as [`Event::decode`] says it, or that only daybook itself writes
    /// such events; the batch is as it was before.
    pub fn push(&mut self, number: u64, line: &[u8]) -> Result<(), String> {
        let line = line.trim_ascii();
        let event = Event::decode(line)?;
        if event.body.kind() == Kind::Retention {
            return Err(format!(
                "`{}` events are written by daybook itself; place or release a hold, or change the policy, to have one written",
                Kind::Retention
            ));
        }
        if let Some(sender) = &self.sender {
            let (kind, scope) = match event.body.kind() {
                kind @ Kind::Access if !sender.audits => (kind, "admin"),
                kind @ Kind::ReviewDecision if !sender.decides => (kind, "review"),
                kind => (kind, ""),
            };
            if !scope.is_empty() {
                return Err(format!(
                    "a producer can't send `{}` events; only a token with the scope `{scope}` can",
                    kind.name()
                ));
            }
        }
        if let (Some(sender), Body::SessionStart(start)) = (&self.sender, &event.body)
            && !sender.roles.is_empty()
        {
            let role = start.role.as_deref().unwrap_or_default();
            if !sender.roles.iter().any(|pattern| pattern.matches(role)) {
                return Err(format!(
                    "the token `{}` is not for sessions of the role `{}`",
                    sender.producer,
                    excerpt(role)
                ));
            }
        }
        if is_own(&event.session) {
            return Err(format!(
                "the session `{}` is daybook's own record and takes no events; give the session another id",
                excerpt(&event.session)
            ));
        }
        self.add(number, line, event);
        Ok(())
    }

    /// Adds a line that daybook itself writes.
    ///
    /// # Errors
    /// What is wrong with the line, as [`Event::decode`] says it.
    pub(crate) fn push_own(&mut self, line: &[u8]) -> Result<(), String> {
        let event = Event::decode(line)?;
        self.add(1, line, event);
        Ok(())
    }

    fn add(&mut self, number: u64, line: &[u8], event: Event<'_>) {
        let session: Box<str> = event.session.as_ref().into();
        let (seq, time) = (event.seq, event.time);
        let change = Change::of(event, Seq(0), 0);
        let start = self.lines.len();
        self.lines.extend_from_slice(line);
        self.events.push(Incoming {
            number,
            line: start..self.lines.len(),
            session,
            seq,
            time,
            kind: change.kind,
            verdict: change.verdict,
            plain: is_plain(line),
            masked: change.masked,
            detail: change.detail,
        });
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Has it no events?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The bytes of its lines.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn into_parts(self) -> (Origin, Vec<u8>, Vec<Incoming>) {
        (Origin { sender: self.sender, key: self.key, apart: self.apart }, self.lines, self.events)
    }
}

/// Where a batch comes from.
pub(crate) struct Origin {
    pub sender: Option<Arc<Sender>>,
    key: Option<Arc<str>>,
    /// Are its events numbered from [`OWN_SEQ_MIN`] on?
    pub apart: bool,
}

impl Origin {
    /// The producer's name; empty where nobody asks.
    pub fn producer(&self) -> &str {
        self.sender.as_ref().map_or("", |sender| &sender.producer)
    }

    /// By what an event is known when it is sent again, if it has no number and came with a key.
    pub fn retry(&self, event: &Incoming, line: &[u8]) -> Option<Retry> {
        let key = self.key.as_ref().filter(|_| event.seq.is_none())?;
        let mut sha = Sha256::new();
        for piece in [self.producer().as_bytes(), key.as_bytes()] {
            sha.update((piece.len() as u64).to_le_bytes());
            sha.update(piece);
        }
        sha.update(event.number.to_le_bytes());
        sha.update(line);
        let digest: [u8; 32] = sha.finalize().into();
        digest.first_chunk().copied().map(Retry)
    }
}

impl Incoming {
    /// The line, in the batch's lines.
    pub(crate) fn line<'a>(&self, lines: &'a [u8]) -> &'a [u8] {
        lines.get(self.line.clone()).unwrap_or_default()
    }

    /// What it changes in its session's state, once it has a number.
    pub(crate) fn into_change(self, seq: Seq) -> Change {
        Change {
            seq,
            time: self.time,
            kind: self.kind,
            verdict: self.verdict,
            masked: self.masked,
            bytes: self.line.len() as u64,
            detail: self.detail,
        }
    }
}

/// The answer to a batch, given once everything in it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ack {
    /// Events that were stored.
    pub accepted: u64,
    /// Events that had been stored before, with the same content.
    pub duplicates: u64,
    /// Events that were refused.
    pub rejected: Vec<Rejection>,
    /// The offset of the first event that was stored.
    pub first_offset: Option<Offset>,
    /// The offset of the last event that was stored.
    pub last_offset: Option<Offset>,
}

/// A line that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The line's number in the request.
    pub line: u64,
    /// What is wrong with it and how to mend it.
    pub error: String,
}
