//! What was seen on terminals is found in a log on disk, whatever became of it: in the tail, indexed, sealed,
//! opened again, repaired; exactly as reading everything in order finds it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Micros, Offset};
use daybook_engine::{Batch, Engine, Options};
use daybook_query::lang::parse;
use daybook_query::search::{CountMode, SearchRequest, follow, search};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::model::Model;
use support::random;

const QUERIES: [&str; 14] = [
    "drop",
    "table",
    "\"drop table\"",
    "dr*",
    "*op",
    "screen:a",
    "typed:b",
    "typed:*",
    "screen:*",
    "~\"^a ?b\"",
    "10.0.3.7",
    "NOT a",
    "output:a OR typed:a",
    "session(typed:a then screen:b)",
];

fn event() -> impl Strategy<Value = Value> {
    let sizes = prop::sample::select(vec![(80, 24), (5, 3), (2, 2)]);
    let body = prop_oneof![
        6 => random::terminal().prop_map(|text| json!({"kind": "terminal.output", "text": text})),
        4 => random::terminal().prop_map(|text| json!({"kind": "terminal.input", "text": text})),
        2 => prop::sample::select(vec!["\r", "a\r"]).prop_map(|text| json!({"kind": "terminal.input", "text": text})),
        2 => Just(json!({"kind": "terminal.output", "text": "\r\n"})),
        1 => sizes.clone().prop_map(|(cols, rows)| json!({"kind": "terminal.resize", "cols": cols, "rows": rows})),
        1 => sizes.prop_map(|(cols, rows)| json!({
            "kind": "session.start", "user": "alice@example.com", "cols": cols, "rows": rows
        })),
        1 => Just(json!({"kind": "note", "by": "carol@example.com", "text": "a b"})),
        1 => Just(json!({"kind": "session.end", "status": "done"})),
    ];
    (prop::sample::select(vec!["s1", "s2"]), 0..40i64, body).prop_map(
        |(session, time, mut event)| {
            event["session"] = json!(session);
            event["time"] = json!(Micros((1_772_000_000 + time) * 1_000_000).to_string());
            event
        },
    )
}

/// What is done after a batch.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    /// The indexer gets the time to draw what came, and to commit it where that is due.
    Wait,
    Seal,
    Restart,
    /// The text indexes of segments are lost, and made again.
    Repair,
}

fn open(dir: &std::path::Path, index_bytes_max: u64) -> Arc<Engine> {
    // Without a bound of bytes nothing is committed soon: what is drawn stays in the tail.
    let index_age_max = Duration::from_millis(if index_bytes_max == UNBOUND { 600_000 } else { 1 });
    let options = Options { index_bytes_max, index_age_max, ..Options::default() };
    Engine::open(dir, options).unwrap()
}

const UNBOUND: u64 = 64 << 20;

