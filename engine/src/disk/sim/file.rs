//! Open files and locks of the disk in memory.

use super::log::{Bytes, Change};
use super::random::mix;
use super::tree::Ino;
use super::{DiskFile, Fault, Held, Kind, Lock, Open, SimDisk, State};
use rustix::io::Errno;
use std::io;
use std::path::PathBuf;

/// An open file.
#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) ino: Ino,
    /// The name that it was opened by; faults go by it.
    pub(super) path: PathBuf,
    pub(super) how: Open,
}

impl SimFile {
    fn writable(&self) -> io::Result<()> {
        if self.how == Open::Read { Err(Errno::BADF.into()) } else { Ok(()) }
    }
}

/// How much of `len` bytes is done where only a piece is: at least one byte and not all, if there are
/// two.
fn piece(state: &State, len: usize) -> usize {
    let chance = mix(state.log.len() as u64 ^ state.faults.happened << 32);
    if len < 2 { len } else { 1 + (chance % (len as u64 - 1)) as usize }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let (state, fault) = self.disk.enter(Kind::Read, &self.path)?;
        let bytes = state.tree.file(self.ino)?;
        let found = bytes.get(at as usize..).unwrap_or_default();
        let mut len = found.len().min(buffer.len());
        if fault == Some(Fault::Short) {
            len = piece(&state, len);
        }
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), found.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.writable()?;
        let (mut state, fault) = self.disk.enter(Kind::Write, &self.path)?;
        let mut len = bytes.len();
        if let Some(capacity) = state.capacity {
            let (used, file) = (state.tree.len(), state.tree.file(self.ino)?.len() as u64);
            // What lies inside the file needs no space.
            let end = file + capacity.saturating_sub(used);
            len = len.min(usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX));
            if len == 0 && !bytes.is_empty() {
                return Err(Errno::NOSPC.into());
            }
        }
        match fault {
            Some(Fault::Io) => len = piece(&state, len).saturating_sub(1),
            Some(_) => len = piece(&state, len),
            None => {}
        }
        let written = bytes.get(..len).unwrap_or_default();
        if !written.is_empty() {
            let change = Bytes::Write { at, bytes: written.into() };
            state.change(Kind::Write, &self.path, self.ino, change)?;
        }
        if fault == Some(Fault::Io) { Err(Errno::IO.into()) } else { Ok(len) }
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, fault) = self.disk.enter(Kind::Sync, &self.path)?;
        let failed = fault == Some(Fault::Io);
        state.push(Kind::Sync, &self.path, Change::Sync { ino: self.ino, failed });
        if failed { Err(Errno::IO.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable().map_err(|_| Errno::INVAL)?;
        let (mut state, _) = self.disk.enter(Kind::SetLen, &self.path)?;
        state.change(Kind::SetLen, &self.path, self.ino, Bytes::SetLen(len))
    }

    fn len(&self) -> io::Result<u64> {
        let (state, _) = self.disk.enter(Kind::Look, &self.path)?;
        Ok(state.meta(self.ino).len)
    }
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct SimLock {
    pub(super) disk: SimDisk,
    pub(super) ino: Ino,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        match state.locks.get_mut(&self.ino) {
            Some(Held::Shared(count)) if *count > 1 => *count -= 1,
            _ => {
                state.locks.remove(&self.ino);
            }
        }
    }
}
