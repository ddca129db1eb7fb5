//! `daybook runner`: takes commands that are to be run again, and runs them here.

use super::record::default_spill;
use crate::cli::Exit;
use crate::config::setting::{age, size};
use crate::producer::SpillBounds;
use crate::runner::{Asked, Limits, Postgres, Runner, Target};
use crate::source::ServerArgs;
use anyhow::{Context as _, bail};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The arguments of `daybook runner`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  DAYBOOK_DSN=postgres://reader@db.example.com/shop daybook runner --role pg-prod
  daybook runner --role bastion --shell --once

What a runner promises, and what not: docs/rerun.md.")]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The resource role whose runs are taken; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// Run SQL on this PostgreSQL server [default: DAYBOOK_DSN]. A password in it is seen by who lists processes: use the variable
    #[arg(
        long,
        value_name = "DSN",
        env = "DAYBOOK_DSN",
        hide_env = true,
        conflicts_with = "shell"
    )]
    dsn: Option<String>,
    /// Run shell commands, as the user who runs this
    #[arg(long)]
    shell: bool,
    /// Let SQL change things; without, it runs in a read-only transaction
    #[arg(long, requires = "dsn")]
    read_write: bool,
    /// Also run commands whose first result had masked fields: this runner masks nothing
    #[arg(long)]
    unmasked: bool,
    /// Take one run, and end with it
    #[arg(long)]
    once: bool,
    /// How long a command may take
    #[arg(long, value_name = "AGE", default_value = "60s", value_parser = age)]
    timeout: Duration,
    /// How much of its output is kept
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    output_max: u64,
    /// How many rows of a result are kept
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rows_max: usize,
    /// Where events wait while the server is away [default: `~/.local/state/daybook/spill/SERVER`]
    #[arg(long, value_name = "DIR")]
    spill: Option<PathBuf>,
}

/// The most output that may be kept.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;
/// How much of the spill may be used.
const SPILL_BYTES_MAX: u64 = 256 << 20;

/// Runs the command.
///
/// # Errors
/// Arguments that can't be used, or a server that refuses this runner.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    super::serve::log(quiet);
    let target = match (args.dsn, args.shell) {
        (Some(dsn), false) => Target::Postgres(Box::new(Postgres::new(&dsn, args.read_write)?)),
        (_, true) => Target::Shell,
        (None, false) => {
            bail!("what are commands to be run on? say --dsn DSN (or DAYBOOK_DSN), or --shell")
        }
    };
    if args.output_max > OUTPUT_BYTES_MAX {
        bail!("--output-max is at most 64MiB");
    }
    let client = args.server.client()?;
    let dir = match args.spill {
        Some(dir) => dir,
        None => default_spill(&client)?,
    };
    let runner = Runner {
        client,
        roles: args.roles,
        target,
        limits: Limits {
            time: args.timeout,
            output_bytes: usize::try_from(args.output_max).context("--output-max is too large")?,
            rows: args.rows_max,
        },
        spill: SpillBounds { dir, bytes_max: SPILL_BYTES_MAX },
        unmasked: args.unmasked,
    };
    let (asks, asked) = watch::channel(Asked::Nothing);
    let mut interrupt = signal(SignalKind::interrupt()).context("can't watch for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("can't watch for SIGTERM")?;
    // It ends with the process.
    tokio::spawn(async move {
        for next in [Asked::Last, Asked::Now] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("no more runs are taken; a second signal ends what runs");
            asks.send_replace(next);
        }
    });
    let well = runner.run(args.once, asked).await?;
    Ok(if well { Exit::Well } else { Exit::Look })
}
