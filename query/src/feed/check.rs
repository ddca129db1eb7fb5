//! Are the files of a data directory's feeds what their tables say? For `daybook verify`.

use super::Error;
use super::store::{DiskStore, Store};
use super::table::{LOG_DIR, Table};
use super::units::{self, File};
use daybook_engine::disk::SharedDisk;
use daybook_engine::verify::{Finding, Mend, Problem, Report};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Reads every file that the tables in `dir/feeds` have, and adds to `report` what was read and what is wrong.
///
/// # Errors
/// A directory that can't be listed. Damage is in the report.
pub fn check(disk: &SharedDisk, dir: &Path, report: &mut Report) -> Result<(), Error> {
    let feeds = dir.join("feeds");
    for feed in dirs(disk, &feeds)? {
        for table in dirs(disk, &feeds.join(&feed))? {
            let root = Path::new("feeds").join(&feed).join(&table);
            let store = DiskStore::at(disk, &dir.join(&root));
            if Table::is_at(&store)? {
                check_table(&store, &root, report);
            }
        }
    }
    Ok(())
}

fn dirs(disk: &SharedDisk, dir: &Path) -> Result<Vec<String>, Error> {
    if !disk.exists(dir)? {
        return Ok(Vec::new());
    }
    let entries = disk.list(dir).map_err(daybook_engine::Error::io("list", dir))?;
    let mut names: Vec<String> =
        entries.into_iter().filter(|entry| entry.meta.is_dir).map(|entry| entry.name).collect();
    names.sort_unstable();
    Ok(names)
}

fn check_table(store: &dyn Store, root: &Path, report: &mut Report) {
    let files = match Table::read(store) {
        Ok(state) => units::files(&state),
        Err(error) => {
            let what = format!("the table's log can't be read: {error}");
            report.findings.push(finding(root.join(LOG_DIR), Problem::Damaged, what));
            return;
        }
    };
    for file in files {
        match wrong(store, &file) {
            Ok(None) => {
                report.files += 1;
                report.bytes += file.size;
            }
            // A server that has the directory open may have made one of several, and deleted them.
            _ if report.running && !still_has(store, &file) => {}
            Ok(Some((problem, what))) => {
                report.findings.push(finding(root.join(&file.path), problem, what));
            }
            Err(error) => {
                let what = error.to_string();
                report.findings.push(finding(root.join(&file.path), Problem::Damaged, what));
            }
        }
    }
}

fn still_has(store: &dyn Store, file: &File) -> bool {
    Table::read(store).is_ok_and(|state| state.live.contains_key(&file.path))
}

/// What is wrong with a file.
fn wrong(store: &dyn Store, file: &File) -> Result<Option<(Problem, String)>, Error> {
    if !store.exists(&file.path)? {
        return Ok(Some((Problem::Missing, "the table has it, and it is not there".to_owned())));
    }
    let mut hash = Sha256::new();
    let mut from = 0;
    while from < file.size {
        let to = file.size.min(from + store.piece_bytes());
        match store.read(&file.path, from..to) {
            Ok(bytes) => hash.update(&bytes),
            Err(Error::Engine(error)) => {
                let what = format!("bytes {from} to {to} can't be read: {error}");
                return Ok(Some((Problem::Damaged, what)));
            }
            Err(error) => return Err(error),
        }
        from = to;
    }
    let found = hex::encode(hash.finalize());
    if store.read(&file.path, file.size..file.size + 1).is_ok() {
        let what = format!("it is longer than the {} bytes that were written", file.size);
        return Ok(Some((Problem::Damaged, what)));
    }
    if found != file.sha256 {
        let what = format!("its SHA-256 is {found}; it was written with {}", file.sha256);
        return Ok(Some((Problem::Damaged, what)));
    }
    Ok(None)
}

fn finding(file: PathBuf, problem: Problem, what: String) -> Finding {
    Finding { file, from: 0, to: 0, problem, what, events: Vec::new(), mend: Mend::Rewrite }
}
