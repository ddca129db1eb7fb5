//! The index of a sealed segment: those of journals or other segments, in one tantivy segment.

use super::docs::guarded;
use super::schema::{self, OFFSET};
use super::word_list;
use crate::disk::{DiskDirectory, SharedDisk};
use crate::error::Error;
use crate::event::Offset;
use std::path::Path;
use tantivy::directory::OwnedBytes;
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::indexer::{IndexWriterOptions, NoMergePolicy, merge_filtered_segments};
use tantivy::{BitSet, Index, IndexWriter, Segment, SegmentReader};

/// A finished index to merge.
#[derive(Clone, Copy)]
pub struct TextSource<'a> {
    /// Its directory.
    pub dir: &'a Path,
    /// Which events (by offset) are kept; all, if nothing says.
    pub keep: Option<&'a dyn Fn(Offset) -> bool>,
}

impl std::fmt::Debug for TextSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextSource").field("dir", &self.dir).finish()
    }
}

/// Writes the indexes of `sources` to the new directory `to` as one tantivy segment, durably; every event
/// below `through` is then indexed in it. The sources are only read; without events there are none in it.
///
/// # Errors
/// A damaged index, or a directory that can't be written. What is in `to` then is of no use.
pub fn merge_into(
    disk: &SharedDisk,
    sources: &[TextSource<'_>],
    through: Offset,
    to: &Path,
) -> Result<(), Error> {
    disk.create_dir(to).map_err(Error::io("create", to))?;
    guarded(Error::text, || {
        let (mut segments, mut settings) = (Vec::new(), None);
        let mut directories = Vec::new();
        for source in sources {
            let directory = DiskDirectory::new(disk, source.dir);
            let index = schema::open(&directory)?;
            directories.push(directory);
            settings.get_or_insert_with(|| index.settings().clone());
            for meta in index.load_metas().map_err(Error::text)?.segments {
                let segment = index.segment(meta);
                let alive = source.keep.map(|keep| kept(&segment, keep)).transpose()?;
                segments.push((first_offset(&segment)?, segment, alive));
            }
        }
        // One after the other, so that documents are in the order of their offsets.
        segments.sort_by_key(|(first, _, _)| *first);
        let (segments, alive): (Vec<Segment>, Vec<_>) =
            segments.into_iter().map(|(_, segment, alive)| (segment, alive)).unzip();
        let target = DiskDirectory::new(disk, to);
        let list = target.clone();
        let merged = match settings {
            Some(settings) if !segments.is_empty() => {
                merge_filtered_segments(&segments, settings, alive, target).map_err(Error::text)?
            }
            _ => schema::create(&target)?,
        };
        if let Some(shrunk) = directories.iter().find(|directory| directory.faulted()) {
            return Err(Error::text(format!("a file in {shrunk:?} shrank while it was merged")));
        }
        set_payload(&merged, &through.to_string())?;
        for meta in merged.load_metas().map_err(Error::text)?.segments {
            let segment = SegmentReader::open(&merged.segment(meta)).map_err(Error::text)?;
            word_list::write(&list, &segment)?;
        }
        Ok(())
    })?;
    disk.sync_dir(to).map_err(Error::io("sync", to))
}

fn first_offset(segment: &Segment) -> Result<u64, Error> {
    let reader = SegmentReader::open(segment).map_err(Error::text)?;
    let offsets = reader.fast_fields().u64(OFFSET).map_err(Error::text)?;
    Ok(offsets.min_value())
}

/// The documents of a tantivy segment whose events are kept.
fn kept(segment: &Segment, keep: &dyn Fn(Offset) -> bool) -> Result<AliveBitSet, Error> {
    let reader = SegmentReader::open(segment).map_err(Error::text)?;
    let offsets = reader.fast_fields().u64(OFFSET).map_err(Error::text)?;
    let mut docs = BitSet::with_max_value(reader.max_doc());
    for doc in 0..reader.max_doc() {
        if offsets.first(doc).is_some_and(|offset| keep(Offset(offset))) {
            docs.insert(doc);
        }
    }
    let mut bytes = Vec::new();
    write_alive_bitset(&docs, &mut bytes).map_err(Error::text)?;
    Ok(AliveBitSet::open(OwnedBytes::new(bytes)))
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
