//! Writing `index.bin`. The layout is drawn in [`super`].

use super::{
    ALIGN, BlockEntry, HEADER_LEN, Header, MAGIC, Section, SessionEntry, TOC_LEN, TocEntry,
    VERSION, bloom,
};
use crate::error::Error;
use crate::event::{Micros, Offset, SessionKey};
use zerocopy::IntoBytes as _;

/// A session to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its number.
    pub key: SessionKey,
    /// Its first event's ordinal.
    pub first: u32,
    /// Its events, at least one.
    pub count: u32,
    /// The earliest and latest time of its events.
    pub times: (i64, i64),
    /// The least and greatest seq of its events.
    pub seqs: (u32, u32),
}

/// A block of `events.blk`.
#[derive(Clone, Copy, Debug)]
pub struct NewBlock {
    /// Where it starts in the file.
    pub pos: u64,
    /// Its first event's ordinal.
    pub first: u32,
    /// Its events.
    pub count: u32,
    /// The earliest and latest time of its events.
    pub times: (Micros, Micros),
    /// Its payload's bytes in the file.
    pub stored_len: u32,
    /// Are all its lines plain?
    pub plain: bool,
}

/// What an index is written from.
#[derive(Debug, Default)]
pub struct Tables<'a> {
    /// The offset that the segment starts at.
    pub base: Offset,
    /// Offsets are below `base + span`.
    pub span: u32,
    /// The sessions, sorted by id, their ordinals one after the other from 0.
    pub sessions: Vec<NewSession<'a>>,
    /// The blocks, their ordinals one after the other from 0.
    pub blocks: Vec<NewBlock>,
    /// By ordinal: the offset from `base`, each once.
    pub offsets: Vec<u32>,
    /// By ordinal: the time.
    pub times: Vec<i64>,
    /// By ordinal: the seq.
    pub seqs: Vec<u32>,
    /// By ordinal: kind and verdict, see [`code`].
    pub codes: Vec<u8>,
}

/// Kind and verdict in one byte.
pub fn code(kind: crate::event::Kind, verdict: Option<crate::event::Verdict>) -> u8 {
    kind.code() | verdict.map_or(0, crate::event::Verdict::code) << 4
}

impl Tables<'_> {
    /// The bytes of the index.
    ///
    /// # Errors
    /// More than the format's 32-bit counts can say.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let too_large = |what| Error::TooLarge { what, limit: u64::from(u32::MAX) };
        let events = u32::try_from(self.offsets.len()).map_err(|_| too_large("a segment"))?;
        let mut strings = Vec::new();
        let mut sessions = Vec::with_capacity(self.sessions.len());
        for session in &self.sessions {
            let pos = u32::try_from(strings.len()).map_err(|_| too_large("ids of sessions"))?;
            strings.extend_from_slice(session.id.as_bytes());
            sessions.push(SessionEntry {
                id_pos: pos.into(),
                id_len: (session.id.len() as u32).into(),
                key: session.key.0.into(),
                first: session.first.into(),
                count: session.count.into(),
                min_time: session.times.0.into(),
                max_time: session.times.1.into(),
                min_seq: session.seqs.0.into(),
                max_seq: session.seqs.1.into(),
            });
        }
        let mut by_key: Vec<u32> = (0..self.sessions.len() as u32).collect();
        by_key.sort_unstable_by_key(|at| self.sessions.get(*at as usize).map(|s| s.key));
        let mut ordinals: Vec<u32> = (0..events).collect();
        ordinals.sort_unstable_by_key(|ordinal| self.offsets.get(*ordinal as usize));
        let blocks: Vec<BlockEntry> = self.blocks.iter().map(BlockEntry::of).collect();

        let mut file = Writer::new();
        file.section(Section::Sessions, sessions.as_bytes(), size_of::<SessionEntry>());
        file.column(Section::ByKey, by_key.iter().map(|at| u64::from(*at)));
        file.section(Section::Blocks, blocks.as_bytes(), size_of::<BlockEntry>());
        file.column(Section::Offsets, self.offsets.iter().map(|o| u64::from(*o)));
        file.column(
            Section::Times,
            self.by_session(&self.times, |session, time| time.abs_diff(session.times.0)),
        );
        file.column(
            Section::Seqs,
            self.by_session(&self.seqs, |session, seq| u64::from(seq.abs_diff(session.seqs.0))),
        );
        file.section(Section::Codes, &self.codes, 1);
        file.column(Section::Ordinals, ordinals.iter().map(|o| u64::from(*o)));
        file.section(Section::Strings, &strings, 1);
        let filter = bloom::build(self.sessions.iter().map(|session| session.id));
        file.section(Section::Bloom, &filter, bloom::BUCKET_LEN);

        Ok(file.finish(Header {
            magic: MAGIC,
            version: VERSION.into(),
            sections: (Section::ALL.len() as u16).into(),
            span: self.span.into(),
            base: self.base.0.into(),
            file_len: 0.into(),
            events: events.into(),
            sessions: (self.sessions.len() as u32).into(),
            min_time: self.times.iter().min().copied().unwrap_or(0).into(),
            max_time: self.times.iter().max().copied().unwrap_or(0).into(),
            toc_crc: 0.into(),
            crc: 0.into(),
        }))
    }

    /// A column's numbers, each seen from its session.
    fn by_session<'b, T: Copy>(
        &'b self,
        column: &'b [T],
        from: impl Fn(&NewSession<'_>, T) -> u64 + Copy + 'b,
    ) -> impl Iterator<Item = u64> + Clone + 'b {
        self.sessions.iter().flat_map(move |session| {
            let end = session.first as usize + session.count as usize;
            let run = column.get(session.first as usize..end).unwrap_or_default();
            run.iter().map(move |value| from(session, *value))
        })
    }
}

