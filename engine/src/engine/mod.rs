//! The engine: the log as a whole.
//!
//! ```text
//!            append                                   snapshot
//!              │                                          │
//!           [queue] bounded in bytes                      │
//!              ▼                                          ▼
//!           writer ──► journal ──────────────► parts: segments, journals
//!         (one thread)   │    │                           ▲
//!                        │    └─► catalog (at once)       │
//!                        ▼                                │
//!              indexer, notary ──► text index, checkpoints│
//!                        │                                │
//!                        ▼                                │
//!                     sealer ──► segment ─────────────────┤
//!                                   │                     │
//!                                   ▼                     │
//!                                merger ──► segment ──────┘
//! ```
//!
//! | module | what is there |
//! |---|---|
//! | [`shared`] | what the threads and the readers share |
//! | [`rekey`] | which encryption keys files are under, and encrypting them under the first |
//! | [`prepare`], [`open`] | opening a data directory: lock and refusals; recovery, replay |
//! | [`indexer`] | the thread that indexes journals' texts |
//! | [`committer`] | the thread that writes the catalog when many new sessions wait in memory |
//! | [`notary`] | the thread that takes blocks into the Merkle log and signs it |
//! | [`proof`] | proofs of sessions, checkpoints and tiles for others |
//! | [`sealer`] | the thread that turns closed journals into segments |
//! | [`merger`] | the thread that makes few large segments of many small ones |
//! | [`space`] | the disk's free space: when ingest stops for the lack of it |
//! | [`own`] | the events that daybook itself writes |
//! | [`retention`] | policy, holds and deletion, and the thread that deletes |

mod committer;
mod damaged;
mod indexer;
mod mender;
mod merger;
mod notary;
mod open;
mod own;
mod prepare;
mod proof;
mod refold;
mod rekey;
mod retention;
mod sealer;
mod shared;
mod space;
mod stats;

pub use mender::{Left, Repaired};
pub use own::Act;
pub use prepare::FORMAT_VERSION;
pub use proof::Coverage;
pub(crate) use refold::set_aside;
pub use rekey::Rekeyed;
pub(crate) use shared::Shared;
pub(crate) use space::Said;
pub use stats::{StageSeconds, Stats};

