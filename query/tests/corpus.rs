//! Counted searches over real sessions.
//!
//! `DAYBOOK_CORPUS` names a directory with `*.ndjson.zst` and `searches.json`: searches with the
//! counts of their events and sessions. Without it there is nothing to do, so the test is ignored.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use daybook_engine::block::is_plain;
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Micros, Offset};
use daybook_query::lang::{Matcher, Tri, parse};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::ops::RangeBounds;
use support::model::Model;

/// Searches that were counted with verdicts and masked fields of terminal outputs. The wire form has
/// them on commands alone, so the events do not carry them; these are the counts without.
const NOT_ON_THE_WIRE: [(&str, u64, u64); 2] = [("D19", 0, 0), ("D23", 179, 78)];

fn read(dir: &std::path::Path) -> Model {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".ndjson.zst"));
    files.sort();
    let mut model = Model::default();
    for path in files {
        let file = std::fs::File::open(path).unwrap();
        for line in BufReader::new(zstd::Decoder::new(file).unwrap()).split(b'\n') {
            model.push(&line.unwrap());
        }
    }
    model
}

#[test]
#[ignore = "needs a corpus: DAYBOOK_CORPUS"]
fn counted_searches_find_exactly_what_was_counted() {
    let dir = std::env::var_os("DAYBOOK_CORPUS").expect("DAYBOOK_CORPUS names a directory");
    let dir = std::path::Path::new(&dir);
    let model = read(dir);
    let text = std::fs::read_to_string(dir.join("searches.json")).unwrap();
    let searches: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for search in &searches {
        let text = support::searches::query_text(search);
        let query = parse(&text, Micros(0)).unwrap_or_else(|e| panic!("{}", e.render(&text)));
        let matcher = model.matcher(&query);
        let began = std::time::Instant::now();
        let (events, sessions) = run(&model, &matcher);
        let took = began.elapsed();
        let id = search["id"].as_str().unwrap();
        let counted = |name: &str| search[name].as_u64().unwrap();
        let wanted = NOT_ON_THE_WIRE
            .iter()
            .find(|(other, ..)| *other == id)
            .map_or((counted("events"), counted("sessions")), |(_, e, s)| (*e, *s));
        // Whoever asks for sessions gets them; the count of events is of the last step's.
        let events = if search.get("then").is_some() { sessions } else { events.len() as u64 };
        println!(
            "{id} {events} events, {sessions} sessions in {took:?}: {text}\n    {:?}",
            matcher.narrow()
        );
        if (events, sessions) != wanted {
            wrong.push(format!("{id} {text}: {events} {sessions}, not {search}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The matches; each must also be let through by every cheaper test.
fn run(model: &Model, matcher: &Matcher) -> (Vec<Offset>, u64) {
    let prefilter = matcher.prefilter();
    let (mut offsets, mut sessions) = (Vec::new(), HashSet::new());
    for (facts, line) in &model.lines {
        let accepts = matcher.accepts(facts);
        let sure = is_plain(line) && !matcher.asks_seen(facts.kind);
        let passes = !sure || prefilter.as_ref().is_none_or(|test| test(line));
        let event = Event::decode(line).unwrap();
        let matches = model.matches(matcher, facts, &event);
        match accepts {
            Tri::Yes => assert!(matches),
            Tri::No => assert!(!matches),
            Tri::Maybe => {}
        }
        if matches {
            let seen = model.seen_with(facts);
            assert!(passes && support::narrow::satisfies(matcher.narrow(), &event, seen));
            assert!(matcher.sessions().is_none_or(|keys| keys.contains(facts.session)));
            assert!(matcher.time_range().contains(&facts.time));
            offsets.push(facts.offset);
            sessions.insert(facts.session);
        }
    }
    (offsets, sessions.len() as u64)
}
