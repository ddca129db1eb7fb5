//! What was done to a disk, in order.

use super::tree::Ino;
use std::path::PathBuf;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Opening a file that is there.
    Open,
    /// Making a file.
    Create,
    /// Reading a file.
    Read,
    /// Mapping a file.
    Map,
    /// Writing to a file.
    Write,
    /// Cutting or extending a file.
    SetLen,
    /// Making a file durable.
    Sync,
    /// Renaming.
    Rename,
    /// Giving a second name.
    Link,
    /// Deleting a file.
    Remove,
    /// Making a directory.
    CreateDir,
    /// Deleting a directory.
    RemoveDir,
    /// Making a directory's names durable.
    SyncDir,
    /// Looking what is at a path or in a directory.
    Look,
}

/// One operation that changes what is on the disk, or what is durable of it.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub kind: Kind,
    /// Where, for people.
    pub path: PathBuf,
    pub change: Change,
}

/// What an operation does.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A file's bytes.
    Bytes { ino: Ino, change: Bytes },
    /// A file's bytes become durable; or not, and nobody will try again.
    Sync { ino: Ino, failed: bool },
    /// Names; with a file or directory that is new, if `new` says so (and whether it is a directory).
    Names { names: Names, new: Option<bool> },
    /// A directory's names become durable; or not.
    SyncDir { ino: Ino, failed: bool },
}

/// A change of a file's bytes.
#[derive(Clone, Debug)]
pub(super) enum Bytes {
    Write { at: u64, bytes: Box<[u8]> },
    SetLen(u64),
}

/// A change of names: of all of these or of none.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// What is named, or was.
    pub ino: Ino,
    /// The directory that has to be synced to make the change durable.
    pub home: Ino,
    /// In which directory which name names what from now on.
    pub set: Vec<(Ino, String, Option<Ino>)>,
}
