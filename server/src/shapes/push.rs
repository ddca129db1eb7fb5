//! The shapes of answers about sinks, for the OpenAPI document alone.
#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// The sinks.
#[derive(ToSchema)]
pub struct SinkPage {
    /// The sinks, in the order of the configuration.
    items: Vec<Sink>,
    /// Always null: they are on one page.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many there are.
    count: u64,
}

/// A collector that is sent events.
#[derive(ToSchema)]
pub struct Sink {
    /// Its name in the configuration.
    name: String,
    /// Where events are sent, without what may be secret.
    url: String,
    /// What is sent of an event: `native` or `ocsf`.
    format: String,
    /// The version of OCSF; null where it is not that.
    #[schema(required = true)]
    version: Option<String>,
    /// Which events; empty for all.
    query: String,
    /// Everything before this offset was looked at, and what matched was taken or is listed as refused.
    through: u64,
    /// How many offsets the log has behind it.
    behind: u64,
    /// How many seconds ago the oldest event was taken in that matches and is not sent; 0 where none is known.
    behind_seconds: u64,
    /// Events that were taken; one that was sent twice counts twice.
    sent_events: u64,
    /// Bytes of their lines.
    sent_bytes: u64,
    /// When something was taken last.
    #[schema(required = true, format = DateTime)]
    last_sent_at: Option<String>,
    /// Events that retention erased before the sink came to them.
    gone: u64,
    /// Events that may match, but are in parts of the log that are damaged.
    unreadable: u64,
    /// Attempts that failed since the server started.
    failures: u64,
    /// Since when it does not succeed; null while it does.
    #[schema(required = true, format = DateTime)]
    failing_since: Option<String>,
    /// What went wrong last; null once it succeeded again.
    #[schema(required = true)]
    last_error: Option<String>,
    /// When it is tried again.
    #[schema(required = true, format = DateTime)]
    next_attempt_at: Option<String>,
    /// Events that the receiver refused for good, ever.
    refused_ever: u64,
    /// Those of them that it has not taken since.
    refused: Vec<RefusedEvent>,
}

/// An event that a receiver refused for good.
#[derive(ToSchema)]
pub struct RefusedEvent {
    /// The event.
    offset: u64,
    /// Its session.
    session: String,
    /// Its number in the session.
    seq: u32,
    /// When it was refused.
    #[schema(format = DateTime)]
    at: String,
    /// What the receiver said.
    why: String,
}
