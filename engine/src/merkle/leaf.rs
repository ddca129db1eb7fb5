//! The leaf of the log's tree: what is committed of one journal block; and the hashes of its events.
//!
//! ```text
//! leaf: 64 bytes, little-endian
//!  0  magic       4   "DBL1"
//!  4  count       4   events in the block, at least 1
//!  8  base        8   offset of the first of them
//! 16  min_time    8   earliest event time, microseconds since 1970
//! 24  max_time    8   latest event time
//! 32  root       32   RFC 6962 root over the event hashes, in the order of offsets
//!
//! event hash = SHA-256(0x00 | salt (16) | record)         the RFC 6962 leaf hash of salt and record
//! salt       = AES-128(key: secret (16), block: offset (8, LE) | 8 zeroes)
//! record     = as the block's payload has it: offset, seq, time, kind, verdict and line are bound
//! secret     = the `id` of the journal's file, 16 random bytes
//! ```
//!
//! Leaves follow each other without a gap: the base of each is the base of the one before it plus that
//! one's count. AES is a pseudorandom permutation (FIPS 197): without the secret a salt can't be told from
//! random bytes, whatever others are known, and it costs a tenth of a hash. The salt is what makes erasing real: most events are short and easy to guess, and a
//! bare hash would confirm the guess for ever. When retention erases events it drops the secret and
//! keeps the salts of what stays.

use super::hash::{Edge, HASH_LEN, Hash};
use crate::block::Records;
use crate::event::{Micros, Offset};
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The length of a leaf, in bytes.
pub const LEAF_LEN: usize = 64;
/// The length of a salt, in bytes.
pub const SALT_LEN: usize = 16;

const MAGIC: [u8; 4] = *b"DBL1";

/// What the salts of a journal's events are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

/// What is hashed with an event, so that its hash alone can't confirm a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; SALT_LEN]);

impl Secret {
    /// The salt of an event. For many events, [`Secret::salts`] prepares the key once.
    #[must_use]
    pub fn salt(&self, offset: Offset) -> Salt {
        self.salts().at(offset)
    }

    /// The salts of all events.
    #[must_use]
    pub fn salts(&self) -> Salts {
        Salts(Aes128::new(&self.0.into()))
    }
}

/// What makes salts from a [`Secret`].
#[derive(Debug)]
pub struct Salts(Aes128);

impl Salts {
    /// The salt of an event.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Salt {
        let mut block = [0; SALT_LEN];
        if let Some(place) = block.first_chunk_mut() {
            *place = offset.0.to_le_bytes();
        }
        let mut block = aes::Block::from(block);
        self.0.encrypt_block(&mut block);
        Salt(block.into())
    }
}

/// The hash of an event: of its salt and its record's bytes.
#[must_use]
pub fn event_hash(salt: Salt, record: &[u8]) -> Hash {
    Hash::leaf_of(&[&salt.0, record])
}

/// What is committed of one journal block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The offset of its first event.
    pub base: Offset,
    /// How many events it has.
    pub count: u32,
    /// The earliest time of its events.
    pub min_time: Micros,
    /// The latest time of its events.
    pub max_time: Micros,
    /// The root over its events' hashes.
    pub root: Hash,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    magic: [u8; 4],
    count: U32,
    base: U64,
    min_time: I64,
    max_time: I64,
    root: [u8; HASH_LEN],
}

const _: () = assert!(size_of::<Raw>() == LEAF_LEN);

impl Leaf {
    /// The leaf of a block, from its payload.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the payload.
    pub fn of_block(secret: &Secret, payload: &[u8]) -> Result<Leaf, &'static str> {
        let mut edge = Edge::default();
        let mut leaf: Option<Leaf> = None;
        each_event(secret, payload, |offset, time, hash| {
            edge.push(hash, |_, _| ());
            let leaf = leaf.get_or_insert(Leaf {
                base: offset,
                count: 0,
                min_time: time,
                max_time: time,
                root: Hash::default(),
            });
            leaf.count += 1;
            leaf.min_time = leaf.min_time.min(time);
            leaf.max_time = leaf.max_time.max(time);
        })?;
        let leaf = leaf.ok_or("a block has no events")?;
        Ok(Leaf { root: edge.root(), ..leaf })
    }

    /// The offset after its last event.
    #[must_use]
    pub fn end(&self) -> Offset {
        Offset(self.base.0.saturating_add(u64::from(self.count)))
    }

    /// Its bytes: the entry of the log.
    #[must_use]
    pub fn encode(&self) -> [u8; LEAF_LEN] {
        let raw = Raw {
            magic: MAGIC,
            count: self.count.into(),
            base: self.base.0.into(),
            min_time: self.min_time.0.into(),
            max_time: self.max_time.0.into(),
            root: self.root.0,
        };
        zerocopy::transmute!(raw)
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Leaf, &'static str> {
        let raw = Raw::ref_from_bytes(bytes).map_err(|_| "a leaf is not 64 bytes long")?;
        if raw.magic != MAGIC {
            return Err("this is not a leaf, or a newer version of daybook wrote it");
        }
        let leaf = Leaf {
            base: Offset(raw.base.get()),
            count: raw.count.get(),
            min_time: Micros(raw.min_time.get()),
            max_time: Micros(raw.max_time.get()),
            root: Hash(raw.root),
        };
        if leaf.count == 0 || leaf.min_time > leaf.max_time {
            return Err("the numbers of a leaf contradict each other");
        }
        if leaf.base.0.checked_add(u64::from(leaf.count)).is_none() {
            return Err("a leaf's offsets are past the last there is");
        }
        Ok(leaf)
    }

    /// Its hash in the tree.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::leaf(&self.encode())
    }
}

/// The hashes of a block's events, in the order of offsets.
///
/// # Errors
/// A sentence that says what is wrong with the payload.
pub fn event_hashes(secret: &Secret, payload: &[u8]) -> Result<Vec<Hash>, &'static str> {
    let mut hashes = Vec::new();
    each_event(secret, payload, |_, _, hash| hashes.push(hash))?;
    Ok(hashes)
}

fn each_event(
    secret: &Secret,
    payload: &[u8],
    mut visit: impl FnMut(Offset, Micros, Hash),
) -> Result<(), &'static str> {
    let salts = secret.salts();
    let mut rest = payload;
    for record in Records::new(payload) {
        let record = record?;
        let (bytes, after) =
            rest.split_at_checked(record.encoded_len()).ok_or("a record is cut short")?;
        rest = after;
        visit(record.offset, record.time, event_hash(salts.at(record.offset), bytes));
    }
    Ok(())
}
