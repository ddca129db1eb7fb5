//! Rows of OCSF are what its own schemas say, and the same in every format.

use super::interop::check;
use super::log::{Line, Log};
use super::round_trip::lines;
use daybook_engine::event::Micros;
use daybook_query::QueryError;
use daybook_query::columnar::parquet::Codec;
use daybook_query::export::{ExportRequest, Format, Schema, export};
use daybook_query::lang::parse;
use daybook_query::ocsf::{Class, Mapping, Outputs, Version, Writer};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::io::{BufRead as _, Write as _};
use std::path::Path;

/// A session with every kind of event and every verdict, for each type of role, and one whose start never came.
fn every_kind() -> Vec<Value> {
    let mut events = Vec::new();
    let users = ["alice@example.com", "bob", "c d@é", "e@example"];
    let addresses = ["10.0.3.7", "2001:db8::1", "bastion.example.com", "::ffff:1.2.3.4"];
    let types = [Some("database"), Some("ssh"), Some("kubernetes"), Some("application"), None];
    for (number, role_type) in types.iter().enumerate() {
        let mut bodies = vec![];
        if let Some(role_type) = role_type {
            bodies.push(json!({
                "kind": "session.start", "user": users[number],
                "user_name": "Alice", "groups": ["dba", "on call"], "role": "prod-us-east", "type": role_type,
                "subtype": "postgres", "tags": ["production", "pci"], "cols": 80, "rows": 24,
                "agent": if number == 1 { json!("claude") } else { Value::Null },
                "client_ip": addresses[number],
                "correlation_id": "c-1", "metadata": {"k": "v"},
            }));
        }
        let inputs = [
            "select 1 -- é",
            "kubectl -n prod delete pod x",
            "DROP TABLE customers",
            "",
            "\u{1b}[1m\u{0}",
        ];
        for (n, verdict) in
            ["passed", "blocked", "pending", "approved", "rejected"].iter().enumerate()
        {
            bodies.push(json!({
                "kind": "command", "input": inputs[n], "verdict": verdict, "rule": "no-drops", "language": "sql",
                "output": "id\n1\n", "exit_code": n, "rows": 1, "duration_ms": 12, "masked": 2,
                "masked_types": {"email": 2}, "rerun_of": "before:1",
            }));
        }
        bodies.extend([
            json!({"kind": "command", "input": "x".repeat(70_000), "output": "é".repeat(70_000)}),
            json!({"kind": "output", "command": 1, "stream": "stdout", "text": "1"}),
            json!({"kind": "command.end", "command": 1, "duration_ms": 3, "exit_code": 1, "error": "no such table"}),
            json!({"kind": "command.end", "rows": 4, "masked": 1, "masked_types": {"card": 1}}),
            json!({"kind": "terminal.output", "text": "$ "}),
            json!({"kind": "terminal.input", "data": "/wD+"}),
            json!({"kind": "terminal.resize", "cols": 100, "rows": 30}),
            json!({"kind": "terminal.marker", "text": "here"}),
            json!({"kind": "review.request", "review": "r-1", "scope": "command", "command": 3, "groups": ["dba"],
                   "min_approvals": 2, "expires_at": "2026-03-02T00:00:00Z", "reason": "please"}),
            json!({"kind": "note", "by": "carol@example.com", "text": "odd"}),
            json!({"kind": "access", "by": "carol@example.com", "action": "search", "target": "drop"}),
            json!({"kind": "access", "by": "carol@example.com", "action": "export"}),
        ]);
        for decision in ["approved", "rejected", "revoked", "expired", "executed"] {
            bodies.push(json!({"kind": "review.decision", "review": "r-1", "decision": decision,
                               "by": "bob@example.com", "comment": "fine"}));
        }
        bodies
            .push(json!({"kind": "review.decision", "review": "unheard", "decision": "approved"}));
        for action in ["hold", "release", "delete", "policy", "loss"] {
            bodies.push(
                json!({"kind": "retention", "by": "daybook", "action": action, "case": "c-7",
                               "target": "hold-1", "reason": "old", "metadata": {"events": "3"}}),
            );
        }
        let status = ["done", "failed", "killed", "done", "failed"][number];
        bodies.push(
            json!({"kind": "session.end", "status": status, "exit_code": 1, "reason": "closed"}),
        );
        for (seq, mut body) in bodies.into_iter().enumerate() {
            body["session"] = json!(format!("s-{number}"));
            body["seq"] = json!(seq);
            body["time"] = json!(format!("2026-03-01T00:{number:02}:{seq:02}.123456Z"));
            if body["agent"].is_null() {
                body.as_object_mut().unwrap().remove("agent");
            }
            events.push(body);
        }
    }
    events
}

