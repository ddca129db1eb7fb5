//! The shapes of answers, for the OpenAPI document alone.
//!
//! The answers themselves are written by `query` and `engine`, which know nothing of HTTP. A test
//! compares real answers with these shapes, field by field and both ways.
#![expect(dead_code, reason = "only their schemas are used")]

mod cases;
mod links;
mod push;
mod replay;
mod report;
mod retention;
pub mod reviews;
mod runs;
mod searches;

pub use cases::*;
pub use links::*;
pub use push::*;
pub use replay::*;
pub use report::*;
pub use retention::*;
pub use runs::*;
pub use searches::*;

use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A page of sessions.
#[derive(ToSchema)]
pub struct SessionPage {
    /// The sessions.
    items: Vec<SessionItem>,
    /// Where the next page starts; null at the end.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many sessions match in all, exactly.
    count: u64,
    /// By field: the most frequent values, most first. Only if asked for.
    #[schema(nullable = false)]
    facets: Option<BTreeMap<String, Vec<FacetCount>>>,
    /// How the sessions' starts are spread over time. Only if asked for.
    #[schema(nullable = false)]
    histogram: Option<SessionHistogram>,
}

/// Sessions over time, by their start.
#[derive(ToSchema)]
pub struct SessionHistogram {
    /// How wide a bucket is, in milliseconds.
    bucket_ms: u64,
    /// The buckets from the earliest start's to the latest one's; neighbours, also where empty.
    buckets: Vec<SessionBucket>,
}

/// The sessions that started within one bucket.
#[derive(ToSchema)]
pub struct SessionBucket {
    /// Its first moment.
    #[schema(format = DateTime)]
    start: String,
    /// Sessions.
    count: u64,
    /// Commands in them.
    commands: u64,
    /// Of these, the blocked ones.
    blocked: u64,
    /// The approved ones.
    approved: u64,
    /// Those that wait for a review.
    pending: u64,
}

/// Values of a field.
#[derive(ToSchema)]
pub struct FacetValues {
    /// Those that begin with what was asked for, then the others; the most frequent first.
    items: Vec<FacetCount>,
    /// Are there more?
    more: bool,
}

/// How often a value occurs.
#[derive(ToSchema)]
pub struct FacetCount {
    /// The value.
    value: String,
    /// How often.
    count: u64,
}

/// Where a session stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum SessionStatus {
    PendingReview,
    Open,
    Done,
    Failed,
    Killed,
    Rejected,
}

/// A session.
#[derive(ToSchema)]
pub struct SessionItem {
    /// Its id.
    id: String,
    /// The user's e-mail or id; null before the session's start arrived.
    #[schema(required = true)]
    user: Option<String>,
    /// The user's name for people.
    #[schema(required = true)]
    user_name: Option<String>,
    /// The resource role.
    #[schema(required = true)]
    role: Option<String>,
    /// The role's type.
    #[schema(rename = "type", required = true)]
    kind: Option<String>,
    /// The role's subtype.
    #[schema(required = true)]
    subtype: Option<String>,
    /// The AI agent.
    #[schema(required = true)]
    agent: Option<String>,
    /// The tags.
    tags: Vec<String>,
    /// When it started.
    #[schema(required = true, format = DateTime)]
    started_at: Option<String>,
    /// When it ended; null while it is open.
    #[schema(required = true, format = DateTime)]
    ended_at: Option<String>,
    /// How long it took, or has taken so far, in milliseconds.
    duration_ms: u64,
    /// Its status.
    status: SessionStatus,
    /// Events.
    events: u64,
    /// Commands.
    commands: u64,
    /// Commands that a rule blocked.
    blocked: u64,
    /// Commands that were approved.
    approved: u64,
    /// Commands that wait for a review.
    pending: u64,
    /// Fields that were masked.
    masked: u64,
    /// Bytes of its events as they were sent.
    bytes: u64,
    /// The line that says it all: `5 commands · 1 blocked`.
    summary: String,
}