use crate::backup;
use crate::batch::{Ack, Batch, OwnSession};
use crate::beside::{self, Beside};
use crate::crypt::Keyring;
use crate::disk::{EncryptedDisk, RealDisk, SharedDisk};
use crate::error::Error;
use crate::event::wire::{Access, LINE_BYTES_DEFAULT, SESSION_BYTES_MAX};
use crate::event::{Offset, Seq};
use crate::retention::HoldQueries;
use crate::segment::Columnar;
use crate::view::Snapshot;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The settings of an engine. Every bound of the storage is here.
#[derive(Clone)]
pub struct Options {
    /// A journal is sealed at this many bytes of records; memory while sealing is about this.
    pub journal_bytes_max: u64,
    /// A journal is sealed at this age.
    pub journal_age_max: Duration,
    /// Past this many bytes of batches that wait, `append` answers busy.
    pub queue_bytes_max: u64,
    /// Past this many bytes of records in journals, which readers keep facts of each event of in memory,
    /// `append` answers busy until some are sealed; from half of it on the writer takes its time. Twice
    /// `journal_bytes_max` at least.
    pub unsealed_bytes_max: u64,
    /// A longer line is rejected, up to the format's own bound ([`LINE_BYTES_MAX`](crate::event::wire::LINE_BYTES_MAX)).
    pub event_bytes_max: u64,
    /// A longer session id is rejected, up to the format's own bound ([`SESSION_BYTES_MAX`]).
    pub session_id_bytes_max: u64,
    /// Further events of a session that has this many are rejected.
    pub session_events_max: u64,
    /// Further reviews and pending commands of a session that has this many are rejected: they are
    /// part of its state, which is rewritten whole.
    pub session_reviews_max: u64,
    /// The catalog is committed when so many sessions came since the last time, other than before sealing: whoever lists
    /// sessions goes through all that are not committed.
    pub fresh_sessions_max: u64,
    /// With fewer free bytes, or with less than a twentieth of a smaller disk, no events are taken:
    /// sealing and the indexes still need room.
    pub free_bytes_min: u64,
    /// Files that the process may have open; 0 is as many as the system lets it.
    pub open_files_max: u64,
    /// The cache of decompressed blocks.
    pub cache_bytes: u64,
    /// Texts are committed to the index at this many bytes of records that are not in it yet.
    pub index_bytes_max: u64,
    /// Texts are committed to the index at this age.
    pub index_age_max: Duration,
    /// The memory that the text index may fill before it writes.
    pub index_heap_bytes: usize,
    /// Index texts? Without it searches read the log.
    pub text_index: bool,
    /// Merge small segments of a day into larger ones, in the background?
    pub merge: bool,
    /// At most this many bytes of lines are in a segment that was merged; memory while merging is about
    /// this.
    pub merge_bytes_max: u64,
    /// Keep the Merkle log? Off only to measure: a log that was without it once can't be proved.
    pub merkle: bool,
    /// The log's name, which is also its key's: a URL without the scheme, such as
    /// `daybook.example.com/acme`. Only the first opening of a directory asks for it.
    pub origin: String,
    /// A checkpoint is signed when the oldest event that none covers is of this age.
    pub checkpoint_age_max: Duration,
    /// A proof of a session with more bytes of lines than this is refused: it is held in memory.
    pub proof_bytes_max: u64,
    /// Open at rest: nothing in the directory is changed.
    pub read_only: bool,
    /// Where all files are.
    pub disk: SharedDisk,
    /// Encrypts what is written with the first of these keys, and reads what is encrypted with any.
    pub encryption: Option<Arc<Keyring>>,
    /// The cache of decrypted parts of text indexes.
    pub encryption_cache_bytes: u64,
    /// Writes the columnar copy of each segment.
    pub columnar: Option<Arc<dyn Columnar>>,
    /// How often what the policy says is deleted, beginning at the start; `None` for only on request.
    pub retention_interval: Option<Duration>,
    /// Evaluates the queries of legal holds.
    pub hold_queries: Option<Arc<dyn HoldQueries>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("journal_bytes_max", &self.journal_bytes_max)
            .field("journal_age_max", &self.journal_age_max)
            .field("queue_bytes_max", &self.queue_bytes_max)
            .field("unsealed_bytes_max", &self.unsealed_bytes_max)
            .field("event_bytes_max", &self.event_bytes_max)
            .field("session_id_bytes_max", &self.session_id_bytes_max)
            .field("session_events_max", &self.session_events_max)
            .field("session_reviews_max", &self.session_reviews_max)
            .field("fresh_sessions_max", &self.fresh_sessions_max)
            .field("free_bytes_min", &self.free_bytes_min)
            .field("open_files_max", &self.open_files_max)
            .field("cache_bytes", &self.cache_bytes)
            .field("index_bytes_max", &self.index_bytes_max)
            .field("index_age_max", &self.index_age_max)
            .field("index_heap_bytes", &self.index_heap_bytes)
            .field("text_index", &self.text_index)
            .field("merkle", &self.merkle)
            .field("origin", &self.origin)
            .field("checkpoint_age_max", &self.checkpoint_age_max)
            .field("merge", &self.merge)
            .field("merge_bytes_max", &self.merge_bytes_max)
            .field("proof_bytes_max", &self.proof_bytes_max)
            .field("read_only", &self.read_only)
            .field("disk", &self.disk)
            .field("encryption", &self.encryption)
            .field("encryption_cache_bytes", &self.encryption_cache_bytes)
            .field("columnar", &self.columnar.is_some())
            .field("retention_interval", &self.retention_interval)
            .field("hold_queries", &self.hold_queries.is_some())
            .finish()
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            journal_bytes_max: 256 << 20,
            journal_age_max: Duration::from_secs(15 * 60),
            queue_bytes_max: 64 << 20,
            unsealed_bytes_max: 1 << 30,
            event_bytes_max: LINE_BYTES_DEFAULT as u64,
            session_id_bytes_max: SESSION_BYTES_MAX as u64,
            session_events_max: 1_000_000_000,
            session_reviews_max: 10_000,
            fresh_sessions_max: 16_384,
            free_bytes_min: 256 << 20,
            open_files_max: 0,
            cache_bytes: 64 << 20,
            index_bytes_max: 8 << 20,
            index_age_max: Duration::from_secs(30),
            index_heap_bytes: 64 << 20,
            text_index: true,
            merkle: true,
            origin: "localhost/daybook".to_owned(),
            checkpoint_age_max: Duration::from_secs(60),
            merge: true,
            merge_bytes_max: 256 << 20,
            proof_bytes_max: 256 << 20,
            read_only: false,
            disk: Arc::new(RealDisk),
            encryption: None,
            encryption_cache_bytes: 32 << 20,
            columnar: None,
            retention_interval: Some(Duration::from_secs(3_600)),
            hold_queries: None,
        }
    }
}

