//! Reading a segment.

use super::index::{BlockRow, Index, SessionRow};
use super::manifest::Manifest;
use super::{EVENTS_FILE, INDEX_FILE, Leaves, RETRIES_FILE, Retries, TEXT_DIR};
use crate::block::{BlockCache, BlockFile, FileId, FileKind, Payload, Record, Retry};
use crate::disk::SharedDisk;
use crate::error::Error;
use crate::event::{Micros, Offset, SessionKey};
use crate::text::docs::Docs;
use crate::text::narrow::Narrow;
use crate::text::{Narrowed, TextReader};
use crate::view::{
    Counted, EventFacts, Exactly, Lost, Moment, Ordinals, Part, Prefilter, STRETCH, SessionRun,
    Stretch, Visit,
};
use parking_lot::Mutex;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

/// A sealed segment, open for reading.
#[derive(Debug)]
pub struct Segment {
    disk: SharedDisk,
    dir: PathBuf,
    /// Where it is since it has lost its name.
    moved: OnceLock<PathBuf>,
    manifest: Manifest,
    retries: OnceLock<Retries>,
    index: Index,
    events: BlockFile,
    id: FileId,
    cache: Arc<BlockCache>,
    texts: OnceLock<Option<TextReader>>,
    stretches: OnceLock<Arc<[Stretch]>>,
    /// What readers found damaged first.
    doubts: Mutex<Option<Error>>,
    /// An event had no facts: its index is damaged.
    lacks_facts: AtomicBool,
}

impl Segment {
    /// Opens a segment's directory. What it costs does not depend on what the segment holds: of the
    /// files only headers are read.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] for files that do not belong together.
    pub fn open(disk: &SharedDisk, dir: &Path, cache: Arc<BlockCache>) -> Result<Segment, Error> {
        Segment::open_with(disk, dir, Manifest::read(&**disk, dir)?, cache)
    }

