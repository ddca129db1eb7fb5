//! The catalog against the log: each session's state has to be the fold of its events.
//!
//! A segment's events are clustered by session id, so the segments are merged by id as sorted lists
//! are: for each session, its run in each segment is folded, and what the journals have of it is
//! added. No index is trusted for that, and of each segment one block is looked at at a time; blocks
//! come out of a bounded cache.

use super::Check;
use super::log::Log;
use super::report::{Finding, Lost, Mend, Problem};
use crate::block::{BlockCache, BlockFile, FILE_HEADER_LEN, FileId, FileKind, Payload, Record};
use crate::catalog::Catalog;
use crate::catalog::filter::SessionFilter;
use crate::error::Error;
use crate::event::Offset;
use crate::session::{Change, SessionState};
use crate::view::Sessions as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The memory for blocks.
const CACHE_BYTES: u64 = 64 << 20;
/// How many sessions are named that differ.
const NAMED_MAX: usize = 100;

impl Check<'_> {
    /// Checks the catalog's files, and its sessions against the log.
    pub(super) fn catalog(&mut self, log: &Log) -> Result<(), Error> {
        let dir = self.dir.join("catalog");
        let before = self.report.findings.len();
        if !self.disk.exists(&dir)? {
            if self.report.events > 0 {
                let what = "the catalog is not there";
                self.found(&dir, 0..0, Problem::Missing, what, Vec::new(), Mend::Repair);
            }
            return Ok(());
        }
        self.tantivy(&dir)?;
        let damaged = self.report.findings.iter().skip(before).any(|found| found.problem.harms());
        if self.options.skip_catalog || damaged {
            return Ok(());
        }
        if self.running {
            self.note("the catalog was not compared with the log: a server has the directory open");
            return Ok(());
        }
        let (catalog, through) = Catalog::open(self.disk, &dir, true)?;
        self.shorter(log, through);
        let mut left = Arc::unwrap_or_clone(catalog.keys(&SessionFilter::All)?);
        let mut compared = 0;
        let mut differ: Vec<(String, String)> = Vec::new();
        let mut fewer = BTreeSet::new();
        // What the log lacks or says otherwise, the catalog may be the last to know: it is not the one
        // to be made again then.
        let hurt = |found: &Finding| found.problem.harms() && found.mend != Mend::Repair;
        let lossy = self.report.findings.iter().any(hurt);
        let mend = if lossy { Mend::Ask } else { Mend::Repair };
        self.sessions(log, through, &mut |id, state| {
            let Some(stored) = catalog.get(id)? else {
                differ.push((id.to_owned(), "is not in it".to_owned()));
                return Ok(());
            };
            left.remove(stored.key);
            if *stored.state == state {
                compared += 1;
            } else if lossy && stored.state.events > state.events {
                fewer.insert(id.to_owned());
            } else {
                let what = format!("has another state than its {} events amount to", state.events);
                differ.push((id.to_owned(), what));
            }
            Ok(())
        })?;
        for key in left.iter() {
            if let Some(session) = catalog.by_key(key)? {
                if lossy {
                    fewer.insert(session.id.to_string());
                } else {
                    differ.push((session.id.to_string(), "has no events in the log".to_owned()));
                }
            }
        }
        // The catalog remembers which sessions had the events that are lost.
        for finding in &mut self.report.findings {
            for lost in finding.events.iter_mut().filter(|lost| lost.sessions.is_empty()) {
                lost.sessions.extend(fewer.iter().cloned());
            }
        }
        self.report.sessions = Some(compared);
        let more = differ.len().saturating_sub(NAMED_MAX);
        for (id, what) in differ.into_iter().take(NAMED_MAX) {
            let what = format!("session {id} {what}");
            self.found(&dir, 0..0, Problem::Differs, what, Vec::new(), mend);
        }
        if more > 0 {
            self.note(format!("{more} more sessions of the catalog differ from the log"));
        }
        Ok(())
    }

    /// The catalog knows only what was durable: if it knows more than there is, the log's end is gone,
    /// and what looks like a torn tail is none.
    fn shorter(&mut self, log: &Log, through: Offset) {
        if through <= log.end {
            return;
        }
        let lost = Lost { first: log.end, last: Offset(through.0 - 1), sessions: Vec::new() };
        let what = format!("the catalog knows events up to {}, which are not there", lost.last);
        if let Some(torn) = self.report.findings.iter_mut().find(|f| f.problem == Problem::Torn) {
            torn.problem = Problem::Damaged;
            torn.what = format!("it can't be read, and it was acknowledged: {what}");
            torn.events.push(lost);
            torn.mend = Mend::Restore;
        } else {
            let dir = self.dir.join("journal");
            self.found(&dir, 0..0, Problem::Gone, what, vec![lost], Mend::Restore);
        }
    }

    /// Visits every session of the log below an offset, by id, with its folded state.
    fn sessions(
        &mut self,
        log: &Log,
        through: Offset,
        visit: &mut dyn FnMut(&str, SessionState) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let cache = BlockCache::new(CACHE_BYTES);
        let mut runs = Vec::new();
        for dir in &log.segments {
            let path = dir.join(crate::segment::EVENTS_FILE);
            // What can't be read has been reported.
            if let Ok(run) = Run::open(self, &path, &cache) {
                runs.push(run);
            }
        }
        let mut journals = self.journal_sessions(log, through)?;
        loop {
            let next = runs.iter().filter_map(|run| run.id.as_deref());
            let next = next.chain(journals.first_key_value().map(|(id, _)| id.as_str())).min();
            let Some(id) = next.map(str::to_owned) else { return Ok(()) };
            let mut state = journals.remove(&id).unwrap_or_default();
            for run in &mut runs {
                run.fold(&id, through, &cache, &mut state);
            }
            if state.events > 0 {
                visit(&id, state)?;
            }
        }
    }

    /// The sessions of the journals, folded in memory: there are few journals, and a bound on each.
    fn journal_sessions(
        &mut self,
        log: &Log,
        through: Offset,
    ) -> Result<BTreeMap<String, SessionState>, Error> {
        let mut sessions: BTreeMap<String, SessionState> = BTreeMap::new();
        for path in &log.journals {
            let Ok(blocks) = BlockFile::open(&**self.disk, path, FileKind::Journal) else {
                continue;
            };
            let end = blocks.file_len()?;
            super::blocks::walk(&blocks, end, &mut |piece| {
                let super::blocks::Piece::Whole(whole) = piece else { return Ok(()) };
                let records = crate::block::Records::new(&whole.payload).map_while(Result::ok);
                for record in records.filter(|record| record.offset < through) {
                    if let Ok(event) = record.event() {
                        let state = sessions.entry(event.session.as_ref().to_owned()).or_default();
                        state.apply(Change::of(event, record.seq, record.json.len() as u64));
                    }
                }
                Ok(())
            })?;
        }
        Ok(sessions)
    }
}

