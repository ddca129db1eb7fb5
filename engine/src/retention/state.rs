//! What retention remembers, in two files of the data directory.
//!
//! | file | holds |
//! |---|---|
//! | `retention.json` | the policy, the holds, and events about them that the log may lack |
//! | `erasing.json` | what is being erased at this moment; there only during that |
//!
//! Both know their checksum. A `retention.json` that is damaged or missing is an error: nobody could
//! say then what is held, and taking it for "nothing" would delete what a court asked to keep. Every
//! data directory has one from its start.

use super::holds::{Hold, Keys};
use super::policy::Policy;
use crate::disk::Disk;
use crate::error::Error;
use crate::sealed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// The policy and the holds of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    pub policy: Policy,
    pub holds: Vec<Hold>,
    /// Events that tell of changes, with their numbers; the log may have them or not, and is given
    /// them again at the next start.
    #[serde(default)]
    pub owed: Vec<Box<str>>,
    /// Sessions of which some events were erased and some are kept, by their numbers. Their start may
    /// be gone, but the rules and holds that named them still do; and where the rest is in journals,
    /// which do not store numbers, they keep theirs over a restart.
    #[serde(default)]
    pub facts: BTreeMap<u64, Facts>,
}

/// What rules and holds ask of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub id: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<str>>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Box<str>>,
}

/// What is being erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Erasing {
    version: u32,
    /// The segments, each with the event that tells of it.
    pub segments: Vec<Erase>,
    /// The sessions of which events go.
    pub sessions: Keys,
    /// The facts of those that have events elsewhere.
    pub facts: BTreeMap<u64, Facts>,
}

/// A segment that is deleted, or written again without some sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Erase {
    /// The name of its directory. Once no segment has this name, what was to be erased is.
    pub segment: Box<str>,
    /// The event that tells of it.
    pub line: Box<str>,
}

impl Default for State {
    fn default() -> State {
        State {
            version: VERSION,
            policy: Policy::default(),
            holds: Vec::new(),
            owed: Vec::new(),
            facts: BTreeMap::new(),
        }
    }
}

impl Erasing {
    pub fn new(segments: Vec<Erase>, sessions: Keys, facts: BTreeMap<u64, Facts>) -> Erasing {
        Erasing { version: VERSION, segments, sessions, facts }
    }
}

/// Where the files are.
#[derive(Debug)]
pub(crate) struct Files {
    state: PathBuf,
    erasing: PathBuf,
}

impl Files {
    pub fn of(data: &Path) -> Files {
        Files { state: data.join("retention.json"), erasing: data.join("erasing.json") }
    }

    /// Writes what a new data directory starts with.
    pub fn create(&self, disk: &dyn Disk) -> Result<(), Error> {
        self.store(disk, &State::default())
    }

    pub fn load(&self, disk: &dyn Disk) -> Result<State, Error> {
        if !disk.exists(&self.state)? {
            return Err(Error::Unusable {
                path: self.state.clone(),
                what: "it is missing, and with it the legal holds; put it back from a backup"
                    .to_owned(),
            });
        }
        let state: State = sealed::read(disk, &self.state)?;
        self.supported(&self.state, state.version)?;
        Ok(state)
    }

    pub fn store(&self, disk: &dyn Disk, state: &State) -> Result<(), Error> {
        disk.replace(&self.state, &sealed::encode(&self.state, state)?)
    }

    pub fn erasing(&self, disk: &dyn Disk) -> Result<Option<Erasing>, Error> {
        if !disk.exists(&self.erasing)? {
            return Ok(None);
        }
        let erasing: Erasing = sealed::read(disk, &self.erasing)?;
        self.supported(&self.erasing, erasing.version)?;
        Ok(Some(erasing))
    }

    pub fn begin(&self, disk: &dyn Disk, erasing: &Erasing) -> Result<(), Error> {
        disk.replace(&self.erasing, &sealed::encode(&self.erasing, erasing)?)
    }

    pub fn end(&self, disk: &dyn Disk) -> Result<(), Error> {
        disk.remove_file(&self.erasing).map_err(Error::io("delete", &self.erasing))?;
        let parent = self.erasing.parent().unwrap_or(Path::new("."));
        disk.sync_dir(parent).map_err(Error::io("sync", parent))
    }

    fn supported(&self, path: &Path, version: u32) -> Result<(), Error> {
        if version == VERSION {
            return Ok(());
        }
        Err(Error::Unusable {
            path: path.to_owned(),
            what: format!(
                "its version is {version}, this daybook reads {VERSION}: use a newer one"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::policy::Names;
    use super::super::{NewHold, Scope};
    use super::*;
    use crate::disk::RealDisk;
    use crate::event::{Micros, SessionKey};

    #[test]
    fn a_flipped_byte_anywhere_is_found_and_a_missing_file_is_no_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path());
        let missing = files.load(&RealDisk).unwrap_err().to_string();
        assert!(missing.contains("legal holds"), "{missing}");
        let scope = Scope { users: vec![Names::new("ann@*")], ..Scope::default() };
        let new = NewHold { scope, case: "c".into(), reason: "r".into(), by: "b".into() };
        let mut hold = new.placed("h1".into(), Micros(5));
        hold.matched.0.extend([SessionKey(3), SessionKey(900)]);
        let state = State { holds: vec![hold], owed: vec!["{}".into()], ..State::default() };
        files.store(&RealDisk, &state).unwrap();
        assert_eq!(files.load(&RealDisk).unwrap(), state);
        let path = dir.path().join("retention.json");
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            for bit in [1, 32] {
                let mut flipped = bytes.clone();
                flipped[at] ^= bit;
                std::fs::write(&path, &flipped).unwrap();
                assert!(matches!(files.load(&RealDisk), Err(Error::Corrupt { .. })), "{at}");
            }
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(files.load(&RealDisk).is_err(), "cut at {at}");
        }
    }
}
