//! Proving a data directory: that every byte is what was written, and every event is what was sent.
//!
//! ```text
//!   DAYBOOK            is it a data directory of this format?
//!   keys/ merkle/      leaves ─► levels ─► root ─► checkpoint ─► signature      (tree)
//!                        ▲
//!   segments/          files ─► blocks ─► events, hashed again                  (log, segment)
//!   journal/           blocks ─► events, hashed again; torn tail or damage      (log, journal)
//!   catalog/ */text/   tantivy's checksums                                      (tantivy)
//!   catalog/           the fold of all events is what it says                   (fold)
//! ```
//!
//! Nothing is changed, damage is a finding and not an error, and memory does not grow with the log:
//! it holds one segment's hashes (32 bytes an event) and one block of each file that is folded.
//!
//! Checksums find what rotted. Whoever can write here can also make checksums fit: that is what the
//! tree finds, as long as its root was signed by a key that he does not have, or an older checkpoint
//! is at hand that he can't reach.
//!
//! Under a running engine the newest journal's end, and what is merged or deleted meanwhile, are left
//! out; the catalog is then not compared with the log.

mod blocks;
mod fold;
mod journal;
mod keys;
mod leaves;
mod levels;
mod log;
mod report;
mod segment;
mod tantivy;
mod tree;

pub(crate) use tantivy::damaged_index;

pub use report::{Deleted, Finding, Lost, Mend, Problem, Report, Statement};

use crate::beside::{self, Beside};
use crate::crypt::check_keys;
use crate::disk::encrypted::is_encrypted;
use crate::disk::{Lock, SharedDisk};
use crate::engine::FORMAT_VERSION;
use crate::error::Error;
use crate::merkle::Verifier;
use crate::retention::Keeper;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is verified, and against what.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// An older checkpoint (a signed note): the log has to continue it.
    pub checkpoint: Option<&'a [u8]>,
    /// The key that the log has to be signed with (`name+id+base64`), instead of the one it has.
    pub key: Option<&'a str>,
    /// Leave out the comparison of the catalog with the log, which reads every event once more?
    pub skip_catalog: bool,
    /// Hears of the bytes that were read and of how many there are in all.
    pub progress: Option<&'a dyn Fn(u64, u64)>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("checkpoint", &self.checkpoint.is_some())
            .field("key", &self.key)
            .field("skip_catalog", &self.skip_catalog)
            .finish_non_exhaustive()
    }
}

/// Verifies a data directory.
///
/// # Errors
/// A directory that is none of daybook's, an encryption key that is not there, a key that can't be read, and the system's where nothing
/// can be said without it. Damage is in the report.
pub fn verify(disk: &SharedDisk, dir: &Path, options: &Options<'_>) -> Result<Report, Error> {
    let mut check = Check::new(disk, dir, options)?;
    check.marker()?;
    check_keys(&**disk, dir)?;
    let mut tree = check.tree()?;
    let log = check.log(&mut tree)?;
    check.catalog(&log)?;
    check.leftovers()?;
    Ok(check.finish())
}

/// A verification under way.
struct Check<'a> {
    disk: &'a SharedDisk,
    dir: &'a Path,
    options: &'a Options<'a>,
    report: Report,
    /// Another process has the directory open.
    running: bool,
    key: Option<Verifier>,
    /// Bytes that are there and that have been read.
    bytes: (u64, u64),
    /// Keeps a server from opening the directory meanwhile.
    _lock: Option<Box<dyn Lock>>,
}

