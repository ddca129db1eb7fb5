//! What the investigator's commands print: for people in a terminal and in a pipe, and for programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use daybook_tools::output::width;
use pty_process::Size;
use pty_process::blocking::{Command, open};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What a session might do to the terminal of who reads it, and to a program that reads CSV.
const EVIL: &str = "=1+1, \"drop\"\r\n\u{1b}[2Jtable\u{0}\u{7}\u{9b}31m\u{202e} 日本 zażółć; end";

/// A log at rest.
struct Log {
    dir: tempfile::TempDir,
}

impl Log {
    /// With sessions of users with long, wide and evil names.
    fn new() -> Log {
        let log = Log { dir: tempfile::tempdir().unwrap() };
        let events = log.path("events.ndjson");
        std::fs::write(&events, events_of(20)).unwrap();
        run(0, &["import", "-q", "--data", &log.data(), events.to_str().unwrap()]);
        log
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn data(&self) -> String {
        self.path("data").to_str().unwrap().to_owned()
    }

    /// What a command prints into a pipe.
    fn pipe(&self, args: &[&str]) -> String {
        run(0, &[args, &["--data", &self.data()]].concat())
    }

    /// What a command prints in a terminal, as the terminal gets it; without colours, so that it can be
    /// compared.
    fn terminal(&self, columns: u16, rows: u16, pager: &str, args: &[&str]) -> String {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_daybook"))
            .env("NO_COLOR", "1")
            .env("DAYBOOK_PAGER", pager)
            .env("RUST_LOG", "warn")
            .env_remove("LESS")
            .args(args)
            .args(["--data", &self.data()])
            .spawn(pts)
            .unwrap();
        let mut shown = Vec::new();
        let mut buffer = [0; 4_096];
        // It ends with an error: nobody has the other end open.
        while let Ok(n @ 1..) = (&pty).read(&mut buffer) {
            shown.extend_from_slice(&buffer[..n]);
        }
        assert!(child.wait().unwrap().success(), "{args:?}");
        String::from_utf8(shown).unwrap().replace("\r\n", "\n")
    }
}

fn events_of(sessions: usize) -> String {
    let mut lines = Vec::new();
    for i in 0..sessions {
        let user = match i % 3 {
            0 => format!("ana-{i}@example.com"),
            1 => format!("日本-{i}@example.com"),
            _ => "someone.with.a.long.name@department.example.com".to_owned(),
        };
        let session = format!("ses-{i}");
        let at = |second: usize| format!("2026-03-01T10:{i:02}:{second:02}.500000Z");
        let long = "x ".repeat(300);
        lines.push(json!({"session": session, "seq": 0, "time": at(0), "kind": "session.start", "user": user, "role": format!("prod-{}", i % 2), "type": "database", "subtype": "postgres", "tags": ["a", "b"], "agent": "bot"}));
        lines.push(json!({"session": session, "seq": 1, "time": at(1), "kind": "command", "input": format!("DROP TABLE t{i}; -- {long}"), "language": "sql", "verdict": "blocked", "rule": "no drops", "masked": 2}));
        lines.push(json!({"session": session, "seq": 2, "time": at(2), "kind": "output", "command": 1, "text": EVIL}));
        lines.push(json!({"session": session, "seq": 3, "time": at(3), "kind": "output", "command": 1, "data": "AP8="}));
        lines.push(json!({"session": session, "seq": 4, "time": at(4), "kind": "session.end", "status": "failed", "exit_code": 3, "reason": EVIL}));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn objects(json: &str) -> Vec<Value> {
    json.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of CSV, by the names of their columns.
fn records(csv: &str) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.deserialize().map(|record| record.unwrap()).collect()
}

fn in_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(in_cell).collect::<Vec<_>>().join(";"),
        other => other.to_string(),
    }
}

/// Each of these columns has what JSON has under the same name.
fn same(record: &HashMap<String, String>, prefix: &str, object: &Value, names: &[&str]) {
    for name in names {
        assert_eq!(
            record[&format!("{prefix}{name}")],
            in_cell(&object[name]),
            "{name} of {object}"
        );
    }
}

fn same_hit(record: &HashMap<String, String>, prefix: &str, hit: &Value) {
    same(record, prefix, hit, &["offset", "seq", "time", "kind", "verdict"]);
    if prefix.is_empty() {
        same(record, prefix, hit, &["replay_ms"]);
    }
    let snippets = hit["snippets"].as_array().unwrap();
    for field in ["input", "output", "text"] {
        let snippet = snippets.iter().find(|snippet| snippet["field"] == field);
        let text = snippet.map_or("", |snippet| snippet["text"].as_str().unwrap());
        assert_eq!(record[&format!("{prefix}{field}")], text);
        let cut = snippet.is_some_and(|s| s["more_before"] == true || s["more_after"] == true);
        assert_eq!(record[&format!("{prefix}cut")].split(';').any(|name| name == field), cut);
    }
}

#[test]
fn csv_says_what_json_says() {
    let log = Log::new();
    let both = |args: &[&str]| {
        let csv = records(&log.pipe(&[args, &["--csv"]].concat()));
        let json = objects(&log.pipe(&[args, &["--json"]].concat()));
        assert_eq!(csv.len(), json.len(), "{args:?}");
        assert!(!csv.is_empty(), "{args:?} found nothing");
        csv.into_iter().zip(json)
    };
    for (record, hit) in both(&["search", "-n", "1000", "drop OR kind:session.start OR x"]) {
        same_hit(&record, "", &hit);
        same(&record, "", &hit, &["session", "user", "role", "type"]);
    }
    let session = [
        "user",
        "user_name",
        "role",
        "type",
        "subtype",
        "agent",
        "tags",
        "started_at",
        "ended_at",
        "duration_ms",
        "status",
        "events",
        "commands",
        "blocked",
        "approved",
        "pending",
        "masked",
        "bytes",
        "summary",
    ];
    for (record, group) in both(&["search", "--by-session", "drop"]) {
        assert_eq!(record["session"], group["session"]["id"]);
        same(&record, "", &group["session"], &session);
        same(&record, "", &group, &["matches"]);
        same_hit(&record, "latest_", &group["latest"]);
    }
    for (record, item) in both(&["sessions"]) {
        assert_eq!(record["session"], item["id"]);
        same(&record, "", &item, &session);
    }
    for (record, event) in both(&["show", "ses-7"]) {
        same(&record, "", &event, &["offset", "session", "seq", "time", "kind", "verdict", "rule"]);
        same(&record, "", &event, &["input", "language", "command", "exit_code"]);
        if event["kind"] == "output" {
            let text = event["text"].as_str().unwrap_or("\u{0}\u{fffd}");
            assert_eq!(record["output"], text);
        }
        assert_eq!(
            (record["user"].as_str(), record["tags"].as_str()),
            ("日本-7@example.com", "a;b")
        );
        assert_eq!(record["status"], "failed");
    }
}

#[test]
fn a_shown_session_has_the_cells_that_its_export_has() {
    let log = Log::new();
    let file = log.path("export.csv");
    log.pipe(&["export", "session:ses-3", "-o", file.to_str().unwrap()]);
    let mut exported = records(&std::fs::read_to_string(file).unwrap());
    exported.sort_by_key(|record| record["seq"].parse::<u64>().unwrap());
    let mut shown = records(&log.pipe(&["show", "--csv", "ses-3"]));
    for record in &mut exported {
        record.remove("bytes").unwrap();
        assert!(record.remove("received").unwrap().starts_with("20"));
    }
    for record in &mut shown {
        // It is shown where somebody was asked who sends.
        assert_eq!(record.remove("received").unwrap(), "");
    }
    assert_eq!(shown, exported);
}

#[test]
fn csv_has_its_header_also_where_nothing_is_found_and_does_not_go_with_json() {
    let log = Log::new();
    let none = log.pipe(&["search", "--csv", "nothingofthekind"]);
    assert_eq!(
        none,
        "offset,session,seq,time,kind,verdict,user,role,type,input,output,text,screen,typed,cut,replay_ms\r\n"
    );
    for command in ["search", "show", "sessions", "tail"] {
        let output = daybook().args([command, "--json", "--csv", "x"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("'--json' cannot be used with '--csv'"), "{said}");
    }
}

#[test]
fn the_columns_of_csv_are_those_that_are_documented() {
    let log = Log::new();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/output.md");
    let page = std::fs::read_to_string(page).unwrap();
    let header = |args: &[&str]| log.pipe(args).lines().next().unwrap().trim_end().to_owned();
    let sessions = header(&["sessions", "--csv"]);
    let groups = header(&["search", "--by-session", "--csv", "x"]);
    let of_group = groups.strip_prefix(&format!("{sessions},")).unwrap().to_owned();
    for (command, header) in [
        ("search", header(&["search", "--csv", "x"])),
        ("show", header(&["show", "--csv", "ses-0"])),
        ("sessions", sessions),
        ("search", of_group),
    ] {
        assert!(page.lines().any(|line| line == header), "{command}: {header}");
        let help = run(0, &[command, "--help"]);
        let words: Vec<&str> = help.split([' ', ',', ';', '\n']).collect();
        for name in header.split(',') {
            assert!(words.contains(&name), "no `{name}` in the help of {command}");
        }
    }
}

#[test]
fn a_tail_prints_each_event_as_a_line_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--quiet"]);
    let follow = |form: &[&str]| {
        let args = [&["tail", "--from", "0", "--server", &server.address, "kind:command"], form];
        let mut tail = daybook().args(args.concat()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(tail.stdout.take().unwrap()).lines();
        (tail, lines.map(|line| line.unwrap()))
    };
    let (mut csv, mut records) = follow(&["--csv"]);
    let (mut people, mut rows) = follow(&[]);
    let file = dir.path().join("events.ndjson");
    let send = |second: u32, user: &str| {
        let session = format!("s{second}");
        let time = format!("2026-03-01T10:00:{second:02}Z");
        let start = json!({"session": session, "seq": 0, "time": time, "kind": "session.start", "user": user, "role": "r", "type": "ssh"});
        let command = json!({"session": session, "seq": 1, "time": time, "kind": "command", "input": "ls, ll", "verdict": "passed"});
        std::fs::write(&file, format!("{start}\n{command}\n")).unwrap();
        run(0, &["import", "-q", "--server", &server.address, file.to_str().unwrap()]);
    };
    let mut next = || records.next().unwrap().trim_end().to_owned();
    assert!(next().starts_with("offset,session,seq,time,"));
    send(1, "ana");
    assert_eq!(
        next(),
        "1,s1,1,2026-03-01T10:00:01.000000Z,command,passed,ana,r,ssh,\"ls, ll\",,,,,,0"
    );
    let at = |row: String| (row.find("s1").or(row.find("s2")).or(row.find("SESSION")), row);
    let (heading, first) = (at(rows.next().unwrap()), at(rows.next().unwrap()));
    assert_eq!(heading.0, first.0, "{heading:?} {first:?}");
    send(2, "someone.with.a.very.long.name@example.com");
    assert!(next().starts_with("3,s2,1,"));
    let second = at(rows.next().unwrap());
    assert!(second.0 > first.0, "the columns did not grow: {second:?}");
    for tail in [&mut csv, &mut people] {
        tail.kill().unwrap();
        tail.wait().unwrap();
    }
}

/// Where a piece of a line stands, in columns of a terminal.
fn column_of(line: &str, piece: &str) -> usize {
    width(&line[..line.find(piece).unwrap_or_else(|| panic!("no `{piece}` in `{line}`"))])
}

#[test]
fn columns_are_aligned_and_whole_in_a_pipe() {
    let log = Log::new();
    for args in [
        &["search", "verdict:blocked drop"][..],
        &["search", "--by-session", "verdict:blocked drop"],
    ] {
        let shown = log.pipe(args);
        let rows: Vec<&str> = shown.lines().filter(|line| line.contains("prod-")).collect();
        assert_eq!(rows.len(), 20, "{shown}");
        let heading = shown.lines().next().unwrap();
        for (piece, name) in [("prod-", "ROLE"), ("ses-", "SESSION"), ("DROP", "TEXT")] {
            assert!(
                rows.iter().all(|row| column_of(row, piece) == column_of(heading, name)),
                "{shown}"
            );
        }
        assert!(shown.contains("someone.with.a.long.name@department.example.com"), "{shown}");
    }
    let list = log.pipe(&["sessions"]);
    let starts: Vec<usize> =
        list.lines().filter(|l| l.contains("ses-")).map(|l| column_of(l, "ses-")).collect();
    assert!(starts.len() == 20 && starts.iter().all(|start| *start == starts[0]), "{list}");
}

#[test]
fn a_terminal_gets_lines_that_fit_it_with_what_was_found() {
    let log = Log::new();
    for columns in [84, 100, 160, 240] {
        let args = ["search", "--no-pager", "verdict:blocked drop"];
        let shown = log.terminal(columns, 50, "", &args);
        for line in shown.lines() {
            assert!(width(line) <= usize::from(columns), "{} columns: {line}", width(line));
        }
        let found: Vec<&str> = shown.lines().filter(|line| line.contains("DROP TABLE t")).collect();
        assert_eq!(found.len(), 20, "{shown}");
        assert!(found.iter().all(|line| line.contains('…')), "{shown}");
    }
}

/// The lines that a pager got, if it was started.
fn paged(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    std::fs::remove_file(file).unwrap();
    Some(text)
}

#[test]
fn what_is_longer_than_the_terminal_goes_through_the_pager() {
    let log = Log::new();
    let file = log.path("paged");
    let pager = format!("cat > '{}'", file.display());
    for args in [&["search", "drop"][..], &["sessions"], &["show", "ses-4", "--full"]] {
        assert_eq!(log.terminal(900, 8, &pager, args), "", "{args:?}");
        assert_eq!(paged(&file).unwrap(), log.pipe(args), "{args:?}");
        let direct = log.terminal(900, 8, &pager, &[args, &["--no-pager"]].concat());
        assert_eq!(direct, log.pipe(args), "{args:?}");
        // It fits.
        assert_eq!(log.terminal(900, 60, &pager, args), log.pipe(args), "{args:?}");
        for form in ["--json", "--csv"] {
            assert_ne!(log.terminal(900, 8, &pager, &[args, &[form]].concat()), "");
        }
        assert_eq!(paged(&file), None, "{args:?}");
    }
    // A few lines, but each takes several of the terminal's.
    log.terminal(50, 8, &pager, &["show", "ses-4"]);
    assert!(paged(&file).is_some());
}

#[test]
fn there_is_no_pager_in_a_pipe() {
    let log = Log::new();
    let file = log.path("paged");
    let mut command = daybook();
    command.args(["search", "drop", "--data", &log.data()]);
    command.env("DAYBOOK_PAGER", format!("cat > '{}'", file.display()));
    assert!(!command.output().unwrap().stdout.is_empty());
    assert_eq!(paged(&file), None);
}

#[test]
fn a_pager_that_is_not_there_or_quit_early_changes_nothing() {
    let log = Log::new();
    let args = ["search", "drop"];
    let shown = log.terminal(900, 8, "no-such-pager-anywhere 2>&-", &args);
    assert!(shown.ends_with(&log.pipe(&args)), "{shown}");
    for pager in ["", "cat", " cat "] {
        assert_eq!(log.terminal(900, 8, pager, &args), log.pipe(&args));
    }
    let file = log.path("paged");
    log.terminal(900, 8, &format!("head -n 2 > '{}'", file.display()), &args);
    assert_eq!(paged(&file).unwrap().lines().count(), 2);
    log.terminal(900, 8, &format!("echo \"$LESS\" > '{}'", file.display()), &args);
    assert_eq!(paged(&file).unwrap(), "FRX\n");
}

#[test]
fn the_pager_is_the_one_that_is_set_for_daybook_or_for_all() {
    let log = Log::new();
    let file = log.path("paged");
    let (pty, pts) = open().unwrap();
    pty.resize(Size::new(8, 200)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_daybook"))
        .env_remove("DAYBOOK_PAGER")
        .env("PAGER", format!("cat > '{}'", file.display()))
        .args(["sessions", "--data", &log.data()])
        .spawn(pts)
        .unwrap();
    let mut shown = [0; 4_096];
    while let Ok(1..) = (&pty).read(&mut shown) {}
    assert!(child.wait().unwrap().success());
    let text = paged(&file).unwrap();
    assert!(text.contains("ses-19") && text.contains("\u{1b}[1mSTARTED"), "{text}");
}

fn drives_a_terminal(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && !"\r\n\t".contains(c)) || c == '\u{202e}')
}

#[test]
fn what_was_recorded_never_drives_the_terminal_and_csv_has_it_as_it_was() {
    let log = Log::new();
    for args in [
        &["search", "table zażółć"][..],
        &["search", "--by-session", "table zażółć"],
        &["sessions"],
        &["show", "ses-2"],
        &["show", "--full", "ses-2"],
    ] {
        for form in [&[][..], &["--json"]] {
            let args = [args, form].concat();
            let shown = log.pipe(&args);
            assert!(!drives_a_terminal(&shown), "{args:?}: {shown:?}");
        }
        for form in [&["--no-pager"][..], &["--json"], &["--csv"]] {
            let args = [args, form].concat();
            let shown = log.terminal(120, 50, "", &args);
            assert!(!drives_a_terminal(&shown), "{args:?}: {shown:?}");
        }
    }
    let csv = log.pipe(&["show", "--csv", "ses-2"]);
    assert!(csv.contains(&format!("\"{}\"", EVIL.replace('"', "\"\""))), "{csv:?}");
}
