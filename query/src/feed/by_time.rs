//! A stretch of the log in the order of time, in bounded memory.
//!
//! Times come from the facts, 16 bytes an event. Events are then read in portions that are neighbours in time: each
//! is read from its part in the part's order, so that a block is read once for a portion, held, and handed on in the
//! order of time. In a journal neighbours in time are neighbours on the disk; in a segment, where they are not, a
//! block is read once for each portion.

use crate::feed::Error;
use crate::scan::SessionCache;
use daybook_engine::block::Record;
use daybook_engine::event::{Micros, Offset, SessionKey};
use daybook_engine::view::{Ordinals, Part, Session, Snapshot};
use std::ops::{ControlFlow, Range};

/// A portion has at most this many bytes of events, or one event.
const PORTION_BYTES: usize = 32 << 20;
/// A portion has at most this many events.
const PORTION_EVENTS: usize = 64 << 10;

/// An event's place in time and in its part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    time: Micros,
    part: u16,
    ordinal: u32,
}

/// Calls `visit` with each event of these offsets, by time, with its session; answers how many there are.
///
/// # Errors
/// The log's, or what `visit` answers.
pub(super) fn each(
    snapshot: &Snapshot,
    offsets: Range<u64>,
    visit: &mut dyn FnMut(&Record<'_>, &Session) -> Result<(), Error>,
) -> Result<u64, Error> {
    let parts: Vec<&dyn Part> = snapshot
        .parts
        .iter()
        .map(AsRef::as_ref)
        .filter(|part| part.base().0 < offsets.end && offsets.start < part.end().0)
        .collect();
    let mut places = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let mut take = |ordinal, time| {
            places.push(Place { time, part: u16::try_from(at).unwrap_or(u16::MAX), ordinal });
        };
        if offsets.start <= part.base().0 && part.end().0 <= offsets.end {
            part.each_facts(&Ordinals::Range(0..part.len()), &mut |ordinal, facts| {
                take(ordinal, facts.time);
            });
        } else {
            let (from, to) = (offsets.start.max(part.base().0), offsets.end.min(part.end().0));
            for ordinal in (from..to).filter_map(|offset| part.ordinal_of(Offset(offset))) {
                if let Some(facts) = part.facts(ordinal) {
                    take(ordinal, facts.time);
                }
            }
        }
        part.check()?;
    }
    places.sort_unstable();
    let mut sessions = SessionCache::new(snapshot);
    let mut rest: &[Place] = &places;
    let mut size = PORTION_EVENTS;
    while !rest.is_empty() {
        let (portion, later) = rest.split_at(size.min(rest.len()));
        let Some(held) = Held::read(&parts, portion)? else {
            size = (size / 4).max(1);
            continue;
        };
        for at in &held.order {
            let (record, key) = held.get(*at)?;
            let session = sessions.get(key)?.ok_or_else(|| {
                let what = format!("session number {} was erased meanwhile", key.0);
                daybook_engine::Error::catalog(what)
            })?;
            visit(&record, session)?;
        }
        rest = later;
        size = (size * 2).min(PORTION_EVENTS);
    }
    Ok(places.len() as u64)
}

/// Events that were read.
struct Held {
    bytes: Vec<u8>,
    /// Of each event, in the order of time, the place in `bytes` and the session.
    order: Vec<(usize, SessionKey)>,
}

impl Held {
    /// Reads a portion; `None` if it is too large, and more than one event.
    fn read(parts: &[&dyn Part], portion: &[Place]) -> Result<Option<Held>, Error> {
        let mut bytes = Vec::new();
        let mut order: Vec<Option<(usize, SessionKey)>> = vec![None; portion.len()];
        let mut large = false;
        for (at, part) in parts.iter().enumerate() {
            let mut of_part: Vec<(u32, usize)> = portion
                .iter()
                .enumerate()
                .filter(|(_, place)| usize::from(place.part) == at)
                .map(|(index, place)| (place.ordinal, index))
                .collect();
            if of_part.is_empty() {
                continue;
            }
            of_part.sort_unstable();
            let ordinals = Ordinals::List(of_part.iter().map(|(ordinal, _)| *ordinal).collect());
            let mut next = of_part.iter();
            part.read(&ordinals, None, &mut |ordinal, record| {
                let facts = part.facts(ordinal);
                if let (Some((_, index)), Some(facts)) = (next.next(), facts)
                    && let Some(slot) = order.get_mut(*index)
                {
                    *slot = Some((bytes.len(), facts.session));
                    record.encode(&mut bytes);
                }
                large = bytes.len() > PORTION_BYTES && portion.len() > 1;
                Ok(if large { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if large {
                return Ok(None);
            }
        }
        // What is missing can't be read, and the part says why.
        for part in parts {
            part.check()?;
        }
        let order: Vec<_> = order.into_iter().flatten().collect();
        match order.len() == portion.len() {
            true => Ok(Some(Held { bytes, order })),
            false => Err(Error::Unread(portion.len() - order.len())),
        }
    }

    fn get(&self, (at, key): (usize, SessionKey)) -> Result<(Record<'_>, SessionKey), Error> {
        let decoded = Record::decode(self.bytes.get(at..).unwrap_or_default());
        // It was encoded a moment ago.
        let (record, _) = decoded.map_err(|_| Error::Unread(1))?;
        Ok((record, key))
    }
}
