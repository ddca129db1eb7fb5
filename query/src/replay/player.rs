//! A terminal that events are played on.

use super::pieces::{Piece, Source};
use super::{FRAMES_BYTES_MAX, PLAYED_BYTES_MAX, PLAYED_EVENTS_MAX};
use crate::error::QueryError;
use crate::timeline::runs::{Entry, Position, Runs};
use daybook_engine::event::Micros;
use daybook_engine::screen::{Cursor, Emulator, Keyframe, Look, Run, Size};
use serde::Serialize;
use std::ops::ControlFlow;

/// A keyframe is kept after so many bytes,
const KEPT_BYTES: usize = 256 << 10;

/// or after so many events.
const KEPT_EVENTS: usize = 4_096;

/// How many events are read in one go.
const READ_MAX: usize = 256;

/// As long as they are together not longer than this, in bytes.
const READ_BYTES_MAX: usize = 4 << 20;

/// What stands on the terminal from a moment on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// The moment, in milliseconds from the session's start.
    pub time_ms: u64,
    /// Columns.
    pub cols: u32,
    /// How many rows there are.
    pub rows: u32,
    /// Where the cursor is; null if it is hidden.
    pub cursor: Option<Cursor>,
    /// The rows: every one in a page's first frame, in others those that changed.
    pub lines: Vec<Row>,
}

/// A row of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which one, counted from 0 at the top.
    pub row: usize,
    /// What stands in it; nothing is blank.
    pub runs: Vec<Run>,
}

impl Frame {
    fn of(time_ms: u64, look: &Look, rows: impl IntoIterator<Item = usize>) -> Frame {
        let lines =
            rows.into_iter().filter_map(|row| Some(Row { row, runs: look.rows.get(row)?.clone() }));
        let Size { cols, rows } = look.size;
        Frame { time_ms, cols, rows, cursor: look.cursor, lines: lines.collect() }
    }

    /// What it takes in an answer, about, in bytes.
    fn bytes(&self) -> usize {
        let runs = self.lines.iter().flat_map(|line| &line.runs);
        48 + self.lines.len() * 24 + runs.map(|run| run.text.len() + 32).sum::<usize>()
    }
}

/// What is to be played.
pub(super) struct Step {
    /// The session's start.
    pub(super) start: Micros,
    /// Frames are made from the event of this place on.
    pub(super) target: Position,
    /// At most so many after the first.
    pub(super) limit: usize,
}

/// What was played.
pub(super) struct Played {
    pub(super) frames: Vec<Frame>,
    /// Are there more events?
    pub(super) more: bool,
}

/// A terminal that events are played on.
pub(super) struct Player {
    source: Source,
    emulator: Emulator,
    /// All events before it are played.
    position: Position,
    /// The latest time of theirs.
    time: Micros,
}

/// Hears of the keyframes on the way.
pub(super) type Keep<'k> = &'k mut dyn FnMut(Position, Micros, Keyframe);

impl Player {
    pub(super) fn new(
        source: Source,
        terminal: Emulator,
        position: Position,
        time: Micros,
    ) -> Player {
        Player { source, emulator: terminal, position, time }
    }

    /// Before the first event.
    pub(super) fn at_start(source: Source) -> Player {
        let emulator = Emulator::new(Size::default());
        Player { source, emulator, position: 0, time: Micros(i64::MIN) }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    pub(super) fn time(&self) -> Micros {
        self.time
    }

    pub(super) fn keyframe(&self) -> Keyframe {
        self.emulator.keyframe()
    }

    /// Plays on from where it is, until the page is full or the work of a request is done.
    pub(super) fn play(
        &mut self,
        runs: &Runs<'_>,
        step: &Step,
        keep: Keep<'_>,
    ) -> Result<Played, QueryError> {
        let mut page = Page { step, frames: Vec::new(), bytes: 0, changed: false };
        let (mut played, mut kept) = (Work::default(), Work::default());
        let mut entries = runs.forwards(self.position).peekable();
        let mut more = false;
        'page: while entries.peek().is_some() {
            let batch: Vec<Entry> = entries.by_ref().take(READ_MAX).collect();
            for (entry, piece) in self.pieces(runs, &batch)? {
                if page.is_done_before(&entry, self)
                    || played.is_over(PLAYED_BYTES_MAX, PLAYED_EVENTS_MAX)
                {
                    more = true;
                    break 'page;
                }
                let len = piece.as_ref().map_or(0, Piece::len);
                played.add(len);
                kept.add(len);
                self.apply(&entry, piece, &mut page);
                if kept.is_over(KEPT_BYTES, KEPT_EVENTS) {
                    keep(self.position, self.time, self.keyframe());
                    kept = Work::default();
                }
            }
        }
        // What a request had no time to come to has no frame.
        if !more || self.position >= step.target {
            page.begin(self);
            page.flush(self);
        }
        Ok(Played { frames: page.frames, more })
    }

