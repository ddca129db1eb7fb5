//! The wire form of an event: one JSON object, checked field by field.
//!
//! [`Event::decode`] is the only door: what it accepts is stored, what it refuses is answered with a
//! message that names the field and says how to mend it. It borrows from the line wherever JSON
//! escapes allow. A field that the kind does not name is refused, except inside `metadata`.
//!
//! Bounds: a line [`LINE_BYTES_MAX`], a session id [`SESSION_BYTES_MAX`], a name (user, role, tag,
//! ...) [`NAME_BYTES_MAX`], lists [`LIST_LEN_MAX`]. Texts (`input`, `output`, `text`, `data`) are
//! bounded by the line alone and never cut.

use super::time::excerpt;
use super::{Decision, EndStatus, Kind, Micros, Scope, Seq, Stream, Verdict};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The longest line that is accepted, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// The longest session id, in bytes.
pub const SESSION_BYTES_MAX: usize = 256;
/// The longest name (user, role, tag, rule, review id, ...), in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// The longest list or map (tags, groups, metadata, masked types).
pub const LIST_LEN_MAX: usize = 256;

/// An event as it was sent, checked; borrowed from its line where that is possible.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// The session's id.
    pub session: Cow<'a, str>,
    /// The event's number in its session; `None` asks the node to assign one.
    pub seq: Option<Seq>,
    /// When it happened.
    pub time: Micros,
    /// What happened.
    pub body: Body<'a>,
}

/// What happened, with the fields of its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    /// `session.start`
    SessionStart(Box<Start>),
    /// `command`
    Command(Box<Command<'a>>),
    /// `output`
    Output {
        /// The command that it belongs to.
        command: Option<Seq>,
        /// Where it came from.
        stream: Option<Stream>,
        /// What came back.
        content: Content<'a>,
        /// The producer itself had cut it.
        truncated: bool,
    },
    /// `command.end`
    CommandEnd(Box<CommandEnd<'a>>),
    /// `terminal.output`
    TerminalOutput(Content<'a>),
    /// `terminal.input`
    TerminalInput(Content<'a>),
    /// `terminal.resize`
    TerminalResize {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
    },
    /// `terminal.marker`
    TerminalMarker(Content<'a>),
    /// `review.request`
    ReviewRequest {
        /// The review's id.
        review: Box<str>,
        /// What it asks for.
        request: Box<ReviewRequest>,
    },
    /// `review.decision`
    ReviewDecision {
        /// The review's id.
        review: Box<str>,
        /// What was said.
        decision: Box<ReviewDecision>,
    },
    /// `session.end`
    SessionEnd(Box<End>),
    /// `note`
    Note {
        /// Who wrote it.
        by: Cow<'a, str>,
        /// What was written.
        text: Cow<'a, str>,
    },
    /// `access`
    Access {
        /// Who.
        by: Cow<'a, str>,
        /// Did what.
        action: Cow<'a, str>,
        /// To what.
        target: Option<Cow<'a, str>>,
    },
}

/// The fields of `session.start`, owned: they become the session's facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// The user's e-mail or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// The user's name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<Box<str>>,
    /// The user's groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Box<str>>,
    /// The resource role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<str>>,
    /// The role's type: `database`, `ssh`, ...
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Box<str>>,
    /// The role's subtype: `postgres`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtype: Option<Box<str>>,
    /// The AI agent that acts for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<str>>,
    /// Where the session came from (`cli`, `web`, ...).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<str>>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<Box<str>>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Box<str>>,
    /// Joins this session to something elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Box<str>>,
    /// Joins sessions that were started together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<Box<str>>,
    /// The terminal's columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cols: Option<u32>,
    /// The terminal's rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Anything else.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Box<str>, Box<str>>,
}

/// The fields of `command`.
#[derive(Clone, Debug, PartialEq)]
pub struct Command<'a> {
    /// What was sent.
    pub input: Cow<'a, str>,
    /// `sql`, `shell`, ...
    pub language: Option<Cow<'a, str>>,
    /// What the proxy decided.
    pub verdict: Option<Verdict>,
    /// The rule that decided it.
    pub rule: Option<Cow<'a, str>>,
    /// The session or command that this one runs again.
    pub rerun_of: Option<Cow<'a, str>>,
    /// What came back, if the proxy knew at once.
    pub output: Option<Cow<'a, str>>,
    /// Rows returned or changed.
    pub rows: Option<u64>,
    /// The exit code.
    pub exit_code: Option<i64>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// How many fields were masked.
    pub masked: u64,
    /// How many of each type.
    pub masked_types: BTreeMap<Box<str>, u64>,
}

/// The fields of `command.end`.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandEnd<'a> {
    /// The command that ended.
    pub command: Option<Seq>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The exit code.
    pub exit_code: Option<i64>,
    /// Rows returned or changed.
    pub rows: Option<u64>,
    /// How many fields were masked.
    pub masked: u64,
    /// How many of each type.
    pub masked_types: BTreeMap<Box<str>, u64>,
    /// Why it failed.
    pub error: Option<Cow<'a, str>>,
}

/// Text, or bytes that may not be text.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<'a> {
    /// `text`
    Text(Cow<'a, str>),
    /// `data`, decoded from base64.
    Data(Vec<u8>),
}

/// The fields of `review.request`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewRequest {
    /// What it is about.
    pub scope: Scope,
    /// The command that waits, for scope `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Seq>,
    /// The groups that may decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Box<str>>,
    /// How many approvals it takes; one if unsaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_approvals: Option<u32>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Micros>,
    /// Why it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

/// The fields of `review.decision`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewDecision {
    /// What was said.
    pub decision: Decision,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// With which words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Box<str>>,
}

