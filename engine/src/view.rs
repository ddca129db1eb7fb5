//! How the log is read: a [`Snapshot`] of parts and sessions.
//!
//! A part is a run of events, either the journal or a sealed segment, with ascending offsets and its own
//! *ordinals* `0..len`. In a journal the ordinals follow the offsets; in a segment they follow the
//! sessions, then `seq`, so that a session's events are neighbours. All reads name ordinals.

use crate::block::Record;
use crate::catalog::filter::{NumberFact, SessionFilter, TextFact};
use crate::catalog::sort::{Sort, SortValue};
use crate::error::Error;
use crate::event::{Kind, Micros, Offset, Seq, SessionKey, Verdict};
pub use crate::journal::order::SharedOrdinals;
use crate::screen::Seen;
use crate::session::SessionState;
pub use crate::session_set::SessionSet;
use crate::text::Narrowed;
use crate::text::narrow::Narrow;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// What a part knows of an event without reading its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFacts {
    /// Its place in the node's log.
    pub offset: Offset,
    /// Its number in its session.
    pub seq: Seq,
    /// When it happened.
    pub time: Micros,
    /// What happened.
    pub kind: Kind,
    /// The verdict, for commands that carry one.
    pub verdict: Option<Verdict>,
    /// Its session.
    pub session: SessionKey,
}

/// What of an event's facts is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its session.
    pub session: SessionKey,
    /// When it happened.
    pub time: Micros,
    /// What happened.
    pub kind: Kind,
    /// The verdict, for commands that carry one.
    pub verdict: Option<Verdict>,
}

impl From<&EventFacts> for Moment {
    fn from(facts: &EventFacts) -> Moment {
        let EventFacts { session, time, kind, verdict, .. } = *facts;
        Moment { session, time, kind, verdict }
    }
}

/// A session's events in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRun {
    /// The session's number.
    pub key: SessionKey,
    /// Its events' ordinals, in the order of `seq`.
    pub ordinals: Ordinals,
}

/// Some ordinals of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordinals {
    /// Neighbours.
    Range(Range<u32>),
    /// One by one; ascending unless said otherwise.
    List(Vec<u32>),
    /// A session's in a journal, in the order of `seq`, shared with the journal.
    Shared(SharedOrdinals),
}

impl Ordinals {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Ordinals::Range(range) => range.len(),
            Ordinals::List(list) => list.len(),
            Ordinals::Shared(shared) => shared.len(),
        }
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u32> {
        match self {
            Ordinals::Range(range) => range.clone().nth(index),
            Ordinals::List(list) => list.get(index).copied(),
            Ordinals::Shared(shared) => shared.get(index),
        }
    }

    /// What a list of them takes in memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Ordinals::Range(_) => 0,
            Ordinals::List(list) => size_of_val(list.as_slice()),
            // The journal's.
            Ordinals::Shared(_) => 0,
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

/// A run of neighbours in the log, and when they happened: events come about in the order of their times, so
/// the newest are found without a look at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first offset.
    pub from: Offset,
    /// The offset after the last.
    pub to: Offset,
    /// The earliest and the latest time.
    pub times: (Micros, Micros),
}

/// How many offsets a stretch has at least, but for the last.
pub const STRETCH: u64 = 4096;

/// A test on the raw bytes of a block or a line, for blocks whose lines are all plain (see
/// [`crate::block::Flags::plain`]): `false` means that nothing in these bytes can match.
pub type Prefilter<'a> = &'a dyn Fn(&[u8]) -> bool;

/// What is done with each record that is read; [`ControlFlow::Break`] ends the read.
pub type Visit<'a> = &'a mut dyn FnMut(u32, Record<'_>) -> Result<ControlFlow<()>, Error>;

/// What is done about an event that can't be read because its block is damaged; an error ends the read.
pub type Lost<'a> = &'a mut dyn FnMut(u32, &Error) -> Result<(), Error>;

/// What an index says exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exactly {
    /// The ordinals of the events that satisfy it, ascending.
    pub ordinals: Vec<u32>,
    /// Those among them that only may, ascending: they have to be read.
    pub loose: Vec<u32>,
}

