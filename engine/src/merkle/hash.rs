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
use sha2::block_api::compress256;
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
        if let Some(hash) = short(0, pieces) {
            return hash;
        }
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
        short(1, &[&left.0, &right.0]).unwrap_or_else(Hash::empty)
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

/// SHA-256 of a byte and pieces that are short together, in one call of the compression function; `None` if
/// they are not. Most events are short: a hasher that takes pieces spends as much on its buffer, block by
/// block, as on every third of them. Padding and initial state are those of FIPS 180-4, 5.1.1 and 5.3.3.
fn short(first: u8, pieces: &[&[u8]]) -> Option<Hash> {
    const BLOCKS: usize = 16;
    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    let len = 1 + pieces.iter().map(|piece| piece.len()).sum::<usize>();
    // A one bit, zeroes, and the length in bits.
    let blocks = (len + 1 + size_of::<u64>()).div_ceil(64);
    let mut data = [[0; 64]; BLOCKS];
    let used = data.get_mut(..blocks)?;
    let bytes = used.as_flattened_mut();
    let (start, mut rest) = bytes.split_first_mut()?;
    *start = first;
    for piece in pieces {
        let (place, after) = rest.split_at_mut_checked(piece.len())?;
        place.copy_from_slice(piece);
        rest = after;
    }
    *rest.first_mut()? = 0x80;
    *bytes.last_chunk_mut()? = (len as u64 * 8).to_be_bytes();
    let mut state = INITIAL;
    compress256(&mut state, used);
    let mut hash = [0; HASH_LEN];
    for (place, word) in hash.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    Some(Hash(hash))
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_any_length_are_sha_256() {
        let bytes: Vec<u8> = (0..2_000u32).map(|i| (i * 31 % 251) as u8).collect();
        for len in (0..1_200).chain([1_999]) {
            let (piece, rest) = bytes[..len].split_at(len / 3);
            let mut sha = Sha256::new();
            sha.update([0]);
            sha.update(&bytes[..len]);
            let wanted: [u8; HASH_LEN] = sha.finalize().into();
            assert_eq!(Hash::leaf_of(&[piece, rest]).0, wanted, "{len}");
        }
        let (left, right) = (Hash::leaf(b"left"), Hash::leaf(b"right"));
        let mut sha = Sha256::new();
        sha.update([1]);
        sha.update(left.0);
        sha.update(right.0);
        let wanted: [u8; HASH_LEN] = sha.finalize().into();
        assert_eq!(Hash::node(left, right).0, wanted);
    }
}
