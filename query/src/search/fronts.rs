//! The matches from the newest on, without looking at more than it takes.
//!
//! Each part is a *front*: its candidates that have not been verified, of which the newest is the front's
//! bound. Where they are many, a front looks at the facts of a stretch of neighbours at a time, the newest
//! first, and its bound is the latest time of the stretches to come. The front with the newest bound always comes
//! next: with a stretch, or with a chunk of its newest candidates (few at first, more each time).
//!
//! Of the events in a stretch each is asked whether its session is one that matches are in. Where a few stretches had too
//! few matches, it is first found out for a whole part which events those of such sessions are.
//!
//! Where the newest parts do not have enough, the next ones are opened several at once: what that takes is mostly
//! waiting for the disk, which reads for all of them at the same time.
//!
//! ```text
//! part  ├─ stretch ─┼─ stretch ─┼─ stretch ─┤   times rise along the log, more or less
//!                    bound ▲      └ facts ─> candidates ─ newest first ─> verified, in chunks
//! ```

use super::Spent;
use super::page::Place;
use super::plan::{Candidates, Found, Plan};
use crate::error::QueryError;
use crate::lang::Tri;
use daybook_engine::event::Offset;
use daybook_engine::text::Narrowed;
use daybook_engine::together;
use daybook_engine::view::{Ordinals, Part, Stretch};
use std::cmp::Reverse;

/// The smallest and the largest number of candidates that are verified in one go.
const CHUNK_MIN: usize = 8;
const CHUNK_MAX: usize = 8192;

/// So many fronts are opened at once at most: all but one may be for nothing.
const OPENED_MAX: usize = 4;

/// After so many stretches matches are rare: before more are looked at, a part's events are narrowed to the sessions that
/// matches are in.
const STRETCHES_PLAIN: usize = 8;

/// A part with fewer events is opened sooner than a thread is there to help.
const EVENTS_FOR_A_THREAD: u32 = 20_000;

/// How a search from the newest on ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Where the limits ended it: nothing that is older was looked at.
    pub(super) stopped: Option<Place>,
    /// Events that may match, but can't be read.
    pub(super) unreadable: u64,
}