impl BlockEntry {
    fn of(block: &NewBlock) -> BlockEntry {
        BlockEntry {
            pos: block.pos.into(),
            first: block.first.into(),
            count: block.count.into(),
            min_time: block.times.0.0.into(),
            max_time: block.times.1.0.into(),
            stored_len: block.stored_len.into(),
            flags: u32::from(block.plain).into(),
        }
    }
}

/// The file as it grows.
struct Writer {
    bytes: Vec<u8>,
    toc: Vec<TocEntry>,
}

impl Writer {
    fn new() -> Writer {
        Writer { bytes: vec![0; HEADER_LEN + TOC_LEN], toc: Vec::new() }
    }

    fn section(&mut self, section: Section, body: &[u8], width: usize) {
        let pos = (self.bytes.len() as u64).next_multiple_of(ALIGN);
        self.bytes.resize(pos as usize, 0);
        self.bytes.extend_from_slice(body);
        self.toc.push(TocEntry {
            kind: (section as u32).into(),
            flags: (width as u32).into(),
            pos: pos.into(),
            len: (body.len() as u64).into(),
            count: ((body.len() / width) as u32).into(),
            crc: crc32fast::hash(body).into(),
        });
    }

    fn column(&mut self, section: Section, values: impl Iterator<Item = u64> + Clone) {
        let most = values.clone().max().unwrap_or(0);
        let width = (8 - most.leading_zeros() as usize / 8).max(1);
        let mut body = Vec::with_capacity(values.size_hint().0 * width + 8);
        for value in values {
            body.extend_from_slice(value.to_le_bytes().get(..width).unwrap_or_default());
        }
        self.section(section, &body, width);
    }

    fn finish(mut self, mut header: Header) -> Vec<u8> {
        let toc = self.toc.as_bytes();
        header.file_len = (self.bytes.len() as u64).into();
        header.toc_crc = crc32fast::hash(toc).into();
        header.crc = header.checksum().into();
        if let Some((head, rest)) = self.bytes.split_at_mut_checked(HEADER_LEN) {
            head.copy_from_slice(header.as_bytes());
            if let Some(place) = rest.get_mut(..toc.len()) {
                place.copy_from_slice(toc);
            }
        }
        self.bytes
    }
}
