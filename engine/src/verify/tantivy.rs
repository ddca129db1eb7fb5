//! Directories of tantivy's: the catalog, and journals' text indexes.
//!
//! ```text
//! file = body, JSON {"version":{...},"crc":N}, length of the JSON 4 (LE), 1337 4 (LE)
//! ```
//!
//! The checksum is over the body alone; the JSON behind it has one spelling only, and all files of a
//! directory that were written by one version say the same version. `meta.json` and `.managed.json`
//! have a checksum of daybook's ([`crate::disk::checked`]).

use super::Check;
use super::blocks::short;
use super::report::{Mend, Problem};
use crate::disk::{Disk, checked, read_exact_at};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TRAILER_LEN: u64 = 8;
const MAGIC: u32 = 1337;
/// The longest footer that tantivy believes, in bytes.
const FOOTER_LEN_MAX: u64 = 50_000;
/// The files of each segment of an index.
const PARTS: [&str; 6] = ["idx", "pos", "term", "store", "fast", "fieldnorm"];

#[derive(Deserialize, Serialize)]
struct Footer {
    version: Version,
    crc: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    index_format_version: u32,
}

/// Something wrong in a directory: the file, its bytes, and what.
type Wrong = (PathBuf, Range<u64>, Problem, String);

impl Check<'_> {
    /// Checks every file of an index.
    pub(super) fn tantivy(&mut self, dir: &Path) -> Result<(), Error> {
        const TRIES: usize = 5;
        for attempt in 1.. {
            let mut files = (0, 0);
            let wrong = match look(&**self.disk, dir, &mut files) {
                Err(error) if self.vanished(dir, &error) => return Ok(()),
                Err(error) if self.running && attempt < TRIES => {
                    let _ = error;
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
                wrong => wrong?,
            };
            // A commit replaces files while they are read here.
            if !wrong.is_empty() && self.running && attempt < TRIES {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            self.report.files += files.0;
            self.count_bytes(files.1);
            for (path, bytes, problem, what) in wrong {
                let mend = if problem.harms() { Mend::Repair } else { Mend::Nothing };
                self.found(&path, bytes, problem, what, Vec::new(), mend);
            }
            break;
        }
        Ok(())
    }
}

/// The first file of an index that is damaged, where, and what is wrong. Nobody may write to it meanwhile.
///
/// # Errors
/// The system's.
pub(crate) fn damaged_index(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<(PathBuf, u64, String)>, Error> {
    let wrong = look(disk, dir, &mut (0, 0))?;
    let first = wrong.into_iter().find(|(_, _, problem, _)| problem.harms());
    Ok(first.map(|(path, bytes, _, what)| (path, bytes.start, what)))
}

fn look(disk: &dyn Disk, dir: &Path, files: &mut (u64, u64)) -> Result<Vec<Wrong>, Error> {
    let mut wrong = Vec::new();
    let entries = disk.list(dir).map_err(Error::io("list", dir))?;
    let names: BTreeMap<&str, u64> =
        entries.iter().map(|entry| (entry.name.as_str(), entry.meta.len)).collect();
    let mut live = None;
    for name in ["meta.json", ".managed.json"] {
        let path = dir.join(name);
        let Some(len) = names.get(name) else {
            // An index is made by writing them first.
            if !names.is_empty() {
                wrong.push((path, 0..0, Problem::Missing, "it is not there".to_owned()));
            }
            continue;
        };
        *files = (files.0 + 1, files.1 + len);
        let bytes = match disk.read(&path) {
            Err(Error::Corrupt { at, what, .. }) => {
                wrong.push((path, at..*len, Problem::Damaged, what));
                continue;
            }
            bytes => bytes?,
        };
        match checked(bytes) {
            None => {
                let what = "its checksum does not match".to_owned();
                wrong.push((path, 0..*len, Problem::Damaged, what));
            }
            Some(bytes) if name == "meta.json" => match live_segments(&bytes) {
                Some(segments) => live = Some(segments),
                None => {
                    let what = "it is not an index's list of segments".to_owned();
                    wrong.push((path, 0..*len, Problem::Damaged, what));
                }
            },
            Some(_) => {}
        }
    }
    let mut versions: BTreeMap<Version, Vec<(PathBuf, Range<u64>)>> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (name, len) in names {
        let path = dir.join(name);
        let (id, part) = name.split_once('.').unwrap_or((name, ""));
        if name.ends_with(".json") || name.ends_with(".lock") {
            continue;
        }
        if live.as_ref().is_some_and(|live| !live.iter().any(|segment| segment.owns(id, part))) {
            let what = "it is of a part of the index that was merged or replaced".to_owned();
            wrong.push((path, 0..len, Problem::Leftover, what));
            continue;
        }
        found.insert((id.to_owned(), part.to_owned()));
        *files = (files.0 + 1, files.1 + len);
        match body(disk, &path) {
            Ok((version, footer)) => versions.entry(version).or_default().push((path, footer)),
            Err((bytes, what)) => wrong.push((path, bytes, Problem::Damaged, what)),
        }
    }
    for segment in live.into_iter().flatten() {
        let deleted = segment.deletes.map(|opstamp| format!("{opstamp}.del"));
        for part in PARTS.map(str::to_owned).into_iter().chain(deleted) {
            if !found.contains(&(segment.id.clone(), part.clone())) {
                let path = dir.join(format!("{}.{part}", segment.id));
                wrong.push((path, 0..0, Problem::Missing, "it is not there".to_owned()));
            }
        }
    }
    // The version is behind no checksum, but it is said once in each file.
    if let Some(most) = versions.iter().max_by_key(|(_, files)| files.len()).map(|(v, _)| *v) {
        for (_, files) in
            versions.into_iter().filter(|(version, files)| *version != most && files.len() == 1)
        {
            let what = "it says another version than the files beside it".to_owned();
            wrong.extend(
                files
                    .into_iter()
                    .map(|(path, bytes)| (path, bytes, Problem::Damaged, what.clone())),
            );
        }
    }
    Ok(wrong)
}

struct Live {
    id: String,
    deletes: Option<u64>,
}

impl Live {
    fn owns(&self, id: &str, part: &str) -> bool {
        let deleted = || self.deletes.is_some_and(|opstamp| part == format!("{opstamp}.del"));
        self.id == id && (PARTS.contains(&part) || deleted())
    }
}

/// The segments that `meta.json` names.
fn live_segments(bytes: &[u8]) -> Option<Vec<Live>> {
    let meta: Value = serde_json::from_slice(bytes).ok()?;
    let segments = meta.get("segments")?.as_array()?;
    segments
        .iter()
        .map(|segment| {
            let id = segment.get("segment_id")?.as_str()?.replace('-', "");
            let deletes = segment.get("deletes").and_then(|d| d.get("opstamp")?.as_u64());
            Some(Live { id, deletes })
        })
        .collect()
}

/// Checks a file's body and footer; answers its version and where the footer is.
fn body(disk: &dyn Disk, path: &Path) -> Result<(Version, Range<u64>), (Range<u64>, String)> {
    let whole = |error: Error| (0..0, short(error));
    let file = disk.open_read(path).map_err(whole)?;
    let len = file.len().map_err(Error::io("read the length of", path)).map_err(whole)?;
    let read = |from: u64, buffer: &mut [u8]| {
        let end = from + buffer.len() as u64;
        read_exact_at(&*file, buffer, from)
            .map_err(|error| (from..end, format!("can't read it: {error}")))
    };
    let cut = || (0..len, "its end is not one of an index's file".to_owned());
    let mut trailer = [0; TRAILER_LEN as usize];
    let trailer_at = len.checked_sub(TRAILER_LEN).ok_or_else(cut)?;
    read(trailer_at, &mut trailer)?;
    let [a, b, c, d, magic @ ..] = trailer;
    let footer_len = u64::from(u32::from_le_bytes([a, b, c, d]));
    let end = || (trailer_at..len, "its last bytes are not those of an index's file".to_owned());
    if u32::from_le_bytes(magic) != MAGIC || footer_len > FOOTER_LEN_MAX {
        return Err(end());
    }
    let footer_at = trailer_at.checked_sub(footer_len).ok_or_else(end)?;
    let mut text = vec![0; footer_len as usize];
    read(footer_at, &mut text)?;
    let wrong = || (footer_at..len, "its footer is not as it was written".to_owned());
    let footer: Footer = serde_json::from_slice(&text).map_err(|_| wrong())?;
    if serde_json::to_vec(&footer).ok().as_deref() != Some(text.as_slice()) {
        return Err(wrong());
    }
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < footer_at {
        let piece = usize::try_from(footer_at - at).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..piece).unwrap_or_default();
        read(at, piece)?;
        crc.update(piece);
        at += piece.len() as u64;
    }
    if crc.finalize() != footer.crc {
        return Err((0..len, "its checksum does not match".to_owned()));
    }
    Ok((footer.version, footer_at..len))
}
