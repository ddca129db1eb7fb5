//! Totals: how many events match, in how many sessions, with which values, and when.
//!
//! Parts are gone through newest first, so that totals that stop at the limits are of the newest.

use super::histogram::Spread;
use super::plan::Plan;
use super::{SearchLimits, SearchRequest, Spent, Totals};
use crate::error::QueryError;
use crate::item::FacetCount;
use crate::lang::Tri;
use daybook_engine::catalog::filter::{SessionFilter, TextFact};
use daybook_engine::event::{Kind, SessionKey, Verdict};
use daybook_engine::view::{EventFacts, Moment, Ordinals, SessionCounts, Weights};
use std::collections::BTreeMap;

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

#[derive(Default)]
struct Tally {
    count: u64,
    of_session: SessionCounts,
    /// The session that the last events are in, and how many: neighbours are of the same one.
    run: Option<(SessionKey, u64)>,
    /// Are kinds and verdicts counted, too?
    codes: bool,
    /// By code.
    of_kind: [u64; 16],
    of_verdict: [u64; 16],
    spread: Option<Spread>,
    /// Events that may match, but can't be read.
    unreadable: u64,
}

/// What is needed of events to count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Their sessions.
    Sessions,
    /// When they happened, and what.
    Moments,
    /// All facts.
    Facts,
}

/// Counts matches.
pub(super) trait Count {
    /// Counts one.
    fn add(&mut self, facts: &EventFacts);

    /// What it needs of events.
    fn needs(&self) -> Needs;

    /// Counts so many of a session, where it needs no more.
    fn add_of(&mut self, session: SessionKey, events: u64);

    /// Counts one, where it needs no more.
    fn add_moment(&mut self, moment: &Moment);

    /// What it holds in memory, in bytes.
    fn memory(&self) -> usize;
}

impl Count for Tally {
    fn add(&mut self, facts: &EventFacts) {
        self.add_moment(&Moment::from(facts));
    }

    fn add_moment(&mut self, moment: &Moment) {
        self.count += 1;
        match &mut self.run {
            Some((session, count)) if *session == moment.session => *count += 1,
            _ => {
                self.end_run();
                self.run = Some((moment.session, 1));
            }
        }
        let of_kind = self.of_kind.get_mut(usize::from(moment.kind.code()));
        let of_verdict = moment.verdict.map(|verdict| usize::from(verdict.code()));
        let of_verdict = of_verdict.and_then(|code| self.of_verdict.get_mut(code));
        for count in [of_kind, of_verdict].into_iter().flatten() {
            *count += 1;
        }
        if let Some(spread) = &mut self.spread {
            spread.add(moment.time, moment.verdict);
        }
    }

    fn needs(&self) -> Needs {
        if self.codes || self.spread.is_some() { Needs::Moments } else { Needs::Sessions }
    }

    fn add_of(&mut self, session: SessionKey, events: u64) {
        self.count += events;
        *self.of_session.entry(session).or_default() += events;
    }

    fn memory(&self) -> usize {
        self.of_session.capacity() * size_of::<(SessionKey, u64)>()
    }
}

impl Tally {
    fn end_run(&mut self) {
        if let Some((session, count)) = self.run.take() {
            *self.of_session.entry(session).or_default() += count;
        }
    }
}

/// Counts all matches; also says whether the limits let it, and how many events can't be read.
pub(super) fn tally(
    plan: &Plan<'_>,
    request: &SearchRequest<'_>,
) -> Result<(Totals, bool, u64), QueryError> {
    let spread = request.histogram.then(Spread::default);
    let mut tally = Tally { spread, codes: request.facets, ..Tally::default() };
    let (complete, unreadable) = walk(plan, request.limits, &mut tally)?;
    tally.end_run();
    tally.unreadable = unreadable;
    let (count, sessions) = (tally.count, tally.of_session.len() as u64);
    let mut totals = Totals::default();
    tally.unreadable += lost_before(plan);
    if complete && tally.unreadable == 0 {
        (totals.count, totals.sessions) = (Some(count), Some(sessions));
    } else {
        (totals.count_at_least, totals.sessions_at_least) = (Some(count), Some(sessions));
    }
    totals.histogram = tally.spread.take().map(Spread::finish);
    if request.facets {
        totals.facets = Some(facets(plan, &tally)?);
    }
    Ok((totals, complete, tally.unreadable))
}

