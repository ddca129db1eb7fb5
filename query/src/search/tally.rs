//! Totals: how many events match, in how many sessions, with which values, and when.
//!
//! What the index and the facts decide is counted first, in several parts at once. Then what has to be read is, newest
//! parts first.

use super::histogram::Making;
use super::plan::Plan;
use super::{CountMode, SearchLimits, SearchRequest, Spent, Totals};
use crate::error::QueryError;
use crate::item::FacetCount;
use crate::lang::Tri;
use daybook_engine::catalog::filter::{SessionFilter, TextFact};
use daybook_engine::event::{Kind, SessionKey, Verdict};
use daybook_engine::together;
use daybook_engine::view::{
    Counted, EventFacts, Exactly, Moment, Ordinals, Part, SessionCounts, Weights,
};
use std::collections::{BTreeMap, HashMap};

/// The session's fields that are counted.
pub(crate) const FACETS: [TextFact; 6] = [
    TextFact::User,
    TextFact::Role,
    TextFact::Type,
    TextFact::Status,
    TextFact::Tag,
    TextFact::Agent,
];

/// At most this many values of each.
pub(crate) const FACET_VALUES_MAX: usize = 20;

/// How many candidates are read in one go.
const CHUNK: usize = 4096;

/// Fewer are counted sooner than a thread is there to help.
const EVENTS_FOR_A_THREAD: u64 = 100_000;

/// Counts matches.
pub(super) trait Count {
    /// Counts one.
    fn add(&mut self, facts: &EventFacts);

    /// The totals that are counted, where that is all: mostly less than all facts will do.
    fn totals(&mut self) -> Option<&mut Tally> {
        None
    }

    /// What it holds in memory, in bytes.
    fn memory(&self) -> usize;
}

/// What is needed of events to count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// How many there are.
    Number,
    /// Their sessions.
    Sessions,
    /// When they happened, and what.
    Moments,
}

/// The totals of all matches.
#[derive(Default)]
pub(super) struct Tally {
    count: u64,
    /// How many are in each session, if that is wanted.
    of_session: Option<SessionCounts>,
    /// The session that the last events are in, and how many: neighbours are of the same one.
    run: Option<(SessionKey, u64)>,
    /// Kinds and verdicts, if they are wanted.
    codes: Option<Codes>,
    histogram: Option<Making>,
}

/// How many events are of a kind, and have a verdict, by code.
#[derive(Default)]
struct Codes {
    of_kind: [u64; 16],
    of_verdict: [u64; 16],
}

impl Count for Tally {
    fn add(&mut self, facts: &EventFacts) {
        self.add_moment(&Moment::from(facts));
    }

    fn totals(&mut self) -> Option<&mut Tally> {
        Some(self)
    }

    fn memory(&self) -> usize {
        let sessions = self.of_session.as_ref().map_or(0, HashMap::capacity);
        sessions * size_of::<(SessionKey, u64)>()
    }
}

impl Tally {
    fn of(request: &SearchRequest<'_>) -> Tally {
        let sessions = request.facets || request.count == CountMode::Sessions;
        Tally {
            of_session: sessions.then(SessionCounts::default),
            codes: request.facets.then(Codes::default),
            histogram: request.histogram.then(Making::default),
            ..Tally::default()
        }
    }

    fn needs(&self) -> Needs {
        match (&self.codes, &self.histogram, &self.of_session) {
            (None, None, None) => Needs::Number,
            (None, None, Some(_)) => Needs::Sessions,
            _ => Needs::Moments,
        }
    }

    /// Counts so many of a session, where no more is needed.
    fn add_of(&mut self, session: SessionKey, events: u64) {
        self.count += events;
        if let Some(of_session) = &mut self.of_session {
            *of_session.entry(session).or_default() += events;
        }
    }

