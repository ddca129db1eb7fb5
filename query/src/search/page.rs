//! One page of hits: the newest matches after a place, without looking at more than it takes.
//!
//! Each part is a *front*: its candidates that have not been verified, of which the newest is the
//! front's bound. The front with the newest bound is always advanced next, by a chunk of its newest
//! candidates (few at first, more each time). The page is full once it has its hits and no bound is
//! newer than the oldest of them. At the limits the newest bound is where the next page starts, and
//! hits that are older than that are left to it.

use super::plan::Plan;
use super::snippet::Hits;
use super::{SearchLimits, Spent};
use crate::cursor::{self, List};
use crate::error::QueryError;
use crate::item::Hit;
use crate::lang::Tri;
use daybook_engine::event::{Micros, Offset};
use daybook_engine::view::Part;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Where an event stands in the order of hits, which goes downwards.
pub(super) type Place = (Micros, Offset);

/// The smallest and the largest number of candidates that are verified in one go.
const CHUNK_MIN: usize = 32;
const CHUNK_MAX: usize = 8192;

struct Front<'a> {
    part: &'a dyn Part,
    /// No candidate that is left is newer; `None` when there is none.
    bound: Option<Place>,
    /// The candidates that are left, in no order; `None` until somebody looks.
    left: Option<Vec<(Place, u32, Tri)>>,
    chunk: usize,
}

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
    limits: SearchLimits,
) -> Result<Page, QueryError> {
    let after = after.map(decode).transpose()?;
    let mut fronts: Vec<Front<'_>> = plan
        .snapshot
        .parts
        .iter()
        .filter_map(|part| {
            let part = part.as_ref();
            let bound = (plan.latest(part)?, Offset(u64::MAX));
            let bound = after.map_or(bound, |after| bound.min(after));
            Some(Front { part, bound: Some(bound), left: None, chunk: (limit + 1).max(CHUNK_MIN) })
        })
        .collect();
    let hits = RefCell::new(Hits::new(plan));
    // One more than the page holds says whether there is a next one.
    let found: RefCell<BTreeMap<Place, Hit>> = RefCell::default();
    let enters = |place: Place| {
        let found = found.borrow();
        found.len() <= limit || found.first_key_value().is_some_and(|(oldest, _)| place > *oldest)
    };
    let (mut spent, mut unreadable) = (Spent::new(limits), 0);
    let mut advanced = false;
    let mut stopped = None;
    while let Some(front) = fronts.iter_mut().filter(|f| f.bound.is_some()).max_by_key(|f| f.bound)
    {
        let Some(bound) = front.bound else { break };
        if !enters(bound) {
            break;
        }
        if front.left.is_none() {
            open(plan, front, after)?;
            continue;
        }
        // A page comes on by a chunk at least, or its cursor would lead nowhere.
        if advanced && spent.limit().is_some() {
            stopped = Some(bound);
            break;
        }
        advanced = true;
        let mut chunk = advance(front);
        chunk.retain(|(place, _, _)| enters(*place));
        let mut ordinals: Vec<u32> = chunk.iter().map(|(_, ordinal, _)| *ordinal).collect();
        ordinals.sort_unstable();
        let mut failed = None;
        unreadable += plan.verify(
            front.part,
            ordinals,
            &mut spent,
            |facts| enters((facts.time, facts.offset)),
            |matched| match hits.borrow_mut().make(matched) {
                Ok(hit) => {
                    let mut found = found.borrow_mut();
                    found.insert((matched.facts.time, matched.facts.offset), hit);
                    if found.len() > limit + 1 {
                        found.pop_first();
                    }
                }
                Err(error) => failed = Some(error),
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
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

/// Looks up a front's candidates.
fn open(plan: &Plan<'_>, front: &mut Front<'_>, after: Option<Place>) -> Result<(), QueryError> {
    let ordinals = plan.ordinals(front.part)?;
    let mut left = Vec::new();
    for ordinal in ordinals.iter() {
        let Some(facts) = front.part.facts(ordinal) else { continue };
        let place = (facts.time, facts.offset);
        if after.is_some_and(|after| place >= after) {
            continue;
        }
        match plan.accepts(&facts) {
            Tri::No => {}
            tri => left.push((place, ordinal, tri)),
        }
    }
    front.part.check()?;
    front.bound = left.iter().map(|(place, _, _)| *place).max();
    front.left = Some(left);
    Ok(())
}

/// Takes the newest candidates of a front.
fn advance(front: &mut Front<'_>) -> Vec<(Place, u32, Tri)> {
    let Some(left) = &mut front.left else { return Vec::new() };
    let size = front.chunk;
    front.chunk = (size * 2).min(CHUNK_MAX.max(size));
    if left.len() <= size {
        front.bound = None;
        return std::mem::take(left);
    }
    let (_, newest_left, _) =
        left.select_nth_unstable_by_key(size, |(place, _, _)| Reverse(*place));
    front.bound = Some(newest_left.0);
    let rest = left.split_off(size);
    std::mem::replace(left, rest)
}

fn encode((Micros(time), Offset(offset)): Place) -> String {
    cursor::encode(List::Search, [time.cast_unsigned(), offset])
}

fn decode(text: &str) -> Result<Place, QueryError> {
    let [time, offset] = cursor::decode(List::Search, text)?;
    Ok((Micros(time.cast_signed()), Offset(offset)))
}
