//! Following the log: the matches from an offset on, in the order in which they arrived.
//!
//! One step looks at a *window* of offsets, which ends where it has enough events, sessions or hits. What a
//! step found and where the next one begins are answered together, so whoever goes on there skips nothing and
//! gets nothing twice: also over a restart, for the place is an offset.
//!
//! Sessions are asked about as they are at the step, and only those of the window: a step costs the same
//! however many sessions the log has. Where none has to be asked about, a window may have any number of them.
//! Whoever noted down what a step found ([`at`]) gets it again though the sessions are others by then.

use super::plan::{Found, Plan};
use super::sets;
use super::snippet::Hits;
use super::{SearchLimits, Spent};
use crate::error::QueryError;
use crate::item::Hit;
use crate::lang::{Matcher, Query, Tri};
use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Offset, SessionKey};
use daybook_engine::view::{Ordinals, Part, SessionSet, Snapshot};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Offsets in a window, at most.
pub(super) const EVENTS_MAX: u64 = 4_096;
/// Sessions in a window that are asked about, at most: so few are a part of what the catalog is asked.
const SESSIONS_MAX: usize = 64;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// The matches, in the order of offsets.
    pub hits: Vec<Hit>,
    /// Where the next step begins: everything before it has been looked at.
    pub next: Offset,
    /// Is there nothing more, as of this snapshot?
    pub at_end: bool,
    /// So many events may match, but are in parts of the log that are damaged.
    pub unreadable: u64,
    /// So many events before `next` were erased before the step came to them.
    pub gone: u64,
}

/// Events that were found before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Again {
    /// Those that are there, in the order of offsets.
    pub hits: Vec<Hit>,
    /// So many are in parts of the log that are damaged.
    pub unreadable: u64,
    /// So many were erased.
    pub gone: u64,
}

/// An event of the window.
struct Candidate {
    part: usize,
    ordinal: u32,
    session: SessionKey,
}

/// Finds the matches at `from` or later, of the sessions in `scope`: at most `limit` of them, and not all that
/// there are; see [`Followed::next`].
///
/// # Errors
/// What the engine says, or a set of sessions that costs too much.
pub fn follow(
    snapshot: &Snapshot,
    query: &Query,
    scope: &SessionFilter,
    from: Offset,
    limit: usize,
) -> Result<Followed, QueryError> {
    let look = Look::new(snapshot, query, scope, from, Offset(u64::MAX), EVENTS_MAX)?;
    let mut hits = Hits::new(&look.plan);
    let step = look.collect(limit, usize::MAX, &mut |found, _| Ok(Some((hits.make(found)?, 0))))?;
    let Step { found, next, at_end, unreadable, gone, cut: _ } = step;
    Ok(Followed { hits: found, next, at_end, unreadable, gone })
}

/// What one look found.
pub(super) struct Step<T> {
    /// The matches, in the order of offsets.
    pub(super) found: Vec<T>,
    pub(super) next: Offset,
    pub(super) at_end: bool,
    pub(super) unreadable: u64,
    pub(super) gone: u64,
    /// Was there more in the window than could be taken?
    pub(super) cut: bool,
}

/// A window of the log, and the query made ready for it.
pub(super) struct Look<'a> {
    pub(super) plan: Plan<'a>,
    window: BTreeMap<Offset, Candidate>,
    from: Offset,
    next: Offset,
    end: Offset,
}

/// What is made of an event that matches, and how many bytes of the look's bound that takes.
pub(super) type Make<'m, T> =
    &'m mut dyn FnMut(&Found<'_>, &Record<'_>) -> Result<Option<(T, usize)>, QueryError>;

