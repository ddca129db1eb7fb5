//! Files of blocks: headers, checksums, positional reads. The layout is drawn in [`super`].

use super::{Flags, RAW_LEN_MAX};
use crate::disk::{Disk, DiskFile, read_exact_at};
use crate::error::Error;
use crate::event::{Micros, Offset};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The length of a file header, in bytes.
pub const FILE_HEADER_LEN: usize = 64;
/// The length of a block header, in bytes.
pub const BLOCK_HEADER_LEN: usize = 64;

pub(super) const CODEC_STORED: u8 = 0;
pub(super) const CODEC_ZSTD: u8 = 1;
const VERSION: u8 = 2;
const BLOCK_VERSION: u8 = 1;
const BLOCK_MAGIC: [u8; 4] = *b"DBLK";

/// What a file of blocks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A journal: blocks in order of arrival.
    Journal,
    /// A segment's events: blocks clustered by session.
    Segment,
}

impl FileKind {
    const fn magic(self) -> [u8; 8] {
        match self {
            FileKind::Journal => *b"DAYBKJNL",
            FileKind::Segment => *b"DAYBKSEG",
        }
    }
}

/// The header of a file of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// What the file is.
    pub kind: FileKind,
    /// The seed of its checksums.
    pub salt: u32,
    /// The offset of its first event.
    pub base: Offset,
    /// When it was made.
    pub created: Micros,
    /// Random: this file's own. Hashes of a journal's events are salted with what is derived from it.
    pub id: [u8; 16],
    /// The number of the key that its blocks are encrypted with; 0 if they are not.
    pub key: u32,
}

impl FileHeader {
    /// A header for a new file, made now, with a salt and an id of its own.
    ///
    /// # Errors
    /// The system's, when it has no random bytes.
    pub fn new(kind: FileKind, base: Offset, path: &Path) -> Result<FileHeader, Error> {
        let mut random = [0; 20];
        getrandom::fill(&mut random).map_err(|error| {
            Error::io("get random bytes for", path)(std::io::Error::other(error))
        })?;
        let (id, salt) = random.split_first_chunk::<16>().map_or(([0; 16], 0), |(id, rest)| {
            (*id, rest.first_chunk::<4>().map_or(0, |salt| u32::from_le_bytes(*salt)))
        });
        Ok(FileHeader { kind, salt, base, created: Micros::now(), id, key: 0 })
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; FILE_HEADER_LEN] {
        let mut bytes = Vec::with_capacity(FILE_HEADER_LEN);
        bytes.extend_from_slice(&self.kind.magic());
        bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.base.0.to_le_bytes());
        bytes.extend_from_slice(&self.created.0.to_le_bytes());
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.key.to_le_bytes());
        bytes.resize(FILE_HEADER_LEN - 4, 0);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut out = [0; FILE_HEADER_LEN];
        out.copy_from_slice(&bytes);
        out
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn decode(
        bytes: &[u8; FILE_HEADER_LEN],
        kind: FileKind,
    ) -> Result<FileHeader, &'static str> {
        let mut fields = Fields(bytes);
        if fields.take::<8>() != kind.magic() {
            return Err("this is not a file of daybook's, or its start is damaged");
        }
        let [version, zero_a] = fields.take();
        let zero_b: [u8; 2] = fields.take();
        let salt = u32::from_le_bytes(fields.take());
        let base = u64::from_le_bytes(fields.take());
        let created = i64::from_le_bytes(fields.take());
        let id: [u8; 16] = fields.take();
        let key = u32::from_le_bytes(fields.take());
        let reserved: [u8; 8] = fields.take();
        let crc = u32::from_le_bytes(fields.take());
        if crc != crc32fast::hash(bytes.get(..FILE_HEADER_LEN - 4).unwrap_or_default()) {
            return Err("the checksum of the file header does not match");
        }
        if version < VERSION {
            return Err("the file was written by an older version of daybook");
        }
        if version > VERSION {
            return Err("the file was written by a newer version of daybook");
        }
        if zero_a != 0 || zero_b != [0; 2] || reserved != [0; 8] {
            return Err("reserved bytes of the file header are not zero");
        }
        Ok(FileHeader { kind, salt, base: Offset(base), created: Micros(created), id, key })
    }
}

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    pub(super) codec: u8,
    /// What is known of all its lines.
    pub flags: Flags,
    /// Events in it.
    pub count: u32,
    /// The offset (journal) or ordinal (segment) of its first event.
    pub base: u64,
    /// Bytes of its payload before compression.
    pub raw_len: u32,
    /// Bytes of its payload in the file.
    pub stored_len: u32,
    /// The earliest time of its events.
    pub min_time: Micros,
    /// The latest time of its events.
    pub max_time: Micros,
    pub(super) payload_crc: u32,
}

