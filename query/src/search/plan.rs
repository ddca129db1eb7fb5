//! A query made ready for a snapshot: which events of a part are candidates, and which of them match.
//!
//! ```text
//! part ─ time window ─ narrow ∩ sessions ─> ordinals ─ facts ─> candidates ─ read, verify ─> matches
//! ```

use super::sets;
use super::{SearchLimits, Spent};
use crate::error::QueryError;
use crate::lang::matcher::{Exactness, Keys, RawTest};
use crate::lang::{Matcher, Query, Tri};
use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Kind, Micros, SessionKey};
use daybook_engine::screen::{Lookback, Seen};
use daybook_engine::text::Narrowed;
use daybook_engine::text::narrow::Narrow;
use daybook_engine::view::{Counted, EventFacts, Exactly, Ordinals, Part, Prefilter, Snapshot};
use parking_lot::Mutex;
use std::cell::Cell;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// A narrowing to at most this many events is not narrowed further by sessions' runs: testing their
/// facts costs less than looking the runs up.
const NARROW_ENOUGH: usize = 4096;

/// So many sessions' runs are looked up at most where only the newest matches are wanted: with more of them
/// these are found sooner by the facts of what is newest.
const RUNS_FEW: usize = 256;

/// So few sessions' runs are looked up before anything else is: mostly they leave less than the narrowing would.
const RUNS_FIRST: usize = 8;

/// So few events are read sooner than a narrowing says which of them to read.
const RUN_SHORT: usize = 256;

/// An event that matches.
pub(crate) struct Found<'a> {
    pub(crate) facts: EventFacts,
    pub(crate) event: &'a Event<'a>,
    /// What was seen with it, as far as that was asked.
    pub(crate) seen: &'a Seen,
}

/// The events of a part that are worth a look at their facts.
pub(crate) enum Candidates {
    /// These ordinals, ascending.
    Few(Vec<u32>),
    /// These.
    Narrowed(Narrowed),
    /// Each of them.
    All,
}

/// A query, ready.
pub(crate) struct Plan<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) matcher: Matcher,
    /// Matches are in these sessions only.
    sessions: Option<Keys>,
    /// The first and the last time that a match can have.
    window: (Micros, Micros),
    prefilter: Option<RawTest>,
    /// What was seen on terminals.
    lookback: Mutex<Lookback<'a>>,
}

