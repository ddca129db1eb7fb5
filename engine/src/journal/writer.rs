//! The writer: one thread owns the journal's end.
//!
//! It takes everything that waits (up to [`GROUP_BYTES`]), checks each event against what has been
//! stored, fills blocks, writes them with one `pwrite`, makes them durable with one `fdatasync`, shows
//! them to readers and only then answers. While it syncs, the next group gathers: the disk is the
//! timer. A write or sync that fails is final (the system may have dropped the pages that it could not
//! write, so trying again would lie): nothing more is acknowledged, reads go on.

use super::file;
use super::part::{Facts, Journal, Published};
use super::seen::{Seen, SeenSession, SeqSet};
use crate::batch::{Ack, Batch, Incoming, Rejection};
use crate::block::{BlockBuilder, Record};
use crate::catalog::Update;
use crate::disk::{DiskFile, write_all_at};
use crate::engine::Shared;
use crate::error::Error;
use crate::event::time::excerpt;
use crate::event::wire::Event;
use crate::event::{Offset, Seq, SessionKey};
use crate::view::Ordinals;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A block is closed at this size, before compression.
const BLOCK_BYTES: usize = 256 << 10;
/// A group is closed at this size, before compression.
const GROUP_BYTES: u64 = 4 << 20;
/// How long after a failure a new journal is tried for again.
const RETRY: Duration = Duration::from_secs(5);

/// What waits to be written, bounded in bytes.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
    limit_bytes: u64,
}

#[derive(Debug, Default)]
struct QueueState {
    batches: VecDeque<Pending>,
    bytes: u64,
    closed: bool,
    rotate: bool,
}

#[derive(Debug)]
struct Pending {
    batch: Batch,
    reply: oneshot::Sender<Result<Ack, Error>>,
}

/// What the writer has to do next.
enum Work {
    Batches(Vec<Pending>),
    Rotate,
    Idle,
    Close,
}

impl Queue {
    pub(crate) fn new(limit_bytes: u64) -> Queue {
        Queue { state: Mutex::default(), wake: Condvar::new(), limit_bytes }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Puts a batch in line.
    pub(crate) fn push(
        &self,
        batch: Batch,
    ) -> Result<oneshot::Receiver<Result<Ack, Error>>, Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        let bytes = batch.bytes() as u64;
        // A batch that is larger than the bound gets through when nothing else waits.
        if state.bytes > 0 && state.bytes + bytes > self.limit_bytes {
            return Err(Error::Busy { waiting_bytes: state.bytes, limit_bytes: self.limit_bytes });
        }
        let (reply, answer) = oneshot::channel();
        state.bytes += bytes;
        state.batches.push_back(Pending { batch, reply });
        self.wake.notify_one();
        Ok(answer)
    }

    /// Asks for the journal to be closed and a new one to be opened.
    pub(crate) fn rotate(&self) {
        self.state.lock().rotate = true;
        self.wake.notify_one();
    }

    /// Takes no more batches; what waits is still written.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    fn take(&self, timeout: Duration) -> Work {
        let mut state = self.state.lock();
        if state.batches.is_empty() && !state.rotate && !state.closed {
            self.wake.wait_for(&mut state, timeout);
        }
        if state.batches.is_empty() {
            return match (std::mem::take(&mut state.rotate), state.closed) {
                (true, _) => Work::Rotate,
                (false, true) => Work::Close,
                (false, false) => Work::Idle,
            };
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = state.batches.front() {
            let size = next.batch.bytes() as u64;
            if bytes > 0 && bytes + size > GROUP_BYTES {
                break;
            }
            bytes += size;
            taken.extend(state.batches.pop_front());
        }
        state.bytes -= bytes;
        Work::Batches(taken)
    }
}

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
    compressor: zstd::bulk::Compressor<'static>,
    block: BlockBuilder,
    staged: Staged,
    out: Vec<u8>,
    blocks: Vec<Published>,
    updates: Vec<Update>,
    answers: Vec<(oneshot::Sender<Result<Ack, Error>>, Ack)>,
}

/// What belongs to the block that is being filled.
#[derive(Default)]
struct Staged {
    events: Vec<Facts>,
    sessions: Vec<Arc<str>>,
}