/// Visits matches that come after a place, the newest chunks first: until none is left for which `enters` says that it
/// counts, or the limits are reached. About `hits` are wanted. `visit` answers how many bytes it keeps by now.
pub(super) fn newest(
    plan: &Plan<'_>,
    after: Option<Place>,
    hits: usize,
    spent: &mut Spent,
    enters: impl Fn(Place) -> bool,
    mut visit: impl FnMut(&Found<'_>) -> Result<usize, QueryError>,
) -> Result<Ended, QueryError> {
    let chunk = hits.max(CHUNK_MIN);
    let mut fronts: Vec<Front<'_>> = plan
        .snapshot
        .parts
        .iter()
        .filter_map(|part| Front::new(plan, part.as_ref(), after, chunk))
        .collect();
    let mut ended = Ended::default();
    let (mut verified, mut begun, mut kept) = (false, None, 0);
    let mut opened_next = 1;
    let mut looked = 0;
    loop {
        let newest = fronts.iter_mut().filter_map(|front| Some((front.bound()?, front)));
        let Some((bound, front)) = newest.max_by_key(|(bound, _)| *bound) else { break };
        if !enters(bound) {
            break;
        }
        // A search comes on by something at least, or its cursor would lead nowhere.
        let came_on = verified || bound.0 < *begun.get_or_insert(bound.0);
        if came_on && spent.limit().is_some() {
            ended.stopped = Some(bound);
            break;
        }
        let Some(opened) = &mut front.opened else {
            open(plan, &mut fronts, after, opened_next)?;
            opened_next = (opened_next * 2).min(OPENED_MAX);
            spent.memory = kept + fronts.iter().map(Front::memory).sum::<u64>();
            continue;
        };
        if opened.looks_ahead() {
            if looked >= STRETCHES_PLAIN {
                opened.narrow_to_sessions(plan, front.part);
            }
            looked += 1;
            opened.look_ahead(plan, front.part, after)?;
            spent.memory = kept + fronts.iter().map(Front::memory).sum::<u64>();
            continue;
        }
        verified = true;
        let mut chunk = opened.take(front.chunk);
        front.chunk = (front.chunk * 2).min(CHUNK_MAX.max(front.chunk));
        chunk.retain(|candidate| enters(candidate.place));
        let mut ordinals: Vec<u32> = chunk.iter().map(|candidate| candidate.ordinal).collect();
        ordinals.sort_unstable();
        let mut failed = None;
        ended.unreadable += plan.verify(
            front.part,
            ordinals,
            spent,
            |facts| enters((facts.time, facts.offset)),
            |found, _| match visit(found) {
                Ok(bytes) => kept = bytes as u64,
                Err(error) => failed = failed.take().or(Some(error)),
            },
        )?;
        spent.memory = kept + fronts.iter().map(Front::memory).sum::<u64>();
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(ended)
}

/// Opens those of the fronts whose turn is next, at once where that is worth it.
fn open(
    plan: &Plan<'_>,
    fronts: &mut [Front<'_>],
    after: Option<Place>,
    most: usize,
) -> Result<(), QueryError> {
    let mut next: Vec<_> = fronts.iter_mut().filter(|front| front.opened.is_none()).collect();
    next.sort_by_key(|front| Reverse(front.start));
    let large = next.iter().take_while(|front| front.part.len() >= EVENTS_FOR_A_THREAD).count();
    next.truncate(most.min(large).max(1));
    let parts: Vec<&dyn Part> = next.iter().map(|front| front.part).collect();
    let open = |all: &mut Vec<(usize, Opened)>, at: usize| {
        if let Some(part) = parts.get(at) {
            all.push((at, Opened::new(plan, *part, after)?));
        }
        Ok::<_, QueryError>(())
    };
    for (at, opened) in
        together::fold(parts.len(), parts.len(), Vec::new, open)?.into_iter().flatten()
    {
        if let Some(front) = next.get_mut(at) {
            front.opened = Some(opened);
        }
    }
    Ok(())
}

struct Front<'a> {
    part: &'a dyn Part,
    /// No match that is left is newer, as long as nobody looked.
    start: Place,
    opened: Option<Opened>,
    chunk: usize,
}

impl<'a> Front<'a> {
    fn new(
        plan: &Plan<'_>,
        part: &'a dyn Part,
        after: Option<Place>,
        chunk: usize,
    ) -> Option<Front<'a>> {
        let latest = (plan.latest(part)?, Offset(u64::MAX));
        let start = after.map_or(latest, |after| latest.min(after));
        Some(Front { part, start, opened: None, chunk })
    }

    /// No match that is left is newer; `None` when none is left.
    fn bound(&self) -> Option<Place> {
        match &self.opened {
            None => Some(self.start),
            // One that comes after the place is not newer than it.
            Some(opened) => opened.bound().map(|bound| bound.min(self.start)),
        }
    }

    /// What it holds in memory, in bytes.
    fn memory(&self) -> u64 {
        self.opened.as_ref().map_or(0, Opened::memory)
    }
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    place: Place,
    ordinal: u32,
}

/// A front's candidates.
struct Opened {
    /// Where to look for more, the newest last.
    ahead: Vec<Stretch>,
    /// Which events there; `None` for each.
    narrowed: Option<Narrowed>,
    /// Are these of the sessions that matches are in?
    of_sessions: bool,
    /// Those whose facts may match, in no order.
    left: Vec<Candidate>,
    /// The newest of them.
    best: Option<Place>,
}

impl Opened {
    fn new(plan: &Plan<'_>, part: &dyn Part, after: Option<Place>) -> Result<Opened, QueryError> {
        let mut opened = Opened {
            ahead: Vec::new(),
            narrowed: None,
            of_sessions: false,
            left: Vec::new(),
            best: None,
        };
        match plan.candidates(part)? {
            Candidates::Few(ordinals) => {
                opened.look_at(plan, part, after, &Ordinals::List(ordinals))?;
                return Ok(opened);
            }
            Candidates::Narrowed(narrowed) => opened.narrowed = Some(narrowed),
            Candidates::All => {}
        }
        let comes_after = |stretch: &&Stretch| {
            plan.meets(stretch.times) && after.is_none_or(|(time, _)| stretch.times.0 <= time)
        };
        opened.ahead = part.stretches().iter().filter(comes_after).copied().collect();
        opened.ahead.sort_by_key(|stretch| stretch.times.1);
        part.check()?;
        Ok(opened)
    }

    fn bound(&self) -> Option<Place> {
        self.best.max(self.ahead.last().map(latest))
    }

    /// May the newest be in a stretch that is still ahead?
    fn looks_ahead(&self) -> bool {
        self.ahead.last().is_some_and(|stretch| self.best.is_none_or(|best| best < latest(stretch)))
    }

    /// Leaves only events of sessions that matches are in, if that is quicker than to ask each for its session.
    fn narrow_to_sessions(&mut self, plan: &Plan<'_>, part: &dyn Part) {
        if std::mem::replace(&mut self.of_sessions, true) {
            return;
        }
        if let Some(of_sessions) = plan.of_many_sessions(part) {
            self.narrowed = Some(match self.narrowed.take() {
                Some(narrowed) => narrowed.intersection(&of_sessions),
                None => of_sessions,
            });
        }
    }

    /// Goes through the next stretch.
    fn look_ahead(
        &mut self,
        plan: &Plan<'_>,
        part: &dyn Part,
        after: Option<Place>,
    ) -> Result<(), QueryError> {
        let Some(Stretch { from, to, .. }) = self.ahead.pop() else { return Ok(()) };
        let ordinals = match &self.narrowed {
            Some(narrowed) => part.ordinals_of(&narrowed.within(from.0..to.0))?,
            None => {
                let there = (from.0..to.0).filter_map(|offset| part.ordinal_of(Offset(offset)));
                let mut ordinals: Vec<u32> = there.collect();
                ordinals.sort_unstable();
                ordinals
            }
        };
        self.look_at(plan, part, after, &Ordinals::List(ordinals))
    }

    /// Keeps those whose facts may match.
    fn look_at(
        &mut self,
        plan: &Plan<'_>,
        part: &dyn Part,
        after: Option<Place>,
        ordinals: &Ordinals,
    ) -> Result<(), QueryError> {
        let wanted = |session| plan.is_in_sessions(session);
        part.each_facts_of(ordinals, &wanted, &mut |ordinal, facts| {
            let place = (facts.time, facts.offset);
            if after.is_none_or(|after| place < after) && plan.accepts(facts) != Tri::No {
                self.best = self.best.max(Some(place));
                self.left.push(Candidate { place, ordinal });
            }
        });
        Ok(part.check()?)
    }

    /// Takes about `size` of the newest that are left.
    fn take(&mut self, size: usize) -> Vec<Candidate> {
        if self.left.len() <= size {
            self.best = None;
            return std::mem::take(&mut self.left);
        }
        let (_, next, _) = self.left.select_nth_unstable_by_key(size, |c| Reverse(c.place));
        self.best = Some(next.place);
        let rest = self.left.split_off(size);
        std::mem::replace(&mut self.left, rest)
    }

    fn memory(&self) -> u64 {
        let narrowed = self.narrowed.as_ref().map_or(0, Narrowed::memory);
        (narrowed + size_of_val(self.left.as_slice()) + size_of_val(self.ahead.as_slice())) as u64
    }
}

/// No event of a stretch is newer.
fn latest(stretch: &Stretch) -> Place {
    (stretch.times.1, Offset(u64::MAX))
}
