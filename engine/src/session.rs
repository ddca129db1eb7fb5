//! A session's state: one pure fold over its events, used by every part.
//!
//! Events of a session may arrive in any order, over several connections and in several segments, so
//! the fold does not depend on the order: [`SessionState::apply`] and [`SessionState::merge`]
//! commute. Where two events say the same thing (two `session.start`), the lower `seq` wins for the
//! start and the higher for the end. Each event must be applied once; the log sees to that.

use crate::batch::OWN_SEQ_MIN;
use crate::event::wire::{Body, End, Event, ReviewDecision, ReviewRequest, Start};
use crate::event::{EndStatus, Kind, Micros, Scope, Seq, Verdict};
use crate::review::{Review, ReviewStatus, Standing};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What an event changes in its session's state; owned, so that it can wait for durability.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The event's number.
    pub seq: Seq,
    /// When it happened.
    pub time: Micros,
    /// Its kind.
    pub kind: Kind,
    /// Its verdict, for commands.
    pub verdict: Option<Verdict>,
    /// The fields that it says were masked.
    pub masked: u64,
    /// The bytes of its line.
    pub bytes: u64,
    /// What else it says, for the kinds that say more.
    pub detail: Detail,
}

/// The parts of a [`Change`] that few events have.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Nothing more.
    None,
    /// The session's facts.
    Start(Box<Start>),
    /// How it ended.
    End(Box<End>),
    /// A review is asked for.
    Request(Box<str>, Box<ReviewRequest>),
    /// A review is decided.
    Decision(Box<str>, Box<ReviewDecision>),
}

impl Change {
    /// What `event`, numbered `seq` and sent as `bytes` bytes, changes.
    #[must_use]
    pub fn of(event: Event<'_>, seq: Seq, bytes: u64) -> Change {
        let (kind, verdict, masked) =
            (event.body.kind(), event.body.verdict(), event.body.masked());
        let detail = match event.body {
            Body::SessionStart(start) => Detail::Start(start),
            Body::SessionEnd(end) => Detail::End(end),
            Body::ReviewRequest { review, request } => Detail::Request(review, request),
            Body::ReviewDecision { review, decision } => Detail::Decision(review, decision),
            _ => Detail::None,
        };
        Change { seq, time: event.time, kind, verdict, masked, bytes, detail }
    }
}

/// A session's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionState {
    /// The facts of the `session.start` with the lowest seq, and that seq and time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<(Seq, Micros, Box<Start>)>,
    /// The `session.end` with the highest seq, and that seq and time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<(Seq, Micros, Box<End>)>,
    /// The times of the earliest and the latest event; `None` before any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(Micros, Micros)>,
    /// Events.
    pub events: u64,
    /// Those of them that daybook added to its producer's: notes, reviewers' decisions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added: u64,
    /// Commands.
    pub commands: u64,
    /// Commands by the verdict that they were sent with, in the order of [`Verdict::ALL`].
    pub verdicts: [u64; 5],
    /// Fields masked.
    pub masked: u64,
    /// Bytes of the events as they were sent.
    pub bytes: u64,
    /// The commands that were sent with verdict `pending`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<Seq>,
    /// The reviews by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reviews: BTreeMap<Box<str>, Review>,
}

// As serde asks.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A session's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It or one of its commands waits for a review.
    PendingReview,
    /// It has not ended.
    Open,
    /// It ended by itself.
    Done,
    /// It ended with an error.
    Failed,
    /// It was cut off.
    Killed,
    /// Its review was rejected.
    Rejected,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 6] = [
        Status::PendingReview,
        Status::Open,
        Status::Done,
        Status::Failed,
        Status::Killed,
        Status::Rejected,
    ];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::PendingReview => "pending_review",
            Status::Open => "open",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Killed => "killed",
            Status::Rejected => "rejected",
        }
    }
}

