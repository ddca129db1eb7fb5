//! The journal as readers see it.
//!
//! While a block is written, the facts of its events (time, seq, kind, verdict, session) are put into
//! columns in memory, block by block; a view shares them, so that taking one costs a few pointers.
//! The ordinal of an event is its offset less the journal's base. Lines are read by `pread` through
//! the block cache: a bad disk is an error, never a fault.

use super::in_hand::OpenBlock;
use super::order::Order;
use crate::block::{BlockCache, BlockFile, BlockHeader, FileId, Payload};
use crate::error::Error;
use crate::event::{Kind, Micros, Offset, Seq, SessionKey, Verdict};
use crate::screen::{Drawn, Glimpse, Seen};
use crate::text::narrow::Narrow;
use crate::text::{Narrowed, TextReader};
use crate::view::{
    EventFacts, Exactly, Lost, Ordinals, Part, Prefilter, STRETCH, SessionRun, Stretch, Visit,
};
use foldhash::fast::RandomState;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A journal that is open for reading, and by its writer for growing.
#[derive(Debug)]
pub struct Journal {
    file: BlockFile,
    id: FileId,
    cache: Arc<BlockCache>,
    state: RwLock<State>,
    text: RwLock<Option<TextReader>>,
    text_doubted: AtomicBool,
    drawn: RwLock<Drawn>,
}

#[derive(Debug, Default)]
struct State {
    blocks: Arc<Vec<Arc<BlockFacts>>>,
    sessions: HashMap<Arc<str>, Slot, RandomState>,
    by_key: HashMap<SessionKey, Arc<str>, RandomState>,
    times: Option<(Micros, Micros)>,
    len: u32,
    raw_bytes: u64,
}

#[derive(Debug)]
struct Slot {
    key: SessionKey,
    order: Order,
}

/// The facts of a block's events.
#[derive(Debug)]
pub struct BlockFacts {
    /// Where the block is in the file.
    pub at: u64,
    /// The ordinal of its first event.
    pub first: u32,
    /// The earliest and the latest time of its events.
    pub times: (Micros, Micros),
    /// Are all its lines plain?
    pub plain: bool,
    /// Its payload's length before compression.
    pub raw_len: u32,
    /// The facts, in order.
    pub events: Box<[Facts]>,
}

/// The facts of one event.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// When it happened.
    pub time: Micros,
    /// Its session.
    pub session: SessionKey,
    /// Its number in its session.
    pub seq: Seq,
    /// What happened.
    pub kind: Kind,
    /// The verdict, for commands that carry one.
    pub verdict: Option<Verdict>,
}

/// A block that has become durable, with what readers need of it.
#[derive(Debug)]
pub struct Published {
    /// Where it is in the file.
    pub at: u64,
    /// Its header.
    pub header: BlockHeader,
    /// Its payload, to warm the cache with; empty when the file was replayed.
    pub payload: Option<Arc<Payload>>,
    /// The facts of its events, in order.
    pub events: Vec<Facts>,
    /// The sessions of its events, in order.
    pub sessions: Vec<Arc<str>>,
}

impl Journal {
    /// A journal with no events yet (or not yet published).
    #[must_use]
    pub fn new(file: BlockFile, cache: Arc<BlockCache>) -> Journal {
        Journal {
            file,
            id: FileId::next(),
            cache,
            state: RwLock::default(),
            text: RwLock::default(),
            text_doubted: AtomicBool::new(false),
            drawn: RwLock::default(),
        }
    }

    /// The offset of its first event.
    #[must_use]
    pub fn base(&self) -> Offset {
        self.file.header().base
    }

    /// The offset after its last event.
    #[must_use]
    pub fn end(&self) -> Offset {
        Offset(self.base().0 + u64::from(self.state.read().len))
    }

    /// Its file.
    #[must_use]
    pub fn file(&self) -> &BlockFile {
        &self.file
    }

