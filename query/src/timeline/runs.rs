//! A session's events in the order of `seq`, across the parts that hold them.
//!
//! Each part has a run that is in order; runs are merged by `seq`. A place in the order is found by
//! binary search in each run, so a page deep in a long session costs what the first one costs.

use crate::error::QueryError;
use crate::excerpt::{self, Excerpt};
use crate::timeline::render;
use daybook_engine::block::Record;
use daybook_engine::event::{Micros, SessionKey};
use daybook_engine::view::{EventFacts, Ordinals, Part, Snapshot};
use std::ops::ControlFlow;

/// A place between two events: before the one with this `seq`. One more than the highest `seq` is
/// the end.
pub(crate) type Position = u64;

/// The place after every event.
pub(crate) const END: Position = 1 << 32;

/// An event of the session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) run: usize,
    pub(crate) ordinal: u32,
    pub(crate) facts: EventFacts,
}

impl Entry {
    pub(crate) fn seq(&self) -> Position {
        Position::from(self.facts.seq.0)
    }
}

struct Run<'a> {
    part: &'a dyn Part,
    ordinals: Ordinals,
}

impl Run<'_> {
    fn facts(&self, index: usize) -> Option<(u32, EventFacts)> {
        let ordinal = self.ordinals.get(index)?;
        Some((ordinal, self.part.facts(ordinal)?))
    }

    /// How many of its events are before a place.
    fn before(&self, position: Position) -> usize {
        let (mut low, mut high) = (0, self.ordinals.len());
        let is_before = |index: usize| {
            let facts = self.facts(index);
            facts.is_some_and(|(_, facts)| Position::from(facts.seq.0) < position)
        };
        // Most runs are on one side as a whole.
        match high.checked_sub(1) {
            Some(last) if is_before(last) => return high,
            Some(_) if is_before(0) => {}
            _ => return 0,
        }
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// A session's events.
pub(crate) struct Runs<'a> {
    runs: Vec<Run<'a>>,
    /// Are outputs taken from the lines?
    pub(crate) hides_outputs: bool,
}

impl<'a> Runs<'a> {
    /// The events of a session.
    pub(crate) fn of(snapshot: &'a Snapshot, key: SessionKey) -> Result<Runs<'a>, QueryError> {
        let mut runs = Vec::new();
        for part in &snapshot.parts {
            if let Some(run) = part.session_by_key(key)? {
                runs.push(Run { part: part.as_ref(), ordinals: run.ordinals });
            }
        }
        Ok(Runs { runs, hides_outputs: false })
    }

    /// Those of a session's events that an excerpt shows.
    pub(crate) fn shown(
        snapshot: &'a Snapshot,
        key: SessionKey,
        excerpt: &Excerpt,
    ) -> Result<Runs<'a>, QueryError> {
        let mut runs = Runs::of(snapshot, key)?;
        if !excerpt.is_all() {
            excerpt.narrow(&mut runs)?;
        }
        Ok(runs)
    }

    /// Leaves the events of which `keep` says so.
    pub(crate) fn retain(&mut self, keep: impl Fn(&EventFacts) -> bool) {
        for run in &mut self.runs {
            let kept = run
                .ordinals
                .iter()
                .filter(|ordinal| run.part.facts(*ordinal).is_some_and(|facts| keep(&facts)));
            run.ordinals = Ordinals::List(kept.collect());
        }
    }

    /// An event's line as it is answered.
    pub(crate) fn line(&self, record: &Record<'_>) -> Result<String, daybook_engine::Error> {
        let hidden = if self.hides_outputs { excerpt::redacted(record)? } else { None };
        match hidden {
            Some(json) => render::event(&Record { json: &json, ..*record }),
            None => render::event(record),
        }
    }

    /// How many of them are before a place.
    pub(crate) fn before(&self, position: Position) -> u64 {
        self.runs.iter().map(|run| run.before(position) as u64).sum()
    }

    /// What is known of each without reading it, in no order.
    pub(crate) fn each_facts(&self, mut visit: impl FnMut(&EventFacts)) {
        for run in &self.runs {
            run.part.each_facts(&run.ordinals, &mut |_, facts| visit(facts));
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.ordinals.len() as u64).sum()
    }

