//! The writer: one thread owns the journal's end.
//!
//! It takes everything that waits (up to a group's size), checks each event against what has been
//! stored ([`admit`](super::admit)), fills blocks, writes them with one `pwrite`, makes them durable with one `fdatasync`, shows
//! them to readers and only then answers. While it syncs, the next group gathers: the disk is the
//! timer. A write or sync that fails is final (the system may have dropped the pages that it could not
//! write, so trying again would lie): nothing more is acknowledged, reads go on.
//!
//! One failure is not final: a write that finds no room on the disk. It is told before anything is
//! synced, so nothing that was acknowledged hangs on it. The file is cut back to its end, what was
//! staged is taken back, all who wait hear [`Error::Full`], and events are taken again once there is
//! room ([`space`](crate::engine)).
//!
//! Events can come in faster than they can be sealed. Of what is not sealed, readers keep facts in memory; so
//! past a part of the bound on it, the writer pauses after each group.

use super::admit::Admitted;
use super::file;
use super::part::{Facts, Journal, Published};
use super::queue::{GROUP_BYTES, Pending, Work};
use super::seen::Seen;
use crate::batch::{Ack, Incoming};
use crate::block::{BlockBuilder, Record, Retry};
use crate::catalog::Update;
use crate::disk::{DiskFile, write_all_at};
use crate::engine::{Said, Shared};
use crate::error::Error;
use crate::event::{Kind, Micros, Offset};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A block is closed at this size, before compression.
const BLOCK_BYTES: usize = 256 << 10;
/// The longest pause after a group, while the sealer is far behind.
const HOLD_BACK_MAX: Duration = Duration::from_secs(1);
/// How long after a failure a new journal is tried for again.
const RETRY: Duration = Duration::from_secs(5);

/// The writer's state.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) end: u64,
    pub(crate) next: Offset,
    pub(crate) seen: Seen,
    /// When the journal becomes too old.
    rotate_at: Instant,
    /// The last try to open a new journal failed: the next one waits for `rotate_at`.
    retrying: bool,
    said: Said,
    compressor: zstd::bulk::Compressor<'static>,
    pub(super) block: BlockBuilder,
    staged: Staged,
    out: Vec<u8>,
    pub(super) blocks: Vec<Published>,
    updates: Vec<Update>,
    /// For each update what came before it in its session, to be put back if it is taken back.
    links: Vec<Option<Offset>>,
    /// The names of staged events that came with a key, to be forgotten if they are taken back.
    retries: Vec<Retry>,
    answers: Vec<(oneshot::Sender<Result<Ack, Error>>, Ack)>,
}

/// What the server knows of an event beside its line.
pub(super) struct Stamps<'a> {
    pub received: Micros,
    pub producer: &'a str,
    pub retry: Option<Retry>,
}

