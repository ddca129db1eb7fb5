//! `leaves.bin`: what reproduces the log's leaves from a segment's events.
//!
//! A leaf of the log's tree ([`crate::merkle::leaf`]) commits to one journal block: its events in the order
//! of their arrival. A segment has them in another order, may hold the blocks of several journals, and
//! may lack events that retention erased. This file says which blocks those were, and what stands in
//! for what was erased: its hash, which tells nothing without its salt.
//!
//! ```text
//! file   = magic 8 "DAYBKLVS", version 4 (1), runs 4, run*, crc 4 (CRC-32 of all before it)
//! run    = first_leaf 8 | base 8 | blocks 4 | kind 1 (0 whole, 1 erased) | reserved 3
//!          count 4 * blocks                        events of each block when it was written
//!          whole:  secret 16                       the journal's; each event's salt comes from it
//!          erased: (1 | salt 16 or 0 | hash 32) for each event, in the order of offsets
//! ```
//!
//! A run's blocks follow each other: the offsets of each start where the one before it ends. Integers are
//! little-endian. Where anything of a run was erased, its secret is gone from the file: with it, what is
//! easy to guess could be confirmed from its hash.

use super::{LEAVES_COPY_FILE, LEAVES_FILE};
use crate::block::{Wrong, wrong_byte};
use crate::disk::Disk;
use crate::error::Error;
use crate::event::Offset;
use crate::merkle::leaf::event_hash;
use crate::merkle::{Hash, Salt, Secret};
use std::path::Path;

const MAGIC: [u8; 8] = *b"DAYBKLVS";
const VERSION: u32 = 1;

/// The journal blocks that a segment was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaves {
    /// Runs of blocks, in the order of offsets.
    pub runs: Vec<Run>,
}

/// Blocks of one journal that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The number of the first block's leaf in the log's tree.
    pub first_leaf: u64,
    /// The offset of the first block's first event.
    pub base: Offset,
    /// The events of each block when it was written.
    pub counts: Vec<u32>,
    /// How the events' hashes are made again.
    pub events: RunEvents,
}

/// How the hashes of a run's events are made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEvents {
    /// All of them are there; their salts come from this.
    Whole(Secret),
    /// One for each event, in the order of offsets.
    Erased(Vec<EventSeal>),
}

/// What is kept of one event of a run of which something was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSeal {
    /// It is there; this is its salt.
    Kept(Salt),
    /// It was erased; this is its hash.
    Gone(Hash),
}

impl Run {
    /// The offset after its last event.
    #[must_use]
    pub fn end(&self) -> Offset {
        Offset(self.base.0.saturating_add(self.len()))
    }

    /// How many events its blocks had.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// How many of them were erased.
    #[must_use]
    pub fn erased(&self) -> u64 {
        match &self.events {
            RunEvents::Whole(_) => 0,
            RunEvents::Erased(seals) => {
                seals.iter().filter(|seal| matches!(seal, EventSeal::Gone(_))).count() as u64
            }
        }
    }

    /// Had it no events? Runs that are written have some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The hash of an event of this run, from its record's bytes if it is there. `None` when the event
    /// should be there and is not, or the other way round.
    #[must_use]
    pub fn hash(&self, offset: Offset, record: Option<&[u8]>) -> Option<Hash> {
        let at = offset.0.checked_sub(self.base.0)?;
        match (&self.events, record) {
            (RunEvents::Whole(secret), Some(record)) => {
                Some(event_hash(secret.salt(offset), record))
            }
            (RunEvents::Whole(_), None) => None,
            (RunEvents::Erased(seals), record) => {
                match (seals.get(usize::try_from(at).ok()?)?, record) {
                    (EventSeal::Kept(salt), Some(record)) => Some(event_hash(*salt, record)),
                    (EventSeal::Gone(hash), None) => Some(*hash),
                    _ => None,
                }
            }
        }
    }

    /// The salt of an event that is there.
    #[must_use]
    pub fn salt(&self, offset: Offset) -> Option<Salt> {
        let at = offset.0.checked_sub(self.base.0)?;
        match &self.events {
            RunEvents::Whole(secret) => (at < self.len()).then(|| secret.salt(offset)),
            RunEvents::Erased(seals) => match seals.get(usize::try_from(at).ok()?)? {
                EventSeal::Kept(salt) => Some(*salt),
                EventSeal::Gone(_) => None,
            },
        }
    }
}

impl Leaves {
    /// The run that an offset belongs to.
    #[must_use]
    pub fn run_of(&self, offset: Offset) -> Option<&Run> {
        let at = self.runs.partition_point(|run| run.base <= offset).checked_sub(1)?;
        self.runs.get(at).filter(|run| offset < run.end())
    }

