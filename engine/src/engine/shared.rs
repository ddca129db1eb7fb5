//! What the engine's threads and its readers share.

use super::merger::Merger;
use super::notary::Notary;
use super::own::Own;
use super::space::Space;
use super::{Options, StageSeconds};
use crate::block::{BlockCache, Record};
use crate::catalog::Catalog;
use crate::cpu::thread_cpu_us;
use crate::disk::{Lock, SharedDisk};
use crate::error::Error;
use crate::event::{Offset, Seq};
use crate::journal::admit::test_record;
use crate::journal::file::Finding;
use crate::journal::part::Journal;
use crate::journal::queue::Queue;
use crate::retention::Keeper;
use crate::segment::Segment;
use crate::view::{Part, Sessions, Snapshot};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Under load blocks come faster than they are worth waking up for.
const PACE: Duration = Duration::from_millis(20);

/// Waits after a turn of work on new blocks that began then, so that the next one finds several; not after a
/// long one, where they wait already.
pub(super) fn pace(began: Instant) {
    std::thread::sleep(PACE.saturating_sub(began.elapsed()));
}

/// What the engine's threads and its readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub dir: PathBuf,
    pub options: Options,
    /// The disk below the layer that encrypts.
    pub raw_disk: SharedDisk,
    pub cache: Arc<BlockCache>,
    pub catalog: Arc<Catalog>,
    pub queue: Queue,
    pub own: Own,
    pub retention: Keeper,
    pub findings: Vec<Finding>,
    pub space: Space,
    /// Held by whoever changes what is sealed (sealing, merging, retention), and by a backup, which needs it to stand
    /// still.
    pub background: Mutex<()>,
    /// Held, after `background`, by whoever needs the catalog's files to stand still, or to be committed all at once.
    pub catalog_files: Mutex<()>,
    /// Held by feeds that change their files, and alone by a backup and by a change of keys, which need them to stand
    /// still.
    pub feeds: RwLock<()>,
    /// Held by whoever replaces a file that stands beside the log.
    pub beside: Mutex<()>,
    /// The names of segments that can't be mended.
    pub beyond_repair: Mutex<HashSet<String>>,
    pub counters: Counters,
    /// The Merkle log, if there is one.
    pub notary: Option<Notary>,
    pub merger: Mutex<Merger>,
    parts: RwLock<Parts>,
    read_only: RwLock<Option<Arc<str>>>,
    closing: AtomicBool,
    /// Stopping leaves everything as it is.
    killed: AtomicBool,
    writer_stopped: AtomicBool,
    /// Counts what the background threads wait for.
    news: Mutex<News>,
    /// Closed journals, commits, seals.
    wake: Condvar,
    /// The log's end, for those who follow it.
    end: watch::Sender<Offset>,
    /// Moves when something of a review can be found.
    reviews: watch::Sender<Offset>,
    /// These, and new blocks: under load there are hundreds a second, and few wait for them.
    wake_for_blocks: Condvar,
    /// Held as long as the engine lives: no other process may write here.
    _lock: Option<Box<dyn Lock>>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Bytes of the lines in the log.
    pub raw_bytes: AtomicU64,
    pub writer_cpu_us: AtomicU64,
    pub indexer_cpu_us: AtomicU64,
    pub notary_cpu_us: AtomicU64,
    /// How often segments were merged.
    pub merges: AtomicU64,
    pub sealed: Mutex<StageSeconds>,
}

#[derive(Debug, Default)]
struct Parts {
    /// Oldest first.
    segments: Vec<Arc<Segment>>,
    /// Counts the changes of `segments`.
    segments_version: u64,
    /// Oldest first; the last one is being written.
    journals: Vec<Arc<Journal>>,
}

