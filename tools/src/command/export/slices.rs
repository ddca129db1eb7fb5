//! An export of lines in slices of the log, so that one that breaks is gone on with.
//!
//! ```text
//! FILE.part        the slices so far
//! FILE.part.json   {"asked":"…","end":1200000,"next":250000,"bytes":81234567}
//! ```
//!
//! The end is that of the log when the export began. A slice that breaks is cut off and asked for again, a few times;
//! then the next `daybook export` of the same goes on with it. What was asked differs: the export begins anew.

use super::beside;
use crate::output;
use crate::source::Source;
use anyhow::{Context as _, anyhow};
use daybook_query::export::{Format, Schema};
use daybook_query::lang::Query;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// How often a slice is tried in a row.
const ATTEMPTS: u32 = 5;

/// How far an export is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// What was asked, of whom.
    asked: String,
    /// Where the log ended when the export began; nothing before the first slice was answered.
    end: Option<u64>,
    /// Where the next slice begins.
    next: u64,
    /// Bytes of the slices before it.
    bytes: u64,
}

/// Writes an export to a file, or what is missing of it, `slice` offsets at a time.
///
/// # Errors
/// A file that can't be written, or what the server or the log says; then the next call goes on.
pub(super) async fn export(
    source: &Source,
    query: &Query,
    format: (Format, Schema),
    part: &Path,
    slice: u64,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let failed = || format!("can't write {}", part.display());
    let asked = format!("{query} {} {:?}", format.0.name(), format.1);
    let mut place = read(part).filter(|place| place.asked == asked).unwrap_or_default();
    place.asked = asked;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(part);
    let mut file = file.with_context(failed)?;
    if file.metadata().with_context(failed)?.len() < place.bytes {
        place = Place { asked: place.asked, ..Place::default() };
    }
    if place.next > 0 {
        bar.println(format!("going on after {}", output::bytes(place.bytes)));
    }
    let mut attempt = 0;
    while place.end.is_none_or(|end| place.next < end) {
        let to = place.next.saturating_add(slice).min(place.end.unwrap_or(u64::MAX));
        file.set_len(place.bytes).with_context(failed)?;
        file.seek(SeekFrom::Start(place.bytes)).with_context(failed)?;
        // A table has one head.
        let headless = format.0 == Format::Csv && place.next > 0;
        let mut out =
            Slice { out: BufWriter::with_capacity(1 << 20, &mut file), bytes: 0, headless };
        let answered = match source.export(query, format, place.next..to, &mut out).await {
            Ok(end) => out.flush().map(|()| end).with_context(failed),
            Err(error) => Err(error),
        };
        let bytes = out.bytes;
        drop(out);
        match answered {
            Ok(end) => {
                file.sync_data().with_context(failed)?;
                attempt = 0;
                place.bytes += bytes;
                place.next = to;
                let end = *place.end.get_or_insert(end);
                write(part, &place)?;
                bar.set_position(place.bytes);
                let done = to.min(end) * 100 / end.max(1);
                bar.set_message(format!("{}, {done} % of the log", output::bytes(place.bytes)));
            }
            Err(error) => {
                attempt += 1;
                if attempt == ATTEMPTS || place.end.is_none() {
                    if place.end.is_none() {
                        // Nothing is there to go on with.
                        let _ = std::fs::remove_file(part);
                        return Err(error);
                    }
                    let what =
                        "the export is not whole; the same command goes on where it broke off";
                    return Err(anyhow!("{error:#}; {what}"));
                }
                tokio::time::sleep(Duration::from_secs(1 << attempt.min(4))).await;
            }
        }
    }
    Ok(())
}

/// Forgets how far an export is that is whole.
pub(super) fn forget(part: &Path) {
    let _ = std::fs::remove_file(beside(part, ".json"));
}

fn read(part: &Path) -> Option<Place> {
    let bytes = std::fs::read(beside(part, ".json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Replaces the note: it is the old one or the new one, whenever it breaks.
fn write(part: &Path, place: &Place) -> anyhow::Result<()> {
    let note = beside(part, ".json");
    let new = beside(part, ".json.new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(&serde_json::to_vec(place)?)?;
        file.sync_data()?;
        std::fs::rename(&new, &note)
    });
    written.with_context(|| format!("can't write {}", note.display()))
}

/// Writes a slice, and counts it.
struct Slice<W> {
    out: W,
    bytes: u64,
    /// Is its first line left out?
    headless: bool,
}

impl<W: Write> Write for Slice<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        if self.headless {
            match bytes.iter().position(|byte| *byte == b'\n') {
                None => return Ok(bytes.len()),
                Some(end) => {
                    self.headless = false;
                    rest = bytes.get(end + 1..).unwrap_or_default();
                }
            }
        }
        self.out.write_all(rest)?;
        self.bytes += rest.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
