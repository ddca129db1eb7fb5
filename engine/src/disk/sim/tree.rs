//! Files and directories in memory.

use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

/// The number of a file or a directory. Its names are in directories; it may have none, or two.
pub(super) type Ino = u64;

/// The directory that everything is below.
pub(super) const ROOT: Ino = 0;

/// A file or a directory.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Its bytes, shared with the trees that it was copied to and copied when they are changed.
    File(Arc<Vec<u8>>),
    Dir(BTreeMap<String, Ino>),
}

/// A name, and what it names.
pub(super) struct Named<'a> {
    pub(super) path: String,
    pub(super) ino: Ino,
    /// The bytes, if it is a file.
    pub(super) bytes: Option<&'a Arc<Vec<u8>>>,
}

/// Files and directories. A clone is cheap: it shares the files' bytes.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: HashMap<Ino, Node>,
    next: Ino,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: HashMap::from([(ROOT, Node::Dir(BTreeMap::new()))]), next: ROOT + 1 }
    }
}

/// The names of a path, from the root on.
fn names(path: &Path) -> impl Iterator<Item = io::Result<&str>> {
    path.components().filter_map(|part| match part {
        Component::RootDir | Component::CurDir => None,
        Component::Normal(name) => Some(name.to_str().ok_or_else(|| Errno::INVAL.into())),
        Component::ParentDir | Component::Prefix(_) => Some(Err(Errno::INVAL.into())),
    })
}

impl Tree {
    /// What a path names.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Ino>> {
        let mut at = ROOT;
        for name in names(path) {
            match self.dir(at)?.get(name?) {
                Some(ino) => at = *ino,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// What a path names, which has to be there.
    pub(super) fn at(&self, path: &Path) -> io::Result<Ino> {
        self.find(path)?.ok_or_else(|| Errno::NOENT.into())
    }

    /// The directory that holds a path's last name, and that name.
    pub(super) fn place(&self, path: &Path) -> io::Result<(Ino, String)> {
        let dir = self.at(path.parent().ok_or(Errno::BUSY)?)?;
        self.dir(dir)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(Errno::INVAL)?;
        Ok((dir, name.to_owned()))
    }

    pub(super) fn child(&self, dir: Ino, name: &str) -> Option<Ino> {
        match self.nodes.get(&dir)? {
            Node::Dir(names) => names.get(name).copied(),
            Node::File(_) => None,
        }
    }

    pub(super) fn is_dir(&self, ino: Ino) -> bool {
        matches!(self.nodes.get(&ino), Some(Node::Dir(_)))
    }

    pub(super) fn dir(&self, ino: Ino) -> io::Result<&BTreeMap<String, Ino>> {
        match self.nodes.get(&ino) {
            Some(Node::Dir(names)) => Ok(names),
            Some(Node::File(_)) => Err(Errno::NOTDIR.into()),
            None => Err(Errno::NOENT.into()),
        }
    }

    pub(super) fn file(&self, ino: Ino) -> io::Result<&Arc<Vec<u8>>> {
        match self.nodes.get(&ino) {
            Some(Node::File(bytes)) => Ok(bytes),
            Some(Node::Dir(_)) => Err(Errno::ISDIR.into()),
            None => Err(Errno::NOENT.into()),
        }
    }

    /// A file's bytes, to be changed.
    pub(super) fn bytes(&mut self, ino: Ino) -> io::Result<&mut Vec<u8>> {
        match self.nodes.get_mut(&ino) {
            Some(Node::File(bytes)) => Ok(Arc::make_mut(bytes)),
            Some(Node::Dir(_)) => Err(Errno::ISDIR.into()),
            None => Err(Errno::NOENT.into()),
        }
    }

    /// The number that the next file or directory gets.
    pub(super) fn next(&self) -> Ino {
        self.next
    }

    /// A new file or directory, which has no name yet.
    pub(super) fn add(&mut self, ino: Ino, dir: bool) {
        let node = if dir { Node::Dir(BTreeMap::new()) } else { Node::File(Arc::default()) };
        self.nodes.insert(ino, node);
        self.next = self.next.max(ino + 1);
    }

    /// Lets a name in a directory name something, or nothing.
    pub(super) fn name(&mut self, dir: Ino, name: &str, ino: Option<Ino>) {
        if let Some(Node::Dir(names)) = self.nodes.get_mut(&dir) {
            match ino {
                Some(ino) => names.insert(name.to_owned(), ino),
                None => names.remove(name),
            };
        }
    }

    /// Everything that has a name.
    pub(super) fn list(&self) -> Vec<Named<'_>> {
        let mut found = Vec::new();
        let mut waiting = vec![(String::new(), ROOT)];
        while let Some((path, ino)) = waiting.pop() {
            for (name, child) in self.dir(ino).into_iter().flatten() {
                let path = format!("{path}/{name}");
                let bytes = self.file(*child).ok();
                if bytes.is_none() {
                    waiting.push((path.clone(), *child));
                }
                found.push(Named { path, ino: *child, bytes });
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// The bytes of all files that have a name.
    pub(super) fn len(&self) -> u64 {
        let mut counted = HashSet::new();
        let files = self.list().into_iter().filter(|named| counted.insert(named.ino));
        files.filter_map(|named| named.bytes).map(|bytes| bytes.len() as u64).sum()
    }

    /// Forgets what has no name.
    pub(super) fn prune(&mut self) {
        let named: HashSet<Ino> = self.list().into_iter().map(|named| named.ino).collect();
        self.nodes.retain(|ino, _| *ino == ROOT || named.contains(ino));
    }
}

/// Writes into bytes; a gap before `at` is zeroes.
pub(super) fn write(bytes: &mut Vec<u8>, at: u64, new: &[u8]) {
    let start = at as usize;
    let end = start + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(start..end) {
        place.copy_from_slice(new);
    }
}
