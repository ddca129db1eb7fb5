//! The three versions of the format to one [`Recording`].
//!
//! ```text
//! v1  one object   {"version":1,"width":80,"height":24,"stdout":[[delay, "text"],...]}
//! v2  a header     {"version":2,"width":80,"height":24,"timestamp":1504467315,...}
//!     then lines   [seconds since the start, "o", "text"]
//! v3  a header     {"version":3,"term":{"cols":80,"rows":24},"timestamp":1504467315,...}
//!     then lines   [seconds since the line before, "o", "text"]; blank lines and # comments are skipped
//! ```

use serde::Deserialize;
use std::collections::BTreeMap;

/// A recording, whatever its version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The version of the format: 1, 2 or 3.
    pub version: u8,
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
    /// When it started, in seconds since 1970, if it says so.
    pub started_s: Option<u64>,
    /// What was recorded: `command`, `title`, `TERM`, `SHELL`.
    pub notes: BTreeMap<String, String>,
    /// Tags (v3).
    pub tags: Vec<String>,
    /// What happened, each with its time in microseconds since the start.
    pub events: Vec<(i64, Term)>,
    /// Lines that could not be read.
    pub skipped: Vec<Skipped>,
}

/// One event of a terminal.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// It showed this.
    Output(String),
    /// This was typed.
    Input(String),
    /// It has this many columns and rows now.
    Resize(u32, u32),
    /// A named moment.
    Marker(String),
    /// What ran in it ended with this code.
    Exit(i64),
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// The longest time between two events, and of a recording, in seconds: a hundred years.
const SECONDS_MAX: f64 = 100.0 * 365.0 * 86_400.0;

#[derive(Deserialize)]
struct Header {
    version: u64,
    width: Option<u32>,
    height: Option<u32>,
    term: Option<TermHeader>,
    timestamp: Option<serde_json::Number>,
    command: Option<String>,
    title: Option<String>,
    tags: Option<Vec<String>>,
    env: Option<BTreeMap<String, Option<String>>>,
    stdout: Option<Vec<(f64, String)>>,
}

#[derive(Deserialize)]
struct TermHeader {
    cols: u32,
    rows: u32,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Does a file start as an asciicast does? `start` is its first line, or what fits of it.
#[must_use]
pub fn is_asciicast(start: &[u8]) -> bool {
    let line = start.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = String::from_utf8_lossy(line.unwrap_or_default());
    let line = line.trim_start_matches('\u{feff}').trim_start();
    // A v1 file is one object, often over many lines, so its first line may be the brace alone.
    let text = if line.trim() == "{" { String::from_utf8_lossy(start) } else { line.into() };
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
        && text.contains("\"version\"")
        && !text.contains("\"session\"")
}

/// Reads a recording.
///
/// # Errors
/// A header that can't be read; a sentence that says what is wrong and in which line.
pub fn decode(bytes: &[u8]) -> Result<Recording, String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = (1u64..).zip(text.lines());
    let first = lines.by_ref().find(|(_, line)| !line.trim().is_empty());
    let (number, first) = first.ok_or("the file is empty")?;
    let header = match serde_json::from_str::<Header>(first) {
        Ok(header) if header.version == 1 && header.stdout.is_some() => return version_1(header),
        Ok(header) => header,
        Err(error) => {
            // A v1 file may be laid out over many lines.
            return match serde_json::from_str::<Header>(text) {
                Ok(whole) if whole.version == 1 => version_1(whole),
                _ => Err(format!("line {number} is not an asciicast header: {error}")),
            };
        }
    };
    let (size, relative) = match (header.version, &header.term) {
        (2, _) => (header.width.zip(header.height), false),
        (3, Some(term)) => (Some((term.cols, term.rows)), true),
        (3, None) => (None, true),
        (1, _) => return Err("the header says version 1, but there is no `stdout`".to_owned()),
        (other, _) => {
            return Err(format!("asciicast version {other} is not known; 1, 2 and 3 are"));
        }
    };
    let (cols, rows) = size.ok_or("the header does not say the terminal's size")?;
    let mut recording = from_header(header, cols, rows);
    let mut clock = 0i64;
    for (number, line) in lines {
        if line.trim().is_empty() || (relative && line.starts_with('#')) {
            continue;
        }
        match event(line) {
            Ok((micros, term)) => {
                clock = if relative { clock.saturating_add(micros) } else { micros };
                if let Some(term) = term {
                    recording.events.push((clock, term));
                }
            }
            Err(what) => recording.skipped.push(Skipped { line: number, what }),
        }
    }
    Ok(recording)
}

fn from_header(header: Header, cols: u32, rows: u32) -> Recording {
    let mut notes = BTreeMap::new();
    for (name, value) in [("command", header.command), ("title", header.title)] {
        if let Some(value) = value {
            notes.insert(name.to_owned(), value);
        }
    }
    if let Some(kind) = header.term.and_then(|term| term.kind) {
        notes.insert("TERM".to_owned(), kind);
    }
    for (name, value) in header.env.unwrap_or_default() {
        if let Some(value) = value
            && matches!(name.as_str(), "TERM" | "SHELL")
        {
            notes.insert(name, value);
        }
    }
    let started_s = header
        .timestamp
        .and_then(|t| t.as_u64().or_else(|| t.as_f64().filter(|t| *t >= 0.0).map(|t| t as u64)));
    Recording {
        version: header.version as u8,
        cols,
        rows,
        started_s,
        notes,
        tags: header.tags.unwrap_or_default(),
        events: Vec::new(),
        skipped: Vec::new(),
    }
}

