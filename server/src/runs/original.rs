//! The command that is run again, as the log has it.

use crate::problem::Problem;
use crate::sessions::no_session;
use axum::http::StatusCode;
use daybook_engine::event::Seq;
use daybook_engine::review::ReviewStatus;
use daybook_engine::session::SessionState;
use daybook_engine::view::Snapshot;
use daybook_query::timeline;
use serde::Deserialize;

/// The longest command that is run again, in bytes.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

/// A command that may be run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// What was sent.
    pub input: String,
    /// `sql`, `shell`, ...
    pub language: Option<String>,
    /// The role that it ran on.
    pub role: Option<Box<str>>,
    /// The role's type.
    pub kind: Option<Box<str>>,
    /// The role's subtype.
    pub subtype: Option<Box<str>>,
    /// How many fields of its result were masked.
    pub masked: u64,
    /// Did it wait for a review of its own? Then a second one must not hide what became of the first.
    pub reviewed: bool,
}

/// Of an item of a timeline, what decides.
#[derive(Deserialize)]
struct Item {
    kind: String,
    #[serde(default)]
    input: String,
    language: Option<String>,
    verdict: Option<String>,
    #[serde(default)]
    masked: u64,
    output: Option<serde::de::IgnoredAny>,
    end: Option<End>,
}

#[derive(Deserialize)]
struct End {
    #[serde(default)]
    masked: u64,
}

/// Finds a command, if it may be run again.
///
/// # Errors
/// That it is not there, or why it may not; what the log says.
pub fn find(snapshot: &Snapshot, session: &str, seq: Seq) -> Result<Original, Problem> {
    let found = snapshot.sessions.get(session)?.ok_or_else(|| no_session(session))?;
    let item = timeline::item(snapshot, session, seq.0)?;
    let item: Item = match item {
        Some(item) => serde_json::from_str(item.get()).map_err(Problem::internal)?,
        None => return Err(Problem::not_found(format!("the session has no command {seq}"))),
    };
    if item.kind != "command" {
        let what = format!("event {seq} is a `{}`; only a `command` can be run again", item.kind);
        return Err(refused(what));
    }
    let verdict = item.verdict.as_deref().unwrap_or("passed");
    let reviewed = verdict == "pending";
    match verdict {
        "passed" | "approved" => {}
        "pending" if was_approved(&found.state, seq) => {}
        "pending" => {
            return Err(refused("the command waits for a review, or was not approved".into()));
        }
        verdict => {
            return Err(refused(format!("the command was {verdict}; such a one is not run again")));
        }
    }
    if item.input.trim().is_empty() {
        return Err(refused("the command is empty".into()));
    }
    if item.input.len() > INPUT_BYTES_MAX {
        let what = format!(
            "the command has {} bytes; one of more than {INPUT_BYTES_MAX} is not run again",
            item.input.len()
        );
        return Err(refused(what));
    }
    let of_result = item.end.as_ref().map_or(0, |end| end.masked);
    if item.masked > 0 && item.output.is_none() && item.end.is_none() {
        let what = "fields of the command itself were masked: what ran is not known";
        return Err(refused(what.into()));
    }
    let facts = found.state.facts();
    Ok(Original {
        input: item.input,
        language: item.language,
        role: facts.and_then(|facts| facts.role.clone()),
        kind: facts.and_then(|facts| facts.kind.clone()),
        subtype: facts.and_then(|facts| facts.subtype.clone()),
        masked: item.masked.saturating_add(of_result),
        reviewed,
    })
}

/// Was a command that waited approved?
fn was_approved(state: &SessionState, seq: Seq) -> bool {
    let of_it = state.reviews.values().filter(|review| {
        review.request.as_ref().is_some_and(|(_, _, request)| request.command == Some(seq))
    });
    let mut approved = false;
    for review in of_it {
        match state.review_status(review) {
            ReviewStatus::Approved | ReviewStatus::Executed => approved = true,
            // One that says no is enough.
            ReviewStatus::Rejected | ReviewStatus::Revoked => return false,
            ReviewStatus::Pending | ReviewStatus::Expired => {}
        }
    }
    approved
}

fn refused(what: String) -> Problem {
    Problem::new("not-rerun", StatusCode::CONFLICT, "Not run again", what)
}
