//! Teleport's audit events: JSON objects, one a line or in lists.
//!
//! ```text
//! {"event":"db.session.query","code":"TDB02I","uid":"..","time":"..","ei":3,"sid":"..","user":"..",
//!  "cluster_name":"..","db_service":"..","db_protocol":"postgres","db_query":"select 1","success":true}
//! ```
//!
//! | there | event |
//! |---|---|
//! | `session.start`, `*.session.start` | `session.start` |
//! | `db.session.query`, and the like with `db_query` | `command` |
//! | `exec`, `session.command` | `command` |
//! | `kube.request`, `app.session.request`, `app.session.dynamodb.request` | `command` |
//! | `resize` | `terminal.resize` |
//! | `print` with its data | `terminal.output` |
//! | `session.end`, `*.session.end` | `session.end` |
//! | any other | `note`, with the whole object |
//!
//! The session is `sid`. An event outside of sessions (a login, a certificate) becomes a session of its
//! own: who, when, and the whole object in a note.
//!
//! **Numbers.** `ei` counts a session's events, but events that other parts of Teleport write may have the
//! same one, or one near 2^31. So an event's `seq` is `ei` × 64 and a number from its `uid`: in order,
//! apart, and the same whenever it is imported. One with a large `ei`, or without, comes behind all others.
//! (Of two with the same `ei`, one in 32 pairs has the same number; the second is refused as a conflict, and
//! named.)

use super::{Found, text, values};
use crate::asciicast::Labels;
use crate::line::{self, cut};
use daybook_engine::event::Micros;
use daybook_engine::event::wire::SESSION_BYTES_MAX;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Numbers for the events of one `ei`.
const SLOTS: u32 = 64;
/// From here on `ei` counts nothing.
const EI_LIMIT: u64 = 1 << 25;
/// Where events without a place in their session are numbered.
const UNPLACED: u32 = 1 << 31;

/// Reads audit events.
///
/// # Errors
/// A file without an event that can be read.
pub fn teleport(bytes: &[u8], labels: &Labels) -> Result<Found, String> {
    let mut found = Found::default();
    for (number, value) in values(bytes) {
        if let Err(what) = value.and_then(|value| event(&value, labels, &mut found.lines)) {
            found.skip(number, what);
        }
    }
    match (found.lines.is_empty(), found.skipped.first()) {
        (true, Some(skipped)) => Err(format!("line {}: {}", skipped.line, skipped.what)),
        _ => Ok(found),
    }
}

fn event(value: &Value, labels: &Labels, lines: &mut Vec<String>) -> Result<(), String> {
    let name = text(value, "event").ok_or("an audit event without `event`")?;
    let time = text(value, "time").ok_or_else(|| format!("a `{name}` without `time`"))?;
    let time = Micros::parse(time).map_err(|what| format!("the time of a `{name}`: {what}"))?;
    // Without an id it is known by all of it.
    let uid = text(value, "uid").map_or_else(|| value.to_string(), str::to_owned);
    let hash = Sha256::digest(uid.as_bytes());
    let hash = hash.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let Some(sid) = text(value, "sid") else {
        let session = line::id("teleport", &[uid.as_bytes()]);
        lines.push(line::event(&session, 0, time, "session.start", start(value, labels)));
        lines.push(line::event(&session, 1, time, "note", note(value)));
        let failed = value.get("success") == Some(&Value::Bool(false));
        let status = if failed { "failed" } else { "done" };
        lines.push(line::event(&session, 2, time, "session.end", json!({"status": status})));
        return Ok(());
    };
    let usable = sid.len() <= SESSION_BYTES_MAX && !sid.chars().any(char::is_control);
    let session = if usable { sid.to_owned() } else { line::id("teleport", &[sid.as_bytes()]) };
    let is_start = name.ends_with("session.start");
    let ei = value.get("ei").and_then(Value::as_u64).filter(|ei| *ei > 0 || is_start);
    let seq = match ei.and_then(|ei| u32::try_from(ei).ok()).filter(|ei| u64::from(*ei) < EI_LIMIT)
    {
        // Two for each event: a command, and what became of it.
        Some(ei) => ei * SLOTS + hash % (SLOTS / 2) * 2,
        None => UNPLACED + (hash & (UNPLACED - 1)) / 2 * 2,
    };
    let (kind, fields) = mapped(name, value, labels);
    let error = (kind == "command").then(|| failure(value)).flatten();
    lines.push(line::event(&session, seq, time, kind, fields));
    if let Some(error) = error {
        let fields = json!({"command": seq, "error": error});
        lines.push(line::event(&session, seq + 1, time, "command.end", fields));
    }
    Ok(())
}

/// Why a command failed. That is not the same as being blocked: Teleport says that it did not work.
fn failure(value: &Value) -> Option<String> {
    let failed = value.get("success") == Some(&Value::Bool(false));
    let said = text(value, "error").or(text(value, "message")).or(text(value, "exitError"));
    failed.then(|| said.unwrap_or("failed").to_owned())
}

