//! `keys/`: the key that signs, and the one that checks.

use super::report::{Mend, Problem};
use super::{Check, read_error};
use crate::error::Error;
use crate::merkle::{Signer, Verifier};
use std::path::Path;

impl Check<'_> {
    /// Reads the keys; answers the one that checkpoints are checked with.
    pub(super) fn keys(&mut self) -> Result<Option<Verifier>, Error> {
        let dir = self.dir.join("keys");
        let mut own = None;
        for (name, is_signer) in [("verifier.key", false), ("signing.key", true)] {
            let path = dir.join(name);
            if !self.disk.exists(&path)? {
                continue;
            }
            let bytes = match self.whole(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.unreadable(&path, error);
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&bytes);
            let key = if is_signer {
                Signer::parse(&text)
                    .map(|signer| (signer.to_private_text(), signer.verifier().clone()))
            } else {
                Verifier::parse(&text).map(|key| (key.to_string(), key))
            };
            let end = bytes.len() as u64;
            match key {
                // One text, one key: no byte of it may be another.
                Ok((right, key)) if text.trim_end_matches('\n') == right => match &own {
                    Some(own) if *own != key => {
                        let what = "the two keys don't belong together: one of them was replaced";
                        self.found(&path, 0..end, Problem::Unsigned, what, Vec::new(), Mend::Ask);
                    }
                    _ => own = Some(key),
                },
                Ok(_) => {
                    let what = "it is not written as daybook writes a key";
                    self.found(&path, 0..end, Problem::Damaged, what, Vec::new(), Mend::Repair);
                }
                Err(what) => {
                    let mend = if is_signer { Mend::Ask } else { Mend::Repair };
                    self.found(&path, 0..end, Problem::Damaged, what, Vec::new(), mend);
                }
            }
        }
        if let Some(given) = self.options.key {
            let wanted = Verifier::parse(given)
                .map_err(|what| read_error(Path::new("the key that was given"), what))?;
            if own.as_ref().is_some_and(|own| *own != wanted) {
                let path = dir.join("verifier.key");
                let what = format!("the log's key is not the one that was given ({given})");
                self.found(&path, 0..0, Problem::Unsigned, what, Vec::new(), Mend::Ask);
            }
            own = Some(wanted);
        }
        self.key.clone_from(&own);
        Ok(own)
    }
}