    /// The bytes of its records before compression.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.state.read().raw_bytes
    }

    /// The bytes of those of its blocks that start at an offset or later.
    #[must_use]
    pub fn raw_bytes_from(&self, offset: Offset) -> u64 {
        let blocks = self.blocks();
        let from = blocks.partition_point(|b| self.base().0 + u64::from(b.first) < offset.0);
        blocks.get(from..).unwrap_or_default().iter().map(|b| u64::from(b.raw_len)).sum()
    }

    /// Its text index, once it has one.
    pub fn set_text(&self, reader: Option<TextReader>) {
        *self.text.write() = reader;
    }

    /// Takes note that its text index is damaged.
    pub fn doubt_text(&self) {
        self.text_doubted.store(true, Ordering::Release);
    }

    /// Was its text index found damaged since this was asked before?
    #[must_use]
    pub fn text_doubted(&self) -> bool {
        self.text_doubted.swap(false, Ordering::AcqRel)
    }

    /// The offset through which its texts are indexed.
    #[must_use]
    pub fn indexed_through(&self) -> Offset {
        self.text.read().as_ref().map_or(self.base(), TextReader::indexed_through).max(self.base())
    }

    /// Whoever draws what was seen begins at an offset; what was drawn before is forgotten.
    pub fn draws_from(&self, offset: Offset) {
        *self.drawn.write() = Drawn::starting(offset);
    }

    /// What was seen has been drawn up to an offset.
    pub fn was_drawn(
        &self,
        through: Offset,
        glimpses: impl IntoIterator<Item = (Offset, Glimpse)>,
    ) {
        self.drawn.write().add(through, glimpses);
    }

    /// What was drawn before an offset is in the text index of every reader.
    pub fn forget_drawn(&self, before: Offset) {
        self.drawn.write().forget_before(before);
    }

    /// Makes blocks visible to readers. Only the writer calls this, in order, after durability.
    pub fn publish(&self, blocks: Vec<Published>) {
        let mut state = self.state.write();
        let state = &mut *state;
        for block in blocks {
            // A block that can't be read leaves a hole of ordinals, so that nothing after it moves.
            let first = u32::try_from(block.header.base - self.base().0).unwrap_or(u32::MAX);
            for (i, (facts, id)) in block.events.iter().zip(&block.sessions).enumerate() {
                let ordinal = first + i as u32;
                let slot = state.sessions.entry(Arc::clone(id)).or_insert_with(|| {
                    state.by_key.insert(facts.session, Arc::clone(id));
                    Slot { key: facts.session, order: Order::default() }
                });
                slot.order.insert(facts.seq, ordinal, facts.time);
            }
            let (min, max) = (block.header.min_time, block.header.max_time);
            state.times = Some(state.times.map_or((min, max), |(a, b)| (a.min(min), b.max(max))));
            state.len = first + block.header.count;
            state.raw_bytes += u64::from(block.header.raw_len);
            if let Some(payload) = block.payload {
                self.cache.put(self.id, block.at, payload);
            }
            Arc::make_mut(&mut state.blocks).push(Arc::new(BlockFacts {
                at: block.at,
                first,
                times: (min, max),
                plain: block.header.flags.plain,
                raw_len: block.header.raw_len,
                events: block.events.into(),
            }));
        }
    }

    /// Its blocks that are durable now, in order.
    #[must_use]
    pub fn blocks(&self) -> Arc<Vec<Arc<BlockFacts>>> {
        Arc::clone(&self.state.read().blocks)
    }

    /// A view of what is durable now.
    #[must_use]
    pub fn view(self: &Arc<Journal>) -> JournalView {
        // The reader first: what it covers is then certainly among the blocks.
        let text = self.text.read().clone();
        let state = self.state.read();
        JournalView {
            journal: Arc::clone(self),
            blocks: Arc::clone(&state.blocks),
            len: state.len,
            times: state.times,
            text,
        }
    }

    /// Its sessions, by id.
    #[must_use]
    pub fn session_ids(&self) -> Vec<(Arc<str>, SessionKey)> {
        let state = self.state.read();
        state.sessions.iter().map(|(id, slot)| (Arc::clone(id), slot.key)).collect()
    }

    /// The raw payload of a block.
    ///
    /// # Errors
    /// A block that can't be read.
    pub fn payload(&self, block: &BlockFacts) -> Result<Arc<Payload>, Error> {
        self.cache.get(self.id, &self.file, block.at)
    }
}

