//! Where in the log a client goes on.
//!
//! A client resumes at a commit point: a time since the session's start. The record that ends there is the
//! first whose delays add up to just that time. What is stored behind it was not confirmed to the client,
//! which sends it again; it gets the numbers that it has, and so is known as a repetition.

use super::conversation::Running;
use super::events::{FIRST, Lines, Nanos};
use daybook_engine::Error;
use daybook_engine::event::{Kind, Micros};
use daybook_engine::view::{Ordinals, Part, Snapshot};
use serde::Deserialize;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// At most this many records may be sent again.
const AGAIN_MAX: usize = 4_000_000;

/// Finds the place of a restart.
///
/// # Errors
/// `Ok(Err)`: there is no such session or place, for the client; `Err`: the log can't be read.
pub fn find(snapshot: &Snapshot, id: &str, place: Nanos) -> Result<Result<Running, String>, Error> {
    let Some(session) = snapshot.sessions.get(id)? else {
        return Ok(Err(format!("there is no session `{id}`")));
    };
    let Some(submitted) = submitted(snapshot, id)? else {
        return Ok(Err(format!("the session `{id}` is not one that sudo began")));
    };
    let target = submitted.saturating_add(place);
    let from = Micros(i64::try_from(target.div_euclid(1_000)).unwrap_or(i64::MAX));
    let (mut last, mut behind) = (0, Vec::new());
    for part in &snapshot.parts {
        let Some(run) = part.session_by_key(session.key)? else { continue };
        for ordinal in run.ordinals.iter() {
            let Some(facts) = part.facts(ordinal) else { continue };
            last = last.max(facts.seq.0);
            let ends = matches!(facts.kind, Kind::CommandEnd | Kind::SessionEnd);
            if facts.seq.0 >= FIRST && facts.kind != Kind::Command && (facts.time >= from || ends) {
                if behind.len() >= AGAIN_MAX {
                    return Ok(Err("too much would be sent again; resume later in it".to_owned()));
                }
                behind.push((facts.seq.0, facts.time, part, ordinal));
            }
        }
        part.check()?;
    }
    behind.sort_unstable_by_key(|(seq, ..)| *seq);
    let mut at = None;
    if place > 0 {
        for (index, (_, time, part, ordinal)) in behind.iter().enumerate() {
            if *time == from && time_of(&***part, *ordinal)? == Some(target) {
                at = Some(index);
                break;
            }
        }
        if at.is_none() {
            return Ok(Err(format!("session `{id}` has no record that ends at {place} ns")));
        }
    }
    let again: VecDeque<u32> =
        behind.iter().skip(at.map_or(0, |at| at + 1)).map(|(seq, ..)| *seq).collect();
    let lines = Lines { session: id.to_owned(), submitted };
    Ok(Ok(Running {
        lines,
        elapsed: place,
        again,
        next: last.saturating_add(1).max(FIRST),
        records: true,
    }))
}

/// When a session of sudo's began: the time of its first event, as it was sent.
fn submitted(snapshot: &Snapshot, id: &str) -> Result<Option<Nanos>, Error> {
    if !id.starts_with("sudo-") {
        return Ok(None);
    }
    for part in &snapshot.parts {
        let Some(run) = part.session(id)? else { continue };
        let first = run.ordinals.get(0).filter(|first| {
            part.facts(*first).is_some_and(|f| f.seq.0 == 0 && f.kind == Kind::SessionStart)
        });
        if let Some(first) = first {
            return time_of(&**part, first);
        }
    }
    Ok(None)
}

/// The time of an event, to the nanosecond.
fn time_of(part: &dyn Part, ordinal: u32) -> Result<Option<Nanos>, Error> {
    #[derive(Deserialize)]
    struct Timed<'a> {
        #[serde(borrow)]
        time: std::borrow::Cow<'a, str>,
    }
    let mut time = None;
    part.read(&Ordinals::Range(ordinal..ordinal + 1), None, &mut |_, record| {
        let timed: Option<Timed<'_>> = serde_json::from_slice(record.json).ok();
        let stamp = timed.and_then(|timed| timed.time.parse::<jiff::Timestamp>().ok());
        time = stamp.map(|stamp| stamp.as_nanosecond());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(time)
}
