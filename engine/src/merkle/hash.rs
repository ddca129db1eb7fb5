//! RFC 6962 hashing (section 2.1), and the right edge of a tree that grows.
//!
//! ```text
//! MTH({})   = SHA-256("")
//! MTH({d})  = SHA-256(0x00 | d)
//! MTH(D[n]) = SHA-256(0x01 | MTH(D[0:k]) | MTH(D[k:n])),  k the largest power of two below n
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The length of a hash, in bytes.
pub const HASH_LEN: usize = 32;

/// How high a tree can be: its size is a `u64`.
const HEIGHTS: usize = 64;

/// A SHA-256 hash: of a leaf, or of a node of the tree. Base64 in JSON, hexadecimal in messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; HASH_LEN]);

impl Hash {
    /// The root of a tree without leaves: SHA-256 of nothing.
    #[must_use]
    pub fn empty() -> Hash {
        Hash(Sha256::digest([]).into())
    }

    /// The hash of a leaf.
    #[must_use]
    pub fn leaf(entry: &[u8]) -> Hash {
        Hash::leaf_of(&[entry])
    }

    /// The hash of a leaf whose entry is in pieces.
    #[must_use]
    pub fn leaf_of(pieces: &[&[u8]]) -> Hash {
        let mut sha = Sha256::new();
        sha.update([0]);
        for piece in pieces {
            sha.update(piece);
        }
        Hash(sha.finalize().into())
    }

    /// The hash of a node over its two children.
    #[must_use]
    pub fn node(left: Hash, right: Hash) -> Hash {
        // One call: the pieces are small, and each call has its price.
        let mut bytes = [1; 1 + 2 * HASH_LEN];
        let (a, b) = bytes.split_at_mut(1 + HASH_LEN);
        if let Some(a) = a.get_mut(1..) {
            a.copy_from_slice(&left.0);
        }
        b.copy_from_slice(&right.0);
        Hash(Sha256::digest(bytes).into())
    }

    /// The hash in base64, as notes and bundles write it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads a hash in base64.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Hash> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Hash::from_base64(&text)
            .ok_or_else(|| serde::de::Error::custom("a hash is not 32 bytes of base64"))
    }
}

/// The right edge of a tree: the roots of the complete subtrees that its size is made of, largest
/// first. With it a tree grows and has a root without its leaves.
#[derive(Clone, Debug)]
pub struct Edge {
    size: u64,
    /// By height; those heights count whose bit is set in `size`.
    nodes: [Hash; HEIGHTS],
}

impl Default for Edge {
    fn default() -> Edge {
        Edge { size: 0, nodes: [Hash::default(); HEIGHTS] }
    }
}

impl Edge {
    /// The edge of a tree that is there; `node` answers the root of the complete subtree of
    /// `2^height` leaves at an index.
    ///
    /// # Errors
    /// What `node` answers.
    pub fn restore<E>(
        size: u64,
        mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
    ) -> Result<Edge, E> {
        let mut edge = Edge { size, ..Edge::default() };
        for (height, place) in (0..).zip(&mut edge.nodes) {
            if (size >> height) & 1 == 1 {
                *place = node(height, (size >> height) - 1)?;
            }
        }
        Ok(edge)
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash. `complete` hears of each subtree that is complete with it, the leaf
    /// itself first: its height and its root.
    pub fn push(&mut self, leaf: Hash, mut complete: impl FnMut(u32, Hash)) {
        let mut node = leaf;
        for (height, place) in (0..).zip(&mut self.nodes) {
            complete(height, node);
            if (self.size >> height) & 1 == 0 {
                *place = node;
                break;
            }
            node = Hash::node(*place, node);
        }
        self.size += 1;
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root = None;
        for (height, node) in (0..).zip(&self.nodes) {
            if (self.size >> height) & 1 == 1 {
                root = Some(root.map_or(*node, |right| Hash::node(*node, right)));
            }
        }
        root.unwrap_or_else(Hash::empty)
    }
}

/// The root of a tree over these leaf hashes.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut edge = Edge::default();
    leaves.iter().for_each(|leaf| edge.push(*leaf, |_, _| ()));
    edge.root()
}
