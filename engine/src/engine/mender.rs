//! Mending segments while the engine runs: what is derived is made again from the events.
//!
//! A segment is rewritten into one of the next generation (see [`crate::segment::rewrite`]), with a new
//! index, text index, Parquet copy and manifest. Readers are switched over in one step. A segment whose
//! events are damaged stays as it is: nothing here can know them.

use super::shared::Shared;
use crate::error::Error;
use crate::segment::{self, Rewrite, Segment};
use crate::view::Sessions as _;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// What was made again.
    pub mended: Vec<PathBuf>,
    /// What could not be.
    pub left: Vec<Left>,
}

/// What could not be mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Which file or directory.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Reads every file of every segment, and mends those of which something is damaged.
pub(super) fn mend_all(shared: &Shared) -> Result<Repaired, Error> {
    let mut repaired = Repaired::default();
    for segment in shared.segments() {
        let damage = segment.doubts().map_or_else(|| segment.verify(), Err);
        if damage.is_err() {
            mend(shared, &segment, &mut repaired)?;
        }
    }
    Ok(repaired)
}

/// Mends a segment that its readers found damaged; `false` if there is none.
pub(super) fn step(shared: &Shared) -> Result<bool, Error> {
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
