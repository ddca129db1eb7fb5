//! `segment.json`: what a segment holds, and the length and SHA-256 of each of its files.
//!
//! The last field, `self_sha256`, is over the file's own bytes with 64 zeroes in its place, so that a
//! flipped bit anywhere in it is found.

use super::MANIFEST_FILE;
use crate::disk::{Disk, read_exact_at};
use crate::error::Error;
use crate::event::{Micros, Offset};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of the format that this module writes.
pub const VERSION: u32 = 2;

/// What stands in `self_sha256` while the file is hashed.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A segment's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the segment's format.
    pub version: u32,
    /// The offset that it starts at.
    pub base: Offset,
    /// The offset after the last that it stands for; what is missing in between was erased.
    pub end: Offset,
    /// How many events it has.
    pub events: u64,
    /// How many sessions they are of.
    pub sessions: u64,
    /// Bytes of the events' lines as they were sent.
    pub raw_bytes: u64,
    /// The time of its earliest event.
    pub min_time: Micros,
    /// The time of its latest event.
    pub max_time: Micros,
    /// When its latest journal was sealed: what retention counts from.
    pub created: Micros,
    /// How often its events were rewritten.
    pub generation: u32,
    /// The names of the segments that it replaces: while they are still there, they do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// Its other files, by their path in its directory.
    pub files: BTreeMap<String, FileEntry>,
    /// The SHA-256 of this file, with zeroes in this place.
    pub self_sha256: String,
}

/// A file of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of a segment's directory.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Manifest, Error> {
        let path = dir.join(MANIFEST_FILE);
        let bytes = disk.read(&path)?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| Error::corrupt(&path, 0, error.to_string()))?;
        if manifest.version != VERSION {
            let what = format!(
                "its version is {}, this daybook reads version {VERSION}: use a newer one",
                manifest.version
            );
            return Err(Error::Unusable { path: dir.to_owned(), what });
        }
        if manifest.encode(&path)? != bytes {
            return Err(Error::corrupt(&path, 0, "its checksum does not match"));
        }
        Ok(manifest)
    }

    /// Its bytes, with their hash in their last field.
    ///
    /// # Errors
    /// None that can happen.
    pub fn encode(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let json = |manifest: &Manifest| {
            serde_json::to_vec_pretty(manifest)
                .map_err(|error| Error::io("write", path)(std::io::Error::other(error)))
        };
        let mut hashed = Manifest { self_sha256: NO_HASH.to_owned(), ..self.clone() };
        hashed.self_sha256 = hex::encode(Sha256::digest(json(&hashed)?));
        json(&hashed)
    }

    /// Bytes of the segment's files, without the manifest.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Reads every file of a segment's directory and compares it with what was written.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] for the first file that differs.
    pub fn verify(&self, disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
        for (name, expected) in &self.files {
            let path = dir.join(name);
            if FileEntry::of(disk, &path)? != *expected {
                return Err(Error::corrupt(&path, 0, "it is not the file that was sealed"));
            }
        }
        Ok(())
    }
}

impl FileEntry {
    /// Measures a file.
    ///
    /// # Errors
    /// The system's.
    pub fn of(disk: &dyn Disk, path: &Path) -> Result<FileEntry, Error> {
        FileEntry::with_start(disk, path, &[])
    }

    /// Measures a file as if it started with these bytes.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn with_start(
        disk: &dyn Disk,
        path: &Path,
        start: &[u8],
    ) -> Result<FileEntry, Error> {
        let file = disk.open_read(path)?;
        let bytes = file.len().map_err(Error::io("read the length of", path))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        hash.update(start);
        let mut at = start.len() as u64;
        while at < bytes {
            let len = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(buffer.len());
            let piece = buffer.get_mut(..len).unwrap_or_default();
            read_exact_at(&*file, piece, at).map_err(Error::io("read", path))?;
            hash.update(&*piece);
            at += len as u64;
        }
        Ok(FileEntry { bytes, sha256: hex::encode(hash.finalize()) })
    }
}