    /// As [`Segment::open`], with the manifest that was read before.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn open_with(
        disk: &SharedDisk,
        dir: &Path,
        manifest: Manifest,
        cache: Arc<BlockCache>,
    ) -> Result<Segment, Error> {
        let index = Index::open(&**disk, &dir.join(INDEX_FILE))?;
        let events = BlockFile::open(&**disk, &dir.join(EVENTS_FILE), FileKind::Segment)?;
        events.cipher()?;
        let (events_len, index_len) = (events.file_len()?, index.file_len());
        let segment = Segment {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            moved: OnceLock::new(),
            manifest,
            retries: OnceLock::new(),
            index,
            events,
            id: FileId::next(),
            cache,
            texts: OnceLock::new(),
            stretches: OnceLock::new(),
            doubts: Mutex::default(),
            lacks_facts: AtomicBool::new(false),
        };
        segment.belongs(EVENTS_FILE, segment.events.header().base, events_len)?;
        segment.belongs(INDEX_FILE, segment.index.base(), index_len)?;
        if u64::from(segment.index.events()) != segment.manifest.events
            || segment.index.end() != segment.manifest.end
        {
            return Err(Error::corrupt(
                &dir.join(INDEX_FILE),
                0,
                "it does not cover the events that segment.json says",
            ));
        }
        Ok(segment)
    }

    /// A segment of which something had to be made again in memory, because of `doubt`.
    pub(super) fn mended(
        disk: &SharedDisk,
        dir: &Path,
        (manifest, index, events): (Manifest, Index, BlockFile),
        cache: Arc<BlockCache>,
        doubt: Error,
    ) -> Segment {
        Segment {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            moved: OnceLock::new(),
            manifest,
            retries: OnceLock::new(),
            index,
            events,
            id: FileId::next(),
            cache,
            texts: OnceLock::new(),
            stretches: OnceLock::new(),
            doubts: Mutex::new(Some(doubt)),
            lacks_facts: AtomicBool::new(false),
        }
    }

    /// Is a file of this segment and of the length that was sealed?
    fn belongs(&self, name: &str, base: Offset, len: u64) -> Result<(), Error> {
        let path = self.dir.join(name);
        if base != self.manifest.base {
            return Err(Error::corrupt(&path, 0, "it belongs to another segment"));
        }
        match self.manifest.files.get(name) {
            Some(file) if file.bytes == len => Ok(()),
            Some(file) => {
                let what = format!("it has {len} bytes, but was sealed with {}", file.bytes);
                Err(Error::corrupt(&path, len.min(file.bytes), what))
            }
            None => Err(Error::corrupt(&path, 0, "segment.json does not name it")),
        }
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.moved.get().unwrap_or(&self.dir)
    }

    /// Takes its name away, durably: from then on it does not count. Whoever has it open goes on reading
    /// until [`Segment::delete`].
    ///
    /// # Errors
    /// The system's.
    pub fn retire(&self) -> Result<(), Error> {
        let parent = self.dir.parent().unwrap_or(Path::new("."));
        if let Some(gone) = super::seal::set_aside(&*self.disk, parent, &self.name())? {
            let _ = self.moved.set(gone);
        }
        Ok(())
    }

    /// Deletes what [`Segment::retire`] left.
    ///
    /// # Errors
    /// The system's. The next start deletes the rest.
    pub fn delete(&self) -> Result<(), Error> {
        self.moved.get().map_or(Ok(()), |gone| self.disk.remove_tree(gone))
    }

    /// The journal blocks that it was made from.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn leaves(&self) -> Result<Leaves, Error> {
        Leaves::of_segment(&*self.disk, self.path())
    }

    /// Was an event of this name stored here?
    ///
    /// # Errors
    /// A damaged file.
    pub fn has_retry(&self, id: Retry) -> Result<bool, Error> {
        if !self.manifest.files.contains_key(RETRIES_FILE) {
            return Ok(false);
        }
        if let Some(retries) = self.retries.get() {
            return Ok(retries.contains(id));
        }
        let retries = Retries::read(&*self.disk, &self.path().join(RETRIES_FILE));
        let retries = retries.inspect_err(|error| self.doubt(error))?;
        Ok(self.retries.get_or_init(|| retries).contains(id))
    }

    /// The name of its directory.
    #[must_use]
    pub fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The number of the key that its events are encrypted with; 0 if they are not.
    #[must_use]
    pub fn key(&self) -> u32 {
        self.events.header().key
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its index.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// A session's number and the seqs of its events here, coalesced and ascending.
    ///
    /// # Errors
    /// A damaged index.
    #[expect(clippy::type_complexity, reason = "a number and its ranges, no name would say more")]
    pub fn seqs(
        &self,
        session_id: &str,
    ) -> Result<Option<(SessionKey, Vec<RangeInclusive<u32>>)>, Error> {
        self.sound(|index| {
            let Some(row) = index.session(session_id)? else { return Ok(None) };
            Ok(Some((row.key, index.seqs(&row)?)))
        })
    }

    /// Asks the index; answers only what was read from a file that is still whole.
    fn sound<'a, T>(&'a self, ask: impl FnOnce(&'a Index) -> Result<T, Error>) -> Result<T, Error> {
        let answer = ask(&self.index);
        let answer = self.index.whole().and(answer);
        answer.inspect_err(|error| self.doubt(error))
    }

    /// Takes note that something derived from the events is damaged.
    fn doubt(&self, error: &Error) {
        if let Error::Corrupt { .. } | Error::Index { .. } = error {
            let mut doubts = self.doubts.lock();
            if doubts.is_none() {
                tracing::warn!(segment = %self.dir.display(), %error, "a segment is damaged");
                *doubts = Some(error.clone());
            }
        }
    }

    /// What was found damaged by those who read it.
    #[must_use]
    pub fn doubts(&self) -> Option<Error> {
        self.doubts.lock().clone()
    }

    /// The offset of a session's event that was stored last, of those here.
    ///
    /// # Errors
    /// A damaged index.
    pub fn last_of(&self, session_id: &str) -> Result<Option<Offset>, Error> {
        let Some(row) = self.index.session(session_id)? else { return Ok(None) };
        // They are in the order of their numbers, which is not always that of their arrival.
        Ok(row.ordinals.filter_map(|ordinal| self.index.offset(ordinal)).max())
    }

    /// Reads every byte of every file and compares it with what was sealed.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] for the first file that differs.
    pub fn verify(&self) -> Result<(), Error> {
        self.index.verify()?;
        self.manifest.verify(&*self.disk, self.path())
    }

    /// The text index, opened by the first who asks; `None` if the segment has none.
    fn texts(&self) -> Result<Option<&TextReader>, Error> {
        if let Some(texts) = self.texts.get() {
            return Ok(texts.as_ref());
        }
        let dir = self.path().join(TEXT_DIR);
        let there = self.disk.exists(&dir)?;
        let texts = if there { Some(TextReader::open(&self.disk, &dir)?) } else { None };
        Ok(self.texts.get_or_init(|| texts).as_ref())
    }

    /// Asks the text index; one that can't be read says nothing.
    fn ask<T>(&self, ask: impl FnOnce(&TextReader) -> Result<Option<T>, Error>) -> Option<T> {
        let said = self.texts().and_then(|texts| texts.map_or(Ok(None), ask));
        said.unwrap_or_else(|error| {
            tracing::debug!(segment = %self.dir.display(), %error, "searching without the text index");
            self.doubt(&error);
            None
        })
    }

    /// Reads and checks a block.
    fn block(&self, row: BlockRow, prefilter: Option<Prefilter<'_>>) -> Result<Block, Error> {
        let payload = self.cache.get(self.id, &self.events, row.pos)?;
        // Only in plain blocks do the bytes show what the texts hold.
        let prefilter = prefilter.filter(|_| row.plain);
        let refused = prefilter.is_some_and(|may_match| !may_match(&payload));
        if !refused {
            let wrong = |what: &str| Error::corrupt(self.events.path(), row.pos, what);
            if payload.starts().map_err(wrong)?.len() != row.ordinals.len() {
                return Err(wrong("the block has not as many events as index.bin says"));
            }
        }
        Ok(Block { ordinals: row.ordinals, pos: row.pos, payload, refused, plain: row.plain })
    }

    /// An event of a block in hand.
    fn record<'a>(&self, block: &'a Block, ordinal: u32) -> Result<Record<'a>, Error> {
        let wrong = |what: String| Error::corrupt(self.events.path(), block.pos, what);
        let record =
            block.record(ordinal).map_err(|what| wrong(format!("event {ordinal}: {what}")))?;
        if self.index.offset(ordinal) != Some(record.offset) {
            return Err(wrong(format!("event {} is not where index.bin says", record.offset)));
        }
        Ok(record)
    }
}

