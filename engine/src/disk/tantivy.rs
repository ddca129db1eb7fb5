//! A directory of tantivy's on a [`Disk`](super::Disk).
//!
//! tantivy writes each of its files once and then only reads it; `meta.json` and `.managed.json` it
//! replaces. Those two carry no checksum of tantivy's, so that one is put behind them here:
//!
//! ```text
//! replaced file = bytes, crc 4 (CRC-32 of the bytes, little-endian), "DBCK"
//! ```

use super::map::Watch;
use super::{DiskFile, FileWriter, Map, Open, Parts, SharedDisk, read_exact_at};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

const CHECK_MAGIC: [u8; 4] = *b"DBCK";

/// A directory of tantivy's. Clones are the same directory.
#[derive(Clone)]
pub(crate) struct DiskDirectory {
    disk: SharedDisk,
    root: PathBuf,
    /// tantivy's locks that are held. They need not outlast the process: the data directory's own
    /// lock keeps other processes out.
    held: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// The files that are mapped.
    maps: Arc<Mutex<Vec<Watch>>>,
}

impl DiskDirectory {
    /// The directory at `root`, which has to be there.
    pub(crate) fn new(disk: &SharedDisk, root: &Path) -> DiskDirectory {
        DiskDirectory {
            disk: Arc::clone(disk),
            root: root.to_owned(),
            held: Arc::default(),
            maps: Arc::default(),
        }
    }

    /// Did a file shrink, or the disk fail, under a reader? To be asked after reading: what was read
    /// before may be zeroes. It stays so until the reader lets go of the file.
    pub(crate) fn faulted(&self) -> bool {
        self.maps.lock().iter().any(|map| map.faulted() == Some(true))
    }

    fn watch_over(&self, map: &Map) {
        let Some(watch) = Watch::over(map) else { return };
        let mut maps = self.maps.lock();
        // Those that are not mapped any more are forgotten when there would have to be more room.
        if maps.len() == maps.capacity() {
            maps.retain(|map| map.faulted().is_some());
        }
        maps.push(watch);
    }

    /// A file all of which will be read soon: the system fetches it in large pieces.
    pub(crate) fn open_whole(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.handle(path, |map| map.will_read(0..map.len()))
    }

    fn handle(
        &self,
        path: &Path,
        before: impl FnOnce(&Map),
    ) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let parts = self.disk.open_parts(&self.root.join(path)).map_err(self.read_error(path))?;
        match parts {
            Parts::Mapped(map) => {
                self.watch_over(&map);
                before(&map);
                Ok(Arc::new(Handle { len: map.len(), bytes: OwnedBytes::new(Stable(map)) }))
            }
            Parts::File(file) => {
                let len = file.len().map_err(self.read_error(path))?;
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                Ok(Arc::new(ByParts { len, file }))
            }
        }
    }

    fn read_error(&self, path: &Path) -> impl FnOnce(io::Error) -> OpenReadError {
        let path = path.to_owned();
        move |error| match error.kind() {
            io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path),
            _ => OpenReadError::IoError { io_error: Arc::new(error), filepath: path },
        }
    }
}

impl fmt::Debug for DiskDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DiskDirectory").field(&self.root).finish()
    }
}

/// Puts a checksum behind bytes; what [`checked`] takes off.
fn with_check(bytes: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(bytes);
    [bytes, &crc.to_le_bytes(), &CHECK_MAGIC].concat()
}

/// The bytes before their checksum; `None` if it does not match.
#[must_use]
pub fn checked(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (rest, magic) = bytes.split_last_chunk::<4>()?;
    let (body, crc) = rest.split_last_chunk::<4>()?;
    let right = *magic == CHECK_MAGIC && u32::from_le_bytes(*crc) == crc32fast::hash(body);
    let len = body.len();
    right.then(|| {
        bytes.truncate(len);
        bytes
    })
}

