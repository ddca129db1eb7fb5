//! The sealer: one thread that turns closed journals into segments.
//!
//! Order is what makes a crash harmless at any point: the catalog is committed, the segment is written
//! beside and renamed into place, readers are switched over, and only then is the journal deleted.

use super::mender;
use super::refold;
use super::shared::Shared;
use super::space::Said;
use crate::block::FILE_HEADER_LEN;
use crate::cpu::thread_cpu_us;
use crate::disk::Disk;
use crate::error::Error;
use crate::event::{Micros, Offset};
use crate::journal::file::{Finding, path, text_path};
use crate::journal::part::Journal;
use crate::merkle::Secret;
use crate::segment::leaves::{Run, RunEvents};
use crate::segment::{Leaves, SealInput, Segment, seal};
use crate::text::TextSource;
use crate::view::{Part as _, Session};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a failure something damaged is tried to be mended again.
const MEND_RETRY: Duration = Duration::from_secs(30);

pub(super) fn run(shared: &Shared) {
    let mut seen = 0;
    let (said, mending) = (Said::default(), Said::default());
    let mut mend_after = Instant::now();
    loop {
        if shared.closing() {
            return;
        }
        let mut pause = Duration::from_secs(1);
        if let Some(journal) = ready(shared)
            && let Err(error) = seal_journal(shared, &journal)
        {
            said.failed(&error, "sealing a journal failed; it is kept and tried again");
            if let Err(error) = blame(shared, &journal, &error) {
                tracing::warn!(%error, "can't find out what is damaged");
            }
            shared.seal_failed(error);
            pause = Duration::from_secs(5);
            std::thread::sleep(Duration::from_millis(500));
        } else if ready(shared).is_some() {
            said.worked("journals are sealed again");
            continue;
        }
        // What readers found damaged is made again when there is nothing to seal.
        if Instant::now() >= mend_after {
            match mender::step(shared) {
                Ok(_) => mending.worked("what is damaged is mended again"),
                Err(error) => {
                    mending
                        .failed(&error, "what is damaged could not be mended; it is tried again");
                    mend_after = Instant::now() + MEND_RETRY;
                }
            }
        }
        seen = shared.wait(seen, pause);
    }
}

/// An index that fails when it is merged may be damaged: then it is made again.
fn blame(shared: &Shared, journal: &Journal, error: &Error) -> Result<(), Error> {
    match error {
        Error::Index { index: "catalog", .. } => refold::look(shared),
        Error::Index { index: "text", .. } => {
            journal.doubt_text();
            shared.progressed();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The oldest journal, if it is closed, its texts are indexed and a checkpoint covers it.
fn ready(shared: &Shared) -> Option<Arc<Journal>> {
    let journals = shared.journals();
    let [oldest, _, ..] = journals.as_slice() else { return None };
    // A journal with damage stays as it is: sealing would make the loss final.
    let harms = |found: &Finding| {
        let header = found.to <= FILE_HEADER_LEN as u64;
        found.path == oldest.file().path() && found.quarantine.is_none() && !header
    };
    let whole = !shared.findings.iter().any(harms);
    let indexed = !shared.options.text_index || oldest.indexed_through() >= oldest.end();
    let covered = shared.notary.as_ref().is_none_or(|notary| notary.covered() >= oldest.end());
    (whole && indexed && covered).then(|| Arc::clone(oldest))
}

fn seal_journal(shared: &Shared, journal: &Arc<Journal>) -> Result<(), Error> {
    let _alone = shared.background.lock();
    let started = thread_cpu_us();
    let committed = shared.catalog.commit()?;
    debug_assert!(committed >= journal.end());
    let view = journal.view();
    let (sessions, session_of) = sessions(shared, journal)?;
    let payloads =
        view.blocks().iter().map(|block| journal.payload(block)).collect::<Result<Vec<_>, _>>()?;
    let plain: Vec<bool> = view.blocks().iter().map(|block| block.plain).collect();
    let text = text_path(&shared.journal_dir(), journal.base());
    let text = TextSource { dir: &text, keep: None };
    let leaves = leaves(shared, journal)?;
    let input = SealInput {
        base: journal.base(),
        end: journal.end(),
        payloads: &payloads,
        plain: &plain,
        session_of: &session_of,
        sessions: &sessions,
        texts: if shared.options.text_index { std::slice::from_ref(&text) } else { &[] },
        leaves: &leaves,
        created: Micros::now(),
        generation: 0,
        replaces: &[],
    };
    let disk = &shared.options.disk;
    let report = seal(disk, &shared.segments_dir(), &input, shared.options.columnar.as_deref())?;
    let segment = Segment::open(disk, &report.path, Arc::clone(&shared.cache))?;
    {
        let total = (thread_cpu_us() - started) as f64 / 1e6;
        let mut sealed = shared.counters.sealed.lock();
        sealed.merge += report.text_s;
        sealed.columnar += report.columnar_s;
        sealed.seal += total - report.text_s - report.columnar_s;
        tracing::info!(segment = %report.path.display(), events = view.len(), cpu_s = total, "sealed");
    }
    shared.replace_with_segment(journal, segment);
    remove(&**disk, &shared.journal_dir(), journal.base())?;
    shared.progressed();
    Ok(())
}

/// The journal's blocks, as the log's tree has them.
fn leaves(shared: &Shared, journal: &Arc<Journal>) -> Result<Leaves, Error> {
    let Some(notary) = &shared.notary else { return Ok(Leaves::default()) };
    let (store, size) = (notary.store(), notary.latest().signed.size);
    let Some((first_leaf, _)) = store.find(journal.base(), size)? else {
        let what = format!("it has no leaf for event {}", journal.base());
        return Err(Error::corrupt(&store.leaves_path(), 0, what));
    };
    let view = journal.view();
    let counts: Vec<u32> = view.blocks().iter().map(|block| block.events.len() as u32).collect();
    let secret = Secret(journal.file().secret()?);
    let run = Run { first_leaf, base: journal.base(), counts, events: RunEvents::Whole(secret) };
    Ok(Leaves { runs: vec![run] })
}

/// The journal's sessions with their states, and for each event the place of its session.
fn sessions(shared: &Shared, journal: &Arc<Journal>) -> Result<(Vec<Session>, Vec<u32>), Error> {
    let mut sessions = Vec::new();
    let mut places = HashMap::new();
    let ids = journal.session_ids();
    let mut states = shared.catalog.states(ids.iter().map(|(_, key)| *key))?;
    for (id, key) in ids {
        let state = states.remove(&key).unwrap_or_default();
        places.insert(key, sessions.len() as u32);
        sessions.push(Session { id, key, state });
    }
    let view = journal.view();
    let session_of = (0..view.len())
        .map(|ordinal| {
            let facts = view.facts(ordinal);
            facts.and_then(|facts| places.get(&facts.session).copied()).unwrap_or(u32::MAX)
        })
        .collect();
    Ok((sessions, session_of))
}

/// Deletes a journal that has become a segment. A rest that can't be deleted is found at the next start.
pub(super) fn remove(disk: &dyn Disk, dir: &Path, base: Offset) -> Result<(), Error> {
    let journal = path(dir, base);
    disk.remove_file(&journal).map_err(Error::io("delete", &journal))?;
    disk.remove_tree(&text_path(dir, base))?;
    disk.sync_dir(dir).map_err(Error::io("sync", dir))
}