/// What was durable in a journal at one moment.
#[derive(Clone, Debug)]
pub struct JournalView {
    journal: Arc<Journal>,
    blocks: Arc<Vec<Arc<BlockFacts>>>,
    len: u32,
    times: Option<(Micros, Micros)>,
    text: Option<TextReader>,
}

impl JournalView {
    /// Its blocks, in order.
    #[must_use]
    pub fn blocks(&self) -> &[Arc<BlockFacts>] {
        &self.blocks
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The block that holds an ordinal, and the event's place in it.
    fn block_of(&self, ordinal: u32) -> Option<(&Arc<BlockFacts>, usize)> {
        let index = self.blocks.partition_point(|block| block.first <= ordinal).checked_sub(1)?;
        let block = self.blocks.get(index)?;
        let place = (ordinal - block.first) as usize;
        (place < block.events.len()).then_some((block, place))
    }

    /// The ordinal of a session's event by its number.
    #[must_use]
    pub fn ordinal_of_seq(&self, id: &str, seq: Seq) -> Option<u32> {
        let state = self.journal.state.read();
        let ordinal = state.sessions.get(id)?.order.find(seq)?;
        (ordinal < self.len).then_some(ordinal)
    }

    fn run(&self, state: &State, slot: &Slot) -> Option<SessionRun> {
        let mut order = slot.order.clone();
        // What has arrived since this view was taken is no part of it.
        for block in state.blocks.iter().rev().take_while(|block| block.first >= self.len) {
            for (ordinal, facts) in (block.first..).zip(&block.events) {
                if facts.session == slot.key {
                    order.remove(facts.seq, ordinal);
                }
            }
        }
        let ordinals = order.shared();
        let run = SessionRun { key: slot.key, ordinals: Ordinals::Shared(ordinals) };
        (!run.ordinals.is_empty()).then_some(run)
    }
}

impl JournalView {
    /// Asks the text index; one that can't be read says nothing. Also answers where the tail begins.
    fn ask<T>(
        &self,
        ask: impl FnOnce(&TextReader) -> Result<Option<T>, Error>,
    ) -> Option<(T, Offset)> {
        let text = self.text.as_ref()?;
        // Before the index is asked: a commit in between may only make the tail overlap.
        let tail = text.indexed_through().max(self.base());
        let said = ask(text).unwrap_or_else(|error| {
            let journal = self.journal.file.path().display();
            tracing::warn!(%journal, %error, "searching without the text index");
            self.journal.doubt_text();
            None
        });
        said.map(|said| (said, tail))
    }

    fn ordinals_before(&self, tail: Offset, offsets: &[u64]) -> Vec<u32> {
        let before = offsets.iter().take_while(|offset| **offset < tail.0);
        before.filter_map(|offset| self.ordinal_of(Offset(*offset))).collect()
    }

    /// What is not indexed yet.
    fn tail(&self, tail: Offset) -> Range<u32> {
        u32::try_from(tail.0 - self.base().0).unwrap_or(self.len)..self.len
    }
}

impl Part for JournalView {
    fn len(&self) -> u32 {
        self.len
    }

    fn sealed(&self) -> bool {
        false
    }

    fn base(&self) -> Offset {
        self.journal.base()
    }

    fn end(&self) -> Offset {
        Offset(self.journal.base().0 + u64::from(self.len))
    }

    fn time_range(&self) -> Option<(Micros, Micros)> {
        self.times
    }

    fn facts(&self, ordinal: u32) -> Option<EventFacts> {
        let (block, place) = self.block_of(ordinal)?;
        let facts = block.events.get(place)?;
        Some(EventFacts {
            offset: Offset(self.base().0 + u64::from(ordinal)),
            seq: facts.seq,
            time: facts.time,
            kind: facts.kind,
            verdict: facts.verdict,
            session: facts.session,
        })
    }

    fn seen(&self, offset: Offset) -> Option<Arc<Seen>> {
        self.journal.drawn.read().seen(offset)
    }

