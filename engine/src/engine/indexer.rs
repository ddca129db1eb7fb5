//! The indexer: one thread that feeds journals' texts to their text indexes.
//!
//! It follows the journals block by block and commits when the tail (what is durable but not yet
//! committed) reaches a bound of bytes or of age, with the offset that it has come to as the commit's
//! payload; after a crash it goes on from there. Acknowledgements never wait for it: searches read the
//! tail itself.

use super::shared::{Shared, pace};
use super::space::Said;
use crate::block::Records;
use crate::cpu::thread_cpu_us;
use crate::error::Error;
use crate::event::Offset;
use crate::event::number::Numbers;
use crate::event::text::Texts;
use crate::journal::file::text_path;
use crate::journal::part::Journal;
use crate::screen::Feed;
use crate::text::TextWriter;
use crate::view::Part as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long an engine that closes waits for texts to be indexed.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// The journal that is being indexed.
struct Current {
    journal: Arc<Journal>,
    writer: TextWriter,
    /// Everything below has been added.
    added: Offset,
    /// Everything below has been committed.
    committed: Offset,
    /// Bytes of records added since the last commit.
    bytes: u64,
    /// When the oldest of them was added.
    since: Instant,
}

pub(super) fn run(shared: &Shared) {
    let mut current: Option<Current> = None;
    let mut feed = Feed::default();
    let mut seen = 0;
    let said = Said::default();
    let mut until = Until::default();
    loop {
        if shared.killed() {
            return;
        }
        let closing = shared.closing();
        let (before, began) = (added(&current), Instant::now());
        let pause = match step(shared, &mut current, &mut feed, &mut until, closing) {
            Ok(()) => {
                said.worked("texts are indexed again");
                if !closing && added(&current) > before {
                    pace(began);
                }
                Duration::from_millis(500).min(shared.options.index_age_max)
            }
            Err(error) => {
                // Searches stay exact: they read what is not indexed. Start over from the last commit.
                said.failed(&error, "indexing texts failed; starting again from the last commit");
                shared.seal_failed(error);
                current = None;
                std::thread::sleep(if closing {
                    Duration::ZERO
                } else {
                    Duration::from_millis(200)
                });
                Duration::from_secs(5)
            }
        };
        shared.counters.indexer_cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
        if closing {
            return;
        }
        seen = shared.wait_for_blocks(seen, pause);
    }
}

/// Until when an engine that closes waits, from the first time that somebody asks.
#[derive(Default)]
struct Until(Option<Instant>);

impl Until {
    fn is_over(&mut self) -> bool {
        self.0.get_or_insert_with(Instant::now).elapsed() > CLOSING_MAX
    }
}

impl Current {
    /// Commits what was added.
    fn commit(&mut self) -> Result<(), Error> {
        self.writer.commit(self.added)?;
        // Whoever searches now may have begun before this commit, though not before the one before it.
        self.journal.forget_drawn(self.committed);
        self.committed = self.added;
        self.bytes = 0;
        Ok(())
    }
}

fn added(current: &Option<Current>) -> Option<Offset> {
    current.as_ref().map(|current| current.added)
}

/// Indexes everything that is visible; commits what is due.
fn step(
    shared: &Shared,
    current: &mut Option<Current>,
    feed: &mut Feed,
    until: &mut Until,
    closing: bool,
) -> Result<(), Error> {
    loop {
        let journals = shared.journals();
        for journal in journals.iter().filter(|journal| journal.text_doubted()) {
            // It holds nothing that the journal does not: it is made again.
            *current = None;
            journal.set_text(None);
            shared.options.disk.remove_tree(&text_path(&shared.journal_dir(), journal.base()))?;
        }
        let newest = journals.last().map(|journal| journal.base());
        let Some(journal) = journals.into_iter().find(|j| j.indexed_through() < j.end()) else {
            return Ok(());
        };
        if current.as_ref().is_none_or(|c| !Arc::ptr_eq(&c.journal, &journal)) {
            *current = None; // The writer of the journal before lets go of its files first.
            *current = Some(open(shared, &journal)?);
        }
        let Some(at) = current.as_mut() else { return Ok(()) };
        let closed = newest != Some(journal.base());
        if !add_blocks(shared, at, feed, until)? {
            return Ok(());
        }
        let due = at.bytes >= shared.options.index_bytes_max
            || at.since.elapsed() >= shared.options.index_age_max;
        if at.added > at.committed && (due || closed || closing) {
            at.commit()?;
            shared.progressed();
        }
        if !closed || at.committed < journal.end() {
            return Ok(());
        }
        // A closed journal that is done: the writer lets go of it, and the sealer takes it.
        journal.forget_drawn(at.committed);
        *current = None;
        shared.progressed();
    }
}

fn open(shared: &Shared, journal: &Arc<Journal>) -> Result<Current, Error> {
    let dir = text_path(&shared.journal_dir(), journal.base());
    let heap = shared.options.index_heap_bytes;
    let disk = &shared.options.disk;
    let (writer, reader) = TextWriter::open(disk, &dir, heap).or_else(|error| {
        // It holds nothing that the journal does not: make it again.
        tracing::warn!(%error, "a journal's text index is damaged; it is made again");
        journal.set_text(None);
        disk.remove_tree(&dir)?;
        TextWriter::open(disk, &dir, heap)
    })?;
    let through = reader.indexed_through().max(journal.base());
    journal.set_text(Some(reader));
    journal.draws_from(through);
    Ok(Current {
        journal: Arc::clone(journal),
        writer,
        added: through,
        committed: through,
        bytes: 0,
        since: Instant::now(),
    })
}

/// Adds what is durable. False when that would take too long for an engine that closes: what was added since the last
/// commit is then to be dropped, and the next start goes on from there.
fn add_blocks(
    shared: &Shared,
    at: &mut Current,
    feed: &mut Feed,
    until: &mut Until,
) -> Result<bool, Error> {
    let view = at.journal.view();
    let base = at.journal.base().0;
    let from = view.blocks().partition_point(|block| base + u64::from(block.first) < at.added.0);
    for block in view.blocks().get(from..).unwrap_or_default() {
        if at.bytes == 0 {
            at.since = Instant::now();
        }
        if shared.closing() && until.is_over() {
            return Ok(false);
        }
        let payload = at.journal.payload(block)?;
        let mut glimpses = Vec::new();
        for (record, facts) in Records::new(&payload).zip(&block.events) {
            let record =
                record.map_err(|what| Error::corrupt(at.journal.file().path(), block.at, what))?;
            let event = record.event()?;
            let glimpse =
                feed.next(facts.session, &record, &event, &mut || Some(shared.snapshot()));
            let texts = Texts::of(&event);
            let numbers = Numbers::of(&event);
            at.writer.add(record.offset, record.kind, record.verdict, numbers, &texts, &glimpse)?;
            glimpses.push((record.offset, glimpse));
        }
        at.added = Offset(base + u64::from(block.first) + block.events.len() as u64);
        at.journal.was_drawn(at.added, glimpses);
        at.bytes += u64::from(block.raw_len);
        if at.bytes >= shared.options.index_bytes_max {
            at.commit()?;
            shared.counters.indexer_cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
            shared.progressed();
        }
    }
    // Holes at the end of a damaged journal have nothing to index.
    if view.blocks().last().is_some() {
        at.added = at.added.max(Offset(base + u64::from(view.len())));
    }
    Ok(true)
}
