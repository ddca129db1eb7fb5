//! Folding the log's events into the catalog again: for one that lacks some, and for one that is damaged.
//!
//! ```text
//!   segments ─► fold ─┐
//!   journals ─► fold ─┴─► catalog.tmp/ ─► renamed to catalog/ ─► readers are switched over
//!                         the damaged one ─► quarantine/
//! ```
//!
//! The log takes events and answers searches meanwhile. A crash in between leaves no catalog or one of
//! the two; what is missing is folded at the next start.

use super::shared::Shared;
use crate::block::Record;
use crate::catalog::{Catalog, Update};
use crate::disk::SharedDisk;
use crate::error::Error;
use crate::event::{Micros, Offset, SessionKey};
use crate::journal::part::Journal;
use crate::segment::Segment;
use crate::session::Change;
use crate::verify::damaged_index;
use crate::view::{Ordinals, Part as _};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Hears of the sessions of which something can't be read, and why.
pub(super) type Lost<'a> = &'a mut dyn FnMut(&str, Error);

/// The changes of a segment's events from an offset on. Sessions of which something can't be read are
/// named, and hold the others up no longer than that.
pub(super) fn of_segment(
    segment: &Segment,
    from: Offset,
    lost: Lost<'_>,
) -> Result<Vec<Update>, Error> {
    let mut updates = Vec::new();
    for at in 0..segment.index().sessions() {
        let session = segment.index().session_at(at)?;
        let read = segment.read(&Ordinals::Range(session.ordinals), None, &mut |_, record| {
            if record.offset >= from {
                updates.push(update(session.key, &record)?);
            }
            Ok(ControlFlow::Continue(()))
        });
        match read {
            Ok(()) => {}
            Err(error @ Error::Corrupt { .. }) => lost(session.id, error),
            Err(error) => return Err(error),
        }
    }
    Ok(updates)
}

/// The changes of a journal's events in a range.
fn of_journal(journal: &Arc<Journal>, range: &Range<Offset>) -> Result<Vec<Update>, Error> {
    let view = journal.view();
    let base = journal.base().0;
    let place = |offset: Offset| u32::try_from(offset.0.saturating_sub(base)).unwrap_or(u32::MAX);
    let ordinals = place(range.start)..place(range.end).min(view.len());
    let mut updates = Vec::with_capacity(ordinals.len());
    view.read(&Ordinals::Range(ordinals), None, &mut |ordinal, record| {
        let facts = view.facts(ordinal).ok_or(Error::NoSuchEvent(record.offset))?;
        updates.push(update(facts.session, &record)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(updates)
}

fn update(key: SessionKey, record: &Record<'_>) -> Result<Update, Error> {
    let event = record.event()?;
    let id: Arc<str> = event.session.as_ref().into();
    let change = Change::of(event, record.seq, record.json.len() as u64);
    Ok(Update { id, key, new: false, change })
}

/// Makes the catalog again if somebody found it damaged; answers what was set aside.
pub(super) fn step(shared: &Shared) -> Result<Option<PathBuf>, Error> {
    if shared.catalog.doubt().is_none() {
        return Ok(None);
    }
    let _alone = shared.background.lock();
    again(shared).map(Some)
}

/// Reads the catalog's files, and takes note if one is damaged.
pub(super) fn look(shared: &Shared) -> Result<(), Error> {
    let _alone = shared.background.lock();
    let _catalog = shared.catalog_files.lock();
    let wrong = damaged_index(&*shared.options.disk, &shared.dir.join("catalog"))?;
    if let Some((path, at, what)) = wrong {
        shared.catalog.set_doubt(&Error::corrupt(&path, at, what));
    }
    Ok(())
}

/// Makes the catalog again from the log, in place of the one that is there. The caller holds
/// `background`, so that segments stay as they are.
pub(super) fn again(shared: &Shared) -> Result<PathBuf, Error> {
    let _catalog = shared.catalog_files.lock();
    let disk = &shared.options.disk;
    let (place, beside) = (shared.dir.join("catalog"), shared.dir.join("catalog.tmp"));
    tracing::warn!("the catalog is made again from the log");
    disk.remove_tree(&beside)?;
    let (made, _) = Catalog::open(disk, &beside, false)?;
    let (segments, journals) = shared.parts();
    for segment in &segments {
        if shared.closing() {
            return Err(Error::Closed);
        }
        let lost = &mut |session: &str, error: Error| {
            tracing::error!(session, %error, "a session is only in part in the catalog");
        };
        made.apply(of_segment(segment, Offset(0), lost)?, segment.end());
        made.commit()?;
    }
    for journal in &journals {
        let range = journal.base()..journal.end();
        made.apply(of_journal(journal, &range)?, range.end);
    }
    made.commit()?;
    drop(made);
    let mut aside = PathBuf::new();
    let open = || {
        aside = set_aside(disk, &shared.dir, &place)?;
        disk.rename(&beside, &place).map_err(Error::io("rename", &beside))?;
        disk.sync_dir(&shared.dir).map_err(Error::io("sync", &shared.dir))?;
        Catalog::open(disk, &place, false)
    };
    let rest = |range: Range<Offset>| {
        let mut updates = Vec::new();
        for journal in shared.journals().iter().filter(|journal| journal.end() > range.start) {
            updates.extend(of_journal(journal, &range)?);
        }
        Ok(updates)
    };
    shared.catalog.replace(open, rest)?;
    tracing::info!(aside = %aside.display(), "the catalog was made again");
    shared.progressed();
    Ok(place)
}

/// Moves a catalog that is damaged into `quarantine/`; answers its path there.
pub(crate) fn set_aside(disk: &SharedDisk, dir: &Path, catalog: &Path) -> Result<PathBuf, Error> {
    let quarantine = dir.join("quarantine");
    let aside = quarantine.join(format!("catalog-{}", Micros::now().0));
    disk.create_dir(&quarantine).map_err(Error::io("create", &quarantine))?;
    if disk.exists(catalog)? {
        disk.rename(catalog, &aside).map_err(Error::io("set aside", catalog))?;
        disk.sync_dir(&quarantine).map_err(Error::io("sync", &quarantine))?;
    }
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    Ok(aside)
}