impl<'a> Look<'a> {
    /// The events at `from` or later and before `until`, at most `events_max` of them.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        query: &Query,
        scope: &SessionFilter,
        from: Offset,
        until: Offset,
        events_max: u64,
    ) -> Result<Look<'a>, QueryError> {
        let all = matches!(scope, SessionFilter::All);
        let asks = !all || query.asks_sessions();
        let sessions_max = if asks { SESSIONS_MAX } else { usize::MAX };
        let (window, next, end) = window(snapshot, from, until, events_max, sessions_max)?;
        let keys: SessionSet = window.values().map(|found| found.session).collect();
        let keys = SessionFilter::Keys(Arc::new(keys));
        let seen = match (asks, all) {
            (false, _) => None,
            (true, true) => sets::scope(snapshot, &keys)?,
            (true, false) => sets::scope(snapshot, &SessionFilter::And(vec![keys, scope.clone()]))?,
        };
        let plan = Plan::new(snapshot, query, seen.as_ref(), &SearchLimits::default())?;
        Ok(Look { plan, window, from, next, end })
    }

    /// Reads the events that match, and keeps of what `make` makes of them the first `limit`, of `bytes_max`
    /// bytes together unless the first alone has more. Memory is bounded by that, and one event.
    pub(super) fn collect<T>(
        &self,
        limit: usize,
        bytes_max: usize,
        make: Make<'_, T>,
    ) -> Result<Step<T>, QueryError> {
        let snapshot = self.plan.snapshot;
        let mut of_parts: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for candidate in self.window.values() {
            of_parts.entry(candidate.part).or_default().push(candidate.ordinal);
        }
        let mut spent = Spent::new(&SearchLimits::default());
        let mut found: BTreeMap<Offset, (T, usize)> = BTreeMap::new();
        // What comes at it or later is left to the next step.
        let cut = Cell::new(Offset(u64::MAX));
        let (mut bytes, mut unreadable) = (0, Vec::new());
        for (index, mut ordinals) in of_parts {
            let Some(part) = snapshot.parts.get(index).map(AsRef::as_ref) else { continue };
            let may = |ordinal: &u32| {
                part.facts(*ordinal).is_some_and(|f| self.plan.accepts(&f) != Tri::No)
            };
            ordinals.retain(may);
            part.check()?;
            ordinals.sort_unstable();
            let mut failed = None;
            let lost = self.plan.verify_naming(
                part,
                ordinals,
                &mut spent,
                |facts| facts.offset < cut.get(),
                |matched, record| match make(matched, record) {
                    Ok(None) => {}
                    Ok(Some((made, weight))) => {
                        bytes += weight;
                        found.insert(matched.facts.offset, (made, weight));
                        while found.len() > limit.max(1) || (bytes > bytes_max && found.len() > 1) {
                            let Some((offset, (_, weight))) = found.pop_last() else { break };
                            bytes -= weight;
                            cut.set(offset);
                        }
                    }
                    Err(error) => failed = Some(error),
                },
            )?;
            if let Some(error) = failed {
                return Err(error);
            }
            unreadable.extend(lost.into_iter().filter_map(|ordinal| part.facts(ordinal)));
        }
        let mut next = self.next.min(cut.get());
        if found.len() >= limit.max(1)
            && let Some((last, _)) = found.last_key_value()
        {
            next = next.min(Offset(last.0 + 1));
        }
        let missing = missing(snapshot, &self.window, self.from, next);
        // What is behind the place is counted when it is come to.
        let unreadable = unreadable.iter().filter(|facts| facts.offset < next).count() as u64;
        Ok(Step {
            found: found.into_values().map(|(made, _)| made).collect(),
            next,
            at_end: next >= self.end,
            unreadable: unreadable + missing.unreadable,
            gone: missing.gone,
            cut: cut.get() < Offset(u64::MAX),
        })
    }
}

