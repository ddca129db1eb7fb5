//! sudo's I/O logs (`log`: whose, `timing`: when): a directory a command, such as `/var/log/sudo-io/00/00/01`.
//!
//! ```text
//! log.json   {"timestamp":{"seconds":..,"nanoseconds":..},"submituser":..,"runargv":[..],..}   sudo 1.9
//! log        epoch:submituser:runuser:rungroup:tty:lines:cols                     (lines:cols since 1.8.?)
//!            the directory
//!            the command
//! timing     TYPE DELAY REST      one line a record, DELAY in seconds since the record before
//!              0 stdin  1 stdout  2 stderr  3 ttyin  4 ttyout     REST: bytes, the next ones of that file
//!              5 window size                                      REST: LINES COLS
//!              6 ttyout, as sudo 1.8.7 has it                     REST: bytes
//!              7 suspended                                        REST: the signal
//! stdin, stdout, stderr, ttyin, ttyout                            the bytes
//! ```
//!
//! Each file may be gzipped. The decimal point of a delay is the locale's, so it may be a comma. When the
//! command has ended, sudo takes the write permission from `timing`.
//!
//! | record | event |
//! |---|---|
//! | the log itself | `session.start`, and a `command` with what was run |
//! | stdout, stderr | `output` of that command |
//! | ttyout | `terminal.output` |
//! | ttyin, stdin | `terminal.input` |
//! | window size | `terminal.resize` |
//! | suspended | `terminal.marker` |

mod log;
mod timing;

pub use log::Log;
pub use timing::Timing;

use super::{CONTENT_BYTES, Found, is_over};
use crate::asciicast::Labels;
use crate::import::open;
use crate::line::{self, cut};
use crate::record::{Piece, Utf8};
use anyhow::{Context as _, bail};
use daybook_engine::event::Micros;
use serde_json::{Value, json};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The largest file of a log that is read, unpacked, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;
const STREAMS: [&str; 5] = ["stdin", "stdout", "stderr", "ttyin", "ttyout"];
const TTYOUT: usize = 4;

/// Is a directory a log of sudo's?
#[must_use]
pub fn is_io_log(dir: &Path) -> bool {
    let has = |name| dir.join(name).is_file();
    has("timing") && (has("log") || has("log.json"))
}

/// Reads a log.
///
/// # Errors
/// A file that can't be read, or that is not what its name says.
pub fn read(dir: &Path, labels: &Labels) -> anyhow::Result<Found> {
    let json = dir.join("log.json");
    let log = if json.is_file() {
        Log::from_json(&unpacked(&json)?).map_err(|what| (json, what))
    } else {
        let path = dir.join("log");
        Log::from_text(&unpacked(&path)?).map_err(|what| (path, what))
    };
    let log = log.map_err(|(path, what)| {
        anyhow::anyhow!(
            "{} is not what sudo writes: {what}; copy it again from where sudo wrote it",
            path.display()
        )
    })?;
    let path = dir.join("timing");
    let timing = unpacked(&path)?;
    let writable = path.metadata().map_or(true, |meta| meta.permissions().mode() & 0o222 != 0);
    let mut streams: [Vec<u8>; 5] = Default::default();
    for (stream, name) in streams.iter_mut().zip(STREAMS) {
        let path = dir.join(name);
        if path.is_file() {
            *stream = unpacked(&path)?;
        }
    }
    Ok(events(&log, &timing, &streams, !writable, labels))
}

fn unpacked(path: &Path) -> anyhow::Result<Vec<u8>> {
    let opened = open(path).with_context(|| format!("can't open {}", path.display()))?;
    let mut bytes = Vec::new();
    let read = opened.reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    // A log that is still being written ends in the middle of a gzip stream: what is there is read.
    if let Err(error) = read
        && error.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return Err(error).with_context(|| {
            format!("can't read {}: if it is damaged, take it from a backup", path.display())
        });
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!(
            "{} is larger than {FILE_BYTES_MAX} bytes, unpacked, which is not read",
            path.display()
        );
    }
    Ok(bytes)
}

