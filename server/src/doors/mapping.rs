//! Which field of a document is which field of an event.
//!
//! Documents that shippers send are in the words of the Elastic Common Schema or of OpenTelemetry's
//! semantic conventions, which agree more and more; logs are in no words at all. So a field of an event
//! has a list of *sources*, and takes the first that the document has. The names of sources are dotted;
//! in the document they may be dotted, nested or both: `user.name` is `{"user.name": ...}` and
//! `{"user": {"name": ...}}`. Before its list, each field is looked for under `daybook`:
//! `daybook.role`.

use serde_json::Value;
use std::collections::BTreeMap;

/// The fields that have sources, with their sources where nothing else is configured.
pub const FIELDS: &[(&str, &[&str])] = &[
    (
        "session",
        &[
            "session.id",
            "session_id",
            "labels.session_id",
            "labels.session",
            "process.session_leader.entity_id",
            "process.entry_leader.entity_id",
        ],
    ),
    (
        "host",
        &[
            "host.name",
            "host.hostname",
            "hostname",
            "host",
            "agent.hostname",
            "service.instance.id",
        ],
    ),
    ("time", &["@timestamp", "timestamp", "time", "event.created", "event.ingested"]),
    ("kind", &[]),
    ("id", &["log.record.uid", "event.id"]),
    ("user", &["user.email", "user.name", "user.id", "enduser.id", "user"]),
    ("user_name", &["user.full_name"]),
    ("groups", &["user.roles", "user.group.name", "group.name"]),
    (
        "role",
        &[
            "labels.role",
            "service.name",
            "orchestrator.cluster.name",
            "k8s.cluster.name",
            "server.address",
            "destination.domain",
        ],
    ),
    ("type", &["labels.type"]),
    ("subtype", &["db.system.name", "db.system", "service.type"]),
    ("agent", &["gen_ai.agent.name", "gen_ai.agent.id"]),
    ("origin", &["event.provider", "event.module"]),
    ("client_ip", &["client.ip", "client.address", "source.ip", "source.address"]),
    ("tags", &["tags"]),
    ("correlation_id", &["trace.id", "trace_id", "transaction.id"]),
    ("metadata", &["labels", "host.name", "service.namespace", "cloud.account.id", "container.id"]),
    (
        "input",
        &[
            "process.command_line",
            "process.command_args",
            "process.args",
            "db.query.text",
            "db.statement",
        ],
    ),
    ("language", &["labels.language"]),
    ("verdict", &["event.type", "event.action"]),
    ("rule", &["rule.name", "rule.id"]),
    ("output", &[]),
    ("rows", &["db.response.returned_rows"]),
    ("exit_code", &["process.exit_code", "process.exit.code"]),
    ("duration", &["event.duration"]),
    ("duration_ms", &["duration_ms"]),
    ("text", &["process.io.text", "message", "body", "log", "msg", "event.original"]),
    ("stream", &[]),
    ("level", &["log.level", "severity_text", "severity", "level"]),
    ("category", &["event.category"]),
    ("phase", &["event.type", "event.action", "event.name"]),
    ("status", &["event.outcome"]),
    ("reason", &["event.reason", "error.message", "exception.message"]),
];

/// Which field of a document is which field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping(BTreeMap<&'static str, Vec<Box<str>>>);

impl Default for Mapping {
    fn default() -> Mapping {
        let sources = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect();
        Mapping(FIELDS.iter().map(|(field, names)| (*field, sources(names))).collect())
    }
}

impl Mapping {
    /// Gives a field other sources; none takes it out.
    ///
    /// # Errors
    /// A field that has no sources, with those that have.
    pub fn set(&mut self, field: &str, sources: Vec<String>) -> Result<(), String> {
        let known = FIELDS.iter().find(|(name, _)| *name == field);
        let Some((name, _)) = known else {
            let names: Vec<String> = FIELDS.iter().map(|(name, _)| format!("`{name}`")).collect();
            return Err(format!(
                "`{field}` is not a field that documents are mapped to; those are {}",
                names.join(", ")
            ));
        };
        if let Some(empty) = sources.iter().find(|source| source.split('.').any(str::is_empty)) {
            return Err(format!("`{empty}` is not a name of a field; write such as `user.name`"));
        }
        self.0.insert(name, sources.into_iter().map(Into::into).collect());
        Ok(())
    }

