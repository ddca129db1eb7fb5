//! hoop's sessions, as its API gives them (`GET /api/sessions/{id}`): one object, several, a list, or a
//! page (`{"data":[..]}`).
//!
//! ```text
//! {"id":"..","user":"..","user_name":"..","connection":"pgdemo","type":"database","verb":"exec|connect",
//!  "status":"open|ready|done","script":{"data":"select 1"},"review":{..}|null,"exit_code":0,
//!  "start_date":"..","end_date":"..|null",
//!  "event_stream":[[0.268, "i|o|e", "base64"], ...]}      seconds since start_date
//! ```
//!
//! | there | event |
//! |---|---|
//! | the session | `session.start`, its id unchanged; `session.end` once it has an `end_date` |
//! | `script` | `command`, with the verdict of the review, if there was one; `command.end` |
//! | `review` | `review.request`, and a `review.decision` for each group that decided |
//! | `i` | a database's: `command`; else `terminal.input` |
//! | `o`, `e` | `output` of the command before; `terminal.output` without one |
//!
//! A session that hoop calls `done` though its exit code is not 0 is `failed` here. A stream by itself
//! (`[[0.268, "o", "..."], ...]`) becomes a session of its own.

use super::{CONTENT_BYTES, Found, plain, text, values};
use crate::asciicast::Labels;
use crate::line::{self, cut};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use daybook_engine::event::Micros;
use daybook_engine::event::wire::SESSION_BYTES_MAX;
use serde_json::{Map, Value, json};

/// Reads sessions.
///
/// # Errors
/// A file without a session that can be read.
pub fn hoop(bytes: &[u8], labels: &Labels) -> Result<Found, String> {
    let mut found = Found::default();
    for (number, value) in values(bytes) {
        let value = match value {
            Ok(value) => value,
            Err(what) => {
                found.skip(number, what);
                continue;
            }
        };
        let page =
            value.get("data").and_then(Value::as_array).filter(|_| value.get("id").is_none());
        for session in page.map_or(std::slice::from_ref(&value), Vec::as_slice) {
            if let Err(what) = session_of(session, number, labels, &mut found) {
                found.skip(number, what);
            }
        }
    }
    whole(found)
}

/// Reads the stream of one session, which says nothing of the session.
///
/// # Errors
/// A file that is no stream.
pub fn hoop_stream(bytes: &[u8], labels: &Labels) -> Result<Found, String> {
    let stream: Vec<Value> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let start = labels.started.0.to_le_bytes();
    let id = line::id("hoop", &[bytes, &start]);
    let mut found = Found::default();
    let mut session = Session::new(id, labels.started, &labels.kind);
    let kind = labels.kind.as_deref().unwrap_or("ssh");
    let fields = json!({"user": labels.user, "role": labels.role, "type": kind, "origin": "hoop",
        "metadata": {"file": cut(&labels.file)}});
    session.push(Micros(0), "session.start", fields);
    session.stream(&stream, 1, &mut found);
    let last = session.last;
    session.push(last, "session.end", json!({"status": "done"}));
    if session.lines.len() > 2 || found.skipped.is_empty() {
        found.lines = session.lines;
    }
    whole(found)
}

fn whole(found: Found) -> Result<Found, String> {
    match (found.lines.is_empty(), found.skipped.first()) {
        (true, Some(skipped)) => Err(format!("line {}: {}", skipped.line, skipped.what)),
        _ => Ok(found),
    }
}

struct Session {
    id: String,
    started: Micros,
    /// Since the start, as all times here.
    last: Micros,
    is_database: bool,
    /// The number of the command that outputs belong to.
    command: Option<usize>,
    lines: Vec<String>,
}

impl Session {
    fn new(id: String, started: Micros, kind: &Option<String>) -> Session {
        let is_database = kind.as_deref() == Some("database");
        Session { id, started, last: Micros(0), is_database, command: None, lines: Vec::new() }
    }

    fn push(&mut self, at: Micros, kind: &str, fields: Value) {
        self.last = self.last.max(at);
        let time = Micros(self.started.0.saturating_add(at.0));
        let seq = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        self.lines.push(line::event(&self.id, seq, time, kind, fields));
    }