    /// Was all that was read of them what is stored? To be asked when the page is made.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        Ok(self.runs.iter().try_for_each(|run| run.part.check())?)
    }

    /// The part of a run, and how many events it has there.
    pub(crate) fn part(&self, run: usize) -> Option<(&'a dyn Part, usize)> {
        self.runs.get(run).map(|run| (run.part, run.ordinals.len()))
    }

    /// The event with a `seq`.
    pub(crate) fn find(&self, seq: u32) -> Option<Entry> {
        self.forwards(seq.into()).next().filter(|entry| entry.facts.seq.0 == seq)
    }

    /// The first event, by `seq`, of a time or later.
    pub(crate) fn at(&self, time: Micros) -> Option<Entry> {
        // Times need not rise with `seq` (clocks are set back), so every run has its first one.
        let first = |(number, run): (usize, &Run<'_>)| {
            let (ordinal, facts) = run.facts(run.part.first_from(&run.ordinals, time)?)?;
            Some(Entry { run: number, ordinal, facts })
        };
        self.runs.iter().enumerate().filter_map(first).min_by_key(Entry::seq)
    }

    /// The events from a place on.
    pub(crate) fn forwards(&self, from: Position) -> impl Iterator<Item = Entry> + '_ {
        let head = |run: usize, index: usize| {
            let (ordinal, facts) = self.runs.get(run)?.facts(index)?;
            Some((index, Entry { run, ordinal, facts }))
        };
        let mut heads: Vec<_> =
            self.runs.iter().enumerate().map(|(run, of)| head(run, of.before(from))).collect();
        std::iter::from_fn(move || {
            let (next, entry) =
                heads.iter().flatten().min_by_key(|(_, entry)| entry.seq()).copied()?;
            *heads.get_mut(entry.run)? = head(entry.run, next + 1);
            Some(entry)
        })
    }

    /// The events before a place, the last one first.
    pub(crate) fn backwards(&self, below: Position) -> impl Iterator<Item = Entry> + '_ {
        let head = |run: usize, count: usize| {
            let index = count.checked_sub(1)?;
            let (ordinal, facts) = self.runs.get(run)?.facts(index)?;
            Some((index, Entry { run, ordinal, facts }))
        };
        let mut heads: Vec<_> =
            self.runs.iter().enumerate().map(|(run, of)| head(run, of.before(below))).collect();
        std::iter::from_fn(move || {
            let (index, entry) =
                heads.iter().flatten().max_by_key(|(_, entry)| entry.seq()).copied()?;
            *heads.get_mut(entry.run)? = head(entry.run, index);
            Some(entry)
        })
    }

    /// Reads events, in whatever order is quick; `visit` is given their places in `entries`.
    pub(crate) fn read(
        &self,
        entries: &[Entry],
        mut visit: impl FnMut(usize, Record<'_>) -> Result<ControlFlow<()>, daybook_engine::Error>,
    ) -> Result<(), QueryError> {
        let mut order: Vec<(usize, u32, usize)> =
            entries.iter().enumerate().map(|(place, e)| (e.run, e.ordinal, place)).collect();
        order.sort_unstable();
        let mut ended = false;
        for of_run in order.chunk_by(|a, b| a.0 == b.0) {
            let Some(run) = of_run.first().and_then(|(run, _, _)| self.runs.get(*run)) else {
                continue;
            };
            let ordinals = of_run.iter().map(|(_, ordinal, _)| *ordinal).collect();
            run.part.read(&Ordinals::List(ordinals), None, &mut |ordinal, record| {
                let Ok(at) = of_run.binary_search_by_key(&ordinal, |(_, ordinal, _)| *ordinal)
                else {
                    return Ok(ControlFlow::Continue(()));
                };
                let flow = visit(of_run.get(at).map_or(0, |(_, _, place)| *place), record)?;
                ended = flow.is_break();
                Ok(flow)
            })?;
            if ended {
                break;
            }
        }
        Ok(())
    }
}