/// A session with everything that is known of it.
#[derive(ToSchema)]
pub struct SessionDetails {
    #[schema(inline)]
    #[serde(flatten)]
    item: SessionItem,
    /// The user's groups.
    groups: Vec<String>,
    /// Where it came from.
    #[schema(required = true)]
    origin: Option<String>,
    /// The client's address.
    #[schema(required = true)]
    client_ip: Option<String>,
    /// Joins it to something elsewhere.
    #[schema(required = true)]
    correlation_id: Option<String>,
    /// Joins it to the sessions that were started with it.
    #[schema(required = true)]
    batch_id: Option<String>,
    /// The terminal's columns.
    #[schema(required = true)]
    cols: Option<u32>,
    /// The terminal's rows.
    #[schema(required = true)]
    rows: Option<u32>,
    /// Anything else that its proxy said.
    metadata: BTreeMap<String, String>,
    /// The exit code, once it ended.
    #[schema(required = true)]
    exit_code: Option<i64>,
    /// Why it ended.
    #[schema(required = true)]
    end_reason: Option<String>,
    /// When its earliest event happened.
    #[schema(required = true, format = DateTime)]
    first_event_at: Option<String>,
    /// When its latest event happened.
    #[schema(required = true, format = DateTime)]
    last_event_at: Option<String>,
    /// Its reviews, by when they were asked for.
    reviews: Vec<Review>,
    /// Where its events are.
    segments: Vec<SegmentItem>,
    /// The log's last checkpoint; null without a Merkle log.
    #[schema(required = true)]
    checkpoint: Option<CheckpointItem>,
}

/// The log's last checkpoint, as it stands to a session.
#[derive(ToSchema)]
pub struct CheckpointItem {
    /// How many leaves its tree has.
    size: u64,
    /// Does it cover all of the session's events?
    covered: bool,
}

/// Where a review stands.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum ReviewStatus {
    Pending,
    Approved,
    Rejected,
    Revoked,
    Expired,
    Executed,
}

/// A review of a session or of one of its commands.
#[derive(ToSchema)]
pub struct Review {
    /// Its id.
    id: String,
    /// Where it stands.
    status: ReviewStatus,
    /// Since when it stands there.
    #[schema(required = true, format = DateTime)]
    since: Option<String>,
    /// The request's number in the session; null while only decisions have arrived.
    #[schema(required = true)]
    seq: Option<u32>,
    /// When it was asked for.
    #[schema(required = true, format = DateTime)]
    requested_at: Option<String>,
    /// What it is about: `session` or `command`. This and what follows up to `reason` are absent while
    /// only decisions have arrived.
    #[schema(nullable = false)]
    scope: Option<String>,
    /// The command that waits, for scope `command`.
    command: Option<u32>,
    /// The groups that may decide.
    #[schema(nullable = false)]
    groups: Option<Vec<String>>,
    /// How many approvals it takes; one if unsaid.
    min_approvals: Option<u32>,
    /// When it expires.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// How long the session may last once it is approved, in milliseconds.
    duration_ms: Option<u64>,
    /// Why it is asked for.
    reason: Option<String>,
    /// How many approvals it takes.
    approvals_needed: u32,
    /// Whose approvals count.
    approvers: Vec<String>,
    /// Until when a session that was approved may last; null if that is not bounded.
    #[schema(required = true, format = DateTime)]
    valid_until: Option<String>,
    /// What was said, by time: `seq`, `time`, `decision`, `by`, `comment`, `forced` if one was enough, and whether
    /// it had an effect (`effective`).
    #[schema(value_type = Vec<Object>)]
    decisions: (),
}

/// The events of a session in one part of the log.
#[derive(ToSchema)]
pub struct SegmentItem {
    /// The part's first offset, which is its name.
    base: u64,
    /// Is it a sealed segment (or a journal)?
    sealed: bool,
    /// The session's events in it.
    events: u64,
    /// The lowest offset of these.
    first_offset: u64,
    /// The highest.
    last_offset: u64,
}

