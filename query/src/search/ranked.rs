//! A page of hits by relevance; see [`crate::lang::matcher::Matcher::relevance`].
//!
//! All matches have to be looked at to know the best, so at its limits a search ranks what it came to: the
//! *window* from the newest match to there. Its pages come first, then those of the window before it.
//!
//! ```text
//! newest ──── window ────┤── window ────┤ ...        cursor: where the window begins and ends,
//!             by score         by score                      and the last hit's score and place
//! ```
//!
//! A score depends on the event and the query alone, so a page after a cursor is right whatever has arrived
//! since.

use super::fronts::{self, Ended};
use super::page::{Page, Place};
use super::plan::Plan;
use super::snippet::Hits;
use super::{SearchLimits, Spent};
use crate::cursor::{self, List};
use crate::error::QueryError;
use daybook_engine::event::text::Texts;
use daybook_engine::event::{Micros, Offset};
use std::cmp::Reverse;

/// A place in the order of hits, which goes downwards.
type Rank = (u64, Place);

/// Above and below every event.
const NEWEST: Place = (Micros(i64::MAX), Offset(u64::MAX));
const OLDEST: Place = (Micros(i64::MIN), Offset(0));
const TOP: Rank = (u64::MAX, NEWEST);

/// Where a page starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    /// The window's events are older than this,
    from: Place,
    /// and newer than this.
    to: Place,
    /// The page's hits rank below this.
    below: Rank,
}

/// Finds the page of `limit` hits that come after a cursor.
pub(super) fn page(
    plan: &Plan<'_>,
    after: Option<&str>,
    limit: usize,
    limits: &SearchLimits,
) -> Result<Page, QueryError> {
    let mut window = match after {
        Some(cursor) => decode(cursor)?,
        None => Start { from: NEWEST, to: OLDEST, below: TOP },
    };
    let mut spent = Spent::new(limits);
    let mut found: Vec<Rank> = Vec::new();
    let within = |place: Place| place > window.to;
    let Ended { stopped, unreadable } =
        fronts::newest(plan, Some(window.from), limit, &mut spent, within, |matched| {
            let score = plan.matcher.relevance(&Texts::of(matched.event), matched.seen);
            let rank = (score, (matched.facts.time, matched.facts.offset));
            found.extend((rank < window.below).then_some(rank));
            Ok(found.capacity() * size_of::<Rank>())
        })?;
    if let Some(place) = stopped {
        if window.below != TOP {
            // Other pages of this window were shown: what they ranked has to be ranked again.
            let what = "rank again what the page before ranked".to_owned();
            return Err(QueryError::TooCostly { what });
        }
        window.to = place;
    }
    found.retain(|(_, place)| *place > window.to);
    let more = found.len() > limit;
    if more {
        found.select_nth_unstable_by_key(limit, |rank| Reverse(*rank));
        found.truncate(limit);
    }
    found.sort_unstable_by_key(|rank| Reverse(*rank));
    let next = match found.last() {
        Some(last) if more => Some(Start { below: *last, ..window }),
        // The place where the window ends was not looked at.
        _ if window.to > OLDEST => {
            let (time, Offset(offset)) = window.to;
            let from = (time, Offset(offset.saturating_add(1)));
            Some(Start { from, to: OLDEST, below: TOP })
        }
        _ => None,
    };
    let mut hits = Hits::new(plan);
    let mut items = Vec::with_capacity(found.len());
    for (score, (_, offset)) in found {
        let Some(hit) = hits.read(offset)? else { continue };
        items.push(crate::item::Hit { score: Some(score as f64 / 1e6), ..hit });
    }
    let complete = window.to == OLDEST;
    Ok(Page { items, next_cursor: next.map(encode), complete, unreadable })
}

fn encode(start: Start) -> String {
    let place = |(Micros(time), Offset(offset)): Place| [time.cast_unsigned(), offset];
    let ([a, b], [c, d], [e, f]) = (place(start.from), place(start.to), place(start.below.1));
    cursor::encode(List::Ranked, [a, b, c, d, start.below.0, e, f])
}

fn decode(text: &str) -> Result<Start, QueryError> {
    let [a, b, c, d, score, e, f] = cursor::decode(List::Ranked, text)?;
    let place = |time: u64, offset: u64| (Micros(time.cast_signed()), Offset(offset));
    Ok(Start { from: place(a, b), to: place(c, d), below: (score, place(e, f)) })
}
