//! Decompresses an upload step by step, straight into its [`Lines`], or whole, into a [`Whole`].
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

/// What an upload is decompressed into.
pub trait Sink: std::io::Write {
    /// Takes bytes until it is full; answers how many it took.
    fn feed(&mut self, bytes: &[u8]) -> usize;
    /// Has what it holds to be taken first?
    fn is_full(&self) -> bool;
    /// Bytes seen.
    fn seen(&self) -> u64;
    /// No more bytes follow.
    fn finish(&mut self);
}

/// A body that is needed whole; the bound on it is [`Bounds::bytes_max`].
#[derive(Debug, Default)]
pub struct Whole(Vec<u8>);

impl Sink for Whole {
    fn feed(&mut self, bytes: &[u8]) -> usize {
        self.0.extend_from_slice(bytes);
        bytes.len()
    }

    fn is_full(&self) -> bool {
        false
    }

    fn seen(&self) -> u64 {
        self.0.len() as u64
    }

    fn finish(&mut self) {}
}

impl std::io::Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(self.feed(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Decompresses one upload.
pub struct Decoder<S: Sink = Lines> {
    source: Source<S>,
    bounds: Bounds,
    compressed: u64,
    finished: bool,
}

/// A decompressor with the sink behind it.
enum Source<S: Sink> {
    Identity(S),
    Gzip(Box<MultiGzDecoder<S>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, S>>),
}

impl Decoder {
    /// At the start of an upload of a sender's that is taken line by line.
    ///
    /// # Errors
    /// The decompressor's: out of memory.
    pub fn new(encoding: Encoding, bounds: Bounds, from: Origin) -> std::io::Result<Decoder> {
        Decoder::into_sink(encoding, bounds, Lines::new(bounds.line_bytes_max, from))
    }

    /// The chunk so far.
    pub fn take(&mut self) -> Chunk {
        self.sink_mut().take()
    }
}

impl Decoder<Whole> {
    /// At the start of an upload that is taken whole.
    ///
    /// # Errors
    /// The decompressor's: out of memory.
    pub fn whole(encoding: Encoding, bounds: Bounds) -> std::io::Result<Decoder<Whole>> {
        Decoder::into_sink(encoding, bounds, Whole::default())
    }

    /// The body so far.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sink_mut().0)
    }
}

impl<S: Sink> Decoder<S> {
    fn into_sink(encoding: Encoding, bounds: Bounds, sink: S) -> std::io::Result<Decoder<S>> {
        let source = match encoding {
            Encoding::Identity => Source::Identity(sink),
            Encoding::Gzip => Source::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Encoding::Zstd => {
                let mut raw = zstd::stream::raw::Decoder::new()?;
                raw.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Source::Zstd(Box::new(zstd::stream::write::Decoder::with_decoder(sink, raw)))
            }
        };
        Ok(Decoder { source, bounds, compressed: 0, finished: false })
    }

    /// May it come to more than was sent?
    #[must_use]
    pub fn unpacks(&self) -> bool {
        !matches!(self.source, Source::Identity(_))
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
            if self.sink().is_full() {
                return Ok(Step::Full);
            }
            let taken = match &mut self.source {
                Source::Identity(sink) => sink.feed(piece),
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
            self.sink_mut().finish();
        }
        Ok(Step::Done)
    }

    /// Bytes after decompression so far.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.sink().seen()
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

    fn sink(&self) -> &S {
        match &self.source {
            Source::Identity(sink) => sink,
            Source::Gzip(decoder) => decoder.get_ref(),
            Source::Zstd(decoder) => decoder.get_ref(),
        }
    }

    fn sink_mut(&mut self) -> &mut S {
        match &mut self.source {
            Source::Identity(sink) => sink,
            Source::Gzip(decoder) => decoder.get_mut(),
            Source::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

fn damaged(error: std::io::Error) -> Stop {
    Stop::Damaged(error.to_string())
}