fn mapped(name: &str, value: &Value, labels: &Labels) -> (&'static str, Value) {
    let command = |input: String, language: &str| {
        let code = ["exitCode", "return_code", "status_code"].into_iter();
        let code = code.filter_map(|name| value.get(name)).find_map(|code| {
            code.as_i64().or_else(|| code.as_str().and_then(|code| code.parse().ok()))
        });
        let exit_code = code.filter(|_| language == "shell");
        let fields = json!({"input": input, "language": language, "verdict": "passed", "exit_code": exit_code});
        ("command", fields)
    };
    let request =
        |method: &str, path: &str| Some(format!("{} {}", text(value, method)?, text(value, path)?));
    match name {
        _ if name.ends_with("session.start") => ("session.start", start(value, labels)),
        _ if name.ends_with("session.end") => {
            let status =
                if value.get("success") == Some(&Value::Bool(false)) { "failed" } else { "done" };
            ("session.end", json!({"status": status}))
        }
        "resize" => match text(value, "size").and_then(size) {
            Some((cols, rows)) => ("terminal.resize", json!({"cols": cols, "rows": rows})),
            None => ("note", note(value)),
        },
        // In the audit log it has no data; in what `tsh play --format=json` writes it has.
        "print" => match text(value, "data") {
            Some(data) => ("terminal.output", json!({"text": data})),
            None => ("note", note(value)),
        },
        "exec" => match text(value, "command") {
            Some(input) => command(input.to_owned(), "shell"),
            None => ("note", note(value)),
        },
        "session.command" => match text(value, "path").or(text(value, "program")) {
            Some(path) => {
                let arguments = value.get("argv").and_then(Value::as_array).into_iter().flatten();
                let words = std::iter::once(path.to_owned()).chain(arguments.map(plain_argument));
                command(words.collect::<Vec<_>>().join(" "), "shell")
            }
            None => ("note", note(value)),
        },
        "kube.request" => match request("verb", "request_path") {
            Some(input) => command(input, "http"),
            None => ("note", note(value)),
        },
        "app.session.request" | "app.session.dynamodb.request" => match request("method", "path") {
            Some(input) => command(input, "http"),
            None => ("note", note(value)),
        },
        _ => match text(value, "db_query") {
            Some(query) => command(query.to_owned(), "sql"),
            None => ("note", note(value)),
        },
    }
}

fn plain_argument(value: &Value) -> String {
    super::plain(value)
}

fn note(value: &Value) -> Value {
    json!({"by": "teleport", "text": value.to_string()})
}

/// Columns and rows of `80:25`.
fn size(text: &str) -> Option<(u32, u32)> {
    let (cols, rows) = text.split_once(':')?;
    Some((cols.parse().ok()?, rows.parse().ok()?))
}