    /// The number of the next event.
    fn next(&self) -> usize {
        self.lines.len()
    }

    fn stream(&mut self, stream: &[Value], number: u64, found: &mut Found) {
        for (index, event) in (1u64..).zip(stream) {
            if let Err(what) = self.stream_event(event) {
                found.skip(
                    number,
                    format!("session {}, event {index} of its stream: {what}", self.id),
                );
            }
        }
    }

    fn stream_event(&mut self, event: &Value) -> Result<(), String> {
        // With `event_stream=utf8` there is one text, without times.
        if let Some(text) = event.as_str() {
            self.said(self.last, "o", text.as_bytes());
            return Ok(());
        }
        let [time, kind, data] = event.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err("not [seconds, \"i\" or \"o\" or \"e\", base64]".to_owned());
        };
        let seconds = time.as_f64().and_then(super::seconds).ok_or("its time is out of range")?;
        let bytes = data.as_str().and_then(|data| BASE64_STANDARD.decode(data).ok());
        let bytes = bytes.ok_or("its content is not base64")?;
        match kind.as_str() {
            Some(kind @ ("i" | "o" | "e")) => self.said(seconds, kind, &bytes),
            _ => return Err(format!("`{kind}` is none of i, o, e")),
        }
        Ok(())
    }

    fn said(&mut self, at: Micros, kind: &str, bytes: &[u8]) {
        if kind == "i"
            && self.is_database
            && let Ok(input) = std::str::from_utf8(bytes)
            && !input.trim().is_empty()
        {
            self.command = Some(self.next());
            self.push(
                at,
                "command",
                json!({"input": input, "language": "sql", "verdict": "passed"}),
            );
            return;
        }
        for bytes in bytes.chunks(CONTENT_BYTES) {
            let mut fields = line::content(bytes);
            let stream = if kind == "e" { "stderr" } else { "stdout" };
            let kind = match (kind, self.command, fields.as_object_mut()) {
                ("i", ..) => "terminal.input",
                (_, Some(command), Some(fields)) => {
                    fields.insert("command".into(), json!(command));
                    fields.insert("stream".into(), json!(stream));
                    "output"
                }
                _ => "terminal.output",
            };
            self.push(at, kind, fields);
        }
    }
}

fn session_of(
    value: &Value,
    number: u64,
    labels: &Labels,
    found: &mut Found,
) -> Result<(), String> {
    let id = text(value, "id").ok_or("a session without an `id`")?;
    let time = |field| text(value, field).map(Micros::parse).transpose();
    let started = time("start_date").map_err(|what| format!("session {id}: start_date: {what}"))?;
    let started = started.ok_or_else(|| format!("session {id} has no `start_date`"))?;
    let ended = time("end_date").map_err(|what| format!("session {id}: end_date: {what}"))?;
    let usable = id.len() <= SESSION_BYTES_MAX && !id.chars().any(char::is_control);
    let name = if usable { id.to_owned() } else { line::id("hoop", &[id.as_bytes()]) };
    let kind = labels.kind.clone().or_else(|| text(value, "type").map(cut));
    let mut session = Session::new(name, started, &kind);
    session.push(Micros(0), "session.start", start(value, &kind, labels));
    let review = value.get("review").filter(|review| review.is_object());
    if let Some(review) = review {
        reviewed(review, &mut session);
    }
    let script = value.get("script").and_then(|script| text(script, "data"));
    if let Some(script) = script {
        session.command = Some(session.next());
        let language = if session.is_database { "sql" } else { "shell" };
        let status = review.and_then(|review| text(review, "status"));
        let verdict = match status {
            None => "passed",
            Some("PENDING") => "pending",
            Some("REJECTED" | "REVOKED") => "rejected",
            Some(_) => "approved",
        };
        let fields = json!({"input": script, "language": language, "verdict": verdict});
        session.push(Micros(0), "command", fields);
        // Its input is the script; what a database is asked besides it would be another command.
        session.is_database = false;
    }
    let script_seq = session.command.filter(|_| script.is_some());
    match value.get("event_stream") {
        Some(Value::Array(stream)) => session.stream(stream, number, found),
        None | Some(Value::Null) => {}
        Some(_) => found.skip(number, format!("session {id}: its `event_stream` is not a list")),
    }
    let code = value.get("exit_code").and_then(Value::as_i64);
    if let Some(ended) = ended {
        let at = Micros(ended.0.saturating_sub(started.0)).max(session.last);
        if let Some(command) = script_seq {
            let fields =
                json!({"command": command, "exit_code": code, "duration_ms": at.0 / 1_000});
            session.push(at, "command.end", fields);
        }
        // -2 is hoop's for an exit code that it does not know.
        let status =
            if code.is_some_and(|code| code != 0 && code != -2) { "failed" } else { "done" };
        session.push(at, "session.end", json!({"status": status, "exit_code": code}));
    }
    found.lines.append(&mut session.lines);
    Ok(())
}

