//! The index of a sealed segment: a journal's, in one tantivy segment.

use super::docs::guarded;
use super::schema;
use crate::disk::{DiskDirectory, SharedDisk};
use crate::error::Error;
use std::path::Path;
use tantivy::indexer::{IndexWriterOptions, NoMergePolicy, merge_filtered_segments};
use tantivy::{Index, IndexWriter};

/// Writes the index in `from` to the new directory `to` as one tantivy segment with the same payload,
/// durably. `from` is only read; an index without events gives one without.
///
/// # Errors
/// A damaged index, or a directory that can't be written. What is in `to` then is of no use.
pub fn merge_into(disk: &SharedDisk, from: &Path, to: &Path) -> Result<(), Error> {
    disk.create_dir(to).map_err(Error::io("create", to))?;
    guarded(Error::text, || {
        let source = schema::open(disk, from)?;
        let metas = source.load_metas().map_err(Error::text)?;
        let through = schema::through(metas.payload.as_deref())?;
        let segments: Vec<_> =
            metas.segments.iter().map(|meta| source.segment(meta.clone())).collect();
        let merged = if segments.is_empty() {
            schema::create(disk, to)?
        } else {
            let directory = DiskDirectory::new(disk, to);
            let keep_all = vec![None; segments.len()];
            merge_filtered_segments(&segments, source.settings().clone(), keep_all, directory)
                .map_err(Error::text)?
        };
        set_payload(&merged, &through.to_string())
    })?;
    disk.sync_dir(to).map_err(Error::io("sync", to))
}

/// The merge leaves a payload of its own; only a commit can replace it.
fn set_payload(index: &Index, payload: &str) -> Result<(), Error> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(16 << 20)
        .build();
    let mut writer: IndexWriter = index.writer_with_options(options).map_err(Error::text)?;
    writer.set_merge_policy(Box::new(NoMergePolicy));
    let mut commit = writer.prepare_commit().map_err(Error::text)?;
    commit.set_payload(payload);
    commit.commit().map_err(Error::text)?;
    writer.wait_merging_threads().map_err(Error::text)
}