    fn add_moment(&mut self, moment: &Moment) {
        self.count += 1;
        if self.of_session.is_some() {
            match &mut self.run {
                Some((session, count)) if *session == moment.session => *count += 1,
                _ => {
                    self.end_run();
                    self.run = Some((moment.session, 1));
                }
            }
        }
        if let Some(Codes { of_kind, of_verdict }) = &mut self.codes {
            let kind = of_kind.get_mut(usize::from(moment.kind.code()));
            let verdict = moment.verdict.map(|verdict| usize::from(verdict.code()));
            let verdict = verdict.and_then(|code| of_verdict.get_mut(code));
            for count in [kind, verdict].into_iter().flatten() {
                *count += 1;
            }
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.add(moment);
        }
    }

    fn end_run(&mut self) {
        if let (Some((session, count)), Some(of_session)) = (self.run.take(), &mut self.of_session)
        {
            *of_session.entry(session).or_default() += count;
        }
    }

    /// An empty one, for the same.
    fn another(&self) -> Tally {
        Tally {
            of_session: self.of_session.as_ref().map(|_| SessionCounts::default()),
            codes: self.codes.as_ref().map(|_| Codes::default()),
            histogram: self.histogram.as_ref().map(|_| Making::default()),
            ..Tally::default()
        }
    }

    /// Adds what another one, for the same, has counted.
    fn merge(&mut self, mut other: Tally) {
        self.end_run();
        other.end_run();
        self.count += other.count;
        if let (Some(ours), Some(mut theirs)) = (&mut self.of_session, other.of_session) {
            if ours.len() < theirs.len() {
                std::mem::swap(ours, &mut theirs);
            }
            for (session, count) in theirs {
                *ours.entry(session).or_default() += count;
            }
        }
        if let (Some(ours), Some(theirs)) = (&mut self.codes, other.codes) {
            let sums = ours.of_kind.iter_mut().chain(&mut ours.of_verdict);
            let counts = theirs.of_kind.iter().chain(&theirs.of_verdict);
            sums.zip(counts).for_each(|(sum, count)| *sum += count);
        }
        if let (Some(ours), Some(theirs)) = (&mut self.histogram, other.histogram) {
            ours.merge(theirs);
        }
    }

    /// As [`Tally::add_part`], for each of some parts, and several at a time; `None` if the limits did not let it come to
    /// all of them.
    fn add_parts(
        &mut self,
        plan: &Plan<'_>,
        parts: &[&dyn Part],
        limits: &SearchLimits,
    ) -> Result<Option<Vec<Option<Left>>>, QueryError> {
        let spent = Spent::new(limits);
        let start = || (self.another(), Vec::new());
        let add = |(tally, added): &mut (Tally, Vec<(usize, Option<Left>)>), at: usize| {
            if let Some(part) = parts.get(at).filter(|_| spent.limit().is_none()) {
                added.push((at, tally.add_part(plan, *part)?));
            }
            Ok::<_, QueryError>(())
        };
        let events: u64 = parts.iter().map(|part| u64::from(part.len())).sum();
        let threads = if events < EVENTS_FOR_A_THREAD { 1 } else { together::threads() };
        let mut added = Vec::new();
        for (tally, its) in together::fold(parts.len(), threads, start, add)? {
            self.merge(tally);
            added.extend(its);
        }
        added.sort_unstable_by_key(|(at, _)| *at);
        let all = added.len() == parts.len();
        Ok(all.then(|| added.into_iter().map(|(_, left)| left).collect()))
    }

