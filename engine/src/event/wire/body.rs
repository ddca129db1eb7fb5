//! The kinds of events and their fields, typed: a field that a kind does not have can't be there.

use crate::event::{
    Decision, EndStatus, Kind, Micros, RetentionAction, Scope, Seq, Stream, Verdict,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

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
        /// The command that it is about.
        command: Option<Seq>,
    },
    /// `access`
    Access(Box<Access>),
    /// `retention`
    Retention(Box<Retention>),
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

impl Content<'_> {
    /// It as text; what of `data` is no UTF-8 is replaced.
    #[must_use]
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Content::Text(text) => Cow::Borrowed(text),
            Content::Data(data) => String::from_utf8_lossy(data),
        }
    }
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
    /// How long the session may last once it is approved, in milliseconds; for scope `session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
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
    /// The approval is enough by itself: whoever gave it may decide alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
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
    /// How many events of the session the producer sent, this one among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

/// The fields of `access`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// Who.
    pub by: Box<str>,
    /// Did what.
    pub action: Box<str>,
    /// To what: a session's id, a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Box<str>>,
    /// What exactly.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Box<str>, Box<str>>,
}

/// The fields of `retention`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// Who did it, or on whose behalf daybook did.
    pub by: Box<str>,
    /// What was done.
    pub action: RetentionAction,
    /// To what: a hold's id, a segment's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Box<str>>,
    /// The legal case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Box<str>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// What exactly: offsets, counts, rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Box<str>, Box<str>>,
}

impl Access {
    /// That somebody did something to something.
    #[must_use]
    pub fn new(by: &str, action: &str, target: &str) -> Access {
        let target = Some(target.into());
        Access { by: by.into(), action: action.into(), target, metadata: BTreeMap::new() }
    }

    /// The same, with something more that was said.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Box<str>>) -> Access {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// What was said under a name.
    #[must_use]
    pub fn said(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(|value| &**value)
    }
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
            Body::Access(_) => Kind::Access,
            Body::Retention(_) => Kind::Retention,
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

    /// The command that this event belongs to, for outputs, ends, reviews and notes of a command.
    #[must_use]
    pub fn command(&self) -> Option<Seq> {
        match self {
            Body::Output { command, .. } => *command,
            Body::CommandEnd(end) => end.command,
            Body::ReviewRequest { request, .. } => request.command,
            Body::Note { command, .. } => *command,
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
        Kind::ReviewRequest => &[
            "review",
            "scope",
            "command",
            "groups",
            "min_approvals",
            "expires_at",
            "duration_ms",
            "reason",
        ],
        Kind::ReviewDecision => &["review", "decision", "by", "comment", "forced"],
        Kind::SessionEnd => &["status", "exit_code", "reason", "events"],
        Kind::Note => &["by", "text", "command"],
        Kind::Access => &["by", "action", "target", "metadata"],
        Kind::Retention => &["by", "action", "target", "case", "reason", "metadata"],
    }
}
