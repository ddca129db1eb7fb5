//! Blocks: the unit in which events are written, compressed, checked and read. Journals and segments
//! hold the same blocks.
//!
//! All integers are little-endian; reserved bytes are zero and are checked.
//!
//! ```text
//! file     = file header (64 B) block*
//!
//! file header
//!  0  magic      8   "DAYBKJNL" (journal) or "DAYBKSEG" (a segment's events)
//!  8  version    2   3
//! 10  reserved   2
//! 12  salt       4   random; every checksum in the file is seeded with it, so that bytes of another
//!                    file (a recycled disk block, a copied range) never look valid here
//! 16  base       8   offset of the first event (journal), or of the segment
//! 24  created    8   microseconds since 1970
//! 32  id        16   random
//! 48  key        4   number of the encryption key, 0 for none
//! 52  check      8   derived with the file's key, 0 for none: tells another key from altered bytes
//! 60  crc        4   CRC-32 of bytes 0..60
//!
//! block    = block header (64 B) payload (stored_len B)
//!
//! block header
//!  0  magic      4   "DBLK"
//!  4  crc        4   CRC-32 of salt, bytes 8..64; no length is believed before it
//!  8  version    1   1
//!  9  codec      1   0 stored, 1 zstd
//! 10  flags      2   bit 0: plain (see [`Flags`]); bit 1: encrypted
//! 12  count      4   events in it, at least 1
//! 16  base       8   journal: offset of its first event; segment: ordinal of its first event
//! 24  raw_len    4   payload before compression, at most RAW_LEN_MAX
//! 28  stored_len 4   payload in the file; encrypted, with the tag (16 B) at its end
//! 32  min_time   8   earliest event time
//! 40  max_time   8   latest event time (not monotone over blocks: late events happen)
//! 48  payload    4   CRC-32 of salt, payload as stored: verified before it is decrypted or decompressed
//! 52  nonce     12   random, if the block is encrypted; otherwise reserved
//!
//! payload  = record*
//!
//! record
//!  0  json_len   4   at most LINE_BYTES_MAX
//!  4  seq        4   in its session
//!  8  offset     8   in the node's log
//! 16  time       8   microseconds since 1970
//! 24  kind       1   Kind::code
//! 25  verdict    1   Verdict::code, or 0
//! 26  back       6   how many offsets back the session's event before this one is; 0 for its first:
//!                    the links of a session, by which a proof shows that none of it is missing
//! 32  received   8   when the server took it in, microseconds since 1970
//! 40  name_len   1   at most PRODUCER_BYTES_MAX; the highest bit says that there is a retry
//! 41  producer   name_len bytes of UTF-8: who sent it, by the server's knowledge; empty if nobody asked
//!     retry      16 bytes, if there is one (see [`Retry`])
//!     json       json_len bytes: the line as it was sent
//! ```
//!
//! Encryption is AES-256-GCM, block by block, after compression. The checksums are over what is stored,
//! so that a file is recovered (its torn end found, its whole blocks counted) without its key.
//!
//! ```text
//! key 32, check 8, secret 16 = HKDF-SHA256(
//!     key of that number, salt = id, info = "daybook blocks v1", file header 0..52)
//! nonce      = the block header's; random, for a block may be written where a torn one was cut off
//! bound      = bytes 8..64 of the block header, with zeros for the payload's checksum: they are as they
//!              were, or the block does not open
//! secret     = salts the hashes of the file's events, in place of the id (see `merkle`)
//! ```
//!
//! In a file whose header names a key every block is encrypted, in others none: a block that was put
//! in place of an encrypted one is refused.

mod cache;
mod file;
mod header;
mod mend;
mod payload;
mod record;

pub use cache::{BlockCache, FileId};
pub use file::{BlockFile, scan};
pub use header::{BLOCK_HEADER_LEN, BlockHeader, FILE_HEADER_LEN, FileHeader, FileKind};
pub use mend::{Wrong, wrong_byte};
pub use payload::Payload;
pub use record::{PRODUCER_BYTES_MAX, RECORD_HEADER_LEN, Record, Records, Retry};

use crate::crypt::{Cipher, TAG_LEN, random};
use crate::error::Error;
use crate::event::Micros;
use header::{CODEC_STORED, CODEC_ZSTD};
use memchr::memmem::Finder;
use std::path::Path;
use std::sync::LazyLock;

/// The largest payload of a block before compression, in bytes. A block is closed at its target size
/// (a quarter of a mebibyte), so only one long line makes a block that comes near to this.
pub const RAW_LEN_MAX: usize = 80 << 20;