/// The fields of `session.end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// How it ended.
    pub status: EndStatus,
    /// The exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

impl Body<'_> {
    /// The kind of the event.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Body::SessionStart(_) => Kind::SessionStart,
            Body::Command(_) => Kind::Command,
            Body::Output { .. } => Kind::Output,
            Body::CommandEnd(_) => Kind::CommandEnd,
            Body::TerminalOutput(_) => Kind::TerminalOutput,
            Body::TerminalInput(_) => Kind::TerminalInput,
            Body::TerminalResize { .. } => Kind::TerminalResize,
            Body::TerminalMarker(_) => Kind::TerminalMarker,
            Body::ReviewRequest { .. } => Kind::ReviewRequest,
            Body::ReviewDecision { .. } => Kind::ReviewDecision,
            Body::SessionEnd(_) => Kind::SessionEnd,
            Body::Note { .. } => Kind::Note,
            Body::Access { .. } => Kind::Access,
        }
    }

    /// The verdict, for a command that carries one.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Body::Command(command) => command.verdict,
            _ => None,
        }
    }

    /// The command that this event belongs to, for outputs, ends and reviews of a command.
    #[must_use]
    pub fn command(&self) -> Option<Seq> {
        match self {
            Body::Output { command, .. } => *command,
            Body::CommandEnd(end) => end.command,
            Body::ReviewRequest { request, .. } => request.command,
            _ => None,
        }
    }

    /// The number of fields that were masked, as this event says.
    #[must_use]
    pub fn masked(&self) -> u64 {
        match self {
            Body::Command(command) => command.masked,
            Body::CommandEnd(end) => end.masked,
            _ => 0,
        }
    }
}

