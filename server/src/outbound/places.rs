//! How far each sender has come: one file beside the log, by the senders' names.
//!
//! ```text
//! {"sha256":...,"version":1,"places":{"NAME":{...},...}}
//! ```
//!
//! What a place has in it is its sender's business. It is noted in memory, and durable once [`Places::keep`] answers:
//! one write for all who wait for it.

use daybook_engine::{Beside, Engine, Error};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct File<P> {
    version: u32,
    places: BTreeMap<Box<str>, P>,
}

/// The places of all senders of a kind.
#[derive(Debug)]
pub struct Places<P> {
    engine: Arc<Engine>,
    file: Beside,
    now: Mutex<Now<P>>,
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

#[derive(Debug)]
struct Now<P> {
    places: BTreeMap<Box<str>, P>,
    changes: u64,
}

impl<P: Clone + Serialize + DeserializeOwned + Send + 'static> Places<P> {
    /// Reads the places that a file of the data directory has.
    ///
    /// # Errors
    /// A file that can't be read, or that a newer version wrote.
    pub fn open(engine: &Arc<Engine>, beside: Beside) -> Result<Places<P>, Error> {
        let file: Option<File<P>> = engine.beside(beside)?;
        if let Some(version) = file.as_ref().map(|file| file.version).filter(|v| *v != VERSION) {
            let what = format!("its version is {version}, this daybook reads {VERSION}");
            return Err(Error::Unusable { path: engine.dir().join(beside.name()), what });
        }
        let places = file.map(|file| file.places).unwrap_or_default();
        Ok(Places {
            engine: Arc::clone(engine),
            file: beside,
            now: Mutex::new(Now { places, changes: 0 }),
            durable: Arc::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// The place of a sender, if it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<P> {
        self.now.lock().places.get(name).cloned()
    }

    /// Notes a place; [`Places::keep`] makes it durable.
    pub fn set(&self, name: &str, place: P) {
        let mut now = self.now.lock();
        now.places.insert(name.into(), place);
        now.changes += 1;
    }

    /// Changes a place, which begins as the default; [`Places::keep`] makes that durable.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut P))
    where
        P: Default,
    {
        let mut now = self.now.lock();
        change(now.places.entry(name.into()).or_default());
        now.changes += 1;
    }

    /// Forgets the places of all other senders than those that are wanted.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) {
        let mut now = self.now.lock();
        now.places.retain(|name, _| wanted(name));
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
        let file = self.file;
        let written = tokio::task::spawn_blocking(move || {
            // One whose waiter is gone may still be at it: what is older is not written over what is newer.
            let _writing = durable.writing.lock();
            if durable.changes.load(Acquire) < changes {
                engine.keep_beside(file, &File { version: VERSION, places })?;
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
    async fn a_place_is_there_after_a_restart_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), Options::default()).unwrap();
        let open = |file| Places::<Vec<u64>>::open(&engine, file).unwrap();
        let places = open(Beside::Alerts);
        assert_eq!(places.get("a"), None);
        places.set("a", vec![12, 39]);
        places.set("b", Vec::new());
        places.keep().await.unwrap();
        let again = open(Beside::Alerts);
        assert_eq!(again.get("a"), Some(vec![12, 39]));
        // Another file is another kind of senders.
        assert_eq!(open(Beside::Push).get("a"), None);
        again.retain(|name| name == "a");
        again.keep().await.unwrap();
        assert_eq!(open(Beside::Alerts).get("b"), None);
    }
}
