//! The notary: one thread that takes journals' blocks into the Merkle log and signs it.
//!
//! It follows the journals block by block, behind acknowledgements: the writer knows nothing of it. A
//! checkpoint is signed when a journal has closed, when the oldest event that none covers is of some
//! age, when somebody asks for one, and at the end. A journal is sealed only after a checkpoint covers
//! it, so that after a crash every leaf behind the last checkpoint can be made again.
//!
//! When the tree can't be written, acknowledging goes on, and so do reads; the notary starts again from
//! what was signed last, journals wait unsealed, and the log of the process and the stats say why.

use super::Options;
use super::shared::{Shared, pace};
use super::space::Said;
use crate::cpu::thread_cpu_us;
use crate::error::Error;
use crate::event::Offset;
use crate::journal::file::Finding;
use crate::journal::part::Journal;
use crate::merkle::log::{self, MerkleLog, Signed};
use crate::merkle::store::Store;
use crate::merkle::{Checkpoint, Leaf, Secret, Verifier};
use parking_lot::{Mutex, RwLock};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long after a failure the notary tries again.
const RETRY: Duration = Duration::from_secs(5);

/// The Merkle log, as everybody but its thread sees it.
#[derive(Debug)]
pub(crate) struct Notary {
    store: Arc<Store>,
    verifier: Option<Verifier>,
    latest: RwLock<Latest>,
    /// Somebody wants a checkpoint that covers everything below this offset.
    wish: AtomicU64,
    failures: Mutex<Failures>,
    said: Said,
}

/// The last checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Latest {
    pub signed: Signed,
    pub note: Arc<str>,
}

#[derive(Debug, Default)]
struct Failures {
    count: u64,
    last: Option<Error>,
}

impl Notary {
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_ref()
    }

    pub fn latest(&self) -> Latest {
        self.latest.read().clone()
    }

    /// Everything below is covered by a signed checkpoint.
    pub fn covered(&self) -> Offset {
        self.latest.read().signed.end
    }

    /// What stopped it last, if it has not come further since.
    pub fn error(&self) -> Option<Error> {
        self.failures.lock().last.clone()
    }
}

/// What opening the Merkle log has to know of the rest.
pub(super) struct Around<'a> {
    pub data: &'a Path,
    pub options: &'a Options,
    /// May the log be gone on with?
    pub writable: bool,
    /// Is it known to be damaged? Then it is not compared any further.
    pub damaged: bool,
    pub journals: &'a [Arc<Journal>],
    /// The log's first offset that is in no segment.
    pub sealed_end: Offset,
    /// The log's end.
    pub end: Offset,
}

