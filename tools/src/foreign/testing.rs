//! What the tests of all formats ask of a session.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::Found;
use daybook_engine::event::wire::Event;
use serde_json::Value;
use std::collections::HashSet;

/// Its events, decoded as the log does; each with a number of its own.
pub fn events(found: &Found) -> Vec<Value> {
    let mut seen = HashSet::new();
    let event = |line: &String| {
        let event =
            Event::decode(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(seen.insert((event.session.to_string(), event.seq.unwrap())), "twice: {line}");
        serde_json::from_str(line).unwrap()
    };
    found.lines.iter().map(event).collect()
}

/// The events of a kind.
pub fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["kind"] == kind).collect()
}
