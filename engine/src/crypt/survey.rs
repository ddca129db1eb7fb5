//! Which keys a data directory's files are under.

use crate::beside::Beside;
use crate::block::{BlockFile, FileKind};
use crate::disk::Disk;
use crate::error::Error;
use crate::journal::file;
use crate::segment::{EVENTS_FILE, Live};
use std::path::Path;

/// Are the keys of all journals and segments, and of what stands beside them, there? To be asked before anything is changed, or said to be
/// damaged. What else is wrong with a file is not looked at.
///
/// # Errors
/// [`Error::NoKey`] for the first file whose key is not there, and the system's.
pub fn check_keys(disk: &dyn Disk, data_dir: &Path) -> Result<(), Error> {
    let (journals, segments) = (data_dir.join("journal"), data_dir.join("segments"));
    if disk.exists(&journals)? {
        for base in file::list(disk, &journals)? {
            check(disk, &file::path(&journals, base), FileKind::Journal)?;
        }
    }
    // Not those that another one stands for: a crash after a rekey leaves them under a key that may go.
    for (dir, _) in Live::of(disk, &segments)?.segments {
        check(disk, &dir.join(EVENTS_FILE), FileKind::Segment)?;
    }
    for path in Beside::ALL.map(|file| data_dir.join(file.name())) {
        if disk.exists(&path)?
            && let Err(error @ Error::NoKey { .. }) = disk.read(&path)
        {
            return Err(error);
        }
    }
    Ok(())
}

fn check(disk: &dyn Disk, path: &Path, kind: FileKind) -> Result<(), Error> {
    match BlockFile::open(disk, path, kind) {
        Ok(file) => file.cipher().map(|_| ()),
        Err(error @ Error::NoKey { .. }) => Err(error),
        Err(_) => Ok(()),
    }
}