/// Opens the Merkle log and compares it with the rest of the log. Damage is added to `findings`; then
/// there is no log to go on with.
pub(super) fn open(
    around: &Around<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(Option<Notary>, Option<MerkleLog>), Error> {
    if !around.options.merkle {
        return Ok((None, None));
    }
    match open_whole(around) {
        Ok((notary, log)) if around.damaged => Ok((Some(notary), log)),
        Ok((notary, log)) => match compare(around, &notary) {
            Ok(None) => Ok((Some(notary), log)),
            Ok(Some(finding)) => {
                findings.push(finding);
                Ok((Some(notary), None))
            }
            Err(error) => damaged(around, error, findings),
        },
        Err(Opening::Absent) => Ok((None, None)),
        Err(Opening::Failed(error)) => damaged(around, error, findings),
    }
}

enum Opening {
    Absent,
    Failed(Error),
}

impl From<Error> for Opening {
    fn from(error: Error) -> Opening {
        Opening::Failed(error)
    }
}

fn open_whole(around: &Around<'_>) -> Result<(Notary, Option<MerkleLog>), Opening> {
    let disk = &around.options.disk;
    let notary = |store, verifier, signed, note: Option<String>| Notary {
        store,
        verifier,
        latest: RwLock::new(Latest { signed, note: note.unwrap_or_default().into() }),
        wish: AtomicU64::new(0),
        failures: Mutex::default(),
        said: Said::default(),
    };
    if around.writable {
        let (log, note) = MerkleLog::open(disk, around.data, &around.options.origin)?;
        let store = Arc::clone(log.store());
        let verifier = Some(log.verifier().clone());
        return Ok((notary(store, verifier, *log.signed(), note), Some(log)));
    }
    let found = log::read(disk, around.data, false)?.ok_or(Opening::Absent)?;
    Ok((notary(found.store, found.verifier, found.signed, found.note), None))
}

fn damaged(
    around: &Around<'_>,
    error: Error,
    findings: &mut Vec<Finding>,
) -> Result<(Option<Notary>, Option<MerkleLog>), Error> {
    let (path, at, what) = match error {
        Error::Corrupt { path, at, what } => (path, at, what),
        // A bad sector here is no reason not to read the rest.
        Error::Io { action, path, source } => (path, 0, format!("can't {action} it: {source}")),
        other => return Err(other),
    };
    findings.push(Finding {
        path,
        from: at,
        to: at,
        first_offset: around.end,
        what: format!("the Merkle log is damaged or was altered: {what}"),
        quarantine: None,
    });
    Ok((None, None))
}

/// Compares what was signed with the log's end and with the journals' blocks. Sealed segments are
/// compared by `verify`: a start costs the same however many there are.
fn compare(around: &Around<'_>, notary: &Notary) -> Result<Option<Finding>, Error> {
    let signed = notary.latest().signed;
    let finding = |first_offset: Offset, what: String| Finding {
        path: notary.store.leaves_path(),
        from: 0,
        to: 0,
        first_offset,
        what,
        quarantine: None,
    };
    if signed.end > around.end {
        let what = format!(
            "the log ends at event {}, but a signed checkpoint covers the events up to {}: {} events are gone",
            around.end,
            signed.end.0.saturating_sub(1),
            signed.end.0 - around.end.0
        );
        return Ok(Some(finding(around.end, what)));
    }
    if signed.end < around.sealed_end {
        let what = format!(
            "the Merkle log ends at event {}, but the events up to {} are sealed: its files are of another time, or gone",
            signed.end, around.sealed_end
        );
        return Ok(Some(finding(signed.end, what)));
    }
    for journal in around.journals {
        let secret = Secret(journal.file().secret()?);
        let view = journal.view();
        for block in view.blocks() {
            let base = Offset(journal.base().0 + u64::from(block.first));
            if base >= signed.end {
                break;
            }
            let payload = journal.payload(block)?;
            let leaf = Leaf::of_block(&secret, &payload);
            let committed = notary.store.find(base, signed.size)?;
            if leaf.ok() != committed.map(|(_, leaf)| leaf) {
                let last = base.0 + block.events.len().saturating_sub(1) as u64;
                let what = format!(
                    "{}: the events {base} to {last} (block at byte {}) are not what a signed checkpoint commits to: they were changed after they were stored",
                    journal.file().path().display(),
                    block.at
                );
                return Ok(Some(finding(base, what)));
            }
        }
    }
    Ok(None)
}

pub(super) fn run(shared: &Shared, mut log: MerkleLog) {
    let Some(notary) = &shared.notary else { return };
    let mut seen = 0;
    let mut since = None;
    while !shared.killed() {
        // What the writer still writes while the engine closes is covered, too.
        let closing = shared.closing() && shared.writer_stopped();
        let mut pause = Duration::from_millis(500).min(shared.options.checkpoint_age_max);
        let (before, began) = (log.end(), Instant::now());
        if let Err(error) = step(shared, notary, &mut log, &mut since, closing) {
            notary.said.failed(
                &error,
                "the Merkle log can't be written; starting again from the last checkpoint",
            );
            {
                let mut failures = notary.failures.lock();
                failures.count += 1;
                failures.last = Some(error.clone());
            }
            // Sealing waits for a checkpoint: who waits for it is told.
            shared.seal_failed(error);
            if let Err(error) = log.reset() {
                tracing::warn!(%error, "the Merkle log can't be read");
            }
            if !closing {
                std::thread::sleep(Duration::from_millis(200));
                pause = RETRY;
            }
        }
        shared.counters.notary_cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
        if closing {
            return;
        }
        if shared.closing() {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            if log.end() > before {
                pace(began);
            }
            seen = shared.wait_for_blocks(seen, pause);
        }
    }
}

/// Takes in everything that is visible; signs when it is due.
fn step(
    shared: &Shared,
    notary: &Notary,
    log: &mut MerkleLog,
    since: &mut Option<Instant>,
    closing: bool,
) -> Result<(), Error> {
    let journals = shared.journals();
    for journal in &journals {
        if journal.end() > log.end() {
            add_blocks(journal, log)?;
            since.get_or_insert_with(Instant::now);
        }
    }
    log.write()?;
    let covered = log.signed().end;
    let closed = journals.split_last().is_some_and(|(_, closed)| {
        closed.iter().any(|journal| journal.end() > covered && journal.end() <= log.end())
    });
    let wished = notary.wish.load(Ordering::Acquire) > covered.0;
    let old = since.is_some_and(|since| since.elapsed() >= shared.options.checkpoint_age_max);
    let ahead = log.end() > covered && (closed || wished || old || closing);
    // A crash may have come between `signed` and the note; and a new log signs that it is empty.
    let unsaid =
        !ahead && Checkpoint::peek(&notary.latest().note).map(|c| c.size) != Ok(log.signed().size);
    if ahead || (unsaid && log.end() == covered) {
        let note = log.checkpoint()?;
        *since = None;
        *notary.latest.write() = Latest { signed: *log.signed(), note: note.into() };
        notary.failures.lock().last = None;
        notary.said.worked("the Merkle log is written again");
        shared.progressed();
    }
    Ok(())
}

fn add_blocks(journal: &Journal, log: &mut MerkleLog) -> Result<(), Error> {
    let secret = Secret(journal.file().secret()?);
    let base = journal.base().0;
    let view = journal.blocks();
    let from = view.partition_point(|block| base + u64::from(block.first) < log.end().0);
    for block in view.get(from..).unwrap_or_default() {
        let payload = journal.payload(block)?;
        let leaf = Leaf::of_block(&secret, &payload)
            .map_err(|what| Error::corrupt(journal.file().path(), block.at, what))?;
        log.append(&leaf)?;
    }
    Ok(())
}

/// Waits for a checkpoint that covers everything below an offset.
pub(super) fn wait_for(shared: &Shared, notary: &Notary, end: Offset) -> Result<Latest, Error> {
    let failures = notary.failures.lock().count;
    notary.wish.fetch_max(end.0, Ordering::AcqRel);
    shared.progressed();
    let mut seen = 0;
    loop {
        let latest = notary.latest();
        if latest.signed.end >= end && !latest.note.is_empty() {
            return Ok(latest);
        }
        {
            let failed = notary.failures.lock();
            if failed.count > failures {
                return Err(failed.last.clone().unwrap_or(Error::Closed));
            }
        }
        if shared.closing() {
            return Err(Error::Closed);
        }
        seen = shared.wait(seen, Duration::from_millis(100));
    }
}
