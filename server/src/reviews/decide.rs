//! Deciding: one at a time, on what the log says at that moment.
//!
//! ```text
//! lock ─► read the session's state ─► may this be said now, by this one? ─► append, durable ─► unlock ─► answer
//! ```
//!
//! So of two reviewers at once one comes second and is answered what the first one said; an approval that arrives after
//! the end is refused, whether or not the end was written down; and what was answered survives a crash. A decision that
//! is said again by the same person is answered as it was the first time, and written once.
//!
//! | decision | who may | on |
//! |---|---|---|
//! | `approved`, `rejected` | scope `review`, a group of the request, not the requester (who may reject) | pending |
//! | `approved` with `force` | scope `review`, a group that a rule lets decide alone, not the requester | pending |
//! | `revoked` | as `rejected`, and the requester; or the session's proxy | pending, approved, executed sessions |
//! | `executed` | scope `ingest`: the session's proxy | approved |
//! | `expired` | daybook alone | pending |

use super::rules::{self, Rule};
use super::{Reviews, find};
use crate::auth::Caller;
use crate::auth::tokens::Scope as TokenScope;
use crate::problem::Problem;
use axum::http::StatusCode;
use daybook_engine::event::time::excerpt;
use daybook_engine::event::wire::ReviewDecision;
use daybook_engine::event::{Decision, Micros, Offset};
use daybook_engine::review::{Review, ReviewStatus, is_same};
use daybook_engine::view::{Session, Snapshot};
use daybook_engine::{Batch, Engine};
use serde_json::json;

/// What somebody wants to say.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub decision: Decision,
    pub comment: Option<Box<str>>,
    /// Alone, though more would have to approve.
    pub force: bool,
    pub by: Box<str>,
}

/// A state in which something can't be done.
fn conflict(what: String) -> Problem {
    Problem::new("review-state", StatusCode::CONFLICT, "Not in this state", what)
}

fn forbidden(what: String) -> Problem {
    Problem::new("review-right", StatusCode::FORBIDDEN, "Not yours to decide", what)
}

/// May this one say this of a review that stands anywhere?
fn right(
    (session, review): (&Session, &Review),
    caller: &Caller,
    rule: Option<&Rule>,
    (decision, force, by): (Decision, bool, &str),
    of_proxy: bool,
) -> Result<(), Problem> {
    let own = is_same(Some(by), session.state.requester());
    let scope = |scope: TokenScope| match caller.may(scope) {
        true => Ok(()),
        false => {
            Err(forbidden(format!("`{decision}` takes a token with the scope `{}`", scope.name())))
        }
    };
    match decision {
        Decision::Expired => {
            return Err(forbidden("daybook itself says when a review expires".to_owned()));
        }
        Decision::Executed if of_proxy => return Ok(()),
        Decision::Executed => {
            scope(TokenScope::Ingest)?;
            return Err(forbidden(
                "only the proxy whose session it is says that it was executed".to_owned(),
            ));
        }
        Decision::Revoked if of_proxy => return Ok(()),
        Decision::Approved | Decision::Rejected | Decision::Revoked => scope(TokenScope::Review)?,
    }
    if own && decision == Decision::Approved {
        return Err(forbidden(format!(
            "nobody approves their own request, and this one is of `{}`",
            excerpt(by)
        )));
    }
    if own && decision == Decision::Revoked {
        return Ok(());
    }
    // Without tokens nobody knows who is in which group.
    let Some(token) = &caller.0 else { return Ok(()) };
    let is_in = |groups: &[&str]| token.groups.iter().any(|own| groups.contains(&&**own));
    let alone = rule.map(|rule| names(&rule.force)).unwrap_or_default();
    if force {
        return match is_in(&alone) {
            true => Ok(()),
            false => Err(forbidden(format!(
                "the token `{}` is in no group that may decide alone here",
                token.id
            ))),
        };
    }
    let asked = review.request.as_ref().map_or(&[][..], |(_, _, request)| &request.groups);
    let groups: Vec<&str> = match asked.is_empty() {
        false => asked.iter().map(|group| &**group).collect(),
        true => rule.map(|rule| names(&rule.groups)).unwrap_or_default(),
    };
    if groups.is_empty() || is_in(&groups) {
        return Ok(());
    }
    if decision != Decision::Approved && is_in(&alone) {
        return Ok(());
    }
    Err(forbidden(format!(
        "this takes a member of {}, and the token `{}` is of none; `daybook token create --group` makes one that is",
        groups.iter().map(|group| format!("`{}`", excerpt(group))).collect::<Vec<_>>().join(" or "),
        token.id
    )))
}

