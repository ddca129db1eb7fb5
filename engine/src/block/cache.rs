//! A cache of decompressed blocks, bounded in bytes and shared by all readers.

use super::file::BlockFile;
use super::payload::Payload;
use crate::error::Error;
use quick_cache::Weighter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file's number in the cache, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(u64);

impl FileId {
    /// A number that no other file has.
    #[must_use]
    pub fn next() -> FileId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        FileId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The share of the cache for blocks that were read again. The rest is for new ones, which the indexer
/// and the notary read once each, some time after they were written.
const HOT: f64 = 0.5;

#[derive(Clone)]
struct ByBytes;

impl Weighter<(FileId, u64), Arc<Payload>> for ByBytes {
    fn weight(&self, _: &(FileId, u64), payload: &Arc<Payload>) -> u64 {
        payload.memory() as u64 + 64
    }
}

/// The cache.
pub struct BlockCache {
    blocks: quick_cache::sync::Cache<(FileId, u64), Arc<Payload>, ByBytes>,
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockCache").field("bytes", &self.blocks.weight()).finish()
    }
}

impl BlockCache {
    /// A cache of at most `bytes` bytes of payloads.
    #[must_use]
    pub fn new(bytes: u64) -> BlockCache {
        let items = usize::try_from(bytes / (128 << 10)).unwrap_or(1024).max(16);
        let options = quick_cache::OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(bytes)
            .hot_allocation(HOT)
            .build();
        // It lacks a number only if one of these three is not given.
        let blocks = match options {
            Ok(options) => quick_cache::sync::Cache::with_options(
                options,
                ByBytes,
                quick_cache::DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            Err(_) => quick_cache::sync::Cache::with_weighter(items, bytes, ByBytes),
        };
        BlockCache { blocks }
    }

    /// The raw payload of the block at a position.
    ///
    /// # Errors
    /// As [`BlockFile::read`].
    pub fn get(&self, id: FileId, file: &BlockFile, at: u64) -> Result<Arc<Payload>, Error> {
        if let Some(payload) = self.blocks.get(&(id, at)) {
            return Ok(payload);
        }
        let payload = Arc::new(Payload::from(file.read(at)?.1));
        self.blocks.insert((id, at), Arc::clone(&payload));
        Ok(payload)
    }

    /// Puts in a payload that was just written.
    pub fn put(&self, id: FileId, at: u64, payload: Arc<Payload>) {
        self.blocks.insert((id, at), payload);
    }
}
