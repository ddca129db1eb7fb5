//! Which sessions satisfy a condition: asked of the catalog, or found by scanning.

use super::for_each_record;
use crate::QueryError;
use crate::lang::Query;
use crate::lang::matcher::{Keys, Matcher, SessionCondition};
use daybook_engine::event::{Seq, SessionKey};
use daybook_engine::view::Snapshot;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The sessions that satisfy a condition, exactly. Each query of it looks only into the sessions that
/// the queries before it left over.
///
/// # Errors
/// The log's.
pub fn resolve(snapshot: &Snapshot, condition: &SessionCondition) -> Result<Keys, QueryError> {
    Ok(Arc::new(match condition {
        SessionCondition::Filter(filter) => snapshot.sessions.keys(filter)?,
        SessionCondition::Together(queries) => chain(snapshot, queries, false)?,
        SessionCondition::InOrder(queries) => chain(snapshot, queries, true)?,
    }))
}

/// The sessions that have an event for each query; in order, each after the one before. To take the
/// first event that will do is enough: what follows a later one also follows it.
fn chain(
    snapshot: &Snapshot,
    queries: &[Query],
    in_order: bool,
) -> Result<HashSet<SessionKey>, QueryError> {
    let mut reached: Option<HashMap<SessionKey, Seq>> = None;
    for query in queries {
        let matcher = Matcher::new(query, &mut |condition| resolve(snapshot, condition))?;
        let left: Option<HashSet<SessionKey>> =
            reached.as_ref().map(|reached| reached.keys().copied().collect());
        let mut next: HashMap<SessionKey, Seq> = HashMap::new();
        for_each_record(snapshot, &matcher, left.as_ref(), &mut |facts, _| {
            let before = reached.as_ref().and_then(|reached| reached.get(&facts.session));
            if !in_order || before.is_none_or(|seq| *seq < facts.seq) {
                let first = next.entry(facts.session).or_insert(facts.seq);
                *first = facts.seq.min(*first);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        reached = Some(next);
    }
    Ok(reached.unwrap_or_default().into_keys().collect())
}
