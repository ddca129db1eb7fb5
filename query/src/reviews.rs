//! Access requests: one, and lists of them over all sessions.
//!
//! A list has two halves: what waits, the longest wait first, and then what was decided, the sessions with the latest
//! decision first. The first half is gathered whole, so that its order is exact; the second goes along the catalog.

use crate::cursor::{self, List};
use crate::error::QueryError;
use crate::item::Time;
use crate::timeline::runs::Runs;
use daybook_engine::catalog::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use daybook_engine::catalog::sort::{Sort, SortFact, SortValue};
use daybook_engine::event::wire::{Body, ReviewDecision};
use daybook_engine::event::{Micros, Scope, Seq, SessionKey};
use daybook_engine::review::{Review, ReviewStatus};
use daybook_engine::session::Status;
use daybook_engine::view::{ListPlace, ListRequest, Session, Snapshot};
use serde::Serialize;
use std::ops::ControlFlow;

/// The most reviews of a page.
pub const LIMIT_MAX: usize = 200;
/// Of so many sessions at most those that wait are gathered; of more, those that began first.
const PENDING_SESSIONS_MAX: usize = 10_000;
/// Sessions that are looked at in one go.
const SESSIONS: usize = 500;
/// As much of a command is shown, in bytes.
const INPUT_BYTES_MAX: usize = 4 << 10;

/// A review of a session or of one of its commands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewItem {
    /// Its id.
    pub id: Box<str>,
    /// Where it stands.
    pub status: ReviewStatus,
    /// Since when it stands there.
    pub since: Option<Time>,
    /// The request's number in the session; none while only decisions have arrived.
    pub seq: Option<Seq>,
    /// When it was asked for.
    pub requested_at: Option<Time>,
    /// What was asked.
    #[serde(flatten)]
    pub request: Option<RequestItem>,
    /// How many approvals it takes.
    pub approvals_needed: u32,
    /// Whose approvals count.
    pub approvers: Vec<Box<str>>,
    /// Until when a session that was approved may last, if that is bounded.
    pub valid_until: Option<Time>,
    /// What was said, by time.
    pub decisions: Vec<DecisionItem>,
}

/// What a review asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestItem {
    /// What it is about.
    pub scope: Scope,
    /// The command that waits, for scope `command`.
    pub command: Option<Seq>,
    /// The groups that may decide.
    pub groups: Vec<Box<str>>,
    /// How many approvals were asked for; one if unsaid.
    pub min_approvals: Option<u32>,
    /// When it expires.
    pub expires_at: Option<Time>,
    /// How long the session may last once it is approved.
    pub duration_ms: Option<u64>,
    /// Why it is asked for.
    pub reason: Option<Box<str>>,
}

/// What was said of a review.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionItem {
    /// Its number in the session.
    pub seq: Seq,
    /// When it was said.
    pub time: Time,
    /// What was said, by whom.
    #[serde(flatten)]
    pub said: Box<ReviewDecision>,
    /// Did it have an effect?
    pub effective: bool,
}

/// A review with what is known of its session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewEntry {
    /// The review.
    #[serde(flatten)]
    pub review: ReviewItem,
    /// The session's id.
    pub session: Box<str>,
    /// The session's status.
    pub session_status: Status,
    /// Who asks: the session's user.
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
    /// The beginning of the command that waits, once it arrived.
    pub input: Option<Box<str>>,
    /// Has the command more than that?
    pub input_cut: bool,
}

/// Which reviews are asked for.
#[derive(Clone, Debug)]
pub struct ReviewsParams<'a> {
    /// Only of these sessions.
    pub filter: SessionFilter,
    /// Only those that stand there; empty for all.
    pub statuses: &'a [ReviewStatus],
    /// A `next_cursor`.
    pub cursor: Option<&'a str>,
    /// At most this many, up to [`LIMIT_MAX`].
    pub limit: usize,
}

/// A page of reviews.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewPage<T> {
    /// The reviews: what waits, the longest wait first; then what was decided, the latest first.
    pub items: Vec<T>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
}