impl<'a> Plan<'a> {
    /// Makes a query ready, for events of the sessions in `scope`.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        query: &Query,
        scope: Option<&Keys>,
        limits: &SearchLimits,
    ) -> Result<Plan<'a>, QueryError> {
        let matcher = Matcher::new(query, &mut |condition| {
            sets::resolve(snapshot, condition, scope, limits)
        })?;
        let sessions = match (matcher.sessions(), scope) {
            (None, None) => None,
            (None, Some(scope)) => Some(scope.clone()),
            (Some(of), None) => Some(Arc::new(of.clone())),
            (Some(of), Some(scope)) => Some(Arc::new(of.intersection(scope))),
        };
        let (low, high) = matcher.time_range();
        let low = match low {
            Bound::Included(time) => time,
            Bound::Excluded(Micros(time)) => Micros(time.saturating_add(1)),
            Bound::Unbounded => Micros(i64::MIN),
        };
        let high = match high {
            Bound::Included(time) => time,
            Bound::Excluded(Micros(time)) => Micros(time.saturating_sub(1)),
            Bound::Unbounded => Micros(i64::MAX),
        };
        let prefilter = matcher.prefilter();
        let lookback = Mutex::new(Lookback::new(snapshot));
        Ok(Plan { snapshot, matcher, sessions, window: (low, high), prefilter, lookback })
    }

    /// A plan that finds nothing, and marks what the query looks for in events that were found before.
    pub(crate) fn marking(snapshot: &'a Snapshot, matcher: Matcher) -> Plan<'a> {
        let window = (Micros(i64::MIN), Micros(i64::MAX));
        let lookback = Mutex::new(Lookback::new(snapshot));
        Plan { snapshot, matcher, sessions: None, window, prefilter: None, lookback }
    }

    /// The latest time that a match in a part can have; `None` if there can't be one.
    pub(crate) fn latest(&self, part: &dyn Part) -> Option<Micros> {
        let times = part.time_range()?;
        let nowhere = self.sessions.as_ref().is_some_and(|sessions| sessions.is_empty());
        (!nowhere && self.meets(times)).then(|| times.1.min(self.window.1))
    }

    /// Can a match be of a time between these?
    pub(crate) fn meets(&self, (first, last): (Micros, Micros)) -> bool {
        let (low, high) = self.window;
        first <= high && low <= last
    }

    /// The ordinals of a part, ascending, that are worth a look at their facts.
    pub(crate) fn ordinals(&self, part: &dyn Part) -> Result<Ordinals, QueryError> {
        if self.latest(part).is_none() {
            return Ok(Ordinals::List(Vec::new()));
        }
        if let Some(few) = self.of_few_sessions(part)? {
            return Ok(Ordinals::List(few));
        }
        let narrowed = match self.matcher.narrow() {
            Narrow::All => None,
            narrow => part.narrow(narrow)?,
        };
        if narrowed.as_ref().is_some_and(|list| list.len() <= NARROW_ENOUGH) {
            return Ok(Ordinals::List(narrowed.unwrap_or_default()));
        }
        if let Some(mut of_sessions) = self.of_sessions(part, usize::MAX)? {
            if let Some(narrowed) = narrowed {
                of_sessions.retain(|ordinal| narrowed.binary_search(ordinal).is_ok());
            }
            return Ok(Ordinals::List(of_sessions));
        }
        Ok(narrowed.map_or(Ordinals::Range(0..part.len()), Ordinals::List))
    }

    /// As [`Plan::ordinals`], for who wants the newest matches only.
    pub(crate) fn candidates(&self, part: &dyn Part) -> Result<Candidates, QueryError> {
        if self.latest(part).is_none() {
            return Ok(Candidates::Few(Vec::new()));
        }
        if let Some(few) = self.of_few_sessions(part)? {
            return Ok(Candidates::Few(few));
        }
        let narrowed = match self.matcher.narrow() {
            Narrow::All => None,
            narrow => part.narrow_offsets(narrow)?,
        };
        // In a small part few is less.
        let few = NARROW_ENOUGH.min(part.len() as usize / 8);
        let narrowed = match narrowed {
            Some(found) if found.count() <= few as u64 => {
                return Ok(Candidates::Few(part.ordinals_of(&found.all())?));
            }
            narrowed => narrowed,
        };
        if let Some(mut of_sessions) = self.of_sessions(part, RUNS_FEW)? {
            if let Some(narrowed) = narrowed {
                let narrowed = part.ordinals_of(&narrowed.all())?;
                of_sessions.retain(|ordinal| narrowed.binary_search(ordinal).is_ok());
            }
            return Ok(Candidates::Few(of_sessions));
        }
        Ok(narrowed.map_or(Candidates::All, Candidates::Narrowed))
    }

    /// As [`Plan::of_sessions`], where the sessions are very few, and their events, too.
    fn of_few_sessions(&self, part: &dyn Part) -> Result<Option<Vec<u32>>, QueryError> {
        let few = self.of_sessions(part, RUNS_FIRST)?;
        Ok(few.filter(|ordinals| ordinals.len() <= RUN_SHORT))
    }

    /// The events of the sessions that matches are in, by their offsets, where there may be many of them; `None` where it
    /// takes less to ask each event for its session.
    pub(crate) fn of_many_sessions(&self, part: &dyn Part) -> Option<Narrowed> {
        let sessions = self.sessions.as_ref()?;
        part.narrow_to_sessions(&|session| sessions.contains(session))
    }

    /// The events of the sessions that matches are in, ascending; `None` where these are many, more than `most`
    /// among them.
    fn of_sessions(&self, part: &dyn Part, most: usize) -> Result<Option<Vec<u32>>, QueryError> {
        let Some(sessions) = &self.sessions else { return Ok(None) };
        // A look-up costs some dozens of facts.
        if sessions.len() > (part.len() as usize / 64).min(most) {
            return Ok(None);
        }
        let mut ordinals = Vec::new();
        for key in sessions.iter() {
            if let Some(run) = part.session_by_key(key)? {
                ordinals.extend(run.ordinals.iter());
            }
        }
        ordinals.sort_unstable();
        Ok(Some(ordinals))
    }

    /// The ordinals of a part that the index and the facts decide, without a line being read; see
    /// [`Matcher::exactness`].
    pub(crate) fn decided(&self, part: &dyn Part) -> Result<Option<Exactly>, QueryError> {
        // Few are read as quickly as they are decided; few sessions are looked up.
        let few = self.sessions.as_ref().is_some_and(|s| s.len() <= part.len() as usize / 64);
        match self.exact_narrow() {
            Some((narrow, seen_too)) if !few => Ok(part.narrow_exactly(narrow, seen_too)?),
            _ => Ok(None),
        }
    }

    /// As [`Plan::decided`], for who only counts.
    pub(crate) fn counted(&self, part: &dyn Part) -> Result<Option<Counted>, QueryError> {
        let Some((narrow, seen_too)) = self.exact_narrow() else { return Ok(None) };
        Ok(part.count_exactly(narrow, seen_too)?)
    }

    /// The narrowing, if it says exactly what is asked, and whether words that were only seen count.
    fn exact_narrow(&self) -> Option<(&Narrow, bool)> {
        match (self.matcher.narrow(), self.matcher.exactness()?) {
            (Narrow::All | Narrow::None, _) => None,
            (narrow, exactness) => Some((narrow, exactness == Exactness::All)),
        }
    }

    /// The test on raw bytes that everything which matches passes.
    pub(crate) fn prefilter(&self) -> Option<Prefilter<'_>> {
        self.prefilter.as_ref().map(|test| test.as_ref() as Prefilter<'_>)
    }

    /// What the facts of an event say.
    pub(crate) fn accepts(&self, facts: &EventFacts) -> Tri {
        let (low, high) = self.window;
        if facts.time < low
            || facts.time > high
            || self.sessions.as_ref().is_some_and(|keys| !keys.contains(facts.session))
        {
            return Tri::No;
        }
        self.matcher.accepts(facts)
    }

    /// Does every event of a part that has the texts match, whatever its facts are?
    pub(crate) fn accepts_any(&self, part: &dyn Part) -> bool {
        let (low, high) = self.window;
        let within = part.time_range().is_some_and(|(first, last)| low <= first && last <= high);
        within && self.sessions.is_none() && self.matcher.is_of_texts()
    }

    /// Do the sessions of a part's events alone decide, by [`Plan::is_in_sessions`]?
    pub(crate) fn accepts_sessions(&self, part: &dyn Part) -> bool {
        let (low, high) = self.window;
        let within = part.time_range().is_some_and(|(first, last)| low <= first && last <= high);
        within && self.matcher.is_of_sessions()
    }

    /// Is it one of the sessions that matches are in?
    pub(crate) fn is_in_sessions(&self, session: SessionKey) -> bool {
        self.sessions.as_ref().is_none_or(|keys| keys.contains(session))
    }

    /// May an event match by what was seen with it? That stands in no line's bytes: no prefilter knows it.
    pub(crate) fn asks_seen(&self, part: &dyn Part, ordinal: u32) -> bool {
        // Most queries that name a field ask of no kind.
        self.matcher.asks_seen(Kind::TerminalOutput)
            && part.facts(ordinal).is_some_and(|facts| {
                self.matcher.asks_seen(facts.kind)
                    && part.seen(facts.offset).is_none_or(|seen| self.matcher.may_be_seen(&seen))
            })
    }

    /// What was seen with an event, if the query asks for that.
    pub(crate) fn seen(
        &self,
        facts: &EventFacts,
        record: &Record<'_>,
        event: &Event<'_>,
    ) -> Result<Arc<Seen>, Error> {
        match self.matcher.asks_seen(facts.kind) {
            true => {
                let wanted = self.matcher.seen_chars();
                self.lookback.lock().seen(facts.session, record, event, wanted)
            }
            false => Ok(Arc::default()),
        }
    }

    /// Does an event match? Then what was seen with it, as far as that was asked.
    pub(crate) fn matches(
        &self,
        facts: &EventFacts,
        record: &Record<'_>,
        event: &Event<'_>,
    ) -> Result<Option<Arc<Seen>>, Error> {
        let mut seen = Ok(Arc::default());
        let matches = self.matcher.matches(facts, event, &mut || {
            seen = self.seen(facts, record, event);
            seen.clone().unwrap_or_default()
        });
        seen.map(|seen| matches.then_some(seen))
    }

    /// Reads events, in ascending order of `ordinals`, and visits those that match and that `wanted`
    /// still wants (it is asked before anything is decoded). Answers how many can't be read, because
    /// their blocks (or those of what a terminal showed before) are damaged. What it takes is added to `spent`.
    pub(crate) fn verify(
        &self,
        part: &dyn Part,
        ordinals: Vec<u32>,
        spent: &mut Spent,
        wanted: impl FnMut(&EventFacts) -> bool,
        visit: impl FnMut(&Found<'_>, &Record<'_>),
    ) -> Result<u64, QueryError> {
        Ok(self.verify_naming(part, ordinals, spent, wanted, visit)?.len() as u64)
    }

    /// As [`Plan::verify`], but answers which can't be read, by their ordinals.
    pub(crate) fn verify_naming(
        &self,
        part: &dyn Part,
        ordinals: Vec<u32>,
        spent: &mut Spent,
        mut wanted: impl FnMut(&EventFacts) -> bool,
        mut visit: impl FnMut(&Found<'_>, &Record<'_>),
    ) -> Result<Vec<u32>, QueryError> {
        let (terminals, others): (Vec<u32>, Vec<u32>) = match self.prefilter {
            Some(_) => ordinals.into_iter().partition(|ordinal| self.asks_seen(part, *ordinal)),
            None => (ordinals, Vec::new()),
        };
        let mut unreadable = self.read(part, others, true, spent, &mut wanted, &mut visit)?;
        unreadable.extend(self.read(part, terminals, false, spent, &mut wanted, &mut visit)?);
        Ok(unreadable)
    }

    /// Answers which can't be read.
    fn read(
        &self,
        part: &dyn Part,
        ordinals: Vec<u32>,
        prefiltered: bool,
        spent: &mut Spent,
        wanted: &mut dyn FnMut(&EventFacts) -> bool,
        visit: &mut dyn FnMut(&Found<'_>, &Record<'_>),
    ) -> Result<Vec<u32>, QueryError> {
        if ordinals.is_empty() {
            return Ok(Vec::new());
        }
        spent.events += ordinals.len() as u64;
        let bytes = Cell::new(0);
        let tested = self.prefilter.as_ref().filter(|_| prefiltered).map(|test| {
            let bytes = &bytes;
            move |raw: &[u8]| {
                bytes.set(bytes.get() + raw.len() as u64);
                test(raw)
            }
        });
        let (mut unreadable, mut unseen) = (Vec::new(), Vec::new());
        let mut lost = |ordinal: u32, error: &Error| match error {
            Error::Corrupt { .. } => {
                unreadable.push(ordinal);
                Ok(())
            }
            other => Err(other.clone()),
        };
        part.read_past(
            &Ordinals::List(ordinals),
            tested.as_ref().map(|test| test as Prefilter<'_>),
            &mut lost,
            &mut |ordinal, record| {
                bytes.set(bytes.get() + record.json.len() as u64);
                let facts = part.facts(ordinal).ok_or(Error::NoSuchEvent(record.offset))?;
                if wanted(&facts) {
                    let event = record.event()?;
                    match self.matches(&facts, &record, &event) {
                        Ok(Some(seen)) => {
                            visit(&Found { facts, event: &event, seen: &seen }, &record);
                        }
                        Ok(None) => {}
                        Err(Error::Corrupt { .. }) => unseen.push(ordinal),
                        Err(error) => return Err(error),
                    }
                }
                Ok(ControlFlow::Continue(()))
            },
        )?;
        spent.bytes += bytes.get();
        unreadable.extend(unseen);
        Ok(unreadable)
    }
}