/// How many events satisfy what an index says exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// So many do.
    pub sure: u64,
    /// The ordinals of others that only may, ascending: they have to be read.
    pub loose: Vec<u32>,
}

/// A run of events: the journal or a segment.
pub trait Part: Send + Sync {
    /// How many events; ordinals are below this.
    fn len(&self) -> u32;

    /// Has it no events?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is it a sealed segment?
    fn sealed(&self) -> bool;

    /// The offset that it starts at.
    fn base(&self) -> Offset;

    /// The offset after the last that it stands for; those that it lacks in between were erased.
    fn end(&self) -> Offset;

    /// The earliest and latest time of its events.
    fn time_range(&self) -> Option<(Micros, Micros)>;

    /// The facts of an event, or `None` for an ordinal out of range.
    fn facts(&self, ordinal: u32) -> Option<EventFacts>;

    /// Was all that was read of it what is stored? What can't be read has no facts; so this is asked
    /// where facts decide, after they were.
    ///
    /// # Errors
    /// A file that shrank or went bad under its readers.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Calls `visit` with each of `ordinals` and its facts; one that has none is passed over. Quicker than asking
    /// for each, if they ascend.
    fn each_facts(&self, ordinals: &Ordinals, visit: &mut dyn FnMut(u32, &EventFacts)) {
        for ordinal in ordinals.iter() {
            if let Some(facts) = self.facts(ordinal) {
                visit(ordinal, &facts);
            }
        }
    }

    /// As [`Part::each_facts`], for who counts: less of each is read.
    fn each_moment(&self, ordinals: &Ordinals, visit: &mut dyn FnMut(&Moment)) {
        self.each_facts(ordinals, &mut |_, facts| visit(&Moment::from(facts)));
    }

    /// As [`Part::each_facts`], for events of some sessions only; what is known of others is not even read.
    fn each_facts_of(
        &self,
        ordinals: &Ordinals,
        wanted: &dyn Fn(SessionKey) -> bool,
        visit: &mut dyn FnMut(u32, &EventFacts),
    ) {
        self.each_facts(ordinals, &mut |ordinal, facts| {
            if wanted(facts.session) {
                visit(ordinal, facts);
            }
        });
    }

    /// Calls `visit` with the session of each run of neighbours of `ordinals`, which ascend, and how many of them these
    /// are; a session may come again. It takes no facts, and [`Part::check`] says whether it was all.
    fn each_session(&self, ordinals: &Ordinals, visit: &mut dyn FnMut(SessionKey, u64)) {
        let mut run: Option<(SessionKey, u64)> = None;
        self.each_facts(ordinals, &mut |_, facts| match &mut run {
            Some((session, count)) if *session == facts.session => *count += 1,
            _ => {
                if let Some((session, count)) = run.replace((facts.session, 1)) {
                    visit(session, count);
                }
            }
        });
        if let Some((session, count)) = run {
            visit(session, count);
        }
    }

    /// What was seen with an event of a terminal, where that is drawn already; `None` where it is not.
    fn seen(&self, offset: Offset) -> Option<Arc<Seen>> {
        let _ = offset;
        None
    }

    /// All of its events in the order of their offsets, in stretches.
    fn stretches(&self) -> Arc<[Stretch]>;

    /// The ordinal of an offset.
    fn ordinal_of(&self, offset: Offset) -> Option<u32>;

    /// How many events of these offsets it has.
    fn count_in(&self, offsets: Range<u64>) -> u64 {
        let (from, to) = (offsets.start.max(self.base().0), offsets.end.min(self.end().0));
        (from..to).filter(|offset| self.ordinal_of(Offset(*offset)).is_some()).count() as u64
    }

    /// The ordinals of events that there are, ascending.
    ///
    /// # Errors
    /// [`Error::NoSuchEvent`], or a damaged index.
    fn ordinals_of(&self, offsets: &[u64]) -> Result<Vec<u32>, Error>;

    /// A session's events, if it has any here.
    ///
    /// # Errors
    /// A damaged index.
    fn session(&self, id: &str) -> Result<Option<SessionRun>, Error>;

