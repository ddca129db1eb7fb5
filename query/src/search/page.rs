//! One page of hits, newest first.
//!
//! The page is full once it has its hits and nothing that is left is newer than the oldest of them. At the
//! limits the newest of what is left is where the next page starts, and hits that are older than that are left
//! to it.

use super::fronts::{self, Ended};
use super::plan::Plan;
use super::snippet::Hits;
use super::{SearchLimits, Spent};
use crate::cursor::{self, List};
use crate::error::QueryError;
use crate::item::Hit;
use daybook_engine::event::{Micros, Offset};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Where an event stands in the order of hits, which goes downwards.
pub(super) type Place = (Micros, Offset);

/// A page, and whether the limits cut it.
pub(super) struct Page {
    pub(super) items: Vec<Hit>,
    pub(super) next_cursor: Option<String>,
    pub(super) complete: bool,
    /// Events that may belong on it, but can't be read.
    pub(super) unreadable: u64,
}

/// Finds the page of `limit` hits that come after a cursor.
pub(super) fn page(
    plan: &Plan<'_>,
    after: Option<&str>,
    limit: usize,
    limits: &SearchLimits,
) -> Result<Page, QueryError> {
    let after = after.map(decode).transpose()?;
    let mut hits = Hits::new(plan);
    // One more than the page holds says whether there is a next one.
    let found: RefCell<BTreeMap<Place, Hit>> = RefCell::default();
    let enters = |place: Place| {
        let found = found.borrow();
        found.len() <= limit || found.first_key_value().is_some_and(|(oldest, _)| place > *oldest)
    };
    let mut spent = Spent::new(limits);
    let Ended { stopped, unreadable } =
        fronts::newest(plan, after, limit + 1, &mut spent, enters, |matched| {
            let hit = hits.make(matched)?;
            let mut found = found.borrow_mut();
            found.insert((matched.facts.time, matched.facts.offset), hit);
            if found.len() > limit + 1 {
                found.pop_first();
            }
            // No more than the page itself.
            Ok(0)
        })?;
    let mut found = found.into_inner();
    if let Some(bound) = stopped {
        found.retain(|place, _| *place > bound);
    }
    let more = found.len() > limit;
    while found.len() > limit {
        found.pop_first();
    }
    let next = match (more, stopped) {
        // After the page's last hit.
        (true, _) => found.first_key_value().map(|(place, _)| *place),
        // At the bound, which has not been looked at.
        (false, Some((time, Offset(offset)))) => Some((time, Offset(offset.saturating_add(1)))),
        (false, None) => None,
    };
    Ok(Page {
        items: found.into_values().rev().collect(),
        next_cursor: next.map(encode),
        complete: more || stopped.is_none(),
        unreadable,
    })
}

fn encode((Micros(time), Offset(offset)): Place) -> String {
    cursor::encode(List::Search, [time.cast_unsigned(), offset])
}

fn decode(text: &str) -> Result<Place, QueryError> {
    let [time, offset] = cursor::decode(List::Search, text)?;
    Ok((Micros(time.cast_signed()), Offset(offset)))
}
