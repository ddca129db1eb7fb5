//! The key file: which keys there are, and which of them encrypts.
//!
//! ```text
//! # made on 2026-11-01, first encrypts
//! 7:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=
//! 3:GR9ux0a1m2n3o4p5q6r7s8t9u0v1w2x3y4z5A6B7C8D=
//! ```
//!
//! One key a line: its number (1 to 4294967295), a colon, 32 random bytes in base64. A number stands in
//! the header of each file that the key encrypts and must never be given to another key. To rotate, put
//! a new line on top; a line may go once no file is under its key any more.

use super::aead::{Cipher, FileKey};
use super::{ID_LEN, random};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use zeroize::{Zeroize as _, Zeroizing};

const SECRET_LEN: usize = 32;

/// The keys of a key file. It shows their numbers, never the keys.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<Key>,
}

struct Key {
    id: NonZeroU32,
    secret: Zeroizing<[u8; SECRET_LEN]>,
}

/// What is wrong with a key file. It names the line and shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A line is not a key's.
    #[error("line {line} of the encryption keys: {what}")]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no key in it.
    #[error("there is no encryption key: write a line as `daybook keygen` prints it")]
    Empty,
}

impl Keyring {
    /// Reads the text of a key file.
    ///
    /// # Errors
    /// A line that is not a key's, or that there is none.
    pub fn parse(text: &str) -> Result<Keyring, KeyringError> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let wrong = |what| KeyringError::Line { line: number + 1, what };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = Key::parse(line).map_err(wrong)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(wrong("another line has this number already"));
            }
            if keys.iter().any(|other| other.secret == key.secret) {
                return Err(wrong("another line has this key already"));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyringError::Empty) } else { Ok(Keyring { keys }) }
    }

    /// A line with a new random key, for the top of a key file.
    ///
    /// # Errors
    /// The system's, when it has no random bytes.
    pub fn new_line(id: NonZeroU32) -> io::Result<Zeroizing<String>> {
        let secret = Zeroizing::new(random::<SECRET_LEN>()?);
        let text = Zeroizing::new(STANDARD.encode(secret.as_slice()));
        Ok(Zeroizing::new(format!("{id}:{}", *text)))
    }

    /// The number of the key that encrypts; `None` if there is no key.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.keys.first().map(|key| key.id.get())
    }

    /// The numbers of all keys, in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.iter().map(|key| key.id.get())
    }

    /// The key of a file: derived from the key of that number, the file's id, and what the file is.
    pub(crate) fn file_key(&self, key: u32, id: &[u8; ID_LEN], info: &[&[u8]]) -> Option<FileKey> {
        let secret = &self.keys.iter().find(|other| other.id.get() == key)?.secret;
        let (mut root, derive) = Hkdf::<Sha256>::extract(Some(id), secret.as_slice());
        root.zeroize();
        let mut bytes = Zeroizing::new([0; 32 + 8 + 16]);
        derive.expand_multi_info(info, bytes.as_mut_slice()).ok()?;
        let (key, rest) = bytes.split_first_chunk::<32>()?;
        let (check, rest) = rest.split_first_chunk::<8>()?;
        let secret = *rest.first_chunk()?;
        Some(FileKey { cipher: Cipher::new(key), check: *check, secret })
    }
}

impl Key {
    fn parse(line: &str) -> Result<Key, &'static str> {
        let (id, secret) =
            line.split_once(':').ok_or("it has no colon; write number:key, as in 1:BASE64")?;
        let id = id.trim();
        let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let id = id.parse().ok().filter(|_| digits);
        let id = id.ok_or("the number before the colon is not one of 1 to 4294967295")?;
        // Longer than a key, so that one that is too long is seen to be.
        let mut bytes = Zeroizing::new([0; 2 * SECRET_LEN]);
        let len = STANDARD.decode_slice(secret.trim(), bytes.as_mut_slice()).ok();
        let secret = bytes.first_chunk::<SECRET_LEN>().filter(|_| len == Some(SECRET_LEN));
        let secret = secret.ok_or("what follows the colon is not 32 bytes in base64")?;
        if *secret == [0; SECRET_LEN] {
            return Err("the key is all zeros; make one with `daybook keygen`");
        }
        Ok(Key { id, secret: Zeroizing::new(*secret) })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.ids().collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
    const B: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn line(line: usize, what: &'static str) -> KeyringError {
        KeyringError::Line { line, what }
    }