impl SessionState {
    /// Adds one event.
    pub fn apply(&mut self, change: Change) {
        let Change { seq, time, kind, verdict, masked, bytes, detail } = change;
        self.events += 1;
        self.added += u64::from(seq >= OWN_SEQ_MIN);
        self.bytes += bytes;
        self.masked = self.masked.saturating_add(masked);
        self.span = Some(match self.span {
            None => (time, time),
            Some((first, last)) => (first.min(time), last.max(time)),
        });
        if kind == Kind::Command {
            self.commands += 1;
            if let Some(count) = verdict.and_then(|v| self.verdicts.get_mut(v.code() as usize - 1))
            {
                *count += 1;
            }
            if verdict == Some(Verdict::Pending) {
                self.waiting.insert(seq);
            }
        }
        match detail {
            Detail::None => {}
            Detail::Start(start) => keep_first(&mut self.start, (seq, time, start)),
            Detail::End(end) => keep_last(&mut self.end, (seq, time, end)),
            Detail::Request(id, request) => {
                keep_first(&mut self.reviews.entry(id).or_default().request, (seq, time, request));
            }
            Detail::Decision(id, decision) => {
                self.reviews.entry(id).or_default().decisions.insert(seq, (time, decision));
            }
        }
    }

    /// Adds what another set of events of the same session amounts to.
    pub fn merge(&mut self, other: SessionState) {
        self.events += other.events;
        self.added += other.added;
        self.commands += other.commands;
        self.bytes += other.bytes;
        self.masked = self.masked.saturating_add(other.masked);
        for (count, more) in self.verdicts.iter_mut().zip(other.verdicts) {
            *count += more;
        }
        self.waiting.extend(other.waiting);
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, None) | (None, one) => one,
        };
        if let Some(start) = other.start {
            keep_first(&mut self.start, start);
        }
        if let Some(end) = other.end {
            keep_last(&mut self.end, end);
        }
        for (id, review) in other.reviews {
            let mine = self.reviews.entry(id).or_default();
            if let Some(request) = review.request {
                keep_first(&mut mine.request, request);
            }
            mine.decisions.extend(review.decisions);
        }
    }

    /// How many pending commands, reviews and decisions are kept in it.
    #[must_use]
    pub fn reviews_len(&self) -> u64 {
        let decisions: usize = self.reviews.values().map(|review| review.decisions.len()).sum();
        (self.waiting.len() + self.reviews.len() + decisions) as u64
    }

    /// The facts of its start, if that has arrived.
    #[must_use]
    pub fn facts(&self) -> Option<&Start> {
        self.start.as_ref().map(|(_, _, start)| start.as_ref())
    }

    /// When it started: its `session.start`'s time, or its earliest event's before that arrived.
    #[must_use]
    pub fn started_at(&self) -> Option<Micros> {
        self.start.as_ref().map(|(_, time, _)| *time).or(self.span.map(|(first, _)| first))
    }

    /// When it ended, if it did.
    #[must_use]
    pub fn ended_at(&self) -> Option<Micros> {
        self.end.as_ref().map(|(_, time, _)| *time)
    }

    /// How long it took, in milliseconds: to its end, or to its latest event while it is open.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        let end = self.ended_at().or(self.span.map(|(_, last)| last));
        match (self.started_at(), end) {
            (Some(Micros(start)), Some(Micros(end))) => (end - start).max(0) as u64 / 1000,
            _ => 0,
        }
    }

    /// Commands that a rule blocked.
    #[must_use]
    pub fn blocked(&self) -> u64 {
        self.sent_as(Verdict::Blocked)
    }

    /// Commands that were approved, by their own verdict or by a review of a pending one.
    #[must_use]
    pub fn approved(&self) -> u64 {
        let reviewed =
            self.waiting_as(|s| matches!(s, ReviewStatus::Approved | ReviewStatus::Executed));
        self.sent_as(Verdict::Approved) + reviewed
    }

    /// Commands that wait for a review.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.waiting_as(|s| s == ReviewStatus::Pending)
    }

    fn sent_as(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(verdict.code() as usize - 1).copied().unwrap_or(0)
    }

    /// The waiting commands whose review stands in a way; one without a review is pending.
    fn waiting_as(&self, stands: impl Fn(ReviewStatus) -> bool) -> u64 {
        if self.waiting.is_empty() {
            return 0;
        }
        // Of several reviews of a command the last one counts.
        let mut of_command: BTreeMap<Seq, (Micros, Seq, &Review)> = BTreeMap::new();
        for review in self.reviews.values() {
            let Some((seq, time, request)) = &review.request else { continue };
            let Some(command) = request.command else { continue };
            let last = of_command.entry(command).or_insert((*time, *seq, review));
            if (last.0, last.1) < (*time, *seq) {
                *last = (*time, *seq, review);
            }
        }
        let status = |command: &Seq| {
            let review = of_command.get(command);
            review.map_or(ReviewStatus::Pending, |(_, _, review)| self.review_status(review))
        };
        self.waiting.iter().filter(|command| stands(status(command))).count() as u64
    }

    /// Who asks for its reviews: its user, once its start arrived.
    #[must_use]
    pub fn requester(&self) -> Option<&str> {
        self.facts().and_then(|facts| facts.user.as_deref())
    }

    /// Where one of its reviews stands.
    #[must_use]
    pub fn review_status(&self, review: &Review) -> ReviewStatus {
        review.status(self.requester())
    }

    /// Where one of its reviews stands, and what brought it there.
    #[must_use]
    pub fn review_standing<'a>(&self, review: &'a Review) -> Standing<'a> {
        review.standing(self.requester())
    }

    /// Did it end after a review of it was asked for, by their numbers? Then nobody waits for that one any more. What is
    /// asked for after the end, such as running one of its commands again, is none of what went on in it.
    #[must_use]
    pub fn ended_after(&self, review: &Review) -> bool {
        match (&self.end, &review.request) {
            (Some((end, ..)), Some((asked, ..))) => asked < end,
            (end, _) => end.is_some(),
        }
    }

    /// Has it a review that waits for reviewers?
    fn any_pending_review(&self) -> bool {
        let mut asked = self.reviews.values().filter(|review| review.request.is_some());
        asked.any(|review| {
            review.scope() == Scope::Command && self.review_status(review) == ReviewStatus::Pending
        })
    }

    /// When a review of it was asked for, or something was said of one, last.
    #[must_use]
    pub fn last_review_at(&self) -> Option<Micros> {
        self.reviews.values().filter_map(Review::changed_at).max()
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Status {
        if let Some((_, _, end)) = &self.end {
            return match end.status {
                EndStatus::Done => Status::Done,
                EndStatus::Failed => Status::Failed,
                EndStatus::Killed => Status::Killed,
            };
        }
        // Whoever was turned away may ask again: the last request for the session counts.
        let asked = self.reviews.values().filter_map(|review| {
            let (seq, time, request) = review.request.as_ref()?;
            (request.scope == Scope::Session).then_some((*time, *seq, review))
        });
        let last = asked.max_by_key(|(time, seq, _)| (*time, *seq));
        match last.map(|(_, _, review)| self.review_status(review)) {
            Some(ReviewStatus::Rejected | ReviewStatus::Expired | ReviewStatus::Revoked) => {
                return Status::Rejected;
            }
            Some(ReviewStatus::Pending) => return Status::PendingReview,
            _ => {}
        }
        if self.pending() > 0 || self.any_pending_review() {
            Status::PendingReview
        } else {
            Status::Open
        }
    }

    /// The summary line, such as `5 commands · 1 blocked · 1 approved · 4 fields masked`.
    #[must_use]
    pub fn summary(&self) -> String {
        struct Count(u64, &'static str, &'static str);
        impl fmt::Display for Count {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Count(n, one, many) = *self;
                write!(f, "{n} {}", if n == 1 { one } else { many })
            }
        }
        let mut line = Count(self.commands, "command", "commands").to_string();
        for count in [
            Count(self.blocked(), "blocked", "blocked"),
            Count(self.pending(), "pending", "pending"),
            Count(self.approved(), "approved", "approved"),
            Count(self.masked, "field masked", "fields masked"),
        ] {
            if count.0 > 0 {
                line.push_str(&format!(" · {count}"));
            }
        }
        line
    }
}

fn keep_first<T>(slot: &mut Option<(Seq, Micros, T)>, new: (Seq, Micros, T)) {
    if slot.as_ref().is_none_or(|old| new.0 < old.0) {
        *slot = Some(new);
    }
}

fn keep_last<T>(slot: &mut Option<(Seq, Micros, T)>, new: (Seq, Micros, T)) {
    if slot.as_ref().is_none_or(|old| new.0 > old.0) {
        *slot = Some(new);
    }
}
