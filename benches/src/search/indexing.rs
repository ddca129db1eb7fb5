//! The text index alone: daybook's and tantivy's own over the same texts, each on one thread with as much memory,
//! committed once. They take turns, so that a machine whose speed changes is as fast for both.

use super::generate::Stream;
use crate::ingest::bytes_by_kind;
use crate::mb;
use crate::server::own_cpu_seconds;
use crate::tantivy_alone;
use anyhow::Result;
use daybook_engine::disk::{RealDisk, SharedDisk};
use daybook_engine::event::Offset;
use daybook_engine::event::number::Numbers;
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use daybook_engine::screen::Glimpse;
use daybook_engine::text::{TextSource, TextWriter, merge_into};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// So much text is indexed: it is held in memory.
const TEXT_BYTES: u64 = 100_000_000;

/// So often all of it is indexed by each.
const ROUNDS: usize = 3;

/// What indexing came to, in all rounds.
#[derive(Default)]
struct Indexed {
    cpu: f64,
    seconds: f64,
    bytes: u64,
}

/// Prints both, and how they compare.
pub(crate) fn report(dir: &Path, stream: &Stream) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let (mut lines, mut text_bytes) = (Vec::new(), 0);
    for row in stream.rows() {
        if text_bytes >= TEXT_BYTES {
            break;
        }
        text_bytes += row.text_bytes;
        lines.push(row.line);
    }
    let events: Vec<Event<'_>> =
        lines.iter().filter_map(|line| Event::decode(line.as_bytes()).ok()).collect();
    let texts = events
        .iter()
        .map(|event| Texts::of(event).iter().map(|(_, text)| text.to_owned()).collect());
    let texts: Vec<Vec<String>> = texts.collect();
    let mut all = [Indexed::default(), Indexed::default(), Indexed::default()];
    let mut by_cpu = Vec::new();
    for round in 0..ROUNDS {
        let dir = dir.join(round.to_string());
        std::fs::create_dir_all(&dir)?;
        let (written, sealed) = daybook(&dir, &events)?;
        let (cpu, seconds, bytes) = tantivy_alone::index(&dir.join("tantivy"), texts.clone())?;
        by_cpu.push(format!("{:.2}", cpu / written.cpu));
        for (sum, one) in all.iter_mut().zip([written, sealed, Indexed { cpu, seconds, bytes }]) {
            sum.add(&one);
        }
        std::fs::remove_dir_all(&dir)?;
    }
    let [written, sealed, tantivy] = all;
    println!(
        "           indexing alone: {} events, {:.1} MB of text, one thread, {ROUNDS} rounds in turns ({} times tantivy's rate by CPU)",
        events.len(),
        mb(text_bytes),
        by_cpu.join(", ")
    );
    let text_bytes = text_bytes * ROUNDS as u64;
    for (name, indexed) in [
        ("daybook", &written),
        ("daybook, with the merge of sealing", &sealed),
        ("tantivy, default text field", &tantivy),
    ] {
        println!(
            "           {name:<35} {:>6.1} MB per CPU second, {:>6.1} MB/s, {:.3} of the text; {:.2} times tantivy's rate by CPU, {:.2} by the clock",
            mb(text_bytes) / indexed.cpu,
            mb(text_bytes) / indexed.seconds,
            indexed.bytes as f64 / text_bytes as f64,
            tantivy.cpu / indexed.cpu,
            tantivy.seconds / indexed.seconds,
        );
    }
    Ok(())
}

impl Indexed {
    fn add(&mut self, other: &Indexed) {
        self.cpu += other.cpu;
        self.seconds += other.seconds;
        self.bytes += other.bytes;
    }
}

/// As it is written, and with the merge into what a sealed segment has.
fn daybook(dir: &Path, events: &[Event<'_>]) -> Result<(Indexed, Indexed)> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let (open, merged) = (dir.join("open"), dir.join("sealed"));
    let (started, cpu) = (Instant::now(), own_cpu_seconds()?);
    let (mut writer, _) = TextWriter::open(&disk, &open, tantivy_alone::HEAP_BYTES)?;
    for (offset, event) in (0..).zip(events) {
        let (kind, verdict) = (event.body.kind(), event.body.verdict());
        writer.add(
            Offset(offset),
            kind,
            verdict,
            Numbers::of(event),
            &Texts::of(event),
            &Glimpse::default(),
        )?;
    }
    let through = Offset(events.len() as u64);
    writer.commit(through)?;
    drop(writer);
    let so_far = |dir: &Path| -> Result<Indexed> {
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), own_cpu_seconds()? - cpu);
        Ok(Indexed { cpu, seconds, bytes: bytes_by_kind(dir)?.values().sum() })
    };
    let written = so_far(&open)?;
    merge_into(&disk, &[TextSource { dir: &open, keep: None }], through, &merged)?;
    Ok((written, so_far(&merged)?))
}
