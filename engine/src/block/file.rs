//! A file of blocks, open for positional reads. The layout is drawn in [`super`].

use super::header::{BLOCK_HEADER_LEN, BLOCK_MAGIC, BlockHeader, FILE_HEADER_LEN};
use super::header::{FileHeader, FileKind};
use crate::crypt::{Cipher, Keyring, NoKey};
use crate::disk::{Disk, DiskFile, read_exact_at};
use crate::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of blocks, open for positional reads.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    header: FileHeader,
    mended: Option<&'static str>,
    cipher: Result<Option<Cipher>, NoKey>,
    secret: [u8; 16],
}

impl BlockFile {
    /// Opens a file and checks its header. A key that is not there is an error of reading a block, not
    /// of opening the file: whether its blocks are whole can be seen without it.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] for a header that is not right.
    pub fn open(disk: &dyn Disk, path: &Path, kind: FileKind) -> Result<BlockFile, Error> {
        BlockFile::with_file(path, disk.open_read(path)?, kind, disk.keys().map(|keys| &**keys))
    }

    /// As [`BlockFile::open`], with a file that is already open.
    ///
    /// # Errors
    /// As [`BlockFile::open`].
    pub fn with_file(
        path: &Path,
        file: Arc<dyn DiskFile>,
        kind: FileKind,
        keys: Option<&Keyring>,
    ) -> Result<BlockFile, Error> {
        let mut bytes = [0; FILE_HEADER_LEN];
        read_exact_at(&*file, &mut bytes, 0).map_err(Error::io("read the header of", path))?;
        let (header, mended) = match FileHeader::decode(&bytes, kind) {
            Ok(header) => (header, None),
            Err(what) => match FileHeader::mend(&bytes, kind) {
                Some(header) => (header, Some(what)),
                None => return Err(Error::corrupt(path, 0, what)),
            },
        };
        let file_key = header.file_key(keys);
        let secret = file_key.as_ref().ok().and_then(Option::as_ref).map(|key| key.secret);
        let secret = secret.unwrap_or(header.id);
        let cipher = file_key.map(|key| key.map(|key| key.cipher));
        Ok(BlockFile { path: path.to_owned(), file, header, mended, cipher, secret })
    }

    /// What is wrong with the header in the file, of which one byte rotted: it was put right in memory.
    #[must_use]
    pub fn mended(&self) -> Option<&'static str> {
        self.mended
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// What seals and opens its blocks; `None` if they are not encrypted.
    ///
    /// # Errors
    /// [`Error::NoKey`].
    pub fn cipher(&self) -> Result<Option<&Cipher>, Error> {
        match &self.cipher {
            Ok(cipher) => Ok(cipher.as_ref()),
            Err(why) => Err(Error::NoKey { path: self.path.clone(), why: *why }),
        }
    }

    /// What the hashes of its events are salted with: its id, which anybody can read that can read its
    /// events, or, if they are encrypted, bytes that are derived with its key.
    ///
    /// # Errors
    /// [`Error::NoKey`].
    pub fn secret(&self) -> Result<[u8; 16], Error> {
        self.cipher().map(|_| self.secret)
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

    /// Reads the block at a position as it is stored, and checks that it is whole. It takes no key.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn read_stored(&self, at: u64) -> Result<(BlockHeader, Vec<u8>), Error> {
        let header = self.read_header(at)?;
        let mut stored = vec![0; header.stored_len as usize];
        read_exact_at(&*self.file, &mut stored, at + BLOCK_HEADER_LEN as u64)
            .map_err(Error::io("read a block of", &self.path))?;
        header
            .check_payload(self.header.salt, &stored)
            .map_err(|what| Error::corrupt(&self.path, at, what))?;
        Ok((header, stored))
    }

    /// Reads, checks, decrypts and decompresses the block at a position.
    ///
    /// # Errors
    /// The system's, [`Error::Corrupt`] or [`Error::NoKey`].
    pub fn read(&self, at: u64) -> Result<(BlockHeader, Vec<u8>), Error> {
        let (header, stored) = self.read_stored(at)?;
        let raw = header
            .open_whole(&stored, self.cipher()?)
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
            if position + BLOCK_HEADER_LEN as u64 <= end && file.read_stored(position).is_ok() {
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
