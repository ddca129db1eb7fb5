//! From an engine to a backup.

use super::{
    MANIFEST_FILE, Manifest, Report, is_inside, make_target, sync_parent, sync_tree, unusable,
};
use crate::block::FILE_HEADER_LEN;
use crate::disk::{Disk, FileWriter, Open, read_exact_at};
use crate::engine::Shared;
use crate::error::Error;
use crate::event::{Micros, Offset};
use crate::journal::file;
use crate::journal::part::JournalView;
use crate::segment::FileEntry;
use crate::view::Part as _;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

/// Names that are no part of a backup: the lock, and what is copied by hand.
const APART: [&str; 4] = ["LOCK", "journal", "merkle", HOLDS];
/// What is held: taken last, so that nothing is held less than the log that was copied says.
const HOLDS: &str = "retention.json";
/// The tree's files that are replaced; in this order each speaks of no more than the next.
const SIGNED: [&str; 2] = ["checkpoint", "signed"];

/// Makes a backup in a directory that is not there, or is empty.
pub(crate) fn make(shared: &Shared, to: &Path) -> Result<Report, Error> {
    let disk = &*shared.raw_disk;
    if is_inside(to, &shared.dir) {
        return Err(unusable(to, "it is in the data directory; name one outside of it"));
    }
    make_target(disk, to)?;
    let mut manifest = {
        // Until the copy stands, nothing that is sealed changes.
        let _alone = shared.background.lock();
        let _catalog = shared.catalog_files.lock();
        // Nor is anything deleted that another segment stands for.
        let _still = shared.merger.lock();
        let _feeds = shared.feeds.write();
        copy(shared, disk, to)?
    };
    measure(disk, to, "", &mut manifest.files)?;
    sync_tree(disk, to)?;
    let json = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other);
    let path = to.join(MANIFEST_FILE);
    disk.replace(&path, &json.map_err(Error::io("write", &path))?)?;
    sync_parent(disk, to)?;
    Ok(manifest.report(to))
}

fn copy(shared: &Shared, disk: &dyn Disk, to: &Path) -> Result<Manifest, Error> {
    let created = Micros::now();
    shared.catalog.commit()?;
    // Before the journals: what stands beside the log speaks of no event that is not copied.
    for entry in disk.list(&shared.dir).map_err(Error::io("list", &shared.dir))? {
        if !APART.contains(&entry.name.as_str()) && !entry.name.ends_with(".tmp") {
            link(disk, &shared.dir.join(&entry.name), &to.join(&entry.name), entry.meta.is_dir)?;
        }
    }
    copy_tree_of_hashes(disk, &shared.dir.join("merkle"), &to.join("merkle"))?;
    let journals: Vec<JournalView> = shared.journals().iter().map(|j| j.view()).collect();
    let dir = to.join("journal");
    disk.create_dir(&dir).map_err(Error::io("create", &dir))?;
    for journal in &journals {
        copy_journal(disk, journal, &file::path(&dir, journal.base()))?;
    }
    link(disk, &shared.dir.join(HOLDS), &to.join(HOLDS), false)?;
    let segments = shared.segments();
    let in_segments: u64 = segments.iter().map(|segment| u64::from(segment.len())).sum();
    let events = journals.iter().map(|journal| u64::from(journal.len())).sum::<u64>() + in_segments;
    let sealed_end = segments.last().map_or(Offset(0), |segment| segment.end());
    let next = journals.last().map_or(sealed_end, |journal| journal.end());
    Ok(Manifest::new(created, events, next))
}

/// Is it being made or deleted?
fn is_passing(name: &str) -> bool {
    name.starts_with(".tmp-") || name.starts_with(".gone-") || name.ends_with(".tmp")
}

/// Gives a file that is never changed a second name; a directory's files each.
fn link(disk: &dyn Disk, from: &Path, to: &Path, is_dir: bool) -> Result<(), Error> {
    if !is_dir {
        return disk.link(from, to).map_err(Error::io("link", from));
    }
    disk.create_dir(to).map_err(Error::io("create", to))?;
    for entry in disk.list(from).map_err(Error::io("list", from))? {
        if !is_passing(&entry.name) {
            link(disk, &from.join(&entry.name), &to.join(&entry.name), entry.meta.is_dir)?;
        }
    }
    Ok(())
}

/// The Merkle log: it grows meanwhile, but what was signed is in its leaves already.
fn copy_tree_of_hashes(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), Error> {
    if !disk.exists(from)? {
        return Ok(());
    }
    disk.create_dir(to).map_err(Error::io("create", to))?;
    for name in SIGNED {
        if disk.exists(&from.join(name))? {
            disk.link(&from.join(name), &to.join(name)).map_err(Error::io("link", from))?;
        }
    }
    for entry in disk.list(from).map_err(Error::io("list", from))? {
        let signed = SIGNED.contains(&entry.name.as_str());
        if !entry.meta.is_dir && !signed && !is_passing(&entry.name) {
            copy_file(disk, &from.join(&entry.name), &to.join(&entry.name), None)?;
        }
    }
    Ok(())
}

/// A journal up to the end of its last block.
fn copy_journal(disk: &dyn Disk, journal: &JournalView, to: &Path) -> Result<(), Error> {
    let file = journal.journal().file();
    let end = match journal.blocks().last() {
        Some(block) => block.at + file.read_header(block.at)?.len_in_file(),
        None => FILE_HEADER_LEN as u64,
    };
    copy_file(disk, file.path(), to, Some(end))
}

/// Copies a file, or its start, durably.
fn copy_file(disk: &dyn Disk, from: &Path, to: &Path, end: Option<u64>) -> Result<(), Error> {
    let file = disk.open_read(from)?;
    let len = file.len().map_err(Error::io("read the length of", from))?;
    let end = end.unwrap_or(len);
    let mut out = FileWriter::new(disk.open(to, Open::CreateNew).map_err(Error::io("create", to))?);
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < end {
        let part = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let window = buffer.get_mut(..part).unwrap_or_default();
        read_exact_at(&*file, window, at).map_err(Error::io("read", from))?;
        out.write_all(window).map_err(Error::io("write", to))?;
        at += part as u64;
    }
    out.finish().map_err(Error::io("sync", to))
}

/// The length and the hash of every file below a directory.
fn measure(
    disk: &dyn Disk,
    root: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, FileEntry>,
) -> Result<(), Error> {
    let dir = root.join(prefix);
    for entry in disk.list(&dir).map_err(Error::io("list", &dir))? {
        let name = match prefix {
            "" => entry.name.clone(),
            _ => format!("{prefix}/{}", entry.name),
        };
        if entry.meta.is_dir {
            measure(disk, root, &name, files)?;
        } else {
            files.insert(name, FileEntry::of(disk, &dir.join(&entry.name))?);
        }
    }
    Ok(())
}
