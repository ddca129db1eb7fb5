//! An encrypted file, open for reading.

use super::format::{CHUNK_LEN, HEADER_LEN, Header, Shape, open};
use super::{altered, no_key};
use crate::crypt::{Cipher, Keyring};
use crate::disk::DiskFile;
use quick_cache::Weighter;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
struct ByBytes;

impl Weighter<(u64, u64), Arc<Vec<u8>>> for ByBytes {
    fn weight(&self, _: &(u64, u64), chunk: &Arc<Vec<u8>>) -> u64 {
        chunk.len() as u64 + 64
    }
}

/// Chunks that were opened, bounded in bytes and shared by all files.
pub(super) struct ChunkCache {
    chunks: quick_cache::sync::Cache<(u64, u64), Arc<Vec<u8>>, ByBytes>,
    files: AtomicU64,
}

impl ChunkCache {
    pub fn new(bytes: u64) -> ChunkCache {
        let items = usize::try_from(bytes / CHUNK_LEN as u64).unwrap_or(1024).max(16);
        ChunkCache {
            chunks: quick_cache::sync::Cache::with_weighter(items, bytes, ByBytes),
            files: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for ChunkCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkCache").field("bytes", &self.chunks.weight()).finish()
    }
}

/// Reads the first bytes of a file: those of its header, or all if it is shorter.
pub(super) fn start_of(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_LEN];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// An encrypted file, open for reading.
#[derive(Debug)]
pub(super) struct Sealed {
    file: Arc<dyn DiskFile>,
    cipher: Cipher,
    shape: Shape,
    /// Its number in the cache.
    number: u64,
    cache: Arc<ChunkCache>,
}

impl Sealed {
    /// Opens a file and its last chunk, which vouches for its length; `None` if it is not encrypted.
    pub fn open(
        file: &Arc<dyn DiskFile>,
        keys: &Keyring,
        cache: &Arc<ChunkCache>,
    ) -> io::Result<Option<Sealed>> {
        let start = start_of(&**file)?;
        let Some(header) = Header::decode(&start).map_err(|what| altered(0, what))? else {
            return Ok(None);
        };
        let cipher = header.cipher(keys).ok_or_else(|| no_key(header.key, keys))?;
        let shape = Shape::of(file.len()?).map_err(|what| altered(0, what))?;
        let sealed = Sealed {
            file: Arc::clone(file),
            cipher,
            shape,
            number: cache.files.fetch_add(1, Ordering::Relaxed),
            cache: Arc::clone(cache),
        };
        sealed.chunk(shape.chunks - 1)?;
        Ok(Some(sealed))
    }

    fn chunk(&self, chunk: u64) -> io::Result<Arc<Vec<u8>>> {
        if let Some(bytes) = self.cache.chunks.get(&(self.number, chunk)) {
            return Ok(bytes);
        }
        let bytes = Arc::new(open(&*self.file, &self.cipher, self.shape, chunk)?);
        self.cache.chunks.insert((self.number, chunk), Arc::clone(&bytes));
        Ok(bytes)
    }

    pub fn is_one_chunk(&self) -> bool {
        self.shape.chunks == 1
    }

    /// All of it. Goes round the cache, which it would fill with what is read once.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::with_capacity(usize::try_from(self.shape.plain_len).unwrap_or(0));
        for chunk in 0..self.shape.chunks {
            match self.cache.chunks.get(&(self.number, chunk)) {
                Some(bytes) => all.extend_from_slice(&bytes),
                None => all.extend(open(&*self.file, &self.cipher, self.shape, chunk)?),
            }
        }
        Ok(all)
    }
}

impl DiskFile for Sealed {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = at.saturating_add(filled as u64);
            if at >= self.shape.plain_len {
                break;
            }
            let (chunk, within) = (at / CHUNK_LEN as u64, (at % CHUNK_LEN as u64) as usize);
            let copied = if within == 0 && rest.len() >= CHUNK_LEN {
                // Who reads whole chunks goes through the file once: they need not be kept.
                copy(&open(&*self.file, &self.cipher, self.shape, chunk)?, rest)
            } else {
                copy(self.chunk(chunk)?.get(within..).unwrap_or_default(), rest)
            };
            filled += copied;
        }
        Ok(filled)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(super::write_once())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len == self.shape.plain_len { Ok(()) } else { Err(super::write_once()) }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.shape.plain_len)
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        // What is cached of it can't be asked for again.
        for chunk in 0..self.shape.chunks {
            self.cache.chunks.remove(&(self.number, chunk));
        }
    }
}

/// Copies as much as both have; answers how much.
pub(super) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..len), to.get_mut(..len)) {
        to.copy_from_slice(from);
    }
    len
}
