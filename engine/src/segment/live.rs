//! Which segments count.
//!
//! A segment that was rewritten may still be there for a moment beside the one that stands for it, after a
//! crash until the next start. Only manifests are read to tell: a segment that does not count any more may
//! be damaged, and is often rewritten for that reason.

use super::{Manifest, delete, list};
use crate::disk::Disk;
use crate::error::Error;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The segments of a directory.
#[derive(Debug, Default)]
pub struct Live {
    /// Those that count, oldest first. A manifest that can't be read is an error of the segment's, not of the
    /// listing.
    pub segments: Vec<(PathBuf, Result<Manifest, Error>)>,
    /// The names of those that another one stands for.
    pub replaced: Vec<String>,
}

impl Live {
    /// Reads the manifests of a directory's segments.
    ///
    /// # Errors
    /// The system's, when the directory can't be listed.
    pub fn of(disk: &dyn Disk, segments_dir: &Path) -> Result<Live, Error> {
        let mut live = Live::default();
        let mut names = BTreeSet::new();
        for path in list(disk, segments_dir)? {
            let manifest = Manifest::read(disk, &path);
            names.extend(manifest.iter().flat_map(|manifest| manifest.replaces.iter().cloned()));
            live.segments.push((path, manifest));
        }
        live.segments.retain(|(path, _)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let replaced = names.contains(&name);
            if replaced {
                live.replaced.push(name);
            }
            !replaced
        });
        Ok(live)
    }
}

/// Deletes what is left of the segments that one stands for. To be done before that one is itself deleted
/// without a replacement: or they would count again.
///
/// # Errors
/// The system's.
pub fn delete_replaced(
    disk: &dyn Disk,
    segments_dir: &Path,
    manifest: &Manifest,
) -> Result<(), Error> {
    manifest.replaces.iter().try_for_each(|name| delete(disk, segments_dir, name))
}
