//! The headers of files and of blocks, checksums, and opening a payload. The layout is drawn in
//! [`super`].

use super::mend::{Wrong, wrong_byte};
use super::{Flags, RAW_LEN_MAX};
use crate::crypt::{Cipher, FileKey, ID_LEN, Keyring, NONCE_LEN, NoKey, TAG_LEN, random};
use crate::error::Error;
use crate::event::{Micros, Offset};
use std::cell::RefCell;
use std::path::Path;

/// The length of a file header, in bytes.
pub const FILE_HEADER_LEN: usize = 64;
/// The length of a block header, in bytes.
pub const BLOCK_HEADER_LEN: usize = 64;

pub(super) const CODEC_STORED: u8 = 0;
pub(super) const CODEC_ZSTD: u8 = 1;
const VERSION: u8 = 3;
/// What a file's key is derived for: this, and the header before its check.
const PURPOSE: &[u8] = b"daybook blocks v1";
const CHECK_AT: usize = 52;
const BLOCK_VERSION: u8 = 1;
pub(super) const BLOCK_MAGIC: [u8; 4] = *b"DBLK";

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
    /// Derived with the file's key, to tell another one by; zeros if there is none.
    pub check: [u8; 8],
}

impl FileHeader {
    /// A header for a new file, made now, with a salt and an id of its own; and what seals its blocks,
    /// if there is a key that encrypts.
    ///
    /// # Errors
    /// The system's, when it has no random bytes.
    pub fn new(
        kind: FileKind,
        base: Offset,
        path: &Path,
        keys: Option<&Keyring>,
    ) -> Result<(FileHeader, Option<Cipher>), Error> {
        let failed = || Error::io("get random bytes for", path);
        let salt = u32::from_le_bytes(random().map_err(failed())?);
        let id = random::<ID_LEN>().map_err(failed())?;
        let key = keys.and_then(Keyring::first).unwrap_or(0);
        let created = Micros::now();
        let mut header = FileHeader { kind, salt, base, created, id, key, check: [0; 8] };
        let file = keys.and_then(|keys| header.derive(keys));
        header.check = file.as_ref().map_or([0; 8], |file| file.check);
        Ok((header, file.map(|file| file.cipher)))
    }

    fn derive(&self, keys: &Keyring) -> Option<FileKey> {
        let bytes = self.encode();
        let bound = bytes.get(..CHECK_AT).unwrap_or_default();
        keys.file_key(self.key, &self.id, &[PURPOSE, bound])
    }

    /// What opens the file's blocks; `None` if they are not encrypted.
    ///
    /// # Errors
    /// That the key is not among these.
    pub fn cipher(&self, keys: Option<&Keyring>) -> Result<Option<Cipher>, NoKey> {
        Ok(self.file_key(keys)?.map(|file| file.cipher))
    }

    pub(super) fn file_key(&self, keys: Option<&Keyring>) -> Result<Option<FileKey>, NoKey> {
        if self.key == 0 {
            return Ok(None);
        }
        let Some(keys) = keys else { return Err(NoKey::NoKeys(self.key)) };
        match self.derive(keys).filter(|file| file.check == self.check) {
            Some(file) => Ok(Some(file)),
            None => Err(NoKey::of(self.key, keys)),
        }
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
        bytes.extend_from_slice(&self.check);
        bytes.resize(FILE_HEADER_LEN - 4, 0);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut out = [0; FILE_HEADER_LEN];
        out.copy_from_slice(&bytes);
        out
    }