/// CRC-32 of the salt followed by `bytes`.
pub(super) fn checksum(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

impl BlockHeader {
    /// Its length in the file with its payload, in bytes.
    #[must_use]
    pub fn len_in_file(&self) -> u64 {
        BLOCK_HEADER_LEN as u64 + u64::from(self.stored_len)
    }

    /// Its bytes in a file with this salt.
    #[must_use]
    pub fn encode(&self, salt: u32) -> [u8; BLOCK_HEADER_LEN] {
        let mut bytes = Vec::with_capacity(BLOCK_HEADER_LEN);
        bytes.extend_from_slice(&BLOCK_MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&[BLOCK_VERSION, self.codec]);
        bytes.extend_from_slice(&u16::from(self.flags.plain).to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.raw_len.to_le_bytes());
        bytes.extend_from_slice(&self.stored_len.to_le_bytes());
        bytes.extend_from_slice(&self.min_time.0.to_le_bytes());
        bytes.extend_from_slice(&self.max_time.0.to_le_bytes());
        bytes.extend_from_slice(&self.payload_crc.to_le_bytes());
        bytes.resize(BLOCK_HEADER_LEN, 0);
        let crc = checksum(salt, bytes.get(8..).unwrap_or_default());
        let mut out = [0; BLOCK_HEADER_LEN];
        out.copy_from_slice(&bytes);
        if let Some(place) = out.get_mut(4..8) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        out
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn decode(bytes: &[u8; BLOCK_HEADER_LEN], salt: u32) -> Result<BlockHeader, &'static str> {
        let mut fields = Fields(bytes);
        if fields.take::<4>() != BLOCK_MAGIC {
            return Err("no block starts here");
        }
        let crc = u32::from_le_bytes(fields.take());
        if crc != checksum(salt, bytes.get(8..).unwrap_or_default()) {
            return Err("the checksum of the block header does not match");
        }
        let [version, codec] = fields.take();
        let flags = u16::from_le_bytes(fields.take());
        let header = BlockHeader {
            codec,
            flags: Flags { plain: flags & 1 == 1 },
            count: u32::from_le_bytes(fields.take()),
            base: u64::from_le_bytes(fields.take()),
            raw_len: u32::from_le_bytes(fields.take()),
            stored_len: u32::from_le_bytes(fields.take()),
            min_time: Micros(i64::from_le_bytes(fields.take())),
            max_time: Micros(i64::from_le_bytes(fields.take())),
            payload_crc: u32::from_le_bytes(fields.take()),
        };
        let reserved: [u8; 12] = fields.take();
        if version != BLOCK_VERSION || flags > 1 || codec > CODEC_ZSTD || reserved != [0; 12] {
            return Err("the block was written by a newer version of daybook");
        }
        let raw_len = header.raw_len as usize;
        if raw_len > RAW_LEN_MAX
            || header.stored_len as usize > raw_len
            || header.count == 0
            || header.count as usize > raw_len / super::RECORD_HEADER_LEN
        {
            return Err("the lengths of the block contradict each other");
        }
        Ok(header)
    }

    /// Checks and decompresses a payload.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn open_payload(&self, salt: u32, stored: &[u8]) -> Result<Vec<u8>, &'static str> {
        if stored.len() != self.stored_len as usize || checksum(salt, stored) != self.payload_crc {
            return Err("the checksum of the block does not match");
        }
        let raw = if self.codec == CODEC_STORED {
            stored.to_vec()
        } else {
            decompress(stored, self.raw_len as usize).ok_or("the block can't be decompressed")?
        };
        if raw.len() != self.raw_len as usize {
            return Err("the block's length is not what its header says");
        }
        Ok(raw)
    }
}

