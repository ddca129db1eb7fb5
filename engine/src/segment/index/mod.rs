//! `index.bin`: where everything in a segment is, mapped into memory and read in place.
//!
//! Opening it reads the header and the table of contents, nothing else, so a start costs the same
//! however much the segments hold. Every value that a lookup reads is checked against the bounds of
//! what it points into: a damaged index is [`crate::Error::Corrupt`], never a panic, a wild read or
//! an endless loop. The checksums of the sections are checked by [`Index::verify`] alone.
//!
//! All integers are little-endian and unaligned; sections start at multiples of 64, one after the
//! other in the order of their kinds, with zeroes between; reserved bytes are zero.
//!
//! ```text
//! file     = header (64 B) toc entry (32 B) * 10, sections
//!
//! header
//!  0  magic      8   "DAYBKIDX"
//!  8  version    2   1
//! 10  sections   2   10
//! 12  span       4   offsets are below base + span; more than `events` where some were erased
//! 16  base       8   offset that the segment starts at
//! 24  file_len   8   length of this file
//! 32  events     4   how many
//! 36  sessions   4   how many
//! 40  min_time   8   of all events, microseconds since 1970
//! 48  max_time   8
//! 56  toc_crc    4   CRC-32 of the table of contents
//! 60  crc        4   CRC-32 of bytes 0..60
//!
//! toc entry
//!  0  kind       4   1..10, in this order
//!  4  flags      4   bytes an entry takes in the section
//!  8  pos        8   where it starts
//! 16  len        8   bytes: count * flags
//! 24  count      4   entries
//! 28  crc        4   CRC-32 of the section
//!
//! section       entry
//!  1  sessions   48  sorted by id (bytes), which is also the order of their ordinals: id_pos 4 and
//!                    id_len 4 in `strings`, key 8, first ordinal 4, count 4, min_time 8,
//!                    max_time 8, min_seq 4, max_seq 4
//!  2  by key   1..8  places in `sessions`, sorted by key
//!  3  blocks     40  pos 8 in events.blk, first ordinal 4, count 4, min_time 8, max_time 8,
//!                    stored_len 4 (without its header), flags 4 (bit 0: plain)
//!  4  offsets  1..8  by ordinal: offset - base
//!  5  times    1..8  by ordinal: time - the session's min_time
//!  6  seqs     1..8  by ordinal: seq - the session's min_seq
//!  7  codes       1  by ordinal: Kind::code + 16 * Verdict::code (0 for none)
//!  8  ordinals 1..8  the ordinals in the order of offsets: where none was erased (span = events), by
//!                    offset - base; otherwise to be searched
//!  9  strings     1  the ids, one after the other
//! 10  bloom      64  see `bloom`
//! ```
//!
//! A column of numbers takes as many bytes an entry as its largest number needs (little-endian), and
//! numbers are kept small by counting from the session's least: with sessions of less than twelve
//! days an event takes about 14 bytes here instead of 21.

mod bloom;
mod check;
mod read;
mod write;

pub use read::{BlockRow, Index, SessionRow};
pub(super) use write::{NewBlock, NewSession, Tables, code};

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const MAGIC: [u8; 8] = *b"DAYBKIDX";
const VERSION: u16 = 1;
const ALIGN: u64 = 64;
const HEADER_LEN: usize = size_of::<Header>();
const TOC_ENTRY_LEN: usize = size_of::<TocEntry>();
const TOC_LEN: usize = TOC_ENTRY_LEN * Section::ALL.len();
const _: () = assert!(HEADER_LEN == 64 && TOC_ENTRY_LEN == 32);
const _: () = assert!(size_of::<SessionEntry>() == 48 && size_of::<BlockEntry>() == 40);

/// The sections; the number is the kind in the table of contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Section {
    Sessions = 1,
    ByKey,
    Blocks,
    Offsets,
    Times,
    Seqs,
    Codes,
    Ordinals,
    Strings,
    Bloom,
}

impl Section {
    const ALL: [Section; 10] = [
        Section::Sessions,
        Section::ByKey,
        Section::Blocks,
        Section::Offsets,
        Section::Times,
        Section::Seqs,
        Section::Codes,
        Section::Ordinals,
        Section::Strings,
        Section::Bloom,
    ];

    /// The bytes that an entry may take.
    fn widths(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Section::Sessions => size_of::<SessionEntry>()..=size_of::<SessionEntry>(),
            Section::Blocks => size_of::<BlockEntry>()..=size_of::<BlockEntry>(),
            Section::Codes | Section::Strings => 1..=1,
            Section::Bloom => bloom::BUCKET_LEN..=bloom::BUCKET_LEN,
            Section::ByKey
            | Section::Offsets
            | Section::Times
            | Section::Seqs
            | Section::Ordinals => 1..=8,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Section::Sessions => "sessions",
            Section::ByKey => "sessions by key",
            Section::Blocks => "blocks",
            Section::Offsets => "offsets",
            Section::Times => "times",
            Section::Seqs => "seqs",
            Section::Codes => "codes",
            Section::Ordinals => "ordinals",
            Section::Strings => "strings",
            Section::Bloom => "bloom filter",
        }
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U16,
    sections: U16,
    span: U32,
    base: U64,
    file_len: U64,
    events: U32,
    sessions: U32,
    min_time: I64,
    max_time: I64,
    toc_crc: U32,
    crc: U32,
}

impl Header {
    fn checksum(&self) -> u32 {
        crc32fast::hash(self.as_bytes().get(..HEADER_LEN - 4).unwrap_or_default())
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TocEntry {
    kind: U32,
    flags: U32,
    pos: U64,
    len: U64,
    count: U32,
    crc: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct SessionEntry {
    id_pos: U32,
    id_len: U32,
    key: U64,
    first: U32,
    count: U32,
    min_time: I64,
    max_time: I64,
    min_seq: U32,
    max_seq: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct BlockEntry {
    pos: U64,
    first: U32,
    count: U32,
    min_time: I64,
    max_time: I64,
    stored_len: U32,
    flags: U32,
}
