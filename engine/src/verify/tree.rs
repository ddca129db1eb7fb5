//! `merkle/`: the leaves, the levels over them, and what was signed.
//!
//! The leaves file is read once, from front to back. Two trees grow with it: one over the leaves, one
//! over the hashes that `level-0` holds. Where the two disagree, the signed root tells which is right;
//! where they agree and the root is another, the tree as a whole was changed.

use super::Check;
use super::levels::Levels;
use super::report::{Mend, Problem, Statement};
use crate::disk::{DiskFile, read_exact_at};
use crate::error::Error;
use crate::event::Offset;
use crate::merkle::hash::Edge;
use crate::merkle::log;
use crate::merkle::{Checkpoint, HASH_LEN, Hash, LEAF_LEN, Leaf, Verifier};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of the Merkle log's files, in the data directory.
pub(super) const DIR: &str = "merkle";
/// A tile's width: how many hashes of a level make one of the next.
pub(super) const WIDTH_BITS: u32 = 8;
/// How many places of a file are named one by one.
const NAMED_MAX: usize = 100;

/// What is known of the tree when its files have been read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The leaves' file; `None` without a Merkle log.
    pub(super) leaves: Option<Leaves>,
    /// The root of the tree of each size that somebody signed, by the leaves' file.
    roots: BTreeMap<u64, Hash>,
    /// The leaves' file leads to the root that was signed.
    pub(super) proved: bool,
    /// Leaves that are not to be believed: places in the file.
    pub(super) doubtful: Vec<u64>,
}

/// The leaves' file, for reading leaf by leaf.
#[derive(Clone, Debug)]
pub(super) struct Leaves {
    file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) count: u64,
    buffer: Vec<u8>,
    /// The first leaf of the buffer.
    from: u64,
}

impl Leaves {
    /// A leaf's bytes.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn bytes(&mut self, at: u64) -> Result<[u8; LEAF_LEN], Error> {
        const AHEAD: u64 = 1024;
        let held = (self.buffer.len() / LEAF_LEN) as u64;
        if at < self.from || at >= self.from + held {
            let len = AHEAD.min(self.count.saturating_sub(at)) as usize * LEAF_LEN;
            self.buffer.resize(len, 0);
            self.from = at;
            read_exact_at(&*self.file, &mut self.buffer, at * LEAF_LEN as u64)
                .map_err(Error::io("read", &self.path))?;
        }
        let start = (at - self.from) as usize * LEAF_LEN;
        let bytes = self.buffer.get(start..).and_then(|rest| rest.first_chunk::<LEAF_LEN>());
        bytes.copied().ok_or_else(|| Error::corrupt(&self.path, at * LEAF_LEN as u64, "it is cut"))
    }

    /// A leaf, if it is one.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn leaf(&mut self, at: u64) -> Result<Option<Leaf>, Error> {
        if at >= self.count {
            return Ok(None);
        }
        Ok(Leaf::decode(&self.bytes(at)?).ok())
    }

    /// The place of the first leaf that ends behind an offset.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn place_of(&mut self, offset: Offset) -> Result<u64, Error> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            // A damaged leaf answers as the one before it would.
            let mut at = middle;
            let leaf = loop {
                match self.leaf(at)? {
                    Some(leaf) => break Some(leaf),
                    None if at > low => at -= 1,
                    None => break None,
                }
            };
            match leaf {
                Some(leaf) if leaf.end() > offset => high = at,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    /// The offset after the last event that a leaf stands for.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn end(&mut self) -> Result<Offset, Error> {
        for at in (0..self.count).rev() {
            if let Some(leaf) = self.leaf(at)? {
                return Ok(leaf.end());
            }
        }
        Ok(Offset(0))
    }
}

/// Something that was signed: where it was found, and what it says.
struct Signed {
    file: PathBuf,
    older: bool,
    checkpoint: Checkpoint,
}

