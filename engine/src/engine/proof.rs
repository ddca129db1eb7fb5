//! What outsiders get of the Merkle log: checkpoints, tiles, and proofs of sessions.

use super::Engine;
use super::notary::{self, Latest, Notary};
use crate::block::Record;
use crate::error::Error;
use crate::event::{Offset, SessionKey};
use crate::journal::part::Journal;
use crate::merkle::bundle::{BlockProof, Bundle, EventProof, FORMAT};
use crate::merkle::leaf::{Leaf, Salt, Secret, event_hashes};
use crate::merkle::tile::Tile;
use crate::merkle::{Hash, tree};
use crate::segment::{LEAVES_FILE, Leaves, Segment};
use crate::view::{Ordinals, Part, Session, Sessions as _};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Which checkpoint covers something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// How many leaves the last checkpoint's tree has.
    pub size: u64,
    /// It covers all events below this offset.
    pub through: Offset,
}

impl Engine {
    /// A signed checkpoint that covers everything that was acknowledged before; waits until it is
    /// signed. At rest, the last one that was signed.
    ///
    /// # Errors
    /// No Merkle log; what stops the notary.
    pub fn checkpoint(&self) -> Result<Arc<str>, Error> {
        Ok(self.covering(None)?.note)
    }

    /// The last signed checkpoint, at once. `None` before the first and without a Merkle log.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<Arc<str>> {
        let note = self.shared.notary.as_ref()?.latest().note;
        (!note.is_empty()).then_some(note)
    }

    /// What the last checkpoint covers. `None` without a Merkle log.
    #[must_use]
    pub fn coverage(&self) -> Option<Coverage> {
        let signed = self.shared.notary.as_ref()?.latest().signed;
        Some(Coverage { size: signed.size, through: signed.end })
    }

    /// The key that checks this log's checkpoints, as `name+id+base64`.
    #[must_use]
    pub fn verifier_key(&self) -> Option<String> {
        self.shared.notary.as_ref()?.verifier().map(ToString::to_string)
    }

    /// The bytes of a tile; `None` for one that the last checkpoint's tree does not have.
    ///
    /// # Errors
    /// The system's, or a damaged file.
    pub fn tile(&self, tile: &Tile) -> Result<Option<Vec<u8>>, Error> {
        let Some(notary) = &self.shared.notary else { return Ok(None) };
        if !tile.is_in(notary.latest().signed.size) {
            return Ok(None);
        }
        notary.store().tile(tile).map(Some)
    }

    /// The proof that a session's events are in the log as they are here, and that none between the
    /// first and the last is missing; with a checkpoint that covers them all. `None` for a session that
    /// is not there.
    ///
    /// # Errors
    /// No Merkle log; [`Error::TooLarge`] for a session of more than `proof_bytes_max`; a part of the
    /// log that can't be read.
    pub fn proof(&self, session: &str) -> Result<Option<Bundle>, Error> {
        self.proof_of(session, None)
    }

    /// As [`Engine::proof`], but only of the events at some offsets: each is proved to be in the log as it is here, and
    /// nothing is said of the others. `None` also if there are none.
    ///
    /// # Errors
    /// As [`Engine::proof`].
    pub fn proof_of(
        &self,
        session: &str,
        only: Option<&HashSet<Offset>>,
    ) -> Result<Option<Bundle>, Error> {
        let Some(found) = self.shared.catalog.get(session)? else { return Ok(None) };
        let (segments, journals) = self.shared.parts();
        let sources = segments.into_iter().map(Source::Segment);
        let sources: Vec<Source> =
            sources.chain(journals.into_iter().map(Source::Journal)).collect();
        let mut events = Vec::new();
        let mut budget = Budget { bytes: 0, limit: self.shared.options.proof_bytes_max };
        for source in &sources {
            let mut here = source.events(&found, only, &mut budget)?;
            here.sort_unstable_by_key(|event| event.offset);
            events.push(here);
        }
        let Some(last) = events.iter().flatten().map(|event| event.offset).max() else {
            return Ok(None);
        };
        let latest = self.covering(Some(Offset(last.0 + 1)))?;
        let notary = self.notary()?;
        let key = notary.verifier().ok_or_else(|| self.no_log("its key is missing"))?;
        let mut blocks = Vec::new();
        for (source, events) in sources.iter().zip(events) {
            source.prove(notary, &latest, events, &mut blocks)?;
        }
        Ok(Some(Bundle {
            format: FORMAT.to_owned(),
            session: session.to_owned(),
            excerpt: only.is_some(),
            key: key.to_string(),
            checkpoint: latest.note.to_string(),
            blocks,
        }))
    }

    fn notary(&self) -> Result<&Notary, Error> {
        self.shared.notary.as_ref().ok_or_else(|| self.no_log("it was opened without one"))
    }

    fn no_log(&self, why: &str) -> Error {
        let what = format!("it has no Merkle log that can be used: {why}");
        Error::Unusable { path: self.shared.dir.clone(), what }
    }

    /// A checkpoint that covers everything below `end`, or everything that there is.
    fn covering(&self, end: Option<Offset>) -> Result<Latest, Error> {
        let notary = self.notary()?;
        let newest = || self.shared.journals().last().map_or(Offset(0), |journal| journal.end());
        let end = end.unwrap_or_else(newest);
        let latest = notary.latest();
        if latest.signed.end >= end && !latest.note.is_empty() {
            return Ok(latest);
        }
        if self.shared.options.read_only || self.threads.lock().is_empty() {
            let what = "no checkpoint covers these events yet: start daybook once and stop it";
            return Err(self.no_log(what));
        }
        notary::wait_for(&self.shared, notary, end)
    }
}