impl Directory for DiskDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.handle(path, |_| ())
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.disk.remove_file(&self.root.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
            _ => DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() },
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let found = self.disk.stat(&self.root.join(path)).map_err(self.read_error(path))?;
        Ok(found.is_some())
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let full = self.root.join(path);
        let file = match self.disk.open(&full, Open::CreateNew) {
            // A crash left it of a commit that was not finished: tantivy gives names by its own count,
            // and comes by this one again. Whoever has it mapped keeps what was there.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove_file(&full).and_then(|()| self.disk.open(&full, Open::CreateNew))
            }
            opened => opened,
        };
        let file = file.map_err(|error| OpenWriteError::IoError {
            io_error: Arc::new(error),
            filepath: path.to_owned(),
        })?;
        Ok(io::BufWriter::new(Box::new(Writer(FileWriter::new(file)))))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let full = self.root.join(path);
        if self.disk.stat(&full).map_err(self.read_error(path))?.is_none() {
            return Err(OpenReadError::FileDoesNotExist(path.to_owned()));
        }
        let bytes = self.disk.read(&full).map_err(|error| OpenReadError::IoError {
            io_error: Arc::new(io::Error::other(error)),
            filepath: path.to_owned(),
        })?;
        checked(bytes).ok_or_else(|| OpenReadError::IoError {
            io_error: Arc::new(io::Error::new(
                io::ErrorKind::InvalidData,
                "its checksum does not match",
            )),
            filepath: path.to_owned(),
        })
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        // The files that it names have to be durable, names and all, before it is.
        self.disk.sync_dir(&self.root)?;
        self.disk.replace(&self.root.join(path), &with_check(data)).map_err(io::Error::other)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.root)
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        if !self.held.lock().insert(lock.filepath.clone()) {
            return Err(LockError::LockBusy);
        }
        let held = HeldLock { held: Arc::clone(&self.held), path: lock.filepath.clone() };
        Ok(DirectoryLock::from(Box::new(held)))
    }

    /// Nobody watches: readers turn to a new commit when the writer tells them.
    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

struct HeldLock {
    held: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.held.lock().remove(&self.path);
    }
}

/// A map whose address is known not to change.
struct Stable(Map);

impl Deref for Stable {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

// SAFETY: the bytes are behind an `Arc`, mapped or on the heap: moving the map does not move them.
unsafe impl stable_deref_trait::StableDeref for Stable {}

struct Handle {
    bytes: OwnedBytes,
    len: usize,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("len", &self.len).finish()
    }
}

impl HasLen for Handle {
    fn len(&self) -> usize {
        self.len
    }
}

impl FileHandle for Handle {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        // A file that is shorter than its index says is damaged.
        if range.start > range.end || range.end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.bytes.slice(range))
    }
}

/// A file that is not in memory: what is asked for is read.
#[derive(Debug)]
struct ByParts {
    file: Arc<dyn DiskFile>,
    len: usize,
}

impl HasLen for ByParts {
    fn len(&self) -> usize {
        self.len
    }
}

impl FileHandle for ByParts {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; range.len()];
        read_exact_at(&*self.file, &mut bytes, range.start as u64)?;
        Ok(OwnedBytes::new(bytes))
    }
}

struct Writer(FileWriter);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl TerminatingWrite for Writer {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::DiskDirectory;
    use crate::disk::sim::SimDisk;
    use std::io::Write;
    use std::path::Path;
    use tantivy::directory::{Directory, TerminatingWrite};

    /// A file of a commit that a crash cut short stopped every later commit by its name.
    #[test]
    fn what_a_crash_left_of_a_commit_does_not_stop_the_next_one() {
        let disk = SimDisk::new();
        let directory = DiskDirectory::new(&disk.shared(), Path::new("/"));
        for bytes in [b"left over".as_slice(), b"new"] {
            let mut file = directory.open_write(Path::new("a.63.del")).unwrap();
            file.write_all(bytes).unwrap();
            file.terminate().unwrap();
        }
        let file = directory.open_read(Path::new("a.63.del")).unwrap();
        assert_eq!(file.read_bytes().unwrap().as_slice(), b"new");
    }
}
