//! The tree's files, which only grow.
//!
//! ```text
//! merkle/
//!   leaves      the leaves, 64 B each ([`super::leaf`])
//!   level-0     the leaves' hashes, 32 B each
//!   level-1     for each full run of 256 hashes of level 0 the root over them, 32 B
//!   level-L     the same over level L - 1: the i-th is over the leaves i 256^L .. (i + 1) 256^L
//! ```
//!
//! A tile ([`super::tile`]) is then a piece of one file. Nothing here says how long the tree is: that
//! is what was signed ([`super::log`]), and what stands behind it in the files is written again.
//! Everything but `leaves` can be made again from `leaves` ([`Store::rebuild`]).

use super::hash::{Edge, HASH_LEN, Hash, root_of};
use super::leaf::{LEAF_LEN, Leaf};
use super::tile::{TILE_WIDTH, Tile};
use super::tree::Nodes;
use crate::disk::{DiskFile, Open, SharedDisk, read_exact_at, write_all_at};
use crate::error::Error;
use crate::event::Offset;
use parking_lot::RwLock;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One level of tiles in heights of the tree: 256 = 2^8.
const TILE_HEIGHT: u32 = 8;

/// The tree's files, for reading by anybody and for growing by one [`Appender`].
#[derive(Debug)]
pub struct Store {
    disk: SharedDisk,
    dir: PathBuf,
    leaves: Arc<dyn DiskFile>,
    levels: RwLock<Vec<Arc<dyn DiskFile>>>,
}

impl Store {
    /// Opens the files in a directory; with `writable` makes them if they are not there.
    ///
    /// # Errors
    /// The system's.
    pub fn open(disk: &SharedDisk, dir: &Path, writable: bool) -> Result<Store, Error> {
        let path = dir.join("leaves");
        let how = if writable { Open::Write } else { Open::Read };
        let leaves = if writable && !disk.exists(&path)? {
            let file = disk.open(&path, Open::CreateNew).map_err(Error::io("create", &path))?;
            disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
            file
        } else {
            disk.open(&path, how).map_err(Error::io("open", &path))?
        };
        let mut levels = Vec::new();
        loop {
            let path = level_path(dir, levels.len());
            if !disk.exists(&path)? {
                break;
            }
            levels.push(disk.open(&path, how).map_err(Error::io("open", &path))?);
        }
        let levels = RwLock::new(levels);
        Ok(Store { disk: Arc::clone(disk), dir: dir.to_owned(), leaves, levels })
    }

    /// The path of the file of leaves.
    #[must_use]
    pub fn leaves_path(&self) -> PathBuf {
        self.dir.join("leaves")
    }

    /// A leaf by its index.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn leaf(&self, index: u64) -> Result<Leaf, Error> {
        let mut bytes = [0; LEAF_LEN];
        let at = index.saturating_mul(LEAF_LEN as u64);
        self.read(&*self.leaves, &self.leaves_path(), at, &mut bytes)?;
        Leaf::decode(&bytes).map_err(|what| Error::corrupt(&self.leaves_path(), at, what))
    }

    /// The leaf among the first `size` that commits to an event, and its index.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn find(&self, offset: Offset, size: u64) -> Result<Option<(u64, Leaf)>, Error> {
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            let leaf = self.leaf(middle)?;
            if offset < leaf.base {
                high = middle;
            } else if offset >= leaf.end() {
                low = middle + 1;
            } else {
                return Ok(Some((middle, leaf)));
            }
        }
        Ok(None)
    }

    /// The bytes of a tile, as they are handed out.
    ///
    /// # Errors
    /// The system's: also for a tile that is not in the tree.
    pub fn tile(&self, tile: &Tile) -> Result<Vec<u8>, Error> {
        let width = tile.width as usize;
        let first = tile.index.saturating_mul(TILE_WIDTH);
        let Some(level) = tile.level else {
            let mut leaves = vec![0; width * LEAF_LEN];
            let at = first.saturating_mul(LEAF_LEN as u64);
            self.read(&*self.leaves, &self.leaves_path(), at, &mut leaves)?;
            let mut out = Vec::with_capacity(width * (2 + LEAF_LEN));
            for leaf in leaves.chunks(LEAF_LEN) {
                out.extend_from_slice(&(LEAF_LEN as u16).to_be_bytes());
                out.extend_from_slice(leaf);
            }
            return Ok(out);
        };
        let mut hashes = vec![0; width * HASH_LEN];
        self.read_level(usize::from(level), first, &mut hashes)?;
        Ok(hashes)
    }

    /// Makes the levels of a tree of this size again from its leaves, if they then lead to `root`.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] when the leaves lead to another root; nothing is changed then.
    pub fn rebuild(self: &Arc<Store>, size: u64, root: Hash) -> Result<(), Error> {
        let mut edge = Edge::default();
        for index in 0..size {
            edge.push(self.leaf(index)?.hash(), |_, _| ());
        }
        if edge.root() != root {
            let what = "the leaves do not lead to the root that was signed";
            return Err(Error::corrupt(&self.leaves_path(), 0, what));
        }
        let mut appender = Appender::open(self, 0)?;
        for index in 0..size {
            appender.push(&self.leaf(index)?);
            if index % 4096 == 0 {
                appender.write()?;
            }
        }
        appender.sync()
    }

    fn read_level(&self, level: usize, first: u64, out: &mut [u8]) -> Result<(), Error> {
        let path = level_path(&self.dir, level);
        let file = self.levels.read().get(level).map(Arc::clone);
        let file = file.ok_or_else(|| Error::corrupt(&path, 0, "the file is missing"))?;
        self.read(&*file, &path, first.saturating_mul(HASH_LEN as u64), out)
    }

    fn read(&self, file: &dyn DiskFile, path: &Path, at: u64, out: &mut [u8]) -> Result<(), Error> {
        read_exact_at(file, out, at).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::corrupt(path, at, "the file is too short"),
            _ => Error::io("read", path)(error),
        })
    }

    /// The file of a level; makes it, and says so, if it is not there.
    fn level_file(&self, level: usize) -> Result<(Arc<dyn DiskFile>, bool), Error> {
        if let Some(file) = self.levels.read().get(level) {
            return Ok((Arc::clone(file), false));
        }
        let path = level_path(&self.dir, level);
        let file = self.disk.open(&path, Open::Create).map_err(Error::io("create", &path))?;
        self.levels.write().push(Arc::clone(&file));
        Ok((file, true))
    }
}

