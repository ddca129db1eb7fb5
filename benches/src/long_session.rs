//! One very long session, read page by page while it still runs: its events are in sealed segments and
//! in the journal, half of them out of order.

use crate::reads::times;
use crate::server::Server;
use anyhow::Result;
use daybook_engine::event::Micros;
use daybook_engine::{Batch, Engine, Options};
use std::path::Path;
use std::time::Duration;

/// Bytes of an event's output.
const OUTPUT_BYTES: usize = 2_000;
const START_US: i64 = 1_772_000_000_000_000;
const STEP_US: i64 = 100_000;
const ROUNDS: usize = 60;

/// Makes a session of about so many bytes, and measures its first, middle and last page.
pub(crate) fn report(dir: &Path, bytes: u64) -> Result<()> {
    let options = Options { text_index: false, ..Options::default() };
    let engine = Engine::open(dir, options)?;
    let filler: String = (0..OUTPUT_BYTES / 10).map(|i| format!("{:08x} \\n", i * 7_919)).collect();
    let (mut batch, mut sent, mut seq) = (Batch::new(), 0, 0_u32);
    while sent < bytes {
        // Two connections, one of them a little behind: pairs arrive the other way round.
        let number = seq ^ 1;
        let time = Micros(START_US + i64::from(number) * STEP_US);
        let line = format!(
            r#"{{"session":"long","seq":{number},"time":"{time}","kind":"command","input":"select {number}","verdict":"passed","output":"{filler}{number}"}}"#
        );
        batch.push(0, line.as_bytes()).map_err(anyhow::Error::msg)?;
        sent += line.len() as u64;
        seq += 1;
        if batch.bytes() > 4 << 20 {
            engine.append_blocking(std::mem::take(&mut batch))?;
        }
    }
    engine.append_blocking(batch)?;
    // What is full is sealed before anything is measured; the newest journal stays as it is.
    while engine.stats()?.journals > 1 {
        std::thread::sleep(Duration::from_millis(200));
    }
    let segments = engine.stats()?.segments;
    engine.close()?;
    drop(engine);
    let server = Server::start(dir, &["--no-text-index", "--no-parquet"])?;
    let before = server.memory_mib()?;
    let middle = Micros(START_US + i64::from(seq / 2) * STEP_US);
    println!(
        "long       one session of {:.1} GB, {seq} events, {segments} segments; {before} MiB of memory at the start",
        sent as f64 / 1e9
    );
    for (name, query) in [
        ("first page", String::new()),
        ("middle, by time", format!("&at={middle}")),
        ("last page", "&direction=backward".to_owned()),
        ("a search in it", "&q=%22select%20777%22".to_owned()),
    ] {
        let path = format!("/v1/sessions/long/timeline?limit=100{query}");
        let (p50, p95, page) = times(&server, &path, ROUNDS)?;
        println!(
            "           {name:<16} p50 {p50:>6.1} ms, p95 {p95:>6.1} ms ({} items), {} MiB of memory",
            page["items"].as_array().map_or(0, Vec::len),
            server.memory_mib()?
        );
    }
    println!("           {} MiB of memory at most", server.memory_peak_mib()?);
    Ok(())
}