    #[test]
    fn the_first_line_encrypts_and_all_decrypt() {
        let text = format!("# ours\n\n 7 : {A} \r\n3:{B}");
        let keys = Keyring::parse(&text).unwrap();
        assert_eq!(keys.first(), Some(7));
        assert_eq!(keys.ids().collect::<Vec<_>>(), [7, 3]);
        assert!(keys.file_key(3, &[1; 16], &[b"x"]).is_some());
        assert!(keys.file_key(4, &[1; 16], &[b"x"]).is_none());
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let number = "the number before the colon is not one of 1 to 4294967295";
        let secret = "what follows the colon is not 32 bytes in base64";
        let colon = "it has no colon; write number:key, as in 1:BASE64";
        for (text, error) in [
            (format!("# a\n{A}"), line(2, colon)),
            (format!("0:{A}"), line(1, number)),
            (format!("+1:{A}"), line(1, number)),
            (format!("4294967296:{A}"), line(1, number)),
            ("1:c2VjcmV0".to_owned(), line(1, secret)),
            (format!("1:{A}{A}"), line(1, secret)),
            (format!("1:{}{}", &A[..43], &A[..43]), line(1, secret)),
            ("1:not base64!".to_owned(), line(1, secret)),
            (format!("1:{A}\n1:{B}"), line(2, "another line has this number already")),
            (format!("1:{A}\n2:{A}"), line(2, "another line has this key already")),
            (
                format!("1:{}=", "A".repeat(43)),
                line(1, "the key is all zeros; make one with `daybook keygen`"),
            ),
            ("# nothing\n".to_owned(), KeyringError::Empty),
        ] {
            assert_eq!(Keyring::parse(&text).unwrap_err(), error);
        }
    }

    #[test]
    fn a_new_line_is_read_back_and_never_the_same() {
        let id = NonZeroU32::new(9).unwrap();
        let (a, b) = (Keyring::new_line(id).unwrap(), Keyring::new_line(id).unwrap());
        assert_ne!(*a, *b);
        assert_eq!(Keyring::parse(&a).unwrap().first(), Some(9));
    }

    #[test]
    fn what_is_shown_has_no_key_in_it() {
        let keys = Keyring::parse(&format!("7:{A}")).unwrap();
        assert_eq!(format!("{keys:?}"), "Keyring { ids: [7] }");
        let file = keys.file_key(7, &[0; 16], &[b"x"]).unwrap();
        assert_eq!(format!("{:?}", file.cipher), "Cipher(..)");
    }

    #[test]
    fn each_file_has_its_own_key() {
        let keys = Keyring::parse(&format!("7:{A}\n3:{B}")).unwrap();
        let check =
            |key, id: u8, info: &[&[u8]]| keys.file_key(key, &[id; 16], info).unwrap().check;
        let one = check(7, 1, &[b"daybook blocks v1", b"header"]);
        // As OpenSSL derives it: `openssl kdf -keylen 40 -kdfopt digest:SHA256 ... HKDF`.
        assert_eq!(one, [0xa2, 0xa0, 0x2e, 0xcf, 0x23, 0x40, 0x8b, 0xe4]);
        assert_ne!(one, check(3, 1, &[b"daybook blocks v1", b"header"]));
        assert_ne!(one, check(7, 2, &[b"daybook blocks v1", b"header"]));
        assert_ne!(one, check(7, 1, &[b"daybook blocks v1", b"headex"]));
    }

    proptest! {
        #[test]
        fn any_text_is_keys_or_a_reason(text in "(?s).{0,200}") {
            let _ = Keyring::parse(&text);
        }

        #[test]
        fn what_was_sealed_opens_and_what_was_changed_does_not(
            nonce in any::<[u8; 12]>(),
            aad in prop::collection::vec(any::<u8>(), 0..80),
            plain in prop::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let keys = Keyring::parse(&format!("7:{A}")).unwrap();
            let cipher = keys.file_key(7, &[0; 16], &[b"x"]).unwrap().cipher;
            let mut sealed = plain.clone();
            let tag = cipher.seal(&nonce, &aad, &mut sealed);
            sealed.extend_from_slice(&tag);
            let mut bad = sealed.clone();
            let at = at.index(bad.len());
            bad[at] ^= 1 << bit;
            prop_assert_eq!(cipher.open(&nonce, &aad, &mut bad), None);
            prop_assert_eq!(cipher.open(&nonce, &[&aad[..], b"x"].concat(), &mut sealed.clone()), None);
            prop_assert_eq!(cipher.open(&nonce, &aad, &mut sealed), Some(plain.len()));
            prop_assert_eq!(&sealed[..plain.len()], &plain[..]);
        }
    }
}