/// Decompresses with a context that the thread keeps: making one costs as much as a small block.
fn decompress(stored: &[u8], raw_len: usize) -> Option<Vec<u8>> {
    thread_local! {
        static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Decompressor::new().ok();
        }
        context.as_mut()?.decompress(stored, raw_len).ok()
    })
}

/// Takes fixed-width fields from the front of a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes; zeroes past the end (headers have a fixed length, so there is no end).
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }
}

/// A file of blocks, open for positional reads.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    header: FileHeader,
}

impl BlockFile {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] for a header that is not right.
    pub fn open(disk: &dyn Disk, path: &Path, kind: FileKind) -> Result<BlockFile, Error> {
        BlockFile::with_file(path, disk.open_read(path)?, kind)
    }

    /// As [`BlockFile::open`], with a file that is already open.
    ///
    /// # Errors
    /// As [`BlockFile::open`].
    pub fn with_file(
        path: &Path,
        file: Arc<dyn DiskFile>,
        kind: FileKind,
    ) -> Result<BlockFile, Error> {
        let mut bytes = [0; FILE_HEADER_LEN];
        read_exact_at(&*file, &mut bytes, 0).map_err(Error::io("read the header of", path))?;
        let header =
            FileHeader::decode(&bytes, kind).map_err(|what| Error::corrupt(path, 0, what))?;
        Ok(BlockFile { path: path.to_owned(), file, header })
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length now, in bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn file_len(&self) -> Result<u64, Error> {
        self.file.len().map_err(Error::io("read the length of", &self.path))
    }

    /// The header of the block at a position.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn read_header(&self, at: u64) -> Result<BlockHeader, Error> {
        let mut bytes = [0; BLOCK_HEADER_LEN];
        read_exact_at(&*self.file, &mut bytes, at)
            .map_err(Error::io("read a block of", &self.path))?;
        BlockHeader::decode(&bytes, self.header.salt)
            .map_err(|what| Error::corrupt(&self.path, at, what))
    }

    /// Reads, checks and decompresses the block at a position.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn read(&self, at: u64) -> Result<(BlockHeader, Vec<u8>), Error> {
        let header = self.read_header(at)?;
        let mut stored = vec![0; header.stored_len as usize];
        read_exact_at(&*self.file, &mut stored, at + BLOCK_HEADER_LEN as u64)
            .map_err(Error::io("read a block of", &self.path))?;
        let raw = header
            .open_payload(self.header.salt, &stored)
            .map_err(|what| Error::corrupt(&self.path, at, what))?;
        Ok((header, raw))
    }
}

/// Looks for the first whole block at or after `from`: used to tell a torn tail from damage in the
/// middle. Reads the file in windows, so memory stays small whatever the length.
///
/// # Errors
/// The system's.
pub fn scan(file: &BlockFile, from: u64, end: u64) -> Result<Option<u64>, Error> {
    const WINDOW: usize = 1 << 20;
    let mut start = from;
    let mut buffer = vec![0; WINDOW];
    while start + BLOCK_HEADER_LEN as u64 <= end {
        let len = WINDOW.min(usize::try_from(end - start).unwrap_or(WINDOW));
        let window = buffer.get_mut(..len).unwrap_or_default();
        read_exact_at(&*file.file, window, start).map_err(Error::io("read", &file.path))?;
        for at in memchr::memmem::find_iter(window, &BLOCK_MAGIC) {
            let position = start + at as u64;
            if position + BLOCK_HEADER_LEN as u64 <= end && file.read(position).is_ok() {
                return Ok(Some(position));
            }
        }
        if start + len as u64 == end {
            break;
        }
        // Windows overlap, so that no magic is cut in two.
        start += (len - (BLOCK_MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}