    fn stretches(&self) -> Arc<[Stretch]> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for block in self.blocks.iter() {
            let (first, count) = (u64::from(block.first), block.events.len() as u64);
            let from = Offset(self.base().0 + first);
            let to = Offset(from.0 + count);
            match stretches.last_mut() {
                Some(last) if last.to.0 - last.from.0 < STRETCH => {
                    last.to = to;
                    last.times.0 = last.times.0.min(block.times.0);
                    last.times.1 = last.times.1.max(block.times.1);
                }
                _ => stretches.push(Stretch { from, to, times: block.times }),
            }
        }
        stretches.into()
    }

    fn ordinal_of(&self, offset: Offset) -> Option<u32> {
        let ordinal = u32::try_from(offset.0.checked_sub(self.base().0)?).ok()?;
        self.block_of(ordinal).map(|_| ordinal)
    }

    /// Those that were lost with their blocks are left out.
    fn ordinals_of(&self, offsets: &[u64]) -> Result<Vec<u32>, Error> {
        Ok(offsets.iter().filter_map(|offset| self.ordinal_of(Offset(*offset))).collect())
    }

    fn session(&self, id: &str) -> Result<Option<SessionRun>, Error> {
        let state = self.journal.state.read();
        Ok(state.sessions.get(id).and_then(|slot| self.run(&state, slot)))
    }

    fn session_by_key(&self, key: SessionKey) -> Result<Option<SessionRun>, Error> {
        let state = self.journal.state.read();
        let slot = state.by_key.get(&key).and_then(|id| state.sessions.get(id));
        Ok(slot.and_then(|slot| self.run(&state, slot)))
    }

    fn first_from(&self, ordinals: &Ordinals, time: Micros) -> Option<usize> {
        let late = |ordinal| self.facts(ordinal).is_some_and(|facts| facts.time >= time);
        match ordinals {
            Ordinals::Shared(shared) => shared.first_from(time, late),
            other => other.iter().position(late),
        }
    }

    /// What the index covers is narrowed; the tail behind it is answered whole.
    fn narrow_offsets(&self, narrow: &Narrow) -> Result<Option<Narrowed>, Error> {
        let said = self.ask(|text| text.narrow(narrow));
        let Some((narrowed, tail)) = said else { return Ok(None) };
        let mut offsets = narrowed.within(0..tail.0);
        offsets.extend(tail.0..self.end().0);
        Ok(Some(offsets.into()))
    }

    fn narrow_exactly(&self, narrow: &Narrow, seen_too: bool) -> Result<Option<Exactly>, Error> {
        let said = self.ask(|text| text.offsets_exactly(narrow, seen_too));
        let Some((found, tail)) = said else { return Ok(None) };
        let mut ordinals = self.ordinals_before(tail, &found.offsets);
        let mut loose = self.ordinals_before(tail, &found.loose);
        ordinals.extend(self.tail(tail));
        loose.extend(self.tail(tail));
        Ok(Some(Exactly { ordinals, loose }))
    }

    /// Blocks that could not be read when the journal was opened left holes.
    fn unreadable(&self) -> u32 {
        let there: usize = self.blocks.iter().map(|block| block.events.len()).sum();
        self.len.saturating_sub(u32::try_from(there).unwrap_or(u32::MAX))
    }

    fn read_past(
        &self,
        ordinals: &Ordinals,
        prefilter: Option<Prefilter<'_>>,
        lost: Lost<'_>,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        let mut open: Option<Result<OpenBlock<'_>, Error>> = None;
        let mut range = 0..0;
        for ordinal in ordinals.iter() {
            if !range.contains(&ordinal) {
                let Some((facts, _)) = self.block_of(ordinal) else { continue };
                range = facts.first..facts.first + facts.events.len() as u32;
                open = Some(OpenBlock::new(self, facts, prefilter));
            }
            let block = match &mut open {
                None => continue,
                Some(Err(error)) => {
                    lost(ordinal, error)?;
                    continue;
                }
                Some(Ok(block)) => block,
            };
            if block.skip {
                continue;
            }
            let plain = block.facts.plain;
            let record = block.record((ordinal - block.facts.first) as usize)?;
            if plain && prefilter.is_some_and(|may_match| !may_match(record.json)) {
                continue;
            }
            if let ControlFlow::Break(()) = visit(ordinal, record)? {
                return Ok(());
            }
        }
        Ok(())
    }
}
