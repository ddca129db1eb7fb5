//! Counts searches by brute force, on JSON alone: the oracle for sample sessions.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub struct Model {
    events: Vec<Value>,
    starts: BTreeMap<String, Value>,
}

impl Model {
    pub fn new<'a>(lines: impl Iterator<Item = &'a str>) -> Model {
        let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let starts = events
            .iter()
            .filter(|event| event["kind"] == "session.start")
            .map(|event| (event["session"].as_str().unwrap().to_owned(), event.clone()))
            .collect();
        Model { events, starts }
    }

    /// How many events match, and in how many sessions.
    pub fn count(&self, search: &Value) -> (u64, u64) {
        let found: Vec<&Value> =
            self.events.iter().filter(|event| self.matches(search, event)).collect();
        let sessions: BTreeSet<&str> =
            found.iter().map(|event| event["session"].as_str().unwrap()).collect();
        (found.len() as u64, sessions.len() as u64)
    }

    fn matches(&self, search: &Value, event: &Value) -> bool {
        let list = |name: &str| search[name].as_array().cloned().unwrap_or_default();
        let any = list("any");
        list("all").iter().all(|c| holds(c, event))
            && (any.is_empty() || any.iter().any(|c| holds(c, event)))
            && !list("none").iter().any(|c| holds(c, event))
            && search["filter"]
                .as_object()
                .into_iter()
                .flatten()
                .all(|(name, value)| self.passes(name, value, event))
    }

    fn passes(&self, name: &str, value: &Value, event: &Value) -> bool {
        let start = self.starts.get(event["session"].as_str().unwrap()).unwrap_or(&Value::Null);
        let text = value.as_str().unwrap_or("");
        match name {
            "kind" => event["kind"] == text.replace('_', "."),
            "verdict" => event["verdict"] == *value,
            "min_masked" => event["masked"].as_u64().unwrap_or(0) >= value.as_u64().unwrap(),
            "since" => event["time"].as_str().unwrap() >= text,
            "until" => event["time"].as_str().unwrap() < text,
            _ => match (name.strip_suffix("_prefix"), name.strip_suffix("_suffix")) {
                (Some(field), _) => start[field].as_str().is_some_and(|v| v.starts_with(text)),
                (_, Some(field)) => start[field].as_str().is_some_and(|v| v.ends_with(text)),
                _ => start[name] == *value,
            },
        }
    }
}

fn holds(condition: &Value, event: &Value) -> bool {
    let fields: &[&str] = match condition["field"].as_str() {
        None => &["input"],
        Some("any") => &["input", "output"],
        Some("output") => &["output"],
        Some(other) => panic!("unknown field {other}"),
    };
    fields.iter().filter_map(|field| text_of(field, event)).any(|text| {
        if let Some(needle) = condition["contains"].as_str() {
            text.to_ascii_lowercase().contains(&needle.to_ascii_lowercase())
        } else if let Some(needle) = condition["exact"].as_str() {
            text.contains(needle)
        } else if let Some(needle) = condition["word"].as_str() {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let (text, needle) = (text.to_ascii_lowercase(), needle.to_ascii_lowercase());
            text.match_indices(&needle).any(|(at, _)| {
                !text[..at].ends_with(word) && !text[at + needle.len()..].starts_with(word)
            })
        } else {
            panic!("unknown condition {condition}")
        }
    })
}

fn text_of(field: &str, event: &Value) -> Option<String> {
    let kind = event["kind"].as_str().unwrap();
    let text = match (field, kind) {
        ("input", "command") => &event["input"],
        ("input", "terminal.input") => &event["text"],
        ("output", "command") => &event["output"],
        ("output", "output" | "terminal.output") => &event["text"],
        ("output", "command.end") => &event["error"],
        _ => &Value::Null,
    };
    text.as_str().map(str::to_owned)
}
