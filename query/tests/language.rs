//! The query language as a whole: properties over random queries and random events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use daybook_engine::block::is_plain;
use daybook_engine::event::Micros;
use daybook_engine::event::text::{TextField, Texts};
use daybook_engine::event::wire::Event;
use daybook_query::lang::matcher::Exactness;
use daybook_query::lang::{Tri, parse};
use proptest::prelude::*;
use std::ops::RangeBounds;
use support::model::Model;
use support::{naive, narrow, random};

const NOW: Micros = Micros(1_772_409_600_000_000); // 2026-03-02T00:00:00Z

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Parses; whatever the answer, it must hold together.
fn total(text: &str) {
    match parse(text, NOW) {
        Ok(query) => {
            let again = query.to_string();
            assert_eq!(parse(&again, NOW).as_ref(), Ok(&query), "{text:?} as {again:?}");
        }
        Err(error) => {
            assert!(error.start <= error.end && error.end <= text.len(), "{text:?}: {error:?}");
            assert!(text.is_char_boundary(error.start) && text.is_char_boundary(error.end));
            assert!(error.render(text).contains(&error.message));
        }
    }
}

/// Looks for one term in one text: the matcher must agree with the naive reading, and its cheaper
/// tests with it. Slashes are also sent escaped, as some producers do.
fn agree(term: &str, text: &str) -> Result<bool, TestCaseError> {
    let Ok(query) = parse(&format!("input:{term}"), NOW) else { return Ok(false) };
    let mut model = Model::default();
    let event = serde_json::json!({
        "session": "s", "seq": 0, "time": "2026-03-01T00:00:00Z", "kind": "terminal.input", "text": text
    });
    model.push(event.to_string().as_bytes());
    model.push(event.to_string().replace('/', "\\/").as_bytes());
    let matcher = model.matcher(&query);
    let mut found = false;
    for (facts, line) in &model.lines {
        let event = Event::decode(line).unwrap();
        let matches = model.matches(&matcher, facts, &event);
        let said = naive::matches(&model, &query.expr, facts, &event);
        prop_assert_eq!(matches, said, "{}", query);
        if matches {
            prop_assert!(
                narrow::satisfies(matcher.narrow(), &event, model.seen_with(facts)),
                "{query}"
            );
            prop_assert!(!is_plain(line) || matcher.prefilter().is_none_or(|t| t(line)), "{query}");
            found = true;
        }
    }
    Ok(found)
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn any_text_is_a_query_that_reads_back_or_an_error_in_its_place(text in ".{0,60}") {
        total(&text);
    }

    #[test]
    fn any_pieces_of_the_language_are_a_query_that_reads_back_or_an_error_in_its_place(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "session(", " then ", " AND ", " OR ", " NOT ", "-", "\"", "\\", "=\"", "~\"", "=", "~",
            "input:", "user:", "kind:", "verdict:", "after:", "since:", "masked:", "duration:", "status:",
            "*", ",", "a", "é", "[", "{2}", "(?i)", "\\b", "1", "5s", "2026-03-01", "T", "12:00", "Z", " ",
            ">", "!=", "blocked", "command", "\u{2003}", "usr:", "|", "+", "--", "\n",
        ]), 0..14)
    ) {
        total(&pieces.concat());
    }

    #[test]
    fn a_query_of_the_grammar_parses_and_reads_back(text in random::query()) {
        if let Err(error) = parse(&text, NOW) {
            // What the generator may overdo.
            prop_assert!(
                ["expressions at most", "a term is missing", "has no value", "no field", "says how long"].iter().any(|m| error.message.contains(m)),
                "{}", error.render(&text)
            );
        }
        total(&text);
    }
}

#[test]
fn values_that_begin_as_exact_texts_and_expressions_do_read_back() {
    for text in ["tag:=a,b", "tag:~a,~b*", "role:\"=a\"", "user:\"~ a\"", "tag:=", "tag:~,= x"] {
        total(text);
        parse(text, NOW).unwrap();
    }
}