fn start(value: &Value, kind: &Option<String>, labels: &Labels) -> Value {
    let mut metadata = Map::new();
    for name in ["org_id", "user_id", "verb", "identity_type"] {
        if let Some(value) = text(value, name) {
            metadata.insert(name.to_owned(), json!(cut(value)));
        }
    }
    for map in ["metadata", "labels", "metrics"] {
        for (name, value) in
            value.get(map).and_then(Value::as_object).into_iter().flatten().take(60)
        {
            metadata.entry(cut(name)).or_insert_with(|| json!(plain(value)));
        }
    }
    let tags = value.get("connection_tags").and_then(Value::as_object).into_iter().flatten();
    let tags: Vec<String> =
        tags.take(64).map(|(name, value)| cut(&format!("{name}={}", plain(value)))).collect();
    let given = |label: &Option<String>, name| label.as_deref().or(text(value, name)).map(cut);
    json!({
        "user": given(&labels.user, "user"), "user_name": given(&None, "user_name"),
        "role": given(&labels.role, "connection"), "type": kind,
        "subtype": given(&None, "connection_subtype"), "origin": "hoop", "tags": tags,
        "correlation_id": given(&None, "correlation_id"), "batch_id": given(&None, "session_batch_id"),
        "metadata": metadata,
    })
}