impl Options {
    /// The bound on what is not sealed: a journal that is full and the one after it have to fit.
    pub(crate) fn unsealed_bytes_bound(&self) -> u64 {
        self.unsealed_bytes_max.max(self.journal_bytes_max.saturating_mul(2))
    }

    /// The disk with what lies over it: files that are encrypted are read as if they were not.
    #[must_use]
    pub fn layered_disk(&self) -> SharedDisk {
        // Also without keys, so that a file that wants one says so.
        let keys = self.encryption.clone().unwrap_or_default();
        let disk = Arc::clone(&self.disk);
        Arc::new(EncryptedDisk::new(disk, keys, self.encryption_cache_bytes))
    }
}

/// The log of one data directory.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Opens a data directory, makes it if it is not there, and recovers what a crash left.
    ///
    /// # Errors
    /// A directory that another process has open or that a newer version wrote, a file header that is
    /// damaged, and the system's. Damage inside the log is not an error here: the engine then opens
    /// read-only (see [`Engine::read_only_reason`]).
    pub fn open(dir: &Path, options: Options) -> Result<Arc<Engine>, Error> {
        let opened = open::open(dir, options)?;
        let mut threads = Vec::new();
        if let Some(writer) = opened.writer {
            let shared = Arc::clone(&opened.shared);
            let done = Arc::clone(&opened.shared);
            threads.push(spawn("daybook-writer", move || {
                writer.run();
                done.set_writer_stopped();
            })?);
            if let Some(log) = opened.log {
                let shared = Arc::clone(&shared);
                threads
                    .push(spawn("daybook-notary", move || behind(|| notary::run(&shared, log)))?);
            }
            if shared.options.text_index {
                let shared = Arc::clone(&shared);
                threads.push(spawn("daybook-indexer", move || behind(|| indexer::run(&shared)))?);
            }
            let (retainer, merging) = (Arc::clone(&shared), Arc::clone(&shared));
            let committing = Arc::clone(&shared);
            threads.push(spawn("daybook-committer", move || {
                behind(|| committer::run(&committing));
            })?);
            threads.push(spawn("daybook-sealer", move || behind(|| sealer::run(&shared)))?);
            retention::resume(&retainer);
            if merging.options.merge {
                threads.push(spawn("daybook-merger", move || behind(|| merger::run(&merging)))?);
            }
            if retainer.options.retention_interval.is_some() {
                let run = move || behind(|| retention::run(&retainer));
                threads.push(spawn("daybook-retention", run)?);
            }
        } else {
            retention::resume(&opened.shared);
        }
        Ok(Arc::new(Engine { shared: opened.shared, threads: Mutex::new(threads) }))
    }

    /// Appends a batch. The answer comes when everything in it is durable and can be found.
    ///
    /// # Errors
    /// [`Error::Busy`] when too much waits, [`Error::Full`] while the disk is full, [`Error::ReadOnly`]
    /// after a failed write; then nothing of the batch is acknowledged, and sending it again is safe.
    pub async fn append(&self, batch: Batch) -> Result<Ack, Error> {
        if batch.is_empty() {
            return Ok(Ack::default());
        }
        self.admit(batch)?.await.map_err(|_| Error::Closed)?
    }

    /// As [`Engine::append`], for threads that may wait.
    ///
    /// # Errors
    /// As [`Engine::append`].
    pub fn append_blocking(&self, batch: Batch) -> Result<Ack, Error> {
        if batch.is_empty() {
            return Ok(Ack::default());
        }
        self.admit(batch)?.blocking_recv().map_err(|_| Error::Closed)?
    }

    fn admit(
        &self,
        batch: Batch,
    ) -> Result<tokio::sync::oneshot::Receiver<Result<Ack, Error>>, Error> {
        if let Some(reason) = self.shared.read_only_reason() {
            return Err(Error::ReadOnly { reason });
        }
        if let Some(what) = self.shared.space.full() {
            return Err(Error::Full { what });
        }
        let (waiting_bytes, limit_bytes) = self.unsealed_bytes();
        if waiting_bytes >= limit_bytes {
            return Err(Error::Busy { what: "sealed", waiting_bytes, limit_bytes });
        }
        self.shared.queue.push(batch)
    }

    /// A consistent view of everything that was acknowledged before.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Every event before this offset is in a journal that is closed or in a segment: nothing comes between them any
    /// more.
    #[must_use]
    pub fn closed_through(&self) -> Offset {
        self.shared.journals().last().map_or(Offset(0), |journal| journal.base())
    }

    /// Changes files of feeds, which stand beside the log in `feeds/`: not while they are copied into a backup or put
    /// under another key.
    pub fn feeding<T>(&self, change: impl FnOnce() -> T) -> T {
        let _changing = self.shared.feeds.read();
        change()
    }

    /// The log's end, for those who wait for what comes: it moves when events can be found.
    #[must_use]
    pub fn follow(&self) -> tokio::sync::watch::Receiver<Offset> {
        self.shared.follow()
    }

    /// Moves when a request for a review, or a decision, can be found.
    #[must_use]
    pub fn follow_reviews(&self) -> tokio::sync::watch::Receiver<Offset> {
        self.shared.follow_reviews()
    }

    /// What is stored, and how the parts of the engine are doing.
    ///
    /// # Errors
    /// The catalog's.
    pub fn stats(&self) -> Result<Stats, Error> {
        stats::collect(&self.shared)
    }

    /// Why no events are taken, if so.
    #[must_use]
    pub fn read_only_reason(&self) -> Option<Arc<str>> {
        self.shared.read_only_reason()
    }

    /// Why no events are taken until there is more space, if so. They are taken again by themselves.
    #[must_use]
    pub fn full_reason(&self) -> Option<Arc<str>> {
        self.shared.space.full()
    }

    /// Bytes of batches that wait to be written, and how many may.
    #[must_use]
    pub fn queue_bytes(&self) -> (u64, u64) {
        (self.shared.queue.bytes(), self.shared.options.queue_bytes_max)
    }

    /// Bytes of records in journals, and how many may be there.
    #[must_use]
    pub fn unsealed_bytes(&self) -> (u64, u64) {
        (self.shared.unsealed_bytes(), self.shared.options.unsealed_bytes_bound())
    }

    /// Its data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The settings that it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Makes a backup of all that was acknowledged before, in a directory that is not there or is empty
    /// (see [`backup`]). Ingest and reads go on meanwhile; one backup runs at a time.
    ///
    /// # Errors
    /// A directory that can't be used, and the system's. What was not finished has no `backup.json`.
    pub fn backup(&self, to: &Path) -> Result<backup::Report, Error> {
        backup::make::make(&self.shared, to)
    }

    /// Restores a backup into a directory that is not there or is empty, opens it at rest with
    /// `options`, and compares what it holds with what was backed up.
    ///
    /// # Errors
    /// A directory that is no finished backup, the first file that is not as it was backed up, a target
    /// that is not empty, and the system's.
    pub fn restore(from: &Path, to: &Path, options: Options) -> Result<backup::Report, Error> {
        let report = backup::restore::restore(&*options.disk, from, to)?;
        let engine = Engine::open(to, Options { read_only: true, ..options })?;
        let events = engine.snapshot().events();
        if events != report.events {
            let what = format!("it holds {events} events, but {} were backed up", report.events);
            return Err(Error::Unusable { path: to.to_owned(), what });
        }
        Ok(report)
    }

    /// Closes the journal and waits until everything is in sealed segments.
    ///
    /// # Errors
    /// What stopped the sealing; it is tried again in the background.
    pub fn seal_now(&self) -> Result<(), Error> {
        self.shared.seal_now()
    }

    /// Encrypts everything anew that is not under the first of the encryption keys. It may take as long as
    /// sealing all of it did; meanwhile the log takes events and answers.
    ///
    /// # Errors
    /// That there is no key, and what stopped it: what was done stays done, and calling it again goes on.
    pub fn rekey(&self) -> Result<Rekeyed, Error> {
        rekey::run(&self.shared)
    }

    /// Tells what was done at this node, as `access` events of one of daybook's own sessions, in this order: all of it,
    /// or nothing. It is durable, and can be found, when this answers.
    ///
    /// # Errors
    /// The log takes no events, or none for half a minute; then nothing was told.
    pub fn tell(&self, session: OwnSession, acts: &[Access]) -> Result<(), Error> {
        self.shared.tell_acts(session, acts)
    }

    /// Calls `visit` with what was told in one of daybook's own sessions after an act, the oldest first.
    ///
    /// # Errors
    /// A part of the log that can't be read.
    pub fn acts(
        &self,
        session: OwnSession,
        after: Option<Seq>,
        visit: &mut dyn FnMut(Act),
    ) -> Result<(), Error> {
        self.shared.acts(session, after, visit)
    }

    /// What a file that stands beside the log holds; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a file that was altered or is of another shape, [`Error::NoKey`], and the
    /// system's.
    pub fn beside<T: DeserializeOwned>(&self, file: Beside) -> Result<Option<T>, Error> {
        beside::load(&self.shared, file)
    }

    /// Replaces a file that stands beside the log with a value, which has to be a struct with fields. It is
    /// durable when this answers.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], and the system's; the file is then as it was, or as it was to be.
    pub fn keep_beside<T: Serialize>(&self, file: Beside, value: &T) -> Result<(), Error> {
        beside::store(&self.shared, file, value)
    }

    /// Merges small segments until nothing is left to be merged; answers how often that was done.
    ///
    /// # Errors
    /// What stopped the merging; the segments are then as they were.
    pub fn merge_now(&self) -> Result<u64, Error> {
        if let Some(reason) = self.shared.read_only_reason() {
            return Err(Error::ReadOnly { reason });
        }
        merger::merge_now(&self.shared)
    }

    /// Reads every file of the sealed segments, makes again what is derived and damaged, and says what
    /// can't be mended. Reads and appends go on meanwhile.
    ///
    /// # Errors
    /// The system's, or a log that takes no events.
    pub fn repair(&self) -> Result<Repaired, Error> {
        if let Some(reason) = self.shared.read_only_reason() {
            return Err(Error::ReadOnly { reason });
        }
        mender::mend_all(&self.shared)
    }

    /// Writes what waits, commits the indexes and stops. Appending afterwards answers
    /// [`Error::Closed`]; reading goes on. Calling it again does nothing.
    ///
    /// # Errors
    /// The catalog's, when its last commit fails; the log itself is whole all the same.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return Ok(());
        }
        for thread in threads {
            let _ = thread.join();
        }
        let _alone = self.shared.background.lock();
        self.shared.catalog.commit().map(|_| ())
    }
}

#[cfg(any(test, feature = "sim"))]
impl Engine {
    /// Stops as a process that is killed: nothing is committed any more.
    pub fn kill(&self) {
        self.shared.kill();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "closing the log");
        }
    }
}

/// Runs what nobody waits for behind acknowledgements and queries: where cores are few, the system
/// gives the others their turn first. The threads that are started from here inherit it.
fn behind(run: impl FnOnce()) {
    const NICE: i32 = 5;
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a background thread keeps its priority");
    }
    run();
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(Error::io("start a thread", Path::new(name)))
}
