//! A disk in memory that fails on purpose: the test twin of the system's files.
//!
//! It keeps a log of every operation that changes something. From the log it makes, for any operation
//! and any seed, the disk that a crash right after that operation may leave ([`SimDisk::crash`]); so
//! one run of a program is tried against as many crashes as one likes. While a program runs, a
//! [`Rule`] lets reads, writes and syncs fail, stop short or take their time, and a capacity lets the
//! space run out.
//!
//! | module | what is there |
//! |---|---|
//! | `tree` | files and directories in memory |
//! | `log` | what was done, in order |
//! | `crash` | what may be left of it |
//! | `fault` | what goes wrong while it runs |
//! | `random` | numbers from a seed |

mod crash;
mod fault;
mod file;
mod log;
mod random;
#[cfg(test)]
mod tests;
mod tree;

pub use fault::{Fault, Rule};
pub use log::Kind;
pub use random::Random;

use super::{Disk, DiskFile, Entry, Lock, Map, Meta, Open, SharedDisk};
use fault::Faults;
use file::{SimFile, SimLock};
use log::{Bytes, Change, Names, Op};
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tree::{Ino, Tree};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    /// The tree as it was before the first operation, all of it durable.
    start: Tree,
    log: Vec<Op>,
    faults: Faults,
    capacity: Option<u64>,
    /// Who holds locks: a number of readers, or one writer.
    locks: HashMap<Ino, Held>,
}

#[derive(Clone, Copy, Debug)]
enum Held {
    Shared(u32),
    Alone,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    fn with(tree: Tree) -> SimDisk {
        let state = State { start: tree.clone(), tree, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// The disk as the engine takes it.
    #[must_use]
    pub fn shared(&self) -> SharedDisk {
        Arc::new(self.clone())
    }

    /// How many operations were done. What was done before this was called has a lower number or
    /// the same: operations count from 1.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().log.len() as u64
    }

    /// What the operation of a number was, and on what.
    #[must_use]
    pub fn operation(&self, number: u64) -> Option<(Kind, PathBuf)> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        self.state.lock().log.get(at).map(|op| (op.kind, op.path.clone()))
    }

    /// A disk as a crash right after the operation of this number may leave it. It is another one for
    /// each seed. Nobody holds locks on it, and all that is on it is durable.
    #[must_use]
    pub fn crash(&self, after: u64, seed: u64) -> SimDisk {
        let state = self.state.lock();
        let log = state.log.get(..after as usize).unwrap_or(&state.log);
        SimDisk::with(crash::image(&state.start, log, seed))
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, rule: Rule) {
        self.state.lock().faults.rules.push(rule);
    }

    /// Lets nothing go wrong any more. What has been lost stays lost.
    pub fn heal(&self) {
        self.state.lock().faults.heal();
    }

    /// How often something has gone wrong.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.state.lock().faults.happened
    }

    /// How many bytes fit on it from now on, for all files together.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().tree.len()
    }

    /// Everything on it: directories are `None`, files have their bytes.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let state = self.state.lock();
        let all = state.tree.list().into_iter();
        all.map(|named| (named.path.into(), named.bytes.map(|b| b.to_vec()))).collect()
    }

    /// Copies everything to another disk, below a directory: to look at what a crash has left.
    ///
    /// # Errors
    /// The other disk's.
    pub fn copy_to(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        disk.create_dir(dir)?;
        for (path, bytes) in self.contents() {
            let path = dir.join(path.strip_prefix("/").unwrap_or(&path));
            match bytes {
                None => disk.create_dir(&path)?,
                Some(bytes) => {
                    super::write_all_at(&*disk.open(&path, Open::Create)?, &bytes, 0)?;
                }
            }
        }
        Ok(())
    }

    /// Lets happen to an operation what is to happen, and answers the state that it works on. A fault
    /// that is not an error by itself is answered with it.
    fn enter(&self, kind: Kind, path: &Path) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.state.lock();
        match state.faults.next(kind, path) {
            None => Ok((state, None)),
            Some(Fault::Slow(time)) => {
                drop(state);
                std::thread::sleep(time);
                Ok((self.state.lock(), None))
            }
            Some(Fault::Full) => Err(Errno::NOSPC.into()),
            // Of these something may be done before they fail.
            Some(Fault::Io) if matches!(kind, Kind::Write | Kind::Sync | Kind::SyncDir) => {
                Ok((state, Some(Fault::Io)))
            }
            Some(Fault::Io | Fault::Gone) => Err(Errno::IO.into()),
            Some(Fault::Short) => Ok((state, Some(Fault::Short))),
        }
    }
}

