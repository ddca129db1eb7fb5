//! A recording as a session's lines.

use super::decode::{Recording, Term};
use crate::line::{self, cut};
use daybook_engine::event::Micros;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// What a recording does not say of itself.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Who was recorded.
    pub user: Option<String>,
    /// Through which resource role.
    pub role: Option<String>,
    /// The role's type; `ssh` if unsaid.
    pub kind: Option<String>,
    /// The file's name, for the session's metadata.
    pub file: String,
    /// When it started, if the recording does not say: usually when the file was last written.
    pub started: Micros,
}

/// The lines of a recording's session, without line breaks. `bytes` is the whole file: the session's
/// id is made from its hash.
#[must_use]
pub fn events(bytes: &[u8], recording: &Recording, labels: &Labels) -> Vec<String> {
    let start = recording
        .started_s
        .and_then(|s| i64::try_from(s).ok()?.checked_mul(1_000_000))
        .unwrap_or(labels.started.0);
    let mut hash = Sha256::new();
    hash.update(bytes);
    if recording.started_s.is_none() {
        // Without a time of its own, a recording is the same one only if it also started then.
        hash.update(start.to_le_bytes());
    }
    let id = hash.finalize().first_chunk::<10>().map(hex::encode).unwrap_or_default();
    let mut lines = Lines { session: format!("cast-{id}"), start, lines: Vec::new() };
    lines.push(0, "session.start", first(recording, labels));
    let (mut last, mut exit) = (0, None);
    for (micros, term) in &recording.events {
        last = last.max(*micros);
        let (kind, fields) = match term {
            Term::Output(text) => ("terminal.output", json!({"text": text})),
            Term::Input(text) => ("terminal.input", json!({"text": text})),
            Term::Marker(text) => ("terminal.marker", json!({"text": text})),
            Term::Resize(cols, rows) => ("terminal.resize", json!({"cols": cols, "rows": rows})),
            Term::Exit(code) => {
                exit = Some(*code);
                continue;
            }
        };
        lines.push(*micros, kind, fields);
    }
    let status = if exit.is_some_and(|code| code != 0) { "failed" } else { "done" };
    lines.push(last, "session.end", json!({"status": status, "exit_code": exit}));
    lines.lines
}

fn first(recording: &Recording, labels: &Labels) -> Value {
    let mut metadata = Map::new();
    metadata.insert("file".into(), json!(cut(&labels.file)));
    metadata.insert("asciicast".into(), json!(recording.version.to_string()));
    for (name, value) in &recording.notes {
        metadata.insert(name.clone(), json!(cut(value)));
    }
    json!({
        "user": labels.user, "role": labels.role, "type": labels.kind.as_deref().unwrap_or("ssh"),
        "origin": "asciicast", "cols": recording.cols, "rows": recording.rows,
        "tags": recording.tags.iter().take(64).map(|tag| cut(tag)).collect::<Vec<_>>(),
        "metadata": metadata,
    })
}

struct Lines {
    session: String,
    start: i64,
    lines: Vec<String>,
}

impl Lines {
    fn push(&mut self, micros: i64, kind: &str, fields: Value) {
        let time = Micros(self.start.saturating_add(micros));
        let seq = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        self.lines.push(line::event(&self.session, seq, time, kind, fields));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use daybook_engine::event::Seq;
    use daybook_engine::event::wire::Event;
    use daybook_engine::session::{Change, SessionState, Status};

    #[test]
    fn a_recording_becomes_a_session_that_the_log_takes() {
        let cast = b"{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1509091818,\"title\":\"t\"}\n[0.5,\"o\",\"\xc5\xbc\"]\n[1.5,\"x\",\"2\"]\n";
        let recording = super::super::decode(cast).unwrap();
        let labels = Labels { user: Some("ana@example.com".into()), ..Labels::default() };
        let lines = events(cast, &recording, &labels);
        let mut state = SessionState::default();
        for (seq, line) in (0..).zip(&lines) {
            let event = Event::decode(line.as_bytes()).unwrap();
            assert_eq!(event.seq, Some(Seq(seq)));
            state.apply(Change::of(event, Seq(seq), line.len() as u64));
        }
        assert_eq!(state.status(), Status::Failed);
        assert_eq!(state.duration_ms(), 1_500);
        assert_eq!(state.facts().unwrap().user.as_deref(), Some("ana@example.com"));
        assert_eq!(events(cast, &recording, &labels), lines);
    }
}
