//! The bytes of an encrypted file: its header, where its chunks are, and how one is sealed and opened.
//! The layout is drawn in [`super`].

use super::altered;
use crate::crypt::{Cipher, FileKey, ID_LEN, Keyring, NONCE_LEN, TAG_LEN, random};
use std::io;

pub(super) const HEADER_LEN: usize = 64;
pub(super) const CHUNK_LEN: usize = 64 << 10;
const SEALED_LEN: usize = CHUNK_LEN + TAG_LEN;
const MAGIC: [u8; 8] = *b"DAYBKENC";
const VERSION: u8 = 1;
/// What a file's key is derived for: this, and the header before its check.
const PURPOSE: &[u8] = b"daybook file v1";
const CHECK_AT: usize = 32;

/// The header of an encrypted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The number of its key.
    pub key: u32,
    id: [u8; ID_LEN],
    check: [u8; 8],
}

impl Header {
    /// A header for a new file, and its key; `None` if there is no key that encrypts.
    pub fn new(keys: &Keyring) -> io::Result<Option<(Header, Cipher)>> {
        let Some(key) = keys.first() else { return Ok(None) };
        let mut header = Header { key, id: random()?, check: [0; 8] };
        Ok(header.derive(keys).map(|file| {
            header.check = file.check;
            (header, file.cipher)
        }))
    }

    fn derive(&self, keys: &Keyring) -> Option<FileKey> {
        let bytes = self.encode();
        let bound = bytes.get(..CHECK_AT).unwrap_or_default();
        keys.file_key(self.key, &self.id, &[PURPOSE, bound])
    }

    /// The key of a file that has this header; `None` if it is not there, or another of its number.
    pub fn cipher(&self, keys: &Keyring) -> Option<Cipher> {
        self.derive(keys).filter(|file| file.check == self.check).map(|file| file.cipher)
    }

    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
        bytes.extend_from_slice(&self.key.to_le_bytes());
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.check);
        bytes.resize(HEADER_LEN - 4, 0);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        let mut out = [0; HEADER_LEN];
        out.copy_from_slice(&bytes);
        out
    }

    /// Reads a header; `None` if the file is not an encrypted one.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Option<Header>, &'static str> {
        let magic = bytes.starts_with(&MAGIC);
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return if magic { Err("it was cut short") } else { Ok(None) };
        };
        let at = |at: usize| bytes.get(at..).unwrap_or_default();
        let key = at(12).first_chunk().map_or(0, |key| u32::from_le_bytes(*key));
        let id = at(16).first_chunk().copied().unwrap_or_default();
        let check = at(CHECK_AT).first_chunk().copied().unwrap_or_default();
        let header = Header { key, id, check };
        let right = header.encode();
        if *bytes == right {
            return if key == 0 { Err("its header names no key") } else { Ok(Some(header)) };
        }
        // A plain file is told from an encrypted one whose magic has rotted: the rest of that is right.
        if magic {
            Err("its header was altered, or a newer version of daybook wrote it")
        } else if right.get(8..) == Some(at(8)) {
            Err("its first bytes were altered")
        } else {
            Ok(None)
        }
    }
}

/// Where the chunks of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many there are, at least 1.
    pub chunks: u64,
    /// The length of what is in them.
    pub plain_len: u64,
}

impl Shape {
    /// Of a file of this length.
    ///
    /// # Errors
    /// A length that no file has.
    pub fn of(file_len: u64) -> Result<Shape, &'static str> {
        let body = file_len.checked_sub(HEADER_LEN as u64).ok_or("it was cut short")?;
        let chunks = body.div_ceil(SEALED_LEN as u64);
        let last = body - chunks.saturating_sub(1) * SEALED_LEN as u64;
        if last < TAG_LEN as u64 {
            return Err("it was cut short");
        }
        Ok(Shape { chunks, plain_len: body - chunks * TAG_LEN as u64 })
    }

    /// The bytes of a chunk in the file, with its tag.
    fn sealed_len(&self, chunk: u64) -> usize {
        let rest = self.plain_len.saturating_sub(chunk * CHUNK_LEN as u64);
        usize::try_from(rest).unwrap_or(CHUNK_LEN).min(CHUNK_LEN) + TAG_LEN
    }
}

/// Where a chunk starts in the file.
pub(super) fn position(chunk: u64) -> u64 {
    HEADER_LEN as u64 + chunk * SEALED_LEN as u64
}

/// The nonce of a chunk: its number and whether it is the last, so that none can be moved or left out,
/// and the end can't be cut off.
fn nonce(chunk: u64, last: bool) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    if let Some(place) = nonce.first_chunk_mut() {
        *place = chunk.to_le_bytes();
    }
    if let Some(place) = nonce.get_mut(8) {
        *place = u8::from(last);
    }
    nonce
}

/// Appends a sealed chunk to `out`. A chunk may be sealed once only: a nonce must not be used twice.
pub(super) fn seal(cipher: &Cipher, chunk: u64, last: bool, plain: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(plain);
    let tag = cipher.seal(&nonce(chunk, last), &[], out.get_mut(start..).unwrap_or_default());
    out.extend_from_slice(&tag);
}

/// Reads and opens a chunk.
///
/// # Errors
/// The system's, or that it was altered.
pub(super) fn open(
    file: &dyn crate::disk::DiskFile,
    cipher: &Cipher,
    shape: Shape,
    chunk: u64,
) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; shape.sealed_len(chunk)];
    let at = position(chunk);
    crate::disk::read_exact_at(file, &mut bytes, at)?;
    let last = chunk + 1 == shape.chunks;
    let len = cipher
        .open(&nonce(chunk, last), &[], &mut bytes)
        .ok_or_else(|| altered(at, "the encrypted bytes from here on were altered"))?;
    bytes.truncate(len);
    Ok(bytes)
}
