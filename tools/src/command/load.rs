//! `daybook load`: many producers against a server, and how it bears them.
//!
//! Each producer sends its own sessions' events, batch after batch, and waits for each ack. With
//! `--rate` a latency counts from the moment when the batch was due, not from when it could at last be
//! sent, so that a slow server cannot hide behind its own queue. A server that is busy or away is waited
//! for as every client here does ([`crate::client`]); the wait is part of the latency.

use crate::cli::Exit;
use crate::client::{Client, Receipt};
use crate::load::{Pool, Searchable, searchable};
use crate::output::{self, bytes, count};
use crate::source::ServerArgs;
use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The arguments of `daybook load`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// How many producers send at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    producers: u32,
    /// Events per second of all producers together; `max` for as fast as they are acked
    #[arg(long, default_value = "max", value_parser = parse_rate)]
    rate: Rate,
    /// How long, in seconds
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    duration: f64,
    /// Events per request
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// How many sessions go on at once
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sessions: u32,
    /// Send the events of this NDJSON file (also .gz, .zst), each time as new sessions
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Also measure how long after its ack an event is found by a search
    #[arg(long)]
    check_searchable: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Events per second, or as many as are taken.
#[derive(Clone, Copy, Debug)]
enum Rate {
    Max,
    PerSecond(f64),
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate::Max);
    }
    match text.replace(['_', ','], "").parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(Rate::PerSecond(rate)),
        _ => Err(format!("`{text}` is neither `max` nor a number of events per second")),
    }
}

/// Percentiles of a latency, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p99_9_ms: f64,
    max_ms: f64,
}

impl Percentiles {
    /// Of a histogram of microseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Percentiles {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Percentiles {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: histogram.max() as f64 / 1000.0,
        }
    }

    fn line(&self) -> String {
        format!(
            "p50 {:.2} ms · p90 {:.2} · p99 {:.2} · p99.9 {:.2} · max {:.2}",
            self.p50_ms, self.p90_ms, self.p99_ms, self.p99_9_ms, self.max_ms
        )
    }
}

#[derive(Debug, Serialize)]
struct Report {
    seconds: f64,
    producers: u32,
    batch: u32,
    requests: u64,
    events: u64,
    bytes: u64,
    events_per_second: f64,
    bytes_per_second: f64,
    duplicates: u64,
    rejected: u64,
    waits: u64,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
    ack: Percentiles,
    #[serde(skip_serializing_if = "Option::is_none")]
    searchable: Option<Percentiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    searches: Option<u64>,
}

/// What one producer saw.
struct Seen {
    acks: Histogram<u64>,
    requests: u64,
    bytes: u64,
    total: Receipt,
    rejected: u64,
    waits: u64,
    errors: u64,
    first_error: Option<String>,
}

/// A histogram of microseconds up to ten minutes, to three digits.
///
/// # Errors
/// None with these bounds.
pub fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000, 3).context("can't make a histogram")
}

