//! Encryption at rest: what stands in a data directory can't be read without the key file.
//!
//! ```text
//!   key file           7:q83vASNF…      the first line encrypts, all lines decrypt
//!                      3:GR9ux0a1…
//!                          │
//!                          │  HKDF-SHA256(secret, salt = the file's random id, info = its purpose and header)
//!                          ▼
//!   per file           key 32 B, check 8 B
//!                          │
//!             ┌────────────┴─────────────┐
//!      blocks (`block`)           chunks (`disk`)
//!   *.journal, events.blk     index.bin, leaves.bin, text/*, catalog/*, events.parquet
//! ```
//!
//! All of it is AES-256-GCM. No two files share a key, so a nonce only has to be unique in its file.
//! The header of a file is not secret but goes into its key: who changes it gets another key, and the
//! file no longer opens. The check tells the wrong key from a file that was altered.
//!
//! | what happens | what daybook says |
//! |---|---|
//! | a file's key is not in the key file | refuses, and names the key's number and the file |
//! | a key of that number is there, but it is another one | the same, before anything is touched |
//! | a byte of an encrypted file was changed | the place is damaged: it was altered |
//! | the file is not encrypted, although a key file is given | reads it: encryption may be turned on later |
//!
//! What stays readable: the marker and the lock, `segment.json` (counts, times, hashes), the Merkle log
//! (hashes), the retention rules, and each block's header (how many events, from when to when). The
//! signing key is not under this one: it has to be readable for starting with a key file of its own.

mod aead;
mod keyring;
mod survey;

pub(crate) use aead::FileKey;
pub use aead::{Cipher, NONCE_LEN, TAG_LEN};
pub use keyring::{Keyring, KeyringError};
pub use survey::check_keys;
pub use zeroize::Zeroizing;

use std::io;

/// A place in a file whose bytes are not those that were sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (byte {at})")]
pub struct Altered {
    /// Where.
    pub at: u64,
    /// What was altered.
    pub what: &'static str,
}

/// A file's key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// No encryption keys were given.
    #[error("it is encrypted under key {0}, and no encryption keys were given")]
    NoKeys(u32),
    /// The key of that number is not among those that were given.
    #[error("it is encrypted under key {0}, which is not among the encryption keys: add its line")]
    Missing(u32),
    /// The key of that number is another one.
    #[error("it is encrypted under another key {0} than the one among the encryption keys")]
    Another(u32),
}

impl NoKey {
    /// Why a file can't be opened that is under this key.
    #[must_use]
    pub fn of(key: u32, keys: &Keyring) -> NoKey {
        if keys.first().is_none() {
            NoKey::NoKeys(key)
        } else if keys.ids().any(|id| id == key) {
            NoKey::Another(key)
        } else {
            NoKey::Missing(key)
        }
    }
}

/// The length of a file's random id, in bytes.
pub const ID_LEN: usize = 16;

/// Random bytes of the system's.
///
/// # Errors
/// The system's.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
