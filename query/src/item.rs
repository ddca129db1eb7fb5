//! The items of answers, in the shapes of the API.

use daybook_engine::event::{Kind, Micros, Offset, Seq, Verdict};
use daybook_engine::session::Status;
use daybook_engine::view::Session;
use serde::{Serialize, Serializer};

/// A time in RFC 3339, UTC, with microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Micros);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionItem {
    /// Its id.
    pub id: Box<str>,
    /// The user's e-mail or id, once its start arrived.
    pub user: Option<Box<str>>,
    /// The user's name for people.
    pub user_name: Option<Box<str>>,
    /// The resource role.
    pub role: Option<Box<str>>,
    /// The role's type.
    #[serde(rename = "type")]
    pub kind: Option<Box<str>>,
    /// The role's subtype.
    pub subtype: Option<Box<str>>,
    /// The AI agent.
    pub agent: Option<Box<str>>,
    /// The tags.
    pub tags: Vec<Box<str>>,
    /// When it started.
    pub started_at: Option<Time>,
    /// When it ended, if it did.
    pub ended_at: Option<Time>,
    /// How long it took (or has taken), in milliseconds.
    pub duration_ms: u64,
    /// Its status.
    pub status: Status,
    /// Events.
    pub events: u64,
    /// Commands.
    pub commands: u64,
    /// Commands that a rule blocked.
    pub blocked: u64,
    /// Commands that were approved.
    pub approved: u64,
    /// Commands that wait for a review.
    pub pending: u64,
    /// Fields that were masked.
    pub masked: u64,
    /// Bytes of its events as they were sent.
    pub bytes: u64,
    /// The line that says it all: `5 commands · 1 blocked`.
    pub summary: String,
}

impl SessionItem {
    /// The item of a session.
    #[must_use]
    pub fn of(session: &Session) -> SessionItem {
        let state = &session.state;
        let facts = state.facts().cloned().unwrap_or_default();
        SessionItem {
            id: (*session.id).into(),
            user: facts.user,
            user_name: facts.user_name,
            role: facts.role,
            kind: facts.kind,
            subtype: facts.subtype,
            agent: facts.agent,
            tags: facts.tags,
            started_at: state.started_at().map(Time),
            ended_at: state.ended_at().map(Time),
            duration_ms: state.duration_ms(),
            status: state.status(),
            events: state.events,
            commands: state.commands,
            blocked: state.blocked(),
            approved: state.approved(),
            pending: state.pending(),
            masked: state.masked,
            bytes: state.bytes,
            summary: state.summary(),
        }
    }
}

/// An event that a search found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// Its session's id.
    pub session: Box<str>,
    /// Its number in the session.
    pub seq: Seq,
    /// Its place in the log.
    pub offset: Offset,
    /// When it happened.
    pub time: Time,
    /// What happened.
    pub kind: Kind,
    /// The verdict, for commands that carry one.
    pub verdict: Option<Verdict>,
    /// The session's user.
    pub user: Option<Box<str>>,
    /// The session's resource role.
    pub role: Option<Box<str>>,
    /// The role's type.
    #[serde(rename = "type")]
    pub role_type: Option<Box<str>>,
    /// The moment in a replay of its session: milliseconds after the session began. None where that is not known.
    pub replay_ms: Option<u64>,
    /// How relevant it is, in a search by relevance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Where it matched: at most one a field; for a query without texts, the start of its text.
    pub snippets: Vec<Snippet>,
}

/// A piece of a text around what matched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snippet {
    /// Which text of the event: `input`, `output` or `text`; or what was seen with it: `screen` or `typed`.
    pub field: &'static str,
    /// The piece.
    pub text: String,
    /// What matched: start and end in `text`, in bytes of UTF-8.
    pub highlights: Vec<[usize; 2]>,
    /// There is more text before it.
    pub more_before: bool,
    /// There is more text after it.
    pub more_after: bool,
}

/// How often a value occurs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FacetCount {
    /// The value.
    pub value: String,
    /// How often.
    pub count: u64,
}