    /// Each block: its leaf's number, the offset of its first event, and how many it had.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, Offset, u32)> + '_ {
        self.runs.iter().flat_map(|run| {
            let mut base = run.base;
            (run.first_leaf..).zip(&run.counts).map(move |(leaf, count)| {
                let block = (leaf, base, *count);
                base.0 = base.0.saturating_add(u64::from(*count));
                block
            })
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(self.runs.len() as u32).to_le_bytes());
        for run in &self.runs {
            out.extend_from_slice(&run.first_leaf.to_le_bytes());
            out.extend_from_slice(&run.base.0.to_le_bytes());
            out.extend_from_slice(&(run.counts.len() as u32).to_le_bytes());
            let erased = matches!(run.events, RunEvents::Erased(_));
            out.extend_from_slice(&[u8::from(erased), 0, 0, 0]);
            run.counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
            match &run.events {
                RunEvents::Whole(secret) => out.extend_from_slice(&secret.0),
                RunEvents::Erased(seals) => seals.iter().for_each(|seal| match seal {
                    EventSeal::Kept(salt) => {
                        out.push(1);
                        out.extend_from_slice(&salt.0);
                    }
                    EventSeal::Gone(hash) => {
                        out.push(0);
                        out.extend_from_slice(&hash.0);
                    }
                }),
            }
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks the bytes.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Leaves, &'static str> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or("it is cut short")?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
            return Err("its checksum does not match");
        }
        let mut rest = Rest(body);
        if rest.take::<8>()? != MAGIC {
            return Err("this is not a file of leaves of daybook's");
        }
        if u32::from_le_bytes(rest.take()?) != VERSION {
            return Err("the file was written by another version of daybook");
        }
        let count = u32::from_le_bytes(rest.take()?);
        let mut leaves = Leaves::default();
        for _ in 0..count {
            let run = rest.run()?;
            if leaves.runs.last().is_some_and(|last| last.end() > run.base) {
                return Err("its runs are out of order");
            }
            leaves.runs.push(run);
        }
        if rest.0.is_empty() { Ok(leaves) } else { Err("something follows the last run") }
    }

    /// Reads a segment's file, or its copy if that one is damaged: nothing else has the salts.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] for the first of the two.
    pub fn of_segment(disk: &dyn Disk, dir: &Path) -> Result<Leaves, Error> {
        Leaves::read(disk, &dir.join(LEAVES_FILE))
            .or_else(|error| Leaves::read(disk, &dir.join(LEAVES_COPY_FILE)).map_err(|_| error))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Leaves, Error> {
        let mut bytes = disk.read(path)?;
        Leaves::decode(&bytes).or_else(|what| {
            // One byte that rotted is put right: the salts are nowhere else.
            put_right(&mut bytes)
                .and_then(|()| Leaves::decode(&bytes).ok())
                .ok_or_else(|| Error::corrupt(path, 0, what))
        })
    }
}

/// Puts right the one byte that is wrong, if it is one.
fn put_right(bytes: &mut [u8]) -> Option<()> {
    let (body, crc) = bytes.split_last_chunk_mut::<4>()?;
    match wrong_byte(body, u32::from_le_bytes(*crc))? {
        Wrong::Byte(at, value) => *body.get_mut(at)? ^= value,
        Wrong::Checksum => *crc = crc32fast::hash(body).to_le_bytes(),
    }
    Some(())
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or("it is cut short")?;
        self.0 = rest;
        Ok(*field)
    }

    fn run(&mut self) -> Result<Run, &'static str> {
        let first_leaf = u64::from_le_bytes(self.take()?);
        let base = Offset(u64::from_le_bytes(self.take()?));
        let blocks = u32::from_le_bytes(self.take()?) as usize;
        let [kind, reserved @ ..] = self.take::<4>()?;
        if reserved != [0; 3] || blocks.saturating_mul(4) > self.0.len() {
            return Err("a run contradicts itself");
        }
        let mut counts = Vec::with_capacity(blocks);
        for _ in 0..blocks {
            counts.push(u32::from_le_bytes(self.take()?));
        }
        let mut run = Run { first_leaf, base, counts, events: RunEvents::Erased(Vec::new()) };
        let fits = base.0.checked_add(run.len()).is_some();
        if blocks == 0 || run.counts.contains(&0) || !fits {
            return Err("a run contradicts itself");
        }
        run.events = match kind {
            0 => RunEvents::Whole(Secret(self.take()?)),
            1 => {
                let mut seals = Vec::new();
                for _ in 0..run.len() {
                    seals.push(match self.take::<1>()? {
                        [1] => EventSeal::Kept(Salt(self.take()?)),
                        [0] => EventSeal::Gone(Hash(self.take()?)),
                        _ => return Err("a run contradicts itself"),
                    });
                }
                RunEvents::Erased(seals)
            }
            _ => return Err("the file was written by another version of daybook"),
        };
        Ok(run)
    }
}
