//! Opening a data directory: lock, marker, recovery, replay.
//!
//! ```text
//! data/
//!   DAYBOOK     marker: one line of JSON, the format's version
//!   LOCK        held (flock) while a process writes here
//!   journal/    journals and their text indexes
//!   segments/   sealed segments
//!   catalog/    the index of sessions
//!   merkle/     the Merkle log and its last checkpoint
//!   keys/       the key that signs checkpoints
//!   quarantine/ torn tails that were cut off
//!   retention.json  the policy and the legal holds
//!   searches.json, alerts.json, push.json  what the server keeps beside the log
//! ```
//!
//! A start reads the journals that are not sealed yet, no segment: it costs the same with ten segments
//! or ten thousand. Only a catalog that is missing is folded again from the segments' events.

use super::Options;
use super::damaged::Segments;
use super::notary;
use super::prepare::{journals_are_there, prepare, raise_open_files};
use super::refold;
use super::rekey;
use super::sealer;
use super::shared::Shared;
use crate::block::{BlockCache, BlockFile, FILE_HEADER_LEN, FileKind};
use crate::catalog::{Catalog, Update};
use crate::crypt::check_keys;
use crate::disk::{Disk, SharedDisk};
use crate::error::Error;
use crate::event::wire::Event;
use crate::event::{Offset, SessionKey};
use crate::journal::file::{self, Finding, ReplayOptions, Replayed};
use crate::journal::part::Journal;
use crate::journal::seen::{Seen, SeenSession, SeqSet};
use crate::journal::writer::Writer;
use crate::merkle::log::{self, MerkleLog};
use crate::retention::Keeper;
use crate::segment::{self, Segment};
use crate::session::Change;
use crate::text::TextReader;
use crate::view::Part as _;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

const HEADER_LEN: u64 = FILE_HEADER_LEN as u64;

/// What opening answers.
pub(super) struct Opened {
    pub shared: Arc<Shared>,
    /// `None` when the directory is open at rest, or damaged.
    pub writer: Option<Writer>,
    /// As `writer`; also `None` without a Merkle log.
    pub log: Option<MerkleLog>,
}

