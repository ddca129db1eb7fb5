//! A document to the line of an event.
//!
//! ```text
//! {"session","time","kind",...}  an event already: taken as it is; its id is put in where it has no seq
//! anything else                  mapped: what happened, from the fields that are there
//! ```
//!
//! | the document has | the event |
//! |---|---|
//! | `kind` (`daybook.kind`) | that kind |
//! | category `session`, and `start` or `end` | `session.start`, `session.end` |
//! | `input` | `command` |
//! | `text` | `output` |
//!
//! The facts of its session (user, role, ...) are in every document, and in daybook in its
//! `session.start`: one is made of the first document of a session that has none.

use super::mapping::Mapping;
use daybook_engine::event::wire::NAME_BYTES_MAX;
use daybook_engine::event::{EndStatus, Kind, Micros, Stream, Verdict};
use serde_json::{Map, Value, json};

/// The SQL dialects among the names of database systems.
const SQL: &[&str] =
    &["sql", "maria", "oracle", "cockroach", "clickhouse", "redshift", "trino", "db2", "snowflake"];

/// An event on its way to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// Its session.
    pub session: String,
    /// What tells its repetitions; an event with a number needs none.
    pub id: Option<String>,
    /// The event.
    pub line: Vec<u8>,
    /// The session's start, for a session that has none.
    pub start: Option<Vec<u8>>,
}

/// Makes an event of a document; `id` is what its protocol calls it.
///
/// # Errors
/// What the document lacks, and where it is looked for.
pub fn compose(mapping: &Mapping, document: &Value, id: Option<&str>) -> Result<Composed, String> {
    let fields = document.as_object().ok_or("a document is a JSON object")?;
    if let Some(own) = own(fields, id)? {
        return Ok(own);
    }
    let of = Document { mapping, document };
    let id = id.map(str::to_owned).or_else(|| of.text("id"));
    if id.as_ref().is_some_and(|id| id.len() > NAME_BYTES_MAX) {
        return Err(format!("its id is over the limit of {NAME_BYTES_MAX} bytes"));
    }
    let time = of.time()?;
    let session = of.session(&time)?;
    let (kind, mut event) = of.event()?;
    event.insert("session".to_owned(), json!(session));
    event.insert("time".to_owned(), json!(time));
    event.insert("kind".to_owned(), json!(kind.name()));
    if let Some(id) = &id {
        event.insert("id".to_owned(), json!(id));
    }
    let start = (kind != Kind::SessionStart).then(|| of.facts()).filter(|facts| !facts.is_empty());
    let start = start.map(|mut facts| {
        facts.insert("session".to_owned(), json!(session));
        facts.insert("time".to_owned(), json!(time));
        facts.insert("kind".to_owned(), json!(Kind::SessionStart.name()));
        Value::Object(facts).to_string().into_bytes()
    });
    Ok(Composed { session, id, line: Value::Object(event).to_string().into_bytes(), start })
}

/// A document that is an event already.
fn own(fields: &Map<String, Value>, id: Option<&str>) -> Result<Option<Composed>, String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (Some(session), Some(_), Some(kind)) = (text("session"), text("time"), text("kind")) else {
        return Ok(None);
    };
    if Kind::from_name(kind).is_none() {
        return Ok(None);
    }
    let numbered = fields.get("seq").is_some_and(|seq| !seq.is_null());
    let id = text("id").or(id).filter(|_| !numbered).map(str::to_owned);
    let mut event = fields.clone();
    if let Some(id) = &id {
        event.insert("id".to_owned(), json!(id));
    }
    let line = Value::Object(event).to_string().into_bytes();
    Ok(Some(Composed { session: session.to_owned(), id, line, start: None }))
}

/// A document, looked at through the mapping.
struct Document<'a> {
    mapping: &'a Mapping,
    document: &'a Value,
}