impl State {
    fn push(&mut self, kind: Kind, path: &Path, change: Change) {
        self.log.push(Op { kind, path: path.to_owned(), change });
    }

    /// A new file or directory.
    fn create(&mut self, kind: Kind, path: &Path) -> io::Result<Ino> {
        let (dir, name) = self.tree.place(path)?;
        let (ino, is_dir) = (self.tree.next(), kind == Kind::CreateDir);
        self.tree.add(ino, is_dir);
        let names = Names { ino, home: dir, set: vec![(dir, name, Some(ino))] };
        self.rename(kind, path, names, Some(is_dir));
        Ok(ino)
    }

    fn rename(&mut self, kind: Kind, path: &Path, names: Names, new: Option<bool>) {
        for (dir, name, ino) in &names.set {
            self.tree.name(*dir, name, *ino);
        }
        self.push(kind, path, Change::Names { names, new });
    }

    fn change(&mut self, kind: Kind, path: &Path, ino: Ino, change: Bytes) -> io::Result<()> {
        let bytes = self.tree.bytes(ino)?;
        match &change {
            Bytes::Write { at, bytes: new } => tree::write(bytes, *at, new),
            Bytes::SetLen(len) => bytes.resize(*len as usize, 0),
        }
        self.push(kind, path, Change::Bytes { ino, change });
        Ok(())
    }

