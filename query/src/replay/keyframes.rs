//! The moments that are kept, so that a seek plays little.
//!
//! They are found again by session and place. Memory is bounded: sessions that nobody looked at for longest go
//! first; of a session that fills all of it every second moment goes, so that what is left is as far apart
//! everywhere.

use super::Kept;
use super::pieces::Source;
use crate::timeline::runs::Position;
use daybook_engine::event::SessionKey;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};

/// What keyframes of all sessions take in memory at most, in bytes.
pub const MEMORY_MAX: usize = 64 << 20;

/// The moments that are kept.
#[derive(Debug)]
pub struct Keyframes {
    memory_max: usize,
    tracks: Mutex<Tracks>,
}

#[derive(Debug, Default)]
struct Tracks {
    sessions: HashMap<SessionKey, Track>,
    memory: usize,
    /// Counts the uses.
    clock: u64,
}

/// Those of a session.
#[derive(Debug)]
struct Track {
    source: Source,
    moments: BTreeMap<Position, Kept>,
    used: u64,
}

impl Default for Keyframes {
    fn default() -> Keyframes {
        Keyframes::with_memory(MEMORY_MAX)
    }
}

impl Keyframes {
    /// None yet; they may take so much memory, in bytes.
    #[must_use]
    pub fn with_memory(memory_max: usize) -> Keyframes {
        Keyframes { memory_max, tracks: Mutex::default() }
    }

    /// What they take in memory, about, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.tracks.lock().memory
    }

    /// The nearest moment at a place or before it that is still right; those that are not go.
    pub(super) fn nearest(
        &self,
        session: SessionKey,
        source: Source,
        at: Position,
        is_right: impl Fn(Position, &Kept) -> bool,
    ) -> Option<(Position, Kept)> {
        let mut tracks = self.tracks.lock();
        tracks.clock += 1;
        let clock = tracks.clock;
        let track = tracks.sessions.get_mut(&session)?;
        if track.source != source {
            tracks.forget(session);
            return None;
        }
        track.used = clock;
        let mut freed = 0;
        let mut found = None;
        while let Some((&position, kept)) = track.moments.range(..=at).next_back() {
            if is_right(position, kept) {
                found = Some((position, kept.clone()));
                break;
            }
            freed += track.moments.remove(&position).map_or(0, |kept| kept.memory());
        }
        tracks.memory -= freed;
        found
    }

    /// Keeps a moment.
    pub(super) fn keep(&self, session: SessionKey, source: Source, at: Position, kept: Kept) {
        let mut tracks = self.tracks.lock();
        tracks.clock += 1;
        let clock = tracks.clock;
        let memory = kept.memory();
        let track = tracks.sessions.entry(session).or_insert_with(|| Track {
            source,
            moments: BTreeMap::new(),
            used: clock,
        });
        (track.source, track.used) = (source, clock);
        let replaced = track.moments.insert(at, kept).map_or(0, |kept| kept.memory());
        tracks.memory = tracks.memory + memory - replaced;
        while tracks.memory > self.memory_max {
            let others = tracks.sessions.iter().filter(|(key, _)| **key != session);
            match others.min_by_key(|(_, track)| track.used).map(|(key, _)| *key) {
                Some(oldest) => tracks.forget(oldest),
                None if !tracks.thin(session) => break,
                None => {}
            }
        }
    }
}

impl Tracks {
    fn forget(&mut self, session: SessionKey) {
        let Some(track) = self.sessions.remove(&session) else { return };
        self.memory -= track.moments.values().map(Kept::memory).sum::<usize>();
    }

    /// Takes every second moment of a session away, but the last, which somebody is about to go on from. Was there
    /// one?
    fn thin(&mut self, session: SessionKey) -> bool {
        let Some(track) = self.sessions.get_mut(&session) else { return false };
        let last = track.moments.len().saturating_sub(1);
        let (mut number, mut freed) = (0, 0);
        track.moments.retain(|_, kept| {
            let stays = number % 2 == 1 || number == last;
            number += 1;
            freed += if stays { 0 } else { kept.memory() };
            stays
        });
        self.memory -= freed;
        freed > 0
    }
}
