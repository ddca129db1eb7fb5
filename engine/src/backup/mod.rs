//! Backups: a copy of a running engine's data directory as of one moment, and its way back.
//!
//! ```text
//! BACKUP/
//!   DAYBOOK keys/ merkle/ segments/ catalog/ ...   as in the data directory
//!   journal/       journals up to a block's end; their text indexes are made again
//!   backup.json    every file with its length and SHA-256; written last
//! ```
//!
//! **Promise.** A backup holds every event that was acknowledged before it began, and nothing broken: it
//! is what a crash at that moment would have left, less what a crash could tear. Ingest and reads go on
//! meanwhile; what changes sealed files (sealing, merging, retention) waits until the copy stands.
//!
//! **How.** Files that are never changed get a second name (a hard link: no time and no room, on the
//! same file system) or are copied where that can't be; what is appended to is copied. The order makes
//! the parts fit together: first the catalog (it is committed, and what it lacks is folded again from
//! the log), then the tree (first what was signed, then its leaves), last the journals, so that each has
//! at least what the ones before it speak of. Bytes are copied as they are on the disk: what is encrypted
//! stays so, and needs its keys, which are not in the backup.
//!
//! **Failure.** A backup without `backup.json` was not finished and is refused, as is one of whose files
//! a byte has changed. A restore that was not finished has no `DAYBOOK`, and is refused as a data
//! directory.
//!
//! | module | what is there |
//! |---|---|
//! | `make` | from an engine to a backup |
//! | `restore` | from a backup to a data directory |

pub(crate) mod make;
pub(crate) mod restore;

use crate::disk::Disk;
use crate::error::Error;
use crate::event::{Micros, Offset};
use crate::segment::FileEntry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file that makes a directory a backup.
pub const MANIFEST_FILE: &str = "backup.json";

const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub daybook_backup: u32,
    /// When it was begun.
    pub created: String,
    /// Events in it.
    pub events: u64,
    /// The offset after its last event.
    pub next_offset: Offset,
    /// Every file but this one.
    pub files: BTreeMap<String, FileEntry>,
}

/// What making a backup, or restoring one, came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where it is.
    pub path: PathBuf,
    /// When the backup was begun.
    pub created: String,
    /// Events in it.
    pub events: u64,
    /// The offset after its last event.
    pub next_offset: Offset,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Manifest {
    fn new(created: Micros, events: u64, next_offset: Offset) -> Manifest {
        Manifest {
            daybook_backup: VERSION,
            created: created.to_string(),
            events,
            next_offset,
            files: BTreeMap::new(),
        }
    }

    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// A directory that is no finished backup, or one of another version.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Manifest, Error> {
        let path = dir.join(MANIFEST_FILE);
        if !disk.exists(&path)? {
            return Err(unusable(
                dir,
                "it is not a finished backup: it has no backup.json; make another",
            ));
        }
        let manifest: Manifest = serde_json::from_slice(&disk.read(&path)?)
            .map_err(|error| Error::corrupt(&path, 0, error.to_string()))?;
        if manifest.daybook_backup != VERSION {
            return Err(unusable(
                dir,
                "another version of daybook made it; restore it with that version",
            ));
        }
        Ok(manifest)
    }

    fn report(&self, path: &Path) -> Report {
        Report {
            path: path.to_owned(),
            created: self.created.clone(),
            events: self.events,
            next_offset: self.next_offset,
            files: self.files.len() as u64,
            bytes: self.files.values().map(|file| file.bytes).sum(),
        }
    }
}

fn unusable(path: &Path, what: &str) -> Error {
    Error::Unusable { path: path.to_owned(), what: what.to_owned() }
}

/// Makes a directory that is to be filled; one that is there has to be empty.
fn make_target(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    match disk.stat(dir).map_err(Error::io("look for", dir))? {
        Some(meta) if !meta.is_dir => {
            return Err(unusable(dir, "it is a file; name a new directory"));
        }
        Some(_) if !disk.list(dir).map_err(Error::io("list", dir))?.is_empty() => {
            return Err(unusable(dir, "it is not empty; name a new directory, or empty this one"));
        }
        _ => {}
    }
    disk.create_dir(dir).map_err(Error::io("create", dir))
}

/// Is one directory in the other, as their names go?
fn is_inside(inner: &Path, outer: &Path) -> bool {
    match (std::path::absolute(inner), std::path::absolute(outer)) {
        (Ok(inner), Ok(outer)) => inner.starts_with(outer),
        _ => true,
    }
}

/// Makes durable every name below a directory, and its own.
fn sync_tree(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    for entry in disk.list(dir).map_err(Error::io("list", dir))? {
        if entry.meta.is_dir {
            sync_tree(disk, &dir.join(entry.name))?;
        }
    }
    disk.sync_dir(dir).map_err(Error::io("sync", dir))
}

fn sync_parent(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let parent = dir.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    disk.sync_dir(parent).map_err(Error::io("sync", parent))
}