/// A block in hand.
struct Block {
    ordinals: Range<u32>,
    pos: u64,
    payload: Arc<Payload>,
    /// The prefilter refused all of it.
    refused: bool,
    plain: bool,
}

impl Block {
    fn record(&self, ordinal: u32) -> Result<Record<'_>, &'static str> {
        let place = ordinal.checked_sub(self.ordinals.start).ok_or("a record is missing")?;
        self.payload.record(place as usize)
    }
}

fn run_of(row: SessionRow<'_>) -> SessionRun {
    SessionRun { key: row.key, ordinals: Ordinals::Range(row.ordinals) }
}

/// One in so many of a segment's events are many.
const MANY: usize = 64;

impl Segment {
    /// Many events' facts will be read, if these are many.
    fn fetch_for(&self, ordinals: &Ordinals) {
        if ordinals.len() >= self.len() as usize / MANY {
            self.index.fetch_facts();
        }
    }
}

/// Without a look at what ordinals are for each of them.
fn each_ordinal(ordinals: &Ordinals, mut each: impl FnMut(u32)) {
    match ordinals {
        Ordinals::Range(range) => range.clone().for_each(each),
        Ordinals::List(list) => list.iter().for_each(|ordinal| each(*ordinal)),
        Ordinals::Shared(_) => ordinals.iter().for_each(each),
    }
}

impl Part for Segment {
    fn len(&self) -> u32 {
        self.index.events()
    }

    fn sealed(&self) -> bool {
        true
    }

    fn base(&self) -> Offset {
        self.index.base()
    }

    fn end(&self) -> Offset {
        self.index.end()
    }

    fn time_range(&self) -> Option<(Micros, Micros)> {
        (self.index.events() > 0).then(|| self.index.times())
    }

    fn facts(&self, ordinal: u32) -> Option<EventFacts> {
        let facts = self.index.facts(ordinal);
        if facts.is_none() && ordinal < self.index.events() {
            self.lacks_facts.store(true, Relaxed);
        }
        facts
    }

    fn each_facts(&self, ordinals: &Ordinals, visit: &mut dyn FnMut(u32, &EventFacts)) {
        self.each_facts_of(ordinals, &|_| true, visit);
    }