/// A page of a session's events.
#[derive(ToSchema)]
pub struct TimelinePage {
    /// The events in the order of `seq`, each as it was sent, with its `offset` (and `seq`, if it was
    /// assigned); a command also with its `outputs`, `end` and `review`, unless `fold=false`.
    #[schema(value_type = Vec<Object>)]
    items: (),
    /// The page of later events; null at the end.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// The page of earlier events; null at the start.
    #[schema(required = true)]
    prev_cursor: Option<String>,
    /// How many events the session has.
    count: u64,
}

/// A page of sessions with hits.
#[derive(ToSchema)]
pub struct GroupPage {
    /// The sessions, that of the latest hit first.
    items: Vec<Group>,
    /// Where the next page starts; null at the end.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many sessions have hits; null where that is not known.
    #[schema(required = true)]
    count: Option<u64>,
    /// At least so many do.
    #[schema(nullable = false)]
    count_at_least: Option<u64>,
    /// `false` when the search stopped at its limits or met events that can't be read: sessions may be
    /// missing, and numbers are floors.
    complete: bool,
    /// So many events may match, but are in parts of the log that are damaged; only if there are some.
    #[schema(nullable = false)]
    unreadable: Option<u64>,
}

/// A session with hits.
#[derive(ToSchema)]
pub struct Group {
    /// The session.
    session: SessionItem,
    /// How many of its events match.
    matches: u64,
    /// The latest of them.
    latest: Hit,
}

/// A page of hits.
#[derive(ToSchema)]
pub struct SearchPage {
    /// The hits, latest first.
    items: Vec<Hit>,
    /// Where the next page starts; null at the end.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// `false` when the search stopped at its limits or met events that can't be read: the page may be
    /// short, and numbers are floors.
    complete: bool,
    /// So many events may match, but are in parts of the log that are damaged; only if there are some.
    #[schema(nullable = false)]
    unreadable: Option<u64>,
    /// How many events match; null where that is not known. Only if asked for, as all that follows.
    count: Option<u64>,
    /// At least so many do.
    #[schema(nullable = false)]
    count_at_least: Option<u64>,
    /// In how many sessions: with `count=sessions` or `facets=true`.
    #[schema(nullable = false)]
    sessions: Option<u64>,
    /// In at least so many.
    #[schema(nullable = false)]
    sessions_at_least: Option<u64>,
    /// By field: the most frequent values, most first.
    #[schema(nullable = false)]
    facets: Option<BTreeMap<String, Vec<FacetCount>>>,
    /// How the matches are spread over time.
    #[schema(nullable = false, value_type = Option<Object>)]
    histogram: Option<()>,
}

/// An event that a search found.
#[derive(ToSchema)]
pub struct Hit {
    /// Its session's id.
    session: String,
    /// Its number in the session.
    seq: u32,
    /// Its place in the log.
    offset: u64,
    /// When it happened.
    #[schema(format = DateTime)]
    time: String,
    /// What happened.
    kind: String,
    /// The verdict, for commands that carry one.
    #[schema(required = true)]
    verdict: Option<String>,
    /// The session's user.
    #[schema(required = true)]
    user: Option<String>,
    /// The session's resource role.
    #[schema(required = true)]
    role: Option<String>,
    /// The role's type.
    #[schema(rename = "type", required = true)]
    role_type: Option<String>,
    /// The moment in a replay of its session: milliseconds after the session began.
    #[schema(required = true)]
    replay_ms: Option<u64>,
    /// How relevant it is; only with `sort=relevance`.
    #[schema(nullable = false)]
    score: Option<f64>,
    /// Where it matched.
    snippets: Vec<Snippet>,
}

