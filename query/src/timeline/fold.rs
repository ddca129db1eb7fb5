//! Folding: which event is an item by itself, and which stands under another.
//!
//! - An `output`, a `command.end` or a `review.request` that names a command stands under it.
//! - A `review.decision` stands where its review's request stands: under the request's command, or
//!   under the request itself.
//! - But only within [`WINDOW`]: the leader's `seq` is less than that below the event's. Any other
//!   event is an item by itself.
//! - A decision that daybook wrote itself ([`OWN_SEQ_MIN`]) stands there however far that is: the session's state says
//!   which requests have such ones.
//!
//! So where an event stands depends on `seq`s alone, not on the page that is asked for, and a page is
//! whole after a look at the next [`WINDOW`] of numbers, and at the state.

use super::runs::{Entry, Position, Runs};
use crate::error::QueryError;
use crate::lang::Tri;
use crate::search::plan::Plan;
use daybook_engine::OWN_SEQ_MIN;
use daybook_engine::event::wire::{Body, Event, ReviewRequest};
use daybook_engine::event::{Kind, Seq};
use daybook_engine::session::SessionState;
use daybook_engine::text::narrow::Narrow;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// How far below its leader an event may stand, as a difference of `seq`s.
pub(super) const WINDOW: Position = 1000;

/// A run of at most this many events is not narrowed: reading it costs less.
const RUN_FEW: usize = 2000;

/// What an event is in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An item by itself.
    Item,
    /// An output of its leader.
    Output,
    /// The end of its leader.
    End,
    /// A request for a review of its leader.
    Request,
    /// A decision on a request: its leader, or one that stands under its leader.
    Decision { request: Seq },
}

/// An event with its place in the timeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) entry: Entry,
    /// The `seq` of the item that it belongs to.
    pub(super) leader: Position,
    pub(super) role: Role,
    /// It matches the query.
    pub(super) matches: bool,
}

impl Step {
    /// Is it a decision that daybook wrote itself, and that stands under another item?
    pub(super) fn is_apart(&self) -> bool {
        matches!(self.role, Role::Decision { .. }) && self.entry.facts.seq >= OWN_SEQ_MIN
    }
}

/// Finds the places of a session's events, and which of them match.
pub(super) struct Folder<'a> {
    pub(super) runs: &'a Runs<'a>,
    pub(super) state: &'a SessionState,
    pub(super) fold: bool,
    pub(super) plan: Option<&'a Plan<'a>>,
    /// What the text index leaves of a run; `None` inside if it can't help.
    narrowed: HashMap<usize, Option<Vec<u32>>>,
    /// Events that were read.
    pub(super) read: u64,
}

