//! Mending while the engine runs: what is derived is made again from the events.
//!
//! | what is damaged | what becomes of it |
//! |---|---|
//! | something of a segment but its events | it is rewritten into one of the next generation ([`crate::segment::rewrite`]), with a new index, text index, Parquet copy and manifest |
//! | the catalog | folded again ([`super::refold`]) |
//! | a journal's text index | made again by the indexer |
//! | a segment's events | left as they are: nothing here can know them |
//!
//! Readers are switched over in one step.

use super::refold;
use super::shared::Shared;
use crate::error::Error;
use crate::journal::file::text_path;
use crate::segment::{self, Rewrite, Segment};
use crate::verify::damaged_index;
use crate::view::Sessions as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// What was made again.
    pub mended: Vec<PathBuf>,
    /// What could not be.
    pub left: Vec<Left>,
}

/// What could not be mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Which file or directory.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Reads every file but those of the newest journal and of the Merkle log, and mends what is damaged.
pub(super) fn mend_all(shared: &Shared) -> Result<Repaired, Error> {
    let mut repaired = Repaired::default();
    refold::look(shared)?;
    repaired.mended.extend(refold::step(shared)?);
    repaired.mended.extend(doubt_texts(shared)?);
    for segment in shared.segments() {
        let damage = segment.doubts().map_or_else(|| segment.verify(), Err);
        if damage.is_err() {
            mend(shared, &segment, &mut repaired)?;
        }
    }
    Ok(repaired)
}

/// Looks at the text indexes of journals; the indexer makes those again that are damaged.
fn doubt_texts(shared: &Shared) -> Result<Vec<PathBuf>, Error> {
    let _alone = shared.background.lock();
    let disk = &*shared.options.disk;
    let mut doubted = Vec::new();
    for journal in shared.journals() {
        let dir = text_path(&shared.journal_dir(), journal.base());
        // The indexer writes to the newest one; what looks damaged there may be half of a commit.
        let damaged = || damaged_index(disk, &dir).map(|found| found.is_some());
        if disk.exists(&dir)? && damaged()? && damaged()? {
            journal.doubt_text();
            doubted.push(dir);
        }
    }
    shared.progressed();
    Ok(doubted)
}

/// Mends a segment or the catalog, if its readers found it damaged; `false` if there is nothing.
pub(super) fn step(shared: &Shared) -> Result<bool, Error> {
    if refold::step(shared)?.is_some() {
        return Ok(true);
    }
    let doubtful = |segment: &Arc<Segment>| {
        segment.doubts().is_some() && !shared.beyond_repair.lock().contains(&segment.name())
    };
    let Some(segment) = shared.segments().into_iter().find(doubtful) else { return Ok(false) };
    mend(shared, &segment, &mut Repaired::default())?;
    Ok(true)
}

fn mend(shared: &Shared, segment: &Arc<Segment>, repaired: &mut Repaired) -> Result<(), Error> {
    let _alone = shared.background.lock();
    shared.settle_erasing()?;
    if !shared.segments().iter().any(|other| Arc::ptr_eq(other, segment)) {
        return Ok(()); // It was merged or deleted meanwhile.
    }
    let (disk, segments_dir) = (&shared.options.disk, shared.segments_dir());
    let path = segment.path().to_owned();
    let unable = |error: Error, repaired: &mut Repaired| {
        tracing::error!(segment = %segment.path().display(), %error, "a segment can't be mended");
        shared.beyond_repair.lock().insert(segment.name());
        let why = error.to_string();
        repaired.left.push(Left { path: segment.path().to_owned(), why });
    };
    // What is open may be what is damaged: its files are opened again, without those.
    let why = segment.doubts().unwrap_or_else(|| Error::corrupt(segment.path(), 0, "asked for"));
    let key_of = |id: &str| Ok(shared.catalog.get(id)?.map(|session| session.key));
    let cache = Arc::clone(&shared.cache);
    let source = match Segment::mend(disk, segment.path(), cache, why, &key_of) {
        Ok(source) => Arc::new(source),
        Err(error @ Error::Corrupt { .. }) => {
            unable(error, repaired);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    match segment::check_events(disk, segment.path()) {
        Ok(()) => {}
        Err(error @ Error::Corrupt { .. }) => {
            unable(error, repaired);
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    let asked = Rewrite {
        disk,
        segments_dir: &segments_dir,
        sources: std::slice::from_ref(&source),
        keep: &|_| true,
        state: &|id| Ok(shared.catalog.get(id)?.map(|session| session.state).unwrap_or_default()),
        columnar: shared.options.columnar.as_deref(),
        text_heap_bytes: shared.options.text_index.then_some(shared.options.index_heap_bytes),
        index_again: true,
    };
    let report = match segment::rewrite(&asked) {
        Ok(Some(report)) => report,
        Ok(None) => return Ok(()),
        Err(error @ (Error::Corrupt { .. } | Error::NoSuchEvent(_))) => {
            unable(error, repaired);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let mended = Segment::open(disk, &report.path, Arc::clone(&shared.cache))?;
    shared.replace_segments(std::slice::from_ref(segment), Some(Arc::new(mended)));
    // Who reads the old one goes on doing so.
    segment.retire()?;
    segment.delete()?;
    tracing::info!(segment = %report.path.display(), "a damaged segment was mended");
    repaired.mended.push(path);
    shared.progressed();
    Ok(())
}