#[derive(Debug, Default)]
struct News {
    generation: u64,
    /// How often blocks became visible.
    blocks: u64,
    /// How often the writer has answered a wish to rotate.
    rotations: u64,
    seal_error: Option<Error>,
    /// How often sealing has failed.
    seal_failures: u64,
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "built in one place, from what recovery found")]
    pub(super) fn new(
        dir: &Path,
        options: Options,
        cache: Arc<BlockCache>,
        catalog: Arc<Catalog>,
        findings: Vec<Finding>,
        segments: Vec<Arc<Segment>>,
        journals: Vec<Arc<Journal>>,
        read_only: Option<Arc<str>>,
        raw_bytes: u64,
        notary: Option<Notary>,
        lock: Option<Box<dyn Lock>>,
        raw_disk: SharedDisk,
        retention: Keeper,
    ) -> Shared {
        let end = journals.last().map(|journal| journal.end());
        let end = end.or(segments.last().map(|segment| segment.end())).unwrap_or_default();
        Shared {
            dir: dir.to_owned(),
            raw_disk,
            queue: Queue::new(options.queue_bytes_max),
            space: Space::new(&*options.disk, dir, options.free_bytes_min),
            background: Mutex::default(),
            catalog_files: Mutex::default(),
            feeds: RwLock::default(),
            beside: Mutex::default(),
            beyond_repair: Mutex::default(),
            options,
            cache,
            catalog,
            own: Own::default(),
            retention,
            findings,
            counters: Counters { raw_bytes: AtomicU64::new(raw_bytes), ..Counters::default() },
            merger: Mutex::default(),
            parts: RwLock::new(Parts { segments, segments_version: 0, journals }),
            read_only: RwLock::new(read_only),
            closing: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            writer_stopped: AtomicBool::new(false),
            notary,
            news: Mutex::default(),
            wake: Condvar::new(),
            wake_for_blocks: Condvar::new(),
            end: watch::Sender::new(end),
            reviews: watch::Sender::new(end),
            _lock: lock,
        }
    }

    pub fn journal_dir(&self) -> PathBuf {
        self.dir.join("journal")
    }

    pub fn segments_dir(&self) -> PathBuf {
        self.dir.join("segments")
    }

    pub fn snapshot(&self) -> Snapshot {
        let parts = self.parts.read();
        let segments = parts.segments.iter().map(|s| Arc::clone(s) as Arc<dyn Part>);
        let journals = parts.journals.iter().map(|j| Arc::new(j.view()) as Arc<dyn Part>);
        Snapshot {
            parts: segments.chain(journals).filter(|part| !part.is_empty()).collect(),
            sessions: Arc::clone(&self.catalog) as Arc<dyn Sessions>,
        }
    }

    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.parts.read().segments.clone()
    }

    /// Segments and journals of one moment: no event is in both or in neither.
    pub fn parts(&self) -> (Vec<Arc<Segment>>, Vec<Arc<Journal>>) {
        let parts = self.parts.read();
        (parts.segments.clone(), parts.journals.clone())
    }

    /// Oldest first; the last one is being written.
    pub fn journals(&self) -> Vec<Arc<Journal>> {
        self.parts.read().journals.clone()
    }

    /// Bytes of records in journals.
    pub fn unsealed_bytes(&self) -> u64 {
        self.parts.read().journals.iter().map(|journal| journal.raw_bytes()).sum()
    }

    pub fn oldest_journal(&self) -> Offset {
        self.parts.read().journals.first().map_or(Offset(0), |journal| journal.base())
    }

    pub fn push_journal(&self, journal: Arc<Journal>) {
        self.parts.write().journals.push(journal);
        self.rotated();
    }

    /// A journal has become a segment: readers see the one or the other, never both or neither.
    pub fn replace_with_segment(&self, journal: &Arc<Journal>, segment: Segment) {
        let mut parts = self.parts.write();
        parts.journals.retain(|other| !Arc::ptr_eq(other, journal));
        parts.segments.push(Arc::new(segment));
        parts.segments_version += 1;
    }

    /// Segments have gone, and maybe one has come in their place: readers see the ones or the other,
    /// never both or neither. The caller holds `background` since it chose them.
    pub fn replace_segments(&self, gone: &[Arc<Segment>], new: Option<Arc<Segment>>) {
        let mut parts = self.parts.write();
        let bytes = |segment: &Arc<Segment>| segment.manifest().raw_bytes;
        let is_gone = |segment: &Arc<Segment>| gone.iter().any(|gone| Arc::ptr_eq(gone, segment));
        let lost: u64 = parts.segments.iter().filter(|segment| is_gone(segment)).map(bytes).sum();
        parts.segments.retain(|segment| !is_gone(segment));
        self.counters.raw_bytes.fetch_sub(lost, Ordering::Relaxed);
        if let Some(new) = new {
            self.counters.raw_bytes.fetch_add(bytes(&new), Ordering::Relaxed);
            let at = parts.segments.partition_point(|segment| segment.base() < new.base());
            parts.segments.insert(at, new);
        }
        parts.segments_version += 1;
    }

    /// Counts how often the segments have changed.
    pub fn segments_version(&self) -> u64 {
        self.parts.read().segments_version
    }

    /// Applies `test` to the stored event of a session's number; `None` if it can't be found.
    pub fn find_stored(
        &self,
        id: &str,
        seq: Seq,
        mut test: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Option<bool>, Error> {
        for journal in self.journals() {
            let view = journal.view();
            if let Some(ordinal) = view.ordinal_of_seq(id, seq) {
                return test_record(&view, ordinal, &mut test);
            }
        }
        for segment in self.segments() {
            let Some(run) = segment.session(id)? else { continue };
            // A session's events are in the order of their numbers.
            let (mut low, mut high) = (0, run.ordinals.len());
            while low < high {
                let middle = low + (high - low) / 2;
                let Some(facts) = run.ordinals.get(middle).and_then(|o| segment.facts(o)) else {
                    break;
                };
                match facts.seq.cmp(&seq) {
                    std::cmp::Ordering::Less => low = middle + 1,
                    std::cmp::Ordering::Greater => high = middle,
                    std::cmp::Ordering::Equal => {
                        let ordinal = run.ordinals.get(middle).unwrap_or(0);
                        return test_record(&*segment, ordinal, &mut test);
                    }
                }
            }
        }
        Ok(None)
    }

    pub fn read_only_reason(&self) -> Option<Arc<str>> {
        self.read_only.read().clone()
    }

    pub fn set_read_only(&self, reason: Arc<str>) {
        tracing::error!(%reason, "the log is read-only from here on");
        self.read_only.write().get_or_insert(reason);
        self.announce(|_| ());
    }

    /// Is everything to stay as it is, uncommitted? Only tests ask for that.
    pub fn killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    #[cfg(any(test, feature = "sim"))]
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.close();
    }

    pub fn closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub fn close(&self) {
        self.queue.close();
        self.closing.store(true, Ordering::Release);
        self.announce(|_| ());
    }

    pub fn writer_stopped(&self) -> bool {
        self.writer_stopped.load(Ordering::Acquire)
    }

    /// Nothing more will be written.
    pub fn set_writer_stopped(&self) {
        self.writer_stopped.store(true, Ordering::Release);
    }

    /// The log's end, and when it moves.
    pub fn follow(&self) -> watch::Receiver<Offset> {
        self.end.subscribe()
    }

    /// Moves when a request for a review, or a decision, can be found.
    pub fn follow_reviews(&self) -> watch::Receiver<Offset> {
        self.reviews.subscribe()
    }

    /// Something of a review is visible, up to an offset.
    pub fn reviews_changed(&self, end: Offset) {
        self.reviews.send_replace(end);
    }

    /// New blocks are visible, up to an offset.
    pub fn published(&self, raw_bytes: u64, end: Offset) {
        self.end.send_replace(end);
        self.counters.raw_bytes.fetch_add(raw_bytes, Ordering::Relaxed);
        self.news.lock().blocks += 1;
        self.wake_for_blocks.notify_all();
    }

    /// The writer has opened a new journal, or had no reason to.
    pub fn rotated(&self) {
        self.announce(|news| news.rotations += 1);
    }

    /// The indexer or the sealer has come further.
    pub fn progressed(&self) {
        self.announce(|_| ());
    }

    /// A journal could not be closed, indexed or sealed; whoever waits for that hears it.
    pub fn seal_failed(&self, error: Error) {
        self.announce(|news| {
            news.seal_failures += 1;
            news.seal_error = Some(error);
        });
    }

    fn announce(&self, change: impl FnOnce(&mut News)) {
        let mut news = self.news.lock();
        news.generation += 1;
        change(&mut news);
        self.wake.notify_all();
        self.wake_for_blocks.notify_all();
    }

    /// Waits for new blocks and other news after `seen`, or for the timeout; answers what has been seen
    /// then.
    pub fn wait_for_blocks(&self, seen: u64, timeout: Duration) -> u64 {
        let mut news = self.news.lock();
        if news.generation + news.blocks == seen && !self.closing() {
            self.wake_for_blocks.wait_for(&mut news, timeout);
        }
        news.generation + news.blocks
    }

    /// Waits for news other than new blocks after `seen`, or for the timeout; answers what has been seen
    /// then.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let mut news = self.news.lock();
        if news.generation == seen && !self.closing() {
            self.wake.wait_for(&mut news, timeout);
        }
        news.generation
    }

    /// Waits for the timeout, or for the end; answers what has been seen then.
    pub fn rest(&self, timeout: Duration) -> u64 {
        let until = Instant::now() + timeout;
        let mut news = self.news.lock();
        while !self.closing() && !self.wake.wait_until(&mut news, until).timed_out() {}
        news.generation
    }

    pub fn seal_now(&self) -> Result<(), Error> {
        if let Some(reason) = self.read_only_reason() {
            return Err(Error::ReadOnly { reason });
        }
        let (rotations, failures) = {
            let news = self.news.lock();
            (news.rotations, news.seal_failures)
        };
        self.queue.rotate();
        loop {
            if self.closing() {
                return Err(Error::Closed);
            }
            let journals = self.journals().len();
            let mut news = self.news.lock();
            if news.rotations > rotations && journals <= 1 {
                return Ok(());
            }
            if news.seal_failures > failures {
                return Err(news.seal_error.clone().unwrap_or(Error::Closed));
            }
            self.wake.wait_for(&mut news, Duration::from_millis(100));
        }
    }

    pub fn count_writer_cpu(&self) {
        self.counters.writer_cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
    }
}
