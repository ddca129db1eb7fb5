//! Roots and proofs of an RFC 6962 tree: made from its nodes, and checked without them.
//!
//! | proof | says | checked by |
//! |---|---|---|
//! | inclusion | this leaf is at this index of the tree with this root | [`root_from_inclusion`] |
//! | consistency | the tree of this size and root is the start of that one | [`is_consistent`] |
//! | cover | these leaves are at these places of a small tree | [`root_from_cover`] |
//!
//! The first two are those of RFC 6962 (sections 2.1.1 and 2.1.2), checked as RFC 9162 writes it down.
//! A cover is many inclusion proofs in one: the roots of the largest subtrees that hold none of the
//! leaves in question, from left to right.

use super::hash::{Edge, Hash, root_of};
use crate::error::Error;

/// Where the nodes of a tree are.
pub trait Nodes {
    /// The root of the complete subtree of `2^height` leaves that is the `index`-th of its height.
    ///
    /// # Errors
    /// A node that can't be read.
    fn node(&self, height: u32, index: u64) -> Result<Hash, Error>;
}

/// The root of the tree over the first `size` leaves.
///
/// # Errors
/// A node that can't be read.
pub fn root(nodes: &dyn Nodes, size: u64) -> Result<Hash, Error> {
    Ok(edge(nodes, size)?.root())
}

/// The right edge of the tree over the first `size` leaves.
///
/// # Errors
/// A node that can't be read.
pub fn edge(nodes: &dyn Nodes, size: u64) -> Result<Edge, Error> {
    Edge::restore(size, |height, index| nodes.node(height, index))
}

/// Where a tree of `n > 1` leaves is split: the largest power of two below `n`.
fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// The root over the leaves `low..high` of a tree in which they are a subtree.
fn subtree(nodes: &dyn Nodes, low: u64, high: u64) -> Result<Hash, Error> {
    // The subtree's own complete parts are numbered from `low`, which is a multiple of each of them.
    let inner =
        Edge::restore(high - low, |height, index| nodes.node(height, (low >> height) + index))?;
    Ok(inner.root())
}

/// The proof that a leaf is in the tree over the first `size` leaves, from its sibling upward.
///
/// # Errors
/// A node that can't be read, and an index that is not in the tree.
pub fn inclusion(nodes: &dyn Nodes, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
    if index >= size {
        return Err(Error::TooLarge { what: "the index of a leaf", limit: size });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(nodes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree over the first `old` leaves is the start of the one over `new`.
///
/// # Errors
/// A node that can't be read, and an old tree that is the larger one.
pub fn consistency(nodes: &dyn Nodes, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
    if old > new {
        return Err(Error::TooLarge { what: "the size of the older tree", limit: new });
    }
    let mut path = Vec::new();
    if old == 0 {
        return Ok(path);
    }
    let (mut low, mut high) = (0, new);
    // The old tree's root is known to who checks, so long as it is a subtree of the new one.
    let mut known = true;
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(nodes, low, middle)?);
            low = middle;
            known = false;
        }
    }
    if !known {
        path.push(subtree(nodes, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// The root that an inclusion proof leads to; `None` for a proof that can't be one.
#[must_use]
pub fn root_from_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut index, mut last) = (index, size - 1);
    let mut root = leaf;
    for node in path {
        if last == 0 {
            return None;
        }
        if index & 1 == 1 || index == last {
            root = Hash::node(*node, root);
            // A node at the right edge goes up until it is a right child.
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            root = Hash::node(root, *node);
        }
        index >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Does a consistency proof show that the tree of size `old` and root `old_root` is the start of the
/// tree of size `new` and root `new_root`?
#[must_use]
pub fn is_consistent(old: u64, old_root: Hash, new: u64, new_root: Hash, path: &[Hash]) -> bool {
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return path.is_empty() && old_root == Hash::empty();
    }
    if old > new {
        return false;
    }
    let (mut index, mut last) = (old - 1, new - 1);
    while index & 1 == 1 {
        index >>= 1;
        last >>= 1;
    }
    let mut path = path.iter();
    // An old tree that is one complete subtree is where the proof starts.
    let start = if index == 0 { Some(&old_root) } else { path.next() };
    let Some(start) = start else { return false };
    let (mut from_old, mut from_new) = (*start, *start);
    for node in path {
        if last == 0 {
            return false;
        }
        if index & 1 == 1 || index == last {
            from_old = Hash::node(*node, from_old);
            from_new = Hash::node(*node, from_new);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            from_new = Hash::node(from_new, *node);
        }
        index >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == old_root && from_new == new_root
}

/// The cover of some places of a small tree: the roots of the largest subtrees without any of them,
/// from left to right. `places` ascend.
#[must_use]
pub fn cover(leaves: &[Hash], places: &[u32]) -> Vec<Hash> {
    let mut out = Vec::new();
    if !leaves.is_empty() {
        add_cover(leaves, 0, places, &mut out);
    }
    out
}

fn add_cover(leaves: &[Hash], low: u32, places: &[u32], out: &mut Vec<Hash>) {
    if places.is_empty() {
        out.push(root_of(leaves));
    } else if leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
        let middle = low + left.len() as u32;
        let (a, b) = places.split_at(places.partition_point(|place| *place < middle));
        add_cover(left, low, a, out);
        add_cover(right, middle, b, out);
    }
}

/// The root of a tree of `count` leaves from some of them, by place (ascending), and the cover of
/// those places; `None` if these don't make a tree.
#[must_use]
pub fn root_from_cover(count: u32, leaves: &[(u32, Hash)], cover: &[Hash]) -> Option<Hash> {
    let ascending = leaves.is_sorted_by(|a, b| a.0 < b.0);
    if count == 0 || !ascending || leaves.last().is_some_and(|(place, _)| *place >= count) {
        return None;
    }
    let mut cover = cover.iter();
    let root = fold_cover(0, count, leaves, &mut cover)?;
    cover.next().is_none().then_some(root)
}

/// The depth is the logarithm of the count: 32 at most.
fn fold_cover(
    low: u32,
    high: u32,
    leaves: &[(u32, Hash)],
    cover: &mut std::slice::Iter<'_, Hash>,
) -> Option<Hash> {
    if leaves.is_empty() {
        return cover.next().copied();
    }
    if high - low == 1 {
        return leaves.first().map(|(_, hash)| *hash);
    }
    let middle = low + split(u64::from(high - low)) as u32;
    let (a, b) = leaves.split_at(leaves.partition_point(|(place, _)| *place < middle));
    let left = fold_cover(low, middle, a, cover)?;
    let right = fold_cover(middle, high, b, cover)?;
    Some(Hash::node(left, right))
}
