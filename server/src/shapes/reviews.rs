//! The shapes of access requests, for the OpenAPI document alone.
#![expect(dead_code, reason = "only their schemas are used")]

use super::{Review, SessionStatus as Status};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A page of reviews.
#[derive(ToSchema)]
pub struct ReviewPage {
    /// The reviews.
    items: Vec<ReviewEntry>,
    /// Where the next page starts; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// A review with what is known of its session.
#[derive(ToSchema)]
pub struct ReviewEntry {
    #[schema(inline)]
    #[serde(flatten)]
    review: Review,
    /// The session's id.
    session: String,
    /// The session's status.
    session_status: Status,
    /// Who asks: the session's user.
    #[schema(required = true)]
    user: Option<String>,
    /// The user's name for people.
    #[schema(required = true)]
    user_name: Option<String>,
    /// The resource role.
    #[schema(required = true)]
    role: Option<String>,
    /// The role's type.
    #[serde(rename = "type")]
    #[schema(required = true)]
    kind: Option<String>,
    /// The role's subtype.
    #[schema(required = true)]
    subtype: Option<String>,
    /// The AI agent.
    #[schema(required = true)]
    agent: Option<String>,
    /// The beginning of the command that waits; null for a session, or until the command arrived.
    #[schema(required = true)]
    input: Option<String>,
    /// Has the command more than that?
    input_cut: bool,
    /// What who asks may say of it now: `approve`, `force` (alone), `reject`, `revoke`, `executed`.
    may: Vec<String>,
}

/// What is asked for.
#[derive(ToSchema)]
pub struct NewReview {
    /// The session's id.
    session: String,
    /// The review's id, chosen by the proxy so that it can ask again; left out, one is made.
    review: Option<String>,
    /// `session`: may it begin; `command`: may this command run.
    scope: String,
    /// The number of the command that waits, for scope `command`.
    command: Option<u32>,
    /// Why.
    reason: Option<String>,
    /// The groups that may decide; none for everybody who may review.
    #[schema(nullable = false)]
    groups: Option<Vec<String>>,
    /// How many have to approve; one if unsaid.
    min_approvals: Option<u32>,
    /// How long it waits, such as `15m`.
    expires_in: Option<String>,
    /// How long the session is to last once it is approved, such as `2h`; for scope `session`.
    duration: Option<String>,
    /// The request's number in the session, where the proxy numbers its events.
    seq: Option<u32>,
    /// The fields of the session's `session.start`, where that was not sent before.
    #[schema(value_type = Option<Object>)]
    start: Option<BTreeMap<String, String>>,
}

/// What is said of a review.
#[derive(ToSchema)]
pub struct NewDecision {
    /// `approved`, `rejected`, `revoked`, `executed`.
    decision: String,
    /// Why.
    comment: Option<String>,
    /// Alone, though more would have to approve.
    #[schema(nullable = false)]
    force: Option<bool>,
    /// Who says it, where no token is asked for; the token's name otherwise.
    by: Option<String>,
}

/// Those who are told of access requests.
#[derive(ToSchema)]
pub struct NotificationPage {
    /// All of them, in the order of the configuration.
    items: Vec<Notification>,
    /// Always null: they are on one page.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many there are.
    count: u64,
}

/// Somebody who is told of access requests.
#[derive(ToSchema)]
pub struct Notification {
    /// Its name.
    name: String,
    /// `standard`, `slack`, `teams`.
    form: String,
    /// The scheme and the host that messages go to.
    url: String,
    /// What is told.
    events: Vec<String>,
    /// Of sessions of which roles; empty for all.
    roles: Vec<String>,
    /// Everything before this offset was told, or is a dead letter.
    through: u64,
    /// How many offsets the log has behind it.
    behind: u64,
    /// Messages that were delivered.
    delivered: u64,
    /// When one was delivered last.
    #[schema(required = true, format = DateTime)]
    last_delivery_at: Option<String>,
    /// Since when messages can't be delivered; null if all is well.
    #[schema(required = true, format = DateTime)]
    failing_since: Option<String>,
    /// What went wrong last.
    #[schema(required = true)]
    last_error: Option<String>,
    /// When it is tried again.
    #[schema(required = true, format = DateTime)]
    next_attempt_at: Option<String>,
    /// Dead letters that were forgotten, because there were too many.
    forgotten: u64,
    /// What could not be delivered.
    dead: Vec<DeadLetter>,
}

/// A message that could not be delivered.
#[derive(ToSchema)]
pub struct DeadLetter {
    /// What it is called by to be sent again.
    id: String,
    /// The event that it tells of.
    offset: u64,
    /// Since when it is dead.
    #[schema(format = DateTime)]
    at: String,
    /// What the last attempt came to.
    why: String,
    /// The session that it is of.
    session: String,
    /// The review that it is of.
    review: String,
    /// What it tells: `request`, `approved`, ...
    event: String,
}