    fn each_facts_of(
        &self,
        ordinals: &Ordinals,
        wanted: &dyn Fn(SessionKey) -> bool,
        visit: &mut dyn FnMut(u32, &EventFacts),
    ) {
        self.fetch_for(ordinals);
        let mut columns = self.index.columns();
        // Neighbours are mostly of the same session.
        let mut last = None;
        let each = |ordinal: u32| {
            let Some(session) = columns.session(ordinal) else {
                if ordinal < self.index.events() {
                    self.lacks_facts.store(true, Relaxed);
                }
                return;
            };
            let is_wanted = match last {
                Some((key, is_wanted)) if key == session => is_wanted,
                _ => wanted(session),
            };
            last = Some((session, is_wanted));
            if is_wanted {
                match columns.facts(ordinal) {
                    Some(facts) => visit(ordinal, &facts),
                    None => self.lacks_facts.store(true, Relaxed),
                }
            }
        };
        each_ordinal(ordinals, each);
    }

    fn each_moment(&self, ordinals: &Ordinals, visit: &mut dyn FnMut(&Moment)) {
        self.fetch_for(ordinals);
        let mut columns = self.index.columns();
        let each = |ordinal: u32| match columns.moment(ordinal) {
            Some(moment) => visit(&moment),
            None if ordinal < self.index.events() => self.lacks_facts.store(true, Relaxed),
            None => {}
        };
        each_ordinal(ordinals, each);
    }

    fn each_session(&self, ordinals: &Ordinals, visit: &mut dyn FnMut(SessionKey, u64)) {
        let mut columns = self.index.columns();
        let sound = match ordinals {
            Ordinals::Range(range) => columns.each_session_of(range.clone(), visit),
            Ordinals::List(list) => columns.each_session(list, visit),
            Ordinals::Shared(_) => {
                columns.each_session(&ordinals.iter().collect::<Vec<_>>(), visit)
            }
        };
        if !sound {
            self.lacks_facts.store(true, Relaxed);
        }
    }

    /// Made by the first who asks.
    fn stretches(&self) -> Arc<[Stretch]> {
        let make = || {
            let count = (self.end().0 - self.base().0).div_ceil(STRETCH) as usize;
            let mut times: Vec<Option<(Micros, Micros)>> = vec![None; count];
            self.each_facts(&Ordinals::Range(0..self.len()), &mut |_, facts| {
                let place = (facts.offset.0 - self.base().0) / STRETCH;
                if let Some(times) = times.get_mut(place as usize) {
                    let (first, last) = times.unwrap_or((facts.time, facts.time));
                    *times = Some((first.min(facts.time), last.max(facts.time)));
                }
            });
            let starts = (self.base().0..self.end().0).step_by(STRETCH as usize);
            let stretches = starts.zip(times).filter_map(|(from, times)| {
                let to = Offset(from.saturating_add(STRETCH).min(self.end().0));
                Some(Stretch { from: Offset(from), to, times: times? })
            });
            stretches.collect()
        };
        Arc::clone(self.stretches.get_or_init(make))
    }

    fn ordinal_of(&self, offset: Offset) -> Option<u32> {
        self.index.ordinal_of(offset)
    }

    fn count_in(&self, offsets: Range<u64>) -> u64 {
        let by_offset = self.index.by_offset();
        let before = |offset| u64::from(by_offset.count_before(Offset(offset)));
        before(offsets.end).saturating_sub(before(offsets.start))
    }

    fn ordinals_of(&self, offsets: &[u64]) -> Result<Vec<u32>, Error> {
        let by_offset = self.index.by_offset();
        let found = offsets.iter().map(|offset| {
            let offset = Offset(*offset);
            match by_offset.ordinal_of(offset) {
                Some(ordinal) => Ok(ordinal),
                None => Err(Error::NoSuchEvent(offset)),
            }
        });
        // Many are sorted by marking them.
        let ordinals = if offsets.len() >= self.len() as usize / MANY {
            self.index.fetch_ordinals();
            let mut marked = Docs::none(self.len());
            for ordinal in found {
                marked.insert(ordinal?);
            }
            let mut ordinals = Vec::with_capacity(offsets.len());
            marked.blocks(|block| ordinals.extend_from_slice(block));
            ordinals
        } else {
            let mut ordinals = found.collect::<Result<Vec<u32>, Error>>()?;
            ordinals.sort_unstable();
            ordinals
        };
        self.check()?;
        Ok(ordinals)
    }