fn version_1(mut header: Header) -> Result<Recording, String> {
    let size = header.width.zip(header.height);
    let (cols, rows) = size.ok_or("the header does not say the terminal's size")?;
    let stdout = header.stdout.take().unwrap_or_default();
    let mut recording = from_header(header, cols, rows);
    let mut clock = 0i64;
    for (index, (delay, text)) in stdout.into_iter().enumerate() {
        match to_micros(delay) {
            Ok(micros) => {
                clock = clock.saturating_add(micros);
                recording.events.push((clock, Term::Output(text)));
            }
            Err(what) => {
                let what = format!("event {}: {what}", index + 1);
                recording.skipped.push(Skipped { line: 1, what });
            }
        }
    }
    Ok(recording)
}

/// One line of v2 or v3: its time, and what happened unless the code is unknown.
fn event(line: &str) -> Result<(i64, Option<Term>), String> {
    let (time, code, data): (f64, String, serde_json::Value) =
        serde_json::from_str(line).map_err(|error| format!("not [time, code, data]: {error}"))?;
    let micros = to_micros(time)?;
    let text = match data {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let term = match code.as_str() {
        "o" => Some(Term::Output(text)),
        "i" => Some(Term::Input(text)),
        "m" => Some(Term::Marker(text)),
        "r" => {
            let size =
                text.split_once('x').and_then(|(c, r)| Some((c.parse().ok()?, r.parse().ok()?)));
            let (cols, rows) =
                size.ok_or_else(|| format!("`{text}` is not a size such as 80x24"))?;
            Some(Term::Resize(cols, rows))
        }
        "x" => {
            Some(Term::Exit(text.trim().parse().map_err(|_| "the exit status is not a number")?))
        }
        _ => None,
    };
    Ok((micros, term))
}

fn to_micros(seconds: f64) -> Result<i64, String> {
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(format!("the time {seconds} is out of range"));
    }
    Ok((seconds * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    fn output(text: &str) -> Term {
        Term::Output(text.to_owned())
    }

    #[test]
    fn version_1_sums_its_delays() {
        let cast = br#"{"version":1,"width":80,"height":24,"duration":1.5,"command":null,"title":"t","env":{"TERM":null},
            "stdout":[[0.25,"a"],[0.5,"b"]]}"#;
        let recording = decode(cast).unwrap();
        assert_eq!(recording.events, [(250_000, output("a")), (750_000, output("b"))]);
        assert_eq!((recording.version, recording.cols, recording.rows), (1, 80, 24));
    }

    #[test]
    fn version_2_counts_from_the_start_and_skips_what_it_does_not_know() {
        let cast = "{\"version\":2,\"width\":100,\"height\":50,\"timestamp\":1509091818,\"env\":{\"SHELL\":\"/bin/bash\"}}\n\n\
            [0.000001, \"o\", \"żółć\"]\n[1.0, \"i\", \"x\"]\n[2.5, \"r\", \"80x40\"]\n[5.6, \"m\", \"\"]\n[6, \"z\", \"new\"]\n[7.0, \"o\", \"cut";
        let recording = decode(cast.as_bytes()).unwrap();
        assert_eq!(recording.started_s, Some(1_509_091_818));
        assert_eq!(
            recording.events,
            [
                (1, output("żółć")),
                (1_000_000, Term::Input("x".into())),
                (2_500_000, Term::Resize(80, 40)),
                (5_600_000, Term::Marker(String::new())),
            ]
        );
        assert_eq!(recording.skipped.len(), 1);
        assert_eq!(recording.skipped.first().map(|s| s.line), Some(8));
    }

    #[test]
    fn version_3_sums_its_intervals_without_drift() {
        let mut cast = "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24,\"type\":\"xterm\"},\"tags\":[\"demo\"]}\n# a comment\n".to_owned();
        for _ in 0..1_000 {
            cast.push_str("[0.001, \"o\", \"é\"]\n");
        }
        cast.push_str("[0.5, \"x\", \"3\"]\n");
        let recording = decode(cast.as_bytes()).unwrap();
        assert_eq!(recording.events.len(), 1_001);
        assert_eq!(recording.events.last(), Some(&(1_500_000, Term::Exit(3))));
        assert_eq!(recording.tags, ["demo"]);
    }

    #[test]
    fn an_ndjson_event_is_not_taken_for_a_recording() {
        assert!(is_asciicast(b"{\"version\": 2, \"width\": 1}\n"));
        assert!(is_asciicast(b"{\n  \"version\": 1,\n"));
        assert!(!is_asciicast(b"{\"session\":\"a\",\"metadata\":{\"version\":\"2\"}}\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
            let _ = is_asciicast(&bytes);
        }

        #[test]
        fn no_line_after_a_header_makes_the_decoder_panic(
            version in 1u8..5,
            lines in proptest::collection::vec("(\\[[-0-9.e]{1,12}, ?\"[a-z]\", ?\"[^\"\\\\]{0,8}\"\\])|.{0,30}", 0..8),
        ) {
            let cast = format!(
                "{{\"version\":{version},\"width\":1,\"height\":1,\"term\":{{\"cols\":1,\"rows\":1}}}}\n{}",
                lines.join("\n")
            );
            if let Ok(recording) = decode(cast.as_bytes()) {
                prop_assert!(recording.events.len() + recording.skipped.len() <= cast.lines().count());
            }
        }

        #[test]
        fn what_is_shown_comes_back_whole(texts in proptest::collection::vec("\\PC{1,12}", 1..6)) {
            let mut cast = "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24}}\n".to_owned();
            for text in &texts {
                cast.push_str(&format!("[0.1,\"o\",{}]\n", serde_json::to_string(text).unwrap()));
            }
            let shown: Vec<Term> = decode(cast.as_bytes()).unwrap().events.into_iter().map(|(_, t)| t).collect();
            prop_assert_eq!(shown, texts.iter().map(|t| output(t)).collect::<Vec<_>>());
        }
    }
}
