//! Encryption keys in use, and encrypting everything under the first one.
//!
//! New files are encrypted with the first key. What is under another one, or under none, is written again:
//! journals are sealed, segments rewritten ([`crate::segment::rewrite`]), the catalog's files replaced one by
//! one. Whatever stops it, every file is whole under the one key or the other; running it again goes on.

use super::shared::Shared;
use crate::disk::encrypted::is_encrypted;
use crate::error::Error;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How many files are under each key; empty without keys.
///
/// A segment's files are written together, and what is made again of it later is under a newer key: its
/// events' key counts for all of them.
pub(super) fn keys_in_use(shared: &Shared) -> Result<BTreeMap<u32, u64>, Error> {
    let mut keys = BTreeMap::new();
    let disk = &shared.options.disk;
    if disk.keys().and_then(|keys| keys.first()).is_none() {
        return Ok(keys);
    }
    for segment in shared.segments() {
        *keys.entry(segment.key()).or_insert(0) += segment.manifest().files.len() as u64;
    }
    for journal in shared.journals() {
        *keys.entry(journal.file().header().key).or_insert(0) += 1;
    }
    for path in catalog_files(shared)? {
        // The catalog's writer deletes files as it goes.
        if let Ok(key) = disk.key_of(&path) {
            *keys.entry(key.unwrap_or(0)).or_insert(0) += 1;
        }
    }
    Ok(keys)
}

/// The files of the catalog that are encrypted, or would be.
fn catalog_files(shared: &Shared) -> Result<Vec<PathBuf>, Error> {
    let dir = shared.dir.join("catalog");
    if !shared.options.disk.exists(&dir)? {
        return Ok(Vec::new());
    }
    let entries = shared.options.disk.list(&dir).map_err(Error::io("list", &dir))?;
    let paths = entries.iter().filter(|entry| !entry.meta.is_dir).map(|e| dir.join(&e.name));
    Ok(paths
        .filter(|path| is_encrypted(path) && path.extension() != Some("tmp".as_ref()))
        .collect())
}
