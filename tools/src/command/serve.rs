//! `daybook serve`: the server.

use crate::cli::Exit;
use crate::command::config::ConfigArgs;
use crate::demo;
use crate::output;
use crate::source::append;
use anyhow::{Context as _, bail};
use daybook_engine::Engine;
use daybook_server::Server;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The arguments of `daybook serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "What it does is logged to standard error; RUST_LOG sets how much (info).")]
pub struct Args {
    #[command(flatten)]
    settings: ConfigArgs,
    /// Load sample sessions into an empty data directory
    #[arg(long)]
    demo: bool,
}

/// How many lines of sample data are appended at once.
const DEMO_BATCH: usize = 1_000;

/// Runs the server until it is told to stop.
///
/// # Errors
/// A data directory that can't be opened, or an address that can't be listened on.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    log(quiet);
    // Before anything is opened, so that a stop while the log recovers is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).context("can't watch for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("can't watch for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("can't watch for SIGHUP")?;
    let config = args.settings.effective()?;
    let (dir, options) = (config.data.clone(), config.options()?);
    let opening = tokio::task::spawn_blocking(move || Engine::open(&dir, options));
    let engine = opening
        .await
        .context("opening the data directory broke")?
        .with_context(|| format!("can't open the data directory {}", config.data.display()))?;
    if let Some(reason) = engine.read_only_reason() {
        tracing::error!(%reason, "the log takes no events; reads go on");
    }
    if let Some(policy) = config.retention.clone().filter(|policy| *policy != engine.policy()) {
        let engine = Arc::clone(&engine);
        tokio::task::spawn_blocking(move || engine.set_policy(policy, "configuration"))
            .await
            .context("setting the retention policy broke")?
            .context("can't set the retention policy of the configuration")?;
    }
    if args.demo {
        load_demo(&engine, &config.data).await?;
    }
    let server = Server::bind(config.server(), Arc::clone(&engine)).await?;
    output::print(&format!("daybook is open at {}/\n", server.url()))?;
    if let Some(address) = server.sudo_address() {
        output::print(&format!("sudo's logs are taken at {address}\n"))?;
    }
    let reload = server.reload();
    // It ends with the process.
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("looking at the TLS files again");
            reload.now();
        }
    });
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
    };
    server.serve(stop).await;
    tokio::task::spawn_blocking(move || engine.close())
        .await
        .context("closing the log broke")?
        .context("can't close the log; what was acknowledged is safe")?;
    Ok(Exit::Well)
}

pub(super) fn log(quiet: bool) {
    let level = if quiet { "error" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A second subscriber is refused, as when a test runs this twice; the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .try_init();
}

/// Loads the sample sessions, if there is nothing yet.
async fn load_demo(engine: &Engine, dir: &Path) -> anyhow::Result<()> {
    if engine.snapshot().events() > 0 {
        tracing::info!("{} is not empty, so no sample sessions are loaded", dir.display());
        return Ok(());
    }
    let lines = demo::lines(&demo::Options::standard());
    for batch in lines.chunks(DEMO_BATCH) {
        let receipt = append(engine, batch.join("\n").as_bytes(), Duration::from_secs(60)).await?;
        if let Some(refusal) = receipt.rejected.first() {
            bail!("a sample event was refused: {}", refusal.error);
        }
    }
    tracing::info!(events = lines.len(), "sample sessions are loaded");
    Ok(())
}