impl Document<'_> {
    fn find(&self, field: &str) -> Option<(&str, &Value)> {
        self.mapping.find(self.document, field)
    }

    /// The first value of a field that can be a text.
    fn text(&self, field: &str) -> Option<String> {
        self.mapping.all(self.document, field).find_map(|(_, value)| text(value))
    }

    /// Every text of a field, those of lists too.
    fn texts(&self, field: &str) -> Vec<String> {
        let values = self.mapping.all(self.document, field).flat_map(|(_, value)| match value {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        });
        values.filter_map(text).collect()
    }

    fn number(&self, field: &str) -> Option<i64> {
        self.mapping.all(self.document, field).find_map(|(_, value)| match value {
            Value::Number(number) => {
                number.as_i64().or_else(|| number.as_f64().map(|number| number.round() as i64))
            }
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    fn has(&self, field: &str, words: &[&str]) -> bool {
        self.texts(field).iter().any(|text| words.iter().any(|w| text.eq_ignore_ascii_case(w)))
    }

    /// When it happened, as it is written; milliseconds since 1970 are written out.
    fn time(&self) -> Result<String, String> {
        match self.find("time") {
            Some((_, Value::String(text))) => Ok(text.clone()),
            Some((source, Value::Number(number))) => {
                let millis = number.as_i64().and_then(|n| n.checked_mul(1_000));
                let micros = millis.ok_or_else(|| format!("`{source}` is not a time"))?;
                Ok(Micros(micros).to_string())
            }
            Some((source, _)) => Err(format!(
                "`{source}` is not a time: write RFC 3339, such as 2026-03-01T09:30:00Z"
            )),
            None => Err("it has no time: `@timestamp` is missing".to_owned()),
        }
    }

    /// Its session; without one, its host's of the day.
    fn session(&self, time: &str) -> Result<String, String> {
        if let Some(session) = self.text("session") {
            return Ok(session);
        }
        let host = self.text("host").ok_or(
            "it has no session: neither `session.id` nor another source of `session` is there, and no `host.name`; see [mapping] in the configuration",
        )?;
        let day = time.get(..10).unwrap_or(time);
        Ok(format!("{host} {day}"))
    }

    /// What happened, and the fields of that.
    fn event(&self) -> Result<(Kind, Map<String, Value>), String> {
        let kind = match self.text("kind") {
            Some(name) => Kind::from_name(&name)
                .ok_or_else(|| format!("`daybook.kind` is `{name}`, which is no kind of event"))?,
            None if self.has("category", &["session"]) && self.has("phase", &["start"]) => {
                Kind::SessionStart
            }
            None if self.has("category", &["session"]) && self.has("phase", &["end"]) => {
                Kind::SessionEnd
            }
            None if self.find("input").is_some() => Kind::Command,
            None if self.find("text").is_some() => Kind::Output,
            None => {
                return Err("nothing happens in it: neither a command (`process.command_line`, `db.query.text`) nor a `message` is there; see [mapping] in the configuration".to_owned());
            }
        };
        let mut event = Map::new();
        match kind {
            Kind::SessionStart => event = self.facts(),
            Kind::Command => self.command(&mut event),
            Kind::CommandEnd => {
                self.outcome(&mut event);
                self.put(&mut event, "error", self.text("reason"));
            }
            Kind::Output => {
                self.put(&mut event, "text", self.logged());
                let stream = self.text("stream").filter(|s| Stream::from_name(s).is_some());
                self.put(&mut event, "stream", stream);
            }
            Kind::TerminalOutput | Kind::TerminalInput | Kind::TerminalMarker => {
                self.put(&mut event, "text", self.text("text"));
            }
            Kind::SessionEnd => {
                let status = match self.text("status").as_deref() {
                    Some("failure") => EndStatus::Failed,
                    Some(name) => EndStatus::from_name(name).unwrap_or(EndStatus::Done),
                    None => EndStatus::Done,
                };
                event.insert("status".to_owned(), json!(status.name()));
                self.put(&mut event, "exit_code", self.number("exit_code"));
                self.put(&mut event, "reason", self.text("reason"));
            }
            other => {
                return Err(format!(
                    "`{other}` events are not made of other documents; send them as daybook has them"
                ));
            }
        }
        Ok((kind, event))
    }

    fn command(&self, event: &mut Map<String, Value>) {
        let (source, input) = match self.find("input") {
            Some((source, Value::Array(words))) => {
                let words: Vec<String> = words.iter().filter_map(text).collect();
                (source, words.join(" "))
            }
            Some((source, value)) => (source, text(value).unwrap_or_else(|| value.to_string())),
            None => ("", String::new()),
        };
        event.insert("input".to_owned(), json!(input));
        let language = self.text("language").or_else(|| match source {
            _ if source.starts_with("db.") => self.dialect(),
            _ if source.starts_with("process.") => Some("shell".to_owned()),
            _ => None,
        });
        self.put(event, "language", language);
        self.put(event, "verdict", self.verdict().map(Verdict::name));
        self.put(event, "rule", self.text("rule"));
        self.put(event, "output", self.text("output"));
        self.outcome(event);
    }

    fn outcome(&self, event: &mut Map<String, Value>) {
        self.put(event, "exit_code", self.number("exit_code"));
        let whole = |number: i64| u64::try_from(number).ok();
        let took = self.number("duration_ms").or(self.number("duration").map(|n| n / 1_000_000));
        self.put(event, "duration_ms", took.and_then(whole));
        self.put(event, "rows", self.number("rows").and_then(whole));
    }

    fn dialect(&self) -> Option<String> {
        let system = self.text("subtype")?.to_ascii_lowercase();
        let is_sql = SQL.iter().any(|name| system.contains(name)) || system.contains("postgres");
        Some(if is_sql { "sql".to_owned() } else { system })
    }

    /// What was decided, in daybook's words or in those of the schemas.
    fn verdict(&self) -> Option<Verdict> {
        self.texts("verdict").iter().find_map(|word| {
            let word = word.to_ascii_lowercase();
            Verdict::from_name(&word).or(match word.as_str() {
                "allowed" | "allow" | "accept" | "accepted" => Some(Verdict::Passed),
                "denied" | "deny" | "block" | "dropped" | "refused" => Some(Verdict::Blocked),
                _ => None,
            })
        })
    }

    /// A line of a log, behind its level.
    fn logged(&self) -> Option<String> {
        let line = self.text("text").or_else(|| self.find("text").map(|(_, v)| v.to_string()))?;
        Some(match self.text("level") {
            Some(level) => format!("[{level}] {line}"),
            None => line,
        })
    }

    /// What is known of the session.
    fn facts(&self) -> Map<String, Value> {
        let mut facts = Map::new();
        for field in [
            "user",
            "user_name",
            "role",
            "type",
            "subtype",
            "agent",
            "origin",
            "client_ip",
            "correlation_id",
        ] {
            self.put(&mut facts, field, self.text(field));
        }
        if !facts.contains_key("type")
            && self.find("input").is_some_and(|(source, _)| source.starts_with("db."))
        {
            facts.insert("type".to_owned(), json!("database"));
        }
        for field in ["groups", "tags"] {
            let list = self.texts(field);
            self.put(&mut facts, field, (!list.is_empty()).then_some(list));
        }
        let mut metadata = Map::new();
        for (source, value) in self.mapping.all(self.document, "metadata") {
            match value {
                Value::Object(fields) => metadata
                    .extend(fields.iter().filter_map(|(k, v)| Some((k.clone(), json!(text(v)?))))),
                one => metadata.extend(text(one).map(|text| (source.to_owned(), json!(text)))),
            }
        }
        self.put(&mut facts, "metadata", (!metadata.is_empty()).then_some(metadata));
        facts
    }

    fn put(&self, event: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            event.insert(field.to_owned(), value.into());
        }
    }
}

/// A value as a text, if it is a single one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(switch) => Some(switch.to_string()),
        Value::Array(items) => items.first().and_then(text),
        _ => None,
    }
}
