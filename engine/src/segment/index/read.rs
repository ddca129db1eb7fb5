//! Reading `index.bin` in place. The layout is drawn in [`super`].

use super::{
    ALIGN, BlockEntry, HEADER_LEN, Header, MAGIC, Section, SessionEntry, TOC_LEN, TocEntry,
    VERSION, bloom,
};
use crate::disk::{Disk, Map};
use crate::error::Error;
use crate::event::{Kind, Micros, Offset, Seq, SessionKey, Verdict};
use crate::view::{EventFacts, Moment};
use std::cmp::Ordering;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use zerocopy::FromBytes;

/// A segment's index, mapped.
#[derive(Debug)]
pub struct Index {
    pub(super) path: PathBuf,
    pub(super) map: Map,
    base: Offset,
    span: u32,
    events: u32,
    times: (Micros, Micros),
    pub(super) sections: Vec<Place>,
    /// By section: does its checksum match? Asked once, by who needs it first.
    pub(super) sound: [OnceLock<bool>; Section::ALL.len()],
    /// Of every [`GUIDED`] ordinals the place of the first one's session: made by the first who looks up sessions.
    guide: OnceLock<Box<[u32]>>,
    /// By section: was the system asked to fetch it?
    fetched: [AtomicBool; Section::ALL.len()],
}

/// Sessions are looked for among those of so many neighbours, which lie together in the processor's cache.
const GUIDED: u32 = 64;

/// Who looks up fewer sessions does without the guide: it takes all of the sessions to make it.
const UNGUIDED_MAX: u32 = 256;

/// Where a section is: constant for an open file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) bytes: Range<usize>,
    width: usize,
    pub(super) crc: u32,
}

/// A session of the segment, with its bounds checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its number.
    pub key: SessionKey,
    /// Its events' ordinals, in the order of `seq`.
    pub ordinals: Range<u32>,
    /// The earliest and latest time of its events here.
    pub times: (Micros, Micros),
    /// The least and greatest seq of its events here.
    pub seqs: (Seq, Seq),
}

/// A block of `events.blk`, with its bounds checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// Where it starts in the file.
    pub pos: u64,
    /// Its events' ordinals.
    pub ordinals: Range<u32>,
    /// The earliest and latest time of its events.
    pub times: (Micros, Micros),
    /// Are all its lines plain (see [`crate::block::Flags`])?
    pub plain: bool,
}

/// A column of numbers, each of as many bytes as the largest needs.
#[derive(Clone, Copy, Debug)]
struct Column<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl Column<'_> {
    #[inline]
    fn get(self, at: u32) -> Option<u64> {
        let start = (at as usize).checked_mul(self.width)?;
        let bytes = self.bytes.get(start..start.checked_add(self.width)?)?;
        // The usual widths without a loop.
        Some(match *bytes {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_le_bytes([a, b])),
            [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e] => u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]),
            _ => {
                let mut wide = [0; 8];
                wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
                u64::from_le_bytes(wide)
            }
        })
    }
}

/// The facts of a segment's events, column by column. It remembers the session that was asked for last, so that
/// neighbours cost little.
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    base: Offset,
    span: u32,
    index: &'a Index,
    sessions: &'a [SessionEntry],
    /// How often a session was looked up.
    lookups: u32,
    /// The place of the session that was asked for last.
    at: usize,
    offsets: Column<'a>,
    times: Column<'a>,
    seqs: Column<'a>,
    codes: &'a [u8],
}

impl<'a> Columns<'a> {
    /// Among which sessions an ordinal's is.
    fn near(&mut self, ordinal: u32) -> Option<(usize, usize)> {
        self.lookups = self.lookups.saturating_add(1);
        let guide = match self.index.guide.get() {
            Some(guide) => guide,
            None if self.lookups <= UNGUIDED_MAX => return Some((0, self.sessions.len())),
            None => self.index.guide(),
        };
        let place = (ordinal / GUIDED) as usize;
        let from = *guide.get(place)? as usize;
        // The next neighbours' first session may have begun among these.
        let to = guide.get(place + 1).map_or(self.sessions.len(), |to| *to as usize + 1);
        Some((from, to))
    }

