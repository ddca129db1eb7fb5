//! The disk under the engine: every file operation of the engine goes through [`Disk`].
//!
//! ```text
//!   journal  segment  text  catalog  merkle            (no `std::fs` in any of them)
//!       └────────┴──────┴──────┴───────┘
//!                      Disk
//!             ┌─────────┴─────────┐
//!          RealDisk            SimDisk                 (and layers over either)
//!        files, for use     faults, for tests
//! ```
//!
//! What a caller may rely on, and what a disk under test takes away where it may:
//!
//! | after | holds over a crash |
//! |---|---|
//! | `write_at` | any subset of the 512-byte sectors that were written since the last sync, in any order |
//! | `sync` of a file | its bytes and its length, but not its name |
//! | create, `rename`, `remove_file`, ... | nothing, until `sync_dir` of the directory that holds the name |
//! | `rename` | the old name or the new one; never neither |
//! | a `sync` that failed | nothing, also if a later one succeeds: what was written is to be thought lost |
//!
//! Reads of data go by position ([`DiskFile::read_at`]), so that a bad disk is an error. Only sealed,
//! immutable files are mapped ([`Disk::map`]).

pub mod encrypted;
mod fault;
mod map;
mod real;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod tantivy;
mod write;

pub use encrypted::EncryptedDisk;
pub use map::Map;
pub use real::RealDisk;
pub(crate) use tantivy::DiskDirectory;
pub use tantivy::checked;
pub use write::FileWriter;

use crate::crypt::Keyring;
use crate::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file, for reading and writing; one of that name is emptied.
    Create,
    /// A new file, for reading and writing; one of that name is an error.
    CreateNew,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Is it a directory?
    pub is_dir: bool,
    /// Its length in bytes, if it is a file.
    pub len: u64,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without the directory's.
    pub name: String,
    /// What it names.
    pub meta: Meta,
}

/// A lock that is held until it is dropped.
pub trait Lock: Send + Sync + fmt::Debug {}

/// An open file. All methods take positions; there is no cursor.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads at most `buffer.len()` bytes from a position; 0 is the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes at a position and answers how many bytes; may write fewer than asked.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Makes the file's bytes and length durable (`fdatasync`).
    ///
    /// # Errors
    /// The system's. It is final: what was written may be lost, whatever a later call answers.
    fn sync(&self) -> io::Result<()>;

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Its length now, in bytes.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;
}

/// A disk: names, files, and making them durable.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a new file that nobody but its owner can read, where the system has owners; one of that
    /// name is an error.
    ///
    /// # Errors
    /// The system's.
    fn create_private(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path, Open::CreateNew)
    }

    /// What is at a path; `None` if nothing is.
    ///
    /// # Errors
    /// The system's.
    fn stat(&self, path: &Path) -> io::Result<Option<Meta>>;

    /// The names in a directory, in order.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Makes a directory, with its parents; one that is there is no error.
    ///
    /// # Errors
    /// The system's.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file or a directory; a file of the new name is replaced.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, or makes a copy where the system has no second names.
    ///
    /// # Errors
    /// The system's.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Deletes an empty directory.
    ///
    /// # Errors
    /// The system's.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Maps a sealed file, whole, for reading.
    ///
    /// # Errors
    /// The system's.
    fn map(&self, path: &Path) -> io::Result<Map>;

    /// Takes the lock that is this file; `None` if somebody else holds it. `exclusive` makes the file.
    ///
    /// # Errors
    /// The system's.
    fn lock(&self, path: &Path, exclusive: bool) -> io::Result<Option<Box<dyn Lock>>>;

    /// The bytes that can still be written below a directory.
    ///
    /// # Errors
    /// The system's.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// The bytes of the disk that a directory is on, used or not.
    ///
    /// # Errors
    /// The system's.
    fn total_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// The process that holds the lock that is this file, where the system says.
    fn lock_holder(&self, path: &Path) -> Option<u32>;

    /// A sealed file, for reading parts of it: mapped, unless that would take its length in memory.
    ///
    /// # Errors
    /// The system's.
    fn open_parts(&self, path: &Path) -> io::Result<Parts> {
        self.map(path).map(Parts::Mapped)
    }

    /// The keys that files on this disk are encrypted with, if they are ([`EncryptedDisk`]).
    fn keys(&self) -> Option<&Arc<Keyring>> {
        None
    }

    /// The number of the key that [`EncryptedDisk`] encrypted a file with; `None` if it did not.
    ///
    /// # Errors
    /// The system's, or a header that was altered.
    fn key_of(&self, _: &Path) -> io::Result<Option<u32>> {
        Ok(None)
    }
}

