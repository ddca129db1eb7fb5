//! Batches of whole lines from one file.

use super::open::Opened;
use crate::asciicast::{self, Labels};
use crate::foreign::{self, Found, Shape};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use daybook_engine::event::wire::LINE_BYTES_MAX;
use std::collections::VecDeque;
use std::io::{BufRead, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How large a batch gets, about, in bytes.
pub const CHUNK_BYTES: usize = 1 << 20;
/// The largest recording that is read, unpacked, in bytes: it is taken into memory whole.
const RECORDING_BYTES_MAX: u64 = 1 << 30;

/// Some lines of a file.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The file.
    pub path: Arc<PathBuf>,
    /// The number of its first line, from 1; for a recording the number of its first event.
    pub first_line: u64,
    /// How many lines.
    pub lines: u64,
    /// The lines, each with its line break.
    pub bytes: Bytes,
}

/// The batches of a file.
pub struct Chunks {
    path: Arc<PathBuf>,
    source: Source,
    next_line: u64,
    /// Lines of a recording that could not be read, with why.
    pub skipped: Vec<(u64, String)>,
}

enum Source {
    Lines(Box<dyn BufRead + Send>),
    Events(VecDeque<String>),
}

impl Chunks {
    /// The batches of an opened file, whatever it is: its content tells.
    ///
    /// # Errors
    /// A file that can't be read, or that is none of those that are known.
    pub fn new(path: &Path, opened: Opened, labels: &Labels) -> anyhow::Result<Chunks> {
        let mut reader = opened.reader;
        let start = reader.fill_buf().with_context(|| format!("can't read {}", path.display()))?;
        let shape = foreign::shape(start);
        if shape == Shape::Events {
            let path = Arc::new(path.to_owned());
            let source = Source::Lines(reader);
            return Ok(Chunks { path, source, next_line: 1, skipped: Vec::new() });
        }
        if let Shape::Unknown(seems) = shape {
            bail!(
                "{} is nothing that can be imported: {seems}; what can be is daybook's NDJSON, asciicast, tlog JSON, hoop sessions, Teleport audit events, and directories of sudo's I/O logs (docs/import.md)",
                path.display()
            );
        }
        let mut whole = Vec::new();
        reader
            .take(RECORDING_BYTES_MAX + 1)
            .read_to_end(&mut whole)
            .with_context(|| format!("can't read {}", path.display()))?;
        if whole.len() as u64 > RECORDING_BYTES_MAX {
            bail!(
                "{} has more than {RECORDING_BYTES_MAX} bytes, unpacked, and is read as a whole; split it",
                path.display()
            );
        }
        let found = decoded(&shape, &whole, labels)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{} can't be read as {}", path.display(), name(&shape)))?;
        Ok(Chunks::of(path, found))
    }

    /// The batches of what was found at a path.
    #[must_use]
    pub fn of(path: &Path, found: Found) -> Chunks {
        let skipped = found.skipped.into_iter().map(|s| (s.line, s.what)).collect();
        let source = Source::Events(found.lines.into());
        Chunks { path: Arc::new(path.to_owned()), source, next_line: 1, skipped }
    }

    /// The next batch.
    ///
    /// # Errors
    /// A file that can't be read on, with the line where it broke.
    pub fn next_chunk(&mut self) -> anyhow::Result<Option<Chunk>> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES + (64 << 10));
        let mut lines = 0u64;
        while bytes.len() < CHUNK_BYTES {
            match &mut self.source {
                Source::Lines(reader) => {
                    // One byte more than a line may have, so that one that is too long is seen.
                    let limit = LINE_BYTES_MAX as u64 + 2;
                    let read = reader.by_ref().take(limit).read_until(b'\n', &mut bytes);
                    let read = read.with_context(|| {
                        let at = self.next_line + lines;
                        format!("can't read {} past line {at}", self.path.display())
                    })?;
                    if read == 0 {
                        break;
                    }
                    if read as u64 == limit && bytes.last() != Some(&b'\n') {
                        bytes.push(b'\n');
                        skip_line(reader)?;
                    }
                }
                Source::Events(events) => {
                    let Some(event) = events.pop_front() else { break };
                    bytes.extend_from_slice(event.as_bytes());
                }
            }
            if bytes.last() != Some(&b'\n') {
                bytes.push(b'\n');
            }
            lines += 1;
        }
        if lines == 0 {
            return Ok(None);
        }
        let first_line = self.next_line;
        self.next_line += lines;
        Ok(Some(Chunk { path: Arc::clone(&self.path), first_line, lines, bytes: bytes.into() }))
    }
}

fn decoded(shape: &Shape, whole: &[u8], labels: &Labels) -> Result<Found, String> {
    let mut noted = Found::default();
    match shape {
        Shape::Tlog => foreign::tlog(whole, labels),
        Shape::JournalJson => {
            let messages = foreign::from_json(whole, &mut noted);
            foreign::tlog_messages(messages, noted, labels)
        }
        Shape::JournalExport => {
            let messages = foreign::from_export(whole, &mut noted);
            foreign::tlog_messages(messages, noted, labels)
        }
        Shape::Hoop => foreign::hoop(whole, labels),
        Shape::HoopStream => foreign::hoop_stream(whole, labels),
        Shape::Teleport => foreign::teleport(whole, labels),
        Shape::Asciicast | Shape::Events | Shape::Unknown(_) => {
            let recording = asciicast::decode(whole)?;
            let lines = asciicast::events(whole, &recording, labels);
            Ok(Found { lines, skipped: recording.skipped })
        }
    }
}

fn name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Events | Shape::Unknown(_) => "events",
        Shape::Asciicast => "an asciicast recording",
        Shape::Tlog => "tlog's messages",
        Shape::JournalJson | Shape::JournalExport => "tlog's messages in journald's entries",
        Shape::Hoop | Shape::HoopStream => "hoop's sessions",
        Shape::Teleport => "Teleport's audit events",
    }
}

/// Leaves out what follows of a line that is too long: its start alone is refused, with its number.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                reader.consume(at + 1);
                return Ok(());
            }
            None => {
                let all = buffer.len();
                reader.consume(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::super::open;
    use super::*;
    use std::io::Write as _;

    fn all(path: &Path) -> (String, Vec<(u64, u64)>) {
        let mut chunks = Chunks::new(path, open(path).unwrap(), &Labels::default()).unwrap();
        let (mut text, mut ranges) = (Vec::new(), Vec::new());
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            text.extend_from_slice(&chunk.bytes);
            ranges.push((chunk.first_line, chunk.lines));
        }
        (String::from_utf8(text).unwrap(), ranges)
    }

    #[test]
    fn a_file_reads_the_same_plain_gzipped_and_zstd_whatever_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let line = format!("{{\"session\":\"s\",\"text\":\"{}\"}}\n", "x".repeat(1_000));
        let mut text = line.repeat(3_000);
        text.push_str("{\"session\":\"last\"}");
        let plain = dir.path().join("a");
        std::fs::write(&plain, &text).unwrap();
        let gz = dir.path().join("b");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&gz).unwrap(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        let zst = dir.path().join("c");
        std::fs::write(&zst, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
        let (first, ranges) = all(&plain);
        assert_eq!(first, format!("{text}\n"));
        assert_eq!(ranges.iter().map(|(_, n)| n).sum::<u64>(), 3_001);
        assert!(ranges.len() > 1 && ranges.windows(2).all(|w| w[0].0 + w[0].1 == w[1].0));
        assert_eq!((all(&gz), all(&zst)), ((first.clone(), ranges.clone()), (first, ranges)));
    }

    use std::fs::File;
}