fn names(groups: &[String]) -> Vec<&str> {
    groups.iter().map(String::as_str).collect()
}

/// Is the session of the caller's own producer, or is it trusted with any?
pub(super) fn is_of_proxy(
    snapshot: &Snapshot,
    session: &Session,
    caller: &Caller,
) -> Result<bool, Problem> {
    let Some(token) = &caller.0 else { return Ok(true) };
    if !token.has(TokenScope::Ingest) {
        return Ok(false);
    }
    if token.any_session {
        return Ok(true);
    }
    let owner = snapshot.producer_of(Offset(session.key.0))?;
    Ok(owner.is_none_or(|owner| owner.is_empty() || owner == token.name))
}

/// The rule that a review is under.
pub(super) fn rule_of<'a>(
    rules: &'a [Rule],
    session: &Session,
    review: &Review,
) -> Option<&'a Rule> {
    let facts = session.state.facts();
    let role = facts.and_then(|facts| facts.role.as_deref()).unwrap_or_default();
    let kind = facts.and_then(|facts| facts.kind.as_deref()).unwrap_or_default();
    rules::of(rules, role, kind, review.scope())
}

/// What a caller may say of a review now.
pub(super) fn may(
    rules: &[Rule],
    (session, review): (&Session, &Review),
    caller: &Caller,
    of_proxy: bool,
) -> Vec<&'static str> {
    let rule = rule_of(rules, session, review);
    let Ok(by) = caller.by(None) else { return Vec::new() };
    let now = Micros::now();
    let status = session.state.review_status(review);
    let standing = session.state.review_standing(review);
    let said = standing.approvers.iter().any(|other| is_same(*other, Some(&by)));
    let wishes = [
        ("approve", Decision::Approved, false),
        ("force", Decision::Approved, true),
        ("reject", Decision::Rejected, false),
        ("revoke", Decision::Revoked, false),
        ("executed", Decision::Executed, false),
    ];
    let can = |decision, force| {
        let open = status.after(decision, review.scope()).is_some();
        let answers = matches!(decision, Decision::Approved | Decision::Rejected);
        let over = answers && review.expires_at().is_some_and(|at| now >= at);
        let again = decision == Decision::Approved && (said || session.state.ended_after(review));
        // Whoever may not force needs no button for it, and where one is enough nobody has to.
        let needless = force
            && (caller.0.is_none()
                || review.approvals_needed() < 2
                    && right((session, review), caller, rule, (decision, false, &by), of_proxy)
                        .is_ok());
        open && !over
            && !again
            && !needless
            && right((session, review), caller, rule, (decision, force, &by), of_proxy).is_ok()
    };
    wishes
        .into_iter()
        .filter(|(_, decision, force)| can(*decision, *force))
        .map(|(name, ..)| name)
        .collect()
}

/// What becomes of a wish.
enum Taken {
    /// It is written down.
    New(Box<ReviewDecision>),
    /// It was before.
    Again,
}

fn take(
    (session, review): (&Session, &Review),
    wish: &Wish,
    now: Micros,
) -> Result<Taken, Problem> {
    let standing = session.state.review_standing(review);
    let by = Some(&*wish.by);
    let said = |decision| {
        standing.effective.iter().any(|seq| {
            let said = review.decisions.get(seq).map(|(_, said)| said);
            said.is_some_and(|said| {
                said.decision == decision
                    && (is_same(said.by.as_deref(), by) || decision == Decision::Executed)
            })
        })
    };
    // What was said before is answered as it was, as long as it still holds.
    let holds = match wish.decision {
        Decision::Approved => {
            matches!(
                standing.status,
                ReviewStatus::Pending | ReviewStatus::Approved | ReviewStatus::Executed
            ) && !(wish.force && standing.status == ReviewStatus::Pending)
        }
        Decision::Rejected => standing.status == ReviewStatus::Rejected,
        Decision::Revoked => standing.status == ReviewStatus::Revoked,
        Decision::Executed => standing.status == ReviewStatus::Executed,
        Decision::Expired => standing.status == ReviewStatus::Expired,
    };
    if holds && said(wish.decision) {
        return Ok(Taken::Again);
    }
    let status = standing.status.name();
    if standing.status.after(wish.decision, review.scope()).is_none() {
        let since = standing.since.map(|time| format!(" since {time}")).unwrap_or_default();
        return Err(conflict(format!(
            "the review is {status}{since}, and can't be {}",
            wish.decision
        )));
    }
    if matches!(wish.decision, Decision::Approved | Decision::Rejected)
        && let Some(at) = review.expires_at().filter(|at| now >= *at)
    {
        return Err(conflict(format!(
            "the review is expired since {at}, and can't be {}",
            wish.decision
        )));
    }
    if wish.decision == Decision::Approved {
        if session.state.start.is_none() {
            return Err(conflict(
                "the review is pending, but the session's start has not arrived, so nobody knows who asks; approve it once it has".to_owned(),
            ));
        }
        if session.state.ended_after(review) {
            return Err(conflict("the review is pending, but its session has ended: there is nothing to approve any more".to_owned()));
        }
        if wish.force && said(Decision::Approved) {
            return Err(conflict("the review is pending, and counts your approval already; somebody else has to approve it, too".to_owned()));
        }
    }
    Ok(Taken::New(Box::new(ReviewDecision {
        decision: wish.decision,
        by: Some(wish.by.clone()),
        comment: wish.comment.clone(),
        forced: wish.force && wish.decision == Decision::Approved,
    })))
}