    fn session(&self, id: &str) -> Result<Option<SessionRun>, Error> {
        self.sound(|index| Ok(index.session(id)?.map(run_of)))
    }

    fn session_by_key(&self, key: SessionKey) -> Result<Option<SessionRun>, Error> {
        self.sound(|index| Ok(index.session_by_key(key)?.map(run_of)))
    }

    fn narrow_to_sessions(&self, wanted: &dyn Fn(SessionKey) -> bool) -> Option<Narrowed> {
        let base = self.base().0;
        let mut places = Docs::none(u32::try_from(self.end().0.checked_sub(base)?).ok()?);
        let place = |Offset(offset): Offset| u32::try_from(offset - base).unwrap_or(u32::MAX);
        // Who looks at each meets the damage.
        let sound = self.index.each_offset_of(wanted, |offset| places.insert(place(offset)));
        sound.then(|| Narrowed::in_a_row(base, places))
    }

    fn check(&self) -> Result<(), Error> {
        self.sound(|index| match self.lacks_facts.load(Relaxed) {
            true => Err(Error::corrupt(
                &self.dir.join(INDEX_FILE),
                0,
                format!("the facts of one of its {} events can't be read", index.events()),
            )),
            false => Ok(()),
        })
    }

    fn first_from(&self, ordinals: &Ordinals, time: Micros) -> Option<usize> {
        let late = |ordinal| self.facts(ordinal).is_some_and(|facts| facts.time >= time);
        let Ordinals::Range(range) = ordinals else { return ordinals.iter().position(late) };
        let mut at = range.start;
        while at < range.end {
            // A block that can't be found is looked through by its events' facts.
            let block = self.index.block_of(at).ok();
            let end = block.as_ref().map_or(range.end, |block| block.ordinals.end.min(range.end));
            let early = block.is_some_and(|block| block.times.1 < time);
            if !early && let Some(found) = (at..end).find(|ordinal| late(*ordinal)) {
                return Some((found - range.start) as usize);
            }
            at = end;
        }
        None
    }

    /// A text index that can't be read narrows nothing: the search reads the events instead, so that
    /// its answer stays exact.
    fn narrow_offsets(&self, narrow: &Narrow) -> Result<Option<Narrowed>, Error> {
        Ok(self.ask(|texts| texts.narrow(narrow)))
    }

    fn narrow_exactly(&self, narrow: &Narrow, seen_too: bool) -> Result<Option<Exactly>, Error> {
        let found = self.ask(|texts| texts.offsets_exactly(narrow, seen_too));
        let Some(found) = found else { return Ok(None) };
        let loose = self.ordinals_of(&found.loose)?;
        Ok(Some(Exactly { ordinals: self.ordinals_of(&found.offsets)?, loose }))
    }

    /// The index of a segment has each event once.
    fn count_exactly(&self, narrow: &Narrow, seen_too: bool) -> Result<Option<Counted>, Error> {
        let counted = self.ask(|texts| texts.count_exactly(narrow, seen_too));
        let Some((sure, loose)) = counted else { return Ok(None) };
        Ok(Some(Counted { sure, loose: self.ordinals_of(&loose)? }))
    }

    fn read_past(
        &self,
        ordinals: &Ordinals,
        prefilter: Option<Prefilter<'_>>,
        lost: Lost<'_>,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        let mut current: Option<Result<Block, Error>> = None;
        let mut range = 0..0;
        for ordinal in ordinals.iter() {
            if !range.contains(&ordinal) {
                let row = self.index.block_of(ordinal).inspect_err(|error| self.doubt(error))?;
                range = row.ordinals.clone();
                current = Some(self.block(row, prefilter));
            }
            let record = match &current {
                None => continue,
                Some(Err(error)) => Err(error.clone()),
                Some(Ok(block)) if block.refused => continue,
                Some(Ok(block)) => self.record(block, ordinal),
            };
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    self.doubt(&error);
                    lost(ordinal, &error)?;
                    continue;
                }
            };
            let plain = matches!(&current, Some(Ok(block)) if block.plain);
            if plain && prefilter.is_some_and(|may_match| !may_match(record.json)) {
                continue;
            }
            if let ControlFlow::Break(()) = visit(ordinal, record)? {
                break;
            }
        }
        self.check()
    }
}
