//! Signed notes and their keys, as C2SP writes them (<https://c2sp.org/signed-note>), Ed25519 alone.
//!
//! ```text
//! note       = text "\n" signature*                 text ends in a newline; its last one is signed
//! signature  = "— " name " " base64(key id (4, big-endian) | signature) "\n"
//! key id     = SHA-256(name "\n" type public key)[0..4]              type: 0x01 for Ed25519
//! verifier   = name "+" hex8(key id) "+" base64(type | public key)
//! signer     = "PRIVATE+KEY+" name "+" hex8(key id) "+" base64(type | seed)
//! ```
//!
//! Signatures of keys that nobody named are passed over: witnesses add theirs. One that claims a known
//! key and is not good makes the whole note bad.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as Ed25519, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The longest note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// The most signatures that a note may have.
pub const SIGNATURES_MAX: usize = 100;

const ED25519: u8 = 1;
const DASH: &str = "\u{2014} ";

/// Can a key have this name? It stands between spaces and pluses.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    !name.is_empty() && !name.contains(bad)
}

fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    let mut sha = Sha256::new();
    sha.update(name.as_bytes());
    sha.update([b'\n', ED25519]);
    sha.update(public);
    let [a, b, c, d, ..]: [u8; 32] = sha.finalize().into();
    u32::from_be_bytes([a, b, c, d])
}

/// Reads `name+hex8+base64(type | 32 bytes)`.
fn parse_key(text: &str) -> Result<(&str, u32, [u8; 32]), &'static str> {
    const FORM: &str = "a key is written as name+id+base64";
    let (name, rest) = text.split_once('+').ok_or(FORM)?;
    let (id, key) = rest.split_once('+').ok_or(FORM)?;
    if !is_name(name) || id.len() != 8 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(FORM);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| FORM)?;
    let key = STANDARD.decode(key).map_err(|_| "a key's last part is not base64")?;
    match key.split_first() {
        Some((&ED25519, key)) => {
            let key = key.try_into().map_err(|_| "an Ed25519 key has 32 bytes")?;
            Ok((name, id, key))
        }
        _ => Err("only Ed25519 keys (type 1) can be used"),
    }
}

/// A key that checks signatures: what whoever checks the log has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl Verifier {
    /// Reads a verifier key (`name+id+base64`).
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Verifier, &'static str> {
        let (name, id, public) = parse_key(text.trim())?;
        if id != key_id(name, &public) {
            return Err("the key's id is not that of its name and bytes");
        }
        let key = VerifyingKey::from_bytes(&public).map_err(|_| "these bytes are no public key")?;
        Ok(Verifier { name: name.to_owned(), id, key })
    }

    /// Its name: the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_good(&self, text: &str, signature: &[u8]) -> bool {
        let Ok(signature) = Ed25519::from_slice(signature) else { return false };
        self.key.verify_strict(text.as_bytes(), &signature).is_ok()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

/// A key that signs. Its bytes are shown by [`Signer::to_private_text`] alone.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    verifier: Verifier,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl Signer {
    /// The key of a seed, which has to be 32 random bytes.
    ///
    /// # Errors
    /// A name that a key can't have.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Signer, &'static str> {
        if !is_name(name) {
            return Err("the name of a key has no spaces, no `+`, and at least one letter");
        }
        let key = SigningKey::from_bytes(seed);
        let public = key.verifying_key();
        let id = key_id(name, public.as_bytes());
        Ok(Signer { key, verifier: Verifier { name: name.to_owned(), id, key: public } })
    }

    /// Reads a signing key (`PRIVATE+KEY+name+id+base64`).
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text; it shows nothing of the key.
    pub fn parse(text: &str) -> Result<Signer, &'static str> {
        let rest = text.trim().strip_prefix("PRIVATE+KEY+");
        let (name, id, seed) = parse_key(rest.ok_or("a signing key starts with PRIVATE+KEY+")?)?;
        let signer = Signer::from_seed(name, &seed)?;
        if signer.verifier.id != id {
            return Err("the key's id is not that of its name and bytes");
        }
        Ok(signer)
    }

    /// The text to keep in a file that nobody else can read.
    #[must_use]
    pub fn to_private_text(&self) -> String {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        let Verifier { name, id, .. } = &self.verifier;
        format!("PRIVATE+KEY+{name}+{id:08x}+{}", STANDARD.encode(key))
    }

    /// The key that checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The note of a text, which has to end in a newline: the text with this key's signature. The same
    /// text always gives the same note.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes());
        let mut bytes = self.verifier.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&signature.to_bytes());
        format!("{text}\n{DASH}{} {}\n", self.verifier.name, STANDARD.encode(bytes))
    }
}

/// A note, taken apart; nothing of it is believed before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// What was signed.
    pub text: &'a str,
    signatures: Vec<Signature<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature<'a> {
    name: &'a str,
    id: u32,
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(note: &'a str) -> Result<Note<'a>, &'static str> {
        if note.len() > NOTE_BYTES_MAX {
            return Err("the note is too long");
        }
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err("the note has control characters");
        }
        let at = note.rfind("\n\n").ok_or("the note has no signatures")?;
        let (text, rest) = note.split_at_checked(at + 1).ok_or("the note has no signatures")?;
        let lines = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or("the note's last line does not end")?;
        let signatures = lines.split('\n').map(Signature::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err("the note has too many signatures");
        }
        Ok(Note { text, signatures })
    }

    /// Checks the signatures and answers the text if at least one of the keys signed it.
    ///
    /// # Errors
    /// A signature that claims one of the keys and is not good; or none of these keys.
    pub fn verify(&self, keys: &[Verifier]) -> Result<&'a str, &'static str> {
        let mut good = false;
        for signature in &self.signatures {
            let of = |key: &&Verifier| key.name == signature.name && key.id == signature.id;
            if let Some(key) = keys.iter().find(of) {
                if !key.is_good(self.text, &signature.bytes) {
                    return Err(
                        "the signature does not match: the note or its signature was changed",
                    );
                }
                good = true;
            }
        }
        if good { Ok(self.text) } else { Err("the note is not signed by the key in question") }
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Result<Signature<'a>, &'static str> {
        let rest =
            line.strip_prefix(DASH).ok_or("a signature's line starts with a dash (U+2014)")?;
        let (name, base64) = rest.split_once(' ').ok_or("a signature's line has no signature")?;
        if !is_name(name) {
            return Err("the name in a signature's line can't be a key's");
        }
        let bytes = STANDARD.decode(base64).map_err(|_| "a signature is not base64")?;
        match bytes.split_first_chunk::<4>() {
            Some((id, bytes)) if !bytes.is_empty() => {
                Ok(Signature { name, id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
            }
            _ => Err("a signature is cut short"),
        }
    }
}