impl Reviews {
    /// Says something of a review; answers once it is durable.
    ///
    /// # Errors
    /// That it may not be said, or the log's.
    pub(super) async fn decide(
        &self,
        caller: Caller,
        (session, review): (Option<String>, String),
        wish: Wish,
    ) -> Result<(), Problem> {
        let rules = self.rules.clone();
        self.alone(move |engine| {
            let snapshot = engine.snapshot();
            let (session, id) = find(&snapshot, &caller, session.as_deref(), &review)?;
            let Some(review) = session.state.reviews.get(&*id) else {
                return Err(super::no_review(&id));
            };
            let of_proxy = is_of_proxy(&snapshot, &session, &caller)?;
            let rule = rule_of(&rules, &session, review);
            let said = (wish.decision, wish.force, &*wish.by);
            right((&session, review), &caller, rule, said, of_proxy)?;
            write(engine, (&session, &id, review), &wish)
        })
        .await
    }
}

/// Writes down what is said of a review, if it may be said now.
///
/// # Errors
/// That it may not, or the log's.
pub(super) fn write(
    engine: &Engine,
    (session, id, review): (&Session, &str, &Review),
    wish: &Wish,
) -> Result<(), Problem> {
    let now = Micros::now();
    let Taken::New(decision) = take((session, review), wish, now)? else { return Ok(()) };
    // After what was said before, also where the clock was set back.
    let last = review.decisions.values().map(|(time, _)| time.0).max().unwrap_or(i64::MIN);
    let time = Micros(now.0.max(last.saturating_add(1)));
    let mut line = serde_json::to_value(&decision).map_err(Problem::internal)?;
    line["session"] = json!(&*session.id);
    line["time"] = json!(time.to_string());
    line["kind"] = json!("review.decision");
    line["review"] = json!(id);
    append(engine, Batch::apart(), &[line])?;
    // What came in by other doors meanwhile may have been first.
    let after = engine.snapshot().sessions.by_key(session.key)?;
    let stands = after.as_ref().and_then(|after| {
        let review = after.state.reviews.get(id)?;
        let standing = after.state.review_standing(review);
        let counts = |seq| {
            review.decisions.get(seq).is_some_and(|(at, said)| *at == time && *said == decision)
        };
        Some((standing.effective.iter().any(counts), standing.status))
    });
    match stands {
        Some((false, status)) => Err(conflict(format!(
            "the review is {}: something else was said of it in the same moment",
            status.name()
        ))),
        _ => Ok(()),
    }
}

/// Appends lines; none of them is refused.
pub(super) fn append(
    engine: &Engine,
    mut batch: Batch,
    lines: &[serde_json::Value],
) -> Result<(), Problem> {
    for (number, line) in (1..).zip(lines) {
        let line = serde_json::to_vec(line).map_err(Problem::internal)?;
        batch.push(number, &line).map_err(|what| refused(&what))?;
    }
    let ack = engine.append_blocking(batch)?;
    ack.rejected.first().map_or(Ok(()), |rejection| Err(refused(&rejection.error)))
}

fn refused(what: &str) -> Problem {
    Problem::new(
        "refused",
        StatusCode::CONFLICT,
        "Refused",
        format!("the log does not take it: {what}"),
    )
}
