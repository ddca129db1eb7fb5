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
use std::collections::{BTreeMap, BTreeSet};

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

/// Segments of a log of this size are counted at the same time.
#[test]
fn what_is_looked_for_in_several_segments_at_once_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options { merge: false, ..Options::default() }).unwrap();
    let (mut hits, mut sessions) = (0, BTreeSet::new());
    let (mut users, mut hours) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    let mut starts = Batch::new();
    for session in 0..1_300 {
        let line = format!(
            r#"{{"session":"s{session}","seq":0,"time":"2026-03-01T00:00:00Z","kind":"session.start","user":"u{}"}}"#,
            session % 3
        );
        starts.push(session + 1, line.as_bytes()).unwrap();
    }
    assert_eq!(engine.append_blocking(starts).unwrap().accepted, 1_300);
    for segment in 0..4 {
        let mut batch = Batch::new();
        for number in 0..30_000 {
            // Sessions lie in more than one segment.
            let (session, seq) =
                ((number * 7 + segment * 500) % 1_300, segment * 30_000 + number + 1);
            let (user, hour) = (session % 3, number % 24);
            let word = match number {
                777 if segment != 1 => "keep rare",
                _ if number % 5 < 2 => "drop",
                _ => "keep",
            };
            let line = format!(
                r#"{{"session":"s{session}","seq":{seq},"time":"2026-03-01T{hour:02}:00:00Z","kind":"command","input":"{word} it"}}"#
            );
            batch.push(number as u64 + 1, line.as_bytes()).unwrap();
            if word == "drop" {
                hits += 1;
                sessions.insert(session);
                *users.entry(format!("u{user}")).or_default() += 1;
                *hours.entry(hour).or_default() += 1;
            }
        }
        let ack = engine.append_blocking(batch).unwrap();
        assert_eq!(ack.accepted, 30_000, "{:?}", ack.rejected.first());
        engine.seal_now().unwrap();
    }
    let query = parse("drop", Micros(0)).unwrap();
    let request = SearchRequest {
        count: CountMode::Sessions,
        facets: true,
        histogram: true,
        ..SearchRequest::new(&query)
    };
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.parts.len(), 4);
    let totals = search(&snapshot, &request).unwrap().totals.unwrap();
    assert_eq!((totals.count, totals.sessions), (Some(hits), Some(sessions.len() as u64)));
    let found = totals.facets.unwrap();
    let values = |name: &str| -> BTreeMap<String, u64> {
        found[name].iter().map(|facet| (facet.value.clone(), facet.count)).collect()
    };
    assert_eq!(values("user"), users);
    assert_eq!(values("kind"), BTreeMap::from([("command".to_owned(), hits)]));
    let histogram = totals.histogram.unwrap();
    let in_hours = histogram.buckets.iter().filter(|bucket| bucket.count > 0).map(|bucket| {
        let Micros(start) = bucket.start.0;
        (start / 3_600_000_000 % 24, bucket.count)
    });
    assert_eq!(
        in_hours.collect::<BTreeMap<i64, u64>>(),
        hours.into_iter().map(|(h, n)| (h as i64, n)).collect()
    );
    // What is rare is looked for in several of them at once.
    let rare = parse("rare", Micros(0)).unwrap();
    let seqs = search(&snapshot, &SearchRequest::new(&rare)).unwrap().items;
    assert_eq!(seqs.iter().map(|hit| hit.seq.0).collect::<Vec<_>>(), [90_778, 60_778, 778]);
    // Without facets and histogram less is read of each event.
    for count in [CountMode::Exact, CountMode::Sessions] {
        let request = SearchRequest { count, ..SearchRequest::new(&query) };
        let totals = search(&snapshot, &request).unwrap().totals.unwrap();
        assert_eq!(totals.count, Some(hits));
        assert!(totals.sessions.is_none_or(|found| found == sessions.len() as u64));
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
