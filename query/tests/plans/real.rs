//! The engine's own parts and catalog answer as the model does.

use super::lines::model;
use super::searches::QUERIES;
use daybook_engine::catalog::filter::NumberFact;
use daybook_engine::event::{Micros, Offset};
use daybook_engine::view::Snapshot;
use daybook_engine::{Batch, Engine, Options};
use daybook_query::lang::{Query, parse};
use daybook_query::search::{Bounds, CountMode, Form, SearchPage, SearchRequest, lines, search};
use daybook_query::sessions::{ListParams, details, list, parse_sort};
use daybook_query::timeline::{TimelineRequest, timeline};
use proptest::prelude::*;
use serde_json::{Value, json};

fn all_pages(snapshot: &Snapshot, query: &Query, limit: usize) -> Vec<SearchPage> {
    let mut pages: Vec<SearchPage> = Vec::new();
    loop {
        let cursor = pages.last().and_then(|page| page.next_cursor.clone());
        if !pages.is_empty() && cursor.is_none() {
            return pages;
        }
        let request = SearchRequest {
            cursor: cursor.as_deref(),
            limit,
            count: CountMode::Exact,
            facets: true,
            histogram: true,
            ..SearchRequest::new(query)
        };
        pages.push(search(snapshot, &request).unwrap());
    }
}

/// Everything that can be asked of a log, as JSON.
fn answers(snapshot: &Snapshot, limit: usize) -> Value {
    let mut all = Vec::new();
    for (text, _) in QUERIES {
        let query = parse(text, Micros(0)).unwrap();
        let pages: Vec<_> =
            all_pages(snapshot, &query, limit).iter().map(|page| json!(page)).collect();
        all.push(json!({ "query": text, "pages": pages }));
        for descending in ["", "-"] {
            let sort = parse_sort(&format!("{descending}{}", NumberFact::Events.name())).unwrap();
            let params =
                ListParams { query: Some(&query), sort, limit: 2, ..ListParams::default() };
            let first = list(snapshot, &params).unwrap();
            let second = first.next_cursor.as_deref().map(|cursor| {
                list(snapshot, &ListParams { cursor: Some(cursor), ..params.clone() }).unwrap()
            });
            all.push(json!({ "list": text, "first": first, "second": second }));
        }
        for id in ["s0", "s1", "s2", "s3", "s4"] {
            for (fold, backwards) in [(true, false), (true, true), (false, false)] {
                let request = TimelineRequest {
                    query: Some(&query),
                    fold,
                    backwards,
                    limit,
                    ..TimelineRequest::default()
                };
                let page = timeline(snapshot, id, &request).unwrap();
                all.push(json!({ "timeline": id, "query": text, "page": page }));
            }
            let item = details(snapshot, id, None).unwrap().map(|details| details.item);
            all.push(json!({ "details": item }));
        }
    }
    Value::Array(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_log_on_disk_answers_as_the_model_does(
        model in model(150),
        limit in 1..30usize,
        batch_len in 5..60usize,
        seal in prop::collection::vec(any::<bool>(), 30),
        text_index in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { text_index, ..Options::default() };
        let engine = Engine::open(dir.path(), options).unwrap();
        for (chunk, seal) in model.events.chunks(batch_len).zip(seal) {
            let mut batch = Batch::new();
            for (number, stored) in chunk.iter().enumerate() {
                batch.push(number as u64 + 1, stored.line.as_bytes()).unwrap();
            }
            let ack = engine.append_blocking(batch).unwrap();
            prop_assert_eq!(ack.accepted, chunk.len() as u64);
            if seal {
                engine.seal_now().unwrap();
            }
        }
        let (found, wanted) = (answers(&engine.snapshot(), limit), answers(&model.snapshot, limit));
        for (found, wanted) in found.as_array().unwrap().iter().zip(wanted.as_array().unwrap()) {
            prop_assert_eq!(found, wanted);
        }
        engine.close().unwrap();
    }
}

/// Where a block is damaged, the rest is found, and the answer says how many events it is about.
#[test]
fn a_search_goes_past_a_block_that_is_damaged_and_says_so() {
    let line = |session: usize, seq: usize| {
        // Long and of no pattern: many blocks.
        let noise: String = (0..2000)
            .map(|i| format!("{:x}", (i + seq * 7 + session * 3) * 2_654_435_761 % 65_521))
            .collect();
        format!(
            r#"{{"session":"s{session}","seq":{seq},"time":"2026-03-01T10:00:{seq:02}Z","kind":"command","input":"ls {noise}"}}"#
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let mut batch = Batch::new();
    let places = (0..4).flat_map(|session| (0..50).map(move |seq| (session, seq)));
    for (number, (session, seq)) in (1..).zip(places) {
        batch.push(number, line(session, seq).as_bytes()).unwrap();
    }
    assert_eq!(engine.append_blocking(batch).unwrap().accepted, 200);
    engine.seal_now().unwrap();
    engine.close().unwrap();
    drop(engine);
    let path = dir.path().join("segments/00000000000000000000/events.blk");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();

    let options = Options { read_only: true, ..Options::default() };
    let engine = Engine::open(dir.path(), options).unwrap();
    // A word is counted by the index, which is whole.
    let word = parse("ls", Micros(0)).unwrap();
    let totals = all_pages(&engine.snapshot(), &word, 30).swap_remove(0).totals.unwrap();
    assert_eq!((totals.count, totals.count_at_least), (Some(200), None));
    let query = parse("\"ls \"", Micros(0)).unwrap();
    let pages = all_pages(&engine.snapshot(), &query, 30);
    let found: usize = pages.iter().map(|page| page.items.len()).sum();
    let unreadable = pages[0].unreadable as usize;
    assert!(unreadable > 0 && unreadable < 100, "{unreadable}");
    assert_eq!(found + unreadable, 200);
    for page in &pages {
        let totals = page.totals.as_ref().unwrap();
        assert_eq!((totals.count, totals.count_at_least), (None, Some(found as u64)));
        assert!(!page.complete);
    }
    // Whoever follows the log goes past it, too, and is told of each event once.
    let (mut at, mut told, mut lost) = (Offset(0), 0, 0);
    loop {
        let bounds = Bounds {
            until: Offset(u64::MAX),
            events_max: 7,
            bytes_max: usize::MAX,
            time_max: std::time::Duration::ZERO,
            window: u64::MAX,
        };
        let step = lines(&engine.snapshot(), &query, Form::Native, at, &bounds).unwrap();
        told += step.told.len();
        lost += step.unreadable as usize;
        at = step.next;
        if step.at_end {
            break;
        }
    }
    assert_eq!((told, lost), (found, unreadable));
    // The sessions beside it can be opened.
    let page = timeline(&engine.snapshot(), "s0", &TimelineRequest::default()).unwrap();
    assert_eq!(page.unwrap().items.len(), 50);
}
