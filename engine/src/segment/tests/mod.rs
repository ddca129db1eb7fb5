//! What segments promise, tested on real files against a simple model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod crash;
mod damage;
mod model;
mod rewriting;

use super::leaves::{Run, RunEvents};
use super::{Leaves, SealInput, Segment};
use crate::block::{BlockCache, Payload, Record};
use crate::disk::{RealDisk, SharedDisk};
use crate::event::{Kind, Micros, Offset, Seq, SessionKey, Verdict};
use crate::merkle::Secret;
use crate::session::SessionState;
use crate::view::Session;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub fn disk() -> SharedDisk {
    Arc::new(RealDisk)
}

/// An event of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    pub session: usize,
    pub seq: u32,
    pub time: i64,
    pub kind: Kind,
    pub verdict: Option<Verdict>,
    pub json: Vec<u8>,
}

/// A closed journal.
pub struct Journal {
    pub base: u64,
    pub end: u64,
    pub made: Vec<Made>,
    /// Their offsets; what is missing in between was erased.
    pub offsets: Vec<u64>,
    payloads: Vec<Arc<Payload>>,
    plain: Vec<bool>,
    session_of: Vec<u32>,
    sessions: Vec<Session>,
    pub leaves: Leaves,
}

pub fn id(session: usize) -> String {
    // Not in the order of the numbers, and one a prefix of another.
    format!("{}-{}", ["b", "a", "ab", "é", "a-"][session % 5], session)
}

impl Journal {
    /// Events in the order of arrival from `base`, `per_block` to a block.
    pub fn new(base: u64, made: Vec<Made>, per_block: usize) -> Journal {
        let end = base + made.len() as u64;
        Journal::sparse(base..end, made, (base..end).collect(), per_block)
    }

    /// Events in the order of their offsets, which lie in `span`.
    pub fn sparse(
        span: Range<u64>,
        made: Vec<Made>,
        offsets: Vec<u64>,
        per_block: usize,
    ) -> Journal {
        let base = span.start;
        let count = made.iter().map(|e| e.session + 1).max().unwrap_or(0);
        let mut sessions: Vec<Session> = (0..count)
            .map(|n| Session {
                id: id(n).into(),
                key: SessionKey(0),
                state: Arc::new(SessionState::default()),
            })
            .collect();
        for (offset, event) in offsets.iter().zip(&made).rev() {
            // Session 0 began in an earlier segment, if there is one.
            let earlier = event.session == 0 && base > 0;
            let began = if earlier { base / 2 } else { *offset };
            sessions[event.session].key = SessionKey(began);
        }
        let (mut payloads, mut plain) = (Vec::new(), Vec::new());
        for (chunk, offsets) in made.chunks(per_block).zip(offsets.chunks(per_block)) {
            let mut payload = Vec::new();
            for (event, offset) in chunk.iter().zip(offsets) {
                event.record(*offset).encode(&mut payload);
            }
            payloads.push(Arc::new(payload.into()));
            plain.push(chunk.iter().all(|e| crate::block::is_plain(&e.json)));
        }
        let session_of = made.iter().map(|e| e.session as u32).collect();
        let counts: Vec<u32> = made.chunks(per_block).map(|chunk| chunk.len() as u32).collect();
        let events = RunEvents::Whole(Secret([9; 16]));
        let run = Run { first_leaf: 7, base: Offset(base), counts, events };
        let leaves = Leaves { runs: vec![run] };
        Journal {
            base,
            end: span.end,
            made,
            offsets,
            payloads,
            plain,
            session_of,
            sessions,
            leaves,
        }
    }

    pub fn input(&self) -> SealInput<'_> {
        SealInput {
            base: Offset(self.base),
            end: Offset(self.end),
            payloads: &self.payloads,
            plain: &self.plain,
            session_of: &self.session_of,
            sessions: &self.sessions,
            texts: &[],
            leaves: &self.leaves,
            created: Micros(1),
            generation: 0,
            replaces: &[],
        }
    }

    pub fn key(&self, session: usize) -> SessionKey {
        self.sessions[session].key
    }
}

impl Made {
    pub fn record(&self, offset: u64) -> Record<'_> {
        Record {
            offset: Offset(offset),
            previous: None,
            seq: Seq(self.seq),
            time: Micros(self.time),
            kind: self.kind,
            verdict: self.verdict,
            received: Micros(1_772_000_000_000_000),
            producer: "proxy-1",
            retry: None,
            json: &self.json,
        }
    }
}

/// A few sessions, interleaved.
pub fn small() -> Journal {
    Journal::new(1000, few(), 7)
}

/// The same, with holes between the offsets.
pub fn small_sparse() -> Journal {
    let offsets = (0..40).map(|n| 1000 + n + n / 3 * 2).collect();
    Journal::sparse(998..1070, few(), offsets, 7)
}

fn few() -> Vec<Made> {
    (0..40)
        .map(|n: usize| Made {
            session: n % 4,
            seq: ((n * 7) % 40) as u32,
            time: 1_772_000_000_000_000 + ((n * 13) % 40) as i64 * 1_000_000,
            kind: Kind::ALL[n % Kind::ALL.len()],
            verdict: Verdict::ALL.get(n % 7).copied(),
            json: format!("{{\"n\":{n}}}").into_bytes(),
        })
        .collect()
}

pub fn open(dir: &Path) -> Result<Segment, crate::Error> {
    Segment::open(&disk(), dir, Arc::new(BlockCache::new(1 << 20)))
}
