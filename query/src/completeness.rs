//! Is everything of a session here? Which of its producer's numbers there are, and what is known of the others.
//!
//! A producer numbers a session's events from 0 or 1 on without gaps. Of a number that is not here there are two kinds:
//!
//! - *missing*: it never came, or is still on its way. The event after the gap names, as the one before it in the log
//!   (`previous`, [docs/proofs.md](../../docs/proofs.md)), one that is here.
//! - *erased*: it was here. The event after the gap names one that is not here any more.
//!
//! What daybook added itself (notes) has numbers of its own ([`OWN_SEQ_MIN`]) and does not count.

use crate::error::QueryError;
use crate::timeline::runs::{Entry, Runs};
use daybook_engine::OWN_SEQ_MIN;
use daybook_engine::event::Offset;
use daybook_engine::view::Snapshot;
use serde::Serialize;
use std::collections::HashSet;
use std::ops::ControlFlow;

/// The most gaps that are named.
pub const GAPS_MAX: usize = 100;

/// What of a session is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completeness {
    /// It ended, nothing between its first and its last number is lacking, and as many events are here as its producer
    /// says that it sent, if it says so.
    pub complete: bool,
    /// Did it end?
    pub ended: bool,
    /// How many events of its producer's are here.
    pub events: u64,
    /// How many its producer says that it sent (`events` of `session.end`); none where it does not say.
    pub sent: Option<u64>,
    /// Notes, which daybook added.
    pub added: u64,
    /// The lowest number that is here.
    pub first_seq: Option<u32>,
    /// The highest.
    pub last_seq: Option<u32>,
    /// How many numbers below the highest are not here.
    pub lacking: u64,
    /// Where they are, the first few.
    pub gaps: Vec<Gap>,
    /// Are there more of them?
    pub more_gaps: bool,
}

/// Numbers that are not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
    /// Why.
    pub why: Why,
}

/// Why numbers are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// They never came, or are still on their way.
    Missing,
    /// They were here.
    Erased,
}

/// What of a session is here; `None` if there is none of this id.
///
/// # Errors
/// What the engine says.
pub fn completeness(snapshot: &Snapshot, id: &str) -> Result<Option<Completeness>, QueryError> {
    let Some(session) = snapshot.sessions.get(id)? else { return Ok(None) };
    let runs = Runs::of(snapshot, session.key)?;
    let (mut offsets, mut added) = (HashSet::new(), 0);
    runs.each_facts(|facts| {
        offsets.insert(facts.offset);
        added += u64::from(facts.seq >= OWN_SEQ_MIN);
    });
    let (mut gaps, mut after_gaps): (Vec<Gap>, Vec<Entry>) = (Vec::new(), Vec::new());
    let (mut events, mut lacking, mut gap_count) = (0, 0, 0_u64);
    let (mut first, mut last): (Option<u32>, Option<u32>) = (None, None);
    for entry in runs.forwards(0).take_while(|entry| entry.facts.seq < OWN_SEQ_MIN) {
        let seq = entry.facts.seq.0;
        events += 1;
        first.get_or_insert(seq);
        // Numbers begin with 0 or with 1.
        let expected = last.map_or(seq.min(1), |last| last.saturating_add(1));
        if seq > expected {
            lacking += u64::from(seq - expected);
            gap_count += 1;
            if gaps.len() < GAPS_MAX {
                gaps.push(Gap { first: expected, last: seq - 1, why: Why::Missing });
                after_gaps.push(entry);
            }
        }
        last = Some(seq);
    }
    runs.check()?;
    runs.read(&after_gaps, |at, record| {
        let is_gone = |offset: &Offset| !offsets.contains(offset);
        if let Some(gap) =
            gaps.get_mut(at).filter(|_| record.previous.as_ref().is_some_and(is_gone))
        {
            gap.why = Why::Erased;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let end = session.state.end.as_ref();
    let sent = end.and_then(|(_, _, end)| end.events);
    let ended = end.is_some();
    Ok(Some(Completeness {
        complete: ended && lacking == 0 && sent.is_none_or(|sent| sent <= events),
        ended,
        events,
        sent,
        added,
        first_seq: first,
        last_seq: last,
        lacking,
        more_gaps: gap_count > gaps.len() as u64,
        gaps,
    }))
}