impl ReviewItem {
    /// The item of a review of a session of `requester`'s.
    #[must_use]
    pub fn of(id: &str, review: &Review, requester: Option<&str>) -> ReviewItem {
        let standing = review.standing(requester);
        let request = review.request.as_ref();
        let lasts = request.and_then(|(_, _, request)| request.duration_ms);
        let lasts = lasts.filter(|_| review.scope() == Scope::Session);
        let until = standing.approved_at.zip(lasts).map(|(Micros(at), lasts)| {
            let lasts = i64::try_from(lasts).unwrap_or(i64::MAX).saturating_mul(1_000);
            Time(Micros(at.saturating_add(lasts)))
        });
        let mut decisions: Vec<DecisionItem> = review
            .decisions
            .iter()
            .map(|(seq, (time, said))| DecisionItem {
                seq: *seq,
                time: Time(*time),
                said: said.clone(),
                effective: standing.effective.contains(seq),
            })
            .collect();
        decisions.sort_by_key(|decision| (decision.time, decision.seq));
        ReviewItem {
            id: id.into(),
            status: standing.status,
            since: standing.since.map(Time),
            seq: request.map(|(seq, _, _)| *seq),
            requested_at: request.map(|(_, time, _)| Time(*time)),
            request: request.map(|(_, _, request)| RequestItem {
                scope: request.scope,
                command: request.command,
                groups: request.groups.clone(),
                min_approvals: request.min_approvals,
                expires_at: request.expires_at.map(Time),
                duration_ms: request.duration_ms,
                reason: request.reason.clone(),
            }),
            approvals_needed: review.approvals_needed(),
            approvers: standing.approvers.iter().flatten().map(|name| (*name).into()).collect(),
            valid_until: until,
            decisions,
        }
    }
}

/// A review with what is known of its session; `None` if the session has none of this id.
///
/// # Errors
/// A part of the log that can't be read.
pub fn entry(
    snapshot: &Snapshot,
    session: &Session,
    id: &str,
) -> Result<Option<ReviewEntry>, QueryError> {
    let Some(review) = session.state.reviews.get(id) else { return Ok(None) };
    let facts = session.state.facts().cloned().unwrap_or_default();
    let command = review.request.as_ref().and_then(|(_, _, request)| request.command);
    let (input, input_cut) = match command {
        Some(command) => input(snapshot, session.key, command)?,
        None => (None, false),
    };
    Ok(Some(ReviewEntry {
        review: ReviewItem::of(id, review, session.state.requester()),
        session: (*session.id).into(),
        session_status: session.state.status(),
        user: facts.user,
        user_name: facts.user_name,
        role: facts.role,
        kind: facts.kind,
        subtype: facts.subtype,
        agent: facts.agent,
        input,
        input_cut,
    }))
}

/// The beginning of a command, and whether there is more.
fn input(
    snapshot: &Snapshot,
    key: SessionKey,
    command: Seq,
) -> Result<(Option<Box<str>>, bool), QueryError> {
    let runs = Runs::of(snapshot, key)?;
    let Some(found) = runs.find(command.0) else { return Ok((None, false)) };
    let mut text = (None, false);
    runs.read(&[found], |_, record| {
        if let Body::Command(command) = record.event()?.body {
            let end = command.input.floor_char_boundary(INPUT_BYTES_MAX);
            text = (command.input.get(..end).map(Into::into), end < command.input.len());
        }
        Ok(ControlFlow::Break(()))
    })?;
    runs.check()?;
    Ok(text)
}

/// The sessions that have a review which stands in one of these ways.
fn with_review(filter: &SessionFilter, statuses: &[ReviewStatus]) -> SessionFilter {
    let any = statuses
        .iter()
        .map(|status| SessionFilter::Text(TextFact::ReviewStatus, Pattern::exact(status.name())));
    SessionFilter::And(vec![filter.clone(), SessionFilter::Or(any.collect())])
}

/// A review that waits, by its place in a list: since when, and which one.
type Waiting<'a> = (i64, u64, u32, &'a Session, &'a str);

/// The sessions with a review that waits, those that began first at first.
///
/// # Errors
/// The catalog's.
pub fn pending_sessions(
    snapshot: &Snapshot,
    filter: &SessionFilter,
) -> Result<Vec<Session>, QueryError> {
    let filter = with_review(filter, &[ReviewStatus::Pending]);
    let sort = Sort { by: SortFact::Number(NumberFact::Started), descending: false };
    let (mut sessions, mut after) = (Vec::new(), None);
    loop {
        let request = ListRequest { filter: filter.clone(), sort, after, limit: SESSIONS };
        let page = snapshot.sessions.list(&request)?;
        sessions.extend(page.items);
        after = page.next;
        if after.is_none() || sessions.len() >= PENDING_SESSIONS_MAX {
            return Ok(sessions);
        }
    }
}

