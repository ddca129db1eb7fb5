//! Checkpoints: what a log says of itself, as C2SP writes it (<https://c2sp.org/tlog-checkpoint>).
//!
//! ```text
//! origin "\n"                the log's name; the signing key has the same
//! size "\n"                  leaves, decimal, without leading zeros
//! base64(root) "\n"
//! extension "\n" ...         read over, never written: monitors can't check them
//! ```
//!
//! A checkpoint carries no time: a clock that the log itself reads proves nothing. When it existed
//! is known by whoever received it.

use super::hash::Hash;
use super::note::{Note, Signer, Verifier, is_name};

/// What a log says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
}

impl Checkpoint {
    /// Its text, which is what is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())
    }

    /// Reads the text of a checkpoint.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Checkpoint, &'static str> {
        let body = text.strip_suffix('\n').ok_or("the checkpoint's last line does not end")?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|origin| is_name(origin));
        let origin = origin.ok_or("the checkpoint's first line is no name of a log")?;
        let size = lines.next().ok_or("the checkpoint has no size")?;
        let decimal = size.bytes().all(|b| b.is_ascii_digit());
        let plain = decimal && (size == "0" || !size.starts_with('0'));
        let size = size.parse().ok().filter(|_| plain);
        let size = size.ok_or("the checkpoint's second line is no size of a tree")?;
        let root = lines.next().and_then(Hash::from_base64);
        let root = root.ok_or("the checkpoint's third line is no root of a tree")?;
        if lines.any(str::is_empty) {
            return Err("the checkpoint has an empty line");
        }
        if size == 0 && root != Hash::empty() {
            return Err("the checkpoint's root is not that of an empty tree");
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }

    /// Its note, signed.
    #[must_use]
    pub fn sign(&self, signer: &Signer) -> String {
        signer.sign(&self.to_text())
    }

    /// Reads a signed checkpoint and checks it: signed by this key, whose name is the log's.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn open(note: &str, key: &Verifier) -> Result<Checkpoint, &'static str> {
        let text = Note::parse(note)?.verify(std::slice::from_ref(key))?;
        let checkpoint = Checkpoint::parse(text)?;
        if checkpoint.origin != key.name() {
            return Err("the checkpoint is that of another log");
        }
        Ok(checkpoint)
    }

    /// Reads a signed checkpoint without checking its signature: for what is only shown.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn peek(note: &str) -> Result<Checkpoint, &'static str> {
        Checkpoint::parse(Note::parse(note)?.text)
    }
}
