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
use daybook_engine::view::{EventFacts, Ordinals, Weights};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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
    of_session: HashMap<SessionKey, u64>,
    of_kind: BTreeMap<Kind, u64>,
    of_verdict: BTreeMap<Verdict, u64>,
    spread: Option<Spread>,
    /// Events that may match, but can't be read.
    unreadable: u64,
}

impl Tally {
    fn add(&mut self, facts: &EventFacts) {
        self.count += 1;
        *self.of_session.entry(facts.session).or_default() += 1;
        *self.of_kind.entry(facts.kind).or_default() += 1;
        if let Some(verdict) = facts.verdict {
            *self.of_verdict.entry(verdict).or_default() += 1;
        }
        if let Some(spread) = &mut self.spread {
            spread.add(facts.time, facts.verdict);
        }
    }
}

/// Counts all matches; also says whether the limits let it, and how many events can't be read.
pub(super) fn tally(
    plan: &Plan<'_>,
    request: &SearchRequest<'_>,
) -> Result<(Totals, bool, u64), QueryError> {
    let mut tally = Tally { spread: request.histogram.then(Spread::default), ..Tally::default() };
    let (complete, unreadable) =
        walk(plan, request.limits, &mut |facts: &EventFacts| tally.add(facts))?;
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

/// Visits the facts of all matches, parts with the newest first. Answers whether the limits let it come to the
/// end, and how many events may match, but can't be read.
pub(super) fn walk(
    plan: &Plan<'_>,
    limits: SearchLimits,
    visit: &mut dyn FnMut(&EventFacts),
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
        let decided = plan.decided(part)?;
        let mut loose = None;
        let ordinals = match decided {
            Some(exactly) => {
                loose = Some(exactly.loose);
                Ordinals::List(exactly.ordinals)
            }
            None => plan.ordinals(part)?,
        };
        // What is decided by the index has not to be read.
        let sure = |ordinal: u32| {
            loose.as_ref().is_some_and(|loose: &Vec<u32>| loose.binary_search(&ordinal).is_err())
        };
        let mut chunk = Vec::new();
        for (place, ordinal) in ordinals.iter().enumerate() {
            if let Some(facts) = part.facts(ordinal) {
                match plan.accepts(&facts) {
                    Tri::No => {}
                    Tri::Yes => visit(&facts),
                    Tri::Maybe if sure(ordinal) => visit(&facts),
                    Tri::Maybe => chunk.push(ordinal),
                }
            }
            if chunk.len() == CHUNK || place + 1 == ordinals.len() {
                if !chunk.is_empty() && spent.limit().is_some() {
                    return Ok((false, unreadable));
                }
                unreadable += plan.verify(
                    part,
                    std::mem::take(&mut chunk),
                    &mut spent,
                    |_| true,
                    |found| visit(&found.facts),
                )?;
            }
        }
        part.check()?;
    }
    Ok((true, unreadable))
}

fn facets(
    plan: &Plan<'_>,
    tally: &Tally,
) -> Result<BTreeMap<&'static str, Vec<FacetCount>>, QueryError> {
    let sessions = SessionFilter::Keys(Arc::new(tally.of_session.keys().copied().collect()));
    let weights = Weights::Of(&tally.of_session);
    let counted = plan.snapshot.sessions.facets(&sessions, weights, &FACETS, FACET_VALUES_MAX)?;
    let mut facets: BTreeMap<&'static str, Vec<FacetCount>> = BTreeMap::new();
    for (fact, values) in counted {
        let values = values.into_iter().map(|(value, count)| FacetCount { value, count });
        facets.insert(fact.name(), values.collect());
    }
    let named = |name: &str, count: &u64| FacetCount { value: name.to_owned(), count: *count };
    facets.insert("kind", tally.of_kind.iter().map(|(k, n)| named(k.name(), n)).collect());
    facets.insert("verdict", tally.of_verdict.iter().map(|(v, n)| named(v.name(), n)).collect());
    for counts in facets.values_mut() {
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        counts.truncate(FACET_VALUES_MAX);
    }
    Ok(facets)
}