/// The session's lines. `is_complete` is what the permissions of `timing` say.
fn events(
    log: &Log,
    timing: &[u8],
    streams: &[Vec<u8>; 5],
    is_complete: bool,
    labels: &Labels,
) -> Found {
    let mut session =
        Session { id: log.id(timing), started: log.started, nanos: 0, found: Found::default() };
    session.push("session.start", log.start(labels));
    let command = json!({"input": log.command, "language": "shell", "verdict": "passed"});
    session.push("command", command);
    let mut rests = streams.each_ref().map(Vec::as_slice);
    let mut decoders: [Utf8; 5] = Default::default();
    let timing = String::from_utf8_lossy(timing);
    for (number, line) in (1u64..).zip(timing.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let (delay, record) = match Timing::read(line) {
            Ok(record) => record,
            Err(what) => {
                session.found.skip(number, format!("timing: {what}"));
                continue;
            }
        };
        session.nanos = session.nanos.saturating_add(delay);
        match record {
            Timing::Size(cols, rows) => {
                session.push("terminal.resize", json!({"cols": cols, "rows": rows}));
            }
            Timing::Suspended(signal) => {
                session.push("terminal.marker", json!({"text": format!("signal {signal}")}));
            }
            Timing::Bytes(stream, count) => {
                let (Some(rest), Some(decoder), Some(name)) =
                    (rests.get_mut(stream), decoders.get_mut(stream), STREAMS.get(stream))
                else {
                    continue;
                };
                if count > rest.len() {
                    let what =
                        format!("timing: {count} bytes of {name}, which has {} more", rest.len());
                    session.found.skip(number, what);
                }
                let (bytes, after) = rest.split_at(count.min(rest.len()));
                *rest = after;
                for bytes in bytes.chunks(CONTENT_BYTES) {
                    session.said(stream, decoder.push(bytes));
                }
            }
        }
    }
    for (rest, name) in rests.iter().zip(STREAMS) {
        if !rest.is_empty() {
            session.found.skip(1, format!("timing: {} bytes of {name} have no time", rest.len()));
        }
    }
    if is_complete || log.ended.is_some() || is_over(session.now()) {
        for (stream, decoder) in decoders.iter_mut().enumerate() {
            session.said(stream, decoder.end());
        }
        let (code, signal) = log.ended.clone().unwrap_or_default();
        let status = match (code, &signal) {
            (_, Some(_)) => "killed",
            (Some(code), None) if code != 0 => "failed",
            _ => "done",
        };
        let reason = signal.map(|signal| cut(&format!("signal {signal}")));
        session.push("session.end", json!({"status": status, "exit_code": code, "reason": reason}));
    }
    session.found
}

struct Session {
    id: String,
    started: Micros,
    /// Since the start.
    nanos: i64,
    found: Found,
}

impl Session {
    fn now(&self) -> Micros {
        Micros(self.started.0.saturating_add(self.nanos / 1_000))
    }

    fn push(&mut self, kind: &str, fields: Value) {
        let seq = u32::try_from(self.found.lines.len()).unwrap_or(u32::MAX);
        self.found.lines.push(line::event(&self.id, seq, self.now(), kind, fields));
    }

    fn said(&mut self, stream: usize, piece: Option<Piece>) {
        let mut fields = match piece {
            None => return,
            Some(Piece::Text(text)) => json!({"text": text}),
            Some(Piece::Bytes(bytes)) => line::content(&bytes),
        };
        let kind = match stream {
            0 | 3 => "terminal.input",
            1 | 2 => "output",
            _ => "terminal.output",
        };
        if kind == "output"
            && let Some(fields) = fields.as_object_mut()
        {
            fields.insert("command".into(), json!(1));
            fields.insert("stream".into(), json!(STREAMS.get(stream)));
        }
        self.push(kind, fields);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use crate::foreign::testing::{events as decoded, of_kind};
    use proptest::prelude::*;

    pub(super) const JSON: &[u8] = br#"{"timestamp":{"seconds":1772357400,"nanoseconds":82998172},"submituser":"alice","runuser":"nobody",
        "submithost":"db1.example.com","command":"/usr/bin/sh","runargv":["sh","-c","echo it's"],"columns":80,"lines":24}"#;

