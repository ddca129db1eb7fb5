//! `daybook repair`: makes again what is derived from the log and damaged.

use crate::cli::Exit;
use crate::findings;
use crate::keys::KeyArgs;
use crate::output::{self, Paint, clean};
use crate::source::{ServerArgs, writable};
use anyhow::Context as _;
use daybook_engine::repair::repair;
use daybook_engine::{Options, Repaired};
use std::path::PathBuf;

/// The arguments of `daybook repair`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Events themselves are never changed: what is damaged in the log stays and is named. A \
                  running server mends by itself what a read finds damaged; `--server` has it look at \
                  everything. Then `daybook verify` says what is left."
)]
pub struct Args {
    #[command(flatten)]
    keys: KeyArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// A data directory that no server has open
    #[arg(required_unless_present = "server", conflicts_with = "server")]
    dir: Option<PathBuf>,
}

/// Repairs a data directory; what is wrong after it makes the exit code 1.
///
/// # Errors
/// A directory that a server has open, and the system's.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let Some(at) = args.dir else {
        return of_server(&args.server, args.json).await;
    };
    let options = Options { encryption: args.keys.read()?, ..writable() };
    let dir = at.clone();
    let bar = findings::progress(quiet);
    let repairing = tokio::task::spawn_blocking(move || repair(&dir, options));
    let (repaired, report) = repairing
        .await
        .context("the repair broke")?
        .with_context(|| format!("can't repair {}", at.display()))?;
    bar.finish_and_clear();
    if args.json {
        output::print_json(&serde_json::json!({ "repaired": repaired, "report": report }))?;
    } else {
        output::print(&text(&repaired))?;
        output::print(&findings::text(&at, &report, Paint::stdout()))?;
    }
    Ok(if report.is_well() { Exit::Well } else { Exit::Look })
}

async fn of_server(server: &ServerArgs, json: bool) -> anyhow::Result<Exit> {
    let answer = server.client()?.post("/v1/admin/repair", &serde_json::json!({})).await?;
    let repaired: Repaired =
        serde_json::from_value(answer).context("the server answered with something else")?;
    if json {
        output::print_json(&serde_json::json!({ "repaired": repaired }))?;
    } else {
        output::print(&text(&repaired))?;
    }
    Ok(if repaired.left.is_empty() { Exit::Well } else { Exit::Look })
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