/// Events of which not even the facts are known: they may match anything.
pub(super) fn lost_before(plan: &Plan<'_>) -> u64 {
    plan.snapshot.parts.iter().map(|part| u64::from(part.unreadable())).sum()
}

/// Counts all matches, parts with the newest first. Answers whether the limits let it come to the
/// end, and how many events may match, but can't be read.
pub(super) fn walk(
    plan: &Plan<'_>,
    limits: SearchLimits,
    count: &mut impl Count,
) -> Result<(bool, u64), QueryError> {
    let mut parts: Vec<_> = plan
        .snapshot
        .parts
        .iter()
        .filter_map(|part| Some((plan.latest(part.as_ref())?, part.as_ref())))
        .collect();
    parts.sort_by_key(|(latest, _)| std::cmp::Reverse(*latest));
    let (mut spent, mut unreadable) = (Spent::new(limits), 0);
    for (_, part) in parts {
        let (ordinals, loose) = match plan.decided(part)? {
            Some(exactly) => (Ordinals::List(exactly.ordinals), Some(exactly.loose)),
            None => (plan.ordinals(part)?, None),
        };
        // What is decided by the index has not to be read; and often its facts have no say either.
        let any_facts = loose.is_some() && plan.accepts_any(part);
        let mut to_read = Vec::new();
        let mut list = ordinals.memory();
        if count.needs() != Needs::Facts && (any_facts || plan.accepts_sessions(part)) {
            to_read = loose.unwrap_or_default();
            let sure = without(ordinals, &to_read);
            list += sure.memory();
            if count.needs() == Needs::Sessions {
                part.each_session(&sure, &mut |session, events| {
                    if plan.is_in_sessions(session) {
                        count.add_of(session, events);
                    }
                });
            } else {
                part.each_moment(&sure, &mut |moment| {
                    if plan.is_in_sessions(moment.session) {
                        count.add_moment(moment);
                    }
                });
            }
        } else {
            let mut loose = loose.map(|loose| loose.into_iter().peekable());
            let mut sure = |ordinal: u32| {
                loose.as_mut().is_some_and(|loose| {
                    while loose.next_if(|next| *next < ordinal).is_some() {}
                    loose.peek() != Some(&ordinal)
                })
            };
            let accepts =
                |facts: &EventFacts| if any_facts { Tri::Maybe } else { plan.accepts(facts) };
            let wanted = |session| plan.is_in_sessions(session);
            part.each_facts_of(&ordinals, &wanted, &mut |ordinal, facts| match accepts(facts) {
                Tri::No => {}
                Tri::Yes => count.add(facts),
                Tri::Maybe if sure(ordinal) => count.add(facts),
                Tri::Maybe => to_read.push(ordinal),
            });
        }
        for chunk in to_read.chunks(CHUNK) {
            let lists = list + size_of_val(to_read.as_slice());
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
    tally: &Tally,
) -> Result<BTreeMap<&'static str, Vec<FacetCount>>, QueryError> {
    let weights = Weights::Of(&tally.of_session);
    let all = SessionFilter::All;
    let counted = plan.snapshot.sessions.facets(&all, weights, &FACETS, FACET_VALUES_MAX)?;
    let mut facets: BTreeMap<&'static str, Vec<FacetCount>> = BTreeMap::new();
    for (fact, values) in counted {
        let values = values.into_iter().map(|(value, count)| FacetCount { value, count });
        facets.insert(fact.name(), values.collect());
    }
    let kinds = Kind::ALL.iter().map(|kind| (kind.name(), kind.code()));
    facets.insert("kind", by_code(kinds, &tally.of_kind));
    let verdicts = Verdict::ALL.iter().map(|verdict| (verdict.name(), verdict.code()));
    facets.insert("verdict", by_code(verdicts, &tally.of_verdict));
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