    /// Counts the matches of a part whose facts have no say. Answers what has to be read for the others; `None` where
    /// facts have a say, and then nothing is counted.
    fn add_part(&mut self, plan: &Plan<'_>, part: &dyn Part) -> Result<Option<Left>, QueryError> {
        let any_facts = plan.accepts_any(part);
        if !any_facts && !plan.accepts_sessions(part) {
            return Ok(None);
        }
        if self.needs() == Needs::Number
            && any_facts
            && let Some(Counted { sure, loose }) = plan.counted(part)?
        {
            self.count += sure;
            return Ok(Some(Left { to_read: loose, list: 0 }));
        }
        let (ordinals, loose) = match plan.decided(part)? {
            Some(Exactly { ordinals, loose }) => (Ordinals::List(ordinals), loose),
            None if plan.accepts_sessions(part) => (plan.ordinals(part)?, Vec::new()),
            None => return Ok(None),
        };
        let sure = without(ordinals, &loose);
        match self.needs() {
            Needs::Number | Needs::Sessions => part.each_session(&sure, &mut |session, events| {
                if plan.is_in_sessions(session) {
                    self.add_of(session, events);
                }
            }),
            Needs::Moments => part.each_moment(&sure, &mut |moment| {
                if plan.is_in_sessions(moment.session) {
                    self.add_moment(moment);
                }
            }),
        }
        Ok(Some(Left { list: sure.memory(), to_read: loose }))
    }
}

/// What is left of a part when all was counted that needs no line.
struct Left {
    /// The ordinals of the events that have to be read, ascending.
    to_read: Vec<u32>,
    /// What other ordinals held in memory meanwhile, in bytes.
    list: usize,
}

/// Counts all matches; also says whether the limits let it, and how many events can't be read.
pub(super) fn tally(
    plan: &Plan<'_>,
    request: &SearchRequest<'_>,
) -> Result<(Totals, bool, u64), QueryError> {
    let mut tally = Tally::of(request);
    let (complete, unreadable) = walk(plan, &request.limits, &mut tally)?;
    tally.end_run();
    let unreadable = unreadable + lost_before(plan);
    let count = tally.count;
    let sessions = tally.of_session.as_ref().map(|of_session| of_session.len() as u64);
    let mut totals = Totals::default();
    if complete && unreadable == 0 {
        (totals.count, totals.sessions) = (Some(count), sessions);
    } else {
        (totals.count_at_least, totals.sessions_at_least) = (Some(count), sessions);
    }
    totals.histogram = tally.histogram.map(Making::finish);
    if let (Some(of_session), Some(codes)) = (&tally.of_session, &tally.codes) {
        totals.facets = Some(facets(plan, of_session, codes)?);
    }
    Ok((totals, complete, unreadable))
}

/// Events of which not even the facts are known: they may match anything.
pub(super) fn lost_before(plan: &Plan<'_>) -> u64 {
    plan.snapshot.parts.iter().map(|part| u64::from(part.unreadable())).sum()
}

/// Counts all matches, parts with the newest first. Answers whether the limits let it come to the
/// end, and how many events may match, but can't be read.
pub(super) fn walk(
    plan: &Plan<'_>,
    limits: &SearchLimits,
    count: &mut impl Count,
) -> Result<(bool, u64), QueryError> {
    let mut parts: Vec<_> = plan
        .snapshot
        .parts
        .iter()
        .filter_map(|part| Some((plan.latest(part.as_ref())?, part.as_ref())))
        .collect();
    parts.sort_by_key(|(latest, _)| std::cmp::Reverse(*latest));
    let parts: Vec<&dyn Part> = parts.into_iter().map(|(_, part)| part).collect();
    let mut added = match count.totals() {
        Some(totals) => match totals.add_parts(plan, &parts, limits)? {
            Some(added) => added,
            None => return Ok((false, 0)),
        },
        None => Vec::new(),
    };
    added.resize_with(parts.len(), || None);
    let waiting = added.iter().flatten().map(|left| size_of_val(left.to_read.as_slice()));
    let waiting: usize = waiting.sum();
    let (mut spent, mut unreadable) = (Spent::new(limits), 0);
    for (part, added) in parts.into_iter().zip(added) {
        let Left { to_read, list } = match added {
            Some(left) => left,
            None => add_by_facts(plan, part, count)?,
        };
        for chunk in to_read.chunks(CHUNK) {
            let lists = waiting + list + size_of_val(to_read.as_slice());
            spent.memory = (lists + count.memory()) as u64;
            if spent.limit().is_some() {
                return Ok((false, unreadable));
            }
            unreadable += plan.verify(
                part,
                chunk.to_vec(),
                &mut spent,
                |_| true,
                |found, _| count.add(&found.facts),
            )?;
        }
        part.check()?;
    }
    Ok((true, unreadable))
}

