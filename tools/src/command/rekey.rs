//! `daybook rekey`: everything under the first encryption key.

use crate::cli::Exit;
use crate::output;
use crate::source::{Sink, TargetArgs};
use anyhow::Context as _;
use daybook_engine::Rekeyed;
use std::sync::Arc;

/// The arguments of `daybook rekey`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Put the new key on top of the file of keys and start the server again first. When no file is \
                  under the old key any more (`encryption_keys` of /v1/stats), its line may go. Backups \
                  that were made before still want it."
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// A server that can't be reached or has no keys, or a data directory that can't be opened.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let sink = Sink::open(&args.target).await?;
    let rekeyed: Rekeyed = match &sink {
        Sink::Server(client) => {
            let answer = client.post("/v1/admin/rekey", &serde_json::json!({})).await?;
            serde_json::from_value(answer).context("the server answered with something else")?
        }
        Sink::Data(engine) => {
            let engine = Arc::clone(engine);
            tokio::task::spawn_blocking(move || engine.rekey()).await.context("it broke")??
        }
    };
    sink.close().await?;
    if args.json {
        output::print_json(&rekeyed)?;
    } else {
        let Rekeyed { key, segments } = rekeyed;
        output::print(&format!(
            "everything is under key {key}; {segments} segments were rewritten\n"
        ))?;
    }
    Ok(Exit::Well)
}
