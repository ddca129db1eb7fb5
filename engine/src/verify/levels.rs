//! `merkle/level-L`: the tree's nodes, read along with its leaves.

use super::Check;
use super::tree::WIDTH_BITS;
use crate::disk::{DiskFile, read_exact_at};
use crate::error::Error;
use crate::merkle::{HASH_LEN, Hash};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The levels' files, read along with the leaves.
pub(super) struct Levels {
    files: Vec<Level>,
    wrong: Vec<(PathBuf, u64)>,
}

struct Level {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    count: u64,
    buffer: Vec<u8>,
    from: u64,
}

impl Level {
    fn node(&mut self, at: u64) -> Result<Option<Hash>, Error> {
        const AHEAD: u64 = 1024;
        if at >= self.count {
            return Ok(None);
        }
        if at < self.from || at >= self.from + (self.buffer.len() / HASH_LEN) as u64 {
            self.buffer.resize(AHEAD.min(self.count - at) as usize * HASH_LEN, 0);
            self.from = at;
            read_exact_at(&*self.file, &mut self.buffer, at * HASH_LEN as u64)
                .map_err(Error::io("read", &self.path))?;
        }
        let start = (at - self.from) as usize * HASH_LEN;
        Ok(self.buffer.get(start..).and_then(|rest| rest.first_chunk()).map(|hash| Hash(*hash)))
    }
}

impl Levels {
    pub(super) fn open(check: &mut Check<'_>, dir: &Path) -> Result<Levels, Error> {
        let mut files = Vec::new();
        for level in 0.. {
            let path = dir.join(format!("level-{level}"));
            if !check.disk.exists(&path)? {
                break;
            }
            let file = check.disk.open_read(&path)?;
            let len = file.len().map_err(Error::io("read the length of", &path))?;
            check.count_file(len);
            let count = len / HASH_LEN as u64;
            files.push(Level { path, file, len, count, buffer: Vec::new(), from: 0 });
        }
        Ok(Levels { files, wrong: Vec::new() })
    }

    pub(super) fn level0(&mut self, at: u64) -> Result<Option<Hash>, Error> {
        self.files.first_mut().map_or(Ok(None), |level| level.node(at))
    }

    /// Compares a node of an upper level with what the two trees make of it.
    pub(super) fn upper(
        &mut self,
        level: u32,
        at: u64,
        trees: [Option<Hash>; 2],
    ) -> Result<(), Error> {
        let Some(level) = self.files.get_mut(level as usize) else { return Ok(()) };
        if let Some(node) = level.node(at)?
            && !trees.contains(&Some(node))
        {
            self.wrong.push((level.path.clone(), at));
        }
        Ok(())
    }

    /// The nodes that are wrong; those over leaves that do not count yet are named, too.
    pub(super) fn finish(self, check: &mut Check<'_>, leaves: u64) -> Vec<(PathBuf, u64)> {
        for (number, level) in (0u32..).zip(&self.files) {
            let full = leaves.checked_shr(number * WIDTH_BITS).unwrap_or(0);
            check.unsigned(&level.path, full * HASH_LEN as u64..level.len);
        }
        self.wrong
    }
}
