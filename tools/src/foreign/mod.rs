//! What other systems recorded, to daybook's events.
//!
//! | module | what is read |
//! |---|---|
//! | `shape` | what a file is, told by its content |
//! | `sudo` | directories that sudo's I/O logging leaves |
//! | `tlog` | tlog's JSON messages, bare or as journald gives them |
//! | `journal` | journald's JSON and export formats, as far as tlog's messages need them |
//! | `hoop` | sessions as hoop's API gives them |
//! | `teleport` | Teleport's audit events |
//!
//! What is the same in all:
//!
//! - An event's session and `seq` come from what was recorded alone, so importing a file twice, or again
//!   when more was recorded, stores each event once.
//! - What can't be read is named with its place and goes into [`Found::skipped`]; nothing is left out in
//!   silence.
//! - A recording that does not say that it ended counts as ended a day after its last event.

mod hoop;
mod journal;
mod shape;
mod sudo;
mod teleport;
#[cfg(test)]
mod testing;
mod tlog;

pub use hoop::{hoop, hoop_stream};
pub use journal::{from_export, from_json};
pub use shape::{Shape, shape};
pub use sudo::{Log as SudoLog, Timing, is_io_log, read as read_io_log};
pub use teleport::teleport;
pub use tlog::{read as tlog_messages, tlog};

use crate::asciicast::Skipped;
use daybook_engine::event::Micros;
use serde_json::Value;

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Events, one a line, without line breaks.
    pub lines: Vec<String>,
    /// What could not be read.
    pub skipped: Vec<Skipped>,
}

impl Found {
    fn skip(&mut self, line: u64, what: impl Into<String>) {
        self.skipped.push(Skipped { line, what: what.into() });
    }
}

/// The most bytes of one event: base64 and JSON escapes make more of them, and a line has a bound.
const CONTENT_BYTES: usize = 1 << 20;
/// After this a recording without an end has ended.
const ENDED_AFTER: i64 = 86_400 * 1_000_000;

fn is_over(last: Micros) -> bool {
    last.0.saturating_add(ENDED_AFTER) < Micros::now().0
}

/// Seconds since 1970, as a time.
fn seconds(seconds: f64) -> Option<Micros> {
    let micros = seconds * 1e6;
    // Within what a time can be; the log checks the rest.
    (0.0..9e15).contains(&micros).then(|| Micros(micros.round() as i64))
}

/// A field that is a text and not empty.
fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Any value in a sentence's words.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The JSON values of a file: one array, or one value after the other with any white space between, also
/// laid out over many lines. Each with the number of the line that it starts in, or what is wrong there.
fn values(bytes: &[u8]) -> Vec<(u64, Result<Value, String>)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found = Vec::new();
    let mut at = 0;
    let mut line = 1u64;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.trim_ascii().is_empty()) {
        let blank = rest.len() - rest.trim_ascii_start().len();
        line += breaks(rest.get(..blank).unwrap_or_default());
        let start = at + blank;
        let rest = bytes.get(start..).unwrap_or_default();
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let taken = match stream.next() {
            None => break,
            Some(Ok(Value::Array(items))) => {
                found.extend(items.into_iter().map(|item| (line, Ok(item))));
                stream.byte_offset()
            }
            Some(Ok(value)) => {
                found.push((line, Ok(value)));
                stream.byte_offset()
            }
            Some(Err(error)) => {
                found.push((line, Err(format!("not JSON: {error}"))));
                // The next line may be whole: a file that is being written ends in half a line.
                rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1)
            }
        };
        line += breaks(rest.get(..taken).unwrap_or_default());
        at = start + taken.max(1);
    }
    found
}

fn breaks(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