/// The rows of a log as JSON.
fn rows_of(log: &Log, mapping: Mapping) -> Vec<(Class, String)> {
    let state = |line: &Line| &log.sessions[&line.session];
    let of = |line: &Line| mapping.json(&line.record(), &line.session, state(line)).unwrap();
    log.lines.iter().flat_map(of).collect()
}

/// Writes the rows of a log in every format, and has them checked with OCSF's schemas.
fn is_valid(log: &Log, mapping: Mapping) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: String| std::fs::File::create(directory.path().join(name)).unwrap();
    let mut rows = std::io::BufWriter::new(file("rows.ndjson".to_owned()));
    let mut writers: Vec<(Class, [Writer<std::fs::File>; 2])> = Vec::new();
    for class in Class::ALL {
        let [parquet, arrow] =
            ["parquet", "arrow"].map(|of| file(format!("{}.{of}", class.name())));
        let parquet = Writer::parquet(parquet, mapping, class, Codec::Zstd).unwrap();
        writers.push((class, [parquet, Writer::arrow(arrow, mapping, class).unwrap()]));
    }
    for (number, line) in log.lines.iter().enumerate() {
        let (record, state) = (line.record(), &log.sessions[&line.session]);
        let of_line = mapping.json(&record, &line.session, state).unwrap();
        for (class, writers) in &mut writers {
            // One that has no rows of a class adds none to its files; to see that with some is enough.
            if number % 16 == 0 || of_line.iter().any(|(of, _)| of == class) {
                for writer in writers {
                    writer.push(&record, &line.session, state).unwrap();
                }
            }
        }
        for (_, row) in of_line {
            writeln!(rows, "{row}").unwrap();
        }
    }
    rows.flush().unwrap();
    for (_, writers) in writers {
        writers.into_iter().for_each(|writer| writer.finish().unwrap());
    }
    let version = std::ffi::OsStr::new(mapping.version.name());
    check("ocsf.py", &[version, directory.path().as_os_str()]);
}

#[test]
fn every_row_is_what_its_class_says_in_both_versions_and_the_same_in_every_format() {
    let mut events: Vec<Vec<u8>> =
        every_kind().iter().map(|event| event.to_string().into_bytes()).collect();
    let mut runner = TestRunner::deterministic();
    for _ in 0..20 {
        events.extend(lines().new_tree(&mut runner).unwrap().current());
    }
    let log = Log::of(events.iter().map(Vec::as_slice));
    for version in Version::ALL {
        for (outputs, findings) in
            [(Outputs::Hash, true), (Outputs::Text, false), (Outputs::None, true)]
        {
            is_valid(&log, Mapping { version, outputs, findings });
        }
    }
}