fn level_path(dir: &Path, level: usize) -> PathBuf {
    dir.join(format!("level-{level}"))
}

impl Nodes for Store {
    fn node(&self, height: u32, index: u64) -> Result<Hash, Error> {
        let (level, run) = (height / TILE_HEIGHT, 1usize << (height % TILE_HEIGHT));
        let mut bytes = vec![0; run * HASH_LEN];
        self.read_level(level as usize, index.saturating_mul(run as u64), &mut bytes)?;
        let hashes: Vec<Hash> = bytes.as_chunks().0.iter().map(|bytes| Hash(*bytes)).collect();
        Ok(root_of(&hashes))
    }
}

/// What grows the tree: one at a time.
#[derive(Debug)]
pub struct Appender {
    store: Arc<Store>,
    edge: Edge,
    end: Offset,
    /// What is not in the files yet.
    leaves: Pending,
    levels: Vec<Pending>,
    /// Names of files that are not durable yet.
    new_files: bool,
}

/// Bytes that wait to be written to a file, and where.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    at: u64,
    /// Written, but not synced.
    unsynced: bool,
}

impl Pending {
    fn write(&mut self, file: &dyn DiskFile, path: &Path) -> Result<(), Error> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        write_all_at(file, &self.bytes, self.at).map_err(Error::io("write", path))?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        self.unsynced = true;
        Ok(())
    }

    fn sync(&mut self, file: &dyn DiskFile, path: &Path) -> Result<(), Error> {
        if std::mem::take(&mut self.unsynced) {
            file.sync().map_err(Error::io("sync", path))?;
        }
        Ok(())
    }
}

impl Appender {
    /// Goes on after the first `size` leaves.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`] for files that do not hold them.
    pub fn open(store: &Arc<Store>, size: u64) -> Result<Appender, Error> {
        let end = match size.checked_sub(1) {
            Some(last) => store.leaf(last)?.end(),
            None => Offset(0),
        };
        let levels = (0..u64::BITS / TILE_HEIGHT).map(|level| Pending {
            at: (size >> (level * TILE_HEIGHT)) * HASH_LEN as u64,
            ..Pending::default()
        });
        Ok(Appender {
            store: Arc::clone(store),
            edge: super::tree::edge(&**store, size)?,
            end,
            leaves: Pending { at: size * LEAF_LEN as u64, ..Pending::default() },
            levels: levels.collect(),
            // Also those that an appender before this one made and could not make durable.
            new_files: true,
        })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// The offset after the last event that is committed to.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Adds a leaf, in memory.
    pub fn push(&mut self, leaf: &Leaf) {
        let entry = leaf.encode();
        self.leaves.bytes.extend_from_slice(&entry);
        let levels = &mut self.levels;
        self.edge.push(Hash::leaf(&entry), |height, node| {
            if height % TILE_HEIGHT == 0
                && let Some(level) = levels.get_mut((height / TILE_HEIGHT) as usize)
            {
                level.bytes.extend_from_slice(&node.0);
            }
        });
        self.end = leaf.end();
    }

    /// Writes what was added to the files. After an error this appender is of no more use: another one
    /// is opened at a size that is durable.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self) -> Result<(), Error> {
        self.leaves.write(&*self.store.leaves, &self.store.leaves_path())?;
        for (number, level) in self.levels.iter_mut().enumerate() {
            if !level.bytes.is_empty() {
                let (file, new) = self.store.level_file(number)?;
                self.new_files |= new;
                level.write(&*file, &level_path(&self.store.dir, number))?;
            }
        }
        Ok(())
    }

    /// Makes durable what was added.
    ///
    /// # Errors
    /// As [`Appender::write`].
    pub fn sync(&mut self) -> Result<(), Error> {
        self.write()?;
        let store = &*self.store;
        self.leaves.sync(&*store.leaves, &store.leaves_path())?;
        for (number, level) in self.levels.iter_mut().enumerate() {
            if level.unsynced {
                let (file, new) = store.level_file(number)?;
                self.new_files |= new;
                level.sync(&*file, &level_path(&store.dir, number))?;
            }
        }
        if self.new_files {
            store.disk.sync_dir(&store.dir).map_err(Error::io("sync", &store.dir))?;
            self.new_files = false;
        }
        Ok(())
    }
}