    /// Reads a header of which one byte is wrong: it is put right by the checksum.
    #[must_use]
    pub fn mend(bytes: &[u8; FILE_HEADER_LEN], kind: FileKind) -> Option<FileHeader> {
        let mut bytes = *bytes;
        let (body, crc) = bytes.split_last_chunk_mut::<4>()?;
        match wrong_byte(body, u32::from_le_bytes(*crc))? {
            Wrong::Byte(at, value) => *body.get_mut(at)? ^= value,
            Wrong::Checksum => *crc = crc32fast::hash(body).to_le_bytes(),
        }
        FileHeader::decode(&bytes, kind).ok()
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
        let check: [u8; 8] = fields.take();
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
        if zero_a != 0 || zero_b != [0; 2] || (key == 0 && check != [0; 8]) {
            return Err("reserved bytes of the file header are not zero");
        }
        Ok(FileHeader { kind, salt, base: Offset(base), created: Micros(created), id, key, check })
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
    /// The nonce that its payload is sealed with, if it is encrypted.
    pub(super) nonce: Option<[u8; NONCE_LEN]>,
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
        let flags = u16::from(self.flags.plain) | u16::from(self.nonce.is_some()) << 1;
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.raw_len.to_le_bytes());
        bytes.extend_from_slice(&self.stored_len.to_le_bytes());
        bytes.extend_from_slice(&self.min_time.0.to_le_bytes());
        bytes.extend_from_slice(&self.max_time.0.to_le_bytes());
        bytes.extend_from_slice(&self.payload_crc.to_le_bytes());
        bytes.extend_from_slice(&self.nonce.unwrap_or_default());
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
        let encrypted = flags & 2 != 0;
        let mut header = BlockHeader {
            codec,
            flags: Flags { plain: flags & 1 != 0 },
            count: u32::from_le_bytes(fields.take()),
            base: u64::from_le_bytes(fields.take()),
            raw_len: u32::from_le_bytes(fields.take()),
            stored_len: u32::from_le_bytes(fields.take()),
            min_time: Micros(i64::from_le_bytes(fields.take())),
            max_time: Micros(i64::from_le_bytes(fields.take())),
            payload_crc: u32::from_le_bytes(fields.take()),
            nonce: None,
        };
        let nonce: [u8; NONCE_LEN] = fields.take();
        header.nonce = encrypted.then_some(nonce);
        let reserved = !encrypted && nonce != [0; NONCE_LEN];
        if version != BLOCK_VERSION || flags > 3 || codec > CODEC_ZSTD || reserved {
            return Err("the block was written by a newer version of daybook");
        }
        let raw_len = header.raw_len as usize;
        let tag_len = if encrypted { TAG_LEN } else { 0 };
        if raw_len > RAW_LEN_MAX
            || header.stored_len as usize > raw_len + tag_len
            || (header.stored_len as usize) < tag_len
            || header.count == 0
            || header.count as usize > raw_len / super::RECORD_HEADER_LEN
        {
            return Err("the lengths of the block contradict each other");
        }
        Ok(header)
    }

    /// What is sealed with the payload and must be as it was, too: bytes 8..64, with zeros for the
    /// payload's checksum, which is taken of what sealing answers.
    pub(super) fn bound(&self) -> [u8; BLOCK_HEADER_LEN - 8] {
        let bytes = BlockHeader { payload_crc: 0, ..*self }.encode(0);
        bytes.last_chunk().copied().unwrap_or([0; BLOCK_HEADER_LEN - 8])
    }

    /// Checks that a payload is whole: that it is what was written. It takes no key.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn check_payload(&self, salt: u32, stored: &[u8]) -> Result<(), &'static str> {
        if stored.len() != self.stored_len as usize || checksum(salt, stored) != self.payload_crc {
            return Err("the checksum of the block does not match");
        }
        Ok(())
    }

    /// Checks, decrypts and decompresses a payload. In a file that is encrypted every block is.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn open_payload(
        &self,
        salt: u32,
        stored: &[u8],
        cipher: Option<&Cipher>,
    ) -> Result<Vec<u8>, &'static str> {
        self.check_payload(salt, stored)?;
        self.open_whole(stored, cipher)
    }

    /// As [`BlockHeader::open_payload`], with a payload that has been checked.
    pub(super) fn open_whole(
        &self,
        stored: &[u8],
        cipher: Option<&Cipher>,
    ) -> Result<Vec<u8>, &'static str> {
        let raw = match (self.nonce, cipher) {
            (None, None) => self.unpack(stored),
            (Some(nonce), Some(cipher)) => {
                let mut sealed = stored.to_vec();
                let len = cipher
                    .open(&nonce, &self.bound(), &mut sealed)
                    .ok_or("the encrypted block was altered")?;
                self.unpack(sealed.get(..len).unwrap_or_default())
            }
            (None, Some(_)) => {
                return Err("the block was altered: it is not encrypted, but its file is");
            }
            (Some(_), None) => {
                return Err("the block was altered: it is encrypted, but its file is not");
            }
        };
        let raw = raw.ok_or("the block can't be decompressed")?;
        if raw.len() != self.raw_len as usize {
            return Err("the block's length is not what its header says");
        }
        Ok(raw)
    }

    fn unpack(&self, packed: &[u8]) -> Option<Vec<u8>> {
        match self.codec {
            CODEC_STORED => Some(packed.to_vec()),
            _ => decompress(packed, self.raw_len as usize),
        }
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