/// The hits of events that a query matched before, by their offsets; they are not asked again.
///
/// # Errors
/// What the engine says.
pub fn at(snapshot: &Snapshot, query: &Query, offsets: &[Offset]) -> Result<Again, QueryError> {
    // Which sessions satisfy the query has been decided.
    let matcher = Matcher::new(query, &mut |_| Ok::<_, QueryError>(Arc::default()))?;
    let plan = Plan::marking(snapshot, matcher);
    let mut hits = Hits::new(&plan);
    let mut found: BTreeMap<Offset, Hit> = BTreeMap::new();
    let mut again = Again::default();
    for offset in offsets {
        let part = snapshot.parts.iter().find(|part| (part.base()..part.end()).contains(offset));
        let Some(part) = part else {
            again.gone += 1;
            continue;
        };
        let Some(ordinal) = part.ordinal_of(*offset).filter(|o| part.facts(*o).is_some()) else {
            part.check()?;
            *(if part.sealed() { &mut again.gone } else { &mut again.unreadable }) += 1;
            continue;
        };
        let mut failed = None;
        let read = part.read(&Ordinals::List(vec![ordinal]), None, &mut |ordinal, record| {
            let facts = part.facts(ordinal).ok_or(Error::NoSuchEvent(record.offset))?;
            let event = record.event()?;
            let seen = plan.seen(&facts, &record, &event)?;
            match hits.make(&Found { facts, event: &event, seen: &seen }) {
                Ok(hit) => _ = found.insert(facts.offset, hit),
                Err(error) => failed = Some(error),
            }
            Ok(ControlFlow::Continue(()))
        });
        match read {
            Err(Error::Corrupt { .. }) => again.unreadable += 1,
            read => read?,
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
    again.hits = found.into_values().collect();
    Ok(again)
}

#[derive(Default)]
struct Missing {
    unreadable: u64,
    gone: u64,
}

/// The offsets from `from` on and before `next` that have no event in the window: of a journal, because it is
/// damaged; of all else, because they were erased.
fn missing(
    snapshot: &Snapshot,
    window: &BTreeMap<Offset, Candidate>,
    from: Offset,
    next: Offset,
) -> Missing {
    let mut there: HashMap<usize, u64> = HashMap::new();
    for candidate in window.range(..next).map(|(_, candidate)| candidate) {
        *there.entry(candidate.part).or_default() += 1;
    }
    let unreadable = snapshot.parts.iter().enumerate().filter(|(_, part)| !part.sealed());
    let unreadable = unreadable.map(|(index, part)| {
        let of_it = part.end().min(next).0.saturating_sub(part.base().max(from).0);
        of_it.saturating_sub(there.get(&index).copied().unwrap_or(0))
    });
    let unreadable: u64 = unreadable.sum();
    let all = next.0.saturating_sub(from.0);
    let gone = all.saturating_sub(there.values().sum::<u64>()).saturating_sub(unreadable);
    Missing { unreadable, gone }
}

/// The events, where they end, and where the log does.
type Window = (BTreeMap<Offset, Candidate>, Offset, Offset);

/// The events from an offset on and before another, as many as a step looks at; where they end; and where the log does.
fn window(
    snapshot: &Snapshot,
    from: Offset,
    until: Offset,
    events_max: u64,
    sessions_max: usize,
) -> Result<Window, Error> {
    let end = snapshot.parts.last().map_or(Offset(0), |part| part.end());
    let mut window = BTreeMap::new();
    let mut sessions = HashSet::new();
    let mut next = from;
    for (index, part) in snapshot.parts.iter().enumerate() {
        if part.end() <= from {
            continue;
        }
        // What was erased between parts has no events.
        next = next.max(part.base());
        while next < part.end() {
            if next >= until
                || window.len() as u64 >= events_max
                || next.0 - from.0 >= EVENTS_MAX << 8
            {
                part.check()?;
                return Ok((window, next, end));
            }
            if let Some((ordinal, session)) = event_at(part.as_ref(), next) {
                if sessions.len() >= sessions_max && !sessions.contains(&session) {
                    part.check()?;
                    return Ok((window, next, end));
                }
                sessions.insert(session);
                window.insert(next, Candidate { part: index, ordinal, session });
            }
            next.0 += 1;
        }
        // An event that can't be read is not one that was erased.
        part.check()?;
    }
    Ok((window, next, end.max(from)))
}

fn event_at(part: &dyn Part, offset: Offset) -> Option<(u32, SessionKey)> {
    let ordinal = part.ordinal_of(offset)?;
    Some((ordinal, part.facts(ordinal)?.session))
}
