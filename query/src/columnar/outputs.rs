//! What rows have of outputs: for readers that may know what was run, and not what it showed.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What rows have of outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outputs {
    /// Their SHA-256 and their size.
    #[default]
    Hash,
    /// All of them.
    Text,
    /// All of them; those of terminals as a person saw them, each line once it was complete.
    Rendered,
    /// Nothing.
    None,
}

impl Outputs {
    /// Every choice.
    pub const ALL: [Outputs; 4] = [Outputs::Hash, Outputs::Text, Outputs::Rendered, Outputs::None];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outputs::Hash => "hash",
            Outputs::Text => "text",
            Outputs::Rendered => "rendered",
            Outputs::None => "none",
        }
    }
}

/// The SHA-256 of an output's bytes, in hexadecimal.
pub(crate) fn sha256(output: &[u8]) -> String {
    hex::encode(Sha256::digest(output))
}
