//! `feeds.json` in the data directory: how far each feed is.
//!
//! ```text
//! {"sha256":...,"version":1,"node":"5f0c7b1e","secret":"…","places":{"native":{"through":120,"unknown":0}}}
//! ```
//!
//! A feed whose tables are elsewhere has the place with its name and the address: `native s3://bucket/prefix`.
//!
//! Where a table is further than its feed is here, the table is right: it is written first. Without this file (it was
//! lost, say) the log has another name in its tables from then on, and feeds begin again; so it is in every backup.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_engine::{Beside, Engine, Error};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const VERSION: u32 = 1;

/// How far a feed is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// It has everything before this offset.
    pub through: u64,
    /// Events of sessions that had not said who they are, and that it therefore left out.
    #[serde(default)]
    pub unknown: u64,
    /// The ids of its tables. Where they are others (they were deleted, say), it is nowhere yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<String>,
    /// The tables were further than the log once, so they are of another log, though of this name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_back: bool,
    /// Where the log ended when it was opened, until it has been compared with the tables since: what it has grown by
    /// afterwards must not hide that they were further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_compare: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct File {
    version: u32,
    node: String,
    secret: String,
    places: BTreeMap<String, Place>,
}

/// The places of all feeds.
#[derive(Debug)]
pub struct Places {
    engine: Arc<Engine>,
    file: Mutex<File>,
    secret: Vec<u8>,
}

impl Places {
    /// Reads the places of a data directory.
    ///
    /// # Errors
    /// A file that can't be read, or that a newer version wrote; no random numbers.
    pub fn open(engine: &Arc<Engine>) -> Result<Places, Error> {
        let path = || engine.dir().join(Beside::Feeds.name());
        let unusable = |what: String| Error::Unusable { path: path(), what };
        let file: Option<File> = engine.beside(Beside::Feeds)?;
        if let Some(version) = file.as_ref().map(|file| file.version).filter(|v| *v != VERSION) {
            let what = format!("its version is {version}, this daybook reads {VERSION}");
            return Err(unusable(what));
        }
        let file = match file {
            Some(file) => file,
            None => {
                let mut random = [0u8; 36];
                getrandom::fill(&mut random).map_err(|error| unusable(error.to_string()))?;
                let (node, secret) = random.split_at(4);
                let node = hex::encode(node);
                let secret = STANDARD.encode(secret);
                let file = File { version: VERSION, node, secret, places: BTreeMap::new() };
                // Before a table knows the name. A log that is read-only has no feeds that write.
                if engine.read_only_reason().is_none() {
                    engine.keep_beside(Beside::Feeds, &file)?;
                }
                file
            }
        };
        let secret = STANDARD.decode(&file.secret).map_err(|error| unusable(error.to_string()))?;
        Ok(Places { engine: Arc::clone(engine), file: Mutex::new(file), secret })
    }

    /// What the log is called in tables.
    pub fn node(&self) -> String {
        self.file.lock().node.clone()
    }

    /// What links are signed with.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// How far a feed is.
    pub fn of(&self, feed: &str) -> Place {
        self.file.lock().places.get(feed).cloned().unwrap_or_default()
    }

    /// Notes down, durably, that feeds' tables are to be compared with a log that ends here. An end that is noted down
    /// already stays: the tables could not be reached since.
    ///
    /// # Errors
    /// The system's.
    pub fn keep_to_compare(&self, feeds: &[String], end: u64) -> Result<(), Error> {
        let mut file = self.file.lock();
        let mut next = file.clone();
        for feed in feeds {
            next.places.entry(feed.clone()).or_default().to_compare.get_or_insert(end);
        }
        // A log that is read-only has no feeds that write.
        if self.engine.read_only_reason().is_none() {
            self.engine.keep_beside(Beside::Feeds, &next)?;
        }
        *file = next;
        Ok(())
    }

    /// Notes down, durably, how far a feed is.
    ///
    /// # Errors
    /// The system's, or a log that is read-only.
    pub fn keep(&self, feed: &str, place: Place) -> Result<(), Error> {
        let mut file = self.file.lock();
        let mut next = file.clone();
        next.places.insert(feed.to_owned(), place);
        self.engine.keep_beside(Beside::Feeds, &next)?;
        *file = next;
        Ok(())
    }
}
