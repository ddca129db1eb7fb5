//! The log that is signed: tree, key and what was signed last, in a data directory.
//!
//! ```text
//! merkle/
//!   leaves, level-0 ...   the tree ([`super::store`])
//!   signed                what was signed last: size, root, the offset after its last event, checksum
//!   checkpoint            the signed note of it
//! ```
//!
//! **Order of a checkpoint.** Leaves and levels are synced; `signed` is replaced durably; then the
//! signature is made; then `checkpoint` is replaced. A crash at any point leaves a tree of the size in
//! `signed` whole, and no signature that the node does not know of: it never signs a smaller tree, or
//! another one of the same size.
//!
//! **After a crash** the tree is that of `signed`. What stands behind it in the files is not looked at;
//! those leaves are made again from the journals, which are not sealed before a checkpoint covers them.
//!
//! | found at the start | then |
//! |---|---|
//! | a level that does not lead to the signed root | made again from the leaves; if these don't either, damage |
//! | no key, or not the key of the checkpoint | damage: a log is not gone on with under another key |
//! | `signed` that is damaged, or gone beside a checkpoint | damage |
//!
//! Damage means that the engine opens read-only and says why.

use super::checkpoint::Checkpoint;
use super::hash::Hash;
use super::keys;
use super::leaf::Leaf;
use super::note::{Signer, Verifier};
use super::store::{Appender, Store};
use super::tree;
use crate::disk::{Disk, SharedDisk};
use crate::error::Error;
use crate::event::Offset;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was signed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The offset after the last event that is committed to.
    pub end: Offset,
}

impl Signed {
    fn nothing() -> Signed {
        Signed { size: 0, root: Hash::empty(), end: Offset(0) }
    }

    /// Its text, as the file has it.
    #[must_use]
    pub fn encode(&self) -> String {
        let body =
            format!("daybook signed 1\n{}\n{}\n{}\n", self.size, self.root.to_base64(), self.end);
        let crc = crc32fast::hash(body.as_bytes());
        format!("{body}{crc:08x}\n")
    }

    /// Reads the text.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn decode(text: &[u8]) -> Result<Signed, &'static str> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
        let mut lines = text.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let (first, size, root, end) = (line(), line(), line(), line());
        if first != "daybook signed 1" {
            return Err("its first line is not `daybook signed 1`");
        }
        let what = "its numbers can't be read";
        let signed = Signed {
            size: size.parse().map_err(|_| what)?,
            root: Hash::from_base64(root).ok_or(what)?,
            end: Offset(end.parse().map_err(|_| what)?),
        };
        if signed.encode() == text { Ok(signed) } else { Err("its checksum does not match") }
    }
}

/// The directory of the tree's files in a data directory.
#[must_use]
pub fn dir(data: &Path) -> PathBuf {
    data.join("merkle")
}

pub(super) fn signed_path(data: &Path) -> PathBuf {
    dir(data).join("signed")
}

/// The signed checkpoint in a data directory.
#[must_use]
pub fn checkpoint_path(data: &Path) -> PathBuf {
    dir(data).join("checkpoint")
}

/// The offset after the last event that was signed; 0 if that can't be read, which [`read`] reports.
#[must_use]
pub fn signed_end(disk: &dyn Disk, data: &Path) -> Offset {
    let text = disk.read(&signed_path(data)).ok();
    let signed = text.and_then(|text| Signed::decode(&text).ok());
    signed.map_or(Offset(0), |signed| signed.end)
}

/// What a data directory says of its log, checked as far as it costs nothing: the files' own sums,
/// and that the tree leads to the root that was signed.
#[derive(Debug)]
pub struct Found {
    /// The tree's files.
    pub store: Arc<Store>,
    /// What was signed last.
    pub signed: Signed,
    /// The signed note, if the last checkpoint came so far.
    pub note: Option<String>,
    /// The key that checks it.
    pub verifier: Option<Verifier>,
}

/// Reads what is there; `None` if there is no Merkle log.
///
/// # Errors
/// The system's; [`Error::Corrupt`] says what was damaged or altered.
pub fn read(disk: &SharedDisk, data: &Path, writable: bool) -> Result<Option<Found>, Error> {
    let dir = dir(data);
    if !disk.exists(&dir.join("leaves"))? {
        return Ok(None);
    }
    let store = Arc::new(Store::open(disk, &dir, writable)?);
    let path = checkpoint_path(data);
    let note = if disk.exists(&path)? { Some(disk.read(&path)?) } else { None };
    let note = note.map(String::from_utf8).transpose();
    let note = note.map_err(|_| Error::corrupt(&path, 0, "it is not text"))?;
    let path = signed_path(data);
    let signed = if disk.exists(&path)? {
        let text = disk.read(&path)?;
        Signed::decode(&text).map_err(|what| Error::corrupt(&path, 0, what))?
    } else if note.is_some() {
        return Err(Error::corrupt(&path, 0, "it is missing, but there is a checkpoint"));
    } else {
        Signed::nothing()
    };
    let verifier = keys::read_verifier(&**disk, data)?;
    if let (Some(note), Some(key)) = (&note, &verifier) {
        check_note(note, key, &signed)
            .map_err(|what| Error::corrupt(&checkpoint_path(data), 0, what))?;
    }
    if tree::root(&*store, signed.size).ok() != Some(signed.root) {
        if !writable {
            let what = "the tree's files do not lead to the root that was signed";
            return Err(Error::corrupt(&dir, 0, what));
        }
        tracing::warn!(dir = %dir.display(), "the tree's levels are damaged; they are made again from its leaves");
        store.rebuild(signed.size, signed.root)?;
    }
    if let Some(last) = signed.size.checked_sub(1)
        && store.leaf(last)?.end() != signed.end
    {
        let what = "the last leaf does not end where the signed tree does";
        return Err(Error::corrupt(&store.leaves_path(), last, what));
    }
    Ok(Some(Found { store, signed, note, verifier }))
}

