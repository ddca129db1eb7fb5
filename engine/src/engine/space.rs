//! The disk's free space: when ingest stops for the lack of it, and when it goes on.
//!
//! ```text
//! free bytes  ├──────────── events are taken ───────────┤─ floor ─┤ none are: sealing and indexes only
//! ```
//!
//! A disk that is full to the last byte could not be helped by sealing, which writes a segment before
//! it deletes a journal. So events stop at a floor: [`Options::free_bytes_min`](super::Options), or a
//! twentieth of a disk on which that is less. A write that finds no room all the same (a quota, or
//! somebody else who is quicker) counts as full, too: what was written of it is cut off, nothing of
//! it is acknowledged, and nothing that was acknowledged is touched.
//!
//! Full is a state that passes: the writer looks again twice a second, and takes events as soon as
//! there is room. It is said once when it begins and once when it ends.

use crate::disk::Disk;
use crate::error::Error;
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A small disk keeps this part of it free.
const PART_MIN: u64 = 20;
/// After a write that found no room, how long until the next one is tried.
const RETRY: Duration = Duration::from_secs(1);

/// The disk's free space.
#[derive(Debug)]
pub(crate) struct Space {
    dir: PathBuf,
    floor: u64,
    full: RwLock<Option<Full>>,
}

#[derive(Debug)]
struct Full {
    what: Arc<str>,
    /// Not before.
    retry_at: Instant,
}

impl Space {
    pub fn new(disk: &dyn Disk, dir: &Path, floor: u64) -> Space {
        // Where the system does not say, the setting holds as it is.
        let total = disk.total_bytes(dir).unwrap_or(u64::MAX);
        Space { dir: dir.to_owned(), floor: floor.min(total / PART_MIN), full: RwLock::new(None) }
    }

    /// Below this many free bytes no events are taken.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// How full the disk is, if it is.
    pub fn full(&self) -> Option<Arc<str>> {
        self.full.read().as_ref().map(|full| Arc::clone(&full.what))
    }

    /// Is there room for this many bytes more?
    ///
    /// # Errors
    /// [`Error::Full`], from here on until there is.
    pub fn ask(&self, disk: &dyn Disk, more: u64) -> Result<(), Error> {
        // A disk that can't say how full it is says so when it is written to.
        let free = disk.free_bytes(&self.dir).unwrap_or(u64::MAX);
        if free >= self.floor.saturating_add(more) {
            return Ok(());
        }
        Err(self.fill(
            format!(
                "{free} bytes are free at {}, {} are kept free",
                self.dir.display(),
                self.floor
            ),
            Duration::ZERO,
        ))
    }

    /// A write found no room.
    pub fn refused(&self, error: &Error) -> Error {
        self.fill(error.to_string(), RETRY)
    }

    fn fill(&self, what: String, pause: Duration) -> Error {
        let mut full = self.full.write();
        if full.is_none() {
            tracing::error!(%what, "the disk is full: no events are taken until there is room");
        }
        let what: Arc<str> = what.into();
        *full = Some(Full { what: Arc::clone(&what), retry_at: Instant::now() + pause });
        Error::Full { what }
    }

    /// Looks whether there is room again.
    pub fn look_again(&self, disk: &dyn Disk) {
        let due = self.full.read().as_ref().is_some_and(|full| Instant::now() >= full.retry_at);
        // A little more than the floor, or it would come and go with every batch.
        if due && disk.free_bytes(&self.dir).unwrap_or(u64::MAX) >= self.floor + self.floor / 8 {
            *self.full.write() = None;
            tracing::info!("there is room on the disk: events are taken again");
        }
    }
}

/// Says what fails again and again once, and that it works again.
#[derive(Debug, Default)]
pub(crate) struct Said(Mutex<Option<String>>);

impl Said {
    /// It failed. `then` says what is done about it.
    pub fn failed(&self, error: &Error, then: &'static str) {
        let mut said = self.0.lock();
        let what = error.to_string();
        if said.as_ref() == Some(&what) {
            tracing::debug!(%error, "{then}");
        } else {
            tracing::warn!(%error, "{then}");
            *said = Some(what);
        }
    }

    /// It worked.
    pub fn worked(&self, again: &'static str) {
        if self.0.lock().take().is_some() {
            tracing::info!("{again}");
        }
    }
}
