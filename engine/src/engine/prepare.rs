//! What is looked at before anything of the log is read: may this process have the directory, and can
//! this code read it? Each refusal says what to do.
//!
//! | what is found | what is said |
//! |---|---|
//! | a read-only file system, another user's directory | that, and that commands with `--data` read it |
//! | the lock held | by which process, where the system says |
//! | `DAYBOOK` of a newer or an older version | which version to use |
//! | no `DAYBOOK` beside journals or segments | what to put back, if one is sure |
//! | segments, but no `journal` | what is gone with it |

use crate::disk::{Disk, Lock};
use crate::error::Error;
use crate::retention::Keeper;
use crate::segment;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version of the data directory's format that this code reads and writes.
pub const FORMAT_VERSION: u32 = 4;

#[derive(Serialize, Deserialize)]
struct Marker {
    daybook: u32,
}

/// Each segment keeps a file open, and the usual soft limit of 1,024 is for programs that use
/// `select`: the limit is raised as far as the system lets this process.
pub(super) fn raise_open_files(most: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let asked = (most > 0).then_some(most);
    let wish = match (asked, maximum) {
        (Some(asked), Some(maximum)) => Some(asked.min(maximum)),
        (asked, maximum) => asked.or(maximum),
    };
    if wish.is_some_and(|wish| asked.is_some_and(|asked| wish < asked)) {
        tracing::warn!(?maximum, open_files_max = most, "the system allows fewer open files");
    }
    if current != wish
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: wish, maximum })
    {
        tracing::warn!(%error, ?current, "the limit of open files could not be raised");
    }
}

/// Checks the marker and takes the lock; makes both in a directory that is new.
pub(super) fn prepare(
    disk: &dyn Disk,
    dir: &Path,
    writable: bool,
) -> Result<Option<Box<dyn Lock>>, Error> {
    let unusable = |what: &str| Error::Unusable { path: dir.to_owned(), what: what.to_owned() };
    let marker = dir.join("DAYBOOK");
    if !writable && !disk.exists(&marker)? {
        return Err(unusable("it is not a data directory of daybook's (there is no file DAYBOOK)"));
    }
    if writable {
        disk.create_dir_durably(dir).map_err(|error| not_writable(dir, error))?;
    }
    let lock_path = dir.join("LOCK");
    let lock = if writable || disk.exists(&lock_path)? {
        let lock = disk.lock(&lock_path, writable).map_err(Error::io("lock", &lock_path));
        Some(lock.map_err(|error| not_writable(dir, error))?.ok_or_else(|| {
            let who = match disk.lock_holder(&lock_path) {
                Some(process) => format!("another daybook (process {process}) has it open"),
                None => "another daybook has it open".to_owned(),
            };
            unusable(&format!("{who}; use that one's --server address, or stop it"))
        })?)
    } else {
        None
    };
    if disk.exists(&marker)? {
        let found: Marker = serde_json::from_slice(&disk.read(&marker)?)
            .map_err(|_| unusable("its file DAYBOOK is damaged"))?;
        if found.daybook > FORMAT_VERSION {
            return Err(unusable("a newer version of daybook wrote it; use that version"));
        }
        if found.daybook < FORMAT_VERSION {
            return Err(unusable(
                "an older version of daybook wrote it; export its events with that version and import them with this one",
            ));
        }
    } else if disk.exists(&dir.join("journal"))? || disk.exists(&dir.join("segments"))? {
        return Err(unusable(&format!(
            "its file DAYBOOK is missing; put back `{{\"daybook\":{FORMAT_VERSION}}}` if you are sure"
        )));
    } else {
        // First: a directory with a marker always has it.
        Keeper::create(disk, dir)?;
        let text = serde_json::to_vec(&Marker { daybook: FORMAT_VERSION }).unwrap_or_default();
        disk.replace(&marker, &text)?;
    }
    Ok(lock)
}

/// A directory in which nothing can be written; what to do about it is to be said.
fn not_writable(dir: &Path, error: Error) -> Error {
    use std::io::ErrorKind;
    let why = match &error {
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::ReadOnlyFilesystem => "its file system is read-only",
            ErrorKind::PermissionDenied => "this user may not write in it",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "its disk is full",
            _ => return error,
        },
        _ => return error,
    };
    let what = format!("{why} ({error}); mend that, or only read it: commands with --data do");
    Error::Unusable { path: dir.to_owned(), what }
}

/// A log with segments has had journals, and what was in them would be missed.
pub(super) fn journals_are_there(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let sealed = segment::list(disk, &dir.join("segments"))?;
    if sealed.is_empty() || disk.exists(&dir.join("journal"))? {
        return Ok(());
    }
    let what = "its directory `journal` is missing, and with it every event that was not sealed yet; \
                put it back, or restore a backup; without either, make an empty one";
    Err(Error::Unusable { path: dir.to_owned(), what: what.to_owned() })
}
