//! Encryption of the files that are written once, as a layer over any [`Disk`].
//!
//! All integers are little-endian; reserved bytes are zero and are checked.
//!
//! ```text
//! file     = header (64 B) chunk* last
//!
//! header
//!  0  magic      8   "DAYBKENC"
//!  8  version    2   1
//! 10  reserved   2
//! 12  key        4   number of the key that the file's own is derived from, at least 1
//! 16  id        16   random
//! 32  check      8   derived with the file's key: tells another key from altered bytes
//! 40  reserved  20
//! 60  crc        4   CRC-32 of bytes 0..60
//!
//! chunk    = 65,536 bytes, encrypted, and their tag (16 B)
//! last     = 0 to 65,536 bytes, encrypted, and their tag
//!
//! key, check = HKDF-SHA256(key of that number, salt = id, info = "daybook file v1", bytes 0..32)
//! nonce      = number of the chunk (8 B), 1 for the last and 0 for others (1 B), zeros
//! ```
//!
//! A chunk opens only at its place in its file, and only the last one as the last: chunks that are
//! swapped, left out or added, and an end that is cut off, are found. Opening a file opens its last
//! chunk, so its length is certain before a byte is read; other chunks are opened as they are read.
//!
//! Which files: by name `index.bin`, `leaves.bin` and its copy, `retries.bin`, `*.parquet`, what stands beside the log
//! ([`crate::Beside`]), and all that tantivy keeps in `text/`, `*.text/`, `.tmp-text-*/`, `catalog/` and `catalog-*/` (one that was set aside). All others go through untouched: journals and `events.blk` seal
//! their blocks themselves ([`crate::block`]), the rest holds no text of anybody's.
//!
//! What a caller sees is a plain file: positions and lengths are those of what was written, also for
//! [`Disk::stat`]; [`Disk::list`] tells the lengths on the disk. Three things differ:
//!
//! - Such a file is written from its start to its end, and is whole at its first sync (or when nobody
//!   has it open any more); writing to it afterwards is an error. Until then whoever opens it reads
//!   what was written so far.
//! - [`Disk::map`] decrypts into memory: a segment's `index.bin` is held there as long as the segment is
//!   open. Text indexes are read by parts ([`Disk::open_parts`]), through a cache of chunks.
//! - Files without the magic are read as they are, so that encryption can be turned on later. That
//!   somebody put a plain file in place of an encrypted one is found as any exchanged file is: by the
//!   SHA-256 in the segment's manifest and by the Merkle log.

mod format;
mod read;
#[cfg(test)]
mod tests;
mod write;

use super::{Disk, DiskFile, Entry, Lock, Map, Meta, Open, Parts, SharedDisk};
use crate::beside::Beside;
use crate::crypt::{Altered, Keyring, NoKey};
use crate::error::Error;
use format::{HEADER_LEN, Header, Shape};
use parking_lot::Mutex;
use read::{ChunkCache, Sealed, start_of};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use write::Unsealed;

/// A disk that encrypts what is written once.
#[derive(Debug)]
pub struct EncryptedDisk {
    inner: SharedDisk,
    keys: Arc<Keyring>,
    cache: Arc<ChunkCache>,
    /// Files that are being written: their ends are in memory.
    unsealed: Mutex<HashMap<PathBuf, Weak<Unsealed>>>,
}

impl EncryptedDisk {
    /// A layer over `inner` with these keys, and a cache of `cache_bytes` bytes of opened chunks.
    /// Without a key it encrypts nothing, and says of an encrypted file which key it wants.
    #[must_use]
    pub fn new(inner: SharedDisk, keys: Arc<Keyring>, cache_bytes: u64) -> EncryptedDisk {
        EncryptedDisk {
            inner,
            keys,
            cache: Arc::new(ChunkCache::new(cache_bytes)),
            unsealed: Mutex::default(),
        }
    }

    /// The file that is being written at a path, if one is.
    fn unsealed(&self, path: &Path) -> Option<Arc<Unsealed>> {
        let mut unsealed = self.unsealed.lock();
        if unsealed.is_empty() {
            return None;
        }
        unsealed.retain(|_, file| file.upgrade().is_some_and(|file| file.is_writing()));
        unsealed.get(path).and_then(Weak::upgrade)
    }

