//! `daybook keygen`: a new line for a file of encryption keys.

use crate::cli::Exit;
use crate::{keys, output};
use anyhow::{Context as _, bail};
use daybook_engine::crypt::{Keyring, Zeroizing};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// The arguments of `daybook keygen`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Put the line into a file that daybook alone may read, on top of what is there, and give \
                  the file to `daybook serve --encryption-key-file`. Keep every key as long as a file is \
                  under it (`daybook rekey` puts all under the first), and keep a copy elsewhere: without \
                  its key, nobody can read what was encrypted."
)]
pub struct Args {
    /// The key's number, which no other key may ever have
    #[arg(long, value_name = "NUMBER", conflicts_with = "after")]
    id: Option<NonZeroU32>,
    /// Take the number after the highest in this file of keys
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,
}

/// Prints a line with a new random key.
///
/// # Errors
/// A file of keys that can't be read, and the system's, when it has no random bytes.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let id = match (&args.after, args.id) {
        (Some(path), _) => {
            let text = keys::text(path)?;
            let failed = || format!("can't use the keys of {}", path.display());
            let highest = Keyring::parse(&text).with_context(failed)?.ids().max();
            match highest.and_then(|id| id.checked_add(1)).and_then(NonZeroU32::new) {
                Some(next) => next,
                None => bail!("there is no number after the highest of {}", path.display()),
            }
        }
        (None, id) => id.unwrap_or(NonZeroU32::MIN),
    };
    let line = Keyring::new_line(id).context("can't get random bytes")?;
    output::print(&Zeroizing::new(format!("{}\n", *line)))?;
    Ok(Exit::Well)
}