proptest! {
    // Some 130,000 pairs of a query and an event.
    #![proptest_config(config(10_000))]

    #[test]
    fn matching_is_what_the_query_says_and_every_cheaper_test_lets_matches_through(
        texts in prop::collection::vec(random::query(), 1..4),
        events in random::events(),
    ) {
        let mut model = Model::default();
        for event in &events {
            model.push(event.to_string().as_bytes());
        }
        for text in texts {
            let Ok(query) = parse(&text, NOW) else { continue };
            let matcher = model.matcher(&query);
            let prefilter = matcher.prefilter();
            for (facts, line) in &model.lines {
                let event = Event::decode(line).unwrap();
                let matches = model.matches(&matcher, facts, &event);
                let said = naive::matches(&model, &query.expr, facts, &event);
                prop_assert_eq!(matches, said, "{} on {}", query, String::from_utf8_lossy(line));
                match matcher.accepts(facts) {
                    Tri::Yes => prop_assert!(matches, "accepts says yes: {query}"),
                    Tri::No => prop_assert!(!matches, "accepts says no: {query}"),
                    Tri::Maybe => {}
                }
                let decides = match matcher.exactness() {
                    None => false,
                    Some(Exactness::Unseen) => model.seen_with(facts).is_empty(),
                    Some(Exactness::All) => true,
                };
                if decides {
                    let seen = model.seen_with(facts);
                    let decided = narrow::decides(matcher.narrow(), &event, seen) && matcher.accepts(facts) != Tri::No;
                    prop_assert_eq!(decided, matches, "decides {} on {:?}", query, event);
                }
                if matches {
                    let narrowed = narrow::satisfies(matcher.narrow(), &event, model.seen_with(facts));
                    prop_assert!(narrowed, "{query} as {:?} on {event:?}", matcher.narrow());
                    let passes = prefilter.as_ref().is_none_or(|test| test(line));
                    let sure = is_plain(line) && !matcher.asks_seen(facts.kind);
                    prop_assert!(passes || !sure, "{query} on {event:?}");
                    prop_assert!(matcher.time_range().contains(&facts.time));
                    prop_assert!(matcher.sessions().is_none_or(|s| s.contains(facts.session)));
                }
            }
        }
    }

    #[test]
    fn a_query_on_sessions_alone_is_the_same_as_a_filter_of_the_catalog(
        text in random::query(), events in random::events(),
    ) {
        let mut model = Model::default();
        for event in &events {
            model.push(event.to_string().as_bytes());
        }
        let Ok(query) = parse(&text, NOW) else { return Ok(()) };
        let Some(filter) = query.session_filter() else { return Ok(()) };
        // Times and numbers that events have too are about the session here.
        let both = ["after:", "before:", "masked:", "duration:"];
        if both.iter().any(|name| query.to_string().contains(name)) {
            return Ok(());
        }
        let matcher = model.matcher(&query);
        for (facts, line) in &model.lines {
            let (id, state) = &model.sessions[&facts.session];
            let event = Event::decode(line).unwrap();
            let said = filter.matches(id, facts.session, state);
            prop_assert_eq!(said, model.matches(&matcher, facts, &event));
        }
    }

    #[test]
    fn marks_are_apart_and_in_order_and_there_where_a_single_term_matches(
        text in random::query(), events in random::events(),
    ) {
        let mut model = Model::default();
        for event in &events {
            model.push(event.to_string().as_bytes());
        }
        let Ok(query) = parse(&text, NOW) else { return Ok(()) };
        let matcher = model.matcher(&query);
        for (_, line) in &model.lines {
            let event = Event::decode(line).unwrap();
            for (field, text) in Texts::of(&event).iter() {
                let marks = matcher.highlights(field, text);
                prop_assert!(marks.windows(2).all(|w| w[0].end < w[1].start));
                prop_assert!(marks.iter().all(|r| !r.is_empty() && text.get(r.clone()).is_some()));
            }
        }
    }

    #[test]
    fn one_term_is_found_in_one_text_as_naively_and_by_every_cheaper_test(
        term in prop_oneof![
            "[aAb1.*%-]{1,5}", "[ab]{1,2}\\*[ab]{1,2}\\*?", "=\"[aAb1./ ]{1,3}\"", "~\"[ab1.]{1,3}[*+?]?[ab]?\"",
        ],
        text in prop_oneof!["[abAB1./\\\\\" -]{0,24}", "[ab ]{0,12}"],
    ) {
        agree(&term, &text)?;
    }

    #[test]
    fn a_part_of_a_text_finds_the_text(
        text in prop_oneof![random::text(), "[a\\\\\"/é\n ]{1,8}"], from in 0usize..20, length in 1usize..9,
    ) {
        let part: String = text.chars().skip(from % text.chars().count().max(1)).take(length).collect();
        if part.is_empty() {
            return Ok(());
        }
        let quoted = part.replace('\\', "\\\\").replace('"', "\\\"");
        let escaped = regex::escape(&part).replace('"', "\\\"");
        let exact = format!("=\"{quoted}\"");
        let folded = format!("\"{}\"", quoted.to_ascii_uppercase());
        let expression = format!("~\"{escaped}\"");
        for term in [exact, folded, expression] {
            let found = agree(&term, &text)?;
            prop_assert!(found, "{term}");
        }
    }

    #[test]
    fn an_exact_text_is_marked_at_each_of_its_places(needle in "[aB.]{1,3}", text in "[abAB. é]{0,20}") {
        let query = parse(&format!("\"{needle}\""), NOW).unwrap();
        let marks = Model::default().matcher(&query).highlights(TextField::Output, &text);
        let marked: usize = marks.iter().map(|r| r.len()).sum();
        let folded = text.to_ascii_lowercase();
        let found = folded.matches(&needle.to_ascii_lowercase()).count();
        prop_assert_eq!(marked, found * needle.len());
    }
}