fn start(value: &Value, labels: &Labels) -> Value {
    let kinds = [
        ("db_service", "database"),
        ("app_name", "application"),
        ("kubernetes_cluster", "kubernetes"),
        ("desktop_name", "desktop"),
        ("server_hostname", "ssh"),
        ("server_id", "ssh"),
    ];
    let resource = kinds.into_iter().find_map(|(field, kind)| Some((text(value, field)?, kind)));
    let role = labels.role.as_deref().or(resource.map(|(role, _)| role));
    let role = role.or(text(value, "cluster_name")).map(cut);
    let kind = labels.kind.as_deref().or(resource.map(|(_, kind)| kind)).unwrap_or("audit");
    let mut metadata = Map::new();
    let kept = [
        "event",
        "code",
        "uid",
        "cluster_name",
        "login",
        "server_id",
        "server_addr",
        "proto",
        "db_name",
        "db_user",
        "db_uri",
        "app_uri",
        "addr.local",
        "user_kind",
        "namespace",
        "session_recording",
    ];
    for name in kept {
        if let Some(said) = value.get(name).filter(|said| !said.is_null()) {
            metadata.insert(name.to_owned(), json!(super::plain(said)));
        }
    }
    let size = text(value, "size").and_then(size);
    let given = |name| text(value, name).map(cut);
    let user = labels.user.as_deref().map(cut).or_else(|| given("user"));
    json!({
        "user": user, "role": role, "type": kind, "subtype": given("db_protocol"), "origin": "teleport",
        "client_ip": given("addr.remote"), "cols": size.map(|(cols, _)| cols), "rows": size.map(|(_, rows)| rows),
        "metadata": metadata,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::super::testing::{events, of_kind};
    use super::*;
    use proptest::prelude::*;

    const DB: &str = r#"{"cluster_name":"teleport.example.com","code":"TDB00I","db_name":"shop","db_protocol":"postgres","db_service":"pg-prod","db_user":"app","ei":0,"event":"db.session.start","sid":"5c8b6f0c-2a43-4f0f-9b0a-5b7d1f9d2c11","success":true,"time":"2026-03-01T09:30:00.123Z","uid":"u-1","user":"alice@example.com","addr.remote":"203.0.113.7:53000"}
{"code":"TDB02I","db_name":"shop","db_query":"select 1","ei":1,"event":"db.session.query","sid":"5c8b6f0c-2a43-4f0f-9b0a-5b7d1f9d2c11","success":true,"time":"2026-03-01T09:30:01Z","uid":"u-2","user":"alice@example.com"}
{"code":"TDB02W","db_query":"drop table x","ei":2,"error":"permission denied","event":"db.session.query","sid":"5c8b6f0c-2a43-4f0f-9b0a-5b7d1f9d2c11","success":false,"time":"2026-03-01T09:30:02Z","uid":"u-3"}
{"code":"TDB01I","ei":3,"event":"db.session.end","sid":"5c8b6f0c-2a43-4f0f-9b0a-5b7d1f9d2c11","time":"2026-03-01T09:30:03Z","uid":"u-4"}
"#;
    const SSH: &str = r#"[{"event":"session.start","code":"T2000I","ei":0,"uid":"s-1","sid":"ssh-1","time":"2026-03-01T10:00:00Z","user":"bob@example.com","server_hostname":"web1","size":"80:25","addr.remote":"198.51.100.4:1"},
 {"event":"resize","code":"T2002I","ei":4,"uid":"s-2","sid":"ssh-1","time":"2026-03-01T10:00:01Z","size":"132:40"},
 {"event":"exec","ei":5,"uid":"s-3","sid":"ssh-1","time":"2026-03-01T10:00:02Z","command":"ls /x","exitCode":"2"},
 {"event":"session.data","ei":2147483646,"uid":"s-4","sid":"ssh-1","time":"2026-03-01T10:00:03Z","tx":1},
 {"event":"print","ei":6,"uid":"s-5","sid":"ssh-1","time":"2026-03-01T10:00:03Z","bytes":5},
 {"event":"user.login","code":"T1000W","uid":"s-6","time":"2026-03-01T10:00:04Z","user":"mallory","success":false},
 {"event":"x"}]"#;

    #[test]
    fn a_database_session_has_its_queries_and_what_failed_is_not_blocked() {
        let found = teleport(DB.as_bytes(), &Labels::default()).unwrap();
        let events = events(&found);
        assert_eq!(found.skipped, []);
        let start = &events[0];
        assert_eq!((&start["role"], &start["subtype"]), (&"pg-prod".into(), &"postgres".into()));
        assert_eq!(
            (&start["user"], &start["type"]),
            (&"alice@example.com".into(), &"database".into())
        );
        let commands = of_kind(&events, "command");
        assert_eq!(
            (&commands[1]["input"], &commands[1]["verdict"]),
            (&"drop table x".into(), &"passed".into())
        );
        assert_eq!(of_kind(&events, "command.end")[0]["error"], "permission denied");
        let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted(), "{seqs:?}");
        let one = DB.lines().nth(1).unwrap();
        let alone = teleport(one.as_bytes(), &Labels::default()).unwrap();
        assert!(found.lines.contains(&alone.lines[0]), "a part has other numbers than the whole");
    }

    #[test]
    fn every_other_event_is_kept_whole_and_what_is_none_is_named() {
        let found = teleport(SSH.as_bytes(), &Labels::default()).unwrap();
        let events = events(&found);
        assert_eq!((&events[0]["cols"], &events[0]["rows"]), (&80.into(), &25.into()));
        assert_eq!(of_kind(&events, "terminal.resize")[0]["cols"], 132);
        assert_eq!(of_kind(&events, "command")[0]["exit_code"], 2);
        let notes = of_kind(&events, "note");
        assert_eq!(notes.len(), 3);
        assert!(notes[0]["text"].as_str().unwrap().contains("\"tx\":1"));
        let login = of_kind(&events, "session.end")[0];
        assert_eq!(login["status"], "failed");
        assert!(login["session"].as_str().unwrap().starts_with("teleport-"));
        assert_eq!(found.skipped[0].what, "a `x` without `time`");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            name in "(db\\.)?session\\.(start|end|query)|resize|print|exec|session.command|[a-z.]{0,9}",
            ei in any::<u64>(),
            word in "\\PC{0,9}",
        ) {
            let _ = teleport(&bytes, &Labels::default());
            let value = json!({"event": name, "time": "2026-03-01T10:00:00Z", "ei": ei, "sid": word, "uid": word,
                "size": word, "command": word, "db_query": word, "path": word, "argv": [word, 1], "data": word});
            if let Ok(found) = teleport(value.to_string().as_bytes(), &Labels::default()) {
                events(&found);
            }
        }
    }
}
