//! `daybook backup` and `daybook restore`.

use crate::cli::Exit;
use crate::keys::KeyArgs;
use crate::output;
use crate::source::{Source, TargetArgs};
use anyhow::Context as _;
use daybook_engine::backup::Report;
use daybook_engine::{Engine, Options};
use std::path::{PathBuf, absolute};
use std::sync::Arc;

/// The arguments of `daybook backup`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A server writes the backup itself, on its own disks. On the file system of the data \
                  directory, sealed files are linked and take no room; elsewhere they are copied. \
                  Encryption keys are not in it: keep them apart."
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// A directory that is not there yet, or is empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

/// Makes a backup.
///
/// # Errors
/// A server that can't be reached, or a directory that can't be used.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let to = absolute(&args.to).with_context(|| format!("`{}`", args.to.display()))?;
    let report: Report = match Source::open(&args.target)? {
        Source::Server(client) => {
            let answer = client.post("/v1/admin/backup", &serde_json::json!({ "to": to })).await?;
            serde_json::from_value(answer).context("the server answered with no report")?
        }
        Source::Data(engine) => {
            let engine = Arc::clone(&engine);
            tokio::task::spawn_blocking(move || engine.backup(&to))
                .await
                .context("backing up broke")??
        }
    };
    say(&report, args.json, "backed up to")
}

/// The arguments of `daybook restore`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every byte is compared with what was backed up, and the log is opened at rest \
                  before it is called restored."
)]
pub struct RestoreArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// A backup
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// A directory that is not there yet, or is empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

/// Makes a data directory of a backup.
///
/// # Errors
/// A backup that is not whole, with the file that is not, or a directory that can't be used.
pub fn restore(args: &RestoreArgs) -> anyhow::Result<Exit> {
    let options = Options { encryption: args.keys.read()?, ..Options::default() };
    let report = Engine::restore(&args.from, &args.to, options)
        .with_context(|| format!("can't restore {}", args.from.display()))?;
    say(&report, args.json, "restored to")
}

fn say(report: &Report, json: bool, what: &str) -> anyhow::Result<Exit> {
    if json {
        output::print_json(report)?;
    } else {
        output::print(&format!(
            "{what} {}: {} events, {} files, {}, as of {}\n",
            report.path.display(),
            report.events,
            report.files,
            output::bytes(report.bytes),
            report.created
        ))?;
    }
    Ok(Exit::Well)
}