fn reviewed(review: &Value, session: &mut Session) {
    let Some(id) = text(review, "id").map(cut) else { return };
    let scope = if text(review, "type") == Some("jit") { "session" } else { "command" };
    let groups = review.get("review_groups_data").and_then(Value::as_array);
    let groups = groups.map_or(&[][..], Vec::as_slice);
    let names: Vec<String> =
        groups.iter().filter_map(|g| text(g, "group")).map(cut).take(256).collect();
    let fields = json!({"review": id, "scope": scope, "groups": names});
    session.push(Micros(0), "review.request", fields);
    for group in groups {
        let decision = match text(group, "status") {
            Some("APPROVED") => "approved",
            Some("REJECTED") => "rejected",
            Some("REVOKED") => "revoked",
            _ => continue,
        };
        let date = text(group, "review_date").and_then(|date| Micros::parse(date).ok());
        let at = date.map_or(Micros(0), |date| Micros((date.0 - session.started.0).max(0)));
        let by = group.get("reviewed_by").and_then(|by| text(by, "email")).map(cut);
        let comment = text(group, "group").map(|group| format!("for the group {group}"));
        let last = session.last;
        let fields = json!({"review": id, "decision": decision, "by": by, "comment": comment});
        session.push(at, "review.decision", fields);
        // A decision may be late; what the stream says is timed from the start.
        session.last = last;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::super::testing::{events, of_kind};
    use super::*;
    use proptest::prelude::*;

    fn exec() -> Value {
        json!({
            "id": "35DB0A2F-E5CE-4AD8-A308-55C3108956E5", "org_id": "o", "script": {"data": "SELECT NOW()"},
            "labels": {"team": "data"}, "metadata": null, "metrics": {"event_size": 569}, "user": "ana@example.com",
            "user_id": "u", "user_name": "Ana", "type": "database", "connection": "pgdemo", "verb": "exec", "status": "done",
            "review": {"id": "r-1", "type": "onetime", "status": "EXECUTED", "review_groups_data": [
                {"group": "dba", "status": "APPROVED", "reviewed_by": {"email": "eve@example.com"}, "review_date": "2026-03-01T09:31:00Z"},
                {"group": "sre", "status": "PENDING"}]},
            "event_stream": [[0.1, "o", "Mg=="], [0.2, "e", "/w=="], [0.3, "x", ""], [1e99, "o", ""]],
            "exit_code": 3, "start_date": "2026-03-01T09:30:00.5Z", "end_date": "2026-03-01T09:30:01Z"
        })
    }

    #[test]
    fn an_execution_is_a_command_with_its_review_its_outputs_and_how_it_really_ended() {
        let file = serde_json::to_vec_pretty(&exec()).unwrap();
        let found = hoop(&file, &Labels::default()).unwrap();
        let events = events(&found);
        assert_eq!(
            (&events[0]["user"], &events[0]["role"]),
            (&"ana@example.com".into(), &"pgdemo".into())
        );
        let command = of_kind(&events, "command")[0];
        assert_eq!((&command["verdict"], &command["seq"]), (&"approved".into(), &3.into()));
        let outputs = of_kind(&events, "output");
        assert_eq!((&outputs[0]["text"], &outputs[0]["command"]), (&"2".into(), &3.into()));
        assert_eq!(
            (&outputs[1]["data"], &outputs[1]["stream"]),
            (&"/w==".into(), &"stderr".into())
        );
        assert_eq!(of_kind(&events, "review.decision")[0]["by"], "eve@example.com");
        assert_eq!(of_kind(&events, "session.end")[0]["status"], "failed");
        assert_eq!(found.skipped.len(), 2);
        assert!(found.skipped[0].what.contains("event 3 of its stream"), "{:?}", found.skipped);
    }

    #[test]
    fn an_interactive_session_has_commands_or_a_terminal_by_its_type_and_may_be_open() {
        let mut value = exec();
        value["script"] = Value::Null;
        value["review"] = Value::Null;
        value["end_date"] = Value::Null;
        value["event_stream"] = json!([[0.1, "i", "U0VMRUNUIDE="], [0.2, "o", "MQ=="]]);
        let mut shell = value.clone();
        shell["type"] = "custom".into();
        shell["id"] = "other".into();
        let page = json!({"data": [value, shell], "total": 2, "has_next_page": false});
        let events = events(&hoop(page.to_string().as_bytes(), &Labels::default()).unwrap());
        assert_eq!(of_kind(&events, "command")[0]["input"], "SELECT 1");
        assert_eq!(of_kind(&events, "output")[0]["command"], 1);
        assert_eq!(of_kind(&events, "terminal.input")[0]["text"], "SELECT 1");
        assert!(of_kind(&events, "session.end").is_empty());
    }

    #[test]
    fn a_stream_alone_is_a_session_and_one_that_is_none_is_named() {
        let found = hoop_stream(b"[[0.5,\"o\",\"aGk=\"]]", &Labels::default()).unwrap();
        assert_eq!(of_kind(&events(&found), "terminal.output")[0]["text"], "hi");
        let error =
            hoop(b"{\"org_id\":\"o\",\"connection\":\"c\",\"id\":\"x\"}", &Labels::default());
        assert_eq!(error, Err("line 1: session x has no `start_date`".to_owned()));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            stream in "(\\[[-0-9.e]{1,5},\"[a-z]\",\"[A-Za-z0-9=]{0,8}\"\\],?){0,4}",
            end in "20[0-9]{2}-0[1-9]-0[1-9]T00:00:00Z|.{0,9}",
        ) {
            let _ = (hoop(&bytes, &Labels::default()), hoop_stream(&bytes, &Labels::default()));
            let mut value = exec();
            value["end_date"] = end.into();
            if let Ok(stream) = serde_json::from_str(&format!("[{}]", stream.trim_end_matches(','))) {
                value["event_stream"] = stream;
            }
            if let Ok(found) = hoop(value.to_string().as_bytes(), &Labels::default()) {
                events(&found);
            }
        }
    }
}
