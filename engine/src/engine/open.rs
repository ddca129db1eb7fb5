//! Opening a data directory: lock, marker, recovery, replay.
//!
//! ```text
//! data/
//!   DAYBOOK     marker: one line of JSON, the format's version
//!   LOCK        held (flock) while a process writes here
//!   journal/    journals and their text indexes
//!   segments/   sealed segments
//!   catalog/    the index of sessions
//!   quarantine/ torn tails that were cut off
//! ```
//!
//! A start reads the journals that are not sealed yet, no segment: it costs the same with ten segments
//! or ten thousand. Only a catalog that is missing is folded again from the segments' events.

use super::Options;
use super::sealer;
use super::shared::Shared;
use crate::block::{BlockCache, FILE_HEADER_LEN};
use crate::catalog::{Catalog, Update};
use crate::error::Error;
use crate::event::wire::Event;
use crate::event::{Micros, Offset, SessionKey};
use crate::journal::file::{self, Finding, ReplayOptions, Replayed};
use crate::journal::part::Journal;
use crate::journal::seen::{Seen, SeenSession, SeqSet};
use crate::journal::writer::Writer;
use crate::segment::{self, Segment};
use crate::session::Change;
use crate::text::TextReader;
use crate::view::{Ordinals, Part as _};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// The version of the data directory's format that this code reads and writes.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Marker {
    daybook: u32,
}

/// What opening answers.
pub(super) struct Opened {
    pub shared: Arc<Shared>,
    /// `None` when the directory is open at rest, or damaged.
    pub writer: Option<Writer>,
}

pub(super) fn open(dir: &Path, options: Options) -> Result<Opened, Error> {
    let writable = !options.read_only;
    raise_open_files();
    let lock = prepare(dir, writable)?;
    let (journal_dir, segments_dir) = (dir.join("journal"), dir.join("segments"));
    if writable {
        for dir in [&journal_dir, &segments_dir] {
            fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        }
        segment::clean(&segments_dir)?;
    }
    let cache = Arc::new(BlockCache::new(options.cache_bytes));
    let segments = open_segments(&segments_dir, &cache)?;
    let (catalog, covered) = open_catalog(dir, options.read_only)?;
    let mut recovery = Recovery {
        catalog: &catalog,
        segments: &segments,
        covered,
        seen: Seen::default(),
        updates: Vec::new(),
        raw_bytes: segments.iter().map(|s| s.manifest().raw_bytes).sum(),
        base: Offset(0),
    };
    for segment in &segments {
        recovery.fold_segment(segment)?;
    }
    let journals = recovery.journals(&journal_dir, &cache, &options, dir)?;
    let (seen, raw_bytes) = (recovery.seen, recovery.raw_bytes);

    let mut findings: Vec<Finding> = Vec::new();
    let mut read_only = options.read_only.then(|| Arc::from("the data directory is open at rest"));
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
        findings.extend(replayed.damage.iter().chain(&replayed.torn).cloned());
    }

    let mut parts: Vec<Arc<Journal>> = journals.iter().map(|r| Arc::clone(&r.journal)).collect();
    let mut last = journals.into_iter().next_back();
    if read_only.is_none() && last.is_none() {
        let base = segments.last().map_or(Offset(0), |s| Offset(s.base().0 + u64::from(s.len())));
        let (journal, file) = file::create(&journal_dir, base, Arc::clone(&cache))?;
        let journal = Arc::new(journal);
        parts.push(Arc::clone(&journal));
        last = Some(Replayed {
            journal,
            file: Some(file),
            end: FILE_HEADER_LEN as u64,
            torn: None,
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
        lock,
    ));
    let writer = match (read_only, last) {
        (None, Some(Replayed { journal, file: Some(file), end, .. })) => {
            Some(Writer::new(Arc::clone(&shared), journal, file, end, seen)?)
        }
        _ => None,
    };
    Ok(Opened { shared, writer })
}

/// Each segment keeps a file open, and the usual soft limit of 1,024 is for programs that use
/// `select`: the limit is raised as far as the system lets this process.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let wish = Rlimit { current: maximum, maximum };
        if let Err(error) = setrlimit(Resource::Nofile, wish) {
            tracing::warn!(%error, ?current, "the limit of open files could not be raised");
        }
    }
}

