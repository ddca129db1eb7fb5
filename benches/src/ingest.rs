//! Ingest through the real server: how fast, at what cost, how soon acknowledged, how soon found.

use crate::mb;
use crate::server::Server;
use crate::source::Source;
use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const BODY_BYTES: usize = 1 << 20;

/// Appends everything with the text index off and nothing sealed: what HTTP, parsing and the journal
/// cost.
pub(crate) fn journal_only(dir: &Path, source: &Source, producers: usize) -> Result<()> {
    let server =
        Server::start(dir, &["--no-text-index", "--no-parquet", "--journal-bytes", "8GiB"])?;
    let run = Run::load(&server, source.bodies(producers, BODY_BYTES))?;
    let cpu = server.cpu_seconds()?;
    let stats = stats(&server)?;
    let journal = stats["cpu_seconds"]["journal"].as_f64().unwrap_or(0.0);
    println!(
        "journal    index off: {:.1} MB/s of raw NDJSON, {:.1} MB per CPU second of the server ({:.2} s CPU: journal {:.2}, HTTP and parsing {:.2}); {:.0} events/s",
        mb(source.raw_bytes) / run.seconds,
        mb(source.raw_bytes) / cpu,
        cpu,
        journal,
        cpu - journal,
        source.lines.len() as f64 / run.seconds,
    );
    Ok(())
}

/// What loading everything until all is sealed took.
pub(crate) struct Sealed {
    pub server: Server,
    pub run: Run,
    /// CPU seconds of the server, all stages.
    pub cpu: f64,
    pub stats: Value,
}

/// Loads everything and waits until it is sealed.
pub(crate) fn until_sealed(
    dir: &Path,
    source: &Source,
    producers: usize,
    flags: &[&str],
) -> Result<Sealed> {
    // Small journals, so that sealing runs beside ingest; the last one is sealed for its age.
    let flags = [&["--journal-bytes", "64MiB", "--journal-age", "20s"], flags].concat();
    let server = Server::start(dir, &flags)?;
    let run = Run::load(&server, source.bodies(producers, BODY_BYTES))?;
    let mut waited = 0;
    loop {
        let now = stats(&server)?;
        if now["journal_bytes"].as_u64() == Some(0) {
            break;
        }
        waited += 1;
        if waited > 120 {
            bail!("not everything was sealed: {now}");
        }
        // Seldom: counting what is stored costs the server CPU time that is not ingest's.
        std::thread::sleep(Duration::from_secs(1));
    }
    let cpu = server.cpu_seconds()?;
    let stats = stats(&server)?;
    if stats["events"].as_u64() != Some(source.lines.len() as u64) {
        bail!("{} events were sent, {} are there", source.lines.len(), stats["events"]);
    }
    Ok(Sealed { server, run, cpu, stats })
}

/// Loads everything with everything on and waits until it is sealed; answers events per second.
pub(crate) fn sustained(dir: &Path, source: &Source, producers: usize) -> Result<f64> {
    let Sealed { server, run, cpu, stats } = until_sealed(dir, source, producers, &[])?;
    // What the machine can keep up with for ever: all its cores busy with all stages.
    let cores = std::thread::available_parallelism()?.get() as f64;
    let rate = source.lines.len() as f64 / cpu * cores;
    println!(
        "sustained  everything on: {:.1} MB per CPU second of the server until all is sealed, so {rate:.0} events/s on {cores} cores; a burst went in at {:.1} MB/s",
        mb(source.raw_bytes) / cpu,
        mb(source.raw_bytes) / run.seconds,
    );
    print!("           CPU {cpu:.2} s:");
    let mut named = 0.0;
    for stage in ["journal", "index", "merkle", "merge", "seal"] {
        let seconds = stats["cpu_seconds"][stage].as_f64().unwrap_or(0.0);
        named += seconds;
        print!(" {stage} {:.0} %,", 100.0 * seconds / cpu);
    }
    // tantivy indexes on a thread of its own, which counts here.
    println!(" HTTP, parsing, the feed and tantivy's thread {:.0} %", 100.0 * (cpu - named) / cpu);
    println!("           ack under full load: {}", percentiles(&run.acks));
    println!(
        "           stored {:.3} of the raw NDJSON ({}); memory at most {} MiB",
        stats["stored_bytes"].as_u64().unwrap_or(0) as f64 / source.raw_bytes as f64,
        stored_by_kind(dir, source.raw_bytes)?,
        server.memory_peak_mib()?,
    );
    Ok(rate)
}

/// Sends at a rate and measures acknowledgements, and the time until an event can be found.
pub(crate) fn latency(
    dir: &Path,
    source: &Source,
    producers: usize,
    events_per_second: f64,
    quick: bool,
) -> Result<()> {
    let server = Server::start(dir, &[])?;
    let seconds = if quick { 2.0 } else { 15.0 };
    let events = ((events_per_second * seconds) as usize).min(source.lines.len());
    // Small bodies, as a proxy sends them: what happened in the last moment.
    let mut bodies = source.bodies(producers, 32 << 10);
    let total: u64 = bodies.iter().flatten().map(|(_, n)| n).sum();
    let share = events as f64 / total as f64;
    for mine in &mut bodies {
        mine.truncate(((mine.len() as f64 * share) as usize).max(1));
    }
    let url = server.url.clone();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let halt = Arc::clone(&stop);
    let prober = std::thread::spawn(move || probe(&url, &halt));
    let run = Run::load_at(&server, bodies, Some(events_per_second))?;
    stop.store(true, std::sync::atomic::Ordering::Release);
    let found = prober.join().map_err(|_| anyhow::anyhow!("the prober failed"))??;
    println!(
        "latency    at half the sustained rate ({:.0} events/s): ack {}",
        run.events as f64 / run.seconds,
        percentiles(&run.acks)
    );
    println!("           ack to found by a search: {}", percentiles(&found));
    Ok(())
}