    /// Encrypts what is written to a new file of the disk below.
    fn create(&self, path: &Path, file: Arc<dyn DiskFile>) -> io::Result<Arc<dyn DiskFile>> {
        let Some((header, cipher)) = Header::new(&self.keys)? else { return Ok(file) };
        let file = Arc::new(Unsealed::new(file, header, cipher));
        self.unsealed.lock().insert(path.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }
}

/// Is what is written to a file of this name encrypted?
#[must_use]
pub fn is_encrypted(path: &Path) -> bool {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (Some(file), dir) = (name(path), path.parent().and_then(name).unwrap_or_default()) else {
        return false;
    };
    match file.strip_suffix(".tmp").unwrap_or(&file) {
        "index.bin" | "leaves.bin" | "leaves.copy" | "retries.bin" => true,
        name if name.ends_with(".parquet") => true,
        name if Beside::of(name).is_some() => true,
        // A data directory may itself be called `text` or `catalog`.
        "DAYBOOK" | "LOCK" | "retention.json" | "segment.json" | "events.blk" => false,
        name if name.ends_with(".journal") => false,
        _ => {
            let of_tantivy = ["text", "catalog", ".tmp-text"];
            dir.ends_with(".text")
                || of_tantivy.iter().any(|name| {
                    dir.strip_prefix(name)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
                })
        }
    }
}

/// Encrypts a file anew under the first key, durably, if it is under another one or under none;
/// answers whether it was. Whoever has it open goes on reading the old file.
///
/// # Errors
/// The system's, or that it was altered.
pub fn reseal(disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
    let first = disk.keys().and_then(|keys| keys.first());
    let due = first.is_some() && is_encrypted(path);
    if !due || disk.key_of(path).map_err(Error::io("read", path))? == first {
        return Ok(false);
    }
    disk.replace(path, &disk.read(path)?)?;
    Ok(true)
}

impl Disk for EncryptedDisk {
    fn keys(&self) -> Option<&Arc<Keyring>> {
        Some(&self.keys)
    }

    fn key_of(&self, path: &Path) -> io::Result<Option<u32>> {
        let start = start_of(&*self.inner.open(path, Open::Read)?)?;
        let header = Header::decode(&start).map_err(|what| altered(0, what))?;
        Ok(header.map(|header| header.key))
    }

    fn open_parts(&self, path: &Path) -> io::Result<Parts> {
        if !is_encrypted(path) {
            return self.inner.open_parts(path);
        }
        if let Some(file) = self.unsealed(path) {
            return Ok(Parts::File(file));
        }
        let file = self.inner.open(path, Open::Read)?;
        match Sealed::open(&file, &self.keys, &self.cache)? {
            // What is one chunk is in memory already.
            Some(sealed) if sealed.is_one_chunk() => {
                Ok(Parts::Mapped(Map::held(sealed.read_all()?)))
            }
            Some(sealed) => Ok(Parts::File(Arc::new(sealed))),
            None => self.inner.open_parts(path),
        }
    }

    /// The key that signs is not under the keys that encrypt, and goes through.
    fn create_private(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.inner.create_private(path)?;
        if is_encrypted(path) { self.create(path, file) } else { Ok(file) }
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        if !is_encrypted(path) {
            return self.inner.open(path, how);
        }
        if matches!(how, Open::Create | Open::CreateNew) {
            return self.create(path, self.inner.open(path, how)?);
        }
        if let Some(file) = self.unsealed(path) {
            return Ok(file);
        }
        let file = self.inner.open(path, how)?;
        match Sealed::open(&file, &self.keys, &self.cache)? {
            Some(sealed) => Ok(Arc::new(sealed)),
            None => Ok(file),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Meta>> {
        let Some(mut meta) = self.inner.stat(path)? else { return Ok(None) };
        if meta.is_dir || !is_encrypted(path) {
            return Ok(Some(meta));
        }
        if let Some(file) = self.unsealed(path) {
            meta.len = file.len()?;
        } else if meta.len >= HEADER_LEN as u64
            && let Ok(Some(_)) = self.key_of(path)
            && let Ok(shape) = Shape::of(meta.len)
        {
            meta.len = shape.plain_len;
        }
        Ok(Some(meta))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)?;
        let mut unsealed = self.unsealed.lock();
        unsealed.remove(to);
        let moved: Vec<_> = unsealed.extract_if(|path, _| path.starts_with(from)).collect();
        for (path, file) in moved {
            let below = path.strip_prefix(from).unwrap_or(Path::new(""));
            let path = if below == Path::new("") { to.to_owned() } else { to.join(below) };
            unsealed.insert(path, file);
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.unsealed.lock().remove(path);
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn map(&self, path: &Path) -> io::Result<Map> {
        if !is_encrypted(path) {
            return self.inner.map(path);
        }
        if let Some(file) = self.unsealed(path) {
            return Ok(Map::held(file.read_all()?));
        }
        let file = self.inner.open(path, Open::Read)?;
        match Sealed::open(&file, &self.keys, &self.cache)? {
            Some(sealed) => Ok(Map::held(sealed.read_all()?)),
            None => self.inner.map(path),
        }
    }

    fn lock(&self, path: &Path, exclusive: bool) -> io::Result<Option<Box<dyn Lock>>> {
        self.inner.lock(path, exclusive)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_bytes(dir)
    }

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.total_bytes(dir)
    }

    fn lock_holder(&self, path: &Path) -> Option<u32> {
        self.inner.lock_holder(path)
    }
}

fn altered(at: u64, what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Altered { at, what })
}

fn no_key(key: u32, keys: &Keyring) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, NoKey::of(key, keys))
}

fn write_once() -> io::Error {
    let what = "an encrypted file is written once, from its start to its end";
    io::Error::new(io::ErrorKind::Unsupported, what)
}