/// What belongs to the block that is being filled.
#[derive(Default)]
struct Staged {
    events: Vec<Facts>,
    sessions: Vec<Arc<str>>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        journal: Arc<Journal>,
        file: Arc<dyn DiskFile>,
        end: u64,
        seen: Seen,
    ) -> Result<Writer, Error> {
        let next = journal.end();
        let shared_age = shared.options.journal_age_max;
        let compressor = zstd::bulk::Compressor::new(1)
            .map_err(Error::io("set up compression for", journal.file().path()))?;
        Ok(Writer {
            shared,
            journal,
            file,
            end,
            next,
            seen,
            rotate_at: Instant::now() + shared_age,
            retrying: false,
            said: Said::default(),
            compressor,
            block: BlockBuilder::default(),
            staged: Staged::default(),
            out: Vec::new(),
            blocks: Vec::new(),
            updates: Vec::new(),
            links: Vec::new(),
            retries: Vec::new(),
            answers: Vec::new(),
        })
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            let work = self.shared.queue.take(Duration::from_millis(500));
            let rotate = match work {
                Work::Batches(batches) => {
                    let bytes = self.write(batches);
                    self.hold_back(bytes);
                    self.is_full()
                }
                Work::Relearn(sessions) => {
                    sessions.iter().for_each(|id| self.relearn(id));
                    false
                }
                Work::Rotate => true,
                Work::Idle => {
                    self.shared.space.look_again(&*self.shared.options.disk);
                    self.is_full()
                }
                Work::Close => break,
            };
            if rotate && let Err(error) = self.rotate() {
                // The journal at hand goes on taking events; a new one is tried for again later.
                self.said.failed(&error, "could not open a new journal; the one at hand goes on");
                self.rotate_at = Instant::now() + RETRY;
                self.retrying = true;
                self.shared.seal_failed(error);
            }
            self.shared.count_writer_cpu();
        }
    }

    fn is_full(&self) -> bool {
        let full = self.journal.raw_bytes() >= self.shared.options.journal_bytes_max;
        let due = Instant::now() >= self.rotate_at;
        self.next > self.journal.base() && (due || (full && !self.retrying))
    }

    /// After a group of so many bytes: leaves time to the sealer, the more the further it is behind. So a
    /// burst goes in at the disk's speed, and a load that does not end at the speed of sealing, without a
    /// sudden stop between them.
    fn hold_back(&self, bytes: u64) {
        let bound = self.shared.options.unsealed_bytes_bound();
        let over = self.shared.unsealed_bytes().saturating_sub(bound / 2);
        let part = (over as f64 / (bound / 2) as f64).min(1.0);
        if part > 0.0 {
            let groups = bytes as f64 / GROUP_BYTES as f64;
            let pause = HOLD_BACK_MAX.mul_f64(part * part * groups.min(1.0));
            self.shared.rest(pause);
        }
    }

    /// Answers how many bytes of batches it took.
    fn write(&mut self, batches: Vec<Pending>) -> u64 {
        let bytes = batches.iter().map(|pending| pending.batch.bytes() as u64).sum();
        // Asked before anything is staged, so that almost always there is nothing to take back.
        let _ = self.shared.space.ask(&*self.shared.options.disk, bytes);
        for Pending { batch, reply } in batches {
            let refused = match (self.shared.read_only_reason(), self.shared.space.full()) {
                (Some(reason), _) => Some(Error::ReadOnly { reason }),
                (None, Some(what)) => Some(Error::Full { what }),
                (None, None) => None,
            };
            let admitted = refused.map_or_else(|| self.admit(batch), Err);
            match admitted {
                Ok(ack) => self.answers.push((reply, ack)),
                Err(error) => {
                    let _ = reply.send(Err(self.fail(error)));
                }
            }
        }
        if let Err(error) = self.flush_blocks() {
            self.fail(error);
        }
        for (reply, ack) in self.answers.drain(..) {
            // A producer that has gone away does not hear it; its events are stored all the same.
            let _ = reply.send(Ok(ack));
        }
        bytes
    }

    /// Answers all who wait with what has failed; answers how it is said to them.
    fn fail(&mut self, error: Error) -> Error {
        let error = match error {
            passing @ (Error::Full { .. } | Error::ReadOnly { .. }) => passing,
            last => {
                let reason: Arc<str> = last.to_string().into();
                self.shared.set_read_only(Arc::clone(&reason));
                Error::ReadOnly { reason }
            }
        };
        for (reply, _) in self.answers.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
        self.take_back();
        error
    }

    /// Forgets what was staged: nothing of it is in the log, and it may come again.
    fn take_back(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        let blocks = std::mem::take(&mut self.blocks);
        for (update, previous) in self.updates.iter().zip(self.links.drain(..)).rev() {
            if let Some(session) = self.seen.get_mut(&update.id) {
                session.last = previous;
            }
        }
        let in_blocks = blocks.iter().flat_map(|block| block.sessions.iter().zip(&block.events));
        for (id, facts) in in_blocks.chain(staged.sessions.iter().zip(&staged.events)) {
            self.seen.forget(id, facts.seq);
        }
        self.retries.drain(..).for_each(|retry| self.seen.forget_retry(retry));
        self.block = BlockBuilder::default();
        self.updates.clear();
        self.out.clear();
        self.next = self.journal.end();
    }

    /// A write found no room: cuts the file back to its end.
    fn cut_back(&mut self, error: &Error) -> Error {
        // Durably, or whole blocks of it could stand behind a torn one after a crash.
        let cut = self.file.set_len(self.end).and_then(|()| self.file.sync());
        match cut.map_err(Error::io("cut", self.journal.file().path())) {
            Ok(()) => self.shared.space.refused(error),
            Err(error) => error,
        }
    }

    pub(super) fn stage(
        &mut self,
        event: Incoming,
        line: &[u8],
        admitted: Admitted,
        stamps: Stamps<'_>,
    ) -> Result<(), Error> {
        let Admitted { seq, id, key, previous, new } = admitted;
        let record = Record {
            offset: self.next,
            previous,
            seq,
            time: event.time,
            kind: event.kind,
            verdict: event.verdict,
            received: stamps.received,
            producer: stamps.producer,
            retry: stamps.retry,
            json: line,
        };
        self.block.push(&record, event.plain);
        self.staged.events.push(Facts {
            time: event.time,
            session: key,
            seq,
            kind: event.kind,
            verdict: event.verdict,
        });
        self.staged.sessions.push(Arc::clone(&id));
        self.links.push(previous);
        self.retries.extend(stamps.retry);
        self.updates.push(Update { id, key, new, change: event.into_change(seq) });
        self.next.0 += 1;
        if self.block.raw_len() >= BLOCK_BYTES {
            self.finish_block()?;
        }
        Ok(())
    }

    fn finish_block(&mut self) -> Result<(), Error> {
        if self.block.is_empty() {
            return Ok(());
        }
        let at = self.end + self.out.len() as u64;
        let base = self.next.0 - u64::from(self.block.count());
        let file = self.journal.file();
        let (salt, cipher) = (file.header().salt, file.cipher()?);
        let (header, payload) =
            self.block.finish(base, salt, cipher, &mut self.compressor, &mut self.out)?;
        let Staged { events, sessions } = std::mem::take(&mut self.staged);
        let payload = Some(Arc::new(payload.into()));
        self.blocks.push(Published { at, header, payload, events, sessions });
        Ok(())
    }

    /// Makes durable what is staged, and shows it to readers.
    pub(super) fn flush_blocks(&mut self) -> Result<(), Error> {
        self.finish_block()?;
        if self.blocks.is_empty() {
            return Ok(());
        }
        let path = self.journal.file().path();
        if let Err(error) = write_all_at(&*self.file, &self.out, self.end) {
            let error = Error::io("write", path)(error);
            return Err(if error.is_full() { self.cut_back(&error) } else { error });
        }
        self.file.sync().map_err(Error::io("sync", path))?;
        self.end += self.out.len() as u64;
        self.out.clear();
        let raw: u64 = self.updates.iter().map(|update| update.change.bytes).sum();
        self.links.clear();
        self.retries.clear();
        let of_reviews = self
            .updates
            .iter()
            .any(|update| matches!(update.change.kind, Kind::ReviewRequest | Kind::ReviewDecision));
        // Events first: a session in a list can then always be opened.
        self.journal.publish(std::mem::take(&mut self.blocks));
        self.shared.catalog.apply(std::mem::take(&mut self.updates), self.next);
        self.shared.published(raw, self.next);
        if of_reviews {
            self.shared.reviews_changed(self.next);
        }
        Ok(())
    }

    /// Closes the journal and opens the next one.
    fn rotate(&mut self) -> Result<(), Error> {
        if self.next == self.journal.base() || self.shared.read_only_reason().is_some() {
            self.shared.rotated();
            return Ok(());
        }
        let cache = Arc::clone(&self.shared.cache);
        let disk = &*self.shared.options.disk;
        let (journal, file) = file::create(disk, &self.shared.journal_dir(), self.next, cache)?;
        self.journal = Arc::new(journal);
        self.file = file;
        self.end = crate::block::FILE_HEADER_LEN as u64;
        self.rotate_at = Instant::now() + self.shared.options.journal_age_max;
        self.retrying = false;
        self.said.worked("a new journal is open");
        self.shared.push_journal(Arc::clone(&self.journal));
        self.seen.forget_before(self.shared.oldest_journal());
        Ok(())
    }
}
