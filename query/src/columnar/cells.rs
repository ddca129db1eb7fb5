//! What an event says, by the columns that only some kinds fill.

use super::outputs::{self, Outputs};
use base64::Engine as _;
use daybook_engine::event::Seq;
use daybook_engine::event::wire::{Body, Content, Start};
use daybook_engine::screen::Seen;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The columns that only some kinds fill.
#[derive(Default)]
pub(super) struct Cells<'a> {
    pub(super) verdict: Option<&'static str>,
    pub(super) rule: Option<Cow<'a, str>>,
    pub(super) language: Option<Cow<'a, str>>,
    pub(super) input: Option<Cow<'a, str>>,
    pub(super) output: Option<Cow<'a, str>>,
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) error: Option<Cow<'a, str>>,
    pub(super) stream: Option<&'static str>,
    pub(super) command: Option<Seq>,
    pub(super) exit_code: Option<i64>,
    pub(super) duration_ms: Option<u64>,
    pub(super) rows: Option<u64>,
    pub(super) masked: Option<u64>,
    pub(super) review: Option<Box<str>>,
    pub(super) decision: Option<&'static str>,
    pub(super) by: Option<Cow<'a, str>>,
    pub(super) action: Option<Cow<'a, str>>,
    pub(super) target: Option<Cow<'a, str>>,
    pub(super) details: Map<String, Value>,
}

impl<'a> Cells<'a> {
    /// The cells of an event, with `outputs` of its output; `seen` is what was seen with it, where they are rendered.
    pub(super) fn of(body: Body<'a>, outputs: Outputs, seen: &Seen) -> Cells<'a> {
        let mut cells = Cells { command: body.command(), ..Cells::default() };
        match body {
            Body::SessionStart(start) => cells.details = start_details(*start),
            Body::Command(command) => {
                let command = *command;
                cells.verdict = command.verdict.map(|v| v.name());
                cells.rule = command.rule;
                cells.language = command.language;
                cells.input = Some(command.input);
                if let Some(output) = command.output {
                    cells.output(Content::Text(output), outputs);
                }
                cells.exit_code = command.exit_code;
                cells.duration_ms = command.duration_ms;
                cells.rows = command.rows;
                cells.masked = Some(command.masked);
                cells.detail("rerun_of", command.rerun_of);
                cells.masked_types(command.masked_types);
            }
            Body::Output { stream, content, truncated, .. } => {
                cells.stream = stream.map(|s| s.name());
                cells.output(content, outputs);
                cells.detail("truncated", truncated.then_some(true));
            }
            Body::CommandEnd(end) => {
                let end = *end;
                cells.exit_code = end.exit_code;
                cells.duration_ms = end.duration_ms;
                cells.rows = end.rows;
                cells.masked = Some(end.masked);
                cells.error = end.error;
                cells.masked_types(end.masked_types);
            }
            Body::TerminalOutput(_) if outputs == Outputs::Rendered => {
                let lines: Vec<&str> = seen.lines.iter().map(|line| line.text.as_str()).collect();
                cells.output = (!lines.is_empty()).then(|| Cow::Owned(lines.join("\n")));
            }
            Body::TerminalOutput(content) => cells.output(content, outputs),
            Body::TerminalInput(content) => cells.input = Some(cells.content(content)),
            Body::TerminalMarker(content) => cells.text = Some(cells.content(content)),
            Body::TerminalResize { cols, rows } => {
                cells.detail("cols", Some(cols));
                cells.detail("rows", Some(rows));
            }
            Body::ReviewRequest { review, request } => {
                cells.review = Some(review);
                cells.text = request.reason.map(|r| Cow::Owned(r.into()));
                cells.detail("scope", Some(request.scope.name()));
                cells.detail("groups", some_list(request.groups));
                cells.detail("min_approvals", request.min_approvals);
                cells.detail("expires_at", request.expires_at.map(|t| t.to_string()));
            }
            Body::ReviewDecision { review, decision } => {
                cells.review = Some(review);
                cells.decision = Some(decision.decision.name());
                cells.by = decision.by.map(|b| Cow::Owned(b.into()));
                cells.text = decision.comment.map(|c| Cow::Owned(c.into()));
            }
            Body::SessionEnd(end) => {
                cells.exit_code = end.exit_code;
                cells.text = end.reason.map(|r| Cow::Owned(r.into()));
                cells.detail("status", Some(end.status.name()));
            }
            Body::Note { by, text, command: _ } => {
                cells.by = Some(by);
                cells.text = Some(text);
            }
            Body::Access(access) => {
                let access = *access;
                cells.by = Some(Cow::Owned(access.by.into()));
                cells.action = Some(Cow::Owned(access.action.into()));
                cells.target = access.target.map(|t| Cow::Owned(t.into()));
                let metadata = access.metadata;
                cells.detail("metadata", (!metadata.is_empty()).then(|| json!(metadata)));
            }
            Body::Retention(told) => {
                let told = *told;
                cells.by = Some(Cow::Owned(told.by.into()));
                cells.action = Some(Cow::Borrowed(told.action.name()));
                cells.target = told.target.map(|t| Cow::Owned(t.into()));
                cells.text = told.reason.map(|r| Cow::Owned(r.into()));
                cells.detail("case", told.case.map(String::from));
                cells.detail("metadata", (!told.metadata.is_empty()).then(|| json!(told.metadata)));
            }
        }
        cells
    }

    fn detail<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.details.insert(name.to_owned(), value.into());
        }
    }

    fn masked_types(&mut self, types: BTreeMap<Box<str>, u64>) {
        self.detail("masked_types", (!types.is_empty()).then(|| json!(types)));
    }

    /// An output, or what stands for it.
    fn output(&mut self, content: Content<'a>, outputs: Outputs) {
        match outputs {
            Outputs::Text | Outputs::Rendered => self.output = Some(self.content(content)),
            Outputs::Hash => {
                let bytes = match &content {
                    Content::Text(text) => text.as_bytes(),
                    Content::Data(data) => data,
                };
                let about = json!({"sha256": outputs::sha256(bytes), "bytes": bytes.len()});
                self.detail("output", Some(about));
            }
            Outputs::None => {}
        }
    }

    /// The content as text; bytes that are not UTF-8 also go into the details as they were sent.
    fn content(&mut self, content: Content<'a>) -> Cow<'a, str> {
        match content {
            Content::Text(text) => text,
            Content::Data(data) => match String::from_utf8(data) {
                Ok(text) => Cow::Owned(text),
                Err(error) => {
                    let data = error.as_bytes();
                    let base64 = base64::engine::general_purpose::STANDARD.encode(data);
                    self.detail("data", Some(base64));
                    Cow::Owned(String::from_utf8_lossy(data).into_owned())
                }
            },
        }
    }
}

/// What a `session.start` says beyond the facts that have columns.
fn start_details(start: Start) -> Map<String, Value> {
    let mut cells = Cells::default();
    cells.detail("groups", some_list(start.groups));
    cells.detail("origin", start.origin.map(String::from));
    cells.detail("correlation_id", start.correlation_id.map(String::from));
    cells.detail("batch_id", start.batch_id.map(String::from));
    cells.detail("cols", start.cols);
    cells.detail("rows", start.rows);
    cells.detail("metadata", (!start.metadata.is_empty()).then(|| json!(start.metadata)));
    cells.details
}

fn some_list(list: Vec<Box<str>>) -> Option<Value> {
    (!list.is_empty()).then(|| json!(list))
}
