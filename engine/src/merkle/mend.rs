//! Mending what is derived in the Merkle log's files.
//!
//! | file | made again from |
//! |---|---|
//! | `level-L` | the leaves |
//! | `leaves` | one byte of a leaf: the leaf's hash in `level-0` says what it has to be |
//! | `signed` | the checkpoint, if its signature and the tree are right |
//! | `checkpoint` | deleted: it is signed again when the log is opened |
//! | `keys/verifier.key` | deleted: it is written again from the signing key |

use super::checkpoint::Checkpoint;
use super::hash::{HASH_LEN, Hash};
use super::leaf::{LEAF_LEN, Leaf};
use super::log::{self, Signed};
use super::store::Store;
use super::{keys, tree};
use crate::disk::{Open, SharedDisk, read_exact_at, write_all_at};
use crate::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Mends a file of a data directory, where `bytes` of it are damaged; `false` if it is none of these.
///
/// # Errors
/// The system's; [`Error::Corrupt`] where nothing says what the file has to be.
pub fn mend(disk: &SharedDisk, data: &Path, file: &Path, bytes: Range<u64>) -> Result<bool, Error> {
    let path = data.join(file);
    let Some(name) = file.to_str() else { return Ok(false) };
    match name {
        "keys/verifier.key" => {
            if keys::read_signer(&**disk, data)?.is_some() {
                remove(disk, &path)?;
            }
        }
        "merkle/checkpoint" => {
            Signed::decode(&disk.read(&log::signed_path(data))?)
                .map_err(|what| Error::corrupt(&log::signed_path(data), 0, what))?;
            remove(disk, &path)?;
        }
        "merkle/signed" => {
            let signed = from_checkpoint(disk, data)?;
            disk.replace(&path, signed.encode().as_bytes())?;
        }
        "merkle/leaves" => leaves(disk, data, bytes)?,
        _ if name.starts_with("merkle/level-") => {
            let text = disk.read(&log::signed_path(data))?;
            let signed = Signed::decode(&text)
                .map_err(|what| Error::corrupt(&log::signed_path(data), 0, what))?;
            let store = Arc::new(Store::open(disk, &log::dir(data), true)?);
            store.rebuild(signed.size, signed.root)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn remove(disk: &SharedDisk, path: &Path) -> Result<(), Error> {
    disk.remove_file(path).map_err(Error::io("delete", path))?;
    let parent = path.parent().unwrap_or(Path::new("."));
    disk.sync_dir(parent).map_err(Error::io("sync", parent))
}

/// What was signed, from the signed note.
fn from_checkpoint(disk: &SharedDisk, data: &Path) -> Result<Signed, Error> {
    let path = log::checkpoint_path(data);
    let wrong = |what: &str| Error::corrupt(&path, 0, what);
    let note = String::from_utf8(disk.read(&path)?).map_err(|_| wrong("it is not text"))?;
    let key = keys::read_verifier(&**disk, data)?.ok_or_else(|| wrong("there is no key"))?;
    let checkpoint = Checkpoint::open(&note, &key).map_err(wrong)?;
    let store = Store::open(disk, &log::dir(data), false)?;
    if tree::root(&store, checkpoint.size)? != checkpoint.root {
        return Err(wrong("the tree is not the one that was signed"));
    }
    let last = checkpoint.size.checked_sub(1).map(|last| store.leaf(last)).transpose()?;
    let end = last.map_or(crate::event::Offset(0), |leaf| leaf.end());
    Ok(Signed { size: checkpoint.size, root: checkpoint.root, end })
}

/// Puts right one byte of each leaf in a range, so that its hash is the one in `level-0`.
fn leaves(disk: &SharedDisk, data: &Path, bytes: Range<u64>) -> Result<(), Error> {
    let dir = log::dir(data);
    let (path, hashes) = (dir.join("leaves"), dir.join("level-0"));
    let file = disk.open(&path, Open::Write).map_err(Error::io("open", &path))?;
    let level = disk.open_read(&hashes)?;
    for at in bytes.start / LEAF_LEN as u64..bytes.end.div_ceil(LEAF_LEN as u64) {
        let place = at * LEAF_LEN as u64;
        let (mut leaf, mut wanted) = ([0; LEAF_LEN], [0; HASH_LEN]);
        read_exact_at(&*file, &mut leaf, place).map_err(Error::io("read", &path))?;
        read_exact_at(&*level, &mut wanted, at * HASH_LEN as u64)
            .map_err(Error::io("read", &hashes))?;
        let right = put_right(leaf, Hash(wanted));
        let right = right.ok_or_else(|| {
            Error::corrupt(&path, place, "more than one byte of this leaf is damaged")
        })?;
        write_all_at(&*file, &right, place).map_err(Error::io("write", &path))?;
    }
    file.sync().map_err(Error::io("sync", &path))
}

fn put_right(leaf: [u8; LEAF_LEN], wanted: Hash) -> Option<[u8; LEAF_LEN]> {
    let tries = (0..LEAF_LEN).flat_map(|at| (0..=u8::MAX).map(move |value| (at, value)));
    tries
        .map(|(at, value)| {
            let mut tried = leaf;
            if let Some(place) = tried.get_mut(at) {
                *place = value;
            }
            tried
        })
        .find(|tried| Hash::leaf(tried) == wanted && Leaf::decode(tried).is_ok())
}
