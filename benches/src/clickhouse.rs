//! ClickHouse beside daybook, as chDB has it in a process of Python's: a row for each event, a text index over
//! its texts, every insert synced. It is told where the producers are in the same process, so there is no HTTP
//! between them, and no check for what was stored before.
//!
//! It is skipped where `python3` (or `DAYBOOK_BENCH_PYTHON`) has no `chdb` (`pip install chdb`).

use crate::outcome::Outcome;
use crate::postgres::texts;
use crate::source::Source;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SCRIPT: &str = include_str!("../peers/clickhouse.py");

/// The Python that has it, or may have.
pub(crate) fn python() -> OsString {
    std::env::var_os("DAYBOOK_BENCH_PYTHON").unwrap_or_else(|| "python3".into())
}

/// Whether it is there.
pub(crate) fn installed() -> bool {
    let there = Command::new(python()).args(["-c", "import chdb"]).stderr(Stdio::null()).status();
    there.is_ok_and(|status| status.success())
}

/// Reports a few numbers of producers and sizes of batch.
pub(crate) fn report(dir: &Path, source: &Source, quick: bool) -> Result<()> {
    if !installed() {
        println!("clickhouse chDB is not installed (pip install chdb): skipped");
        return Ok(());
    }
    let (seconds, runs): (_, &[&str]) = match quick {
        true => ("0.3", &["1:1", "8:100"]),
        false => ("4", &["1:1", "8:1", "64:1", "8:100", "64:100", "8:1000"]),
    };
    std::fs::create_dir_all(dir)?;
    let mut rows = String::new();
    for line in source.lines.iter().take(20_000) {
        writeln!(rows, "{}", serde_json::json!({"line": line, "body": texts(line)}))?;
    }
    let lines = dir.join("lines.ndjson");
    std::fs::write(&lines, rows)?;
    let mut child = Command::new(python())
        .args(["-c", SCRIPT])
        .args([&lines, &dir.join("data")])
        .arg(seconds)
        .args(runs)
        .stdout(Stdio::piped())
        .spawn()?;
    Outcome::print_head("clickhouse");
    let stdout = child.stdout.take().context("it has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        let fields: Vec<f64> = line.split_whitespace().filter_map(|f| f.parse().ok()).collect();
        let [producers, batch, events, bytes, took, cpu, p50, p99, p999] = fields[..] else {
            println!("{line}");
            continue;
        };
        let outcome = Outcome {
            events: events as u64,
            bytes: bytes as u64,
            took: Duration::from_secs_f64(took),
            cpu,
            acks_ms: [p50, p99, p999],
        };
        outcome.print(producers as usize, batch as usize);
    }
    let status = child.wait()?;
    ensure!(status.success(), "clickhouse.py failed: {status}");
    Ok(())
}