pub(super) fn open(dir: &Path, mut options: Options) -> Result<Opened, Error> {
    let writable = !options.read_only;
    raise_open_files(options.open_files_max);
    let raw_disk = Arc::clone(&options.disk);
    options.disk = options.layered_disk();
    let disk = Arc::clone(&options.disk);
    let lock = prepare(&*disk, dir, writable)?;
    check_keys(&*disk, dir)?;
    journals_are_there(&*disk, dir)?;
    let (journal_dir, segments_dir) = (dir.join("journal"), dir.join("segments"));
    if writable {
        for made in [&journal_dir, &segments_dir] {
            disk.create_dir(made).map_err(Error::io("create", made))?;
        }
        disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        segment::clean(&*disk, &segments_dir)?;
        disk.remove_tree(&dir.join("catalog.tmp"))?;
    }
    let mut findings: Vec<Finding> = Vec::new();
    let mut read_only = options.read_only.then(|| Arc::from("the data directory is open at rest"));
    let retention = match Keeper::open(&*disk, dir) {
        Err(Error::Corrupt { path, at, what }) => {
            // Reading needs no policy and no holds; nothing is deleted while they are not known.
            let reason = format!("{} is damaged: {what}", path.display());
            tracing::error!(%reason, "the log is damaged");
            read_only.get_or_insert(reason.into());
            let (from, to, first_offset) = (at, at, Offset(0));
            findings.push(Finding { path, from, to, first_offset, what, quarantine: None });
            Keeper::unknown(dir)
        }
        opened => opened?,
    };
    let cache = Arc::new(BlockCache::new(options.cache_bytes));
    let mut segments = Segments::open(&disk, &segments_dir, &cache, writable)?;
    if writable {
        rekey::catalog(&*disk, dir);
    }
    let (catalog, covered) = open_catalog(&disk, dir, options.read_only)?;
    segments.doubt_above(covered);
    let lost = segments.mend(&catalog, &mut findings);
    read_only = read_only.or(lost);
    let raw_bytes = segments.whole.iter().map(|s| s.manifest().raw_bytes).sum();
    let mut recovery = Recovery {
        catalog: &catalog,
        segments: &mut segments,
        findings: &mut findings,
        covered,
        seen: Seen::default(),
        updates: Vec::new(),
        raw_bytes,
        base: Offset(0),
        numbers: retention.numbers(),
    };
    for segment in recovery.segments.whole.clone() {
        recovery.fold_segment(&segment)?;
    }
    let journals = recovery.journals(&journal_dir, &cache, &options, dir)?;
    let (seen, raw_bytes) = (recovery.seen, recovery.raw_bytes);
    let segments = segments.whole;

    for replayed in &journals {
        for damage in &replayed.damage {
            let reason = format!(
                "{} is damaged from byte {} to {} (first event {}): {}",
                damage.path.display(),
                damage.from,
                damage.to,
                damage.first_offset,
                damage.what
            );
            tracing::error!(%reason, "the log is damaged");
            read_only.get_or_insert(reason.into());
        }
        if let Some(torn) = &replayed.torn {
            tracing::warn!(
                file = %torn.path.display(), from = torn.from, to = torn.to,
                quarantine = ?torn.quarantine, "a torn tail, never acknowledged, was cut off"
            );
        }
        let others = replayed.torn.iter().chain(&replayed.header);
        findings.extend(replayed.damage.iter().chain(others).cloned());
    }

    let mut parts: Vec<Arc<Journal>> = journals.iter().map(|r| Arc::clone(&r.journal)).collect();
    let sealed_end = segments.last().map_or(Offset(0), |s| s.end());
    let end = parts.last().map_or(sealed_end, |journal| journal.end().max(sealed_end));
    let damaged = journals.iter().any(|replayed| !replayed.damage.is_empty());
    let whole = findings.len();
    let around = notary::Around {
        data: dir,
        options: &options,
        writable: read_only.is_none(),
        damaged,
        journals: &parts,
        sealed_end,
        end: parts.last().map_or(sealed_end, |journal| journal.end()),
    };
    let (notary, log) = notary::open(&around, &mut findings)?;
    // The catalog, too, knows only what was durable.
    if covered > end && !damaged && findings.len() == whole {
        let what = format!(
            "the log ends before event {end}, and the catalog knows events up to {covered}: its end is gone, or an older copy was put in its place"
        );
        let (path, first_offset) = (journal_dir.clone(), end);
        findings.push(Finding { path, from: 0, to: 0, first_offset, what, quarantine: None });
    }
    for finding in findings.get(whole..).unwrap_or_default() {
        tracing::error!(file = %finding.path.display(), what = %finding.what, "the log is damaged");
        read_only.get_or_insert_with(|| finding.what.as_str().into());
    }
    let mut last = journals.into_iter().next_back();
    if read_only.is_none() && last.is_none() {
        let (journal, file) = file::create(&*disk, &journal_dir, sealed_end, Arc::clone(&cache))?;
        let journal = Arc::new(journal);
        parts.push(Arc::clone(&journal));
        last = Some(Replayed {
            journal,
            file: Some(file),
            end: HEADER_LEN,
            torn: None,
            header: None,
            damage: Vec::new(),
        });
    }
    let shared = Arc::new(Shared::new(
        dir,
        options,
        cache,
        Arc::new(catalog),
        findings,
        segments,
        parts,
        read_only.clone(),
        raw_bytes,
        notary,
        lock,
        raw_disk,
        retention,
    ));
    let writer = match (read_only, last) {
        (None, Some(Replayed { journal, file: Some(file), end, .. })) => {
            Some(Writer::new(Arc::clone(&shared), journal, file, end, seen)?)
        }
        _ => None,
    };
    if writer.is_some() {
        // What recovery read of the catalog may have been damaged.
        refold::step(&shared)?;
    }
    let log = log.filter(|_| writer.is_some());
    Ok(Opened { shared, writer, log })
}

/// Opens the catalog. A damaged one is set aside and made again from the log; at rest, where nothing
/// may be written, it is made again in memory.
fn open_catalog(
    disk: &SharedDisk,
    dir: &Path,
    read_only: bool,
) -> Result<(Catalog, Offset), Error> {
    let path = dir.join("catalog");
    let error = match Catalog::open(disk, &path, read_only) {
        Err(error @ Error::Index { .. }) => error,
        opened => return opened,
    };
    tracing::warn!(%error, "the catalog is damaged; it is made again from the log");
    if read_only {
        return Catalog::open(disk, &dir.join("catalog.tmp").join("none"), true);
    }
    refold::set_aside(disk, dir, &path)?;
    Catalog::open(disk, &path, false)
}

/// Was this journal being created when the process stopped? Its header is durable before anything is
/// written behind it, so a file without a whole one holds nothing. One that is empty and under another
/// encryption key than the first is not used either: what comes is to be under the first.
fn never_used(disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
    let meta = disk.stat(path).map_err(Error::io("read the length of", path))?;
    match meta.map_or(0, |meta| meta.len) {
        0..HEADER_LEN => Ok(true),
        HEADER_LEN => match BlockFile::open(disk, path, FileKind::Journal) {
            Ok(file) => Ok(file.header().key != rekey::first(disk)),
            Err(Error::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error),
        },
        _ => Ok(false),
    }
}

/// What is being put together while the log is read back.
struct Recovery<'a> {
    catalog: &'a Catalog,
    segments: &'a mut Segments,
    findings: &'a mut Vec<Finding>,
    /// The catalog has the events below.
    covered: Offset,
    seen: Seen,
    updates: Vec<Update>,
    raw_bytes: u64,
    /// The journal that is being read.
    base: Offset,
    /// The numbers of sessions that were erased in part.
    numbers: HashMap<Box<str>, SessionKey>,
}