    /// The facts of an event. `None` for an ordinal out of range, and for damaged facts.
    #[inline]
    pub fn facts(&mut self, ordinal: u32) -> Option<EventFacts> {
        let session = self.session_of(ordinal)?;
        let Moment { session: key, time, kind, verdict } = self.moment_in(session, ordinal)?;
        let after = u32::try_from(self.seqs.get(ordinal)?).ok()?;
        let seq = Seq(session.min_seq.get().checked_add(after)?);
        let offset = self.offset(ordinal)?;
        Some(EventFacts { offset, seq, time, kind, verdict, session: key })
    }

    /// What of them is counted. `None` as for [`Columns::facts`].
    #[inline]
    pub fn moment(&mut self, ordinal: u32) -> Option<Moment> {
        let session = self.session_of(ordinal)?;
        self.moment_in(session, ordinal)
    }

    #[inline]
    fn moment_in(&self, session: &SessionEntry, ordinal: u32) -> Option<Moment> {
        let since = i64::try_from(self.times.get(ordinal)?).ok()?;
        let code = *self.codes.get(ordinal as usize)?;
        Some(Moment {
            session: SessionKey(session.key.get()),
            time: Micros(session.min_time.get().checked_add(since)?),
            kind: Kind::from_code(code & 15)?,
            verdict: match code >> 4 {
                0 => None,
                code => Some(Verdict::from_code(code)?),
            },
        })
    }

    /// The session of an event. `None` as for [`Columns::facts`].
    #[inline]
    pub fn session(&mut self, ordinal: u32) -> Option<SessionKey> {
        self.session_of(ordinal).map(|session| SessionKey(session.key.get()))
    }

    /// Calls `visit` with the session of each run of neighbours of `ordinals`, and how many these are. False for an
    /// ordinal out of range, and for damaged sessions: what comes behind is left out.
    pub fn each_session(
        &mut self,
        mut ordinals: &[u32],
        mut visit: impl FnMut(SessionKey, u64),
    ) -> bool {
        while let Some(&ordinal) = ordinals.first() {
            let Some(session) = self.session_of(ordinal) else { return false };
            let its = session.first.get()..session.first.get().saturating_add(session.count.get());
            let count = ordinals.iter().take_while(|ordinal| its.contains(ordinal)).count();
            visit(SessionKey(session.key.get()), count as u64);
            ordinals = ordinals.get(count.max(1)..).unwrap_or_default();
        }
        true
    }

    /// Calls `visit` with each session, and how many of its events are between two ordinals.
    pub fn each_session_of(
        &mut self,
        ordinals: Range<u32>,
        mut visit: impl FnMut(SessionKey, u64),
    ) -> bool {
        let mut at = ordinals.start;
        while at < ordinals.end {
            let Some(session) = self.session_of(at) else { return false };
            let end = session.first.get().saturating_add(session.count.get()).min(ordinals.end);
            visit(SessionKey(session.key.get()), u64::from(end.saturating_sub(at)));
            at = end.max(at + 1);
        }
        true
    }

    #[inline]
    fn offset(&self, ordinal: u32) -> Option<Offset> {
        let after = self.offsets.get(ordinal)?;
        if after >= u64::from(self.span) {
            return None;
        }
        self.base.0.checked_add(after).map(Offset)
    }

    #[inline]
    fn session_of(&mut self, ordinal: u32) -> Option<&'a SessionEntry> {
        let holds = |session: &SessionEntry| {
            ordinal.checked_sub(session.first.get()).is_some_and(|n| n < session.count.get())
        };
        for at in [self.at, self.at + 1] {
            if let Some(session) = self.sessions.get(at).filter(|session| holds(session)) {
                self.at = at;
                return Some(session);
            }
        }
        let (from, to) = self.near(ordinal)?;
        let near = self.sessions.get(from..to)?;
        self.at = from + near.partition_point(|s| s.first.get() <= ordinal).checked_sub(1)?;
        self.sessions.get(self.at).filter(|session| holds(session))
    }
}