/// What becomes of an event.
enum Admission {
    New(Seq, Arc<str>, SessionKey, bool),
    Duplicate,
    Refused(String),
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
            compressor,
            block: BlockBuilder::default(),
            staged: Staged::default(),
            out: Vec::new(),
            blocks: Vec::new(),
            updates: Vec::new(),
            answers: Vec::new(),
        })
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            let work = self.shared.queue.take(Duration::from_millis(500));
            let rotate = match work {
                Work::Batches(batches) => {
                    if let Err(error) = self.write(batches) {
                        self.poison(&error);
                    }
                    self.is_full()
                }
                Work::Rotate => true,
                Work::Idle => self.is_full(),
                Work::Close => break,
            };
            if rotate && let Err(error) = self.rotate() {
                // The journal at hand goes on taking events; a new one is tried for again later.
                tracing::warn!(%error, "could not open a new journal");
                self.rotate_at = Instant::now() + RETRY;
                self.retrying = true;
                self.shared.rotated();
            }
            self.shared.count_writer_cpu();
        }
    }

    fn is_full(&self) -> bool {
        let full = self.journal.raw_bytes() >= self.shared.options.journal_bytes_max;
        let due = Instant::now() >= self.rotate_at;
        self.next > self.journal.base() && (due || (full && !self.retrying))
    }

    fn write(&mut self, batches: Vec<Pending>) -> Result<(), Error> {
        for pending in batches {
            if let Some(reason) = self.shared.read_only_reason() {
                let _ = pending.reply.send(Err(Error::ReadOnly { reason }));
                continue;
            }
            match self.admit(pending.batch) {
                Ok(ack) => self.answers.push((pending.reply, ack)),
                Err(error) => {
                    self.poison(&error);
                    let reason = error.to_string().into();
                    let _ = pending.reply.send(Err(Error::ReadOnly { reason }));
                }
            }
        }
        self.flush()
    }

    /// Puts a batch's new events into blocks.
    fn admit(&mut self, batch: Batch) -> Result<Ack, Error> {
        let (lines, events) = batch.into_parts();
        let mut ack = Ack::default();
        for event in events {
            let line = event.line(&lines);
            match self.admission(&event, line)? {
                Admission::Duplicate => ack.duplicates += 1,
                Admission::Refused(error) => {
                    ack.rejected.push(Rejection { line: event.number, error });
                }
                Admission::New(seq, id, key, new) => {
                    ack.accepted += 1;
                    ack.first_offset.get_or_insert(self.next);
                    ack.last_offset = Some(self.next);
                    self.stage(event, line, seq, id, key, new)?;
                }
            }
        }
        Ok(ack)
    }

    fn admission(&mut self, event: &Incoming, line: &[u8]) -> Result<Admission, Error> {
        let next = self.next;
        let new = match self.recall(&event.session) {
            Ok(new) => new,
            // Without the segment that may hold it, nobody can say whether this event is new.
            Err(error) => {
                return Ok(Admission::Refused(format!("can't be checked for being new: {error}")));
            }
        };
        let Some(session) = self.seen.get_mut(&event.session) else {
            return Ok(Admission::Refused("the session can't be looked up".to_owned()));
        };
        let seq = match event.seq {
            Some(seq) if session.seqs.contains(seq) => {
                return self.repeated(&event.session, seq, line);
            }
            Some(seq) => seq,
            None => match session.seqs.next() {
                Some(seq) => seq,
                None => {
                    return Ok(Admission::Refused("the session has no numbers left".to_owned()));
                }
            },
        };
        session.seqs.insert(seq);
        session.touched = self.journal.base();
        if new {
            session.key = SessionKey(next.0);
        }
        Ok(Admission::New(seq, Arc::clone(&session.id), session.key, new))
    }

    /// Brings a session into memory; answers whether it is new to this node.
    fn recall(&mut self, id: &str) -> Result<bool, Error> {
        if self.seen.get_mut(id).is_some() {
            return Ok(false);
        }
        let mut session = SeenSession {
            id: id.into(),
            key: SessionKey(self.next.0),
            seqs: SeqSet::default(),
            touched: self.journal.base(),
        };
        let mut new = true;
        for segment in self.shared.segments() {
            if let Some((key, ranges)) = segment.seqs(id)? {
                session.key = key;
                new = false;
                ranges.into_iter().for_each(|range| session.seqs.insert_range(range));
            }
        }
        self.seen.insert(session);
        Ok(new)
    }

    /// An event whose number has been stored: the same content is a duplicate, other content a conflict.
    fn repeated(&mut self, id: &str, seq: Seq, line: &[u8]) -> Result<Admission, Error> {
        // It may be in this very group: what is stored can be read once it is durable.
        if !self.block.is_empty() || !self.blocks.is_empty() {
            self.flush_blocks()?;
        }
        let same = self.shared.find_stored(id, seq, |stored| {
            stored.json == line
                || matches!((stored.event(), Event::decode(line)), (Ok(a), Ok(b)) if {
                    a.session == b.session && a.time == b.time && a.body == b.body
                })
        });
        Ok(match same.ok().flatten() {
            Some(true) => Admission::Duplicate,
            Some(false) => Admission::Refused(format!(
                "conflict: event {seq} of session `{}` is already stored with other content",
                excerpt(id)
            )),
            None => Admission::Refused(format!(
                "conflict: event {seq} of session `{}` was stored, but its part of the log can't be read",
                excerpt(id)
            )),
        })
    }

    fn stage(
        &mut self,
        event: Incoming,
        line: &[u8],
        seq: Seq,
        id: Arc<str>,
        key: SessionKey,
        new: bool,
    ) -> Result<(), Error> {
        let record = Record {
            offset: self.next,
            previous: None,
            seq,
            time: event.time,
            kind: event.kind,
            verdict: event.verdict,
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
        let payload = Some(Arc::new(payload));
        self.blocks.push(Published { at, header, payload, events, sessions });
        Ok(())
    }

    /// Makes durable what is staged, shows it to readers, and answers.
    fn flush(&mut self) -> Result<(), Error> {
        if let Err(error) = self.flush_blocks() {
            let reason: Arc<str> = error.to_string().into();
            for (reply, _) in self.answers.drain(..) {
                let _ = reply.send(Err(Error::ReadOnly { reason: Arc::clone(&reason) }));
            }
            return Err(error);
        }
        for (reply, ack) in self.answers.drain(..) {
            // A producer that has gone away does not hear it; its events are stored all the same.
            let _ = reply.send(Ok(ack));
        }
        Ok(())
    }

    fn flush_blocks(&mut self) -> Result<(), Error> {
        self.finish_block()?;
        if self.blocks.is_empty() {
            return Ok(());
        }
        let path = self.journal.file().path();
        write_all_at(&*self.file, &self.out, self.end).map_err(Error::io("write", path))?;
        self.file.sync().map_err(Error::io("sync", path))?;
        self.end += self.out.len() as u64;
        self.out.clear();
        let raw: u64 = self.updates.iter().map(|update| update.change.bytes).sum();
        // Events first: a session in a list can then always be opened.
        self.journal.publish(std::mem::take(&mut self.blocks));
        self.shared.catalog.apply(std::mem::take(&mut self.updates), self.next)?;
        self.shared.published(raw);
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
        self.shared.push_journal(Arc::clone(&self.journal));
        self.seen.forget_before(self.shared.oldest_journal());
        Ok(())
    }

    /// Takes no more events. What was not answered is answered with the reason.
    fn poison(&mut self, error: &Error) {
        let reason: Arc<str> = error.to_string().into();
        self.shared.set_read_only(Arc::clone(&reason));
        for (reply, _) in self.answers.drain(..) {
            let _ = reply.send(Err(Error::ReadOnly { reason: Arc::clone(&reason) }));
        }
        self.block = BlockBuilder::default();
        self.staged = Staged::default();
        self.blocks.clear();
        self.updates.clear();
        self.out.clear();
    }
}

/// Reads the one record of an ordinal and answers what `test` says of it.
pub(crate) fn test_record(
    part: &dyn crate::view::Part,
    ordinal: u32,
    test: &mut dyn FnMut(&Record<'_>) -> bool,
) -> Result<Option<bool>, Error> {
    let mut answer = None;
    part.read(&Ordinals::Range(ordinal..ordinal + 1), None, &mut |_, record| {
        answer = Some(test(&record));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(answer)
}
