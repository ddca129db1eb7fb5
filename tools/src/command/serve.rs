//! `daybook serve`: the server.

use crate::cli::Exit;
use crate::demo;
use crate::output;
use crate::source::{append, writable};
use anyhow::{Context as _, bail};
use daybook_engine::Engine;
use daybook_server::{Config, Server};
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The arguments of `daybook serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "What it does is logged to standard error; RUST_LOG sets how much (info).")]
pub struct Args {
    /// Where the log is, or will be
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7330")]
    listen: SocketAddr,
    /// Load sample sessions into an empty data directory
    #[arg(long)]
    demo: bool,
    /// A journal is sealed into a segment at this size, such as 64MiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = bytes)]
    journal_bytes: u64,
    /// A journal is sealed into a segment at this age, such as 20s or 15m
    #[arg(long, value_name = "AGE", default_value = "15m", value_parser = age)]
    journal_age: Duration,
    /// Do not index texts: searches read the log
    #[arg(long)]
    no_text_index: bool,
    /// Write no Parquet copy of sealed segments
    #[arg(long)]
    no_parquet: bool,
}

/// A number with a unit, by which it is multiplied.
fn with_unit(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let value =
        number.parse::<u64>().ok().zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
    value.filter(|value| *value > 0).ok_or_else(|| {
        let names: Vec<&str> =
            units.iter().map(|(name, _)| *name).filter(|n| !n.is_empty()).collect();
        format!("write a number and one of {}, such as {example}", names.join(", "))
    })
}

fn bytes(text: &str) -> Result<u64, String> {
    with_unit(text, &[("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)], "64MiB")
}

fn age(text: &str) -> Result<Duration, String> {
    with_unit(text, &[("s", 1), ("m", 60), ("h", 3_600)], "15m").map(Duration::from_secs)
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
    let dir = args.data.clone();
    let mut options = writable();
    options.journal_bytes_max = args.journal_bytes;
    options.journal_age_max = args.journal_age;
    options.text_index = !args.no_text_index;
    if args.no_parquet {
        options.columnar = None;
    }
    let opening = tokio::task::spawn_blocking(move || Engine::open(&dir, options));
    let engine = opening
        .await
        .context("opening the data directory broke")?
        .with_context(|| format!("can't open the data directory {}", args.data.display()))?;
    if let Some(reason) = engine.read_only_reason() {
        tracing::error!(%reason, "the log takes no events; reads go on");
    }
    if args.demo {
        load_demo(&engine, &args.data).await?;
    }
    let config = Config { listen: args.listen, ..Config::default() };
    let server = Server::bind(config, Arc::clone(&engine)).await?;
    output::print(&format!("daybook is open at http://{}/\n", server.address()))?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
    };
    let served = server.serve(stop).await;
    tokio::task::spawn_blocking(move || engine.close())
        .await
        .context("closing the log broke")?
        .context("can't close the log; what was acknowledged is safe")?;
    served?;
    Ok(Exit::Well)
}

fn log(quiet: bool) {
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
