//! A session as an asciicast, which asciinema and its kin play.
//!
//! ```text
//! v2  {"version":2,"width":80,"height":24,"timestamp":1772357400,"title":"…","env":{"TERM":"xterm"}}
//!     [0.250000,"o","text"]            seconds since the timestamp
//! v3  {"version":3,"term":{"cols":80,"rows":24,"type":"xterm"},"timestamp":1772357400,"title":"…"}
//!     [0.250000,"o","text"]            seconds since the line before
//! ```
//!
//! Times have all of their microseconds, so an import of the file gives each event the time that it had. Where time runs
//! backwards (a clock was set) it stands still. A session without a terminal is played as replays play it
//! ([`crate::replay`]): its commands and what came back. v3 also has the exit code.

use super::Download;
use crate::columnar::Error;
use crate::error::QueryError;
use crate::replay::pieces::{Piece, Source};
use daybook_engine::event::Kind;
use daybook_engine::event::wire::{Body, Content, Start};
use daybook_engine::screen::Size;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// The version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V2,
    V3,
}

pub(super) fn write(
    download: &Download<'_>,
    version: Version,
    out: &mut (dyn Write + Send),
) -> Result<(), QueryError> {
    let state = &download.session().state;
    let start = state.started_at().unwrap_or_default().0.div_euclid(1_000_000) * 1_000_000;
    let facts = state.facts().cloned().unwrap_or_default();
    let head = head(download, &facts, version, start / 1_000_000)?;
    out.write_all(head.as_bytes()).map_err(Error::from)?;
    let source = if download.has_terminal() { Source::Terminal } else { Source::Commands };
    let mut cast =
        Cast { out, version, clock: start, since: start, begins_line: true, cut: Vec::new() };
    download.each(&mut |record| {
        let event = record.event()?;
        cast.clock = cast.clock.max(record.time.0);
        match (&event.body, source) {
            (Body::TerminalOutput(content), Source::Terminal) => cast.output(content),
            (Body::TerminalInput(content), _) => cast.line("i", &content.as_text()),
            (Body::TerminalMarker(content), _) => cast.line("m", &content.as_text()),
            (Body::TerminalResize { cols, rows }, _) => cast.line("r", &format!("{cols}x{rows}")),
            (Body::SessionEnd(end), _) => match end.exit_code.filter(|_| version == Version::V3) {
                Some(code) => cast.line("x", &code.to_string()),
                None => Ok(()),
            },
            (_, Source::Commands)
                if source.plays(record.kind) && record.kind != Kind::SessionStart =>
            {
                match Piece::of(&event) {
                    Some(Piece::Line(text)) => cast.played(&text, true),
                    Some(Piece::Show(text)) => cast.played(&text, false),
                    Some(Piece::Resize(_)) | None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    })?;
    cast.flush()
}

/// The first line. Its version stands first: that is what recordings are known by.
#[derive(Serialize)]
struct Head<'a> {
    version: u8,
    #[serde(flatten)]
    size: Option<Size2>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<Term<'a>>,
    timestamp: i64,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [Box<str>],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<&'static str, &'a str>,
}

/// The terminal's size, as v2 has it.
#[derive(Serialize)]
struct Size2 {
    width: u32,
    height: u32,
}

/// The terminal, as v3 has it.
#[derive(Serialize)]
struct Term<'a> {
    cols: u32,
    rows: u32,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
}

fn head(
    download: &Download<'_>,
    facts: &Start,
    version: Version,
    timestamp: i64,
) -> Result<String, QueryError> {
    let Size { cols, rows } = match (facts.cols, facts.rows) {
        (Some(cols), Some(rows)) => Size { cols, rows },
        _ => Size::default(),
    };
    let said = |name: &str| facts.metadata.get(name).map(|value| &**value);
    let who = facts.user.as_deref().unwrap_or(&download.session().id);
    let role = facts.role.as_deref().map(|role| format!(" on {role}")).unwrap_or_default();
    let is_v3 = version == Version::V3;
    let env = ["TERM", "SHELL"].into_iter().filter(|name| !is_v3 || *name != "TERM");
    let head = Head {
        version: if is_v3 { 3 } else { 2 },
        size: (!is_v3).then_some(Size2 { width: cols, height: rows }),
        term: is_v3.then(|| Term { cols, rows, kind: said("TERM") }),
        timestamp,
        title: said("title").map_or_else(|| format!("{who}{role}"), Into::into),
        command: said("command"),
        tags: if is_v3 { &facts.tags } else { &[] },
        env: env.filter_map(|name| Some((name, said(name)?))).collect(),
    };
    let line = serde_json::to_string(&head);
    Ok(line.map_err(|error| Error::from(std::io::Error::from(error)))? + "\n")
}

struct Cast<'o> {
    out: &'o mut (dyn Write + Send),
    version: Version,
    /// The latest time of the events.
    clock: i64,
    /// What times are counted from: the start, or the line before.
    since: i64,
    begins_line: bool,
    /// The first bytes of a character that the next event ends.
    cut: Vec<u8>,
}

impl Cast<'_> {
    fn line(&mut self, code: &str, text: &str) -> Result<(), QueryError> {
        let since = match self.version {
            Version::V2 => self.clock - self.since,
            Version::V3 => self.clock - std::mem::replace(&mut self.since, self.clock),
        };
        let text = serde_json::to_string(text)
            .map_err(|error| Error::from(std::io::Error::from(error)))?;
        let (seconds, micros) = (since / 1_000_000, since % 1_000_000);
        let line = format!("[{seconds}.{micros:06},\"{code}\",{text}]\n");
        Ok(self.out.write_all(line.as_bytes()).map_err(Error::from)?)
    }

    /// What a terminal was sent. A character may be cut between two events of bytes.
    fn output(&mut self, content: &Content<'_>) -> Result<(), QueryError> {
        match content {
            Content::Text(text) if self.cut.is_empty() => self.line("o", text),
            Content::Text(text) => {
                self.cut.extend_from_slice(text.as_bytes());
                self.flush()
            }
            Content::Data(data) => {
                self.cut.extend_from_slice(data);
                let whole = whole_characters(&self.cut);
                let rest = self.cut.split_off(whole);
                self.flush()?;
                self.cut = rest;
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), QueryError> {
        let bytes = std::mem::take(&mut self.cut);
        if bytes.is_empty() { Ok(()) } else { self.line("o", &String::from_utf8_lossy(&bytes)) }
    }

    /// What a replay shows of a session without a terminal, on a line of its own or behind what stands there.
    fn played(&mut self, text: &str, own_line: bool) -> Result<(), QueryError> {
        if text.is_empty() {
            return Ok(());
        }
        let before = if own_line && !self.begins_line { "\r\n" } else { "" };
        self.begins_line = text.ends_with('\n');
        // A terminal goes to the line's start only when it is told.
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        self.line("o", &format!("{before}{text}"))
    }
}

/// How many bytes there are before a character that is not whole yet.
fn whole_characters(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    let tail = bytes.get(from..).unwrap_or_default();
    for (at, byte) in tail.iter().enumerate().rev() {
        let needs = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if at + needs > tail.len() { from + at } else { bytes.len() };
    }
    bytes.len()
}