impl Recovery<'_> {
    /// Folds a segment's events into a catalog that does not have them. Sessions of which something
    /// can't be read are named, and hold the others up no longer than that.
    fn fold_segment(&mut self, segment: &Segment) -> Result<(), Error> {
        let end = segment.end();
        if end <= self.covered {
            return Ok(());
        }
        tracing::warn!(segment = %segment.base(), "the catalog lacks this segment's sessions; folding its events again");
        let findings = &mut *self.findings;
        let lost = &mut |session: &str, error: Error| {
            let Error::Corrupt { path, at, what } = error else { return };
            findings.push(Finding {
                path,
                from: at,
                to: at,
                first_offset: segment.base(),
                what: format!("session {session}: {what}"),
                quarantine: None,
            });
        };
        let updates = refold::of_segment(segment, self.covered, lost)?;
        self.catalog.apply(updates, end);
        Ok(())
    }

    /// Reads the journals back, oldest first.
    fn journals(
        &mut self,
        dir: &Path,
        cache: &Arc<BlockCache>,
        options: &Options,
        data: &Path,
    ) -> Result<Vec<Replayed>, Error> {
        let disk = &*options.disk;
        let mut bases = if disk.exists(dir)? { file::list(disk, dir)? } else { Vec::new() };
        // A journal that has become a segment was to be deleted when the process stopped. The segment
        // may have been merged since.
        let sealed_end = self.segments.whole.last().map_or(Offset(0), |segment| segment.end());
        let (sealed, left): (Vec<Offset>, Vec<Offset>) =
            bases.iter().partition(|base| **base < sealed_end);
        if !options.read_only {
            for base in sealed {
                sealer::remove(disk, dir, base)?;
            }
        }
        bases = left;
        if let Some(newest) = bases.last().copied()
            && never_used(disk, &file::path(dir, newest))?
        {
            if !options.read_only {
                let path = file::path(dir, newest);
                disk.remove_file(&path).map_err(Error::io("delete", &path))?;
            }
            bases.pop();
        }
        let signed = if options.merkle { log::signed_end(disk, data) } else { Offset(0) };
        let quarantine = data.join("quarantine");
        let mut journals = Vec::new();
        for (i, base) in bases.iter().enumerate() {
            self.base = *base;
            let replay = ReplayOptions {
                quarantine: (!options.read_only).then_some(quarantine.as_path()),
                newest: i + 1 == bases.len(),
                signed: signed.max(self.covered),
            };
            let mut on_event =
                |record: &crate::block::Record<'_>, event: Event<'_>| self.event(record, event);
            let replayed =
                file::replay(disk, dir, *base, Arc::clone(cache), replay, &mut on_event)?;
            let end = replayed.journal.end();
            let updates = std::mem::take(&mut self.updates);
            self.catalog.apply(updates, end.max(self.covered));
            let text = file::text_path(dir, *base);
            if options.text_index && disk.exists(&text)? {
                // A text index that can't be opened is made again by the indexer.
                replayed.journal.set_text(TextReader::open(&options.disk, &text).ok());
            }
            journals.push(replayed);
        }
        Ok(journals)
    }

    /// Takes in one event of a journal: what has been seen, and its session's state.
    fn event(
        &mut self,
        record: &crate::block::Record<'_>,
        event: Event<'_>,
    ) -> Result<(Arc<str>, SessionKey), Error> {
        if let Some(retry) = record.retry {
            self.seen.insert_retry(retry, self.base);
        }
        let session = match self.seen.get_mut(&event.session) {
            Some(session) => session,
            None => {
                let mut session = SeenSession {
                    id: event.session.as_ref().into(),
                    key: SessionKey(record.offset.0),
                    seqs: SeqSet::default(),
                    last: None,
                    owner: None,
                    touched: self.base,
                };
                let seqs = self.segments.seqs(&event.session, self.catalog, self.findings)?;
                let known = !seqs.is_empty();
                for (key, ranges, last) in seqs {
                    session.key = key;
                    ranges.into_iter().for_each(|range| session.seqs.insert_range(range));
                    session.last = session.last.max(last);
                }
                if !known {
                    // Its first event may have been erased, and journals store no numbers.
                    let number = self.catalog.number(&event.session)?;
                    let number = number.or_else(|| self.numbers.get(&*event.session).copied());
                    session.key = number.unwrap_or(session.key);
                }
                let id = Arc::clone(&session.id);
                self.seen.insert(session);
                match self.seen.get_mut(&id) {
                    Some(session) => session,
                    None => return Err(Error::Closed),
                }
            }
        };
        session.seqs.insert(record.seq);
        session.last = Some(record.offset);
        session.touched = self.base;
        let (id, key) = (Arc::clone(&session.id), session.key);
        self.raw_bytes += record.json.len() as u64;
        if record.offset >= self.covered {
            let change = Change::of(event, record.seq, record.json.len() as u64);
            self.updates.push(Update { id: Arc::clone(&id), key, new: false, change });
        }
        Ok((id, key))
    }
}
