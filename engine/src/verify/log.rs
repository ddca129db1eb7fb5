//! The log from its first event to its last: which files hold it, and what is missing between them.

use super::Check;
use super::report::{Deleted, Lost, Mend, Problem};
use super::tree::Tree;
use crate::block::{Record, Records};
use crate::error::Error;
use crate::event::Offset;
use crate::journal::file;
use crate::segment::{self, Manifest};
use memchr::memmem;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many sessions are named with events that are lost.
const SESSIONS_NAMED_MAX: usize = 1000;

/// What the walk over the log learned for what comes after it.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The segments whose events can be read in order.
    pub(super) segments: Vec<PathBuf>,
    /// The journals.
    pub(super) journals: Vec<PathBuf>,
    /// Events that `retention` deleted.
    pub(super) deleted: Vec<Deleted>,
    /// The offset after the last event.
    pub(super) end: Offset,
}

impl Log {
    /// Takes note of what a block's events say was deleted.
    pub(super) fn deletions(&mut self, payload: &[u8]) {
        // Few blocks have such an event, and its name is always written out.
        if memmem::find(payload, b"\"retention\"").is_none() {
            return;
        }
        let records = Records::new(payload).map_while(Result::ok);
        self.deleted.extend(records.filter_map(|record| deletion(&record)));
    }

    /// The sessions of a block's events.
    pub(super) fn sessions_of(&self, payload: &[u8]) -> Vec<String> {
        let mut sessions = BTreeSet::new();
        for record in Records::new(payload).map_while(Result::ok) {
            if let Ok(event) = record.event()
                && sessions.len() < SESSIONS_NAMED_MAX
            {
                sessions.insert(event.session.into_owned());
            }
        }
        sessions.into_iter().collect()
    }
}

/// The events that a `retention` event of daybook's own session says were deleted or lost.
fn deletion(record: &Record<'_>) -> Option<Deleted> {
    let event: Value = serde_json::from_slice(record.json).ok()?;
    let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let is = |name: &str, wanted: &[&str]| {
        event.get(name).and_then(Value::as_str).is_some_and(|found| wanted.contains(&found))
    };
    if !is("kind", &["retention"])
        || !is("session", &["daybook"])
        || !is("action", &["delete", "loss"])
    {
        return None;
    }
    let metadata = event.get("metadata")?;
    let offset = |name: &str| metadata.get(name)?.as_str()?.parse().ok().map(Offset);
    Some(Deleted {
        first: offset("first_offset")?,
        last: offset("last_offset")?,
        by: text(&event, "by").unwrap_or_default(),
        reason: text(&event, "reason").unwrap_or_default(),
    })
}

/// What of the log has been seen.
#[derive(Debug, Default)]
struct Seen {
    paths: BTreeSet<PathBuf>,
    /// From the first offset to the one after the last, of each file.
    covered: Vec<(Offset, Offset)>,
}

impl Seen {
    /// The offsets below `end`, and between files, that are in no file: first and last.
    fn gaps(&mut self, end: Offset) -> Vec<(Offset, Offset)> {
        self.covered.sort_unstable();
        let mut gaps = Vec::new();
        let mut next = Offset(0);
        for (base, after) in self.covered.iter().copied().chain([(end, end)]) {
            if base > next {
                gaps.push((next, Offset(base.0 - 1)));
            }
            next = next.max(after);
        }
        gaps
    }
}

