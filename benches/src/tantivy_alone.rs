//! tantivy alone: the same texts into its default text field on one thread, committed once.

use crate::mb;
use crate::server::own_cpu_seconds;
use crate::source::Source;
use anyhow::Result;
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use std::path::Path;
use tantivy::schema::{FAST, Schema, TEXT};
use tantivy::{Index, IndexWriter, TantivyDocument};

/// Prints what indexing the texts costs without daybook around it.
pub(crate) fn report(dir: &Path, source: &Source) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let mut schema = Schema::builder();
    let text = schema.add_text_field("text", TEXT);
    let offset = schema.add_u64_field("offset", FAST);
    let index = Index::create_in_dir(dir, schema.build())?;
    let texts: Vec<Vec<String>> = source
        .lines
        .iter()
        .filter_map(|line| Event::decode(line.as_bytes()).ok())
        .map(|event| Texts::of(&event).iter().map(|(_, text)| text.to_owned()).collect())
        .collect();
    let started = own_cpu_seconds()?;
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 64 << 20)?;
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
    let seconds = own_cpu_seconds()? - started;
    let bytes: u64 =
        std::fs::read_dir(dir)?.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum();
    println!(
        "tantivy    alone, one thread, default text field: {:.1} MB of text per CPU second, {:.3} of the raw NDJSON on disk",
        mb(source.text_bytes) / seconds,
        bytes as f64 / source.raw_bytes as f64
    );
    Ok(())
}
