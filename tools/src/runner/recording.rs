//! The session that a run's result is: its events, numbered, within the bound of what is kept of an output.

use super::Ended;
use super::offer::Offer;
use crate::line::{self, cut};
use crate::producer::{NotTaken, Producer};
use crate::record::{Piece, Utf8};
use daybook_engine::event::Micros;
use serde_json::{Value, json};
use std::time::Duration;

/// The number of the command's event.
const COMMAND: u32 = 1;
/// The longest text of one event.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// The longest error that is kept.
const ERROR_BYTES_MAX: usize = 8 << 10;

/// A session that is being recorded.
#[derive(Debug)]
pub struct Recording {
    session: String,
    seq: u32,
    last: Micros,
    /// What may still be kept of the output.
    left: usize,
    cut: bool,
    pub producer: Producer,
}

impl Recording {
    pub fn new(session: String, producer: Producer, output_bytes: usize) -> Recording {
        Recording { session, seq: 0, last: Micros(0), left: output_bytes, cut: false, producer }
    }

    /// That it begins: the session's facts, and the command.
    pub async fn start(&mut self, offer: &Offer) -> Result<(), NotTaken> {
        let metadata = json!({
            "run": offer.id, "rerun_of": cut(&offer.rerun_of),
            "reason": cut(offer.reason.as_deref().unwrap_or_default()),
        });
        let facts = json!({
            "user": cut(&offer.by), "role": offer.role, "type": offer.kind, "subtype": offer.subtype,
            "agent": "daybook runner", "origin": "rerun", "correlation_id": cut(&offer.session),
            "metadata": metadata,
        });
        self.send("session.start", facts).await?;
        let command = json!({
            "input": offer.input, "language": offer.language, "verdict": "passed",
            "rerun_of": offer.rerun_of,
        });
        self.send("command", command).await
    }

    /// How much may still be kept.
    pub fn left(&self) -> usize {
        self.left
    }

    /// A text that came back. What is past the bound is left out, and that is said.
    pub async fn text(
        &mut self,
        stream: &str,
        text: &str,
        truncated: bool,
    ) -> Result<(), NotTaken> {
        let kept = text.get(..text.floor_char_boundary(self.left)).unwrap_or_default();
        let cut = truncated || kept.len() < text.len();
        self.left -= kept.len();
        if kept.is_empty() && (!cut || self.cut) {
            return Ok(());
        }
        self.cut |= cut;
        let mut rest = kept;
        loop {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(TEXT_BYTES_MAX));
            let said = (cut && more.is_empty()).then_some(true);
            let output =
                json!({"command": COMMAND, "stream": stream, "text": piece, "truncated": said});
            self.send("output", output).await?;
            if more.is_empty() {
                return Ok(());
            }
            rest = more;
        }
    }

    /// Bytes that came back; what is carried over stands in `utf8`.
    pub async fn bytes(
        &mut self,
        stream: &str,
        utf8: &mut Utf8,
        bytes: &[u8],
    ) -> Result<(), NotTaken> {
        let kept = bytes.get(..bytes.len().min(self.left)).unwrap_or_default();
        let truncated = kept.len() < bytes.len();
        self.left -= kept.len();
        if kept.is_empty() && (!truncated || self.cut) {
            return Ok(());
        }
        self.cut |= truncated;
        let piece = utf8.push(kept).unwrap_or(Piece::Text(String::new()));
        self.piece(stream, piece, truncated).await
    }

    /// What was carried over.
    pub async fn rest(&mut self, stream: &str, utf8: &mut Utf8) -> Result<(), NotTaken> {
        match utf8.end() {
            Some(piece) => self.piece(stream, piece, false).await,
            None => Ok(()),
        }
    }

    async fn piece(&mut self, stream: &str, piece: Piece, cut: bool) -> Result<(), NotTaken> {
        let mut output = match piece {
            Piece::Text(text) => json!({"text": text}),
            Piece::Bytes(bytes) => line::content(&bytes),
        };
        if let Value::Object(fields) = &mut output {
            fields.insert("command".to_owned(), json!(COMMAND));
            fields.insert("stream".to_owned(), json!(stream));
            if cut {
                fields.insert("truncated".to_owned(), json!(true));
            }
        }
        self.send("output", output).await
    }

    /// How the command ended, and the session with it. There is room for that in any case.
    pub async fn end(&mut self, ended: &Ended, took: Duration) -> Result<(), NotTaken> {
        let why = ended.error.as_ref().or(ended.ended_for.as_ref());
        let why = why.map(|why| why.get(..why.floor_char_boundary(ERROR_BYTES_MAX)));
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let fields = json!({
            "command": COMMAND, "duration_ms": took, "exit_code": ended.exit_code, "rows": ended.rows,
            "error": why,
        });
        let line = self.line("command.end", fields);
        self.producer.send_last(&line).await?;
        let status = match (&ended.ended_for, &ended.error, ended.exit_code) {
            (Some(_), ..) => "killed",
            (None, None, None | Some(0)) => "done",
            _ => "failed",
        };
        let fields = json!({
            "status": status, "exit_code": ended.exit_code, "reason": ended.ended_for.as_deref().map(cut),
        });
        let line = self.line("session.end", fields);
        self.producer.send_last(&line).await
    }

    async fn send(&mut self, kind: &str, fields: Value) -> Result<(), NotTaken> {
        let line = self.line(kind, fields);
        let sent = self.producer.send(&line).await;
        if sent.is_err() {
            // Its number is free again.
            self.seq -= 1;
        }
        sent
    }

    fn line(&mut self, kind: &str, fields: Value) -> String {
        // Times never go back, whatever the clock does.
        self.last = self.last.max(Micros::now());
        let line = line::event(&self.session, self.seq, self.last, kind, fields);
        self.seq += 1;
        line
    }
}