/// The offsets that a query finds, by pages and by following the log.
fn found(engine: &Engine, text: &str, limit: usize) -> (Vec<Offset>, Vec<Offset>) {
    let query = parse(text, Micros(0)).unwrap();
    let snapshot = engine.snapshot();
    let (mut paged, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let request = SearchRequest {
            cursor: cursor.as_deref(),
            limit,
            count: CountMode::Exact,
            ..SearchRequest::new(&query)
        };
        let page = search(&snapshot, &request).unwrap();
        assert!(page.complete, "{page:?}");
        for hit in page.items {
            assert!(
                hit.snippets
                    .iter()
                    .all(|s| s.highlights.iter().all(|[a, b]| s.text.get(*a..*b).is_some()))
            );
            paged.push(hit.offset);
        }
        let counted = page.totals.and_then(|totals| totals.count);
        cursor = page.next_cursor;
        if cursor.is_none() {
            assert_eq!(counted, Some(paged.len() as u64), "{text}");
            break;
        }
    }
    paged.sort();
    let (mut followed, mut next) = (Vec::new(), Offset(0));
    loop {
        let step = follow(&snapshot, &query, &SessionFilter::All, next, limit).unwrap();
        followed.extend(step.hits.iter().map(|hit| hit.offset));
        next = step.next;
        if step.at_end {
            return (paged, followed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_was_seen_is_found_wherever_the_events_are(
        events in prop::collection::vec(event(), 1..80),
        batch_len in 1..30usize,
        thens in prop::collection::vec(prop_oneof![
            3 => Just(Then::Nothing), 3 => Just(Then::Wait), 2 => Just(Then::Seal), 1 => Just(Then::Restart), 1 => Just(Then::Repair),
        ], 80),
        limit in 1..20usize,
        index_bytes_max in prop::sample::select(vec![1, 400, UNBOUND, UNBOUND]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = open(dir.path(), index_bytes_max);
        let mut model = Model::default();
        for (chunk, then) in events.chunks(batch_len).zip(thens) {
            let mut batch = Batch::new();
            for (number, event) in (1..).zip(chunk) {
                let line = event.to_string();
                model.push(line.as_bytes());
                batch.push(number, line.as_bytes()).unwrap();
            }
            prop_assert_eq!(engine.append_blocking(batch).unwrap().accepted, chunk.len() as u64);
            match then {
                Then::Nothing => {}
                Then::Wait => std::thread::sleep(Duration::from_millis(3)),
                Then::Seal => engine.seal_now().unwrap(),
                Then::Restart => {
                    engine.close().unwrap();
                    drop(engine);
                    engine = open(dir.path(), index_bytes_max);
                }
                Then::Repair => {
                    engine.seal_now().unwrap();
                    engine.close().unwrap();
                    drop(engine);
                    for segment in std::fs::read_dir(dir.path().join("segments")).unwrap() {
                        let text = segment.unwrap().path().join("text");
                        if text.exists() {
                            std::fs::remove_dir_all(text).unwrap();
                        }
                    }
                    engine = open(dir.path(), index_bytes_max);
                    engine.repair().unwrap();
                }
            }
        }
        for text in QUERIES {
            let (wanted, _) = model.search(&parse(text, Micros(0)).unwrap());
            let (paged, followed) = found(&engine, text, limit);
            prop_assert_eq!(&paged, &wanted, "{}", text);
            prop_assert_eq!(&followed, &wanted, "following {}", text);
        }
        engine.close().unwrap();
    }
}

/// A word whose letters came in two events, with something in between, among many events that lack it: so that
/// the text index decides.
#[test]
fn a_word_in_two_pieces_is_found_whatever_happens_between_them() {
    for between in [Then::Nothing, Then::Seal, Then::Restart, Then::Repair] {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = open(dir.path(), 1);
        let append = |engine: &Engine, bodies: &[Value]| {
            let mut batch = Batch::new();
            for (number, body) in (1..).zip(bodies) {
                let mut event = body.clone();
                event["time"] = json!("2026-03-01T00:00:00Z");
                batch.push(number, event.to_string().as_bytes()).unwrap();
            }
            assert_eq!(engine.append_blocking(batch).unwrap().accepted, bodies.len() as u64);
        };
        let shows = |text: &str| json!({"session": "s", "kind": "terminal.output", "text": text});
        let other = json!({"session": "other", "kind": "note", "by": "a", "text": "nothing of it"});
        let start =
            json!({"session": "s", "kind": "session.start", "user": "a", "cols": 2, "rows": 4});
        append(&engine, &[start, shows("$ dr")]);
        append(&engine, &vec![other.clone(); 30]);
        if matches!(between, Then::Seal | Then::Repair) {
            engine.seal_now().unwrap();
        }
        if matches!(between, Then::Restart) {
            engine.close().unwrap();
            drop(engine);
            engine = open(dir.path(), 1);
        }
        append(&engine, &[shows("op\r\n")]);
        append(&engine, &vec![other; 30]);
        engine.seal_now().unwrap();
        if matches!(between, Then::Repair) {
            engine.close().unwrap();
            drop(engine);
            let text = dir.path().join("segments/00000000000000000032/text");
            std::fs::remove_dir_all(&text).unwrap();
            engine = open(dir.path(), 1);
            engine.repair().unwrap();
            let segments = std::fs::read_dir(dir.path().join("segments")).unwrap();
            assert!(segments.map(|s| s.unwrap().path()).all(|s| s.join("text").exists()));
        }
        assert_eq!(found(&engine, "drop", 10).0, [Offset(32)], "{between:?}");
        engine.close().unwrap();
    }
}
