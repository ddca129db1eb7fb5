//! Cuts a stream of bytes into lines, and lines into batches.
//!
//! Bytes come in pieces of any size. A line that lies whole in its piece is decoded where it is and
//! copied once, into its batch; only the line that two pieces share is put together first. A line
//! over the limit is skipped as it streams by, so memory does not depend on its length.
//!
//! Blank lines count as lines and are skipped. A line ends with `\n` or `\r\n`, the last one also
//! without.

use super::decode::Sink;
use daybook_engine::event::wire::LINE_BYTES_MAX;
use daybook_engine::{Batch, Rejection, Sender};
use memchr::memchr;
use std::sync::Arc;

/// A batch is handed on when it holds this many bytes,
const BATCH_BYTES: usize = 1 << 20;
/// or this many lines.
const BATCH_LINES: u64 = 4_096;

/// Some consecutive lines of an upload: the good ones decoded, the bad ones with what is wrong.
#[derive(Debug)]
pub struct Chunk {
    /// The events.
    pub batch: Batch,
    /// The lines that are none, with the reasons.
    pub rejected: Vec<Rejection>,
    /// The last line that it covers; counted from 1.
    pub through: u64,
    /// Lines that it covers, but for blank ones.
    lines: u64,
}

impl Chunk {
    fn after(through: u64, from: &Origin) -> Chunk {
        let batch = Batch::of(from.sender.clone()).keyed(from.key.clone());
        Chunk { batch, rejected: Vec::new(), through, lines: 0 }
    }

    /// Is it time to hand it on?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lines >= BATCH_LINES || self.batch.bytes() >= BATCH_BYTES
    }
}

/// Where a stream comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Who sends it; `None` where nobody asks.
    pub sender: Option<Arc<Sender>>,
    /// What it is known by when it is sent again.
    pub key: Option<Arc<str>>,
}

/// Where it stands in a stream.
#[derive(Debug)]
pub struct Lines {
    line_bytes_max: usize,
    from: Origin,
    chunk: Chunk,
    /// The start of a line whose end has not come yet.
    carry: Vec<u8>,
    /// The length of the line that is being skipped, if one is.
    skipping: Option<u64>,
    /// Bytes seen.
    seen: u64,
}

impl Lines {
    /// At the start of a stream; a line over `line_bytes_max` is rejected.
    #[must_use]
    pub fn new(line_bytes_max: usize, from: Origin) -> Lines {
        let line_bytes_max = line_bytes_max.min(LINE_BYTES_MAX);
        let chunk = Chunk::after(0, &from);
        Lines { line_bytes_max, from, chunk, carry: Vec::new(), skipping: None, seen: 0 }
    }

    /// Takes one line or the piece of one; answers what follows.
    fn one<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(at) = memchr(b'\n', bytes) else {
            self.keep(bytes);
            return &[];
        };
        let (piece, rest) = bytes.split_at(at);
        if self.skipping.is_none() && self.carry.is_empty() {
            self.line(piece);
        } else {
            self.keep(piece);
            self.end_line();
        }
        rest.split_first().map_or(&[], |(_, rest)| rest)
    }

    /// Keeps the piece of a line whose end is not here.
    fn keep(&mut self, piece: &[u8]) {
        let more = piece.len() as u64;
        if let Some(length) = &mut self.skipping {
            *length += more;
        } else if self.carry.len() + piece.len() > self.line_bytes_max + 1 {
            // One more than the limit, for a `\r`.
            self.skipping = Some(self.carry.len() as u64 + more);
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(piece);
        }
    }

    /// Ends the line that was kept.
    fn end_line(&mut self) {
        if let Some(length) = self.skipping.take() {
            self.too_long(length);
            return;
        }
        let mut carry = std::mem::take(&mut self.carry);
        self.line(&carry);
        // A long line's memory is not kept for the short ones that follow.
        if carry.capacity() <= BATCH_BYTES {
            carry.clear();
            self.carry = carry;
        }
    }

    /// Takes a whole line.
    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.line_bytes_max {
            self.too_long(line.len() as u64);
            return;
        }
        self.chunk.through += 1;
        if line.trim_ascii().is_empty() {
            return;
        }
        self.chunk.lines += 1;
        let number = self.chunk.through;
        if let Err(error) = self.chunk.batch.push(number, line) {
            self.chunk.rejected.push(Rejection { line: number, error });
        }
    }

    fn too_long(&mut self, length: u64) {
        self.chunk.through += 1;
        self.chunk.lines += 1;
        self.chunk.rejected.push(Rejection {
            line: self.chunk.through,
            error: format!(
                "line of {length} bytes is over the limit of {} (event_bytes_max); send long outputs as several `output` events",
                self.line_bytes_max
            ),
        });
    }

    /// The chunk so far; the next one starts empty.
    pub fn take(&mut self) -> Chunk {
        let next = Chunk::after(self.chunk.through, &self.from);
        std::mem::replace(&mut self.chunk, next)
    }
}

impl Sink for Lines {
    fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && !self.chunk.is_full() {
            rest = self.one(rest);
        }
        let taken = bytes.len() - rest.len();
        self.seen += taken as u64;
        taken
    }

    fn is_full(&self) -> bool {
        self.chunk.is_full()
    }

    fn seen(&self) -> u64 {
        self.seen
    }

    /// Ends the last line, if it has no line break.
    fn finish(&mut self) {
        if self.skipping.is_some() || !self.carry.is_empty() {
            self.end_line();
        }
    }
}

/// For decompressors, which hand on what they have: a full chunk takes that little more.
impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = self.one(rest);
        }
        self.seen += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