/// Is the note signed by the key, and no more than what is known to be signed?
fn check_note(note: &str, key: &Verifier, signed: &Signed) -> Result<(), &'static str> {
    let checkpoint = Checkpoint::open(note, key)?;
    let newer = checkpoint.size > signed.size;
    if newer || (checkpoint.size == signed.size && checkpoint.root != signed.root) {
        return Err("it is not what `signed` says was signed: one of them is of another time");
    }
    Ok(())
}

/// The log, for the one who grows and signs it.
#[derive(Debug)]
pub struct MerkleLog {
    disk: SharedDisk,
    data: PathBuf,
    signer: Signer,
    store: Arc<Store>,
    appender: Appender,
    signed: Signed,
}

impl MerkleLog {
    /// Opens the log of a data directory for growing; makes it, with a key, if there is none. Answers
    /// also the last signed note.
    ///
    /// # Errors
    /// The system's; [`Error::Corrupt`] for what must not be gone on with.
    pub fn open(
        disk: &SharedDisk,
        data: &Path,
        origin: &str,
    ) -> Result<(MerkleLog, Option<String>), Error> {
        let dir = dir(data);
        disk.create_dir(&dir).map_err(Error::io("create", &dir))?;
        let found = match read(disk, data, true)? {
            Some(found) => found,
            None => {
                let store = Arc::new(Store::open(disk, &dir, true)?);
                disk.sync_dir(data).map_err(Error::io("sync", data))?;
                Found { store, signed: Signed::nothing(), note: None, verifier: None }
            }
        };
        let signer = match keys::read_signer(&**disk, data)? {
            Some(signer) => signer,
            None if found.note.is_some() => {
                let what = "the key that signed this log is missing; put it back from a backup";
                return Err(Error::corrupt(&keys::signing_path(data), 0, what));
            }
            None => keys::create(&**disk, data, origin)?,
        };
        if let Some(note) = &found.note {
            check_note(note, signer.verifier(), &found.signed).map_err(|what| {
                Error::corrupt(&keys::signing_path(data), 0, format!("the last checkpoint: {what}"))
            })?;
        }
        if found.verifier.as_ref() != Some(signer.verifier()) {
            keys::write_verifier(&**disk, data, signer.verifier())?;
        }
        let log = MerkleLog {
            disk: Arc::clone(disk),
            data: data.to_owned(),
            signer,
            appender: Appender::open(&found.store, found.signed.size)?,
            store: found.store,
            signed: found.signed,
        };
        Ok((log, found.note))
    }

    /// The tree's files.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The key that checks its checkpoints.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        self.signer.verifier()
    }

    /// What was signed last.
    #[must_use]
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// How many leaves the tree has, signed or not.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.appender.size()
    }

    /// The offset after the last event that is in the tree.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.appender.end()
    }

    /// Adds the leaf of the block that follows; it is in the tree's files at the next checkpoint.
    ///
    /// # Errors
    /// A leaf that does not follow the one before it.
    pub fn append(&mut self, leaf: &Leaf) -> Result<(), Error> {
        if leaf.base != self.appender.end() {
            let what = format!(
                "the tree ends at event {}, but the next block starts at event {}",
                self.appender.end(),
                leaf.base
            );
            return Err(Error::corrupt(&self.store.leaves_path(), self.size(), what));
        }
        self.appender.push(leaf);
        Ok(())
    }

    /// Writes what was added, without making it durable.
    ///
    /// # Errors
    /// The system's; then [`MerkleLog::reset`] has to follow.
    pub fn write(&mut self) -> Result<(), Error> {
        self.appender.write()
    }

    /// Signs the tree as it is, durably, and answers the note.
    ///
    /// # Errors
    /// The system's; then [`MerkleLog::reset`] has to follow. A tree that contradicts what was signed.
    pub fn checkpoint(&mut self) -> Result<String, Error> {
        let next = Signed {
            size: self.appender.size(),
            root: self.appender.root(),
            end: self.appender.end(),
        };
        let forks = next.size == self.signed.size && next.root != self.signed.root;
        if next.size < self.signed.size || forks {
            let what = "the tree contradicts the one that was signed; it is not signed";
            return Err(Error::corrupt(&self.store.leaves_path(), next.size, what));
        }
        self.appender.sync()?;
        self.disk.replace(&signed_path(&self.data), next.encode().as_bytes())?;
        self.signed = next;
        let origin = self.signer.verifier().name().to_owned();
        let note = Checkpoint { origin, size: next.size, root: next.root }.sign(&self.signer);
        self.disk.replace(&checkpoint_path(&self.data), note.as_bytes())?;
        Ok(note)
    }

    /// Goes back to what was signed last: after an error nobody knows what the files hold behind it.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn reset(&mut self) -> Result<(), Error> {
        let path = signed_path(&self.data);
        // The last try may have come so far as to replace it.
        if self.disk.exists(&path)? {
            let text = self.disk.read(&path)?;
            self.signed = Signed::decode(&text).map_err(|what| Error::corrupt(&path, 0, what))?;
        }
        self.appender = Appender::open(&self.store, self.signed.size)?;
        Ok(())
    }
}
