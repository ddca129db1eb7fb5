//! Search pages, one after the other, are the brute-force list.

use super::lines::model;
use super::model::{Model, Stored};
use daybook_engine::catalog::filter::{Pattern, SessionFilter, TextFact};
use daybook_engine::event::{Kind, Micros, Offset, Seq, Verdict};
use daybook_query::item::Hit;
use daybook_query::lang::parse;
use daybook_query::ocsf::Mapping;
use daybook_query::search::{
    self, Abandoned, Again, Bounds, CountMode, Form, Order, SearchLimits, SearchRequest, Told,
    by_session, follow, lines, search,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

pub type Test = fn(&Model, &Stored) -> bool;

fn has(stored: &Stored, word: &str) -> bool {
    stored.texts().iter().any(|text| text.split(' ').any(|w| w.eq_ignore_ascii_case(word)))
}

fn alpha(_: &Model, stored: &Stored) -> bool {
    stored.texts().iter().any(|text| text.to_lowercase().contains("alpha"))
}

/// Of the session `stored` is in, the events that have a word.
fn with(model: &Model, stored: &Stored, word: &str) -> Vec<Seq> {
    model.of(&stored.id).iter().filter(|e| has(e, word)).map(|e| e.facts.seq).collect()
}

fn user(model: &Model, stored: &Stored, name: &str) -> bool {
    let (_, state) = &model.sessions.0[&stored.id];
    state.facts().is_some_and(|f| f.user.as_deref() == Some(name))
}

pub const QUERIES: [(&str, Test); 12] = [
    ("*", |_, _| true),
    ("alpha", alpha),
    ("beta gamma", |_, e| has(e, "beta") && has(e, "gamma")),
    ("NOT gamma", |_, e| !has(e, "gamma")),
    ("gamma OR kind:note", |_, e| has(e, "gamma") || e.facts.kind == Kind::Note),
    ("verdict:blocked", |_, e| e.facts.verdict == Some(Verdict::Blocked)),
    ("user:alice@example.com gamma", |m, e| user(m, e, "alice@example.com") && has(e, "gamma")),
    ("session(beta gamma)", |m, e| {
        !with(m, e, "beta").is_empty() && !with(m, e, "gamma").is_empty()
    }),
    ("session(beta then gamma) kind:command", |m, e| {
        let last = with(m, e, "gamma").last().copied();
        let first = with(m, e, "beta").first().copied();
        e.facts.kind == Kind::Command && first.is_some_and(|f| last.is_some_and(|l| f < l))
    }),
    ("-session(beta)", |m, e| with(m, e, "beta").is_empty()),
    ("~\"g[a]mm. ?b?\"", |_, e| e.texts().iter().any(|t| t.contains("gamm"))),
    ("after:2026-01-01T02:00:00Z before:2026-01-01T08:00:00Z", |_, e| {
        let hour = |n: i64| Micros((1_767_225_600 + n * 3600) * 1_000_000);
        hour(2) <= e.facts.time && e.facts.time < hour(8)
    }),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pages_by_relevance_have_each_match_once_the_best_of_what_was_looked_at_first(
        model in model(80),
        query in 0..QUERIES.len(),
        limit in 1..9usize,
        read_max in prop::option::of(1..40u64),
    ) {
        let (text, test) = QUERIES[query];
        let query = parse(text, Micros(0)).unwrap();
        let mut wanted: Vec<_> =
            model.events.iter().filter(|e| test(&model, e)).map(|e| e.facts.offset).collect();
        let cut = read_max.filter(|_| !text.contains("session("));
        let limits = match cut {
            Some(events_read_max) => SearchLimits { events_read_max, ..SearchLimits::NONE },
            None => SearchLimits::NONE,
        };
        let mut request = SearchRequest { limit, limits, ..SearchRequest::new(&query) };
        request.order = Order::Relevance;
        let (mut ranks, mut cursor) = (Vec::new(), None::<String>);
        for page in 0.. {
            prop_assert!(page < 500, "the pages do not end");
            let found =
                search(&model.snapshot, &SearchRequest { cursor: cursor.as_deref(), ..request.clone() })
                    .unwrap();
            prop_assert!(found.items.len() <= limit);
            prop_assert!(found.complete || cut.is_some());
            let rank = |hit: &Hit| (hit.score.unwrap(), hit.time, hit.offset);
            prop_assert!(found.items.is_sorted_by(|a, b| rank(a) > rank(b)));
            ranks.extend(found.items.iter().map(rank));
            cursor = found.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if cut.is_none() {
            prop_assert!(ranks.is_sorted_by(|a, b| a > b));
        }
        let mut offsets: Vec<_> = ranks.iter().map(|(_, _, offset)| *offset).collect();
        offsets.sort_unstable();
        wanted.sort_unstable();
        prop_assert_eq!(offsets, wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pages_one_after_the_other_are_all_matches_newest_first(
        model in model(120),
        query in 0..QUERIES.len(),
        limit in 1..9usize,
        scoped in any::<bool>(),
        bound in 0..6usize,
        read_max in 1..40u64,
    ) {
        let (text, test) = QUERIES[query];
        let query = parse(text, Micros(0)).unwrap();
        let mut wanted: Vec<_> = model
            .events
            .iter()
            .filter(|e| test(&model, e) && (!scoped || e.id == "s1"))
            .collect();
        wanted.sort_by_key(|e| std::cmp::Reverse((e.facts.time, e.facts.offset)));
        // Sets of sessions are whole or refused, so only other queries are cut short.
        let cut = !text.contains("session(") && bound > 0;
        let abandoned = Abandoned::not_yet();
        abandoned.set();
        let limits = match bound {
            _ if !cut => SearchLimits::NONE,
            1 => SearchLimits { events_read_max: read_max, ..SearchLimits::NONE },
            2 => SearchLimits { bytes_read_max: read_max * 100, ..SearchLimits::NONE },
            3 => SearchLimits { memory_max: read_max * 8, ..SearchLimits::NONE },
            // Over before it began: then each page comes on by the least that it may.
            4 => SearchLimits { abandoned, ..SearchLimits::NONE },
            _ => SearchLimits { until: Some(Instant::now()), ..SearchLimits::NONE },
        };
        let mut request = SearchRequest { limit, limits, ..SearchRequest::new(&query) };
        if scoped {
            request.scope = SessionFilter::Text(TextFact::Id, Pattern::exact("s1"));
        }
        let (mut offsets, mut cursor) = (Vec::new(), None::<String>);
        for page in 0.. {
            prop_assert!(page < 500, "the pages do not end");
            let found =
                search(&model.snapshot, &SearchRequest { cursor: cursor.as_deref(), ..request.clone() })
                    .unwrap();
            prop_assert!(found.items.len() <= limit);
            prop_assert!(found.complete || cut);
            if found.complete && found.next_cursor.is_some() {
                prop_assert_eq!(found.items.len(), limit);
            }
            for hit in &found.items {
                for snippet in &hit.snippets {
                    for [start, end] in &snippet.highlights {
                        prop_assert!(start < end && snippet.text.get(*start..*end).is_some());
                    }
                }
                if text == "alpha" {
                    let snippet = &hit.snippets[0];
                    let [start, end] = snippet.highlights[0];
                    prop_assert!(snippet.text[start..end].eq_ignore_ascii_case("alpha"));
                }
            }
            offsets.extend(found.items.iter().map(|hit| hit.offset));
            cursor = found.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let expected: Vec<_> = wanted.iter().map(|e| e.facts.offset).collect();
        prop_assert_eq!(offsets, expected);

        let sessions: HashSet<_> = wanted.iter().map(|e| &e.id).collect();
        // Counted alone, and by sessions where these decide.
        for count in [CountMode::Exact, CountMode::Sessions] {
            let counted = SearchRequest { count, ..request.clone() };
            let counted = search(&model.snapshot, &counted).unwrap().totals.unwrap();
            if counted.count.is_some() {
                let in_sessions = (count == CountMode::Sessions).then_some(sessions.len() as u64);
                prop_assert_eq!(counted.count, Some(wanted.len() as u64));
                prop_assert_eq!(counted.sessions, in_sessions);
            } else {
                prop_assert!(cut && counted.count_at_least.unwrap() <= wanted.len() as u64);
            }
        }
        let found = search(&model.snapshot, &SearchRequest {
            count: CountMode::Exact, facets: true, histogram: true, ..request
        }).unwrap();
        let totals = found.totals.unwrap();
        let buckets: u64 = totals.histogram.unwrap().buckets.iter().map(|b| b.count).sum();
        let facets = totals.facets.unwrap();
        let kinds: u64 = facets["kind"].iter().map(|f| f.count).sum();
        match totals.count {
            Some(count) => {
                prop_assert_eq!(count, wanted.len() as u64);
                prop_assert_eq!(totals.sessions, Some(sessions.len() as u64));
                let alice = wanted.iter().filter(|e| user(&model, e, "alice@example.com")).count();
                let said = facets["user"].iter().find(|f| f.value == "alice@example.com");
                prop_assert_eq!(said.map_or(0, |f| f.count), alice as u64);
            }
            None => {
                prop_assert!(cut && !found.complete);
                prop_assert!(totals.count_at_least.unwrap() <= wanted.len() as u64);
            }
        }
        prop_assert_eq!(buckets, totals.count.or(totals.count_at_least).unwrap());
        prop_assert_eq!(kinds, buckets);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn sessions_with_matches_are_all_that_have_some_with_their_numbers_and_newest(
        model in model(120),
        query in 0..QUERIES.len(),
        limit in 1..5usize,
        scoped in any::<bool>(),
    ) {
        let (text, test) = QUERIES[query];
        let query = parse(text, Micros(0)).unwrap();
        let mut wanted: BTreeMap<&str, (u64, (Micros, Offset))> = BTreeMap::new();
        for e in &model.events {
            if test(&model, e) && (!scoped || e.id == "s1") {
                let place = (e.facts.time, e.facts.offset);
                let (matches, latest) = wanted.entry(&e.id).or_insert((0, place));
                *matches += 1;
                *latest = place.max(*latest);
            }
        }
        let mut wanted: Vec<(&str, u64, (Micros, Offset))> =
            wanted.into_iter().map(|(id, (matches, latest))| (id, matches, latest)).collect();
        wanted.sort_by_key(|(_, _, latest)| std::cmp::Reverse(*latest));
        let mut request = SearchRequest { limit, ..SearchRequest::new(&query) };
        if scoped {
            request.scope = SessionFilter::Text(TextFact::Id, Pattern::exact("s1"));
        }
        let (mut got, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let request = SearchRequest { cursor: cursor.as_deref(), ..request.clone() };
            let page = by_session(&model.snapshot, &request).unwrap();
            prop_assert!(page.complete && page.items.len() <= limit);
            prop_assert_eq!(page.count, Some(wanted.len() as u64));
            for group in page.items {
                prop_assert_eq!(&group.session.id, &group.latest.session);
                let place = (group.latest.time.0, group.latest.offset);
                got.push((group.session.id.to_string(), group.matches, place));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let wanted: Vec<_> = wanted.into_iter().map(|(id, n, at)| (id.to_owned(), n, at)).collect();
        prop_assert_eq!(got, wanted);
    }

    #[test]
    fn following_from_any_offset_gives_each_match_once_in_the_order_of_arrival(
        model in model(120),
        query in 0..QUERIES.len(),
        limit in 1..9usize,
        scoped in any::<bool>(),
        from in 0..130u64,
    ) {
        let (text, test) = QUERIES[query];
        let query = parse(text, Micros(0)).unwrap();
        let mut wanted: Vec<Offset> = model
            .events
            .iter()
            .filter(|e| test(&model, e) && (!scoped || e.id == "s1") && e.facts.offset.0 >= from)
            .map(|e| e.facts.offset)
            .collect();
        wanted.sort_unstable();
        let scope = match scoped {
            true => SessionFilter::Text(TextFact::Id, Pattern::exact("s1")),
            false => SessionFilter::All,
        };
        let (mut at, mut got) = (Offset(from), Vec::new());
        loop {
            let step = follow(&model.snapshot, &query, &scope, at, limit).unwrap();
            prop_assert!(step.hits.len() <= limit && step.next >= at);
            prop_assert_eq!((step.unreadable, step.gone), (0, 0));
            // What a step found is given again, whatever the sessions have become.
            let offsets: Vec<Offset> = step.hits.iter().map(|hit| hit.offset).collect();
            let again = search::at(&model.snapshot, &query, &offsets).unwrap();
            prop_assert_eq!(again, Again { hits: step.hits, unreadable: 0, gone: 0 });
            got.extend(offsets);
            prop_assert!(got.last().is_none_or(|last| *last < step.next));
            if step.at_end {
                break;
            }
            prop_assert!(step.next > at);
            at = step.next;
        }
        prop_assert_eq!(got, wanted);
    }

    #[test]
    fn lines_of_any_bounds_are_each_match_once_in_the_order_of_arrival(
        model in model(120),
        query in 0..QUERIES.len(),
        events_max in 1..20usize,
        bytes_max in prop_oneof![1..200usize, 200..20_000usize],
        window in prop_oneof![Just(u64::MAX), 1..40u64],
        until in prop_oneof![Just(u64::MAX), 0..130u64],
        rows in any::<bool>(),
    ) {
        let (text, test) = QUERIES[query];
        let query = parse(text, Micros(0)).unwrap();
        let form = if rows { Form::Ocsf(Mapping::default()) } else { Form::Native };
        let no_row =
            |kind: Kind| matches!(kind, Kind::Output | Kind::TerminalOutput | Kind::TerminalInput);
        let mut wanted: Vec<_> = model.events.iter().filter(|e| test(&model, e)).collect();
        wanted.retain(|e| !(rows && no_row(e.facts.kind)) && e.facts.offset.0 < until);
        wanted.sort_unstable_by_key(|e| e.facts.offset);
        let (mut at, mut window, mut got) = (Offset(0), window, Vec::new());
        loop {
            let (until, time_max) = (Offset(until), std::time::Duration::ZERO);
            let bounds = Bounds { until, events_max, bytes_max, time_max, window };
            let step = lines(&model.snapshot, &query, form, at, &bounds).unwrap();
            let bytes: usize = step.told.iter().map(Told::bytes).sum();
            prop_assert!(step.told.len() <= events_max);
            prop_assert!(bytes <= bytes_max || step.told.len() == 1);
            prop_assert_eq!((step.unreadable, step.gone), (0, 0));
            got.extend(step.told);
            prop_assert!(got.last().is_none_or(|last| last.offset < step.next));
            if step.at_end || step.next >= until {
                break;
            }
            prop_assert!(step.next > at);
            (at, window) = (step.next, step.window);
        }
        prop_assert_eq!(got.len(), wanted.len());
        for (told, stored) in got.iter().zip(wanted) {
            prop_assert_eq!(told.offset, stored.facts.offset);
            prop_assert_eq!((&*told.session, told.seq), (&*stored.id, stored.facts.seq));
            if !rows {
                let line: serde_json::Value = serde_json::from_str(&told.lines[0]).unwrap();
                prop_assert_eq!(line["offset"].as_u64(), Some(told.offset.0));
                prop_assert_eq!(line["seq"].as_u64(), Some(u64::from(told.seq.0)));
            }
        }
    }
}
