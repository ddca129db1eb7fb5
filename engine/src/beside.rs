//! Small files that stand beside the log: the engine keeps them for the server, and does not read them.
//!
//! | file | holds |
//! |---|---|
//! | `searches.json` | saved searches, with the addresses and the secrets of their webhooks |
//! | `alerts.json` | how far each alert has come |
//! | `feeds.json` | how far each feed has come, and what its links are signed with |
//! | `push.json` | how far each sink has been sent, and the events that it refused |
//! | `notify.json` | how far those are who are told of access requests, and dead letters |
//! | `link_key.json` | what links to sessions are signed with |
//! | `queue.json` | what samples of sessions are drawn with |
//! | `links.json`, `runs.json`, `cases.json`, `marks.json`, `sent.json` | what the acts in a session of daybook's own amount to, up to one of them |
//!
//! Each is one JSON document that knows its checksum ([`crate::sealed`]). It is replaced as a whole and durably,
//! only its owner can read it, and it is encrypted where the directory is. A backup has it from before the
//! journals that it has: an offset in it is one of the copy's, too.

use crate::disk::Disk;
use crate::engine::Shared;
use crate::error::Error;
use crate::sealed;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::path::{Path, PathBuf};

/// A file that stands beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The saved searches.
    Searches,
    /// How far each alert has come.
    Alerts,
    /// How far each feed has come.
    Feeds,
    /// How far each sink has been sent.
    Push,
    /// How far those are who are told of access requests.
    Notify,
    /// What links to sessions are signed with.
    LinkKey,
    /// What samples of sessions are drawn with.
    Queue,
    /// Links to sessions.
    Links,
    /// Commands that are run again.
    Runs,
    /// Cases.
    Cases,
    /// Sessions that were looked at.
    Marks,
    /// What producers say that they sent.
    Sent,
}

impl Beside {
    /// All of them.
    pub const ALL: [Beside; 12] = [
        Beside::Searches,
        Beside::Alerts,
        Beside::Feeds,
        Beside::Push,
        Beside::Notify,
        Beside::LinkKey,
        Beside::Queue,
        Beside::Links,
        Beside::Runs,
        Beside::Cases,
        Beside::Marks,
        Beside::Sent,
    ];

    /// Its name in the data directory.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Beside::Searches => "searches.json",
            Beside::Alerts => "alerts.json",
            Beside::Feeds => "feeds.json",
            Beside::Push => "push.json",
            Beside::Notify => "notify.json",
            Beside::LinkKey => "link_key.json",
            Beside::Queue => "queue.json",
            Beside::Links => "links.json",
            Beside::Runs => "runs.json",
            Beside::Cases => "cases.json",
            Beside::Marks => "marks.json",
            Beside::Sent => "sent.json",
        }
    }

    /// The file of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Beside> {
        Beside::ALL.into_iter().find(|file| file.name() == name)
    }
}

/// The value of a file; `None` if it is not there.
pub(crate) fn load<T: DeserializeOwned>(shared: &Shared, file: Beside) -> Result<Option<T>, Error> {
    let (disk, path) = (&*shared.options.disk, shared.dir.join(file.name()));
    if !disk.exists(&path)? {
        return Ok(None);
    }
    sealed::read(disk, &path).map(Some)
}

/// Replaces a file, durably.
pub(crate) fn store<T: Serialize>(shared: &Shared, file: Beside, value: &T) -> Result<(), Error> {
    if let Some(reason) = shared.read_only_reason() {
        return Err(Error::ReadOnly { reason });
    }
    let path = shared.dir.join(file.name());
    let bytes = sealed::encode(&path, value)?;
    let _alone = shared.beside.lock();
    shared.options.disk.replace_private(&path, &bytes)
}

/// What is wrong with the files, by their paths.
pub(crate) fn damage(disk: &dyn Disk, data: &Path) -> Vec<(PathBuf, Error)> {
    let paths = Beside::ALL.map(|file| data.join(file.name()));
    let check = |path: &PathBuf| match disk.exists(path) {
        Ok(true) => sealed::read::<IgnoredAny>(disk, path).err(),
        Ok(false) => None,
        Err(error) => Some(error),
    };
    paths.into_iter().filter_map(|path| check(&path).map(|error| (path, error))).collect()
}

/// Puts the files under the first encryption key.
pub(crate) fn reseal(shared: &Shared) -> Result<(), Error> {
    let disk = &*shared.options.disk;
    let first = disk.keys().and_then(|keys| keys.first());
    let _alone = shared.beside.lock();
    for path in Beside::ALL.map(|file| shared.dir.join(file.name())) {
        if disk.exists(&path)? && disk.key_of(&path).map_err(Error::io("read", &path))? != first {
            disk.replace_private(&path, &disk.read(&path)?)?;
        }
    }
    Ok(())
}
