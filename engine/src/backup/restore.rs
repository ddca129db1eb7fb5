//! From a backup to a data directory.

use super::{Manifest, Report, is_inside, make_target, sync_parent, sync_tree, unusable};
use crate::beside::Beside;
use crate::disk::{Disk, DiskFile, FileWriter, Open, read_exact_at};
use crate::error::Error;
use crate::segment::FileEntry;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Written last: without it, no directory is taken for a data directory.
const MARKER: &str = "DAYBOOK";

/// Copies a backup into a directory that is not there, or is empty, and compares every byte with what
/// was backed up. What fails leaves an empty directory.
pub(crate) fn restore(disk: &dyn Disk, from: &Path, to: &Path) -> Result<Report, Error> {
    let manifest = Manifest::read(disk, from)?;
    if is_inside(to, from) {
        return Err(unusable(to, "it is in the backup; name a directory outside of it"));
    }
    let marker = manifest.files.get(MARKER).ok_or_else(|| {
        Error::corrupt(&from.join(super::MANIFEST_FILE), 0, "it does not name DAYBOOK")
    })?;
    make_target(disk, to)?;
    let copied = copy(disk, from, to, &manifest)
        .and_then(|()| copy_file(disk, &from.join(MARKER), &to.join(MARKER), marker));
    if copied.is_err() {
        for entry in disk.list(to).map_err(Error::io("list", to))? {
            let path = to.join(&entry.name);
            match entry.meta.is_dir {
                true => disk.remove_tree(&path)?,
                false => disk.remove_file(&path).map_err(Error::io("delete", &path))?,
            }
        }
    }
    copied?;
    disk.sync_dir(to).map_err(Error::io("sync", to))?;
    sync_parent(disk, to)?;
    Ok(manifest.report(to))
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path, manifest: &Manifest) -> Result<(), Error> {
    for (name, file) in manifest.files.iter().filter(|(name, _)| *name != MARKER) {
        let relative = PathBuf::from(name);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            let what = format!("it names `{name}`, which is no file of a backup");
            return Err(Error::corrupt(&from.join(super::MANIFEST_FILE), 0, what));
        }
        let target = to.join(&relative);
        if let Some(parent) = target.parent() {
            disk.create_dir(parent).map_err(Error::io("create", parent))?;
        }
        copy_file(disk, &from.join(&relative), &target, file)?;
    }
    sync_tree(disk, to)
}

/// Copies a file durably, and compares it with what was backed up.
fn copy_file(disk: &dyn Disk, from: &Path, to: &Path, expected: &FileEntry) -> Result<(), Error> {
    let damaged = |at, what: String| Error::corrupt(from, at, what);
    if !disk.exists(from)? {
        return Err(damaged(0, "it is missing, but backup.json names it".to_owned()));
    }
    let file = disk.open_read(from)?;
    let len = file.len().map_err(Error::io("read the length of", from))?;
    if len != expected.bytes {
        let what = format!("it has {len} bytes, but {} were backed up", expected.bytes);
        return Err(damaged(len.min(expected.bytes), what));
    }
    let mut out = FileWriter::new(create(disk, to)?);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < len {
        let part = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        let window = buffer.get_mut(..part).unwrap_or_default();
        read_exact_at(&*file, window, at).map_err(Error::io("read", from))?;
        hash.update(&*window);
        out.write_all(window).map_err(Error::io("write", to))?;
        at += part as u64;
    }
    if hex::encode(hash.finalize()) != expected.sha256 {
        return Err(damaged(0, "it is not the file that was backed up".to_owned()));
    }
    out.finish().map_err(Error::io("sync", to))
}

/// A new file; what holds secrets only for its owner.
fn create(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
    let is_key = path.parent().is_some_and(|dir| dir.ends_with("keys"));
    let name = path.file_name().and_then(|name| name.to_str());
    let made = if is_key || name.is_some_and(|name| Beside::of(name).is_some()) {
        disk.create_private(path)
    } else {
        disk.open(path, Open::CreateNew)
    };
    made.map_err(Error::io("create", path))
}
