//! Asking for a review: a `review.request`, and the session's start, if that is not known yet.

use super::rules::{self, Terms};
use super::{Reviews, decide};
use crate::auth::Caller;
use crate::problem::Problem;
use crate::random;
use crate::sessions::no_session;
use axum::http::StatusCode;
use daybook_engine::Batch;
use daybook_engine::event::time::excerpt;
use daybook_engine::event::wire::{LIST_LEN_MAX, ReviewRequest};
use daybook_engine::event::{Micros, Scope, Seq};
use daybook_query::lang::number::duration_micros;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The most people of whom an approval can be asked.
const APPROVALS_MAX: u32 = 100;
/// A review waits, and a session lasts, at most so long.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReview {
    session: String,
    /// Chosen by the proxy, so that it can ask again.
    review: Option<String>,
    scope: Scope,
    command: Option<Seq>,
    reason: Option<String>,
    #[serde(default)]
    groups: Vec<Box<str>>,
    min_approvals: Option<u32>,
    expires_in: Option<String>,
    duration: Option<String>,
    /// The request's number in the session, where its proxy numbers its events.
    seq: Option<Seq>,
    /// The fields of the session's `session.start`, where that was not sent before.
    start: Option<Map<String, Value>>,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Asked {
    pub session: String,
    pub review: String,
    /// It was not there before.
    pub new: bool,
}

fn bad(field: &str, what: String) -> Problem {
    Problem::new("body", StatusCode::BAD_REQUEST, "Bad request body", what).about(field)
}

fn lasting(field: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let micros = duration_micros(text).and_then(|us| u64::try_from(us).ok()).filter(|us| *us > 0);
    let lasting = micros.map(Duration::from_micros).filter(|lasting| *lasting <= DURATION_MAX);
    lasting.map(Some).ok_or_else(|| {
        bad(
            field,
            format!(
                "`{field}` is how long, up to 366d, such as 15m or 2h; not `{}`",
                excerpt(text)
            ),
        )
    })
}

impl NewReview {
    fn terms(&self) -> Result<Terms, Problem> {
        if self.min_approvals.is_some_and(|n| !(1..=APPROVALS_MAX).contains(&n)) {
            let what = format!("`min_approvals` is a whole number from 1 to {APPROVALS_MAX}");
            return Err(bad("min_approvals", what));
        }
        if self.groups.len() > LIST_LEN_MAX {
            return Err(bad("groups", format!("`groups` has more than {LIST_LEN_MAX} names")));
        }
        if (self.scope == Scope::Command) != self.command.is_some() {
            let what =
                "`command` is the number of the command that waits, for the scope `command` alone";
            return Err(bad("command", what.to_owned()));
        }
        if self.scope == Scope::Command && self.duration.is_some() {
            return Err(bad("duration", "`duration` is for the scope `session` alone".to_owned()));
        }
        Ok(Terms {
            groups: self.groups.clone(),
            min_approvals: self.min_approvals,
            expires_in: lasting("expires_in", self.expires_in.as_deref())?,
            duration: lasting("duration", self.duration.as_deref())?,
        })
    }

    /// A text of the start that was brought along.
    fn fact(&self, name: &str) -> Option<&str> {
        self.start.as_ref()?.get(name)?.as_str()
    }
}

impl Reviews {
    /// Asks for a review; answers once that is durable. One of the same id in the same session that asks for the same
    /// is answered as it stands.
    ///
    /// # Errors
    /// What is wrong with it, or the log's.
    pub(super) async fn ask(&self, caller: Caller, new: NewReview) -> Result<Asked, Problem> {
        let terms = new.terms()?;
        let id = match &new.review {
            Some(id) if id.is_empty() => {
                return Err(bad(
                    "review",
                    "`review` is empty; leave it out, or give it a name".to_owned(),
                ));
            }
            Some(id) => id.clone(),
            None => random::id::<12>("review-")?.into(),
        };
        let rules = self.rules.clone();
        self.alone(move |engine| {
            let known = engine.snapshot().sessions.get(&new.session)?;
            if let Some(known) = &known
                && !caller.sees().matches(&known.id, known.key, &known.state)
            {
                return Err(no_session(&new.session));
            }
            let asked = known.as_ref().and_then(|known| known.state.reviews.get(&*id)?.request.as_ref());
            if let Some((_, _, before)) = asked {
                return same(before, &new, &id).map(|()| Asked { session: new.session, review: id, new: false });
            }
            let facts = known.as_ref().and_then(|known| known.state.facts());
            if facts.is_none() && new.start.is_none() {
                let what = format!("the session `{}` has not begun here; say who asks for what in `start`, or send its `session.start` before", excerpt(&new.session));
                return Err(bad("start", what));
            }
            if known.as_ref().is_some_and(|known| known.state.end.is_some()) {
                let what = format!("the session `{}` has ended; ask in another one", excerpt(&new.session));
                return Err(Problem::new("review-state", StatusCode::CONFLICT, "Not in this state", what));
            }
            let fact = |known: Option<&str>, name: &str| known.or(new.fact(name)).unwrap_or_default().to_owned();
            let role = fact(facts.and_then(|facts| facts.role.as_deref()), "role");
            let kind = fact(facts.and_then(|facts| facts.kind.as_deref()), "type");
            let rule = rules::of(&rules, &role, &kind, new.scope);
            let terms = rule.map_or(terms.clone(), |rule| rule.apply(terms));
            let now = Micros::now();
            let request = ReviewRequest {
                scope: new.scope,
                command: new.command,
                groups: terms.groups,
                min_approvals: terms.min_approvals,
                expires_at: None,
                duration_ms: terms.duration.filter(|_| new.scope == Scope::Session).map(|lasting| u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX)),
                reason: new.reason.clone().map(Into::into),
            };
            let mut line = serde_json::to_value(&request).map_err(Problem::internal)?;
            line["session"] = json!(new.session);
            line["time"] = json!(now.to_string());
            line["kind"] = json!("review.request");
            line["review"] = json!(id);
            if let Some(expires_in) = terms.expires_in {
                line["expires_at"] = json!(now.saturating_add(expires_in).to_string());
            }
            if let Some(seq) = new.seq {
                line["seq"] = json!(seq);
            }
            let mut lines = Vec::new();
            if let (None, Some(start)) = (facts, new.start) {
                let mut start = Value::Object(start);
                start["session"] = json!(new.session);
                start["time"] = json!(now.to_string());
                start["kind"] = json!("session.start");
                lines.push(start);
            }
            lines.push(line);
            decide::append(engine, Batch::of(caller.sender()), &lines)?;
            Ok(Asked { session: new.session, review: id, new: true })
        })
        .await
    }
}

/// Is what was asked for before what is asked for again?
fn same(before: &ReviewRequest, new: &NewReview, id: &str) -> Result<(), Problem> {
    let reason = before.reason.as_deref() == new.reason.as_deref();
    if (before.scope, before.command) == (new.scope, new.command) && reason {
        return Ok(());
    }
    let what = format!(
        "the session has a review `{}` that asks for something else; give this one another id",
        excerpt(id)
    );
    Err(Problem::new("review-taken", StatusCode::CONFLICT, "Taken", what).about("review"))
}