    fn free(&self) -> u64 {
        self.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(self.tree.len()))
    }

    fn meta(&self, ino: Ino) -> Meta {
        let len = self.tree.file(ino).map_or(0, |bytes| bytes.len() as u64);
        Meta { is_dir: self.tree.is_dir(ino), len }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let kind = match how {
            Open::Read | Open::Write => Kind::Open,
            Open::Create | Open::CreateNew => Kind::Create,
        };
        let (mut state, _) = self.enter(kind, path)?;
        let ino = match (how, state.tree.find(path)?) {
            (Open::Read | Open::Write, None) => return Err(Errno::NOENT.into()),
            (Open::CreateNew, Some(_)) => return Err(Errno::EXIST.into()),
            (Open::Create | Open::CreateNew, None) => state.create(kind, path)?,
            (Open::Create, Some(ino)) => {
                if !state.tree.file(ino)?.is_empty() {
                    state.change(Kind::SetLen, path, ino, Bytes::SetLen(0))?;
                }
                ino
            }
            (Open::Write, Some(ino)) => state.tree.file(ino).map(|_| ino)?,
            (Open::Read, Some(ino)) => ino,
        };
        drop(state);
        Ok(Arc::new(SimFile { disk: self.clone(), ino, path: path.to_owned(), how }))
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Meta>> {
        let (state, _) = self.enter(Kind::Look, path)?;
        Ok(state.tree.find(path)?.map(|ino| state.meta(ino)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let (state, _) = self.enter(Kind::Look, dir)?;
        let names = state.tree.dir(state.tree.at(dir)?)?;
        Ok(names
            .iter()
            .map(|(name, ino)| Entry { name: name.clone(), meta: state.meta(*ino) })
            .collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut state, _) = self.enter(Kind::CreateDir, dir)?;
        let mut missing = Vec::new();
        let mut at = Some(dir);
        while let Some(path) = at {
            match state.tree.find(path) {
                Ok(Some(ino)) => {
                    state.tree.dir(ino).map_err(|_| Errno::EXIST)?;
                    break;
                }
                Ok(None) => missing.push(path),
                Err(error) => return Err(error),
            }
            at = path.parent();
        }
        for path in missing.into_iter().rev() {
            state.create(Kind::CreateDir, path)?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, _) = self.enter(Kind::Rename, from)?;
        let (from_dir, from_name) = state.tree.place(from)?;
        let (to_dir, to_name) = state.tree.place(to)?;
        let ino = state.tree.child(from_dir, &from_name).ok_or(Errno::NOENT)?;
        let old = state.tree.child(to_dir, &to_name);
        if old == Some(ino) {
            return Ok(());
        }
        if state.tree.is_dir(ino) && to.starts_with(from) {
            return Err(Errno::INVAL.into());
        }
        if from != to && from.starts_with(to) {
            return Err(Errno::NOTEMPTY.into());
        }
        if let Some(old) = old {
            match (state.tree.is_dir(ino), state.tree.is_dir(old)) {
                (true, false) => return Err(Errno::NOTDIR.into()),
                (false, true) => return Err(Errno::ISDIR.into()),
                (true, true) if !state.tree.dir(old)?.is_empty() => {
                    return Err(Errno::NOTEMPTY.into());
                }
                _ => {}
            }
        }
        let set = vec![(from_dir, from_name, None), (to_dir, to_name, Some(ino))];
        state.rename(Kind::Rename, to, Names { ino, home: to_dir, set }, None);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, _) = self.enter(Kind::Link, to)?;
        let ino = state.tree.at(from)?;
        if state.tree.is_dir(ino) {
            return Err(Errno::PERM.into());
        }
        let (dir, name) = state.tree.place(to)?;
        if state.tree.child(dir, &name).is_some() {
            return Err(Errno::EXIST.into());
        }
        let names = Names { ino, home: dir, set: vec![(dir, name, Some(ino))] };
        state.rename(Kind::Link, to, names, None);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (mut state, _) = self.enter(Kind::Remove, path)?;
        let (dir, name) = state.tree.place(path)?;
        let ino = state.tree.child(dir, &name).ok_or(Errno::NOENT)?;
        state.tree.file(ino)?;
        let names = Names { ino, home: dir, set: vec![(dir, name, None)] };
        state.rename(Kind::Remove, path, names, None);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let (mut state, _) = self.enter(Kind::RemoveDir, path)?;
        let (dir, name) = state.tree.place(path)?;
        let ino = state.tree.child(dir, &name).ok_or(Errno::NOENT)?;
        if !state.tree.dir(ino)?.is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        let names = Names { ino, home: dir, set: vec![(dir, name, None)] };
        state.rename(Kind::RemoveDir, path, names, None);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut state, fault) = self.enter(Kind::SyncDir, dir)?;
        let ino = state.tree.at(dir)?;
        let failed = fault == Some(Fault::Io);
        state.push(Kind::SyncDir, dir, Change::SyncDir { ino, failed });
        if failed { Err(Errno::IO.into()) } else { Ok(()) }
    }

    fn map(&self, path: &Path) -> io::Result<Map> {
        let (state, _) = self.enter(Kind::Map, path)?;
        let bytes = state.tree.file(state.tree.at(path)?)?;
        Ok(Map::held(bytes.to_vec()))
    }

    fn lock(&self, path: &Path, exclusive: bool) -> io::Result<Option<Box<dyn Lock>>> {
        let (mut state, _) = self.enter(Kind::Open, path)?;
        let ino = match state.tree.find(path)? {
            Some(ino) => ino,
            None if exclusive => state.create(Kind::Create, path)?,
            None => return Err(Errno::NOENT.into()),
        };
        let held = match (state.locks.get(&ino), exclusive) {
            (None, true) => Held::Alone,
            (None, false) => Held::Shared(1),
            (Some(Held::Shared(count)), false) => Held::Shared(count + 1),
            _ => return Ok(None),
        };
        state.locks.insert(ino, held);
        drop(state);
        Ok(Some(Box::new(SimLock { disk: self.clone(), ino })))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let (state, _) = self.enter(Kind::Look, dir)?;
        state.tree.at(dir)?;
        Ok(state.free())
    }

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        let (state, _) = self.enter(Kind::Look, dir)?;
        state.tree.at(dir)?;
        Ok(u64::MAX)
    }

    fn lock_holder(&self, _: &Path) -> Option<u32> {
        None
    }
}
