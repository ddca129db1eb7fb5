//! Sets of sessions: which sessions have events that match, together or in an order.
//!
//! A set is whole or it is refused: half a set would make a search wrong without a word.

use super::plan::Plan;
use super::{SearchLimits, Spent};
use crate::error::QueryError;
use crate::lang::matcher::Keys;
use crate::lang::{Query, SessionCondition, Tri};
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Micros, Seq, SessionKey};
use daybook_engine::view::{EventFacts, SessionSet, Snapshot};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

/// How many candidates are read between two looks at what is still wanted.
const CHUNK: usize = 1024;

/// A scope of at most this many sessions is a part of what the catalog is asked.
const SCOPE_FEW: usize = 64;

/// The sessions that a filter admits; `None` for all.
pub(crate) fn scope(
    snapshot: &Snapshot,
    filter: &SessionFilter,
) -> Result<Option<Keys>, QueryError> {
    Ok(match filter {
        SessionFilter::All => None,
        SessionFilter::Keys(keys) => Some(keys.clone()),
        filter => Some(snapshot.sessions.keys(filter)?),
    })
}

/// The sessions in `scope` that satisfy a condition.
pub(crate) fn resolve(
    snapshot: &Snapshot,
    condition: &SessionCondition,
    scope: Option<&Keys>,
    limits: &SearchLimits,
) -> Result<Keys, QueryError> {
    match condition {
        SessionCondition::Filter(filter) => {
            let keys = match scope {
                // A few sessions, such as a timeline's one, need no set of all that match.
                Some(scope) if scope.len() <= SCOPE_FEW => {
                    snapshot.sessions.keys(&SessionFilter::And(vec![
                        SessionFilter::Keys(scope.clone()),
                        filter.clone(),
                    ]))?
                }
                _ => snapshot.sessions.keys(filter)?,
            };
            Ok(keys)
        }
        SessionCondition::Together(queries) => {
            let mut within = scope.cloned();
            for query in queries {
                within = Some(matching(snapshot, query, within.as_ref(), limits)?);
            }
            match within {
                Some(keys) => Ok(keys),
                None => Ok(snapshot.sessions.keys(&SessionFilter::All)?),
            }
        }
        SessionCondition::InOrder(queries, within) => {
            in_order(snapshot, (queries, *within), scope, limits)
        }
    }
}

/// The sessions in `scope` that have an event which matches.
pub(crate) fn matching(
    snapshot: &Snapshot,
    query: &Query,
    scope: Option<&Keys>,
    limits: &SearchLimits,
) -> Result<Keys, QueryError> {
    let plan = Plan::new(snapshot, query, scope, limits)?;
    let mut found = SessionSet::default();
    each_match(
        &plan,
        limits,
        &mut found,
        SessionSet::memory,
        |found, facts| !found.contains(facts.session),
        |found, facts| {
            found.insert(facts.session);
        },
    )?;
    Ok(Arc::new(found))
}

/// Where sequences have come to in a session: the `seq` of their last event and the time of their first one.
/// Of two only the one that began later can lead further, so those that stay rise in both.
type Ends = Vec<(Seq, Micros)>;

/// The sessions in which events match the queries one after the other, each at most `within` microseconds after
/// the first.
fn in_order(
    snapshot: &Snapshot,
    (queries, within): (&[Query], Option<i64>),
    scope: Option<&Keys>,
    limits: &SearchLimits,
) -> Result<Keys, QueryError> {
    let mut scope = scope.cloned();
    let mut before: Option<HashMap<SessionKey, Ends>> = None;
    for query in queries {
        let plan = Plan::new(snapshot, query, scope.as_ref(), limits)?;
        // When the latest sequence began that this event continues.
        let began = |facts: &EventFacts| {
            let Some(before) = &before else { return Some(facts.time) };
            let ends = before.get(&facts.session)?;
            let place = ends.partition_point(|(seq, _)| *seq < facts.seq).checked_sub(1)?;
            let (_, began) = ends.get(place)?;
            let took = facts.time.0.saturating_sub(began.0);
            within.is_none_or(|within| took <= within).then_some(*began)
        };
        let mut reached: HashMap<SessionKey, Ends> = HashMap::new();
        let ends_held = Cell::new(0);
        each_match(
            &plan,
            limits,
            &mut reached,
            |reached| {
                reached.capacity() * size_of::<(SessionKey, Ends)>()
                    + ends_held.get() * size_of::<(Seq, Micros)>()
            },
            |reached, facts| {
                // Without a bound the earliest end is all that counts.
                let earliest = reached.get(&facts.session).and_then(|ends| ends.first());
                let comes_first = earliest.is_none_or(|(seq, _)| facts.seq < *seq);
                (within.is_some() || comes_first) && began(facts).is_some()
            },
            |reached, facts| {
                let Some(began) = began(facts) else { return };
                let ends = reached.entry(facts.session).or_default();
                if within.is_none() {
                    ends_held.set(ends_held.get() - ends.len());
                    ends.clear();
                }
                ends.push((facts.seq, began));
                ends_held.set(ends_held.get() + 1);
            },
        )?;
        for ends in reached.values_mut() {
            ends.sort_unstable();
            let mut latest = None;
            ends.retain(|(_, began)| {
                let later = latest.is_none_or(|latest| *began > latest);
                latest = latest.max(Some(*began));
                later
            });
        }
        scope = Some(Arc::new(reached.keys().copied().collect()));
        before = Some(reached);
    }
    Ok(scope.unwrap_or_default())
}

/// Visits matches, but only those that are still wanted by then. What is found takes so much `memory`.
fn each_match<T>(
    plan: &Plan<'_>,
    limits: &SearchLimits,
    found: &mut T,
    memory: impl Fn(&T) -> usize,
    wanted: impl Fn(&T, &EventFacts) -> bool,
    add: impl Fn(&mut T, &EventFacts),
) -> Result<(), QueryError> {
    let mut spent = Spent::new(limits);
    for part in &plan.snapshot.parts {
        let part = part.as_ref();
        let ordinals = plan.ordinals(part)?;
        let mut chunk = Vec::new();
        for (place, ordinal) in ordinals.iter().enumerate() {
            if let Some(facts) = part.facts(ordinal)
                && wanted(found, &facts)
            {
                match plan.accepts(&facts) {
                    Tri::No => {}
                    Tri::Yes => add(found, &facts),
                    Tri::Maybe => chunk.push(ordinal),
                }
            }
            if chunk.len() == CHUNK || place + 1 == ordinals.len() {
                if !chunk.is_empty() {
                    spent.memory = (memory(found) + ordinals.memory()) as u64;
                    spent.check()?;
                }
                // Two closures want `found`, one after the other.
                let shared = std::cell::RefCell::new(&mut *found);
                let unreadable = plan.verify(
                    part,
                    std::mem::take(&mut chunk),
                    &mut spent,
                    |facts| wanted(&shared.borrow(), facts),
                    |found, _| add(&mut shared.borrow_mut(), &found.facts),
                )?;
                // A session that is left out by mistake may be one that `-session(...)` lets in.
                if unreadable > 0 {
                    return Err(QueryError::Unreadable { events: unreadable });
                }
            }
        }
        part.check()?;
    }
    Ok(())
}