#[test]
fn a_row_says_what_its_event_does() {
    let events: Vec<Vec<u8>> =
        every_kind().iter().map(|event| event.to_string().into_bytes()).collect();
    let log = Log::of(events.iter().map(Vec::as_slice));
    let rows = |mapping: Mapping| -> Vec<Value> {
        rows_of(&log, mapping).iter().map(|(_, row)| serde_json::from_str(row).unwrap()).collect()
    };
    let find = |rows: &[Value], uid: &str| {
        rows.iter().find(|row| row["metadata"]["uid"] == uid).unwrap().clone()
    };
    let all = rows(Mapping { findings: true, ..Mapping::default() });
    let blocked = find(&all, "s-0:2");
    assert_eq!(
        [
            &blocked["class_uid"],
            &blocked["type_uid"],
            &blocked["action_id"],
            &blocked["disposition_id"]
        ],
        [6005, 600_504, 2, 2]
    );
    assert_eq!(blocked["query_info"]["query_string"], "kubectl -n prod delete pod x");
    assert_eq!(blocked["actor"]["user"]["email_addr"], "alice@example.com");
    assert_eq!(blocked["src_endpoint"]["ip"], "10.0.3.7");
    assert_eq!(blocked["policy"]["name"], "no-drops");
    assert_eq!(blocked["unmapped"]["output_bytes"], 5);
    assert_eq!(blocked["unmapped"]["masked_fields"], 2);
    let found = all.iter().filter(|row| row["class_uid"] == 2004).count();
    assert_eq!(found, 5, "one finding of each session");
    assert_eq!(find(&all, "s-1:3")["process"]["cmd_line"], "DROP TABLE customers");
    assert_eq!(find(&all, "s-1:3")["actor"]["app_name"], "claude");
    assert_eq!(find(&all, "s-2:2")["api"]["operation"], "kubectl delete");
    assert_eq!(find(&all, "s-2:2")["activity_id"], 4);
    let end = all
        .iter()
        .find(|row| row["metadata"]["event_code"] == "command.end" && row["duration"] == 3);
    let end = end.unwrap();
    assert_eq!(end["end_time"], end["time"]);
    assert_eq!(end["start_time"].as_i64().unwrap() + 3, end["time"].as_i64().unwrap());
    // What came later than 1.3 is not there, but for what has no other place.
    let old = rows(Mapping { version: Version::V1_3, ..Mapping::default() });
    let cluster = find(&old, "s-2:2");
    assert!(cluster["action_id"].is_null() && cluster["resources"][0]["role_id"].is_null());
    assert_eq!(cluster["unmapped"]["verdict"], "blocked");
    let long = find(&old, "s-0:6");
    assert_eq!(long["query_info"]["query_string"].as_str().unwrap().len(), 65_535);
    assert_eq!(long["unmapped"]["untruncated_size"], 70_000);
    assert_eq!(find(&all, "s-0:6")["query_info"]["query_string"].as_str().unwrap().len(), 70_000);
}

#[test]
fn an_export_has_the_rows_of_its_class_and_of_its_query() {
    let events: Vec<Vec<u8>> =
        every_kind().iter().map(|event| event.to_string().into_bytes()).collect();
    let log = Log::of(events.iter().map(Vec::as_slice));
    let directory = tempfile::tempdir().unwrap();
    let snapshot = log.sealed(directory.path());
    let mapping = Mapping::default();
    let query = parse("verdict:blocked", Micros(0)).unwrap();
    for (query, class) in [(None, None), (None, Some(Class::ApiActivity)), (Some(&query), None)] {
        let schema = Schema::Ocsf { mapping, class };
        let request = ExportRequest { schema, ..ExportRequest::new(query, Format::Ndjson) };
        let mut out = Vec::new();
        export(&snapshot, &request, &mut out).unwrap();
        let mut exported: Vec<&str> = std::str::from_utf8(&out).unwrap().lines().collect();
        exported.sort_unstable();
        let expected = rows_of(&log, mapping);
        let mut expected: Vec<&str> = expected
            .iter()
            .filter(|(of, row)| {
                class.is_none_or(|class| class == *of)
                    && (query.is_none() || row.contains("\"verdict\":\"blocked\""))
            })
            .map(|(_, row)| row.as_str())
            .collect();
        expected.sort_unstable();
        assert!(!expected.is_empty());
        assert_eq!(exported, expected);
    }
}

#[test]
fn formats_without_room_for_it_are_refused() {
    let log = Log::of(std::iter::empty());
    let directory = tempfile::tempdir().unwrap();
    let snapshot = log.sealed(directory.path());
    for (format, word) in [
        (Format::Csv, "CSV"),
        (Format::Parquet, "datastore_activity"),
        (Format::Arrow, "one class"),
    ] {
        let schema = Schema::Ocsf { mapping: Mapping::default(), class: None };
        let request = ExportRequest { schema, ..ExportRequest::new(None, format) };
        let refused = export(&snapshot, &request, &mut Vec::new());
        let Err(QueryError::Request(what)) = refused else { panic!("{refused:?}") };
        assert!(what.contains(word), "{what}");
    }
}

#[test]
#[ignore = "needs a corpus: DAYBOOK_CORPUS"]
fn every_row_of_a_corpus_is_valid() {
    let directory = std::env::var_os("DAYBOOK_CORPUS").expect("DAYBOOK_CORPUS names a directory");
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for entry in std::fs::read_dir(Path::new(&directory)).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".ndjson.zst") {
            let file = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
            lines.extend(std::io::BufReader::new(file).split(b'\n').map(Result::unwrap));
        }
    }
    let log = Log::of(lines.iter().map(Vec::as_slice));
    for version in Version::ALL {
        is_valid(&log, Mapping { version, outputs: Outputs::Text, findings: true });
    }
}