impl Check<'_> {
    /// Walks the whole log.
    pub(super) fn log(&mut self, tree: &mut Tree) -> Result<Log, Error> {
        /// How often what was sealed or merged meanwhile is looked for.
        const ROUNDS: usize = 10;
        let (mut log, mut seen) = (Log::default(), Seen::default());
        let signed_end = tree.leaves.as_mut().map_or(Ok(Offset(0)), |leaves| leaves.end())?;
        for _ in 0..ROUNDS {
            let before = seen.paths.len();
            self.segments(tree, &mut log, &mut seen)?;
            self.journals(tree, &mut log, &mut seen)?;
            let whole = seen.gaps(signed_end).is_empty();
            if !self.running || whole || seen.paths.len() == before {
                break;
            }
        }
        let gaps = seen.gaps(signed_end);
        log.end = seen.covered.iter().map(|(_, end)| *end).max().unwrap_or_default();
        self.gaps(&log, &gaps);
        self.strangers(&log)?;
        self.report.deleted.clone_from(&log.deleted);
        Ok(log)
    }

    fn segments(&mut self, tree: &mut Tree, log: &mut Log, seen: &mut Seen) -> Result<(), Error> {
        let dir = self.dir.join("segments");
        let paths = segment::list(&**self.disk, &dir)?;
        // What another one stands for was to be deleted when the process stopped.
        let manifests = paths.iter().filter_map(|path| Manifest::read(&**self.disk, path).ok());
        let replaced: BTreeSet<PathBuf> =
            manifests.flat_map(|manifest| manifest.replaces).map(|name| dir.join(name)).collect();
        for path in paths {
            if replaced.contains(&path) {
                if seen.paths.insert(path.clone()) && !self.running {
                    self.leftover(&path, 0);
                }
                continue;
            }
            if seen.paths.insert(path.clone())
                && let Some(covered) = self.segment(&path, tree, log)?
            {
                self.report.segments += 1;
                seen.covered.push(covered);
                log.segments.push(path);
            }
        }
        Ok(())
    }

    fn journals(&mut self, tree: &mut Tree, log: &mut Log, seen: &mut Seen) -> Result<(), Error> {
        let dir = self.dir.join("journal");
        if !self.disk.exists(&dir)? {
            return Ok(());
        }
        let mut bases = file::list(&**self.disk, &dir)?;
        // Its segment is there already; it was to be deleted when the process stopped.
        bases.retain(|base| !seen.covered.iter().any(|(first, end)| first <= base && base < end));
        for (number, base) in bases.iter().enumerate() {
            let path = file::path(&dir, *base);
            if !seen.paths.insert(path.clone()) {
                continue;
            }
            let newest = number + 1 == bases.len();
            let end = match self.journal(&dir, *base, newest, tree, log) {
                Err(error) if self.vanished(&path, &error) => continue,
                end => end?,
            };
            self.report.journals += 1;
            // One of which nobody knows the end reaches to whatever comes next.
            let next = bases.get(number + 1).copied().unwrap_or(Offset(u64::MAX));
            seen.covered.push((*base, end.unwrap_or(next)));
            log.journals.push(path);
            let text = file::text_path(&dir, *base);
            if self.disk.exists(&text)? {
                self.tantivy(&text)?;
            }
        }
        Ok(())
    }

    /// Was it deleted by the process that has the directory open?
    pub(super) fn vanished(&self, path: &Path, error: &Error) -> bool {
        let missing = |source: &std::io::Error| source.kind() == std::io::ErrorKind::NotFound;
        self.running
            && matches!(error, Error::Io { source, .. } if missing(source))
            && self.disk.exists(path).is_ok_and(|there| !there)
    }

    /// Reports what is in the directory of segments and is none.
    fn strangers(&mut self, log: &Log) -> Result<(), Error> {
        let dir = self.dir.join("segments");
        if !self.disk.exists(&dir)? || self.running {
            return Ok(());
        }
        for entry in self.disk.list(&dir).map_err(Error::io("list", &dir))? {
            let path = dir.join(&entry.name);
            if !log.segments.contains(&path) && !entry.meta.is_dir {
                self.leftover(&path, entry.meta.len);
            }
        }
        Ok(())
    }

    /// Events between the files: deleted on purpose, or gone.
    fn gaps(&mut self, log: &Log, gaps: &[(Offset, Offset)]) {
        let mut told: Vec<(Offset, Offset)> =
            log.deleted.iter().map(|deleted| (deleted.first, deleted.last)).collect();
        told.sort_unstable();
        for (first, last) in gaps {
            let mut at = *first;
            for (from, to) in &told {
                if *from <= at && at <= *to {
                    at = Offset(to.0.saturating_add(1));
                }
            }
            if at <= *last {
                let what = format!(
                    "the events {at} to {last} are in no file, and no event says that they were deleted"
                );
                let lost = vec![Lost { first: at, last: *last, sessions: Vec::new() }];
                let dir = self.dir.join("segments");
                self.found(&dir, 0..0, Problem::Gone, what, lost, Mend::Restore);
            }
        }
    }
}
