//! The key that links are signed with: in a file that nodes share (`link_key_file`), or beside the log.
//!
//! ```text
//! link_key.json   {"sha256":...,"version":1,"key":"…"}      made at the first start
//! ```
//!
//! With another key no link of before is good any more.

use super::grant::Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_engine::{Beside, Engine, Error};
use serde::{Deserialize, Serialize};
use std::path::Path;

const VERSION: u32 = 1;

/// A shorter secret could be guessed.
const SECRET_BYTES_MIN: usize = 32;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    key: String,
}

/// The key that is shared, or the log's own.
///
/// # Errors
/// A file that can't be read or is too short, or that a newer version wrote; no random numbers.
pub(super) fn open(engine: &Engine, shared: Option<&Path>) -> Result<Key, Error> {
    if let Some(path) = shared {
        let secret = std::fs::read(path).map_err(Error::io("read", path))?;
        let secret = secret.trim_ascii();
        if secret.len() < SECRET_BYTES_MIN {
            let what = format!(
                "it has {} bytes, a key for links has at least {SECRET_BYTES_MIN}: `openssl rand -hex 32` makes one",
                secret.len()
            );
            return Err(Error::Unusable { path: path.to_owned(), what });
        }
        return Ok(Key::new(secret));
    }
    let path = || engine.dir().join(Beside::LinkKey.name());
    let unusable = |what: String| Error::Unusable { path: path(), what };
    let file: Option<File> = engine.beside(Beside::LinkKey)?;
    if let Some(version) = file.as_ref().map(|file| file.version).filter(|v| *v != VERSION) {
        return Err(unusable(format!("its version is {version}, this daybook reads {VERSION}")));
    }
    let key = match file {
        Some(file) => file.key,
        None => {
            let mut random = [0u8; 32];
            getrandom::fill(&mut random).map_err(|error| unusable(error.to_string()))?;
            let file = File { version: VERSION, key: STANDARD.encode(random) };
            // A log that is read-only makes no links, so it does not matter that the key is another one next time.
            if engine.read_only_reason().is_none() {
                engine.keep_beside(Beside::LinkKey, &file)?;
            }
            file.key
        }
    };
    let secret = STANDARD.decode(&key).map_err(|error| unusable(error.to_string()))?;
    Ok(Key::new(&secret))
}
