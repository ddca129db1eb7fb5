//! `daybook replay`: on a terminal with its timing, as frames for programs, from a server and from a log at rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{daybook, run};
use pty_process::Size;
use pty_process::blocking::{Command, open};
use serde_json::{Value, json};
use std::io::Read as _;
use std::time::{Duration, Instant};

/// A log at rest with a session that would do things to a terminal.
fn log() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |ms: u32| format!("2026-03-01T10:00:{:02}.{:03}Z", ms / 1000, ms % 1000);
    let events = [
        json!({"seq": 0, "time": at(0), "kind": "session.start", "user": "ana@example.com", "cols": 40, "rows": 5}),
        json!({"seq": 1, "time": at(500), "kind": "terminal.output", "text": "$ \u{1b}[31mls\u{1b}[0m\r\n"}),
        json!({"seq": 2, "time": at(1000), "kind": "terminal.output",
            "text": "\u{1b}]0;title\u{7}\u{1b}]52;c;AAAA\u{7}one\r\n\u{1b}[5n\u{1b}[6n"}),
        json!({"seq": 3, "time": at(50_000), "kind": "terminal.output", "text": "two"}),
        json!({"seq": 4, "time": at(50_500), "kind": "session.end", "status": "done"}),
    ];
    let lines = events.map(|mut event| {
        event["session"] = json!("s");
        format!("{event}\n")
    });
    std::fs::write(dir.path().join("events.ndjson"), lines.concat()).unwrap();
    let (file, data) = (dir.path().join("events.ndjson"), dir.path().join("data"));
    run(0, &["import", "-q", "--data", data.to_str().unwrap(), file.to_str().unwrap()]);
    dir
}

#[test]
fn a_session_is_played_with_its_timing_and_long_pauses_are_short() {
    let dir = log();
    let (pty, pts) = open().unwrap();
    pty.resize(Size::new(24, 80)).unwrap();
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_daybook"))
        .env_remove("NO_COLOR")
        .args(["replay", "--idle", "1", "--data"])
        .arg(dir.path().join("data"))
        .arg("s")
        .spawn(pts)
        .unwrap();
    let mut shown = Vec::new();
    let mut buffer = [0; 4_096];
    // It ends with an error: nobody has the other end open.
    while let Ok(n @ 1..) = (&pty).read(&mut buffer) {
        shown.extend_from_slice(&buffer[..n]);
    }
    assert!(child.wait().unwrap().success());
    let took = began.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_secs(20)).contains(&took), "{took:?}");
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("\u{1b}[38;5;1mls\u{1b}[0m"), "{shown:?}");
    let (played, left) = shown.rsplit_once("\u{1b}[?1049l").unwrap();
    assert!(played.starts_with("\u{1b}[?1049h"));
    assert_eq!(
        left.replace("\u{1b}[38;5;1m", "").replace("\u{1b}[0m", ""),
        "$ ls\r\none\r\ntwo\r\n"
    );
    for evil in ["\u{1b}]", "\u{7}", "\u{1b}[5n", "\u{1b}[6n"] {
        assert!(!shown.contains(evil), "{evil:?} drove the terminal");
    }
}

#[test]
fn frames_are_printed_for_programs_from_any_moment() {
    let dir = log();
    let data = dir.path().join("data");
    let frames = |args: &[&str]| -> Vec<Value> {
        let args = [&["replay", "--json", "--data", data.to_str().unwrap(), "s"], args].concat();
        run(0, &args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = frames(&[]);
    let times: Vec<u64> = all.iter().map(|frame| frame["time_ms"].as_u64().unwrap()).collect();
    assert_eq!(times, [0, 0, 500, 1_000, 50_000]);
    let late = frames(&["--at", "2026-03-01T10:00:01Z"]);
    assert_eq!(late.len(), 2);
    assert_eq!(late[0]["lines"].as_array().unwrap().len(), 5);
    assert_eq!(late[0]["lines"][1]["runs"][0]["text"], "one");
}

#[test]
fn what_cannot_be_played_is_said() {
    let dir = log();
    let data = dir.path().join("data");
    for (args, says) in [
        (vec!["s"], "needs a terminal"),
        (vec!["--json", "none"], "no session"),
        (vec!["--speed", "0", "s"], "from 0.1 to 1000"),
    ] {
        let output =
            daybook().args(["replay", "--data", data.to_str().unwrap()]).args(args).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(says), "{said}");
    }
}
