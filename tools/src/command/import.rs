//! `daybook import`: files into a server or straight into a data directory.
//!
//! What a file is (daybook's NDJSON, or what another system recorded) is told by its content
//! ([`crate::foreign`]). A thread reads, unpacks and cuts files into batches of about a mebibyte; several batches are on
//! their way at once. A server that goes away meanwhile is waited for. An event that is there already is
//! not stored again, so a run that broke is run again from the start.

use crate::asciicast::Labels;
use crate::cli::Exit;
use crate::client::Receipt;
use crate::foreign::read_io_log;
use crate::import::{Chunk, Chunks, Input, inputs, open};
use crate::output::{self, count};
use crate::source::Sink;
use anyhow::Context as _;
use daybook_engine::event::Micros;
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The arguments of `daybook import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: crate::source::TargetArgs,
    /// How many batches may be on their way at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Who was recorded, if it is not in the files, or instead
    #[arg(long)]
    user: Option<String>,
    /// Through which resource role
    #[arg(long)]
    role: Option<String>,
    /// The role's type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Files to load, and directories with sudo's I/O logs; - is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// How many rejected lines are named.
const NAMED: usize = 10;

#[derive(Debug, Default, Serialize)]
struct Summary {
    files: u64,
    lines: u64,
    bytes: u64,
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    /// Lines of recordings that could not be read.
    skipped: u64,
    seconds: f64,
    first_rejected: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Named {
    file: String,
    line: u64,
    error: String,
}

impl Summary {
    fn name(&mut self, path: &Path, line: u64, error: &str) {
        if self.first_rejected.len() < NAMED {
            let file = path.display().to_string();
            self.first_rejected.push(Named { file, line, error: error.to_owned() });
        }
    }

    fn add(&mut self, chunk: &Chunk, receipt: &Receipt) {
        self.lines += chunk.lines;
        self.bytes += chunk.bytes.len() as u64;
        self.accepted += receipt.accepted;
        self.duplicates += receipt.duplicates;
        self.rejected += receipt.refused();
        for refusal in &receipt.rejected {
            self.name(
                &chunk.path,
                chunk.first_line + refusal.line.saturating_sub(1),
                &refusal.error,
            );
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A file that can't be read, or a server or directory that can't take it.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let sink = Sink::open(&args.target).await?;
    if let Sink::Server(client) = &sink {
        // A wrong address is said at once; later a server that is away is waited for.
        client.open("/healthz", &[]).await?;
    }
    let bar = progress(&args.files, quiet || args.json);
    let (sender, receiver) = mpsc::channel(usize::from(args.concurrency));
    let labels = Labels {
        user: args.user.clone(),
        role: args.role.clone(),
        kind: args.kind.clone(),
        ..Labels::default()
    };
    let inputs = inputs(&args.files)?;
    let count_inputs = inputs.len() as u64;
    let reader_bar = bar.clone();
    let reader = tokio::task::spawn_blocking(move || read(&inputs, &labels, &sender, &reader_bar));
    let mut summary = Summary::default();
    let sent = send(&sink, receiver, usize::from(args.concurrency), &mut summary).await;
    bar.finish_and_clear();
    // A reader that stopped because nobody takes its batches has nothing to say.
    let read = reader.await.context("the reading thread broke")?;
    sent?;
    let closed = sink.close().await;
    for (path, line, what) in read? {
        summary.skipped += 1;
        summary.name(&path, line, &what);
    }
    closed?;
    summary.files = count_inputs;
    summary.seconds = started.elapsed().as_secs_f64();
    report(&summary, args.json, quiet)?;
    Ok(if summary.rejected + summary.skipped == 0 { Exit::Well } else { Exit::Look })
}

type Unread = Vec<(PathBuf, u64, String)>;

fn read(
    inputs: &[Input],
    labels: &Labels,
    sender: &mpsc::Sender<Chunk>,
    bar: &ProgressBar,
) -> anyhow::Result<Unread> {
    let mut unread = Vec::new();
    let mut before = 0;
    for input in inputs {
        let (path, mut chunks, read) = match input {
            Input::File(path) => {
                let opened =
                    open(path).with_context(|| format!("can't open {}", path.display()))?;
                let read = std::sync::Arc::clone(&opened.read);
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
                let name = name.unwrap_or_default();
                bar.set_message(name.clone());
                let labels = Labels { file: name, started: written(path), ..labels.clone() };
                (path, Chunks::new(path, opened, &labels)?, Some(read))
            }
            Input::IoLog { dir, named } => {
                bar.set_message(dir.display().to_string());
                match read_io_log(dir, labels) {
                    Ok(found) => (dir, Chunks::of(dir, found), None),
                    Err(error) if *named => return Err(error),
                    Err(error) => {
                        unread.push((dir.clone(), 1, format!("{error:#}")));
                        continue;
                    }
                }
            }
        };
        let read = || read.as_ref().map_or(0, |read| read.load(Ordering::Relaxed));
        while let Some(chunk) = chunks.next_chunk()? {
            if sender.blocking_send(chunk).is_err() {
                return Ok(unread);
            }
            bar.set_position(before + read());
        }
        before += read();
        unread.extend(chunks.skipped.drain(..).map(|(line, what)| (path.clone(), line, what)));
    }
    Ok(unread)
}

/// When a file was last written.
fn written(path: &Path) -> Micros {
    let time = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or_else(Micros::now, |d| Micros(i64::try_from(d.as_micros()).unwrap_or(0)))
}

async fn send(
    sink: &Sink,
    receiver: mpsc::Receiver<Chunk>,
    concurrency: usize,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let mut acks = std::pin::pin!(
        chunks
            .map(|chunk| async move {
                let result = sink.send(chunk.bytes.clone(), Duration::from_secs(300)).await;
                (chunk, result)
            })
            .buffer_unordered(concurrency)
    );
    while let Some((chunk, result)) = acks.next().await {
        let receipt = result.with_context(|| {
            let last = chunk.first_line + chunk.lines - 1;
            format!("{}:{}-{last} was not stored", chunk.path.display(), chunk.first_line)
        })?;
        summary.add(&chunk, &receipt);
    }
    Ok(())
}

fn progress(files: &[PathBuf], hidden: bool) -> ProgressBar {
    if hidden || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let total = files.iter().filter_map(|f| std::fs::metadata(f).ok()).map(|m| m.len()).sum();
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template(
        "{msg:24!} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
    );
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn report(summary: &Summary, json: bool, quiet: bool) -> anyhow::Result<()> {
    if json {
        output::print_json(summary)?;
        return Ok(());
    }
    for named in &summary.first_rejected {
        eprintln!("{}:{}: {}", named.file, named.line, output::clean::line(&named.error));
    }
    let unnamed =
        (summary.rejected + summary.skipped).saturating_sub(summary.first_rejected.len() as u64);
    if unnamed > 0 {
        eprintln!("... and {} more", count(unnamed));
    }
    if quiet {
        return Ok(());
    }
    let mut line = format!(
        "{} accepted, {} duplicates, {} rejected",
        count(summary.accepted),
        count(summary.duplicates),
        count(summary.rejected)
    );
    if summary.skipped > 0 {
        line.push_str(&format!(", {} unreadable", count(summary.skipped)));
    }
    let rate = summary.bytes as f64 / summary.seconds.max(1e-6);
    output::print(&format!(
        "{line} · {} in {} ({}/s)\n",
        output::bytes(summary.bytes),
        output::duration_ms((summary.seconds * 1000.0) as u64),
        output::bytes(rate as u64)
    ))?;
    Ok(())
}