    /// The same, by the session's number.
    ///
    /// # Errors
    /// A damaged index.
    fn session_by_key(&self, key: SessionKey) -> Result<Option<SessionRun>, Error>;

    /// The place in `ordinals` of the first event of a time or later. Times need not rise along them
    /// (clocks are set back); what is early as a whole is passed over, so that a place deep in a long
    /// session costs little.
    fn first_from(&self, ordinals: &Ordinals, time: Micros) -> Option<usize> {
        ordinals.iter().position(|o| self.facts(o).is_some_and(|facts| facts.time >= time))
    }

    /// The events of the sessions that are wanted, by their offsets; `None` where it takes no less to find them than to
    /// look at each.
    fn narrow_to_sessions(&self, wanted: &dyn Fn(SessionKey) -> bool) -> Option<Narrowed> {
        let _ = wanted;
        None
    }

    /// The events that may satisfy a narrowing, by their offsets, or `None` when the index can't help and every event
    /// may.
    ///
    /// # Errors
    /// The text index's.
    fn narrow_offsets(&self, narrow: &Narrow) -> Result<Option<Narrowed>, Error>;

    /// As [`Part::narrow_offsets`], their ordinals (ascending).
    ///
    /// # Errors
    /// The text index's.
    fn narrow(&self, narrow: &Narrow) -> Result<Option<Vec<u32>>, Error> {
        let offsets = self.narrow_offsets(narrow)?;
        offsets.map(|offsets| self.ordinals_of(&offsets.all())).transpose()
    }

    /// The ordinals of events whose texts satisfy a narrowing (ascending), where it says exactly what is asked.
    /// `None` when the index can't say. If `seen_too`, a word that was first seen with an event counts as its own: as
    /// a narrowing of whole words in any field means it.
    ///
    /// # Errors
    /// The text index's.
    fn narrow_exactly(&self, narrow: &Narrow, seen_too: bool) -> Result<Option<Exactly>, Error> {
        let _ = (narrow, seen_too);
        Ok(None)
    }

    /// As [`Part::narrow_exactly`], for who only counts.
    ///
    /// # Errors
    /// The text index's.
    fn count_exactly(&self, narrow: &Narrow, seen_too: bool) -> Result<Option<Counted>, Error> {
        let found = self.narrow_exactly(narrow, seen_too)?;
        Ok(found.map(|Exactly { ordinals, loose }| Counted {
            sure: (ordinals.len() - loose.len()) as u64,
            loose,
        }))
    }

    /// How many of its events were known to be lost when it was opened: they have no facts.
    fn unreadable(&self) -> u32 {
        0
    }

    /// Reads records in the order given; fastest when that is ascending. A block or a line that
    /// `prefilter` refuses is skipped.
    ///
    /// # Errors
    /// A block that can't be read, or what `visit` answers.
    fn read(
        &self,
        ordinals: &Ordinals,
        prefilter: Option<Prefilter<'_>>,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.read_past(ordinals, prefilter, &mut |_, error| Err(error.clone()), visit)
    }

    /// As [`Part::read`], past blocks that are damaged: `lost` hears of each event in one.
    ///
    /// # Errors
    /// What `lost` or `visit` answers, or an index that can't be read.
    fn read_past(
        &self,
        ordinals: &Ordinals,
        prefilter: Option<Prefilter<'_>>,
        lost: Lost<'_>,
        visit: Visit<'_>,
    ) -> Result<(), Error>;
}

/// A session with its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: Arc<str>,
    /// Its number on this node.
    pub key: SessionKey,
    /// Its state.
    pub state: Arc<SessionState>,
}

/// What a page of sessions is asked for.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Which sessions.
    pub filter: SessionFilter,
    /// In which order.
    pub sort: Sort,
    /// Only what comes after this place: the last session of the page before.
    pub after: Option<ListPlace>,
    /// At most this many.
    pub limit: usize,
}

/// A session's place in a sorted list. A session without the value sorts last in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPlace {
    /// The value that the list is sorted by.
    pub value: Option<SortValue>,
    /// The tie-break: descending when the sort is, ascending otherwise.
    pub key: SessionKey,
}

/// A page of sessions.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// The sessions, in order.
    pub items: Vec<Session>,
    /// How many match the filter in all, exactly.
    pub count: u64,
    /// The place of the last item, if there are more after it.
    pub next: Option<ListPlace>,
}