impl<'a> Folder<'a> {
    pub(super) fn new(
        runs: &'a Runs<'a>,
        state: &'a SessionState,
        fold: bool,
        plan: Option<&'a Plan<'a>>,
    ) -> Folder<'a> {
        Folder { runs, state, fold, plan, narrowed: HashMap::new(), read: 0 }
    }

    /// How far behind an item events of it may stand.
    pub(super) fn reach(&self, kind: Kind) -> Position {
        let leads = matches!(kind, Kind::Command | Kind::ReviewRequest);
        if self.fold && leads { WINDOW } else { 1 }
    }

    /// The places of some events.
    pub(super) fn steps(&mut self, entries: &[Entry]) -> Result<Vec<Step>, QueryError> {
        let mut steps = Vec::with_capacity(entries.len());
        let (mut wanted, mut places) = (Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            let matches = match self.plan {
                None => Tri::Yes,
                Some(plan) => match plan.accepts(&entry.facts) {
                    Tri::Maybe if !self.may_match(plan, entry)? => Tri::No,
                    tri => tri,
                },
            };
            let follows = matches!(
                entry.facts.kind,
                Kind::Output | Kind::CommandEnd | Kind::ReviewRequest | Kind::ReviewDecision
            );
            if matches == Tri::Maybe || (self.fold && follows) {
                wanted.push(*entry);
                places.push((place, matches == Tri::Maybe));
            }
            let matches = matches == Tri::Yes;
            steps.push(Step { entry: *entry, leader: entry.seq(), role: Role::Item, matches });
        }
        self.read += wanted.len() as u64;
        let this = &*self;
        this.runs.read(&wanted, |at, record| {
            let event = record.event()?;
            if let Some((place, ask)) = places.get(at)
                && let Some(step) = steps.get_mut(*place)
            {
                if let Some(plan) = this.plan.filter(|_| *ask) {
                    let facts = &step.entry.facts;
                    step.matches = plan.matches(facts, &record, &event)?.is_some();
                }
                this.place(step, &event);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(steps)
    }

    fn place(&self, step: &mut Step, event: &Event<'_>) {
        if self.fold
            && let Some((leader, role)) = self.leader(step.entry.facts.seq, event)
        {
            step.leader = leader.0.into();
            step.role = role;
        }
    }

    /// The item that an event stands under, if it is none itself.
    fn leader(&self, seq: Seq, event: &Event<'_>) -> Option<(Seq, Role)> {
        let role = match &event.body {
            Body::Output { .. } => Role::Output,
            Body::CommandEnd(_) => Role::End,
            Body::ReviewRequest { .. } => Role::Request,
            Body::ReviewDecision { review, .. } => {
                let (request, _, asked) = self.state.reviews.get(review)?.request.as_ref()?;
                let leader = match asked.command.and_then(|c| self.command(c, *request)) {
                    Some(command) => command,
                    None if seq >= OWN_SEQ_MIN => self.is(*request, Kind::ReviewRequest)?,
                    None => self.within(*request, seq, Kind::ReviewRequest)?,
                };
                return (seq > *request && (near(leader, seq) || seq >= OWN_SEQ_MIN))
                    .then_some((leader, Role::Decision { request: *request }));
            }
            _ => return None,
        };
        Some((self.command(event.body.command()?, seq)?, role))
    }

    fn command(&self, command: Seq, of: Seq) -> Option<Seq> {
        self.within(command, of, Kind::Command)
    }

    fn within(&self, leader: Seq, of: Seq, kind: Kind) -> Option<Seq> {
        near(leader, of).then(|| self.is(leader, kind)).flatten()
    }

    fn is(&self, leader: Seq, kind: Kind) -> Option<Seq> {
        (self.runs.find(leader.0)?.facts.kind == kind).then_some(leader)
    }

    /// The decisions that daybook wrote itself about reviews whose requests stand under an item, or are it.
    pub(super) fn own_decisions(&mut self, item: Position) -> Result<Vec<Step>, QueryError> {
        if !self.fold {
            return Ok(Vec::new());
        }
        let of_item = |request: &ReviewRequest, seq: Seq| {
            Position::from(seq.0) == item
                || request.command.is_some_and(|command| Position::from(command.0) == item)
        };
        let mut entries = Vec::new();
        for review in self.state.reviews.values() {
            if review.request.as_ref().is_some_and(|(seq, _, request)| of_item(request, *seq)) {
                let own = review.decisions.range(OWN_SEQ_MIN..);
                entries.extend(own.filter_map(|(seq, _)| self.runs.find(seq.0)));
            }
        }
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut steps = self.steps(&entries)?;
        // Those whose leader is another one: the request itself, where its command is not there.
        steps.retain(|step| step.leader == item && step.is_apart());
        Ok(steps)
    }

    /// May the text index's answer hold an event?
    fn may_match(&mut self, plan: &Plan<'_>, entry: &Entry) -> Result<bool, QueryError> {
        if let Some(narrowed) = self.narrowed.get(&entry.run) {
            return Ok(narrowed.as_ref().is_none_or(|of| of.binary_search(&entry.ordinal).is_ok()));
        }
        let narrowed = match (plan.matcher.narrow(), self.runs.part(entry.run)) {
            (Narrow::All, _) | (_, None) => None,
            (narrow, Some((part, len))) if len > RUN_FEW => part.narrow(narrow)?,
            _ => None,
        };
        self.narrowed.insert(entry.run, narrowed);
        self.may_match(plan, entry)
    }
}

fn near(leader: Seq, of: Seq) -> bool {
    of.0.checked_sub(leader.0).is_some_and(|d| d > 0 && Position::from(d) < WINDOW)
}