impl Check<'_> {
    /// Reads `keys/` and `merkle/`; answers the tree for the log to be compared with.
    pub(super) fn tree(&mut self) -> Result<Tree, Error> {
        let dir = self.dir.join(DIR);
        let key = self.keys()?;
        let signed = self.statements(&dir, key.as_ref())?;
        let path = dir.join("leaves");
        if !self.disk.exists(&path)? {
            if !signed.is_empty() || self.disk.exists(&dir)? {
                let what = "the leaves of the Merkle log are not there: nothing can be proved";
                self.found(&path, 0..0, Problem::Missing, what, Vec::new(), Mend::Repair);
            } else {
                self.note("there is no Merkle log here: changes with right checksums don't show");
            }
            return Ok(Tree::default());
        }
        let file = self.disk.open_read(&path)?;
        let len = file.len().map_err(Error::io("read the length of", &path))?;
        self.count_file(len);
        // What stands behind the tree that was signed last was being written, and is written again.
        let own = signed.iter().filter(|signed| signed.file.starts_with(&dir));
        let own = own.map(|signed| signed.checkpoint.size).max().unwrap_or(u64::MAX);
        let count = (len / LEAF_LEN as u64).min(own);
        let mut leaves = Leaves { file, path, count, buffer: Vec::new(), from: 0 };
        let sizes = signed.iter().map(|signed| signed.checkpoint.size);
        let mut tree =
            Tree { roots: sizes.map(|size| (size, Hash::default())).collect(), ..Tree::default() };
        self.unsigned(&leaves.path.clone(), count * LEAF_LEN as u64..len);
        let mut levels = Levels::open(self, &dir)?;
        let mut edges = (Edge::default(), Edge::default());
        let mut level_roots = BTreeMap::new();
        let mut disagree = Vec::new();
        let mut next = None;
        tree.note_root(&edges.0);
        for at in 0..count {
            let bytes = leaves.bytes(at)?;
            let leaf = Leaf::decode(&bytes);
            let follows = match (&leaf, next) {
                (Ok(leaf), Some(next)) => leaf.base == next,
                (Ok(_), None) => true,
                (Err(_), _) => false,
            };
            next = leaf.as_ref().ok().map(|leaf| leaf.end());
            let hash = Hash::leaf(&bytes);
            let of_level = levels.level0(at)?;
            if !follows || of_level.is_some_and(|of_level| of_level != hash) {
                disagree.push(at);
            }
            let mut complete = [None; 8];
            edges.1.push(of_level.unwrap_or(hash), |height, node| {
                if height % WIDTH_BITS == 0
                    && let Some(place) = complete.get_mut((height / WIDTH_BITS) as usize)
                {
                    *place = Some(node);
                }
            });
            let mut upper = Vec::new();
            edges.0.push(hash, |height, node| {
                if height > 0 && height % WIDTH_BITS == 0 {
                    upper.push((height / WIDTH_BITS, node));
                }
            });
            for (level, node) in upper {
                let other = complete.get(level as usize).copied().flatten();
                levels.upper(level, at >> (level * WIDTH_BITS), [Some(node), other])?;
            }
            tree.note_root(&edges.0);
            if tree.roots.contains_key(&(at + 1)) {
                level_roots.insert(at + 1, edges.1.root());
            }
        }
        let wrong = levels.finish(self, count);
        self.judge(&mut tree, &leaves, &signed, &level_roots, disagree, wrong);
        tree.leaves = Some(leaves);
        Ok(tree)
    }

    /// Names what stands behind the tree that was signed.
    pub(super) fn unsigned(&mut self, path: &Path, bytes: Range<u64>) {
        if !bytes.is_empty() && !self.running {
            let what = "it was being written when the process stopped, and was not signed";
            self.found(path, bytes, Problem::Torn, what, Vec::new(), Mend::Nothing);
        }
    }

    /// Says which of leaves, levels and signatures is wrong.
    fn judge(
        &mut self,
        tree: &mut Tree,
        leaves: &Leaves,
        signed: &[Signed],
        level_roots: &BTreeMap<u64, Hash>,
        disagree: Vec<u64>,
        wrong_nodes: Vec<(PathBuf, u64)>,
    ) {
        let newest = signed.iter().filter(|s| !s.older).max_by_key(|s| s.checkpoint.size);
        let mut levels_right = false;
        for signed in signed {
            let Checkpoint { size, root, .. } = signed.checkpoint;
            if size > leaves.count {
                let what = format!(
                    "the log was signed with {size} leaves, and there are only {}: it was rolled back to an older state, or its end is gone",
                    leaves.count
                );
                self.found(&signed.file, 0..0, Problem::RolledBack, what, Vec::new(), Mend::Ask);
                continue;
            }
            if tree.roots.get(&size) == Some(&root) {
                tree.proved |= newest.is_some_and(|newest| newest.checkpoint.size == size);
                continue;
            }
            if level_roots.get(&size) == Some(&root) {
                levels_right = true;
                continue;
            }
            let what = format!(
                "the tree over the first {size} leaves is not the one that was signed: the log or its leaves were changed"
            );
            let bytes = 0..size * LEAF_LEN as u64;
            self.found(&leaves.path.clone(), bytes, Problem::Altered, what, Vec::new(), Mend::Ask);
        }
        // The signed root has spoken for one of the two; without one, the leaves' file is doubted.
        let path = if levels_right || !tree.proved {
            tree.doubtful.clone_from(&disagree);
            leaves.path.clone()
        } else {
            leaves.path.with_file_name("level-0")
        };
        let width = if path == leaves.path { LEAF_LEN } else { HASH_LEN } as u64;
        for run in runs(&disagree).take(NAMED_MAX) {
            let bytes = run.start * width..run.end * width;
            let what = format!("leaf {} is not what the tree was made from", run.start);
            self.found(&path, bytes, Problem::Damaged, what, Vec::new(), Mend::Repair);
        }
        for (path, at) in wrong_nodes.into_iter().take(NAMED_MAX) {
            let bytes = at * HASH_LEN as u64..(at + 1) * HASH_LEN as u64;
            let what = format!("node {at} is not the root over its leaves");
            self.found(&path, bytes, Problem::Damaged, what, Vec::new(), Mend::Repair);
        }
        if let Some(newest) = newest
            && (tree.proved || levels_right)
        {
            self.report.checkpoint = Some(Statement {
                origin: newest.checkpoint.origin.clone(),
                size: newest.checkpoint.size,
                root: newest.checkpoint.root.to_base64(),
                key: self.key.as_ref().map(ToString::to_string).unwrap_or_default(),
            });
        }
    }

    /// Reads what was signed: the directory's checkpoint, and the older one that was given.
    fn statements(&mut self, dir: &Path, key: Option<&Verifier>) -> Result<Vec<Signed>, Error> {
        let mut signed = Vec::new();
        let path = dir.join("checkpoint");
        if self.disk.exists(&path)? {
            let bytes = self.whole(&path)?;
            let read = std::str::from_utf8(&bytes).map_err(|_| "it is not text").and_then(|note| {
                key.map_or_else(|| Checkpoint::peek(note), |key| Checkpoint::open(note, key))
            });
            match read {
                Ok(checkpoint) => signed.push(Signed { file: path, older: false, checkpoint }),
                Err(what) => {
                    let end = bytes.len() as u64;
                    self.found(&path, 0..end, Problem::Unsigned, what, Vec::new(), Mend::Repair);
                }
            }
        } else if self.disk.exists(dir)? && !self.running {
            self.note("the Merkle log has no checkpoint yet");
        }
        self.signed_last(dir, &mut signed)?;
        if let Some(older) = self.options.checkpoint {
            let path = PathBuf::from("the checkpoint that was given");
            let opened = match (std::str::from_utf8(older), key) {
                (Err(_), _) => Err("it is not text"),
                (Ok(note), Some(key)) => Checkpoint::open(note, key).map_err(|what| {
                    if Checkpoint::peek(note).is_ok_and(|c| c.origin == key.name()) {
                        "it was signed by another key than this log's, which was replaced since, or this is another log"
                    } else {
                        what
                    }
                }),
                (Ok(note), None) => Checkpoint::peek(note),
            };
            match opened {
                Ok(checkpoint) => signed.push(Signed { file: path, older: true, checkpoint }),
                Err(what) => {
                    self.found(&path, 0..0, Problem::Unsigned, what, Vec::new(), Mend::Ask);
                    // What it says of the tree is still worth comparing.
                    if let Ok(checkpoint) =
                        std::str::from_utf8(older).map_err(|_| "").and_then(Checkpoint::peek)
                    {
                        signed.push(Signed { file: path, older: true, checkpoint });
                    }
                }
            }
        }
        Ok(signed)
    }
}