    fn streams(ttyout: &[u8], stdout: &[u8]) -> [Vec<u8>; 5] {
        [Vec::new(), stdout.to_vec(), Vec::new(), Vec::new(), ttyout.to_vec()]
    }

    #[test]
    fn a_log_that_grew_keeps_the_numbers_and_only_a_complete_one_ends() {
        let log = Log { started: Micros::now(), ..Log::from_json(JSON).unwrap() };
        let labels = Labels::default();
        let first = events(&log, b"4 0.1 2\n", &streams(b"a\xc3", b""), false, &labels);
        let later = events(
            &log,
            b"4 0.1 2\n4 0.2 1\n1 0.3 2\n",
            &streams("aé".as_bytes(), b"\xff!"),
            true,
            &labels,
        );
        assert_eq!(later.lines.get(..first.lines.len()), Some(&first.lines[..]));
        let all = decoded(&later);
        assert!(of_kind(&decoded(&first), "session.end").is_empty());
        assert_eq!(of_kind(&all, "session.end").len(), 1);
        let shown: String =
            of_kind(&all, "terminal.output").iter().map(|e| e["text"].as_str().unwrap()).collect();
        assert_eq!(shown, "aé");
        assert_eq!(of_kind(&all, "output")[0]["stream"], "stdout");
        assert!(later.skipped.is_empty());
    }

    #[test]
    fn what_is_missing_is_named_with_its_line() {
        let log = Log::from_json(JSON).unwrap();
        let found = events(
            &log,
            b"4 0.1 5\nnonsense\n",
            &streams(b"abc", b"no time"),
            true,
            &Labels::default(),
        );
        let what: Vec<_> = found.skipped.iter().map(|s| (s.line, s.what.as_str())).collect();
        assert_eq!(what[0], (1, "timing: 5 bytes of ttyout, which has 3 more"));
        assert_eq!(what[1].0, 2);
        assert_eq!(what[2].1, "timing: 7 bytes of stdout have no time");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(
            log in proptest::collection::vec(any::<u8>(), 0..80),
            timing in "([0-9] [0-9]{0,3}[.,]?[0-9]{0,10} [0-9A-Z]{1,20}( [0-9]{1,4})?\n|.{0,12}\n){0,8}",
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let _ = Log::from_json(&log);
            let log = Log::from_text(&log).unwrap_or_default();
            let found = events(&log, timing.as_bytes(), &streams(&bytes, &bytes), true, &Labels::default());
            if log.started.0 >= 0 && log.started.0 < 4_000_000_000_000_000 && !log.command.is_empty() {
                decoded(&found);
            }
        }

        #[test]
        fn every_byte_that_has_a_time_comes_out_once(
            sizes in proptest::collection::vec(0usize..9, 0..12),
            bytes in proptest::collection::vec(any::<u8>(), 120),
        ) {
            let timing: String = sizes.iter().map(|size| format!("4 0.001 {size}\n")).collect();
            let count = sizes.iter().sum::<usize>();
            let log = Log::from_json(JSON).unwrap();
            let found = events(&log, timing.as_bytes(), &streams(&bytes[..count], b""), true, &Labels::default());
            let mut shown = Vec::new();
            for event in of_kind(&decoded(&found), "terminal.output") {
                use base64::Engine as _;
                match event["text"].as_str() {
                    Some(text) => shown.extend_from_slice(text.as_bytes()),
                    None => shown.extend(base64::prelude::BASE64_STANDARD.decode(event["data"].as_str().unwrap()).unwrap()),
                }
            }
            prop_assert_eq!(&shown[..], &bytes[..count]);
        }
    }
}