/// The ordinals of offsets.
#[derive(Clone, Copy, Debug)]
pub struct ByOffset<'a> {
    base: Offset,
    span: u32,
    events: u32,
    ordinals: Column<'a>,
    offsets: Column<'a>,
}

impl ByOffset<'_> {
    /// The ordinal of an offset. `None` for an offset out of range, and for a damaged ordinal.
    #[inline]
    #[must_use]
    pub fn ordinal_of(&self, offset: Offset) -> Option<u32> {
        let after = u32::try_from(offset.0.checked_sub(self.base.0)?).ok()?;
        if after >= self.span {
            return None;
        }
        let ordinal = if self.span == self.events { self.nth(after)? } else { self.search(after)? };
        (ordinal < self.events).then_some(ordinal)
    }

    /// The ordinal of the event at a place in the order of offsets.
    #[inline]
    fn nth(&self, at: u32) -> Option<u32> {
        u32::try_from(self.ordinals.get(at)?).ok()
    }

    /// How many events have offsets before this one.
    #[must_use]
    pub fn count_before(&self, offset: Offset) -> u32 {
        let after = u32::try_from(offset.0.saturating_sub(self.base.0)).unwrap_or(u32::MAX);
        if self.span == self.events {
            return after.min(self.events);
        }
        let (mut low, mut high) = (0, self.events);
        while low < high {
            let middle = low + (high - low) / 2;
            let earlier = self
                .nth(middle)
                .and_then(|ordinal| self.offsets.get(ordinal))
                .is_some_and(|place| place < u64::from(after));
            if earlier { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The ordinal of an offset (from the base) where some offsets were erased.
    fn search(&self, after: u32) -> Option<u32> {
        let (mut low, mut high) = (0, self.events);
        while low < high {
            let middle = low + (high - low) / 2;
            let ordinal = self.nth(middle)?;
            match self.offsets.get(ordinal)?.cmp(&u64::from(after)) {
                Ordering::Equal => return Some(ordinal),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }
}

impl Index {
    /// Maps an index and checks its header and table of contents.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Index, Error> {
        Index::of(disk.map(path).map_err(Error::io("map", path))?, path)
    }

    /// The index whose bytes these are; `path` is named in errors.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn of(map: Map, path: &Path) -> Result<Index, Error> {
        let (header, sections) =
            decode(&map).map_err(|(at, what)| Error::corrupt(path, at as u64, what))?;
        Ok(Index {
            path: path.to_owned(),
            map,
            base: Offset(header.base.get()),
            span: header.span.get(),
            events: header.events.get(),
            times: (Micros(header.min_time.get()), Micros(header.max_time.get())),
            sections,
            sound: Default::default(),
            guide: OnceLock::new(),
            fetched: Default::default(),
        })
    }

    /// The offset that the segment starts at.
    #[must_use]
    pub fn base(&self) -> Offset {
        self.base
    }

    /// The offset after the last that the segment stands for; what is missing in between was erased.
    #[must_use]
    pub fn end(&self) -> Offset {
        Offset(self.base.0.saturating_add(u64::from(self.span)))
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> u32 {
        self.events
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.session_entries().len() as u32
    }

    /// The earliest and latest time of all events.
    #[must_use]
    pub fn times(&self) -> (Micros, Micros) {
        self.times
    }

    /// Its length in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.map.len() as u64
    }

    /// The facts of an event. `None` for an ordinal out of range, and for damaged facts.
    #[must_use]
    pub fn facts(&self, ordinal: u32) -> Option<EventFacts> {
        self.columns().facts(ordinal)
    }

    /// The columns of facts, to be gone along.
    #[must_use]
    pub fn columns(&self) -> Columns<'_> {
        Columns {
            base: self.base,
            span: self.span,
            sessions: self.session_entries(),
            index: self,
            lookups: 0,
            at: 0,
            offsets: self.column(Section::Offsets),
            times: self.column(Section::Times),
            seqs: self.column(Section::Seqs),
            codes: self.bytes(Section::Codes),
        }
    }

    /// The offset of an event. `None` for an ordinal out of range, and for a damaged offset.
    #[must_use]
    pub fn offset(&self, ordinal: u32) -> Option<Offset> {
        self.columns().offset(ordinal)
    }

    /// The ordinal of an offset. `None` for an offset out of range, and for a damaged ordinal.
    #[must_use]
    pub fn ordinal_of(&self, offset: Offset) -> Option<u32> {
        self.by_offset().ordinal_of(offset)
    }

    /// For who asks for many.
    #[must_use]
    pub fn by_offset(&self) -> ByOffset<'_> {
        ByOffset {
            base: self.base,
            span: self.span,
            events: self.events,
            ordinals: self.column(Section::Ordinals),
            offsets: self.column(Section::Offsets),
        }
    }

    /// A session by its id.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn session(&self, id: &str) -> Result<Option<SessionRow<'_>>, Error> {
        // A lookup that finds nothing tells nothing of a damaged table, so these are checked first.
        self.check_sections(&[Section::Bloom])?;
        if !bloom::may_have(self.bytes(Section::Bloom), id) {
            return Ok(None);
        }
        self.check_sections(&[Section::Sessions, Section::Strings])?;
        let found = self.search(self.sessions(), |at| {
            let entry = self.session_entry(at)?;
            Ok((self.id_bytes(entry)?.cmp(id.as_bytes()), entry))
        })?;
        found.map(|entry| self.session_row(entry)).transpose()
    }

    /// A session by its number.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn session_by_key(&self, key: SessionKey) -> Result<Option<SessionRow<'_>>, Error> {
        // A key is the offset of an event that came before or with the session's first event here.
        if key.0 >= self.end().0 {
            return Ok(None);
        }
        self.check_sections(&[Section::ByKey, Section::Sessions, Section::Strings])?;
        let found = self.search(self.sessions(), |at| {
            let place = self.number(Section::ByKey, at).and_then(|place| u32::try_from(place).ok());
            let entry = self.session_entry(
                place.ok_or_else(|| self.corrupt(Section::ByKey, "it points nowhere"))?,
            )?;
            Ok((entry.key.get().cmp(&key.0), entry))
        })?;
        found.map(|entry| self.session_row(entry)).transpose()
    }

    /// The session at a place in the order of ids.
    ///
    /// # Errors
    /// [`Error::Corrupt`], also for a place out of range.
    pub fn session_at(&self, at: u32) -> Result<SessionRow<'_>, Error> {
        self.session_row(self.session_entry(at)?)
    }

    /// The seqs of a session's events, coalesced, ascending.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn seqs(&self, session: &SessionRow<'_>) -> Result<Vec<RangeInclusive<u32>>, Error> {
        self.check_sections(&[Section::Seqs])?;
        let damaged = || self.corrupt(Section::Seqs, "the seqs of a session are not ascending");
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for ordinal in session.ordinals.clone() {
            let after = self.number(Section::Seqs, ordinal).ok_or_else(damaged)?;
            let seq = u64::from(session.seqs.0.0) + after.min(u64::from(u32::MAX));
            let seq = u32::try_from(seq).map_err(|_| damaged())?;
            match ranges.last_mut() {
                Some(last) if *last.end() >= seq => return Err(damaged()),
                Some(last) if *last.end() + 1 == seq => *last = *last.start()..=seq,
                _ => ranges.push(seq..=seq),
            }
        }
        Ok(ranges)
    }

    /// The block that holds an event.
    ///
    /// # Errors
    /// [`Error::Corrupt`], also for an ordinal out of range.
    pub fn block_of(&self, ordinal: u32) -> Result<BlockRow, Error> {
        self.check_sections(&[Section::Blocks])?;
        let damaged = || self.corrupt(Section::Blocks, format!("no block holds event {ordinal}"));
        let blocks = <[BlockEntry]>::ref_from_bytes(self.bytes(Section::Blocks))
            .map_err(|_| self.corrupt(Section::Blocks, "its length is not whole"))?;
        let at = blocks.partition_point(|b| b.first.get() <= ordinal);
        let block = at.checked_sub(1).and_then(|at| blocks.get(at)).ok_or_else(damaged)?;
        let ordinals = self.run(block.first.get(), block.count.get()).ok_or_else(damaged)?;
        if !ordinals.contains(&ordinal) {
            return Err(damaged());
        }
        Ok(BlockRow {
            pos: block.pos.get(),
            ordinals,
            times: (Micros(block.min_time.get()), Micros(block.max_time.get())),
            plain: block.flags.get() & 1 == 1,
        })
    }

    /// Names this file as damaged where a section starts.
    pub(super) fn corrupt(&self, section: Section, what: impl std::fmt::Display) -> Error {
        let at = self.place(section).map_or(0, |place| place.bytes.start);
        Error::corrupt(&self.path, at as u64, format!("{}: {what}", section.name()))
    }

    fn place(&self, section: Section) -> Option<&Place> {
        self.sections.get(section as usize - 1)
    }

    pub(super) fn bytes(&self, section: Section) -> &[u8] {
        self.place(section).and_then(|p| self.map.get(p.bytes.clone())).unwrap_or_default()
    }

    /// A number of a column.
    fn number(&self, section: Section, at: u32) -> Option<u64> {
        self.column(section).get(at)
    }

    fn column(&self, section: Section) -> Column<'_> {
        let width = self.place(section).map_or(0, |place| place.width);
        Column { bytes: self.bytes(section), width }
    }

    /// The facts of many events will be read.
    pub fn fetch_facts(&self) {
        use Section::{Codes, Offsets, Seqs, Sessions, Times};
        self.fetch(&[Sessions, Times, Codes, Seqs, Offsets]);
    }

    /// The ordinals of many offsets will be read.
    pub fn fetch_ordinals(&self) {
        self.fetch(&[Section::Ordinals]);
    }

    /// Has the system fetch sections, once: what it drops later it fetches page by page again.
    pub(super) fn fetch(&self, sections: &[Section]) {
        for section in sections {
            let at = (*section as usize).checked_sub(1);
            let fetched = at.and_then(|at| self.fetched.get(at));
            if let (Some(fetched), Some(place)) = (fetched, self.place(*section))
                && !fetched.swap(true, Relaxed)
            {
                self.map.will_read(place.bytes.clone());
            }
        }
    }

    fn guide(&self) -> &[u32] {
        self.guide.get_or_init(|| {
            self.fetch(&[Section::Sessions]);
            let sessions = self.session_entries();
            let mut at = 0;
            let places = (0..self.events).step_by(GUIDED as usize).map(|ordinal| {
                while sessions.get(at + 1).is_some_and(|next| next.first.get() <= ordinal) {
                    at += 1;
                }
                at as u32
            });
            places.collect()
        })
    }

    fn session_entries(&self) -> &[SessionEntry] {
        <[SessionEntry]>::ref_from_bytes(self.bytes(Section::Sessions)).unwrap_or_default()
    }

    fn session_entry(&self, at: u32) -> Result<&SessionEntry, Error> {
        self.session_entries()
            .get(at as usize)
            .ok_or_else(|| self.corrupt(Section::Sessions, format!("there is no session {at}")))
    }

    fn id_bytes(&self, entry: &SessionEntry) -> Result<&[u8], Error> {
        let start = entry.id_pos.get() as usize;
        start
            .checked_add(entry.id_len.get() as usize)
            .and_then(|end| self.bytes(Section::Strings).get(start..end))
            .ok_or_else(|| self.corrupt(Section::Sessions, "an id lies outside the strings"))
    }

    fn session_row(&self, entry: &SessionEntry) -> Result<SessionRow<'_>, Error> {
        let id = std::str::from_utf8(self.id_bytes(entry)?)
            .map_err(|_| self.corrupt(Section::Strings, "an id is not UTF-8"))?;
        let ordinals = self.run(entry.first.get(), entry.count.get()).ok_or_else(|| {
            self.corrupt(Section::Sessions, "a session's events lie outside the segment")
        })?;
        Ok(SessionRow {
            id,
            key: SessionKey(entry.key.get()),
            ordinals,
            times: (Micros(entry.min_time.get()), Micros(entry.max_time.get())),
            seqs: (Seq(entry.min_seq.get()), Seq(entry.max_seq.get())),
        })
    }

    /// A run of ordinals, if all of them are in the segment and there is one at all.
    fn run(&self, first: u32, count: u32) -> Option<Range<u32>> {
        let end = first.checked_add(count)?;
        (first < end && end <= self.events).then_some(first..end)
    }

    /// Calls `visit` with the offset of each event of the sessions that are wanted, in no order. False for damaged ones:
    /// then these were not all.
    pub fn each_offset_of(
        &self,
        wanted: impl Fn(SessionKey) -> bool,
        mut visit: impl FnMut(Offset),
    ) -> bool {
        let columns = self.columns();
        let mut sessions =
            self.session_entries().iter().filter(|session| wanted(SessionKey(session.key.get())));
        sessions.all(|session| {
            let run = self.run(session.first.get(), session.count.get());
            run.is_some_and(|mut run| {
                run.all(|ordinal| columns.offset(ordinal).map(&mut visit).is_some())
            })
        })
    }

    /// Binary search in `0..len`.
    fn search<T>(
        &self,
        len: u32,
        at: impl Fn(u32) -> Result<(Ordering, T), Error>,
    ) -> Result<Option<T>, Error> {
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = low + (high - low) / 2;
            match at(middle)? {
                (Ordering::Equal, found) => return Ok(Some(found)),
                (Ordering::Less, _) => low = middle + 1,
                (Ordering::Greater, _) => high = middle,
            }
        }
        Ok(None)
    }
}