impl<'a> Check<'a> {
    fn new(
        disk: &'a SharedDisk,
        dir: &'a Path,
        options: &'a Options<'a>,
    ) -> Result<Check<'a>, Error> {
        let path = dir.join("LOCK");
        let (mut running, mut lock) = (false, None);
        if disk.exists(&path)? {
            lock = disk.lock(&path, false).map_err(Error::io("lock", &path))?;
            running = lock.is_none();
        }
        let bytes = (0, bytes_below(disk, dir));
        let report = Report { running, ..Report::default() };
        Ok(Check { disk, dir, options, report, running, key: None, bytes, _lock: lock })
    }

    /// Is the marker there, and as daybook writes it?
    fn marker(&mut self) -> Result<(), Error> {
        let path = self.dir.join("DAYBOOK");
        let parts = ["journal", "segments"].map(|name| self.dir.join(name));
        if !self.disk.exists(&path)? {
            if !self.disk.exists(&parts[0])? && !self.disk.exists(&parts[1])? {
                let what = "it is not a data directory of daybook's (there is no file DAYBOOK)";
                return Err(Error::Unusable { path: self.dir.to_owned(), what: what.to_owned() });
            }
            self.found(&path, 0..0, Problem::Missing, "it is not there", Vec::new(), Mend::Repair);
            return Ok(());
        }
        let bytes = self.whole(&path)?;
        if bytes != format!("{{\"daybook\":{FORMAT_VERSION}}}").as_bytes() {
            let what =
                format!("it does not say that this is a directory of version {FORMAT_VERSION}");
            let end = bytes.len() as u64;
            self.found(&path, 0..end, Problem::Damaged, what, Vec::new(), Mend::Repair);
        }
        Ok(())
    }

    /// Reports files that are of no use where they are.
    fn leftovers(&mut self) -> Result<(), Error> {
        // What is held is nowhere else in this form: without it nothing may be deleted.
        for (path, error) in Keeper::damage(&**self.disk, self.dir) {
            if !self.running {
                self.unreadable(&path, error);
            }
        }
        for (path, error) in beside::damage(&**self.disk, self.dir) {
            if !self.running {
                self.unreadable(&path, error);
            }
        }
        const KNOWN: [&str; 14] = [
            "DAYBOOK",
            "LOCK",
            "journal",
            "segments",
            "catalog",
            "merkle",
            "keys",
            "quarantine",
            "retention.json",
            "erasing.json",
            // What is in them is in the log.
            "feeds",
            // The server's; what is half written is of no use, and harms nothing.
            "tokens.json",
            "tokens.json.tmp",
            "tokens.json.new.tmp",
        ];
        for entry in self.disk.list(self.dir).map_err(Error::io("list", self.dir))? {
            let beside = Beside::of(entry.name.strip_suffix(".tmp").unwrap_or(&entry.name));
            let known = KNOWN.contains(&entry.name.as_str()) || beside.is_some();
            if !known && !self.running {
                self.leftover(&self.dir.join(&entry.name), entry.meta.len);
            }
        }
        Ok(())
    }

    fn leftover(&mut self, path: &Path, len: u64) {
        let what = "nothing here names it";
        self.found(path, 0..len, Problem::Leftover, what, Vec::new(), Mend::Nothing);
    }

    fn finish(mut self) -> Report {
        let place = |finding: &Finding| (finding.file.clone(), finding.from);
        self.report.findings.sort_by_cached_key(place);
        self.report
    }

    fn found(
        &mut self,
        path: &Path,
        bytes: Range<u64>,
        problem: Problem,
        what: impl Into<String>,
        events: Vec<Lost>,
        mend: Mend,
    ) {
        let file = self.named(path);
        let what = what.into();
        let bytes = if problem.harms() { self.stored(path, bytes) } else { bytes };
        let (from, to) = (bytes.start, bytes.end.max(bytes.start));
        self.report.findings.push(Finding { file, from, to, problem, what, events, mend });
    }

    /// A range of a file as it lies on the disk: of one that may be encrypted in chunks, all of it, for its
    /// bytes are not where those are that were read.
    fn stored(&self, path: &Path, bytes: Range<u64>) -> Range<u64> {
        let keys = self.disk.keys().and_then(|keys| keys.first());
        if keys.is_none() || !is_encrypted(path) {
            return bytes;
        }
        let (dir, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
        let entries = self.disk.list(dir).unwrap_or_default();
        let entry = entries.into_iter().find(|entry| entry.name.as_str() == name);
        entry.map_or(bytes, |entry| 0..entry.meta.len)
    }

    /// A path as reports name it.
    fn named(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.dir).unwrap_or(path).to_owned()
    }

    fn note(&mut self, note: impl Into<String>) {
        self.report.notes.push(note.into());
    }

    /// A file that can't be read, for whatever reason.
    fn unreadable(&mut self, path: &Path, error: Error) {
        let (from, problem) = match &error {
            Error::Corrupt { at, .. } => (*at, Problem::Damaged),
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                (0, Problem::Missing)
            }
            _ => (0, Problem::Damaged),
        };
        let end = self.disk.stat(path).ok().flatten().map_or(0, |meta| meta.len);
        self.found(path, from..end, problem, blocks::short(error), Vec::new(), Mend::Restore);
    }

    /// The bytes of a small file.
    fn whole(&mut self, path: &Path) -> Result<Vec<u8>, Error> {
        let bytes = self.disk.read(path)?;
        self.count_file(bytes.len() as u64);
        Ok(bytes)
    }

    fn count_file(&mut self, bytes: u64) {
        self.report.files += 1;
        self.count_bytes(bytes);
    }

    fn count_bytes(&mut self, bytes: u64) {
        self.report.bytes += bytes;
        self.bytes.0 += bytes;
        if let Some(progress) = self.options.progress {
            progress(self.bytes.0.min(self.bytes.1), self.bytes.1);
        }
    }
}

fn read_error(path: &Path, what: impl Into<String>) -> Error {
    Error::Unusable { path: path.to_owned(), what: what.into() }
}

/// The bytes of all files below a directory; what vanishes meanwhile counts nothing.
fn bytes_below(disk: &SharedDisk, dir: &Path) -> u64 {
    let Ok(entries) = disk.list(dir) else { return 0 };
    let of = |entry: crate::disk::Entry| match entry.meta.is_dir {
        true => bytes_below(disk, &dir.join(&entry.name)),
        false => entry.meta.len,
    };
    entries.into_iter().map(of).sum()
}
