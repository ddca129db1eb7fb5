//! The Merkle log: what makes an altered log show.
//!
//! One RFC 6962 tree stands over the whole log. Its leaf commits to one journal block, and through an
//! inner tree to each of the block's events; a signed checkpoint commits to the tree. Whoever keeps a
//! checkpoint can later check that nothing before it was changed, taken out or put in.
//!
//! ```text
//!   checkpoint   origin, size, root, signature            one signed note: what others keep
//!       │
//!      tree      SHA-256(1 | left | right) ...            data/merkle/level-0, level-1, ...
//!       │
//!      leaf      64 B: offsets, times, count, root        data/merkle/leaves; one per journal block
//!       │
//!   inner tree   over the block's event hashes            not kept: made again from the events
//!       │
//!     event      SHA-256(0 | salt | record)               the salt keeps erased events from being guessed
//! ```
//!
//! | module | what is there |
//! |---|---|
//! | [`hash`] | RFC 6962 hashing, and the right edge of a growing tree |
//! | [`tree`] | roots, inclusion and consistency proofs: made and checked |
//! | [`leaf`] | the 64-byte leaf; event hashes and their salts |
//! | [`note`] | signed notes (C2SP), keys |
//! | [`checkpoint`] | the text that is signed (C2SP) |
//! | [`tile`] | paths of tiles (C2SP tlog-tiles) |
//! | [`store`] | the tree's files |
//! | [`keys`] | the keys' files |
//! | [`log`] | tree, key and what was signed last, as one |
//! | [`bundle`] | the proof of one session, which is checked offline |

pub mod bundle;
pub mod checkpoint;
pub mod hash;
pub mod keys;
pub mod leaf;
pub mod log;
pub mod mend;
pub mod note;
pub mod store;
pub mod tile;
pub mod tree;

pub use checkpoint::Checkpoint;
pub use hash::{HASH_LEN, Hash};
pub use leaf::{LEAF_LEN, Leaf, Salt, Secret};
pub use log::MerkleLog;
pub use note::{Note, Signer, Verifier};

#[cfg(test)]
mod tests;
