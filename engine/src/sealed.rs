//! Small files of JSON that know their own checksum.
//!
//! ```text
//! {"sha256":"<64 hexadecimal digits>", ... }
//! ```
//!
//! The checksum is over all bytes of the file with zeros for its digits, so that any byte that was
//! flipped is found, wherever it stands.

use crate::disk::Disk;
use crate::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::path::Path;

const HEAD: &[u8] = b"{\"sha256\":\"";
const DIGITS: usize = 64;

/// The bytes of a value, which has to be a struct with fields.
pub(crate) fn encode<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, Error> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Error::io("write", path)(std::io::Error::other(error)))?;
    let mut bytes = [HEAD, &[b'0'; DIGITS], b"\","].concat();
    bytes.extend_from_slice(body.get(1..).unwrap_or_default());
    bytes.push(b'\n');
    let digits = digits(&bytes);
    if let Some(place) = bytes.get_mut(HEAD.len()..HEAD.len() + DIGITS) {
        place.copy_from_slice(digits.as_bytes());
    }
    Ok(bytes)
}

/// The value of a file.
///
/// # Errors
/// The system's, or [`Error::Corrupt`] for bytes that were altered.
pub(crate) fn read<T: DeserializeOwned>(disk: &dyn Disk, path: &Path) -> Result<T, Error> {
    let mut bytes = disk.read(path)?;
    let place = HEAD.len()..HEAD.len() + DIGITS;
    let altered = || Error::corrupt(path, 0, "its checksum does not match: it was altered");
    let said = bytes.get(place.clone()).ok_or_else(altered)?.to_vec();
    bytes.get_mut(place).ok_or_else(altered)?.fill(b'0');
    if !bytes.starts_with(HEAD) || digits(&bytes).as_bytes() != said {
        return Err(altered());
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::corrupt(path, 0, format!("{error}; a newer version of daybook may have written it"))
    })
}

fn digits(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
