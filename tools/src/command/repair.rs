//! `daybook repair`: makes again what is derived from the log and damaged.

use crate::cli::Exit;
use crate::findings;
use crate::keys::KeyArgs;
use crate::output::{self, Paint, clean};
use crate::source::writable;
use anyhow::Context as _;
use daybook_engine::repair::repair;
use daybook_engine::{Options, Repaired};
use std::path::PathBuf;

/// The arguments of `daybook repair`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Events themselves are never changed: what is damaged in the log stays and is named. A \
                  running server mends its segments by itself when a read finds one damaged."
)]
pub struct Args {
    #[command(flatten)]
    keys: KeyArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// A data directory that no server has open
    dir: PathBuf,
}

/// Repairs a data directory; what is wrong after it makes the exit code 1.
///
/// # Errors
/// A directory that a server has open, and the system's.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let options = Options { encryption: args.keys.read()?, ..writable() };
    let dir = args.dir.clone();
    let bar = findings::progress(quiet);
    let repairing = tokio::task::spawn_blocking(move || repair(&dir, options));
    let (repaired, report) = repairing
        .await
        .context("the repair broke")?
        .with_context(|| format!("can't repair {}", args.dir.display()))?;
    bar.finish_and_clear();
    if args.json {
        output::print_json(&serde_json::json!({ "repaired": repaired, "report": report }))?;
    } else {
        output::print(&text(&repaired))?;
        output::print(&findings::text(&args.dir, &report, Paint::stdout()))?;
    }
    Ok(if report.is_well() { Exit::Well } else { Exit::Look })
}

fn text(repaired: &Repaired) -> String {
    let mut text = String::new();
    for path in &repaired.mended {
        text.push_str(&format!("made again   {}\n", path.display()));
    }
    for left in &repaired.left {
        text.push_str(&format!(
            "not mended   {}: {}\n",
            left.path.display(),
            clean::line(&left.why)
        ));
    }
    if text.is_empty() {
        text.push_str("nothing had to be made again\n");
    }
    text
}