/// A segment's events, in their order.
struct Run {
    file: BlockFile,
    number: FileId,
    len: u64,
    /// The block that the next event is in, and where in its payload.
    block: u64,
    at: usize,
    /// The session of the next event; `None` at the end.
    id: Option<String>,
}

impl Run {
    fn open(check: &Check<'_>, path: &Path, cache: &BlockCache) -> Result<Run, Error> {
        let file = BlockFile::open(&**check.disk, path, FileKind::Segment)?;
        let len = file.file_len()?;
        let block = FILE_HEADER_LEN as u64;
        let mut run = Run { file, number: FileId::next(), len, block, at: 0, id: None };
        run.settle(cache);
        Ok(run)
    }

    /// Applies the next events while they are of a session.
    fn fold(&mut self, id: &str, through: Offset, cache: &BlockCache, state: &mut SessionState) {
        while self.id.as_deref() == Some(id) {
            let Some(payload) = self.payload(cache) else { return };
            if let Ok((record, _)) = Record::decode(payload.get(self.at..).unwrap_or_default()) {
                self.at += record.encoded_len();
                if record.offset < through
                    && let Ok(event) = record.event()
                {
                    state.apply(Change::of(event, record.seq, record.json.len() as u64));
                }
            } else {
                self.at = payload.len();
            }
            self.settle(cache);
        }
    }

    fn payload(&self, cache: &BlockCache) -> Option<Arc<Payload>> {
        cache.get(self.number, &self.file, self.block).ok()
    }

    /// Goes to the next event that can be read, and notes its session.
    fn settle(&mut self, cache: &BlockCache) {
        self.id = None;
        while self.block < self.len {
            if let Some(payload) = self.payload(cache) {
                while let Ok((record, _)) =
                    Record::decode(payload.get(self.at..).unwrap_or_default())
                {
                    if let Ok(event) = record.event() {
                        self.id = Some(event.session.into_owned());
                        return;
                    }
                    self.at += record.encoded_len();
                }
            }
            self.at = 0;
            self.block = match self.file.read_header(self.block) {
                Ok(header) => self.block + header.len_in_file(),
                Err(_) => crate::block::scan(&self.file, self.block + 1, self.len)
                    .ok()
                    .flatten()
                    .unwrap_or(self.len),
            };
        }
    }
}
