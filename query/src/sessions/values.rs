//! The values of a field that sessions have, found by a part of them: what a search box completes.

use crate::error::QueryError;
use crate::item::FacetCount;
use crate::lang::Query;
use crate::search::SearchLimits;
use daybook_engine::catalog::filter::{SessionFilter, TextFact};
use daybook_engine::view::{Snapshot, Weights};
use serde::Serialize;
use std::cmp::Reverse;

/// Which values are asked for.
#[derive(Clone, Debug)]
pub struct ValuesParams<'a> {
    /// Of which field.
    pub field: TextFact,
    /// They contain this, in any case.
    pub find: &'a str,
    /// Only of sessions with an event that matches, as in a list.
    pub query: Option<&'a Query>,
    /// Only of these sessions.
    pub filter: SessionFilter,
    /// At most this many.
    pub limit: usize,
    /// How much the query may read.
    pub limits: SearchLimits,
}

/// Values of a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Values {
    /// Those that begin with what was asked for, then the others; the most frequent first.
    pub items: Vec<FacetCount>,
    /// Are there more?
    pub more: bool,
}

/// The values of a field, with how many sessions have each.
///
/// # Errors
/// A query that costs too much, or what the engine says.
pub fn values(snapshot: &Snapshot, params: &ValuesParams<'_>) -> Result<Values, QueryError> {
    let filter = super::filter_of(snapshot, params.query, &params.filter, &params.limits)?;
    let facets = snapshot.sessions.facets(&filter, Weights::One, &[params.field], usize::MAX)?;
    let part = params.find.to_lowercase();
    let mut found: Vec<(bool, FacetCount)> = Vec::new();
    for (value, count) in facets.into_iter().flat_map(|(_, facet)| facet) {
        if let Some(at) = value.to_lowercase().find(&part) {
            found.push((at == 0, FacetCount { value, count }));
        }
    }
    // They come most frequent first, and stay in that order.
    found.sort_by_key(|(begins, _)| Reverse(*begins));
    let more = found.len() > params.limit;
    found.truncate(params.limit);
    Ok(Values { items: found.into_iter().map(|(_, value)| value).collect(), more })
}