/// Checks the header and the table of contents; answers where the sections are.
fn decode(bytes: &[u8]) -> Result<(Header, Vec<Place>), (usize, &'static str)> {
    let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| (0, "it is cut short"))?;
    if header.magic != MAGIC {
        return Err((0, "this is not an index of daybook's, or its start is damaged"));
    }
    if header.crc.get() != header.checksum() {
        return Err((0, "the checksum of the header does not match"));
    }
    if header.version.get() != VERSION {
        return Err((8, "the file was written by a newer version of daybook"));
    }
    if usize::from(header.sections.get()) != Section::ALL.len()
        || header.span.get() < header.events.get()
    {
        return Err((10, "the header is not as this version writes it"));
    }
    if header.file_len.get() != bytes.len() as u64 {
        return Err((24, "the file is not as long as its header says"));
    }
    let toc = rest.get(..TOC_LEN).ok_or((HEADER_LEN, "the table of contents is cut short"))?;
    if header.toc_crc.get() != crc32fast::hash(toc) {
        return Err((HEADER_LEN, "the checksum of the table of contents does not match"));
    }
    let toc = <[TocEntry]>::ref_from_bytes(toc)
        .map_err(|_| (HEADER_LEN, "the table of contents is not whole"))?;
    let mut sections = Vec::with_capacity(toc.len());
    let mut end = HEADER_LEN + TOC_LEN;
    for (section, entry) in Section::ALL.into_iter().zip(toc) {
        let place = decode_place(section, entry, header, end)
            .ok_or((HEADER_LEN, "the table of contents contradicts itself"))?;
        end = place.bytes.end;
        sections.push(place);
    }
    if end != bytes.len() {
        return Err((end, "something follows the last section"));
    }
    Ok((*header, sections))
}

fn decode_place(
    section: Section,
    entry: &TocEntry,
    header: &Header,
    after: usize,
) -> Option<Place> {
    let width = entry.flags.get() as usize;
    let start = usize::try_from(entry.pos.get()).ok()?;
    let len = usize::try_from(entry.len.get()).ok()?;
    let count = entry.count.get();
    let expected = match section {
        Section::Sessions | Section::ByKey => header.sessions.get(),
        Section::Blocks | Section::Strings | Section::Bloom => count,
        Section::Offsets | Section::Times | Section::Seqs | Section::Codes | Section::Ordinals => {
            header.events.get()
        }
    };
    let right = entry.kind.get() == section as u32
        && section.widths().contains(&width)
        && count == expected
        && (count as usize).checked_mul(width) == Some(len)
        && start == after.next_multiple_of(ALIGN as usize);
    let end = start.checked_add(len)?;
    right.then_some(Place { bytes: start..end, width, crc: entry.crc.get() })
}