impl<'a> Event<'a> {
    /// Decodes and checks one line.
    ///
    /// # Errors
    /// A sentence without a full stop that says what is wrong, where, and what would be right.
    pub fn decode(line: &'a [u8]) -> Result<Event<'a>, String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!(
                "line of {} bytes is over the limit of {LINE_BYTES_MAX}; send long outputs as several `output` events",
                line.len()
            ));
        }
        let line = std::str::from_utf8(line).map_err(|error| {
            format!(
                "invalid UTF-8 at byte {}; send bytes that are not text as base64 in `data`",
                error.valid_up_to()
            )
        })?;
        // A derived struct would also take an array of its fields in order.
        if !line.trim_start().starts_with('{') {
            return Err(if line.trim().is_empty() {
                "line is empty".to_owned()
            } else {
                format!("`{}` is not a JSON object", excerpt(line))
            });
        }
        let mut wire: Wire<'a> = serde_json::from_str(line).map_err(|error| json_error(&error))?;
        wire.event()
    }
}

/// serde_json's message with the column, without the line (a line is always line 1).
fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let text = text.split(", expected one of `session`").next().unwrap_or(text);
    let text =
        if text == "EOF while parsing a value" { "line is empty or cut short" } else { text };
    format!("{text} at column {}", error.column())
}

/// A string that borrows from the line unless an escape forbids it.
#[derive(Debug)]
struct Str<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(v)))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(v.to_owned())))
            }
            fn visit_string<E: de::Error>(self, v: String) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(v)))
            }
        }
        deserializer.deserialize_str(StrVisitor)
    }
}

/// A list of names, bounded while it is read.
#[derive(Debug, Default)]
struct Names(Vec<Box<str>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor;
        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(Str(name)) = seq.next_element()? {
                    if names.len() == LIST_LEN_MAX {
                        return Err(de::Error::custom(format!(
                            "list is longer than {LIST_LEN_MAX}"
                        )));
                    }
                    names.push(bounded(&name).map_err(de::Error::custom)?.into());
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_seq(NamesVisitor)
    }
}

/// A map from names to values, bounded while it is read, without repeated keys.
#[derive(Debug)]
struct Map<V>(BTreeMap<Box<str>, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
            type Value = Map<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map<V>, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((Str(key), value)) = access.next_entry::<Str<'de>, V>()? {
                    if map.len() == LIST_LEN_MAX {
                        return Err(de::Error::custom(format!(
                            "object has more than {LIST_LEN_MAX} fields"
                        )));
                    }
                    let key: Box<str> = bounded(&key).map_err(de::Error::custom)?.into();
                    if map.insert(key, value).is_some() {
                        return Err(de::Error::custom("object has a field twice"));
                    }
                }
                Ok(Map(map))
            }
        }
        deserializer.deserialize_map(MapVisitor(std::marker::PhantomData))
    }
}

fn bounded(name: &str) -> Result<&str, String> {
    if name.len() > NAME_BYTES_MAX {
        return Err(format!(
            "`{}` has {} bytes, over the limit of {NAME_BYTES_MAX} for a name",
            excerpt(name),
            name.len()
        ));
    }
    Ok(name)
}

/// Declares [`Wire`] and the walk over the names of the fields that are present.
macro_rules! wire {
    ($($field:ident $name:literal: $type:ty,)*) => {
        /// Every field of every kind, as JSON has them.
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct Wire<'a> {
            #[serde(borrow)]
            session: Option<Str<'a>>,
            seq: Option<u32>,
            #[serde(borrow)]
            time: Option<Str<'a>>,
            #[serde(borrow)]
            kind: Option<Str<'a>>,
            $(#[serde(rename = $name, borrow)] $field: Option<$type>,)*
        }

        impl Wire<'_> {
            /// The first field that is present and not in `allowed`.
            fn stranger(&self, allowed: &[&str]) -> Option<&'static str> {
                $(if self.$field.is_some() && !allowed.contains(&$name) {
                    return Some($name);
                })*
                None
            }
        }
    };
}

/// A value that borrows nothing, in a struct whose fields all borrow.
#[derive(Debug)]
struct Plain<'a, T>(T, std::marker::PhantomData<&'a ()>);

