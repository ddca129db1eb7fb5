//! One file's key: AES-256-GCM.

use aes_gcm::aead::KeyInit as _;
use aes_gcm::{AeadInOut as _, Aes256Gcm};
use std::fmt;

/// The length of a nonce, in bytes.
pub const NONCE_LEN: usize = 12;
/// The length of the tag that follows what was sealed, in bytes.
pub const TAG_LEN: usize = 16;

/// Seals and opens the parts of one file. It shows nothing of its key.
#[derive(Clone)]
pub struct Cipher(Box<Aes256Gcm>);

/// What is derived for one file.
pub(crate) struct FileKey {
    pub cipher: Cipher,
    /// Stands in the file's header: a key that derives another one is not the file's.
    pub check: [u8; 8],
    /// For what else must not be guessed without the key.
    pub secret: [u8; 16],
}

impl Cipher {
    pub(super) fn new(key: &[u8; 32]) -> Cipher {
        Cipher(Box::new(Aes256Gcm::new(key.into())))
    }

    /// Encrypts `buffer` in place and answers the tag. A nonce must never be used twice.
    #[must_use]
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        // It fails at 64 GiB alone. What a caller would then hold is a tag that never opens.
        let tag = self.0.encrypt_inout_detached(nonce.into(), aad, buffer.into());
        tag.map_or([0; TAG_LEN], Into::into)
    }

    /// Decrypts in place what was sealed with its tag behind it; answers how many bytes that are.
    /// `None`, and a buffer as it was, if a byte of any of it has changed.
    #[must_use]
    pub fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &mut [u8]) -> Option<usize> {
        let (body, tag) = sealed.split_last_chunk_mut::<TAG_LEN>()?;
        let len = body.len();
        let tag: &[u8; TAG_LEN] = tag;
        self.0.decrypt_inout_detached(nonce.into(), aad, body.into(), tag.into()).ok()?;
        Some(len)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}
