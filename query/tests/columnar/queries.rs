//! What an export leaves out: a property against predicates that know only JSON.

use super::log::Log;
use super::round_trip::lines;
use daybook_engine::catalog::filter::{Pattern, SessionFilter, TextFact};
use daybook_engine::event::Micros;
use daybook_query::export::{ExportRequest, Format, export};
use daybook_query::lang::parse;
use proptest::prelude::*;
use serde_json::Value;

type Events = [Value];
type Predicate = fn(&Events, &Value) -> bool;

fn is(event: &Value, kind: &str) -> bool {
    event["kind"] == kind
}

/// The events of the same session, by seq.
fn siblings<'a>(events: &'a Events, event: &'a Value) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |other| other["session"] == event["session"])
}

fn has(events: &Events, event: &Value, kind: &str) -> bool {
    siblings(events, event).any(|other| is(other, kind))
}

fn in_order(events: &Events, event: &Value, first: &str, then: &str) -> bool {
    siblings(events, event).skip_while(|other| !is(other, first)).skip(1).any(|e| is(e, then))
}

const QUERIES: [(&str, Predicate); 10] = [
    ("*", |_, _| true),
    ("kind:note", |_, e| is(e, "note")),
    ("kind:note,output -session:s1", |_, e| {
        (is(e, "note") || is(e, "output")) && e["session"] != "s1"
    }),
    ("session:s0 OR session:s2", |_, e| e["session"] == "s0" || e["session"] == "s2"),
    ("after:2100-01-01", |_, e| e["time"].as_str().unwrap() >= "2100"),
    ("kind:note before:2100-01-01", |_, e| is(e, "note") && e["time"].as_str().unwrap() < "2100"),
    ("session(kind:note AND kind:command)", |all, e| has(all, e, "note") && has(all, e, "command")),
    ("session(kind:note then kind:command)", |all, e| in_order(all, e, "note", "command")),
    ("NOT session(kind:output then kind:output)", |all, e| !in_order(all, e, "output", "output")),
    ("kind:access session(kind:note)", |all, e| is(e, "access") && has(all, e, "note")),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn an_export_has_exactly_the_events_that_match_in_the_sessions_of_its_scope(
        lines in lines(),
        scoped in any::<bool>(),
    ) {
        let log = Log::of(lines.iter().map(Vec::as_slice));
        let directory = tempfile::tempdir().unwrap();
        let snapshot = log.sealed(directory.path());
        let events: Vec<Value> =
            lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
        for (text, predicate) in QUERIES {
            let query = parse(text, Micros(0)).unwrap();
            let mut request = ExportRequest::new(Some(&query), Format::Ndjson);
            if scoped {
                request.scope = SessionFilter::Text(TextFact::Id, Pattern::exact("s2"));
            }
            let mut out = Vec::new();
            let summary = export(&snapshot, &request, &mut out).unwrap();
            let mut found: Vec<u64> = out
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_slice::<Value>(line).unwrap())
                .map(|event| event["offset"].as_u64().unwrap())
                .collect();
            found.sort_unstable();
            let expected: Vec<u64> = (0..)
                .zip(&events)
                .filter(|(_, event)| predicate(&events, event))
                .filter(|(_, event)| !scoped || event["session"] == "s2")
                .map(|(offset, _)| offset)
                .collect();
            prop_assert_eq!(&found, &expected, "{}", text);
            prop_assert_eq!(summary.events, expected.len() as u64);
        }
    }
}