impl<'de, 'a, T: Deserialize<'de>> Deserialize<'de> for Plain<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Plain(value, std::marker::PhantomData))
    }
}

wire! {
    user "user": Str<'a>,
    user_name "user_name": Str<'a>,
    groups "groups": Plain<'a, Names>,
    role "role": Str<'a>,
    role_type "type": Str<'a>,
    subtype "subtype": Str<'a>,
    agent "agent": Str<'a>,
    origin "origin": Str<'a>,
    client_ip "client_ip": Str<'a>,
    tags "tags": Plain<'a, Names>,
    correlation_id "correlation_id": Str<'a>,
    batch_id "batch_id": Str<'a>,
    cols "cols": Plain<'a, u32>,
    rows "rows": Plain<'a, u64>,
    metadata "metadata": Plain<'a, Map<Box<str>>>,
    input "input": Str<'a>,
    language "language": Str<'a>,
    verdict "verdict": Str<'a>,
    rule "rule": Str<'a>,
    rerun_of "rerun_of": Str<'a>,
    output "output": Str<'a>,
    exit_code "exit_code": Plain<'a, i64>,
    duration_ms "duration_ms": Plain<'a, u64>,
    masked "masked": Plain<'a, u64>,
    masked_types "masked_types": Plain<'a, Map<u64>>,
    command "command": Plain<'a, u32>,
    stream "stream": Str<'a>,
    text "text": Str<'a>,
    data "data": Str<'a>,
    truncated "truncated": Plain<'a, bool>,
    error "error": Str<'a>,
    review "review": Str<'a>,
    scope "scope": Str<'a>,
    min_approvals "min_approvals": Plain<'a, u32>,
    expires_at "expires_at": Str<'a>,
    reason "reason": Str<'a>,
    decision "decision": Str<'a>,
    by "by": Str<'a>,
    comment "comment": Str<'a>,
    status "status": Str<'a>,
    action "action": Str<'a>,
    target "target": Str<'a>,
}

/// The fields of a kind, beyond `session`, `seq`, `time` and `kind`.
#[must_use]
pub fn fields_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::SessionStart => &[
            "user",
            "user_name",
            "groups",
            "role",
            "type",
            "subtype",
            "agent",
            "origin",
            "client_ip",
            "tags",
            "correlation_id",
            "batch_id",
            "cols",
            "rows",
            "metadata",
        ],
        Kind::Command => &[
            "input",
            "language",
            "verdict",
            "rule",
            "rerun_of",
            "output",
            "rows",
            "exit_code",
            "duration_ms",
            "masked",
            "masked_types",
        ],
        Kind::Output => &["command", "stream", "text", "data", "truncated"],
        Kind::CommandEnd => {
            &["command", "duration_ms", "exit_code", "rows", "masked", "masked_types", "error"]
        }
        Kind::TerminalOutput | Kind::TerminalInput | Kind::TerminalMarker => &["text", "data"],
        Kind::TerminalResize => &["cols", "rows"],
        Kind::ReviewRequest => {
            &["review", "scope", "command", "groups", "min_approvals", "expires_at", "reason"]
        }
        Kind::ReviewDecision => &["review", "decision", "by", "comment"],
        Kind::SessionEnd => &["status", "exit_code", "reason"],
        Kind::Note => &["by", "text"],
        Kind::Access => &["by", "action", "target"],
    }
}