/// Where events are.
enum Source {
    Segment(Arc<Segment>),
    Journal(Arc<Journal>),
}

/// How many bytes of lines there are, and may be.
struct Budget {
    bytes: u64,
    limit: u64,
}

/// What blocks' events hash to, block by block.
struct Hashed {
    hashes: Vec<Vec<Hash>>,
    salts: Salts,
}

enum Salts {
    Secret(Secret),
    Runs(Leaves),
}

impl Salts {
    fn of(&self, offset: Offset) -> Option<Salt> {
        match self {
            Salts::Secret(secret) => Some(secret.salt(offset)),
            Salts::Runs(runs) => runs.run_of(offset)?.salt(offset),
        }
    }
}

impl Source {
    /// The session's events here; their salts are not known yet.
    fn events(
        &self,
        session: &Session,
        only: Option<&HashSet<Offset>>,
        budget: &mut Budget,
    ) -> Result<Vec<EventProof>, Error> {
        let view;
        let part: &dyn Part = match self {
            Source::Segment(segment) => &**segment,
            Source::Journal(journal) => {
                view = journal.view();
                &view
            }
        };
        let mut events = Vec::new();
        let Some(run) = part.session_by_key(SessionKey(session.key.0))? else { return Ok(events) };
        part.read(&run.ordinals, None, &mut |_, record: Record<'_>| {
            if only.is_some_and(|only| !only.contains(&record.offset)) {
                return Ok(ControlFlow::Continue(()));
            }
            budget.bytes += record.json.len() as u64;
            if budget.bytes > budget.limit {
                return Err(Error::TooLarge {
                    what: "the proof of a session",
                    limit: budget.limit,
                });
            }
            let event = EventProof::new(&record, Salt([0; 16])).map_err(|what| {
                Error::corrupt(format!("event {}", record.offset).as_ref(), 0, what)
            })?;
            events.push(event);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(events)
    }

    /// Proves events of one session, which ascend, block by block.
    fn prove(
        &self,
        notary: &Notary,
        latest: &Latest,
        events: Vec<EventProof>,
        out: &mut Vec<BlockProof>,
    ) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let store = notary.store();
        let size = latest.signed.size;
        let mut groups = Vec::new();
        let mut leaves = Vec::new();
        let mut events = events.into_iter().peekable();
        while let Some(first) = events.peek().map(|event| event.offset) {
            let found = store.find(first, size)?;
            let (index, leaf) = found.ok_or(Error::NoSuchEvent(first))?;
            let mut here = Vec::new();
            while let Some(event) = events.next_if(|event| event.offset < leaf.end()) {
                here.push(event);
            }
            groups.push((index, here));
            leaves.push(leaf);
        }
        let hashed = self.hashed(&leaves)?;
        for (((index, mut events), leaf), hashes) in
            groups.into_iter().zip(leaves).zip(&hashed.hashes)
        {
            for event in &mut events {
                let salt = hashed.salts.of(event.offset);
                event.salt = salt.ok_or(Error::NoSuchEvent(event.offset))?;
            }
            let path = tree::inclusion(&**store, index, size)?;
            let block = BlockProof::new(index, leaf, path, hashes, events)
                .map_err(|what| Error::corrupt(&store.leaves_path(), index, what))?;
            out.push(block);
        }
        Ok(())
    }

