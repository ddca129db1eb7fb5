//! tantivy alone: the same texts into its default text field on one thread, committed once.

use crate::mb;
use crate::server::own_cpu_seconds;
use crate::source::Source;
use anyhow::Result;
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use std::path::Path;
use std::time::Instant;
use tantivy::schema::{FAST, Schema, TEXT};
use tantivy::{Index, IndexWriter, TantivyDocument};

/// Memory for what is not written yet: as much as daybook's own index has.
pub(crate) const HEAP_BYTES: usize = 64 << 20;

/// Prints what indexing the texts costs without daybook around it.
pub(crate) fn report(dir: &Path, source: &Source) -> Result<()> {
    let texts: Vec<Vec<String>> = source
        .lines
        .iter()
        .filter_map(|line| Event::decode(line.as_bytes()).ok())
        .map(|event| Texts::of(&event).iter().map(|(_, text)| text.to_owned()).collect())
        .collect();
    let (cpu, _, bytes) = index(dir, texts)?;
    println!(
        "tantivy    alone, one thread, default text field: {:.1} MB of text per CPU second, {:.3} of the raw NDJSON on disk",
        mb(source.text_bytes) / cpu,
        bytes as f64 / source.raw_bytes as f64
    );
    Ok(())
}

/// Indexes the texts of some events; answers the CPU seconds, the seconds, and the bytes on the disk.
pub(crate) fn index(dir: &Path, texts: Vec<Vec<String>>) -> Result<(f64, f64, u64)> {
    std::fs::create_dir_all(dir)?;
    let mut schema = Schema::builder();
    let text = schema.add_text_field("text", TEXT);
    let offset = schema.add_u64_field("offset", FAST);
    let index = Index::create_in_dir(dir, schema.build())?;
    let (started, cpu) = (Instant::now(), own_cpu_seconds()?);
    let mut writer: IndexWriter = index.writer_with_num_threads(1, HEAP_BYTES)?;
    for (i, texts) in texts.into_iter().enumerate() {
        let mut document = TantivyDocument::default();
        document.add_u64(offset, i as u64);
        for one in texts {
            document.add_text(text, one);
        }
        writer.add_document(document)?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    let (cpu, seconds) = (own_cpu_seconds()? - cpu, started.elapsed().as_secs_f64());
    let bytes =
        std::fs::read_dir(dir)?.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum();
    Ok((cpu, seconds, bytes))
}
