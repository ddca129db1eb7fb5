//! Following the log for who wants the events themselves: each as the lines that it is sent on as, in the order of
//! offsets.
//!
//! As with [`follow`](super::follow()), what was found and where to go on are answered together. What is answered has
//! a bound in events and in bytes, and one of time: a reader that is far behind does not keep a thread for long.

use super::follow::{EVENTS_MAX, Look};
use super::plan::Found;
use crate::error::QueryError;
use crate::lang::Query;
use crate::ocsf::Mapping;
use crate::timeline::render;
use daybook_engine::block::Record;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Kind, Micros, Offset, Seq, Verdict};
use daybook_engine::view::{Session, Snapshot};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A window is at least so many offsets, however large their events were.
const EVENTS_MIN: u64 = 8;

/// In which form events are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As they were sent, with what daybook added: one line an event.
    #[default]
    Native,
    /// As rows of OCSF: an event is a line, or two, or none.
    Ocsf(Mapping),
}

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nothing from this offset on.
    pub until: Offset,
    /// At most so many events,
    pub events_max: usize,
    /// and so many bytes of their lines, unless the first alone has more.
    pub bytes_max: usize,
    /// No further window is looked at after this time.
    pub time_max: Duration,
    /// So many offsets are looked at at once: [`Lines::window`] of the answer before, or `u64::MAX`.
    pub window: u64,
}

/// An event that matches, and its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its place in the log.
    pub offset: Offset,
    /// Its session.
    pub session: Box<str>,
    /// Its number in the session.
    pub seq: Seq,
    /// When it happened.
    pub time: Micros,
    /// When it was taken in.
    pub received: Micros,
    /// What happened.
    pub kind: Kind,
    /// The verdict, for commands that carry one.
    pub verdict: Option<Verdict>,
    /// The session's user, as far as that is known by now.
    pub user: Option<Box<str>>,
    /// The session's resource role.
    pub role: Option<Box<str>>,
    /// Its lines, without line breaks; at least one.
    pub lines: Vec<String>,
}

impl Told {
    /// The bytes of its lines, each with a line break.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lines.iter().map(|line| line.len() + 1).sum()
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// The events that match and have lines, in the order of offsets.
    pub told: Vec<Told>,
    /// Where to go on: everything before it has been looked at.
    pub next: Offset,
    /// Is there nothing more, as of this snapshot?
    pub at_end: bool,
    /// So many events may match, but are in parts of the log that are damaged.
    pub unreadable: u64,
    /// So many events before `next` were erased.
    pub gone: u64,
    /// How many offsets to look at at once the next time: where events are large, looking at many to take a few
    /// would be reading them all again for each few.
    pub window: u64,
}

/// Finds the matches at `from` or later, within bounds.
///
/// # Errors
/// What the engine says, or a set of sessions that costs too much.
pub fn lines(
    snapshot: &Snapshot,
    query: &Query,
    form: Form,
    from: Offset,
    bounds: &Bounds,
) -> Result<Lines, QueryError> {
    let began = Instant::now();
    let mut sessions = HashMap::new();
    let mut all = Lines {
        told: Vec::new(),
        next: from,
        at_end: false,
        unreadable: 0,
        gone: 0,
        window: bounds.window.clamp(EVENTS_MIN, EVENTS_MAX),
    };
    let mut bytes = 0;
    loop {
        let (scope, until) = (SessionFilter::All, bounds.until);
        let look = Look::new(snapshot, query, &scope, all.next, until, all.window)?;
        let room = bounds.bytes_max.saturating_sub(bytes);
        let left = bounds.events_max.max(1) - all.told.len();
        let step = look.collect(left, room, &mut |found, record| {
            let session = match sessions.entry(found.facts.session) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(snapshot.sessions.by_key(found.facts.session)?)
                }
            };
            let told = tell(form, found, record, session.as_ref())?;
            Ok(told.map(|told| {
                let bytes = told.bytes();
                (told, bytes)
            }))
        })?;
        // The first of a step is there whatever it takes.
        let over = step.found.first().is_some_and(|first| first.bytes() > room);
        if over && !all.told.is_empty() {
            all.window = EVENTS_MIN;
            return Ok(all);
        }
        let taken = step.found.len() as u64;
        bytes += step.found.iter().map(Told::bytes).sum::<usize>();
        all.told.extend(step.found);
        (all.next, all.at_end) = (step.next, step.at_end);
        all.unreadable += step.unreadable;
        all.gone += step.gone;
        let grown = if step.cut { taken.saturating_mul(2) } else { all.window.saturating_mul(2) };
        all.window = grown.clamp(EVENTS_MIN, EVENTS_MAX);
        let full = step.cut || all.told.len() >= bounds.events_max || bytes >= bounds.bytes_max;
        let late = began.elapsed() >= bounds.time_max;
        if full || late || all.at_end || all.next >= bounds.until {
            return Ok(all);
        }
    }
}

/// An event's lines; `None` if it has none.
fn tell(
    form: Form,
    found: &Found<'_>,
    record: &Record<'_>,
    session: Option<&Session>,
) -> Result<Option<Told>, QueryError> {
    let lines = match (form, session) {
        (Form::Native, _) => vec![render::event(record)?],
        (Form::Ocsf(mapping), Some(session)) => {
            let rows = mapping.json(record, &session.id, &session.state)?;
            rows.into_iter().map(|(_, row)| row).collect()
        }
        (Form::Ocsf(_), None) => {
            let what = format!("session number {} is not in it", found.facts.session.0);
            return Err(daybook_engine::Error::catalog(what).into());
        }
    };
    if lines.is_empty() {
        return Ok(None);
    }
    let start = session.and_then(|session| session.state.facts());
    Ok(Some(Told {
        offset: found.facts.offset,
        session: found.event.session.as_ref().into(),
        seq: found.facts.seq,
        time: found.facts.time,
        received: record.received,
        kind: found.facts.kind,
        verdict: found.facts.verdict,
        user: start.and_then(|start| start.user.clone()),
        role: start.and_then(|start| start.role.clone()),
        lines,
    }))
}