/// How many sessions have each value of a field, most first.
pub type Facet = Vec<(String, u64)>;

/// A number for each of some sessions.
pub type SessionCounts = HashMap<SessionKey, u64, foldhash::fast::RandomState>;

/// For how much a session counts.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Each for one.
    One,
    /// For what is given; for nothing if that is nothing.
    Of(&'a SessionCounts),
}

impl Weights<'_> {
    /// A session's.
    #[must_use]
    pub fn of(self, session: SessionKey) -> u64 {
        match self {
            Weights::One => 1,
            Weights::Of(weights) => weights.get(&session).copied().unwrap_or(0),
        }
    }
}

/// The catalog, as readers see it: exact for everything that was acknowledged.
pub trait Sessions: Send + Sync {
    /// A session by its id.
    ///
    /// # Errors
    /// The catalog's.
    fn get(&self, id: &str) -> Result<Option<Session>, Error>;

    /// A session by its number.
    ///
    /// # Errors
    /// The catalog's.
    fn by_key(&self, key: SessionKey) -> Result<Option<Session>, Error>;

    /// A page of a filtered, sorted list with the exact count.
    ///
    /// # Errors
    /// The catalog's.
    fn list(&self, request: &ListRequest) -> Result<ListPage, Error>;

    /// Were all events of a session erased, since this log was opened? A snapshot from before still has them.
    fn was_erased(&self, key: SessionKey) -> bool {
        let _ = key;
        false
    }

    /// The numbers of all sessions that match.
    ///
    /// # Errors
    /// The catalog's.
    fn keys(&self, filter: &SessionFilter) -> Result<Arc<SessionSet>, Error>;

    /// For each field, its most frequent values among the sessions that match, `limit` of each. A session counts
    /// for as much as `weights` says; a value that comes to nothing is none.
    ///
    /// # Errors
    /// The catalog's.
    fn facets(
        &self,
        filter: &SessionFilter,
        weights: Weights<'_>,
        fields: &[TextFact],
        limit: usize,
    ) -> Result<Vec<(TextFact, Facet)>, Error>;

    /// Visits these numbers of each session that matches, in the order of `facts`; sessions come in no order.
    ///
    /// # Errors
    /// The catalog's.
    fn each_numbers(
        &self,
        filter: &SessionFilter,
        facts: &[NumberFact],
        visit: &mut dyn FnMut(&[Option<i64>]),
    ) -> Result<(), Error>;

    /// How many sessions there are.
    ///
    /// # Errors
    /// The catalog's.
    fn count(&self) -> Result<u64, Error>;
}

/// A consistent view of the log: every event that was acknowledged before it was taken.
#[derive(Clone)]
pub struct Snapshot {
    /// The parts, oldest first.
    pub parts: Vec<Arc<dyn Part>>,
    /// The catalog. It may already know of events after the snapshot.
    pub sessions: Arc<dyn Sessions>,
}

impl Snapshot {
    /// How many events are in the log.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.len())).sum()
    }

    /// The part that holds an offset, and the event's ordinal in it.
    #[must_use]
    pub fn find(&self, offset: Offset) -> Option<(&Arc<dyn Part>, u32)> {
        let index = self.parts.partition_point(|part| part.base() <= offset).checked_sub(1)?;
        let part = self.parts.get(index)?;
        part.ordinal_of(offset).map(|ordinal| (part, ordinal))
    }

    /// Who sent the event at an offset, empty where nobody asked; `None` if it was erased. Of a session the
    /// one who sent its first event, at the offset that its key is, is the one whose it is.
    ///
    /// # Errors
    /// A block that can't be read.
    pub fn producer_of(&self, offset: Offset) -> Result<Option<Box<str>>, Error> {
        let Some((part, ordinal)) = self.find(offset) else { return Ok(None) };
        let mut producer = None;
        part.read(&Ordinals::Range(ordinal..ordinal + 1), None, &mut |_, record| {
            producer = Some(record.producer.into());
            Ok(ControlFlow::Break(()))
        })?;
        Ok(producer)
    }
}