/// What is known of all lines of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags {
    /// No line holds base64 `data`, or an escape (`\u0020`..`\u007f`) for a printable ASCII
    /// character, so a search may look for printable ASCII in the raw bytes before it parses them.
    pub plain: bool,
}

/// A builder keeps so much memory from one block for the next.
const REUSED_BYTES_MAX: usize = 1 << 20;

/// Builds one block.
#[derive(Debug)]
pub struct BlockBuilder {
    raw: Vec<u8>,
    count: u32,
    min_time: i64,
    max_time: i64,
    plain: bool,
}

impl Default for BlockBuilder {
    fn default() -> Self {
        BlockBuilder {
            raw: Vec::new(),
            count: 0,
            min_time: i64::MAX,
            max_time: i64::MIN,
            plain: true,
        }
    }
}

impl BlockBuilder {
    /// Adds one record. `plain` says whether its line is (see [`Flags::plain`]).
    pub fn push(&mut self, record: &Record<'_>, plain: bool) {
        record.encode(&mut self.raw);
        self.count += 1;
        self.min_time = self.min_time.min(record.time.0);
        self.max_time = self.max_time.max(record.time.0);
        self.plain &= plain;
    }

    /// Bytes in it, before compression.
    #[must_use]
    pub fn raw_len(&self) -> usize {
        self.raw.len()
    }

    /// Events in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Is nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Compresses the block, encrypts it if its file is encrypted, and appends it, header first, to
    /// `out`. Answers its header and its raw payload (for caches), and leaves the builder empty.
    ///
    /// # Errors
    /// A payload over [`RAW_LEN_MAX`]; the system's, when it has no random bytes.
    pub fn finish(
        &mut self,
        base: u64,
        salt: u32,
        cipher: Option<&Cipher>,
        compressor: &mut zstd::bulk::Compressor<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(BlockHeader, Vec<u8>), Error> {
        let mut built = std::mem::take(self);
        if built.raw.len() > RAW_LEN_MAX {
            return Err(Error::TooLarge { what: "a block", limit: RAW_LEN_MAX as u64 });
        }
        let start = out.len();
        let body = start + BLOCK_HEADER_LEN;
        out.resize(body + zstd::zstd_safe::compress_bound(built.raw.len()), 0);
        let room = out.get_mut(body..).unwrap_or_default();
        let compressed = compressor.compress_to_buffer(&built.raw, room).ok();
        let (codec, stored_len) = match compressed {
            Some(len) if len < built.raw.len() => (CODEC_ZSTD, len),
            _ => {
                out.truncate(body);
                out.extend_from_slice(&built.raw);
                (CODEC_STORED, built.raw.len())
            }
        };
        out.truncate(body + stored_len);
        let mut header = BlockHeader {
            codec,
            flags: Flags { plain: built.plain },
            count: built.count,
            base,
            raw_len: built.raw.len() as u32,
            stored_len: stored_len as u32,
            min_time: Micros(built.min_time),
            max_time: Micros(built.max_time),
            payload_crc: 0,
            nonce: None,
        };
        if let Some(cipher) = cipher {
            // A torn block may be followed by another one at its place: a position is no nonce.
            let nonce =
                random().map_err(Error::io("get random bytes for", Path::new("a block")))?;
            header.nonce = Some(nonce);
            header.stored_len += TAG_LEN as u32;
            let tag = cipher.seal(&nonce, &header.bound(), out.get_mut(body..).unwrap_or_default());
            out.extend_from_slice(&tag);
        }
        header.payload_crc = header::checksum(salt, out.get(body..).unwrap_or_default());
        if let Some(place) = out.get_mut(start..body) {
            place.copy_from_slice(&header.encode(salt));
        }
        // Caches count what a payload holds, so it takes no more than that; the builder goes on in its memory.
        let payload = built.raw.as_slice().to_vec();
        if built.raw.capacity() <= REUSED_BYTES_MAX {
            built.raw.clear();
            self.raw = built.raw;
        }
        Ok((header, payload))
    }
}

/// Is a line free of what [`Flags::plain`] excludes? Looks for the bytes alone, so it may say no
/// where a parser would say yes, never the reverse.
#[must_use]
pub fn is_plain(line: &[u8]) -> bool {
    static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u00"));
    static DATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"data\""));
    let mut rest = line;
    while let Some(at) = ESCAPE.find(rest) {
        // \u0000 to \u001f and \u0080 to \u00ff are not printable ASCII.
        if matches!(rest.get(at + 4), Some(b'2'..=b'7')) {
            return false;
        }
        rest = rest.get(at + 4..).unwrap_or_default();
    }
    DATA.find(line).is_none()
}