/// Checks the marker and takes the lock; makes both in a directory that is new.
fn prepare(dir: &Path, writable: bool) -> Result<Option<File>, Error> {
    let unusable = |what: &str| Error::Unusable { path: dir.to_owned(), what: what.to_owned() };
    let marker = dir.join("DAYBOOK");
    if !writable && !marker.exists() {
        return Err(unusable("it is not a data directory of daybook's (there is no file DAYBOOK)"));
    }
    if writable {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    }
    let lock_path = dir.join("LOCK");
    let lock = match OpenOptions::new()
        .read(true)
        .write(writable)
        .create(writable)
        .truncate(false)
        .open(&lock_path)
    {
        Ok(file) => Some(file),
        Err(error) if !writable && error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io("open", &lock_path)(error)),
    };
    if let Some(file) = &lock {
        use rustix::fs::FlockOperation as Flock;
        let wish =
            if writable { Flock::NonBlockingLockExclusive } else { Flock::NonBlockingLockShared };
        rustix::fs::flock(file, wish).map_err(|_| {
            unusable(
                "another daybook process has it open; use that one's --server address, or stop it",
            )
        })?;
    }
    match fs::read(&marker) {
        Ok(text) => {
            let found: Marker = serde_json::from_slice(&text)
                .map_err(|_| unusable("its file DAYBOOK is damaged"))?;
            if found.daybook > FORMAT_VERSION {
                return Err(unusable("a newer version of daybook wrote it; use that version"));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if dir.join("journal").exists() || dir.join("segments").exists() {
                return Err(unusable(
                    "its file DAYBOOK is missing; put back `{\"daybook\":1}` if you are sure",
                ));
            }
            write_durably(
                &marker,
                &serde_json::to_vec(&Marker { daybook: FORMAT_VERSION }).unwrap_or_default(),
            )?;
            file::sync_dir(dir)?;
        }
        Err(error) => return Err(Error::io("read", &marker)(error)),
    }
    Ok(lock)
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Opens the catalog. A damaged one is set aside and made again from the log; at rest, where nothing
/// may be written, it is made again in memory.
fn open_catalog(dir: &Path, read_only: bool) -> Result<(Catalog, Offset), Error> {
    let path = dir.join("catalog");
    let error = match Catalog::open(&path, read_only) {
        Err(error @ Error::Index { .. }) => error,
        opened => return opened,
    };
    tracing::warn!(%error, "the catalog is damaged; it is made again from the log");
    let aside = dir.join("quarantine").join(format!("catalog-{}", Micros::now().0));
    if read_only {
        return Catalog::open(&aside, true);
    }
    let quarantine = dir.join("quarantine");
    fs::create_dir_all(&quarantine).map_err(Error::io("create", &quarantine))?;
    fs::rename(&path, &aside).map_err(Error::io("set aside", &path))?;
    Catalog::open(&path, false)
}

/// The segments in order; they have to follow each other without a gap.
fn open_segments(dir: &Path, cache: &Arc<BlockCache>) -> Result<Vec<Arc<Segment>>, Error> {
    let mut segments = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(segments),
        Err(error) => return Err(Error::io("list", dir)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("list", dir))?;
        let named = entry.file_name().to_str().is_some_and(|n| n.parse::<u64>().is_ok());
        if named {
            segments.push(Arc::new(Segment::open(&entry.path(), Arc::clone(cache))?));
        }
    }
    segments.sort_by_key(|segment| segment.base());
    Ok(segments)
}

/// What is being put together while the log is read back.
struct Recovery<'a> {
    catalog: &'a Catalog,
    segments: &'a [Arc<Segment>],
    /// The catalog has the events below.
    covered: Offset,
    seen: Seen,
    updates: Vec<Update>,
    raw_bytes: u64,
    /// The journal that is being read.
    base: Offset,
}

impl Recovery<'_> {
    /// Folds a segment's events into a catalog that does not have them.
    fn fold_segment(&mut self, segment: &Segment) -> Result<(), Error> {
        let end = Offset(segment.base().0 + u64::from(segment.len()));
        if end <= self.covered {
            return Ok(());
        }
        tracing::warn!(segment = %segment.base(), "the catalog lacks this segment's sessions; folding its events again");
        let mut updates = Vec::new();
        segment.read(&Ordinals::Range(0..segment.len()), None, &mut |ordinal, record| {
            if record.offset >= self.covered
                && let Some(facts) = segment.facts(ordinal)
            {
                let event = record.event()?;
                let id: Arc<str> = event.session.as_ref().into();
                let change = Change::of(event, record.seq, record.json.len() as u64);
                updates.push(Update { id, key: facts.session, new: false, change });
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.catalog.apply(updates, end)
    }

    /// Reads the journals back, oldest first.
    fn journals(
        &mut self,
        dir: &Path,
        cache: &Arc<BlockCache>,
        options: &Options,
        data: &Path,
    ) -> Result<Vec<Replayed>, Error> {
        let mut bases = if dir.exists() { file::list(dir)? } else { Vec::new() };
        // A journal that has become a segment was to be deleted when the process stopped.
        let sealed =
            |base: &Offset| self.segments.iter().any(|s| s.base() == *base && !s.is_empty());
        if let Some(base) = bases.iter().copied().find(sealed) {
            if !options.read_only {
                sealer::remove(dir, base)?;
            }
            bases.retain(|other| *other != base);
        }
        // A file without a whole header was being created when the process stopped: it holds nothing.
        if let Some(newest) = bases.last().copied() {
            let path = file::path(dir, newest);
            let len = fs::metadata(&path).map_err(Error::io("read the length of", &path))?.len();
            if len < FILE_HEADER_LEN as u64 {
                if !options.read_only {
                    fs::remove_file(&path).map_err(Error::io("delete", &path))?;
                }
                bases.pop();
            }
        }
        let quarantine = data.join("quarantine");
        let mut journals = Vec::new();
        for (i, base) in bases.iter().enumerate() {
            self.base = *base;
            let replay = ReplayOptions {
                quarantine: (!options.read_only).then_some(quarantine.as_path()),
                newest: i + 1 == bases.len(),
            };
            let mut on_event =
                |record: &crate::block::Record<'_>, event: Event<'_>| self.event(record, event);
            let replayed = file::replay(dir, *base, Arc::clone(cache), replay, &mut on_event)?;
            let end = replayed.journal.end();
            let updates = std::mem::take(&mut self.updates);
            self.catalog.apply(updates, end.max(self.covered))?;
            let text = file::text_path(dir, *base);
            if options.text_index && text.exists() {
                // A text index that can't be opened is made again by the indexer.
                replayed.journal.set_text(TextReader::open(&text).ok());
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
        let session = match self.seen.get_mut(&event.session) {
            Some(session) => session,
            None => {
                let mut session = SeenSession {
                    id: event.session.as_ref().into(),
                    key: SessionKey(record.offset.0),
                    seqs: SeqSet::default(),
                    touched: self.base,
                };
                for segment in self.segments {
                    if let Some((key, ranges)) = segment.seqs(&event.session)? {
                        session.key = key;
                        ranges.into_iter().for_each(|range| session.seqs.insert_range(range));
                    }
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
