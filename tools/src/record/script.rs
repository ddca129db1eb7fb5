//! The events of a session that is being recorded, numbered and timed as they happen.

use super::utf8::{Piece, Utf8};
use super::{Ended, Said};
use crate::line::{self, cut};
use daybook_engine::event::Micros;
use serde_json::{Map, Value, json};

/// What is said of the session.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Who is recorded.
    pub user: Option<String>,
    /// Through which resource role.
    pub role: Option<String>,
    /// The role's type.
    pub kind: String,
    /// What runs.
    pub command: Vec<String>,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Anything else.
    pub metadata: Vec<(&'static str, String)>,
}

/// The lines of one session.
#[derive(Debug)]
pub struct Script {
    session: String,
    seq: u32,
    /// Times never go back, whatever the clock does.
    last: Micros,
    shown: Utf8,
    typed: Utf8,
}

impl Script {
    /// At the start of a session.
    #[must_use]
    pub fn new(session: String) -> Script {
        Script { session, seq: 0, last: Micros(0), shown: Utf8::default(), typed: Utf8::default() }
    }

    /// Its id.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// How many events it has so far.
    #[must_use]
    pub fn events(&self) -> u32 {
        self.seq
    }

    /// Its first event.
    pub fn start(&mut self, facts: &Facts) -> String {
        let mut metadata = Map::new();
        metadata.insert("command".into(), json!(cut(&facts.command.join(" "))));
        for (name, value) in &facts.metadata {
            metadata.insert((*name).to_owned(), json!(cut(value)));
        }
        let fields = json!({
            "user": facts.user, "role": facts.role, "type": facts.kind, "origin": "daybook record",
            "cols": facts.size.0, "rows": facts.size.1, "metadata": metadata,
        });
        self.line("session.start", fields)
    }

    /// What the terminal said, as an event; none if it is the start of a character.
    pub fn say(&mut self, said: &Said) -> Option<String> {
        match said {
            Said::Shown(bytes) => {
                let piece = self.shown.push(bytes)?;
                Some(self.line("terminal.output", content(piece)))
            }
            Said::Typed(bytes) => {
                let piece = self.typed.push(bytes)?;
                Some(self.line("terminal.input", content(piece)))
            }
        }
    }

    /// The terminal has another size.
    pub fn resize(&mut self, (cols, rows): (u16, u16)) -> String {
        self.line("terminal.resize", json!({"cols": cols, "rows": rows}))
    }

    /// Halves of characters that are left at the end.
    pub fn rest(&mut self) -> Vec<String> {
        let left = [("terminal.output", self.shown.end()), ("terminal.input", self.typed.end())];
        let left = left.into_iter().filter_map(|(kind, piece)| Some((kind, piece?)));
        left.map(|(kind, piece)| self.line(kind, content(piece))).collect()
    }

    /// Its last event; `broken` says why it was ended before the command did.
    pub fn end(&mut self, ended: Ended, broken: Option<&str>) -> String {
        let status = match ended {
            _ if broken.is_some() => "killed",
            Ended::Code(0) => "done",
            Ended::Code(_) => "failed",
            Ended::Signal(_) => "killed",
        };
        let reason = broken.map(str::to_owned).or_else(|| match ended {
            Ended::Signal(signal) => Some(format!("signal {signal}")),
            Ended::Code(_) => None,
        });
        let fields = json!({"status": status, "exit_code": ended.exit_code(), "reason": reason.as_deref().map(cut)});
        self.line("session.end", fields)
    }

    /// The event before was not kept: its number is free again.
    pub fn take_back(&mut self) {
        self.seq = self.seq.saturating_sub(1);
    }

    fn line(&mut self, kind: &str, fields: Value) -> String {
        self.last = self.last.max(Micros::now());
        let line = line::event(&self.session, self.seq, self.last, kind, fields);
        self.seq += 1;
        line
    }
}

fn content(piece: Piece) -> Value {
    match piece {
        Piece::Text(text) => json!({"text": text}),
        Piece::Bytes(bytes) => line::content(&bytes),
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
    fn a_script_is_a_session_that_the_log_takes() {
        let mut script = Script::new("rec-1".to_owned());
        let facts = Facts {
            kind: "terminal".to_owned(),
            command: vec!["x".repeat(5_000)],
            size: (80, 24),
            ..Facts::default()
        };
        let mut lines = vec![script.start(&facts)];
        lines.extend(script.say(&Said::Shown(vec![b'a', 0xc3])));
        lines.extend(script.say(&Said::Shown(vec![0xa9, 0xff])));
        lines.push(script.resize((100, 50)));
        lines.extend(script.say(&Said::Typed(vec![0xe2])));
        lines.extend(script.rest());
        lines.push(script.end(Ended::Code(3), None));
        let mut state = SessionState::default();
        for (seq, line) in (0..).zip(&lines) {
            let event = Event::decode(line.as_bytes()).unwrap();
            assert_eq!(event.seq, Some(Seq(seq)));
            state.apply(Change::of(event, Seq(seq), line.len() as u64));
        }
        assert_eq!((lines.len(), state.status()), (6, Status::Failed));
        let broken = script.end(Ended::Signal(1), Some("the spill is full"));
        assert!(broken.contains("killed") && broken.contains("the spill is full"), "{broken}");
    }
}
