//! `daybook proof`: what shows somebody else that a session is as it was recorded.

use crate::cli::Exit;
use crate::output;
use crate::source::{Source, TargetArgs};
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// The arguments of `daybook proof`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// The file to write; - is standard output
    #[arg(long, short)]
    output: PathBuf,
    /// The session's id
    id: String,
}

/// Runs the command.
///
/// # Errors
/// No such session, a file that can't be written, or what the server or the log says.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let proof = Source::open(&args.target)?.proof(&args.id).await?;
    if args.output == Path::new("-") {
        output::print_json(&proof)?;
        return Ok(Exit::Well);
    }
    let mut json = serde_json::to_vec(&proof)?;
    json.push(b'\n');
    std::fs::write(&args.output, &json)
        .with_context(|| format!("can't write {}", args.output.display()))?;
    if !quiet {
        let size = output::bytes(json.len() as u64);
        output::print(&format!(
            "{size} to {}; check it with `daybook verify`\n",
            args.output.display()
        ))?;
    }
    Ok(Exit::Well)
}