/// Sends one event after the other with a word of its own and searches for it.
fn probe(url: &str, stop: &std::sync::atomic::AtomicBool) -> Result<Histogram<u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let mut found = Histogram::new(3)?;
        let mut i = 0;
        while !stop.load(std::sync::atomic::Ordering::Acquire) {
            let word = format!("needle{}x{i}", std::process::id());
            let time = daybook_engine::event::Micros::now();
            let line = format!(
                r#"{{"session":"probe","seq":{i},"time":"{time}","kind":"command","input":"select '{word}'","verdict":"passed"}}"#
            );
            send(&client, url, line).await?;
            let acked = Instant::now();
            loop {
                let answer: Value =
                    client.get(format!("{url}/v1/search?limit=1&q={word}")).send().await?.json().await?;
                if answer["items"].as_array().is_some_and(|items| !items.is_empty()) {
                    break;
                }
            }
            found.record(acked.elapsed().as_micros() as u64)?;
            i += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(found)
    })
}

/// How loading went.
pub(crate) struct Run {
    pub seconds: f64,
    events: u64,
    acks: Histogram<u64>,
}

impl Run {
    pub(crate) fn load(server: &Server, bodies: Vec<Vec<(String, u64)>>) -> Result<Run> {
        Run::load_at(server, bodies, None)
    }

    /// Sends each producer's bodies one after the other, at a common rate if there is one.
    fn load_at(server: &Server, bodies: Vec<Vec<(String, u64)>>, rate: Option<f64>) -> Result<Run> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let events = bodies.iter().flatten().map(|(_, n)| n).sum();
        let producers = bodies.len() as f64;
        runtime.block_on(async {
            let acks = Arc::new(Mutex::new(Histogram::new(3)?));
            let started = Instant::now();
            let mut tasks = Vec::new();
            for mine in bodies {
                let (url, acks) = (server.url.clone(), Arc::clone(&acks));
                tasks.push(tokio::spawn(async move {
                    let client = reqwest::Client::new();
                    let mut due = started;
                    for (body, events) in mine {
                        if let Some(rate) = rate {
                            tokio::time::sleep_until(due.into()).await;
                            due += Duration::from_secs_f64(events as f64 * producers / rate);
                        }
                        let sent = Instant::now();
                        send(&client, &url, body).await?;
                        acks.lock().await.record(sent.elapsed().as_micros() as u64)?;
                    }
                    anyhow::Ok(())
                }));
            }
            for task in tasks {
                task.await??;
            }
            let seconds = started.elapsed().as_secs_f64();
            let acks = acks.lock().await.clone();
            Ok(Run { seconds, events, acks })
        })
    }
}

/// Sends a body until the server takes it.
pub(crate) async fn send(client: &reqwest::Client, url: &str, body: String) -> Result<()> {
    loop {
        let answer = client.post(format!("{url}/v1/events")).body(body.clone()).send().await?;
        if answer.status().as_u16() == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let status = answer.status();
        let value: Value = answer.json().await?;
        if !status.is_success() || value["rejected"].as_array().is_some_and(|r| !r.is_empty()) {
            bail!("the server answered {status}: {value}");
        }
        return Ok(());
    }
}

/// What the server says of itself.
pub(crate) fn stats(server: &Server) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let url = format!("{}/v1/stats", server.url);
    runtime.block_on(async { reqwest::get(url).await?.json().await.context("stats") })
}

fn percentiles(times: &Histogram<u64>) -> String {
    let ms = |q: f64| times.value_at_quantile(q) as f64 / 1e3;
    format!(
        "p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} samples)",
        ms(0.5),
        ms(0.9),
        ms(0.99),
        times.max() as f64 / 1e3,
        times.len()
    )
}

/// What each kind of file takes, as a share of the raw bytes.
fn stored_by_kind(dir: &Path, raw_bytes: u64) -> Result<String> {
    let parts: Vec<String> = bytes_by_kind(dir)?
        .into_iter()
        .filter(|(_, bytes)| *bytes as f64 > raw_bytes as f64 * 0.0005)
        .map(|(kind, bytes)| format!("{kind} {:.3}", bytes as f64 / raw_bytes as f64))
        .collect();
    Ok(parts.join(", "))
}

/// The bytes of each kind of file in a data directory.
pub(crate) fn bytes_by_kind(dir: &Path) -> Result<BTreeMap<String, u64>> {
    fn walk(dir: &Path, kind: Option<&str>, sums: &mut BTreeMap<String, u64>) -> Result<()> {
        for entry in std::fs::read_dir(dir)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let meta = entry.metadata()?;
            if meta.is_dir() {
                let named = ["text", "catalog", "journal"].contains(&name.as_str());
                walk(&entry.path(), kind.or(named.then_some(name.as_str())), sums)?;
            } else {
                *sums.entry(kind.unwrap_or(&name).to_owned()).or_default() += meta.len();
            }
        }
        Ok(())
    }
    let mut sums = BTreeMap::new();
    walk(dir, None, &mut sums)?;
    Ok(sums)
}
