//! How far each alert has come: `alerts.json` in the data directory.
//!
//! ```text
//! {"sha256":...,"version":1,"places":{"search-…":{"began":…,"through":120,
//!     "pending":{"through":187,"offsets":[130,154]},"delivered":12,...}}}
//! ```
//!
//! An alert is done with everything before `through`. What it found behind that, up to `pending.through`, is noted
//! down before it is sent for the first time: after a restart it is the same delivery, of the same events.
//!
//! A place is that of the alert that began at the same time; any other one is out of date, and the alert begins
//! where `searches.json` says. So whichever of the two files a crash leaves behind, nothing is skipped.

use daybook_engine::{Beside, Engine, Error};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

const VERSION: u32 = 1;

/// How far an alert has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the alert began, in microseconds since 1970.
    pub began: i64,
    /// Everything before this offset was looked at, and what matched was delivered.
    pub through: u64,
    /// What is to be delivered next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Events that were delivered.
    #[serde(default)]
    pub delivered: u64,
    /// Events that were erased before the alert came to them.
    #[serde(default)]
    pub gone: u64,
    /// Events that may match, but can't be read.
    #[serde(default)]
    pub unreadable: u64,
    /// When something was delivered last, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery: Option<i64>,
    /// Why nothing is sent any more, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
}

/// A delivery that was noted down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Where the alert is once it is delivered.
    pub through: u64,
    /// The events that matched.
    pub offsets: Vec<u64>,
}

/// An alert that stands still until somebody changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Since when, in microseconds since 1970.
    pub at: i64,
    /// Why.
    pub why: Box<str>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    version: u32,
    places: BTreeMap<Box<str>, Place>,
}

/// The places of all alerts.
#[derive(Debug)]
pub struct Places {
    engine: Arc<Engine>,
    now: Mutex<Now>,
    durable: Arc<Durable>,
    /// Who waits for them to be written does so here, and not on a thread.
    turn: tokio::sync::Mutex<()>,
}

/// What is on the disk.
#[derive(Debug, Default)]
struct Durable {
    /// The change up to which it is.
    changes: AtomicU64,
    /// Held while it is written.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Now {
    places: BTreeMap<Box<str>, Place>,
    changes: u64,
}

impl Places {
    /// Reads the places of a data directory.
    ///
    /// # Errors
    /// A file that can't be read, or that a newer version wrote.
    pub fn open(engine: &Arc<Engine>) -> Result<Places, Error> {
        let file: Option<File> = engine.beside(Beside::Alerts)?;
        if let Some(version) = file.as_ref().map(|file| file.version).filter(|v| *v != VERSION) {
            let what = format!("its version is {version}, this daybook reads {VERSION}");
            return Err(Error::Unusable { path: engine.dir().join(Beside::Alerts.name()), what });
        }
        let places = file.map(|file| file.places).unwrap_or_default();
        Ok(Places {
            engine: Arc::clone(engine),
            now: Mutex::new(Now { places, changes: 0 }),
            durable: Arc::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// The place of the alert of a search, which began at `began` and at the offset `from`.
    #[must_use]
    pub fn of(&self, search: &str, began: i64, from: u64) -> Place {
        let now = self.now.lock();
        let place = now.places.get(search).filter(|place| place.began == began);
        place.cloned().unwrap_or_else(|| Place { began, through: from, ..Place::default() })
    }

    /// Notes a place; [`Places::keep`] makes it durable.
    pub fn set(&self, search: &str, place: Place) {
        let mut now = self.now.lock();
        now.places.insert(search.into(), place);
        now.changes += 1;
    }

    /// Forgets the places of all other searches than those that are wanted.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) {
        let mut now = self.now.lock();
        now.places.retain(|search, _| wanted(search));
        now.changes += 1;
    }

    /// Makes durable what was noted before: once for all who wait for it.
    ///
    /// # Errors
    /// The system's, or a log that is read-only.
    pub async fn keep(&self) -> Result<(), Error> {
        let wanted = self.now.lock().changes;
        let _turn = self.turn.lock().await;
        if self.durable.changes.load(Acquire) >= wanted {
            return Ok(());
        }
        let (places, changes) = {
            let now = self.now.lock();
            (now.places.clone(), now.changes)
        };
        let (engine, durable) = (Arc::clone(&self.engine), Arc::clone(&self.durable));
        let written = tokio::task::spawn_blocking(move || {
            // One whose waiter is gone may still be at it: what is older is not written over what is newer.
            let _writing = durable.writing.lock();
            if durable.changes.load(Acquire) < changes {
                engine.keep_beside(Beside::Alerts, &File { version: VERSION, places })?;
                durable.changes.store(changes, Release);
            }
            Ok(())
        });
        written.await.map_err(|_| Error::Closed)?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use daybook_engine::Options;

    #[tokio::test]
    async fn a_place_is_there_after_a_restart_and_another_alerts_place_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), Options::default()).unwrap();
        let places = Places::open(&engine).unwrap();
        assert_eq!(places.of("a", 5, 9).through, 9);
        let pending = Some(Pending { through: 40, offsets: vec![12, 39] });
        let place = Place { began: 5, through: 12, pending, ..Place::default() };
        places.set("a", place.clone());
        places.set("b", Place::default());
        places.keep().await.unwrap();
        let again = Places::open(&engine).unwrap();
        assert_eq!(again.of("a", 5, 0), place);
        // The alert was made anew: it begins where it says.
        assert_eq!(again.of("a", 6, 3), Place { began: 6, through: 3, ..Place::default() });
        again.retain(|search| search == "a");
        again.keep().await.unwrap();
        assert!(!Places::open(&engine).unwrap().now.lock().places.contains_key("b"));
    }
}
