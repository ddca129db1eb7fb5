//! Bytes of a sealed file, mapped or in memory.

use memmap2::Mmap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes of a sealed file. Clones share them, and their address does not change.
#[derive(Clone)]
pub struct Map(Bytes);

#[derive(Clone)]
enum Bytes {
    Mapped(Arc<Mmap>),
    Held(Arc<[u8]>),
}

impl Map {
    pub(super) fn mapped(map: Mmap) -> Map {
        Map(Bytes::Mapped(Arc::new(map)))
    }

    /// Bytes that are in memory.
    #[must_use]
    pub fn held(bytes: Vec<u8>) -> Map {
        Map(Bytes::Held(bytes.into()))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Held(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("len", &self.len()).finish()
    }
}