    fn apply(&mut self, entry: &Entry, piece: Option<Piece>, page: &mut Page<'_>) {
        self.position = entry.seq() + 1;
        self.time = self.time.max(entry.facts.time);
        let Some(piece) = piece else { return };
        page.changed |= entry.seq() >= page.step.target;
        match piece {
            Piece::Show(text) => self.emulator.show(&text),
            Piece::Line(text) => {
                if !self.emulator.begins_line() {
                    self.emulator.show("\n");
                }
                self.emulator.show(&text);
            }
            Piece::Resize(size) => self.emulator.resize(size),
        }
    }

    /// What events do, in their order.
    fn pieces(
        &self,
        runs: &Runs<'_>,
        batch: &[Entry],
    ) -> Result<Vec<(Entry, Option<Piece>)>, QueryError> {
        let mut pieces: Vec<(Entry, Option<Piece>)> = Vec::with_capacity(batch.len());
        let mut rest = batch;
        let mut count = READ_MAX;
        while !rest.is_empty() {
            let (some, after) = rest.split_at(rest.len().min(count));
            match self.read(runs, some)? {
                Some(read) => pieces.extend(some.iter().copied().zip(read)),
                // Too much at once: one by one.
                None => {
                    count = 1;
                    continue;
                }
            }
            rest = after;
        }
        Ok(pieces)
    }

    /// What some events do; `None` if they are too long to be read together.
    fn read(
        &self,
        runs: &Runs<'_>,
        some: &[Entry],
    ) -> Result<Option<Vec<Option<Piece>>>, QueryError> {
        let mut read: Vec<Option<Piece>> = vec![None; some.len()];
        let (places, wanted): (Vec<usize>, Vec<Entry>) = some
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, entry)| self.source.plays(entry.facts.kind))
            .unzip();
        let mut bytes = 0;
        runs.read(&wanted, |place, record| {
            let piece = Piece::of(&record.event()?);
            bytes += piece.as_ref().map_or(0, Piece::len);
            if let Some(at) = places.get(place).and_then(|place| read.get_mut(*place)) {
                *at = piece;
            }
            let over = bytes > READ_BYTES_MAX && some.len() > 1;
            Ok(if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok((bytes <= READ_BYTES_MAX || some.len() == 1).then_some(read))
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    bytes: usize,
    events: usize,
}

impl Work {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.events += 1;
    }

    fn is_over(self, bytes: usize, events: usize) -> bool {
        self.bytes >= bytes || self.events >= events
    }
}

/// The frames that are made.
struct Page<'s> {
    step: &'s Step,
    frames: Vec<Frame>,
    bytes: usize,
    /// Was something shown that no frame has?
    changed: bool,
}

impl Page<'_> {
    /// Makes the frames that are due before an event. Is the page full then?
    fn is_done_before(&mut self, entry: &Entry, player: &mut Player) -> bool {
        if entry.seq() < self.step.target {
            return false;
        }
        self.begin(player);
        if self.changed && self.ms(player.time.max(entry.facts.time)) > self.ms(player.time) {
            self.flush(player);
        }
        !self.changed && (self.frames.len() > self.step.limit || self.bytes >= FRAMES_BYTES_MAX)
    }

    /// The whole frame, once.
    fn begin(&mut self, player: &mut Player) {
        if self.frames.is_empty() {
            let time = self.ms(player.time);
            let look = player.emulator.look();
            self.add(Frame::of(time, look, 0..look.rows.len()));
            self.changed = false;
        }
    }

    /// A frame of what changed since the last one.
    fn flush(&mut self, player: &mut Player) {
        self.changed = false;
        let time = self.ms(player.time);
        if let Some((look, rows)) = player.emulator.changes() {
            let frame = Frame::of(time, look, rows);
            self.add(frame);
        }
    }

    fn add(&mut self, frame: Frame) {
        self.bytes += frame.bytes();
        self.frames.push(frame);
    }

    fn ms(&self, time: Micros) -> u64 {
        u64::try_from(time.0.saturating_sub(self.step.start.0) / 1000).unwrap_or(0)
    }
}
