//! Encryption keys in use, and encrypting everything under the first one.
//!
//! New files are encrypted with the first key. What is under another one, or under none, is written again:
//!
//! | files | when |
//! |---|---|
//! | the catalog | at the start, before it is opened: file by file |
//! | a journal without events | at the start: it is made again |
//! | other journals, with their text indexes | when they are sealed, which [`run`] does at once |
//! | what stands beside the log ([`Beside`]) | by [`run`] |
//! | files of feeds | by [`run`] |
//! | segments | by [`run`]: each is rewritten ([`crate::segment::rewrite`]) and replaced |
//!
//! Whatever stops it, every file is whole under the one key or the other; running it again goes on.

use super::merger;
use super::shared::Shared;
use crate::beside::{self, Beside};
use crate::disk::Disk;
use crate::disk::encrypted::{is_encrypted, reseal};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What was encrypted anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekeyed {
    /// The number of the key that everything is under now.
    pub key: u32,
    /// Segments that were rewritten; what was in journals is among them or is new.
    pub segments: u64,
}

/// The number of the key that encrypts; 0 if none does.
pub(super) fn first(disk: &dyn Disk) -> u32 {
    disk.keys().and_then(|keys| keys.first()).unwrap_or(0)
}

/// Puts everything under the first key.
pub(super) fn run(shared: &Shared) -> Result<Rekeyed, Error> {
    if let Some(reason) = shared.read_only_reason() {
        return Err(Error::ReadOnly { reason });
    }
    let key = first(&*shared.options.disk);
    if key == 0 {
        let what = "no encryption keys were given, so there is nothing to encrypt it with";
        return Err(Error::Unusable { path: shared.dir.clone(), what: what.to_owned() });
    }
    if shared.journals().iter().any(|journal| journal.file().header().key != key) {
        shared.seal_now()?;
    }
    beside::reseal(shared)?;
    let still = shared.feeds.write();
    for path in feed_files(&*shared.options.disk, &shared.dir.join("feeds"))? {
        reseal(&*shared.options.disk, &path)?;
    }
    drop(still);
    let mut rekeyed = Rekeyed { key, segments: 0 };
    for segment in shared.segments() {
        if shared.closing() {
            return Err(Error::Closed);
        }
        if segment.key() != key && merger::rewrite_one(shared, &segment)? {
            rekeyed.segments += 1;
        }
    }
    merger::sweep(shared);
    tracing::info!(
        key,
        segments = rekeyed.segments,
        "everything is under the first encryption key"
    );
    Ok(rekeyed)
}

/// Puts the catalog's files under the first key. Nobody has it open: a file that was replaced while its
/// writer replaces it would be an older one.
pub(super) fn catalog(disk: &dyn Disk, data_dir: &Path) {
    let resealed = catalog_files(disk, data_dir).and_then(|paths| {
        let mut count = 0;
        for path in paths {
            count += u64::from(reseal(disk, &path)?);
        }
        Ok(count)
    });
    match resealed {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "the catalog is under the first encryption key"),
        // One that can't be read is made again from the log.
        Err(error) => tracing::warn!(%error, "the catalog stays under the key that it has"),
    }
}

/// How many files are under each key; empty without keys.
///
/// A segment's files are written together, and what is made again of it later is under a newer key: its
/// events' key counts for all of them.
pub(super) fn keys_in_use(shared: &Shared) -> Result<BTreeMap<u32, u64>, Error> {
    let mut keys = BTreeMap::new();
    let disk = &*shared.options.disk;
    if first(disk) == 0 {
        return Ok(keys);
    }
    for segment in shared.segments() {
        *keys.entry(segment.key()).or_insert(0) += segment.manifest().files.len() as u64;
    }
    for journal in shared.journals() {
        *keys.entry(journal.file().header().key).or_insert(0) += 1;
    }
    for path in Beside::ALL.map(|file| shared.dir.join(file.name())) {
        if disk.exists(&path)? {
            let key = disk.key_of(&path).map_err(Error::io("read", &path))?;
            *keys.entry(key.unwrap_or(0)).or_insert(0) += 1;
        }
    }
    for path in feed_files(disk, &shared.dir.join("feeds"))? {
        // Feeds delete files as they go.
        if let Ok(key) = disk.key_of(&path) {
            *keys.entry(key.unwrap_or(0)).or_insert(0) += 1;
        }
    }
    for path in catalog_files(disk, &shared.dir)? {
        // The catalog's writer deletes files as it goes.
        if let Ok(key) = disk.key_of(&path) {
            *keys.entry(key.unwrap_or(0)).or_insert(0) += 1;
        }
    }
    Ok(keys)
}

/// The files of feeds that are encrypted, or would be.
fn feed_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    if !disk.exists(dir)? {
        return Ok(files);
    }
    for entry in disk.list(dir).map_err(Error::io("list", dir))? {
        let path = dir.join(&entry.name);
        match entry.meta.is_dir {
            true => files.extend(feed_files(disk, &path)?),
            false if is_encrypted(&path) && !entry.name.ends_with(".tmp") => files.push(path),
            false => {}
        }
    }
    Ok(files)
}

/// The files of the catalog that are encrypted, or would be.
fn catalog_files(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let dir = data_dir.join("catalog");
    if !disk.exists(&dir)? {
        return Ok(Vec::new());
    }
    let entries = disk.list(&dir).map_err(Error::io("list", &dir))?;
    let paths = entries.iter().filter(|entry| !entry.meta.is_dir).map(|e| dir.join(&e.name));
    let replacing = |path: &Path| path.extension().is_some_and(|extension| extension == "tmp");
    Ok(paths.filter(|path| is_encrypted(path) && !replacing(path)).collect())
}
