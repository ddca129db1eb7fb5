//! Downloads of a real log: the same bytes wherever the events are, and excerpts that have nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;
use crate::excerpt::Part;
use crate::replay::{self, Keyframes, ReplayRequest};
use crate::timeline::{self, TimelineRequest};
use daybook_engine::event::{Micros, Seq};
use daybook_engine::{Batch, Engine, Options};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Read as _;
use std::sync::Arc;

fn engine(dir: &std::path::Path) -> Arc<Engine> {
    Engine::open(dir, Options { index_heap_bytes: 16 << 20, ..Options::default() }).unwrap()
}

fn append(engine: &Engine, events: &[Value]) {
    let mut batch = Batch::new();
    for (number, event) in (1u64..).zip(events) {
        batch.push(number, event.to_string().as_bytes()).unwrap();
    }
    assert_eq!(engine.append_blocking(batch).unwrap().rejected, []);
}

const PSQL: &str = " id | name \n----+------\n  1 | Ann\n(1 row)\n";

fn at(s: u32) -> String {
    format!("2026-03-01T10:00:{s:02}.250000Z")
}

/// Two results, the second in pieces with another command's between them; one with two tables; a terminal.
fn session() -> Vec<Value> {
    let event = |seq: u32, kind: &str, more: Value| {
        let mut event = json!({"session": "s", "seq": seq, "time": at(seq), "kind": kind});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    vec![
        event(
            0,
            "session.start",
            json!({"user": "ann@example.com", "role": "prod", "type": "database", "cols": 40, "rows": 5}),
        ),
        event(
            1,
            "command",
            json!({"input": "select 1", "language": "sql", "verdict": "passed", "output": PSQL}),
        ),
        event(2, "command", json!({"input": "select 2", "verdict": "passed"})),
        event(3, "output", json!({"command": 2, "stream": "result", "text": " n \n---\n 1"})),
        event(4, "command", json!({"input": "update t", "verdict": "passed"})),
        event(
            5,
            "output",
            json!({"command": 4, "stream": "result", "text": format!("UPDATE 3\n{PSQL}DELETE 1\n{PSQL}")}),
        ),
        event(6, "output", json!({"command": 2, "stream": "result", "text": "\n 2,\"\n"})),
        event(7, "command.end", json!({"command": 2, "rows": 2, "error": "secret of 2"})),
        event(8, "note", json!({"by": "bob", "text": "about two", "command": 2})),
        event(9, "terminal.output", json!({"text": "\u{1b}[31mred\u{1b}[0m <b>\r\n\u{1b}]0;ti"})),
        event(10, "terminal.output", json!({"text": "tle\u{7}end"})),
        event(11, "terminal.output", json!({"data": "4oI="})),
        event(12, "terminal.output", json!({"data": "rA=="})),
        event(13, "command", json!({"input": "after", "verdict": "blocked", "rule": "r"})),
        event(14, "session.end", json!({"status": "failed", "exit_code": 3})),
    ]
}

fn bytes(engine: &Engine, format: Format, excerpt: Excerpt) -> Vec<u8> {
    let snapshot = engine.snapshot();
    let download = Download::open(&snapshot, "s", excerpt).unwrap().unwrap();
    let mut out = Vec::new();
    download.write(format, &mut out).unwrap();
    out
}

fn print(engine: &Engine) -> [u8; 16] {
    let snapshot = engine.snapshot();
    Download::open(&snapshot, "s", Excerpt::default()).unwrap().unwrap().fingerprint().unwrap()
}

#[test]
fn a_session_is_the_same_bytes_wherever_it_is_and_other_ones_once_it_grew() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let events = session();
    let other =
        json!({"session": "other", "seq": 0, "time": at(0), "kind": "command", "input": "x"});
    append(&engine, &events[..6]);
    append(&engine, &[other]);
    let early = print(&engine);
    engine.seal_now().unwrap();
    assert_eq!(print(&engine), early);
    // Late and out of order.
    append(&engine, &events[10..]);
    append(&engine, &events[6..10]);
    let late = print(&engine);
    assert_ne!(late, early);
    let all = |engine: &Engine| Format::ALL.map(|format| bytes(engine, format, Excerpt::default()));
    let before = all(&engine);
    engine.seal_now().unwrap();
    engine.merge_now().unwrap();
    assert_eq!(print(&engine), late);
    for (format, (before, after)) in Format::ALL.iter().zip(before.iter().zip(&all(&engine))) {
        assert!(before == after, "{format:?} differs");
        assert!(!before.is_empty());
    }
}

