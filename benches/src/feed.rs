//! Feeds: what Parquet costs beside ingest, how fast it is written and how small, and what a selective query moves.
//!
//! Beside it pyarrow and DuckDB write the same rows, on one thread, with the same codec and level. They have them in
//! memory as columns, while daybook begins with the lines of its log; so its time to write columns alone is shown, too.
//! They are skipped where `python3` (or `DAYBOOK_BENCH_PYTHON`) lacks them (`pip install pyarrow duckdb==1.5.5
//! duckdb-extension-httpfs==1.5.5 pytz`).

use crate::clickhouse::python;
use crate::ingest::until_sealed;
use crate::mb;
use crate::server::{Server, own_cpu_seconds};
use crate::source::Source;
use anyhow::{Context as _, Result, bail};
use daybook_query::columnar::parquet::{Options, properties};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SCRIPT: &str = include_str!("../peers/parquet.py");

pub(crate) fn report(dir: &Path, source: &Source, producers: usize, quick: bool) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let rounds = if quick { 1 } else { 3 };
    let (mut with, mut without, mut thread, mut bytes, mut peak) = (0.0, 0.0, 0.0, 0, 0);
    let kept = dir.join("kept");
    for round in 0..rounds {
        let place = dir.join(format!("without-{round}"));
        let sealed = until_sealed(&place, source, producers, &["--no-parquet"])?;
        without += sealed.cpu;
        drop(sealed);
        std::fs::remove_dir_all(&place)?;
        if kept.exists() {
            std::fs::remove_dir_all(&kept)?;
        }
        let sealed = until_sealed(&kept, source, producers, &[])?;
        let feed = caught_up(&sealed.server)?;
        with += sealed.server.cpu_seconds()?;
        thread += feed["cpu_seconds"].as_f64().unwrap_or(0.0);
        bytes = feed["tables"][0]["bytes"].as_u64().unwrap_or(0);
        peak = sealed.server.memory_peak_mib()?;
    }
    let events = source.lines.len() as f64;
    let times = f64::from(rounds);
    println!(
        "feed       CPU until all is sealed and in the feed {:.2} s, without a feed {:.2} s: the feed takes {:.1} % of it ({:.1} % by its thread); {peak} MiB of memory at most",
        with / times,
        without / times,
        100.0 * (with - without) / with,
        100.0 * thread / with,
    );
    println!(
        "           written from the log at {:.0} rows and {:.1} MB of NDJSON per CPU second; {:.1} bytes an event",
        times * events / thread,
        times * mb(source.raw_bytes) / thread,
        bytes as f64 / events,
    );
    let table = kept.join("feeds/native/events");
    let (seconds, again) = columns_alone(&table, &dir.join("again.parquet"), rounds)?;
    println!(
        "           daybook, columns alone   {:>9.0} rows per CPU second, {:.1} bytes a row",
        events / seconds,
        again as f64 / events,
    );
    peers(&["write", &table.to_string_lossy(), &rounds.to_string()], |figures| {
        let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
        println!(
            "           {:<24} {:>9.0} rows per CPU second, {:.1} bytes a row",
            figures["name"].as_str().unwrap_or_default(),
            number("rows") / number("seconds"),
            number("bytes") / number("rows"),
        );
    })?;
    let server = write_again(&kept)?;
    peers(&["read", &server.url], |figures| {
        let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
        println!(
            "           one user, one day: DuckDB over HTTP moved {:.2} of {:.1} MB ({:.1} %) in {} files for {} rows, {:.0} ms",
            number("moved") / 1e6,
            number("bytes") / 1e6,
            100.0 * number("moved") / number("bytes"),
            figures["files"],
            figures["rows"],
            1000.0 * number("seconds"),
        );
    })
}

/// Has a feed written again from the log, while nothing else happens, and shows what memory that takes.
fn write_again(data: &Path) -> Result<Server> {
    let idle = Server::start(data, &["--no-parquet"])?;
    std::thread::sleep(Duration::from_secs(1));
    let without = idle.memory_held_mib()?;
    drop(idle);
    std::fs::remove_dir_all(data.join("feeds"))?;
    std::fs::remove_file(data.join("feeds.json"))?;
    let server = Server::start(data, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut most = 0;
    let mut last = Value::Null;
    // It may take minutes, and is the quicker the less it is asked.
    for attempt in 0..120_000 {
        most = most.max(server.memory_held_mib()?);
        if attempt % 100 == 0 {
            let url = format!("{}/v1/feeds", server.url);
            let text = runtime.block_on(async { reqwest::get(&url).await?.text().await })?;
            last = serde_json::from_str(&text)?;
            if last["items"][0]["behind"].as_u64() == Some(0) {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let files = last["items"][0]["tables"][0]["files"].as_u64().unwrap_or(0);
    println!(
        "           written again from the log, {files} files: {} MiB of memory more than without (target 256)",
        most.saturating_sub(without)
    );
    Ok(server)
}

/// Waits until the feed has all that is sealed; answers how it is doing.
fn caught_up(server: &Server) -> Result<Value> {
    for _ in 0..600 {
        let text = reqwest_get(&format!("{}/v1/feeds", server.url))?;
        let feeds: Value = serde_json::from_str(&text)?;
        let feed = &feeds["items"][0];
        if feed["behind"].as_u64() == Some(0) {
            return Ok(feed.clone());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("the feed did not catch up");
}

fn reqwest_get(url: &str) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async { reqwest::get(url).await?.text().await })?)
}

/// Writes the rows of a table's files again, from columns in memory, one file for all; answers the CPU seconds of the
/// quickest of some rounds, and the bytes.
fn columns_alone(table: &Path, out: &Path, rounds: u32) -> Result<(f64, u64)> {
    let mut batches = Vec::new();
    for path in files(table)? {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        for batch in reader.with_batch_size(8192).build()? {
            batches.push(batch?);
        }
    }
    let schema = batches.first().context("the table has no rows")?.schema();
    let mut quickest = f64::INFINITY;
    for _ in 0..rounds {
        let started = own_cpu_seconds()?;
        let options = Options { by_time: true, ..Options::default() };
        let file = File::create(out)?;
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(options)?))?;
        for batch in &batches {
            writer.write(batch)?;
        }
        writer.close()?;
        quickest = quickest.min(own_cpu_seconds()? - started);
    }
    Ok((quickest, std::fs::metadata(out)?.len()))
}

fn files(table: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(table)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs the script with arguments, and shows each of its lines.
fn peers(arguments: &[&str], show: impl Fn(&Value)) -> Result<()> {
    let mut child = Command::new(python())
        .arg("-")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't start Python")?;
    child.stdin.take().context("Python has no input")?.write_all(SCRIPT.as_bytes())?;
    let output = child.wait_with_output()?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        show(&serde_json::from_str(line)?);
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        println!("           skipped: {}", said.lines().last().unwrap_or("Python failed"));
    }
    Ok(())
}
