//! What nobody guesses: ids, and secrets that are kept beside the log.
//!
//! ```text
//! link_key.json   {"sha256":...,"version":1,"secret":"…"}      32 bytes of base64, made at the first start
//! ```

use crate::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_engine::{Beside, Engine, Error};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// The length of a secret.
pub const SECRET_LEN: usize = 32;

/// An id of `BYTES` random bytes in hexadecimal, after a prefix.
///
/// # Errors
/// The system has no random numbers.
pub fn id<const BYTES: usize>(prefix: &str) -> Result<Box<str>, Problem> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(Problem::internal)?;
    Ok(format!("{prefix}{}", hex::encode(bytes)).into())
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    secret: String,
}

/// The secret in a file beside the log; it is made where there is none.
///
/// # Errors
/// A file that can't be read, or that a newer version wrote; no random numbers.
pub fn secret(engine: &Engine, file: Beside) -> Result<[u8; SECRET_LEN], Error> {
    let unusable = |what: String| Error::Unusable { path: engine.dir().join(file.name()), what };
    if let Some(File { version, secret }) = engine.beside(file)? {
        if version != VERSION {
            let what = format!("its version is {version}, this daybook reads {VERSION}");
            return Err(unusable(what));
        }
        let secret = STANDARD.decode(secret).ok().and_then(|secret| secret.try_into().ok());
        return secret.ok_or_else(|| unusable(format!("its secret is not {SECRET_LEN} bytes")));
    }
    let mut secret = [0; SECRET_LEN];
    getrandom::fill(&mut secret).map_err(|error| unusable(error.to_string()))?;
    // Of a log that is read-only nothing is kept: it has another one the next time.
    if engine.read_only_reason().is_none() {
        engine.keep_beside(file, &File { version: VERSION, secret: STANDARD.encode(secret) })?;
    }
    Ok(secret)
}
