//! What sudo says, as lines of events.
//!
//! ```text
//! seq  0  session.start     who, on which host, as whom
//!      1  command           verdict `passed` (Accept) or `blocked` (Reject, Alert)
//!      2… terminal.*, output, command (what the command itself ran), one a message, in their order
//!      …  command.end, session.end
//! ```
//!
//! The same messages are always the same lines with the same numbers: what a client sends again after a
//! restart is known as a repetition. A session's id is made of the first message, its time is the client's
//! with the delays added up, to the nanosecond.

use super::messages::{Info, InfoValue, TimeSpec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The number of the command in its session.
pub const COMMAND: u32 = 1;
/// The number of the first record after it.
pub const FIRST: u32 = 2;

/// A time in nanoseconds: since 1970, or since a session's start.
pub type Nanos = i128;

/// A time as nanoseconds.
///
/// # Errors
/// One that no clock says.
pub fn nanos(time: Option<TimeSpec>) -> Result<Nanos, String> {
    let TimeSpec { tv_sec, tv_nsec } = time.unwrap_or_default();
    if tv_sec < 0 || !(0..1_000_000_000).contains(&tv_nsec) {
        return Err(format!("{tv_sec} s and {tv_nsec} ns are no time"));
    }
    Ok(Nanos::from(tv_sec) * 1_000_000_000 + Nanos::from(tv_nsec))
}

/// Nanoseconds as a time.
#[must_use]
pub fn timespec(nanos: Nanos) -> TimeSpec {
    TimeSpec {
        tv_sec: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
        tv_nsec: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

/// The facts of a command.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a>(pub &'a [Info]);

impl Facts<'_> {
    fn find(&self, key: &str) -> Option<&InfoValue> {
        self.0.iter().find(|info| info.key == key)?.value.as_ref()
    }

    fn text(&self, key: &str) -> Option<String> {
        self.find(key).map(shown)
    }

    fn number(&self, key: &str) -> Option<u32> {
        match self.find(key)? {
            InfoValue::Number(number) => u32::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The command line: the program's path and its arguments.
    fn command_line(&self) -> Option<String> {
        let arguments = match self.find("runargv") {
            Some(InfoValue::Texts(words)) => words.strings.as_slice(),
            _ => &[],
        };
        let program = self.text("command").or_else(|| arguments.first().cloned())?;
        let rest = arguments.iter().skip(1).map(String::as_str);
        Some(std::iter::once(&*program).chain(rest).collect::<Vec<_>>().join(" "))
    }
}

fn shown(value: &InfoValue) -> String {
    match value {
        InfoValue::Number(number) => number.to_string(),
        InfoValue::Text(text) => text.clone(),
        InfoValue::Texts(list) => list.strings.join(" "),
        InfoValue::Numbers(list) => {
            list.numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")
        }
    }
}

/// The id of the session that a first message begins.
#[must_use]
pub fn session_id(facts: Facts<'_>, message: &[u8]) -> String {
    let host = facts.text("submithost").unwrap_or_default();
    let host: String = host.chars().filter(|c| !c.is_control()).take(64).collect();
    let hash = Sha256::digest(message);
    let hash = hash.first_chunk::<10>().map(hex::encode).unwrap_or_default();
    format!("sudo-{host}-{hash}")
}

/// Writes the lines of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The session's id.
    pub session: String,
    /// When the command was asked for.
    pub submitted: Nanos,
}

impl Lines {
    fn line(
        &self,
        seq: u32,
        at: Nanos,
        kind: &str,
        fields: Map<String, Value>,
    ) -> Result<Vec<u8>, String> {
        let time = jiff::Timestamp::from_nanosecond(at)
            .map_err(|_| format!("{at} ns since 1970 is a time out of range"))?;
        let mut event = fields;
        event.insert("session".to_owned(), json!(self.session));
        event.insert("seq".to_owned(), json!(seq));
        event.insert("time".to_owned(), json!(time.to_string()));
        event.insert("kind".to_owned(), json!(kind));
        Ok(Value::Object(event).to_string().into_bytes())
    }

    /// The session's start.
    ///
    /// # Errors
    /// A time that is out of range; so for all others.
    pub fn start(&self, facts: Facts<'_>) -> Result<Vec<u8>, String> {
        let mut fields = Map::new();
        let host = facts.text("submithost").unwrap_or_default();
        let as_whom = facts.text("runuser").unwrap_or_else(|| "root".to_owned());
        fields.insert("role".to_owned(), json!(format!("{as_whom}@{host}")));
        fields.insert("type".to_owned(), json!("sudo"));
        fields.insert("origin".to_owned(), json!("sudo"));
        if let Some(user) = facts.text("submituser") {
            fields.insert("user".to_owned(), json!(user));
        }
        if let Some(InfoValue::Texts(groups)) = facts.find("submitgroups") {
            fields.insert("groups".to_owned(), json!(groups.strings));
        }
        for (key, field) in [("columns", "cols"), ("lines", "rows")] {
            if let Some(number) = facts.number(key) {
                fields.insert(field.to_owned(), json!(number));
            }
        }
        // Environments hold secrets; the words of the command are in the command.
        let metadata: Map<String, Value> = facts
            .0
            .iter()
            .filter(|info| !["runenv", "submitenv", "runargv", "clientargv"].contains(&&*info.key))
            .filter_map(|info| Some((info.key.clone(), json!(shown(info.value.as_ref()?)))))
            .collect();
        if !metadata.is_empty() {
            fields.insert("metadata".to_owned(), Value::Object(metadata));
        }
        self.line(0, self.submitted, "session.start", fields)
    }

    /// A command with its verdict, and the reason for it if there is one.
    ///
    /// # Errors
    /// As [`Lines::start`].
    pub fn command(
        &self,
        seq: u32,
        at: Nanos,
        facts: Facts<'_>,
        verdict: &str,
        reason: &str,
    ) -> Result<Vec<u8>, String> {
        let input = facts.command_line().unwrap_or_else(|| "sudo".to_owned());
        let mut fields = Map::new();
        fields.insert("input".to_owned(), json!(input));
        fields.insert("language".to_owned(), json!("shell"));
        fields.insert("verdict".to_owned(), json!(verdict));
        if !reason.is_empty() {
            fields.insert("rule".to_owned(), json!(reason));
        }
        self.line(seq, at, "command", fields)
    }

    /// Bytes that were shown, typed or written.
    ///
    /// # Errors
    /// As [`Lines::start`].
    pub fn bytes(
        &self,
        seq: u32,
        at: Nanos,
        kind: &str,
        stream: Option<&str>,
        data: &[u8],
    ) -> Result<Vec<u8>, String> {
        let mut fields = Map::new();
        match std::str::from_utf8(data) {
            Ok(text) => fields.insert("text".to_owned(), json!(text)),
            Err(_) => fields.insert("data".to_owned(), json!(STANDARD.encode(data))),
        };
        if let Some(stream) = stream {
            fields.insert("command".to_owned(), json!(COMMAND));
            fields.insert("stream".to_owned(), json!(stream));
        }
        self.line(seq, at, kind, fields)
    }

    /// The terminal has another size.
    ///
    /// # Errors
    /// As [`Lines::start`].
    pub fn resize(&self, seq: u32, at: Nanos, rows: i32, cols: i32) -> Result<Vec<u8>, String> {
        let mut fields = Map::new();
        fields.insert("cols".to_owned(), json!(cols.max(0)));
        fields.insert("rows".to_owned(), json!(rows.max(0)));
        self.line(seq, at, "terminal.resize", fields)
    }

    /// The command ended.
    ///
    /// # Errors
    /// As [`Lines::start`].
    pub fn command_end(&self, seq: u32, exit: &super::messages::Exit) -> Result<Vec<u8>, String> {
        let ran = nanos(exit.run_time)?;
        let mut fields = Map::new();
        fields.insert("command".to_owned(), json!(COMMAND));
        fields.insert("exit_code".to_owned(), json!(exit.exit_value));
        fields.insert("duration_ms".to_owned(), json!(u64::try_from(ran / 1_000_000).unwrap_or(0)));
        let error = match (exit.error.as_str(), exit.signal.as_str()) {
            ("", "") => None,
            ("", signal) if exit.dumped_core => Some(format!("signal {signal}, core dumped")),
            ("", signal) => Some(format!("signal {signal}")),
            (error, _) => Some(error.to_owned()),
        };
        if let Some(error) = error {
            fields.insert("error".to_owned(), json!(error));
        }
        self.line(seq, self.submitted + ran, "command.end", fields)
    }

    /// The session ended.
    ///
    /// # Errors
    /// As [`Lines::start`].
    pub fn end(
        &self,
        seq: u32,
        after: Nanos,
        status: &str,
        exit_code: Option<i32>,
        reason: Option<&str>,
    ) -> Result<Vec<u8>, String> {
        let mut fields = Map::new();
        fields.insert("status".to_owned(), json!(status));
        if let Some(code) = exit_code {
            fields.insert("exit_code".to_owned(), json!(code));
        }
        if let Some(reason) = reason {
            fields.insert("reason".to_owned(), json!(reason));
        }
        self.line(seq, self.submitted + after, "session.end", fields)
    }
}
