//! The shapes of retention's answers and bodies, for the OpenAPI document alone.
#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// How long what is kept.
#[derive(ToSchema)]
pub struct RetentionPolicy {
    /// The policy.
    policy: Policy,
}

/// A policy to put in the place of the one there is.
#[derive(ToSchema)]
pub struct NewRetentionPolicy {
    /// The policy.
    policy: Policy,
    /// Who changes it.
    by: String,
}

/// How long what is kept.
#[derive(ToSchema)]
pub struct Policy {
    /// The first rule that fits a session decides.
    #[schema(nullable = false)]
    rules: Option<Vec<Rule>>,
    /// Decides where no rule fits: an age such as `30d` or `7y`, or `forever`.
    default: String,
    /// The most bytes of all sealed segments; past it the oldest go, but nothing that is held.
    #[schema(nullable = false)]
    bytes_max: Option<u64>,
}

/// How long some sessions are kept. In names `*` stands for anything.
#[derive(ToSchema)]
pub struct Rule {
    /// Only sessions of these users.
    #[schema(nullable = false)]
    user: Option<String>,
    /// Only sessions of these resource roles.
    #[schema(nullable = false)]
    role: Option<String>,
    /// Only sessions of roles of these types.
    #[schema(nullable = false, rename = "type")]
    kind: Option<String>,
    /// An age such as `30d` or `7y`, or `forever`.
    keep: String,
}

/// A legal hold to place; it covers every session that any of its fields names.
#[derive(ToSchema)]
pub struct NewHold {
    /// Sessions, by id.
    #[schema(nullable = false)]
    sessions: Option<Vec<String>>,
    /// Users; `*` stands for anything.
    #[schema(nullable = false)]
    users: Option<Vec<String>>,
    /// Resource roles; `*` stands for anything.
    #[schema(nullable = false)]
    roles: Option<Vec<String>>,
    /// Sessions with an event that matches this query.
    query: Option<String>,
    /// The legal case.
    case: String,
    /// Why.
    reason: String,
    /// Who asks for it.
    by: String,
}

/// A legal hold.
#[derive(ToSchema)]
pub struct Hold {
    /// Its id.
    id: String,
    /// Sessions, by id.
    sessions: Vec<String>,
    /// Users.
    users: Vec<String>,
    /// Resource roles.
    roles: Vec<String>,
    /// A query.
    #[schema(required = true)]
    query: Option<String>,
    /// The legal case.
    case: String,
    /// Why.
    reason: String,
    /// Who placed it.
    by: String,
    /// When.
    placed_at: String,
    /// How many sessions its query has covered so far; null without a query.
    #[schema(required = true)]
    matched: Option<u64>,
}

/// All legal holds.
#[derive(ToSchema)]
pub struct HoldPage {
    /// The holds.
    items: Vec<Hold>,
    /// Always null: they are on one page.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many there are.
    count: u64,
}

/// What a pass deleted, or would delete.
#[derive(ToSchema)]
pub struct RetentionReport {
    /// By segment, oldest first.
    gone: Vec<Gone>,
    /// What should have gone and is tried again at the next pass.
    failed: Vec<Failed>,
}

/// A segment of which something went, or would go.
#[derive(ToSchema)]
pub struct Gone {
    /// Its name.
    segment: String,
    /// Did all of it go?
    whole: bool,
    /// The offset of its first event.
    first_offset: u64,
    /// The offset of its last event.
    last_offset: u64,
    /// How many sessions went.
    sessions: u64,
    /// How many events went.
    events: u64,
    /// How many events are kept.
    kept_events: u64,
    /// The bytes that this frees, about.
    bytes: u64,
    /// The rules that say so.
    rules: Vec<String>,
}

/// A segment that could not be erased.
#[derive(ToSchema)]
pub struct Failed {
    /// Its name.
    segment: String,
    /// Why.
    error: String,
}