/// Runs the command.
///
/// # Errors
/// A server that can't be reached, or a file that can't be read.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    client.get("/healthz", &[]).await.map(drop).or_else(not_json)?;
    let (from, sessions) = (args.from.clone(), args.sessions);
    let pool = tokio::task::spawn_blocking(move || match from {
        Some(path) => Pool::read(&path, sessions as usize),
        None => Pool::generate(sessions as usize),
    });
    let pool = Arc::new(pool.await.context("the reading thread broke")??);
    let seconds = args.duration.clamp(0.1, 86_400.0);
    if !quiet && !args.json {
        eprintln!(
            "{} producers, {} sessions of {} events, for {seconds} s against {}",
            args.producers,
            count(pool.sessions() as u64),
            count(pool.events() as u64),
            client.base()
        );
    }
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let probe = args.check_searchable.then(|| tokio::spawn(searchable(client.clone(), end)));
    let producers: Vec<_> = (0..args.producers)
        .map(|number| {
            let plan = Plan {
                number,
                of: args.producers,
                batch: args.batch,
                rate: match args.rate {
                    Rate::Max => None,
                    Rate::PerSecond(all) => Some(all / f64::from(args.producers)),
                },
                start,
                end,
            };
            tokio::spawn(produce(client.clone(), Arc::clone(&pool), plan))
        })
        .collect();
    let mut seen = Vec::new();
    for producer in producers {
        seen.push(producer.await.context("a producer broke")??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    let found = match probe {
        Some(probe) => Some(probe.await.context("the search probe broke")??),
        None => None,
    };
    let report = sum(&args, elapsed, seen, found)?;
    show(&report, args.json)?;
    Ok(if report.errors + report.rejected == 0 { Exit::Well } else { Exit::Look })
}

/// A health check that answers in words is well too.
fn not_json(error: anyhow::Error) -> anyhow::Result<()> {
    if error.to_string().contains("not JSON") { Ok(()) } else { Err(error) }
}

/// What one producer does.
struct Plan {
    number: u32,
    of: u32,
    batch: u32,
    /// Events per second, unless as many as are taken.
    rate: Option<f64>,
    start: Instant,
    end: Instant,
}

async fn produce(client: Client, pool: Arc<Pool>, plan: Plan) -> anyhow::Result<Seen> {
    let mut lines = pool.producer(plan.number as usize, plan.of as usize);
    let mut seen = Seen {
        acks: histogram()?,
        requests: 0,
        bytes: 0,
        total: Receipt::default(),
        rejected: 0,
        waits: 0,
        errors: 0,
        first_error: None,
    };
    let mut sent = 0u64;
    loop {
        let mut due = Instant::now();
        if let Some(rate) = plan.rate {
            // Producers start spread over one interval, not in step.
            let interval = f64::from(plan.batch) / rate;
            let phase = interval * f64::from(plan.number) / f64::from(plan.of);
            due = plan.start + Duration::from_secs_f64(phase + sent as f64 / rate);
            tokio::time::sleep_until(due.min(plan.end)).await;
        }
        if Instant::now() >= plan.end {
            return Ok(seen);
        }
        let batch = lines.batch(plan.batch as usize);
        let size = batch.len() as u64;
        match client.send(batch, Duration::from_secs(60)).await {
            Ok((receipt, waits)) => {
                let micros = due.elapsed().as_micros() as u64;
                seen.acks.saturating_record(micros.max(1));
                seen.bytes += size;
                seen.waits += u64::from(waits);
                seen.total.accepted += receipt.accepted;
                seen.total.duplicates += receipt.duplicates;
                seen.rejected += receipt.refused();
                if let Some(refusal) = receipt.rejected.into_iter().next() {
                    seen.first_error.get_or_insert(refusal.error);
                }
            }
            Err(error) => {
                seen.errors += 1;
                seen.first_error.get_or_insert(format!("{error:#}"));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        seen.requests += 1;
        sent += u64::from(plan.batch);
    }
}

fn sum(
    args: &Args,
    seconds: f64,
    seen: Vec<Seen>,
    found: Option<Searchable>,
) -> anyhow::Result<Report> {
    let mut acks = histogram()?;
    let mut report = Report {
        seconds,
        producers: args.producers,
        batch: args.batch,
        requests: 0,
        events: 0,
        bytes: 0,
        events_per_second: 0.0,
        bytes_per_second: 0.0,
        duplicates: 0,
        rejected: 0,
        waits: 0,
        errors: 0,
        first_error: None,
        ack: Percentiles::default(),
        searchable: found.as_ref().map(|f| Percentiles::of(&f.times)),
        searches: found.as_ref().map(|f| f.times.len()),
    };
    for one in seen {
        acks.add(&one.acks).context("can't add histograms")?;
        report.requests += one.requests;
        report.events += one.total.accepted;
        report.bytes += one.bytes;
        report.duplicates += one.total.duplicates;
        report.rejected += one.rejected;
        report.waits += one.waits;
        report.errors += one.errors;
        report.first_error = report.first_error.or(one.first_error);
    }
    if let Some(found) = found {
        report.errors += found.errors;
        report.first_error = report.first_error.or(found.first_error);
    }
    report.events_per_second = report.events as f64 / seconds;
    report.bytes_per_second = report.bytes as f64 / seconds;
    report.ack = Percentiles::of(&acks);
    Ok(report)
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        output::print_json(report)?;
        return Ok(());
    }
    let mut text = format!(
        "{} events in {:.1} s: {} events/s, {}/s, {} requests\nack        {}\n",
        count(report.events),
        report.seconds,
        count(report.events_per_second as u64),
        bytes(report.bytes_per_second as u64),
        count(report.requests),
        report.ack.line()
    );
    if let Some(found) = report.searchable {
        let searches = report.searches.unwrap_or(0);
        text.push_str(&format!("ack→found  {} ({searches} searches)\n", found.line()));
    }
    text.push_str(&format!(
        "{} errors, {} rejected, {} duplicates, {} waits for a server that was busy or away\n",
        report.errors, report.rejected, report.duplicates, report.waits
    ));
    if let Some(error) = &report.first_error {
        text.push_str(&format!("first: {}\n", output::clean::line(error)));
    }
    output::print(&text)?;
    Ok(())
}
