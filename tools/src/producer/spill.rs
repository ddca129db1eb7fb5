//! Where batches wait while the server is away: a directory, one NDJSON file a batch.
//!
//! ```text
//! DIR/00001773500000000000-4242-000007.ndjson           waits; names sort by time, process, number
//! DIR/00001773500000000000-4242-000008.ndjson.part      is being written; nothing relies on it
//! DIR/00001773500000000000-4242-000003.ndjson.refused   lines that the server will not take
//! ```
//!
//! A file is written beside, synced, renamed, and removed once the server has answered for each of its
//! lines. So a process may be killed at any point: what is there is whole, and is sent by whoever opens
//! the directory next, twice at worst, which daybook counts as duplicates. Several processes may share a
//! directory for the same reason. `daybook import DIR/*.ndjson` reads the files too.
//!
//! The files hold what the events hold, unencrypted: the directory is for its owner alone (0700).

use anyhow::Context as _;
use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where, and how much.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The directory; made if it is not there.
    pub dir: PathBuf,
    /// How many bytes of it may be used.
    pub bytes_max: u64,
}

/// The directory.
#[derive(Debug)]
pub struct Spill {
    bounds: Bounds,
    waiting: VecDeque<PathBuf>,
    bytes: u64,
    number: u64,
}

const WAITS: &str = "ndjson";
/// A half-written file this old belongs to no process that still writes it.
const STALE: Duration = Duration::from_secs(3_600);

impl Spill {
    /// Opens a directory, and finds what waits there.
    ///
    /// # Errors
    /// A directory that can't be made or read.
    pub fn open(bounds: Bounds) -> anyhow::Result<Spill> {
        let dir = &bounds.dir;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("can't make the spill directory {}", dir.display()))?;
        let mut spill = Spill { waiting: VecDeque::new(), bytes: 0, number: 0, bounds };
        spill.look()?;
        Ok(spill)
    }

    /// Takes stock of the directory, which other processes may use too.
    fn look(&mut self) -> anyhow::Result<()> {
        let dir = &self.bounds.dir;
        let entries = std::fs::read_dir(dir)
            .with_context(|| format!("can't read the spill directory {}", dir.display()))?;
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            let entry = entry
                .with_context(|| format!("can't read the spill directory {}", dir.display()))?;
            let path = entry.path();
            // Another process may have sent and removed it just now.
            let Ok(meta) = entry.metadata() else { continue };
            if path.extension().is_some_and(|ending| ending == "part") {
                let age = meta.modified().ok().and_then(|time| time.elapsed().ok());
                if age.is_some_and(|age| age > STALE) {
                    let _ = std::fs::remove_file(&path);
                }
                continue;
            }
            bytes += meta.len();
            if path.extension().is_some_and(|ending| ending == WAITS) {
                waiting.push(path);
            }
        }
        waiting.sort();
        (self.waiting, self.bytes) = (waiting.into(), bytes);
        Ok(())
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.bounds.dir
    }

    /// Does nothing wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The file that has waited longest.
    #[must_use]
    pub fn oldest(&self) -> Option<PathBuf> {
        self.waiting.front().cloned()
    }

    /// Is there room for this many bytes more?
    ///
    /// # Errors
    /// A directory that can't be read.
    pub fn has_room(&mut self, bytes: usize) -> anyhow::Result<bool> {
        let fits = |spill: &Spill| spill.bytes + bytes as u64 <= spill.bounds.bytes_max;
        if !fits(self) {
            // Others may have sent some of it.
            self.look()?;
        }
        Ok(fits(self))
    }

    /// Puts a batch at the end, synced; its name is the answer.
    ///
    /// # Errors
    /// A file that can't be written: the disk may be full.
    pub fn put(&mut self, lines: &[u8]) -> anyhow::Result<PathBuf> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let name = format!("{now:020}-{}-{:06}.{WAITS}", std::process::id(), self.number);
        self.number += 1;
        let path = self.bounds.dir.join(name);
        self.write(&path, lines).with_context(|| {
            format!("can't write to the spill directory {}", self.dir().display())
        })?;
        self.bytes += lines.len() as u64;
        // Behind the ones that wait, and before none: names sort by time.
        self.waiting.push_back(path.clone());
        Ok(path)
    }

    /// Puts lines aside that the server will not take; they are never sent.
    ///
    /// # Errors
    /// As [`Spill::put`].
    pub fn put_refused(&mut self, lines: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.put(lines)?;
        self.refuse(&path)
    }

    /// Puts a whole file aside that the server will not take.
    ///
    /// # Errors
    /// A file that can't be renamed.
    pub fn refuse(&mut self, path: &Path) -> anyhow::Result<PathBuf> {
        self.waiting.retain(|waiting| waiting != path);
        let refused = path.with_extension("ndjson.refused");
        std::fs::rename(path, &refused)
            .with_context(|| format!("can't rename {}", path.display()))?;
        Ok(refused)
    }

    fn write(&self, path: &Path, lines: &[u8]) -> std::io::Result<()> {
        let part = path.with_extension("ndjson.part");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if let Err(error) = written.and_then(|()| std::fs::rename(&part, path)) {
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
        File::open(&self.bounds.dir)?.sync_all()
    }

    /// Reads a file; none if another process has sent it meanwhile.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn read(&mut self, path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
        match std::fs::read(path) {
            Ok(lines) => Ok(Some(lines)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.forget(path, 0);
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }

    /// Removes a file of which every line is answered for.
    pub fn remove(&mut self, path: &Path, bytes: u64) {
        // One that stays is sent again, and counted as duplicates: nothing to stop for.
        let _ = std::fs::remove_file(path);
        self.forget(path, bytes);
    }

    fn forget(&mut self, path: &Path, bytes: u64) {
        self.waiting.retain(|waiting| waiting != path);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// How many events wait.
    #[must_use]
    pub fn events(&self) -> u64 {
        let lines = |path| std::fs::read(path).map_or(0, |b| crate::client::count_lines(&b));
        self.waiting.iter().map(lines).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn open(dir: &Path) -> Spill {
        Spill::open(Bounds { dir: dir.to_owned(), bytes_max: 100 }).unwrap()
    }

    #[test]
    fn what_was_put_is_found_again_oldest_first_by_whoever_opens_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        let mut spill = open(&dir);
        let first = spill.put(b"one\n").unwrap();
        spill.put(b"two\nthree\n").unwrap();
        std::fs::write(dir.join("x.ndjson.part"), "half").unwrap();
        let mut again = open(&dir);
        assert_eq!((again.oldest(), again.events()), (Some(first.clone()), 3));
        assert_eq!(again.read(&first).unwrap().unwrap(), b"one\n");
        again.remove(&first, 4);
        // The one that was open meanwhile finds that another has sent it.
        assert_eq!(spill.read(&first).unwrap(), None);
        assert_eq!(spill.events(), 2);
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn it_is_full_at_its_bound_and_has_room_again_when_something_went() {
        let temp = tempfile::tempdir().unwrap();
        let mut spill = open(temp.path());
        let path = spill.put(&[b'x'; 80]).unwrap();
        assert!(spill.has_room(20).unwrap() && !spill.has_room(21).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(spill.has_room(100).unwrap());
    }

    #[test]
    fn refused_lines_stay_but_are_not_sent() {
        let temp = tempfile::tempdir().unwrap();
        let mut spill = open(temp.path());
        let kept = spill.put_refused(b"bad\n").unwrap();
        assert_eq!(std::fs::read(kept).unwrap(), b"bad\n");
        assert!(spill.is_empty() && open(temp.path()).is_empty());
    }
}