    /// Hashes the events of these leaves' blocks again.
    fn hashed(&self, leaves: &[Leaf]) -> Result<Hashed, Error> {
        match self {
            Source::Journal(journal) => {
                let secret = Secret(journal.file().secret()?);
                let blocks = journal.blocks();
                let place = |first: u32| journal.base().0 + u64::from(first);
                let hash = |leaf: &Leaf| {
                    let at = blocks.partition_point(|block| place(block.first) < leaf.base.0);
                    let block = blocks.get(at).filter(|block| place(block.first) == leaf.base.0);
                    let block = block.ok_or(Error::NoSuchEvent(leaf.base))?;
                    event_hashes(&secret, &journal.payload(block)?)
                        .map_err(|what| Error::corrupt(journal.file().path(), block.at, what))
                };
                let hashes = leaves.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
                Ok(Hashed { hashes, salts: Salts::Secret(secret) })
            }
            Source::Segment(segment) => {
                let runs = segment.leaves()?;
                let hashes = sealed_hashes(segment, &runs, leaves)?;
                Ok(Hashed { hashes, salts: Salts::Runs(runs) })
            }
        }
    }
}

/// Hashes the events of leaves' blocks that are sealed again. A block's events are scattered over the
/// segment, so that all are read in one pass.
fn sealed_hashes(
    segment: &Segment,
    runs: &Leaves,
    leaves: &[Leaf],
) -> Result<Vec<Vec<Hash>>, Error> {
    let offsets = || leaves.iter().flat_map(|leaf| (leaf.base.0..leaf.end().0).map(Offset));
    let mut ordinals: Vec<u32> = offsets().filter_map(|at| segment.ordinal_of(at)).collect();
    ordinals.sort_unstable();
    let unknown = |offset: Offset| {
        let what = format!("it does not reproduce the hash of event {offset}");
        Error::corrupt(&segment.path().join(LEAVES_FILE), 0, what)
    };
    let mut there = HashMap::new();
    let mut bytes = Vec::new();
    segment.read(&Ordinals::List(ordinals), None, &mut |_, record| {
        bytes.clear();
        record.encode(&mut bytes);
        let offset = record.offset;
        let hash = runs.run_of(offset).and_then(|run| run.hash(offset, Some(&bytes)));
        there.insert(offset, hash.ok_or_else(|| unknown(offset))?);
        Ok(ControlFlow::Continue(()))
    })?;
    let hash = |offset: Offset| {
        let erased = || runs.run_of(offset).and_then(|run| run.hash(offset, None));
        there.get(&offset).copied().or_else(erased).ok_or_else(|| unknown(offset))
    };
    leaves
        .iter()
        .map(|leaf| (leaf.base.0..leaf.end().0).map(|at| hash(Offset(at))).collect())
        .collect()
}
