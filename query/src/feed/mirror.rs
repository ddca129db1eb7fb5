//! A directory that has a table's files, as the pull feed tells of them: which to take, and which to delete.
//!
//! Each row is there once. What a file is of, its name says: a node, a stretch of offsets, and how often that was
//! rewritten. Stretches are never torn, so of two files of a node the one is of a part of the other's stretch, or they
//! have nothing in common. So of a stretch and its parts the largest and latest has all rows that there still are, and
//! is the one to keep ([`Mirror::wants`], [`Mirror::replaced_by`]). Of a stretch that something was erased of, all
//! that is not later goes ([`Mirror::erased_by`]), whether it was named or not: who has small files is told of the
//! large one that replaced them.

use std::collections::BTreeMap;
use std::ops::Range;

/// The files of a directory.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    /// By their paths in the table.
    files: BTreeMap<String, Name>,
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    offsets: Range<u64>,
    pub(super) node: String,
    generation: u32,
}

impl Name {
    /// Reads the name of a path, as `files` makes it.
    pub(super) fn of(path: &str) -> Option<Name> {
        let name = path.rsplit('/').next()?.strip_suffix(".parquet")?;
        let parts: Vec<&str> = name.split('-').collect();
        let [_, from, to, node, generation, _, ..] = parts.as_slice() else { return None };
        let offsets = from.parse().ok()?..to.parse().ok()?;
        Some(Name { offsets, node: (*node).to_owned(), generation: generation.parse().ok()? })
    }

    /// Has it all rows of another one that there still are?
    fn replaces(&self, other: &Name) -> bool {
        self.node == other.node
            && self.offsets.start <= other.offsets.start
            && other.offsets.end <= self.offsets.end
            && (self.offsets != other.offsets || self.generation > other.generation)
    }
}

impl Mirror {
    /// Notes down a file; `false` if its name is not one of a feed's.
    pub fn put(&mut self, path: &str) -> bool {
        let name = Name::of(path);
        name.map(|name| self.files.insert(path.to_owned(), name)).is_some()
    }

    /// Notes down that a file is gone.
    pub fn delete(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// The paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Should this file be taken? Not if it is there, or one that has its rows.
    #[must_use]
    pub fn wants(&self, path: &str) -> bool {
        let Some(name) = Name::of(path) else { return false };
        !self.files.contains_key(path) && !self.files.values().any(|have| have.replaces(&name))
    }

    /// The files whose rows this one has.
    #[must_use]
    pub fn replaced_by(&self, path: &str) -> Vec<String> {
        let Some(name) = Name::of(path) else { return Vec::new() };
        let files = self.files.iter().filter(|(_, have)| name.replaces(have));
        files.map(|(path, _)| path.clone()).collect()
    }

    /// The files that have rows which were erased, if this one was removed for that.
    #[must_use]
    pub fn erased_by(&self, path: &str) -> Vec<String> {
        let mut files = self.replaced_by(path);
        files.extend(self.files.get_key_value(path).map(|(path, _)| path.clone()));
        files
    }
}
