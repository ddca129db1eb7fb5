//! Deleting what is past its age: whole segments cost the same whatever they hold.

use anyhow::Result;
use daybook_engine::event::Micros;
use daybook_engine::retention::{Keep, Policy};
use daybook_engine::{Batch, Engine, Options};
use std::path::Path;
use std::time::Instant;

/// Segments of more and more events, then of more and more sessions, deleted in one pass each.
pub(crate) fn report(dir: &Path, quick: bool) -> Result<()> {
    let segments = if quick { 5 } else { 31 };
    let most = if quick { 1_000 } else { 100_000 };
    let sizes = [(100, 20), (1_000, 20), (10_000, 20), (100_000, 20), (10_000, 2_000)];
    for (at, (events, sessions)) in sizes.into_iter().enumerate() {
        let (events, sessions) = (events.min(most), sessions.min(most));
        let dir = dir.join(at.to_string());
        let (ms, bytes) = month(&dir, segments, events, sessions)?;
        println!(
            "retention  {segments} segments of {events} events in {sessions} sessions ({:.1} MB): {ms:.1} ms a segment",
            super::mb(bytes)
        );
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// Seals segments and deletes them all; answers the milliseconds a segment, and their bytes.
fn month(dir: &Path, segments: u64, events: u64, sessions: u64) -> Result<(f64, u64)> {
    // Nothing is sealed, merged or deleted but when this says so.
    let options = Options {
        index_heap_bytes: 16 << 20,
        journal_bytes_max: u64::MAX,
        retention_interval: None,
        merge: false,
        ..Options::default()
    };
    let engine = Engine::open(dir, options)?;
    for segment in 0..segments {
        let mut batch = Batch::new();
        for n in 0..events {
            let line = format!(
                r#"{{"session":"s{segment}-{}","seq":{},"time":"2026-03-01T09:00:00Z","kind":"command","input":"select {n} from cards where owner = 'somebody'","verdict":"passed"}}"#,
                n % sessions,
                n / sessions
            );
            batch.push(0, line.as_bytes()).map_err(anyhow::Error::msg)?;
            if batch.bytes() > 4 << 20 {
                engine.append_blocking(std::mem::take(&mut batch))?;
            }
        }
        engine.append_blocking(batch)?;
        engine.seal_now()?;
    }
    let policy = Policy { default: Keep::Seconds(1), ..Policy::default() };
    engine.set_policy(policy, "bench@example.com")?;
    let tomorrow = Micros(Micros::now().0 + 86_400_000_000);
    let started = Instant::now();
    let report = engine.retain(tomorrow, "bench@example.com")?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    anyhow::ensure!(report.failed.is_empty(), "{:?}", report.failed);
    let bytes = report.gone.iter().map(|gone| gone.bytes).sum();
    Ok((ms / report.gone.len().max(1) as f64, bytes))
}