/// A sealed file, for reading parts of it ([`Disk::open_parts`]).
#[derive(Debug)]
pub enum Parts {
    /// All of it, in memory or mapped.
    Mapped(Map),
    /// To be read by position.
    File(Arc<dyn DiskFile>),
}

/// The disk as the engine's parts share it.
pub type SharedDisk = Arc<dyn Disk>;

/// What is made of the primitives; errors name what was tried on which file.
impl dyn Disk + '_ {
    /// Is anything at this path?
    ///
    /// # Errors
    /// The system's.
    pub fn exists(&self, path: &Path) -> Result<bool, Error> {
        Ok(self.stat(path).map_err(Error::io("look for", path))?.is_some())
    }

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// The system's.
    pub fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        self.open(path, Open::Read).map_err(Error::io("open", path))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let file = self.open_read(path)?;
        let len = file.len().map_err(Error::io("read the length of", path))?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        read_exact_at(&*file, &mut bytes, 0).map_err(Error::io("read", path))?;
        Ok(bytes)
    }

    /// Writes a new file; it is durable once its directory is, too.
    ///
    /// # Errors
    /// The system's, or that the file is there.
    pub fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let file = self.open(path, Open::CreateNew).map_err(Error::io("create", path))?;
        write_all_at(&*file, bytes, 0).map_err(Error::io("write", path))?;
        file.sync().map_err(Error::io("sync", path))
    }

    /// Replaces a small file, durably: after a crash it holds the old bytes or the new ones.
    ///
    /// # Errors
    /// The system's.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        let beside = PathBuf::from(beside);
        let file = self.open(&beside, Open::Create).map_err(Error::io("create", &beside))?;
        self.put(&*file, bytes, &beside, path)
    }

    /// As `replace`, with a file that nobody but its owner can read.
    ///
    /// # Errors
    /// The system's.
    pub fn replace_private(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        let beside = PathBuf::from(beside);
        if self.exists(&beside)? {
            self.remove_file(&beside).map_err(Error::io("delete", &beside))?;
        }
        let file = self.create_private(&beside).map_err(Error::io("create", &beside))?;
        self.put(&*file, bytes, &beside, path)
    }

    /// Fills a new file and gives it the name of another one.
    fn put(&self, file: &dyn DiskFile, bytes: &[u8], new: &Path, name: &Path) -> Result<(), Error> {
        write_all_at(file, bytes, 0).map_err(Error::io("write", new))?;
        file.sync().map_err(Error::io("sync", new))?;
        self.rename(new, name).map_err(Error::io("rename", new))?;
        let parent = name.parent().unwrap_or(Path::new("."));
        self.sync_dir(parent).map_err(Error::io("sync", parent))
    }

    /// Makes a directory, with its parents, and makes their names durable.
    ///
    /// # Errors
    /// The system's.
    pub fn create_dir_durably(&self, dir: &Path) -> Result<(), Error> {
        let mut made = Vec::new();
        for path in dir.ancestors().filter(|path| *path != Path::new("")) {
            if self.exists(path)? {
                break;
            }
            made.push(path);
        }
        self.create_dir(dir).map_err(Error::io("create", dir))?;
        for path in made.into_iter().rev() {
            let parent = path.parent().filter(|parent| *parent != Path::new(""));
            let parent = parent.unwrap_or(Path::new("."));
            self.sync_dir(parent).map_err(Error::io("sync", parent))?;
        }
        Ok(())
    }

    /// Deletes a directory and everything below it; one that is not there is no error.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_tree(&self, dir: &Path) -> Result<(), Error> {
        if self.stat(dir).map_err(Error::io("look for", dir))?.is_none() {
            return Ok(());
        }
        for entry in self.list(dir).map_err(Error::io("list", dir))? {
            let path = dir.join(&entry.name);
            if entry.meta.is_dir {
                self.remove_tree(&path)?;
            } else {
                self.remove_file(&path).map_err(Error::io("delete", &path))?;
            }
        }
        self.remove_dir(dir).map_err(Error::io("delete", dir))
    }
}

/// Fills the buffer from a position.
///
/// # Errors
/// The system's, or that the file ends before.
pub fn read_exact_at(file: &dyn DiskFile, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = buffer.get_mut(read..).unwrap_or_default();
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all bytes at a position.
///
/// # Errors
/// The system's; some of the bytes may then have been written.
pub fn write_all_at(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                at += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