impl Check<'_> {
    /// Reads what the log itself knows to have signed.
    fn signed_last(&mut self, dir: &Path, signed: &mut Vec<Signed>) -> Result<(), Error> {
        let path = dir.join("signed");
        if !self.disk.exists(&path)? {
            if !signed.is_empty() && !self.running {
                let what = "it is not there, though there is a checkpoint";
                self.found(&path, 0..0, Problem::Missing, what, Vec::new(), Mend::Repair);
            }
            return Ok(());
        }
        let bytes = self.whole(&path)?;
        match log::Signed::decode(&bytes) {
            // A checkpoint that was replaced while this was read is no contradiction.
            Ok(_) if self.running => {}
            Ok(last) => {
                let behind = signed.first().is_some_and(|s| s.checkpoint.size > last.size);
                if behind {
                    let what = "the checkpoint is newer: this was put back from an older copy";
                    let end = bytes.len() as u64;
                    self.found(&path, 0..end, Problem::RolledBack, what, Vec::new(), Mend::Ask);
                }
                let origin = signed.first().map(|s| s.checkpoint.origin.clone());
                let origin = origin.unwrap_or_default();
                let checkpoint = Checkpoint { origin, size: last.size, root: last.root };
                // Without its note nothing is proved by it; a tree that differs is found all the same.
                signed.push(Signed { file: path, older: true, checkpoint });
            }
            Err(what) => {
                let end = bytes.len() as u64;
                self.found(&path, 0..end, Problem::Damaged, what, Vec::new(), Mend::Repair);
            }
        }
        Ok(())
    }
}

impl Tree {
    /// Remembers the root if its size is one that was signed.
    fn note_root(&mut self, edge: &Edge) {
        if let Some(root) = self.roots.get_mut(&edge.size()) {
            *root = edge.root();
        }
    }
}

/// Neighbouring places as ranges.
fn runs(places: &[u64]) -> impl Iterator<Item = Range<u64>> + '_ {
    places.chunk_by(|a, b| a + 1 == *b).filter_map(|run| Some(*run.first()?..*run.last()? + 1))
}