    /// The value of a field in a document, and the name of its source.
    #[must_use]
    pub fn find<'a>(&'a self, document: &'a Value, field: &str) -> Option<(&'a str, &'a Value)> {
        self.all(document, field).next()
    }

    /// Every value that a field may take, the first choice first.
    pub fn all<'a>(
        &'a self,
        document: &'a Value,
        field: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let own = lookup(document, "daybook").and_then(|own| own.get(field)).or_else(|| {
            // Dotted, as attributes are.
            document.get(format!("daybook.{field}").as_str())
        });
        let own = own.filter(|value| !is_nothing(value)).map(|value| ("daybook", value));
        let sources = self.0.get(field).into_iter().flatten();
        own.into_iter().chain(sources.filter_map(|source| {
            lookup(document, source).filter(|value| !is_nothing(value)).map(|v| (&**source, v))
        }))
    }
}

/// Says a value nothing?
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The value at a dotted path, whose parts may be nested, dotted or both.
#[must_use]
pub fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let fields = value.as_object()?;
    if let Some(value) = fields.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(at, _)| {
        let (head, rest) = (path.get(..at)?, path.get(at + 1..)?);
        lookup(fields.get(head)?, rest)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_is_found_dotted_nested_and_both() {
        for document in [
            json!({"a.b.c": 1}),
            json!({"a": {"b": {"c": 1}}}),
            json!({"a.b": {"c": 1}}),
            json!({"a": {"b.c": 1}}),
            json!({"a": {"x": 2}, "a.b": {"c": 1}}),
        ] {
            assert_eq!(lookup(&document, "a.b.c"), Some(&json!(1)), "{document}");
        }
        assert_eq!(lookup(&json!({"a": {"b": 1}}), "a.b.c"), None);
        assert_eq!(lookup(&json!([1]), "a"), None);
    }

    #[test]
    fn the_first_source_that_says_something_is_taken_and_daybooks_own_before_all() {
        let mapping = Mapping::default();
        let document = json!({"user": {"email": "", "name": "alice", "id": "7"}});
        assert_eq!(mapping.find(&document, "user"), Some(("user.name", &json!("alice"))));
        let document = json!({"user.name": "alice", "daybook": {"user": "ann"}});
        assert_eq!(mapping.find(&document, "user"), Some(("daybook", &json!("ann"))));
        let document = json!({"user.name": "alice", "daybook.user": "ann"});
        assert_eq!(mapping.find(&document, "user"), Some(("daybook", &json!("ann"))));
    }

    #[test]
    fn the_page_has_every_field_with_its_sources() {
        let page = include_str!("../../../docs/ingest.md");
        for (field, sources) in FIELDS {
            let sources: Vec<String> = sources.iter().map(|name| format!("`{name}`")).collect();
            let row = format!("| `{field}` | {} |", sources.join(", ")).replace("|  |", "| |");
            assert!(page.lines().any(|line| line == row), "docs/ingest.md has no line {row}");
        }
    }

    #[test]
    fn sources_are_replaced_field_by_field() {
        let mut mapping = Mapping::default();
        mapping.set("user", vec!["actor.mail".to_owned()]).unwrap();
        let document = json!({"user.name": "alice", "actor": {"mail": "a@x.io"}, "host.name": "h"});
        assert_eq!(mapping.find(&document, "user").unwrap().1, "a@x.io");
        assert_eq!(mapping.find(&document, "host").unwrap().1, "h");
        assert!(mapping.set("usr", Vec::new()).unwrap_err().contains("`user_name`"));
        assert!(mapping.set("user", vec!["a..b".to_owned()]).is_err());
    }
}
