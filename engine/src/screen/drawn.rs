//! What the indexer has drawn of a journal's tail, for searches that come before it is committed.
//!
//! ```text
//! journal  ── committed ───────┬── drawn, not committed ──┬── not drawn ──▶
//!            the text index     from      Drawn     through   a Lookback
//! ```

use super::{Glimpse, Seen};
use crate::event::Offset;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// What is remembered takes so much memory at most, in bytes; what was seen past that is drawn again by who asks.
const MEMORY_MAX: usize = 32 << 20;

/// What an entry takes beside its texts, about, in bytes.
const ENTRY: usize = 64;

static NOTHING: LazyLock<Arc<Seen>> = LazyLock::new(Arc::default);

/// What was seen with the events of a stretch of offsets.
#[derive(Debug, Default)]
pub struct Drawn {
    stretch: Range<u64>,
    /// With an event of the stretch that is not here nothing was seen; `None` is not remembered.
    seen: HashMap<u64, Option<Arc<Seen>>, RandomState>,
    memory: usize,
}

impl Drawn {
    /// Nothing is drawn yet; an offset is the first that will be.
    #[must_use]
    pub fn starting(at: Offset) -> Drawn {
        Drawn { stretch: at.0..at.0, ..Drawn::default() }
    }

    /// Adds what was seen up to an offset.
    pub fn add(&mut self, through: Offset, glimpses: impl IntoIterator<Item = (Offset, Glimpse)>) {
        for (offset, glimpse) in glimpses {
            let entry = match glimpse {
                Glimpse::Seen(seen) if seen.is_empty() => continue,
                Glimpse::Seen(seen) if self.memory < MEMORY_MAX => Some(Arc::new(seen)),
                Glimpse::Seen(_) | Glimpse::Unknown => None,
            };
            self.memory += size(entry.as_ref());
            self.seen.insert(offset.0, entry);
        }
        self.stretch.end = through.0;
    }

    /// Forgets what is before an offset.
    pub fn forget_before(&mut self, offset: Offset) {
        self.stretch.start = offset.0.clamp(self.stretch.start, self.stretch.end);
        let start = self.stretch.start;
        self.seen.retain(|at, _| *at >= start);
        self.memory = self.seen.values().map(|seen| size(seen.as_ref())).sum();
    }

    /// What it holds in memory, about, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// What was seen with an event; `None` if that is not known here.
    #[must_use]
    pub fn seen(&self, offset: Offset) -> Option<Arc<Seen>> {
        if !self.stretch.contains(&offset.0) {
            return None;
        }
        match self.seen.get(&offset.0) {
            Some(known) => known.clone(),
            None => Some(Arc::clone(&NOTHING)),
        }
    }
}

fn size(seen: Option<&Arc<Seen>>) -> usize {
    ENTRY + seen.map_or(0, |seen| seen.memory())
}
