//! `daybook serve`: the server.

use crate::cli::Exit;
use std::path::PathBuf;

/// The arguments of `daybook serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the log is, or will be
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7330")]
    listen: String,
    /// Load sample sessions into an empty data directory
    #[arg(long)]
    demo: bool,
}

/// Runs the command until it is told to stop.
///
/// # Errors
/// A data directory that can't be opened, or an address that can't be listened on.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let _ = (args, quiet);
    anyhow::bail!("not built yet")
}