/// Counts the matches of a part that the facts, and the text index, decide.
fn add_by_facts(
    plan: &Plan<'_>,
    part: &dyn Part,
    count: &mut impl Count,
) -> Result<Left, QueryError> {
    let (ordinals, loose) = match plan.decided(part)? {
        Some(exactly) => (Ordinals::List(exactly.ordinals), Some(exactly.loose)),
        None => (plan.ordinals(part)?, None),
    };
    // What is decided by the index has not to be read; and often its facts have no say either.
    let any_facts = loose.is_some() && plan.accepts_any(part);
    let mut loose = loose.map(|loose| loose.into_iter().peekable());
    let mut sure = |ordinal: u32| {
        loose.as_mut().is_some_and(|loose| {
            while loose.next_if(|next| *next < ordinal).is_some() {}
            loose.peek() != Some(&ordinal)
        })
    };
    let mut to_read = Vec::new();
    let accepts = |facts: &EventFacts| if any_facts { Tri::Maybe } else { plan.accepts(facts) };
    let wanted = |session| plan.is_in_sessions(session);
    part.each_facts_of(&ordinals, &wanted, &mut |ordinal, facts| match accepts(facts) {
        Tri::No => {}
        Tri::Yes => count.add(facts),
        Tri::Maybe if sure(ordinal) => count.add(facts),
        Tri::Maybe => to_read.push(ordinal),
    });
    Ok(Left { to_read, list: ordinals.memory() })
}

/// Some ordinals without others of them; both ascend.
fn without(all: Ordinals, others: &[u32]) -> Ordinals {
    if others.is_empty() {
        return all;
    }
    let mut others = others.iter().peekable();
    let stays = |ordinal: &u32| {
        while others.next_if(|other| *other < ordinal).is_some() {}
        others.peek() != Some(&ordinal)
    };
    Ordinals::List(all.iter().filter(stays).collect())
}

fn facets(
    plan: &Plan<'_>,
    of_session: &SessionCounts,
    codes: &Codes,
) -> Result<BTreeMap<&'static str, Vec<FacetCount>>, QueryError> {
    let weights = Weights::Of(of_session);
    let all = SessionFilter::All;
    let counted = plan.snapshot.sessions.facets(&all, weights, &FACETS, FACET_VALUES_MAX)?;
    let mut facets: BTreeMap<&'static str, Vec<FacetCount>> = BTreeMap::new();
    for (fact, values) in counted {
        let values = values.into_iter().map(|(value, count)| FacetCount { value, count });
        facets.insert(fact.name(), values.collect());
    }
    let kinds = Kind::ALL.iter().map(|kind| (kind.name(), kind.code()));
    facets.insert("kind", by_code(kinds, &codes.of_kind));
    let verdicts = Verdict::ALL.iter().map(|verdict| (verdict.name(), verdict.code()));
    facets.insert("verdict", by_code(verdicts, &codes.of_verdict));
    for counts in facets.values_mut() {
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        counts.truncate(FACET_VALUES_MAX);
    }
    Ok(facets)
}

fn by_code<'a>(names: impl Iterator<Item = (&'a str, u8)>, counts: &[u64]) -> Vec<FacetCount> {
    let counted = names.filter_map(|(name, code)| {
        let count = counts.get(usize::from(code)).copied().filter(|count| *count > 0)?;
        Some(FacetCount { value: name.to_owned(), count })
    });
    counted.collect()
}