#[test]
fn each_format_has_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    append(&engine, &session());
    let whole = |format| bytes(&engine, format, Excerpt::default());
    let text = String::from_utf8(whole(Format::Text)).unwrap();
    for piece in [
        "session  s\n",
        "ann@example.com",
        "#13  command  blocked by the rule r\n    after\n",
        "output of #2  result",
        "\n    red <b>\n    end\u{fffd}\u{fffd}\n",
        "end  failed  exit code 3",
    ] {
        assert!(text.contains(piece), "{piece:?} is not in {text}");
    }
    assert!(!text.contains('\u{1b}'));
    let lines = String::from_utf8(whole(Format::Ndjson)).unwrap();
    let seqs: Vec<u64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (0..15).collect::<Vec<_>>());
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(whole(Format::Csv))).unwrap();
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        files.push((file.name().unwrap().into_owned(), text));
    }
    let expected = [
        ("command-1.csv".to_owned(), "id,name\r\n1,Ann\r\n".to_owned()),
        ("command-2.csv".to_owned(), "n\r\n1\r\n\"2,\"\"\"\r\n".to_owned()),
        ("command-4-1.csv".to_owned(), "id,name\r\n1,Ann\r\n".to_owned()),
        ("command-4-2.csv".to_owned(), "id,name\r\n1,Ann\r\n".to_owned()),
    ];
    assert_eq!(files, expected);
    let parquet = whole(Format::Parquet);
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[test]
fn one_table_is_a_csv_file_and_none_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let events = session();
    append(&engine, &events[..2]);
    let ending = |engine: &Engine| {
        let snapshot = engine.snapshot();
        let download = Download::open(&snapshot, "s", Excerpt::default()).unwrap().unwrap();
        download.kind(Format::Csv).unwrap().map(|kind| kind.ending)
    };
    assert_eq!(ending(&engine), Some("csv"));
    assert_eq!(bytes(&engine, Format::Csv, Excerpt::default()), b"id,name\r\n1,Ann\r\n");
    append(&engine, &events[2..]);
    assert_eq!(ending(&engine), Some("zip"));
    let snapshot = engine.snapshot();
    let hidden = Excerpt { hides_outputs: true, ..Excerpt::default() };
    let download = Download::open(&snapshot, "s", hidden).unwrap().unwrap();
    assert_eq!(download.kind(Format::Csv).unwrap(), None);
}

