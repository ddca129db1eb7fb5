//! The log's keys on disk.
//!
//! ```text
//! keys/
//!   signing.key     PRIVATE+KEY+name+id+base64, for its owner's eyes alone (0600)
//!   verifier.key    name+id+base64: what whoever checks the log has to know
//! ```
//!
//! The key is made when a directory is first opened for writing, and never again: a log that was
//! signed and has no key any more, or another one, is not gone on with as if nothing had happened.

use super::note::{Signer, Verifier};
use crate::disk::{Disk, write_all_at};
use crate::error::Error;
use std::path::{Path, PathBuf};

/// The signing key in a data directory.
#[must_use]
pub fn signing_path(data: &Path) -> PathBuf {
    data.join("keys").join("signing.key")
}

/// The verifier key in a data directory.
#[must_use]
pub fn verifier_path(data: &Path) -> PathBuf {
    data.join("keys").join("verifier.key")
}

/// Reads the signing key; `None` if there is none.
///
/// # Errors
/// The system's, or a file that holds no key.
pub fn read_signer(disk: &dyn Disk, data: &Path) -> Result<Option<Signer>, Error> {
    let path = signing_path(data);
    if !disk.exists(&path)? {
        return Ok(None);
    }
    let text = disk.read(&path)?;
    let signer = std::str::from_utf8(&text).map_err(|_| "it is not text").and_then(Signer::parse);
    signer.map(Some).map_err(|what| Error::corrupt(&path, 0, what))
}

/// Reads the verifier key; `None` if there is none.
///
/// # Errors
/// The system's, or a file that holds no key.
pub fn read_verifier(disk: &dyn Disk, data: &Path) -> Result<Option<Verifier>, Error> {
    let path = verifier_path(data);
    if !disk.exists(&path)? {
        return Ok(None);
    }
    let text = disk.read(&path)?;
    let key = std::str::from_utf8(&text).map_err(|_| "it is not text").and_then(Verifier::parse);
    key.map(Some).map_err(|what| Error::corrupt(&path, 0, what))
}

/// Makes a signing key, durably.
///
/// # Errors
/// The system's, or a name that a key can't have.
pub fn create(disk: &dyn Disk, data: &Path, name: &str) -> Result<Signer, Error> {
    let path = signing_path(data);
    let unusable = |what: &str| Error::Unusable { path: path.clone(), what: what.to_owned() };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| unusable(&format!("the system has no random bytes for it: {error}")))?;
    let signer = Signer::from_seed(name, &seed).map_err(unusable)?;
    let dir = data.join("keys");
    disk.create_dir(&dir).map_err(Error::io("create", &dir))?;
    // Under another name first: a key is there whole or not at all.
    let beside = dir.join("signing.key.tmp");
    if disk.exists(&beside)? {
        disk.remove_file(&beside).map_err(Error::io("delete", &beside))?;
    }
    let file = disk.create_private(&beside).map_err(Error::io("create", &beside))?;
    write_all_at(&*file, signer.to_private_text().as_bytes(), 0)
        .map_err(Error::io("write", &beside))?;
    file.sync().map_err(Error::io("sync", &beside))?;
    write_verifier(disk, data, signer.verifier())?;
    disk.rename(&beside, &path).map_err(Error::io("rename", &beside))?;
    disk.sync_dir(&dir).map_err(Error::io("sync", &dir))?;
    disk.sync_dir(data).map_err(Error::io("sync", data))?;
    Ok(signer)
}

/// Writes the verifier key.
///
/// # Errors
/// The system's.
pub fn write_verifier(disk: &dyn Disk, data: &Path, key: &Verifier) -> Result<(), Error> {
    disk.replace(&verifier_path(data), format!("{key}\n").as_bytes())
}
