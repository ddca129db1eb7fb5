//! Sets of sessions: which sessions have events that match, together or in an order.
//!
//! A set is whole or it is refused: half a set would make a search wrong without a word.

use super::SearchLimits;
use super::plan::Plan;
use crate::error::QueryError;
use crate::lang::matcher::Keys;
use crate::lang::{Query, SessionCondition, Tri};
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Seq, SessionKey};
use daybook_engine::view::{EventFacts, Snapshot};
use std::collections::{HashMap, HashSet};
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
        filter => Some(Arc::new(snapshot.sessions.keys(filter)?)),
    })
}

/// The sessions in `scope` that satisfy a condition.
pub(crate) fn resolve(
    snapshot: &Snapshot,
    condition: &SessionCondition,
    scope: Option<&Keys>,
    limits: SearchLimits,
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
            Ok(Arc::new(keys))
        }
        SessionCondition::Together(queries) => {
            let mut within = scope.cloned();
            for query in queries {
                within = Some(matching(snapshot, query, within.as_ref(), limits)?);
            }
            match within {
                Some(keys) => Ok(keys),
                None => Ok(Arc::new(snapshot.sessions.keys(&SessionFilter::All)?)),
            }
        }
        SessionCondition::InOrder(queries) => in_order(snapshot, queries, scope, limits),
    }
}

/// The sessions in `scope` that have an event which matches.
pub(crate) fn matching(
    snapshot: &Snapshot,
    query: &Query,
    scope: Option<&Keys>,
    limits: SearchLimits,
) -> Result<Keys, QueryError> {
    let plan = Plan::new(snapshot, query, scope, limits)?;
    let mut found = HashSet::new();
    each_match(
        &plan,
        limits,
        &mut found,
        |found, facts| !found.contains(&facts.session),
        |found, facts| {
            found.insert(facts.session);
        },
    )?;
    Ok(Arc::new(found))
}

/// The sessions in which events match the queries one after the other: the earliest match of each
/// that comes after the earliest of the one before.
fn in_order(
    snapshot: &Snapshot,
    queries: &[Query],
    scope: Option<&Keys>,
    limits: SearchLimits,
) -> Result<Keys, QueryError> {
    let mut scope = scope.cloned();
    let mut before: Option<HashMap<SessionKey, Seq>> = None;
    for query in queries {
        let plan = Plan::new(snapshot, query, scope.as_ref(), limits)?;
        let after = |facts: &EventFacts| match &before {
            None => true,
            Some(before) => before.get(&facts.session).is_some_and(|seq| facts.seq > *seq),
        };
        let mut first: HashMap<SessionKey, Seq> = HashMap::new();
        each_match(
            &plan,
            limits,
            &mut first,
            |first, facts| {
                after(facts) && first.get(&facts.session).is_none_or(|seq| facts.seq < *seq)
            },
            |first, facts| {
                first.insert(facts.session, facts.seq);
            },
        )?;
        scope = Some(Arc::new(first.keys().copied().collect()));
        before = Some(first);
    }
    Ok(scope.unwrap_or_default())
}

/// Visits matches, but only those that are still wanted by then.
fn each_match<T>(
    plan: &Plan<'_>,
    limits: SearchLimits,
    found: &mut T,
    wanted: impl Fn(&T, &EventFacts) -> bool,
    add: impl Fn(&mut T, &EventFacts),
) -> Result<(), QueryError> {
    let mut read = 0;
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
                read += chunk.len() as u64;
                if read > limits.events_read_max {
                    return Err(QueryError::TooCostly { events_read_max: limits.events_read_max });
                }
                // Two closures want `found`, one after the other.
                let shared = std::cell::RefCell::new(&mut *found);
                let unreadable = plan.verify(
                    part,
                    std::mem::take(&mut chunk),
                    |facts| wanted(&shared.borrow(), facts),
                    |_, facts, _, _| add(&mut shared.borrow_mut(), facts),
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
