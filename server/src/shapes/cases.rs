//! The shapes of notes, cases, queues and completeness, for the OpenAPI document alone.
#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// A note to write.
#[derive(ToSchema)]
pub struct NewNote {
    /// What is to be said.
    text: String,
    /// The command that it is about, by its `seq`.
    command: Option<u32>,
    /// Who says it; where a token is asked for, it is the token's name.
    by: Option<String>,
}

/// A note, as it is in the log.
#[derive(ToSchema)]
pub struct Note {
    /// The session's id.
    session: String,
    /// Its number in the session.
    seq: u32,
    /// Its place in the log.
    offset: u64,
    /// When it was written.
    #[schema(format = DateTime)]
    time: String,
    /// `note`.
    kind: String,
    /// Who wrote it.
    by: String,
    /// What it says.
    text: String,
    /// The command that it is about.
    #[schema(nullable = false)]
    command: Option<u32>,
}

/// A case to open.
#[derive(ToSchema)]
pub struct NewCase {
    /// What it is called.
    name: String,
    /// Why there is one.
    reason: String,
    /// Its first sessions, by id.
    #[schema(nullable = false)]
    sessions: Option<Vec<String>>,
    /// Who opens it; where a token is asked for, it is the token's name.
    by: Option<String>,
}

/// Which sessions come into a case, and which go out.
#[derive(ToSchema)]
pub struct CaseChange {
    /// To add, by id.
    #[schema(nullable = false)]
    add: Option<Vec<String>>,
    /// To take out, by id.
    #[schema(nullable = false)]
    remove: Option<Vec<String>>,
    /// Who does; where a token is asked for, it is the token's name.
    by: Option<String>,
}

/// What is said of what is done to a case.
#[derive(ToSchema)]
pub struct CaseWords {
    /// The note, the reason or the comment.
    text: String,
    /// Who says it; where a token is asked for, it is the token's name.
    by: Option<String>,
}

/// All cases.
#[derive(ToSchema)]
pub struct CasePage {
    /// The cases, the one that was changed last first.
    items: Vec<CaseItem>,
    /// Always null: they are on one page.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many there are.
    count: u64,
}

/// A case, as a list has it.
#[derive(ToSchema)]
pub struct CaseItem {
    /// Its id, which is also that of its hold.
    id: String,
    /// What it is called.
    name: String,
    /// Why there is one.
    reason: String,
    /// Who opened it.
    opened_by: String,
    /// When.
    #[schema(format = DateTime)]
    opened_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    changed_at: String,
    /// How many sessions it has.
    session_count: u64,
    /// How many notes.
    note_count: u64,
    /// Its legal hold; null if there is none.
    #[schema(required = true)]
    hold: Option<Said>,
    /// That it was closed; null while it is open.
    #[schema(required = true)]
    closed: Option<Said>,
}

/// A case, whole.
#[derive(ToSchema)]
pub struct Case {
    /// The item of the list.
    #[serde(flatten)]
    item: CaseItem,
    /// Its sessions.
    sessions: Vec<CaseSession>,
    /// Its notes, in order.
    notes: Vec<Said>,
}

/// A session of a case.
#[derive(ToSchema)]
pub struct CaseSession {
    /// The session's id.
    id: String,
    /// Who added it.
    added_by: String,
    /// When.
    #[schema(format = DateTime)]
    added_at: String,
}

/// What somebody said.
#[derive(ToSchema)]
pub struct Said {
    /// Who.
    by: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What.
    text: String,
}

/// A mark to set, or to take back.
#[derive(ToSchema)]
pub struct NewMark {
    /// What there is to say.
    comment: Option<String>,
    /// Takes the mark back.
    #[schema(nullable = false)]
    undo: Option<bool>,
    /// Who does; where a token is asked for, it is the token's name.
    by: Option<String>,
}

/// Whether a session was looked at.
#[derive(ToSchema)]
pub struct Reviewed {
    /// The session's id.
    session: String,
    /// Its mark; null if it has none.
    #[schema(required = true)]
    reviewed: Option<Mark>,
    /// The queues in whose samples it is.
    queues: Vec<String>,
}

/// That somebody looked at a session.
#[derive(ToSchema)]
pub struct Mark {
    /// Who.
    by: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What was said of it.
    #[schema(required = true)]
    comment: Option<String>,
}

/// All queues.
#[derive(ToSchema)]
pub struct QueueList {
    /// The queues.
    items: Vec<Queue>,
    /// Always null: they are on one page.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many there are.
    count: u64,
}

/// Which sessions are to be looked at.
#[derive(ToSchema)]
pub struct Queue {
    /// Its name.
    name: String,
    /// Which sessions, in daybook's language.
    query: String,
    /// How many of them, in percent.
    sample_percent: f64,
    /// How many days after its end a session leaves the queue.
    age_max_days: u64,
}

/// A page of sessions of a queue.
#[derive(ToSchema)]
pub struct PickPage {
    /// The sessions, the one that ended first first.
    items: Vec<super::SessionItem>,
    /// Where the next page starts; null at the end.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// What a producer says that it sent.
#[derive(ToSchema)]
pub struct Statement {
    /// How many events of each session, by its id; up to 1,000 sessions.
    sent: std::collections::BTreeMap<String, u64>,
    /// Who says it, where no token is asked for.
    #[schema(required = false)]
    by: Option<String>,
}

/// Everybody who said something.
#[derive(ToSchema)]
pub struct ProducerPage {
    /// The producers, by their names.
    items: Vec<Producer>,
    /// Null: all are here.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many.
    count: u64,
}

/// What a producer says that it sent, and what of it is stored.
#[derive(ToSchema)]
pub struct Producer {
    /// Its name.
    producer: String,
    /// When it said something last.
    #[schema(required = true)]
    said_at: Option<String>,
    /// Of how many sessions it spoke.
    sessions: u64,
    /// How many events of them it says that it sent.
    sent: u64,
    /// How many of these are here.
    stored: u64,
    /// Are all of them?
    complete: bool,
    /// How many sessions are not here whole.
    lacking_sessions: u64,
    /// The first hundred of them.
    lacking: Vec<LackingSession>,
    /// Sessions that it spoke of so long ago that it is not known any more.
    forgotten: u64,
}

/// A session that is not here whole.
#[derive(ToSchema)]
pub struct LackingSession {
    /// Its id.
    session: String,
    /// How many of its events were sent.
    sent: u64,
    /// How many are here.
    stored: u64,
}

/// What of a session is here.
#[derive(ToSchema)]
pub struct Completeness {
    /// It ended, no number is lacking, and as many events are here as its producer says that it sent, if it says so.
    complete: bool,
    /// Did it end?
    ended: bool,
    /// How many events of its producer's are here.
    events: u64,
    /// How many its producer says that it sent; null where it does not say.
    #[schema(required = true)]
    sent: Option<u64>,
    /// Notes, which daybook added.
    added: u64,
    /// The lowest number that is here.
    #[schema(required = true)]
    first_seq: Option<u32>,
    /// The highest.
    #[schema(required = true)]
    last_seq: Option<u32>,
    /// How many numbers below the highest are not here.
    lacking: u64,
    /// Where they are, the first hundred.
    gaps: Vec<Gap>,
    /// Are there more of them?
    more_gaps: bool,
}

/// Numbers that are not here.
#[derive(ToSchema)]
pub struct Gap {
    /// The first of them.
    first: u32,
    /// The last of them.
    last: u32,
    /// `missing`: they never came, or are still on their way; `erased`: they were here.
    why: String,
}
