//! Where a table's files are: on daybook's own disk, or with whoever keeps objects.
//!
//! A table asks little of it: small objects that are put only where none is, files that are put whole, reading, listing
//! and deleting. Paths are relative to the table, with slashes.

use super::Error;
use daybook_engine::disk::{Open, SharedDisk, read_exact_at};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a table's files are.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Puts a small object, if none is there; `false` if one is. It is there whole or not at all.
    ///
    /// # Errors
    /// The store's; the object may be there all the same.
    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<bool, Error>;

    /// Puts a small object, also in the place of another one.
    ///
    /// # Errors
    /// The store's.
    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Error>;

    /// Puts a file of the engine's disk, which is gone from there afterwards, also in the place of another one. It is
    /// there whole or not at all.
    ///
    /// # Errors
    /// The store's.
    fn put_file(&self, path: &str, file: &Path) -> Result<(), Error>;

    /// The bytes of a small object; `None` if it is not there.
    ///
    /// # Errors
    /// The store's.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Some bytes of a file, which are in it.
    ///
    /// # Errors
    /// The store's.
    fn read(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, Error>;

    /// Is a file there?
    ///
    /// # Errors
    /// The store's.
    fn exists(&self, path: &str) -> Result<bool, Error>;

    /// The names in a directory behind `after`, in order; none if it is not there.
    ///
    /// # Errors
    /// The store's.
    fn list(&self, dir: &str, after: &str) -> Result<Vec<String>, Error>;

    /// The paths of all Parquet files that are there, also of those in directories, but for those of the table's log.
    ///
    /// # Errors
    /// The store's.
    fn files(&self) -> Result<Vec<String>, Error>;

    /// So many bytes are read at once, where more are wanted.
    fn piece_bytes(&self) -> u64 {
        256 << 10
    }

    /// Deletes a file; one that is not there is no error.
    ///
    /// # Errors
    /// The store's.
    fn delete(&self, path: &str) -> Result<(), Error>;
}

/// A directory on the engine's disk.
#[derive(Debug)]
pub struct DiskStore {
    disk: SharedDisk,
    root: PathBuf,
}

impl DiskStore {
    /// The directory, which is made.
    ///
    /// # Errors
    /// The system's.
    pub fn open(disk: &SharedDisk, root: &Path) -> Result<DiskStore, Error> {
        disk.create_dir_durably(root)?;
        Ok(DiskStore { disk: SharedDisk::clone(disk), root: root.to_owned() })
    }

    /// A directory that is only read.
    pub(super) fn at(disk: &SharedDisk, root: &Path) -> DiskStore {
        DiskStore { disk: SharedDisk::clone(disk), root: root.to_owned() }
    }

    /// The path of a file, whose directory is made.
    fn place(&self, path: &str) -> Result<PathBuf, Error> {
        let path = self.root.join(path);
        if let Some(dir) = path.parent()
            && !self.disk.exists(dir)?
        {
            self.disk.create_dir_durably(dir)?;
        }
        Ok(path)
    }

    fn sync_parent(&self, path: &Path) -> Result<(), Error> {
        let dir = path.parent().unwrap_or(&self.root);
        Ok(self.disk.sync_dir(dir).map_err(daybook_engine::Error::io("sync", dir))?)
    }
}

impl Store for DiskStore {
    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        let path = self.place(path)?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        let beside = PathBuf::from(beside);
        if self.disk.exists(&beside)? {
            self.disk.remove_file(&beside).map_err(daybook_engine::Error::io("delete", &beside))?;
        }
        self.disk.write_new(&beside, bytes)?;
        // A second name, unlike a rename, is refused where the name is taken.
        let linked = match self.disk.link(&beside, &path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(daybook_engine::Error::io("link", &path)(error).into()),
        };
        self.disk.remove_file(&beside).map_err(daybook_engine::Error::io("delete", &beside))?;
        self.sync_parent(&path)?;
        Ok(linked)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.disk.replace(&self.place(path)?, bytes)?)
    }

    fn put_file(&self, path: &str, file: &Path) -> Result<(), Error> {
        let path = self.place(path)?;
        self.disk.rename(file, &path).map_err(daybook_engine::Error::io("rename", file))?;
        self.sync_parent(&path)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.root.join(path);
        if !self.disk.exists(&path)? {
            return Ok(None);
        }
        Ok(Some(self.disk.read(&path)?))
    }

    fn read(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let path = self.root.join(path);
        let file = self.disk.open(&path, Open::Read);
        let file = file.map_err(daybook_engine::Error::io("open", &path))?;
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        read_exact_at(&*file, &mut bytes, range.start)
            .map_err(daybook_engine::Error::io("read", &path))?;
        Ok(bytes)
    }

    fn exists(&self, path: &str) -> Result<bool, Error> {
        Ok(self.disk.exists(&self.root.join(path))?)
    }

    fn list(&self, dir: &str, after: &str) -> Result<Vec<String>, Error> {
        let dir = self.root.join(dir);
        if !self.disk.exists(&dir)? {
            return Ok(Vec::new());
        }
        let entries = self.disk.list(&dir).map_err(daybook_engine::Error::io("list", &dir))?;
        let names = entries.into_iter().filter(|entry| !entry.meta.is_dir).map(|entry| entry.name);
        Ok(names.filter(|name| name.as_str() > after && !name.ends_with(".tmp")).collect())
    }

    fn files(&self) -> Result<Vec<String>, Error> {
        let (mut files, mut dirs) = (Vec::new(), vec![String::new()]);
        while let Some(dir) = dirs.pop() {
            let place = self.root.join(&dir);
            let listed = self.disk.list(&place).map_err(daybook_engine::Error::io("list", &place));
            for entry in listed? {
                let path = format!("{dir}{}", entry.name);
                match entry.meta.is_dir {
                    // Directories of others' are none of a table's.
                    true if !entry.name.starts_with(['_', '.']) => dirs.push(path + "/"),
                    false if path.ends_with(".parquet") => files.push(path),
                    _ => {}
                }
            }
        }
        Ok(files)
    }

    fn delete(&self, path: &str) -> Result<(), Error> {
        let path = self.root.join(path);
        if self.disk.exists(&path)? {
            self.disk.remove_file(&path).map_err(daybook_engine::Error::io("delete", &path))?;
            self.sync_parent(&path)?;
        }
        Ok(())
    }
}