/// A piece of a text around what matched.
#[derive(ToSchema)]
pub struct Snippet {
    /// Which text of the event: `input`, `output` or `text`; or what was seen with it: `screen` or `typed`.
    field: String,
    /// The piece.
    text: String,
    /// What matched: start and end in `text`, in bytes of UTF-8.
    highlights: Vec<Vec<u64>>,
    /// There is more text before it.
    more_before: bool,
    /// There is more text after it.
    more_after: bool,
}

/// What is stored, and how the parts of the engine are doing.
#[derive(ToSchema)]
pub struct Stats {
    /// Events in the log.
    events: u64,
    /// Sessions.
    sessions: u64,
    /// Bytes of the events' lines as they were sent.
    bytes: u64,
    /// Bytes of all files in the data directory.
    stored_bytes: u64,
    /// Sealed segments.
    segments: u64,
    /// How often segments were merged since the start.
    merges: u64,
    /// Journals that are not sealed yet.
    journals: u64,
    /// Bytes of records in journals.
    journal_bytes: u64,
    /// The offset that the next event will get.
    next_offset: u64,
    /// The texts of all events below this offset are indexed; searches read the rest themselves.
    indexed_through: u64,
    /// Events whose texts are not indexed yet.
    index_lag_events: u64,
    /// Bytes of their records: what a search reads itself.
    index_lag_bytes: u64,
    /// Leaves of the Merkle log that the last checkpoint covers.
    checkpoint_size: u64,
    /// The last checkpoint covers all events below this offset.
    checkpoint_through: u64,
    /// Why the Merkle log can't be written, if so.
    #[schema(required = true)]
    checkpoint_error: Option<String>,
    /// The key that checks checkpoints: `name+id+base64`.
    #[schema(required = true)]
    verifier_key: Option<String>,
    /// Bytes that wait to be written.
    queue_bytes: u64,
    /// Bytes that are free on the disk; null where the system does not say.
    #[schema(required = true)]
    free_bytes: Option<u64>,
    /// With fewer free bytes no events are taken.
    free_bytes_min: u64,
    /// Why no events are taken until there is more space, if so.
    #[schema(required = true)]
    full: Option<String>,
    /// Why no events are taken, if so.
    #[schema(required = true)]
    read_only: Option<String>,
    /// What recovery found at the start.
    #[schema(value_type = Vec<Object>)]
    findings: (),
    /// Bounds that are near or reached, in words.
    warnings: Vec<String>,
    /// Connections that are open.
    connections: u64,
    /// More are refused.
    connections_max: u64,
    /// Files that the process has open; null where the system does not say.
    #[schema(required = true)]
    open_files: Option<u64>,
    /// How many it may.
    #[schema(required = true)]
    open_files_max: Option<u64>,
    /// How many files are under each encryption key, by its number; 0 is for those that are not encrypted.
    /// Empty without encryption keys.
    encryption_keys: BTreeMap<String, u64>,
    /// CPU seconds since the start, by stage.
    cpu_seconds: BTreeMap<String, f64>,
    /// The version of daybook.
    version: String,
    /// Seconds since the server started.
    uptime_seconds: u64,
}

/// What was encrypted anew.
#[derive(ToSchema)]
pub struct Rekeyed {
    /// The number of the key that everything is under now.
    key: u32,
    /// Segments that were rewritten.
    segments: u64,
}

/// What a repair did.
#[derive(ToSchema)]
pub struct Repaired {
    /// Files and directories on the server that were made again.
    mended: Vec<String>,
    /// Those that could not be, and why.
    left: Vec<Left>,
}

/// What could not be mended.
#[derive(ToSchema)]
pub struct Left {
    /// Which file or directory on the server.
    path: String,
    /// Why.
    why: String,
}

/// A backup that was made.
#[derive(ToSchema)]
pub struct Backup {
    /// Its directory.
    path: String,
    /// When it was begun.
    created: String,
    /// Events in it.
    events: u64,
    /// The offset after its last event.
    next_offset: u64,
    /// Files.
    files: u64,
    /// Their bytes.
    bytes: u64,
}
