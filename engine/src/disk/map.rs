//! Bytes of a sealed file, mapped or in memory.

use super::fault::Registered;
use memmap2::{Advice, Mmap};
use std::fmt;
use std::io;
use std::ops::{Deref, Range};
use std::sync::{Arc, Weak};

/// Bytes of a sealed file. Clones share them, and their address does not change.
#[derive(Clone)]
pub struct Map(Bytes);

#[derive(Clone)]
enum Bytes {
    Mapped(Arc<Mapped>),
    Held(Arc<[u8]>),
}

/// The registration goes first, then the mapping that it watches.
pub(super) struct Mapped {
    watched: Registered,
    bytes: Mmap,
}

impl Map {
    pub(super) fn mapped(bytes: Mmap) -> io::Result<Map> {
        let watched = Registered::new(bytes.as_ptr(), bytes.len())?;
        Ok(Map(Bytes::Mapped(Arc::new(Mapped { watched, bytes }))))
    }

    /// Bytes that are in memory.
    #[must_use]
    pub fn held(bytes: Vec<u8>) -> Map {
        Map(Bytes::Held(bytes.into()))
    }

    /// All of a range will be read soon: the system fetches it in large pieces, where it would otherwise page by page.
    /// Where it does not, reading is only slower.
    pub fn will_read(&self, range: Range<usize>) {
        if let Bytes::Mapped(mapped) = &self.0
            && range.end <= mapped.bytes.len()
            && !range.is_empty()
        {
            let _ = mapped.bytes.advise_range(Advice::WillNeed, range.start, range.len());
        }
    }

    /// Did the file shrink, or the disk fail, under a reader? Then the bytes are zeroes from that
    /// moment on, so this is asked after what was read has been put together, before it is believed.
    #[must_use]
    pub fn faulted(&self) -> bool {
        match &self.0 {
            Bytes::Mapped(mapped) => mapped.watched.faulted(),
            Bytes::Held(_) => false,
        }
    }
}

/// Tells whether a map faulted, without keeping it mapped.
#[derive(Debug)]
pub(super) struct Watch(Weak<Mapped>);

impl Watch {
    /// A watch over a map; `None` for one that can't fault.
    pub(super) fn over(map: &Map) -> Option<Watch> {
        match &map.0 {
            Bytes::Mapped(mapped) => Some(Watch(Arc::downgrade(mapped))),
            Bytes::Held(_) => None,
        }
    }

    /// Whether it faulted; `None` once nobody can read it any more.
    pub(super) fn faulted(&self) -> Option<bool> {
        self.0.upgrade().map(|mapped| mapped.watched.faulted())
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(mapped) => &mapped.bytes,
            Bytes::Held(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("len", &self.len()).field("faulted", &self.faulted()).finish()
    }
}