/// A page of reviews.
///
/// # Errors
/// A cursor of another list, or what the engine says.
pub fn list(
    snapshot: &Snapshot,
    params: &ReviewsParams<'_>,
) -> Result<ReviewPage<ReviewEntry>, QueryError> {
    let after: Option<[u64; 5]> =
        params.cursor.map(|text| cursor::decode(List::Reviews, text)).transpose()?;
    let wanted =
        |status: ReviewStatus| params.statuses.is_empty() || params.statuses.contains(&status);
    let limit = params.limit.clamp(1, LIMIT_MAX);
    let mut page = Page { items: Vec::new(), last: None, limit, more: false };
    if wanted(ReviewStatus::Pending) && after.is_none_or(|[half, ..]| half == 0) {
        waiting(snapshot, params, after, &mut page)?;
    }
    let decided: Vec<ReviewStatus> = ReviewStatus::ALL
        .into_iter()
        .filter(|status| *status != ReviewStatus::Pending && wanted(*status))
        .collect();
    if !page.more && !decided.is_empty() {
        let after = after.filter(|[half, ..]| *half == 1);
        along(snapshot, params, &decided, after, &mut page)?;
    }
    let next = page.last.filter(|_| page.more);
    let next_cursor = next.map(|place| cursor::encode(List::Reviews, place));
    Ok(ReviewPage { items: page.items, next_cursor })
}

/// A page that is being filled.
struct Page {
    items: Vec<ReviewEntry>,
    /// The place of the last one.
    last: Option<[u64; 5]>,
    limit: usize,
    /// There are more than the page takes.
    more: bool,
}

impl Page {
    fn push(
        &mut self,
        snapshot: &Snapshot,
        (session, id): (&Session, &str),
        place: [u64; 5],
    ) -> Result<(), QueryError> {
        if self.items.len() == self.limit {
            self.more = true;
        } else if let Some(entry) = entry(snapshot, session, id)? {
            self.items.push(entry);
            self.last = Some(place);
        }
        Ok(())
    }
}

fn waiting(
    snapshot: &Snapshot,
    params: &ReviewsParams<'_>,
    after: Option<[u64; 5]>,
    page: &mut Page,
) -> Result<(), QueryError> {
    let sessions = pending_sessions(snapshot, &params.filter)?;
    let mut waiting: Vec<Waiting<'_>> = Vec::new();
    for session in &sessions {
        for (id, review) in &session.state.reviews {
            let Some((seq, time, _)) = &review.request else { continue };
            if session.state.review_status(review) == ReviewStatus::Pending {
                waiting.push((time.0, session.key.0, seq.0, session, id));
            }
        }
    }
    waiting.sort_by_key(|(time, key, seq, ..)| (*time, *key, *seq));
    for (time, key, seq, session, id) in waiting {
        let place = [0, time.cast_unsigned(), key, seq.into(), 0];
        // Times are not negative.
        if after.is_some_and(|after| place <= after) {
            continue;
        }
        page.push(snapshot, (session, id), place)?;
        if page.more {
            break;
        }
    }
    Ok(())
}

fn along(
    snapshot: &Snapshot,
    params: &ReviewsParams<'_>,
    statuses: &[ReviewStatus],
    after: Option<[u64; 5]>,
    page: &mut Page,
) -> Result<(), QueryError> {
    let filter = with_review(&params.filter, statuses);
    let sort = Sort { by: SortFact::Number(NumberFact::LastReview), descending: true };
    // The session of the last one comes again: it may have more.
    let mut from = after.map(|[_, last_review, key, ..]| ListPlace {
        value: Some(SortValue::Number(last_review.cast_signed())),
        key: SessionKey(key.saturating_add(1)),
    });
    loop {
        let request = ListRequest {
            filter: filter.clone(),
            sort,
            after: from,
            limit: SESSIONS.min(page.limit + 1),
        };
        let sessions = snapshot.sessions.list(&request)?;
        for session in &sessions.items {
            let last_review = session.state.last_review_at().unwrap_or_default().0.cast_unsigned();
            let mut decided: Vec<(u64, u64, &str)> = Vec::new();
            for (id, review) in &session.state.reviews {
                let Some((seq, ..)) = &review.request else { continue };
                if statuses.contains(&session.state.review_status(review)) {
                    let changed = review.changed_at().unwrap_or_default().0.cast_unsigned();
                    decided.push((changed, seq.0.into(), id));
                }
            }
            decided.sort_by(|a, b| b.cmp(a));
            for (changed, seq, id) in decided {
                let place = [1, last_review, session.key.0, changed, seq];
                if after.is_some_and(|after| place >= after) {
                    continue;
                }
                page.push(snapshot, (session, id), place)?;
                if page.more {
                    return Ok(());
                }
            }
        }
        from = sessions.next;
        if from.is_none() {
            return Ok(());
        }
    }
}
