#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod bundles;
mod crashes;
mod interop;
mod notes;
mod trees;

use super::hash::{Edge, Hash};
use super::tree::Nodes;
use crate::error::Error;

/// A tree in memory, node by node: what the files hold, without the files.
#[derive(Default)]
pub struct Memory {
    edge: Edge,
    heights: Vec<Vec<Hash>>,
}

impl Memory {
    pub fn of(leaves: &[Hash]) -> Memory {
        let mut memory = Memory::default();
        for leaf in leaves {
            let heights = &mut memory.heights;
            memory.edge.push(*leaf, |height, node| {
                heights.resize_with(heights.len().max(height as usize + 1), Vec::new);
                heights[height as usize].push(node);
            });
        }
        memory
    }

    pub fn root(&self) -> Hash {
        self.edge.root()
    }
}

impl Nodes for Memory {
    fn node(&self, height: u32, index: u64) -> Result<Hash, Error> {
        Ok(self.heights[height as usize][index as usize])
    }
}

/// The tree's root as the RFC writes it down.
pub fn plain_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Hash::node(plain_root(left), plain_root(right))
        }
    }
}

/// Different leaves.
pub fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|n| Hash::leaf(&entry(n))).collect()
}

pub fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}
