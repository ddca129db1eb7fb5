//! What is stored, and how the parts of the engine are doing.

use super::rekey;
use super::shared::Shared;
use crate::disk::{Disk, Entry};
use crate::error::Error;
use crate::event::Offset;
use crate::journal::file::Finding;
use crate::view::{Part as _, Sessions as _};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

/// What is stored, and how the parts of the engine are doing.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// Events in the log.
    pub events: u64,
    /// Sessions in the catalog.
    pub sessions: u64,
    /// Bytes of the events' lines as they were sent.
    pub bytes: u64,
    /// Bytes of all files in the data directory.
    pub stored_bytes: u64,
    /// Sealed segments.
    pub segments: u64,
    /// How often segments were merged since the start.
    pub merges: u64,
    /// Journals: the one that is written, and those that wait to be sealed.
    pub journals: u64,
    /// Bytes of records in journals, before compression.
    pub journal_bytes: u64,
    /// The offset that the next event will get.
    pub next_offset: Offset,
    /// The texts of all events below this offset are indexed; searches read the rest themselves.
    pub indexed_through: Offset,
    /// Events whose texts are not indexed yet.
    pub index_lag_events: u64,
    /// Bytes of their records: what a search reads itself.
    pub index_lag_bytes: u64,
    /// Leaves of the Merkle log that the last checkpoint covers.
    pub checkpoint_size: u64,
    /// The last checkpoint covers all events below this offset.
    pub checkpoint_through: Offset,
    /// Why the Merkle log can't be written, if so; journals then wait to be sealed.
    pub checkpoint_error: Option<String>,
    /// The key that checks checkpoints.
    pub verifier_key: Option<String>,
    /// Bytes of batches that wait to be written.
    pub queue_bytes: u64,
    /// Bytes that are free on the disk, where the system says.
    pub free_bytes: Option<u64>,
    /// With fewer free bytes no events are taken.
    pub free_bytes_min: u64,
    /// Why no events are taken until there is more space, if so.
    pub full: Option<String>,
    /// Why no events are taken, if so.
    pub read_only: Option<String>,
    /// What recovery found at the start: torn tails and damage.
    pub findings: Vec<Finding>,
    /// How many files are under each encryption key, by its number; 0 is for those that are not
    /// encrypted. Empty without encryption keys.
    pub encryption_keys: BTreeMap<u32, u64>,
    /// CPU seconds since the start, by stage.
    pub cpu_seconds: StageSeconds,
}

/// CPU seconds since the start, by stage.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StageSeconds {
    /// The writer: checking, compressing, writing, publishing.
    pub journal: f64,
    /// The indexer: texts into the index.
    pub index: f64,
    /// The notary: hashing events, signing.
    pub merkle: f64,
    /// Sealing: events and index of segments, the catalog's commit, checksums.
    pub seal: f64,
    /// Sealing: merging the text index.
    pub merge: f64,
    /// Sealing: the columnar copy.
    pub columnar: f64,
    /// Merging: small segments into larger ones.
    pub rewrite: f64,
}

pub(super) fn collect(shared: &Shared) -> Result<Stats, Error> {
    let segments = shared.segments();
    let journals = shared.journals();
    let sealed = *shared.counters.sealed.lock();
    let seconds = |us: &std::sync::atomic::AtomicU64| us.load(Ordering::Relaxed) as f64 / 1e6;
    let sealed_end = segments.last().map_or(Offset(0), |s| s.end());
    let next_offset = journals.last().map_or(sealed_end, |journal| journal.end());
    let indexed_through = (journals.iter().find(|j| j.indexed_through() < j.end()))
        .map_or(next_offset, |journal| journal.indexed_through());
    let covered = shared.notary.as_ref().map(|notary| notary.latest().signed);
    let in_journals: u64 = journals.iter().map(|j| j.end().0 - j.base().0).sum();
    Ok(Stats {
        events: segments.iter().map(|s| u64::from(s.len())).sum::<u64>() + in_journals,
        sessions: shared.catalog.count()?,
        bytes: shared.counters.raw_bytes.load(Ordering::Relaxed),
        stored_bytes: directory_bytes(&*shared.options.disk, &shared.dir),
        segments: segments.len() as u64,
        merges: shared.counters.merges.load(Ordering::Relaxed),
        journals: journals.len() as u64,
        journal_bytes: journals.iter().map(|journal| journal.raw_bytes()).sum(),
        next_offset,
        indexed_through,
        index_lag_events: next_offset.0.saturating_sub(indexed_through.0),
        index_lag_bytes: journals.iter().map(|j| j.raw_bytes_from(indexed_through)).sum(),
        checkpoint_size: covered.map_or(0, |signed| signed.size),
        checkpoint_through: covered.map_or(Offset(0), |signed| signed.end),
        checkpoint_error: shared.notary.as_ref().and_then(|n| n.error()).map(|e| e.to_string()),
        verifier_key: shared.notary.as_ref().and_then(|n| n.verifier()).map(|k| k.to_string()),
        queue_bytes: shared.queue.bytes(),
        free_bytes: shared.options.disk.free_bytes(&shared.dir).ok(),
        free_bytes_min: shared.space.floor(),
        full: shared.space.full().map(|what| what.to_string()),
        read_only: shared.read_only_reason().map(|reason| reason.to_string()),
        findings: shared.findings.clone(),
        encryption_keys: rekey::keys_in_use(shared)?,
        cpu_seconds: StageSeconds {
            journal: seconds(&shared.counters.writer_cpu_us),
            index: seconds(&shared.counters.indexer_cpu_us),
            merkle: seconds(&shared.counters.notary_cpu_us),
            ..sealed
        },
    })
}

/// The bytes of all files below a directory; files that vanish meanwhile count nothing.
fn directory_bytes(disk: &dyn Disk, dir: &Path) -> u64 {
    let Ok(entries) = disk.list(dir) else { return 0 };
    let bytes = |entry: &Entry| match entry.meta.is_dir {
        true => directory_bytes(disk, &dir.join(&entry.name)),
        false => entry.meta.len,
    };
    entries.iter().map(bytes).sum()
}
