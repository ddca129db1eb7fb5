//! The encryption keys that a command was given: a key file, or the environment.

use anyhow::{Context as _, bail};
use daybook_engine::crypt::{Keyring, Zeroizing};
use daybook_engine::disk::{EncryptedDisk, RealDisk, SharedDisk};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a command may read of encrypted files at once, in bytes.
const CACHE_BYTES: u64 = 4 << 20;
/// The longest key file: some thousands of keys.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The text of a key file, where no file is to be.
const VARIABLE: &str = "DAYBOOK_ENCRYPTION_KEY";

/// The encryption keys.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeyArgs {
    /// A file with the keys of an encrypted data directory (see `daybook keygen`); its first key
    /// encrypts [default: the lines in DAYBOOK_ENCRYPTION_KEY, or no encryption]
    #[arg(long, value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The keys of this file, or those in the environment.
    #[must_use]
    pub fn of(file: Option<PathBuf>) -> KeyArgs {
        KeyArgs { encryption_key_file: file }
    }

    /// Reads the keys; `None` if there are none.
    ///
    /// # Errors
    /// A file that can't be read, or a line that is not a key's.
    pub fn read(&self) -> anyhow::Result<Option<Arc<Keyring>>> {
        let (text, from) = match &self.encryption_key_file {
            Some(path) => (text(path)?, path.display().to_string()),
            None => match std::env::var(VARIABLE) {
                Ok(text) if !text.trim().is_empty() => (Zeroizing::new(text), VARIABLE.to_owned()),
                Ok(_) | Err(std::env::VarError::NotPresent) => return Ok(None),
                Err(_) => bail!("{VARIABLE} is not text"),
            },
        };
        let keys =
            Keyring::parse(&text).with_context(|| format!("can't use the keys of {from}"))?;
        Ok(Some(Arc::new(keys)))
    }

    /// The system's files, read with these keys.
    ///
    /// # Errors
    /// As [`KeyArgs::read`].
    pub fn disk(&self) -> anyhow::Result<SharedDisk> {
        let keys = self.read()?.unwrap_or_default();
        Ok(Arc::new(EncryptedDisk::new(Arc::new(RealDisk), keys, CACHE_BYTES)))
    }
}

/// The text of a key file.
///
/// # Errors
/// The system's, or a file that is too long to be one.
pub fn text(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let failed = || format!("can't read the encryption keys of {}", path.display());
    let meta = std::fs::metadata(path).with_context(failed)?;
    if meta.len() > FILE_BYTES_MAX {
        bail!("{} is too long for a file of encryption keys", path.display());
    }
    if meta.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            file = %path.display(),
            "other users may read the encryption keys; `chmod 600` the file"
        );
    }
    Ok(Zeroizing::new(std::fs::read_to_string(path).with_context(failed)?))
}
