//! Mending a data directory at rest: what is derived from the log is made again.
//!
//! | what is damaged | what becomes of it |
//! |---|---|
//! | `DAYBOOK` | written again |
//! | `catalog/` | set aside; folded again from the log when it is opened |
//! | a journal's text index | deleted; indexed again when it is opened |
//! | `merkle/`: levels, what was signed, a byte of a leaf | made again from the leaves, from the checkpoint, by the leaf's hash |
//! | `keys/verifier.key` | made again from the signing key |
//! | a byte of a file's header | put right when it is opened |
//! | a segment's index, text index, Parquet copy, leaves, manifest | a new segment is written from its events |
//! | events | left as they are, and named |

use crate::disk::SharedDisk;
use crate::engine::{Engine, FORMAT_VERSION, Left, Options, Repaired, set_aside};
use crate::error::Error;
use crate::verify::{self, Mend, Report, verify};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Mends what can be mended. Answers what was done, and what is wrong after it.
///
/// # Errors
/// A directory that a server has open, and the system's.
pub fn repair(dir: &Path, options: Options) -> Result<(Repaired, Report), Error> {
    let disk = options.layered_disk();
    let before = verify(&disk, dir, &verify::Options::default())?;
    if before.running {
        let what = "a server has it open: ask that server to repair it (--server)".to_owned();
        return Err(Error::Unusable { path: dir.to_owned(), what });
    }
    let mut repaired = Repaired::default();
    let broken: BTreeSet<PathBuf> = before
        .findings
        .iter()
        .filter(|finding| finding.mend == Mend::Repair)
        .filter_map(|finding| unit(&finding.file))
        .collect();
    for unit in &broken {
        make_room(&disk, dir, unit)?;
        repaired.mended.push(dir.join(unit));
    }
    for finding in before.findings.iter().filter(|finding| finding.mend == Mend::Repair) {
        let path = dir.join(&finding.file);
        match crate::merkle::mend::mend(&disk, dir, &finding.file, finding.from..finding.to) {
            Ok(true) => repaired.mended.push(path),
            Ok(false) => {}
            Err(error) => repaired.left.push(Left { path, why: error.to_string() }),
        }
    }
    let engine = Engine::open(dir, Options { read_only: false, ..options })?;
    if let Some(reason) = engine.read_only_reason() {
        repaired.left.push(Left { path: dir.to_owned(), why: reason.to_string() });
    } else {
        let of_segments = engine.repair()?;
        repaired.mended.extend(of_segments.mended);
        repaired.left.extend(of_segments.left);
    }
    engine.close()?;
    drop(engine);
    let after = verify(&disk, dir, &verify::Options::default())?;
    Ok((repaired, after))
}

/// What is made again as a whole, of a file that is damaged; `None` for parts of segments, which the
/// engine mends.
fn unit(file: &Path) -> Option<PathBuf> {
    let mut names = file.iter();
    let first = names.next()?;
    let second = names.next().map(Path::new);
    match (first.to_str()?, second) {
        ("DAYBOOK" | "catalog", _) => Some(PathBuf::from(first)),
        ("journal", Some(text)) if text.extension().is_some_and(|ending| ending == "text") => {
            Some(Path::new(first).join(text))
        }
        _ => None,
    }
}

/// Takes away what is damaged, so that it is made again; puts back what has one content only.
fn make_room(disk: &SharedDisk, dir: &Path, unit: &Path) -> Result<(), Error> {
    let path = dir.join(unit);
    if unit.ends_with("DAYBOOK") {
        return disk.replace(&path, format!("{{\"daybook\":{FORMAT_VERSION}}}").as_bytes());
    }
    if !unit.ends_with("catalog") {
        disk.remove_tree(&path)?;
        let parent = path.parent().unwrap_or(dir);
        return disk.sync_dir(parent).map_err(Error::io("sync", parent));
    }
    set_aside(disk, dir, &path).map(|_| ())
}