fn need<T>(value: Option<T>, kind: Kind, field: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{kind}` needs the field `{field}`"))
}

fn name(value: Option<Str<'_>>, field: &str) -> Result<Option<Box<str>>, String> {
    value
        .map(|Str(s)| bounded(&s).map(Into::into))
        .transpose()
        .map_err(|e| format!("`{field}`: {e}"))
}

fn cow<'a>(value: Option<Str<'a>>) -> Option<Cow<'a, str>> {
    value.map(|Str(s)| s)
}

fn plain<T>(value: Option<Plain<'_, T>>) -> Option<T> {
    value.map(|Plain(v, _)| v)
}

fn coded<T: Copy + fmt::Display>(
    value: &str,
    field: &str,
    from_name: fn(&str) -> Option<T>,
    all: &[T],
) -> Result<T, String> {
    from_name(value).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|v| format!("`{v}`")).collect();
        format!("`{field}` is `{}`, but has to be one of {}", excerpt(value), names.join(", "))
    })
}

fn small(value: u64, field: &str) -> Result<u32, String> {
    u32::try_from(value)
        .map_err(|_| format!("`{field}` is {value}, over the limit of {}", u32::MAX))
}

impl<'a> Wire<'a> {
    fn content(&mut self, kind: Kind) -> Result<Content<'a>, String> {
        use base64::Engine as _;
        match (self.text.take(), self.data.take()) {
            (Some(Str(text)), None) => Ok(Content::Text(text)),
            (None, Some(Str(data))) => base64::engine::general_purpose::STANDARD
                .decode(data.as_bytes())
                .map(Content::Data)
                .map_err(|error| format!("`data` is not standard base64 with padding: {error}")),
            (Some(_), Some(_)) => Err(format!("`{kind}` takes `text` or `data`, not both")),
            (None, None) => Err(format!("`{kind}` needs the field `text` or `data`")),
        }
    }

    fn event(&mut self) -> Result<Event<'a>, String> {
        let session = self.session.take().ok_or("the field `session` is missing")?.0;
        if session.is_empty() || session.len() > SESSION_BYTES_MAX {
            return Err(format!(
                "`session` has {} bytes, but has to have 1 to {SESSION_BYTES_MAX}",
                session.len()
            ));
        }
        if session.chars().any(char::is_control) {
            return Err("`session` has a control character".to_owned());
        }
        let kind = self.kind.take().ok_or("the field `kind` is missing")?.0;
        let kind = coded(&kind, "kind", Kind::from_name, Kind::ALL)?;
        let time = self.time.take().ok_or("the field `time` is missing")?.0;
        let time = Micros::parse(&time)?;
        let seq = self.seq.map(Seq);
        if let Some(field) = self.stranger(fields_of(kind)) {
            let fields: Vec<String> = fields_of(kind).iter().map(|f| format!("`{f}`")).collect();
            return Err(format!(
                "`{field}` is not a field of `{kind}`, which has {}",
                fields.join(", ")
            ));
        }
        let body = self.body(kind)?;
        Ok(Event { session, seq, time, body })
    }

    fn body(&mut self, kind: Kind) -> Result<Body<'a>, String> {
        Ok(match kind {
            Kind::SessionStart => Body::SessionStart(Box::new(Start {
                user: name(self.user.take(), "user")?,
                user_name: name(self.user_name.take(), "user_name")?,
                groups: plain(self.groups.take()).unwrap_or_default().0,
                role: name(self.role.take(), "role")?,
                kind: name(self.role_type.take(), "type")?,
                subtype: name(self.subtype.take(), "subtype")?,
                agent: name(self.agent.take(), "agent")?,
                origin: name(self.origin.take(), "origin")?,
                client_ip: name(self.client_ip.take(), "client_ip")?,
                tags: plain(self.tags.take()).unwrap_or_default().0,
                correlation_id: name(self.correlation_id.take(), "correlation_id")?,
                batch_id: name(self.batch_id.take(), "batch_id")?,
                cols: plain(self.cols.take()),
                rows: plain(self.rows.take()).map(|v| small(v, "rows")).transpose()?,
                metadata: plain(self.metadata.take()).map(|Map(m)| m).unwrap_or_default(),
            })),
            Kind::Command => Body::Command(Box::new(Command {
                input: need(cow(self.input.take()), kind, "input")?,
                language: cow(self.language.take()),
                verdict: self
                    .verdict
                    .take()
                    .map(|Str(v)| coded(&v, "verdict", Verdict::from_name, Verdict::ALL))
                    .transpose()?,
                rule: cow(self.rule.take()),
                rerun_of: cow(self.rerun_of.take()),
                output: cow(self.output.take()),
                rows: plain(self.rows.take()),
                exit_code: plain(self.exit_code.take()),
                duration_ms: plain(self.duration_ms.take()),
                masked: plain(self.masked.take()).unwrap_or(0),
                masked_types: plain(self.masked_types.take()).map(|Map(m)| m).unwrap_or_default(),
            })),
            Kind::Output => Body::Output {
                command: plain(self.command.take()).map(Seq),
                stream: self
                    .stream
                    .take()
                    .map(|Str(v)| coded(&v, "stream", Stream::from_name, Stream::ALL))
                    .transpose()?,
                truncated: plain(self.truncated.take()).unwrap_or(false),
                content: self.content(kind)?,
            },
            Kind::CommandEnd => Body::CommandEnd(Box::new(CommandEnd {
                command: plain(self.command.take()).map(Seq),
                duration_ms: plain(self.duration_ms.take()),
                exit_code: plain(self.exit_code.take()),
                rows: plain(self.rows.take()),
                masked: plain(self.masked.take()).unwrap_or(0),
                masked_types: plain(self.masked_types.take()).map(|Map(m)| m).unwrap_or_default(),
                error: cow(self.error.take()),
            })),
            Kind::TerminalOutput => Body::TerminalOutput(self.content(kind)?),
            Kind::TerminalInput => Body::TerminalInput(self.content(kind)?),
            Kind::TerminalMarker => Body::TerminalMarker(self.content(kind)?),
            Kind::TerminalResize => Body::TerminalResize {
                cols: need(plain(self.cols.take()), kind, "cols")?,
                rows: small(need(plain(self.rows.take()), kind, "rows")?, "rows")?,
            },
            Kind::ReviewRequest => {
                let scope = need(cow(self.scope.take()), kind, "scope")?;
                Body::ReviewRequest {
                    review: need(name(self.review.take(), "review")?, kind, "review")?,
                    request: Box::new(ReviewRequest {
                        scope: coded(&scope, "scope", Scope::from_name, Scope::ALL)?,
                        command: plain(self.command.take()).map(Seq),
                        groups: plain(self.groups.take()).unwrap_or_default().0,
                        min_approvals: plain(self.min_approvals.take()),
                        expires_at: self
                            .expires_at
                            .take()
                            .map(|Str(t)| Micros::parse(&t))
                            .transpose()?,
                        reason: cow(self.reason.take()).map(|r| r.into()),
                    }),
                }
            }
            Kind::ReviewDecision => {
                let decision = need(cow(self.decision.take()), kind, "decision")?;
                Body::ReviewDecision {
                    review: need(name(self.review.take(), "review")?, kind, "review")?,
                    decision: Box::new(ReviewDecision {
                        decision: coded(&decision, "decision", Decision::from_name, Decision::ALL)?,
                        by: name(self.by.take(), "by")?,
                        comment: cow(self.comment.take()).map(|c| c.into()),
                    }),
                }
            }
            Kind::SessionEnd => {
                let status = need(cow(self.status.take()), kind, "status")?;
                Body::SessionEnd(Box::new(End {
                    status: coded(&status, "status", EndStatus::from_name, EndStatus::ALL)?,
                    exit_code: plain(self.exit_code.take()),
                    reason: cow(self.reason.take()).map(|r| r.into()),
                }))
            }
            Kind::Note => Body::Note {
                by: need(cow(self.by.take()), kind, "by")?,
                text: need(cow(self.text.take()), kind, "text")?,
            },
            Kind::Access => Body::Access {
                by: need(cow(self.by.take()), kind, "by")?,
                action: need(cow(self.action.take()), kind, "action")?,
                target: cow(self.target.take()),
            },
        })
    }
}