#[test]
fn an_asciicast_has_the_terminal_with_its_times() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    append(&engine, &session());
    let lines = |format| {
        let text = String::from_utf8(bytes(&engine, format, Excerpt::default())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let v2 = lines(Format::Cast);
    assert_eq!(
        v2[0],
        json!({"version": 2, "width": 40, "height": 5, "timestamp": 1_772_359_200,
        "title": "ann@example.com on prod"})
    );
    assert_eq!(v2[1], json!([9.25, "o", "\u{1b}[31mred\u{1b}[0m <b>\r\n\u{1b}]0;ti"]));
    // A character that was cut between two events.
    assert_eq!(v2[3..], [json!([12.25, "o", "\u{20ac}"])]);
    let v3 = lines(Format::Cast3);
    assert_eq!(v3[0]["term"], json!({"cols": 40, "rows": 5}));
    assert_eq!(v3[2], json!([1.0, "o", "tle\u{7}end"]));
    assert_eq!(v3.last(), Some(&json!([2.0, "x", "3"])));
}

/// What an excerpt may show, said in another way.
fn allowed(excerpt: &Excerpt, event: &Value) -> bool {
    let kind = event["kind"].as_str().unwrap();
    let seq = event["seq"].as_u64().unwrap();
    let inside = match excerpt.part {
        Part::Whole => true,
        Part::Command(Seq(n)) => {
            let commands = session().iter().any(|e| e["seq"] == n && e["kind"] == "command");
            commands && (seq == u64::from(n) || event["command"] == n)
        }
        Part::Time(from, to) => {
            (from..to).contains(&Micros::parse(event["time"].as_str().unwrap()).unwrap())
        }
    };
    inside && !(excerpt.hides_outputs && ["output", "terminal.output"].contains(&kind))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn an_excerpt_has_its_events_and_nothing_of_others(
        which in 0..3, seq in 0u32..15, from in 0u32..15, len in 1u32..15, hides_outputs: bool, sealed: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path());
        append(&engine, &session());
        if sealed {
            engine.seal_now().unwrap();
        }
        let time = |s: u32| Micros(Micros::parse(&at(0)).unwrap().0 + i64::from(s) * 1_000_000);
        let part = match which {
            0 => Part::Whole,
            1 => Part::Command(Seq(seq)),
            _ => Part::Time(time(from), time(from + len)),
        };
        let excerpt = Excerpt { part, hides_outputs };
        prop_assert_eq!(part.to_string().parse::<Part>(), Ok(part));
        let expected: Vec<u64> = session()
            .iter()
            .filter(|event| allowed(&excerpt, event))
            .map(|event| event["seq"].as_u64().unwrap())
            .collect();
        let lines = String::from_utf8(bytes(&engine, Format::Ndjson, excerpt)).unwrap();
        let events: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        prop_assert_eq!(&seqs, &expected);
        let snapshot = engine.snapshot();
        for fold in [true, false] {
            for backwards in [true, false] {
                let request = TimelineRequest { fold, backwards, ..TimelineRequest::default() };
                let page = timeline::timeline_of(&snapshot, "s", &excerpt, &request).unwrap().unwrap();
                prop_assert_eq!(page.count, expected.len() as u64);
                let text = serde_json::to_string(&page).unwrap();
                prop_assert!(!hides_outputs || !text.contains("secret of 2"));
                prop_assert!(!hides_outputs || !text.contains("Ann"));
                if !fold {
                    prop_assert_eq!(page.items.len(), expected.len());
                }
            }
        }
        for format in Format::ALL {
            let made = bytes(&engine, format, excerpt);
            let shown = String::from_utf8_lossy(&made);
            // Parquet is compressed, but the words are short enough to be whole in it.
            prop_assert!(!hides_outputs || !shown.contains("secret of 2"), "{:?}", format);
            if !expected.contains(&13) && format != Format::Parquet {
                prop_assert!(!shown.contains("after"), "{:?} {}", format, shown);
            }
        }
        // What can be proved is what is shown as it was stored.
        let download = Download::open(&snapshot, "s", excerpt).unwrap().unwrap();
        let carries = [1, 7];
        let stored = expected.iter().filter(|s| !hides_outputs || !carries.contains(*s)).count();
        prop_assert_eq!(download.as_stored().unwrap().len(), stored);
        // The screen begins empty with the excerpt.
        let frames = replay::replay_of(&snapshot, "s", &excerpt, &Keyframes::default(), &ReplayRequest::default());
        if hides_outputs {
            prop_assert!(frames.is_err());
        } else if !expected.contains(&9) {
            prop_assert!(!serde_json::to_string(&frames.unwrap().unwrap()).unwrap().contains("red"));
        }
        let request = TimelineRequest { query: None, ..TimelineRequest::default() };
        let query = crate::lang::parse("secret", Micros(0)).unwrap();
        let asked = TimelineRequest { query: Some(&query), ..request };
        prop_assert_eq!(timeline::timeline_of(&snapshot, "s", &excerpt, &asked).is_ok(), excerpt.is_all());
    }
}

#[test]
fn no_text_is_a_part_that_was_not_meant() {
    for text in [
        "",
        "all",
        "command:",
        "command:x",
        "command:-1",
        "..",
        "2026-03-01T00:00:00Z..",
        "2026-03-02T00:00:00Z..2026-03-01T00:00:00Z",
    ] {
        assert!(text.parse::<Part>().is_err(), "{text}");
    }
}
