//! The key that links are signed with: in a file that nodes share (`link_key_file`), or beside the log
//! (`link_key.json`, [`crate::random`]).
//!
//! With another key no link of before is good any more.

use super::grant::Key;
use crate::random::{self, SECRET_LEN};
use daybook_engine::{Beside, Engine, Error};
use std::path::Path;

/// The key that is shared, or the log's own.
///
/// # Errors
/// A file that can't be read or is too short, or that a newer version wrote; no random numbers.
pub(super) fn open(engine: &Engine, shared: Option<&Path>) -> Result<Key, Error> {
    let Some(path) = shared else { return Ok(Key::new(&random::secret(engine, Beside::LinkKey)?)) };
    let secret = std::fs::read(path).map_err(Error::io("read", path))?;
    let secret = secret.trim_ascii();
    // A shorter one could be guessed.
    if secret.len() < SECRET_LEN {
        let what = format!(
            "it has {} bytes, a key for links has at least {SECRET_LEN}: `openssl rand -hex 32` makes one",
            secret.len()
        );
        return Err(Error::Unusable { path: path.to_owned(), what });
    }
    Ok(Key::new(secret))
}
