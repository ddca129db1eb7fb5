//! Decompresses an upload step by step, straight into its [`Lines`].
//!
//! A step stops when a batch is full, whatever is left of the input: what a piece of a few bytes
//! decompresses to (a "zip bomb") never piles up in memory, and the size and the ratio are looked at
//! before more is made of it.

use super::lines::{Chunk, Lines, Origin};
use bytes::{Buf as _, Bytes};
use flate2::write::MultiGzDecoder;
use std::collections::VecDeque;
use std::io::Write as _;

/// zstd frames may look back this far: 2^23 bytes, as RFC 9659 has it for HTTP. Without a bound, a
/// frame's header alone takes 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The ratio is looked at from this many bytes on.
const RATIO_FROM: u64 = 64 << 20;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
}

impl Encoding {
    /// The encoding of a `Content-Encoding` header.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Encoding> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Encoding::Identity),
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "zstd" => Some(Encoding::Zstd),
            _ => None,
        }
    }
}

/// The bounds on one upload.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes after decompression.
    pub bytes_max: u64,
    /// Bytes after decompression for each byte before.
    pub ratio_max: u64,
    /// Bytes of a line.
    pub line_bytes_max: usize,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The chunk is full; there may be input left.
    Full,
    /// The input is used up.
    Hungry,
    /// The upload is at its end.
    Done,
}

/// Why an upload can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is over the bound on its size.
    TooLarge(u64),
    /// It decompresses to more than is believed.
    Ratio(u64),
    /// It can't be decompressed.
    Damaged(String),
}

/// Decompresses one upload.
pub struct Decoder {
    source: Source,
    bounds: Bounds,
    compressed: u64,
    finished: bool,
}

/// A decompressor with the lines behind it.
enum Source {
    Identity(Lines),
    Gzip(Box<MultiGzDecoder<Lines>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Lines>>),
}

impl Decoder {
    /// At the start of an upload of a sender's.
    ///
    /// # Errors
    /// The decompressor's: out of memory.
    pub fn new(encoding: Encoding, bounds: Bounds, from: Origin) -> std::io::Result<Decoder> {
        let lines = Lines::new(bounds.line_bytes_max, from);
        let source = match encoding {
            Encoding::Identity => Source::Identity(lines),
            Encoding::Gzip => Source::Gzip(Box::new(MultiGzDecoder::new(lines))),
            Encoding::Zstd => {
                let mut raw = zstd::stream::raw::Decoder::new()?;
                raw.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Source::Zstd(Box::new(zstd::stream::write::Decoder::with_decoder(lines, raw)))
            }
        };
        Ok(Decoder { source, bounds, compressed: 0, finished: false })
    }

    /// Works on the input until a chunk is full or the input is used up. `last` says that no more
    /// input follows this.
    ///
    /// # Errors
    /// Why the upload can't go on.
    pub fn step(&mut self, input: &mut VecDeque<Bytes>, last: bool) -> Result<Step, Stop> {
        while let Some(piece) = input.front_mut() {
            if piece.is_empty() {
                input.pop_front();
                continue;
            }
            if self.lines().is_full() {
                return Ok(Step::Full);
            }
            let taken = match &mut self.source {
                Source::Identity(lines) => lines.feed(piece),
                Source::Gzip(decoder) => decoder.write(piece).map_err(damaged)?,
                Source::Zstd(decoder) => decoder.write(piece).map_err(damaged)?,
            };
            self.compressed += taken as u64;
            piece.advance(taken);
            self.check()?;
        }
        if !last {
            return Ok(Step::Hungry);
        }
        if !self.finished {
            self.finished = true;
            // A body of no bytes has no compressed stream in it, and no lines.
            if self.compressed > 0 {
                match &mut self.source {
                    Source::Identity(_) => {}
                    Source::Gzip(decoder) => decoder.try_finish().map_err(damaged)?,
                    Source::Zstd(decoder) => decoder.do_finish().map_err(damaged)?,
                }
            }
            self.check()?;
            self.lines_mut().finish();
        }
        Ok(Step::Done)
    }

    /// The chunk so far.
    pub fn take(&mut self) -> Chunk {
        self.lines_mut().take()
    }

    /// Bytes after decompression so far.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.lines().seen()
    }

    fn check(&self) -> Result<(), Stop> {
        let seen = self.seen();
        if seen > self.bounds.bytes_max {
            return Err(Stop::TooLarge(self.bounds.bytes_max));
        }
        if seen > RATIO_FROM && seen / self.compressed.max(1) > self.bounds.ratio_max {
            return Err(Stop::Ratio(self.bounds.ratio_max));
        }
        Ok(())
    }

    fn lines(&self) -> &Lines {
        match &self.source {
            Source::Identity(lines) => lines,
            Source::Gzip(decoder) => decoder.get_ref(),
            Source::Zstd(decoder) => decoder.get_ref(),
        }
    }

    fn lines_mut(&mut self) -> &mut Lines {
        match &mut self.source {
            Source::Identity(lines) => lines,
            Source::Gzip(decoder) => decoder.get_mut(),
            Source::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

fn damaged(error: std::io::Error) -> Stop {
    Stop::Damaged(error.to_string())
}
