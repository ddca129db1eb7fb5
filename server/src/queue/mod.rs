//! `/v1/queue`: sessions that somebody is to look at; and the marks of those that somebody did.
//!
//! | module | what is there |
//! |---|---|
//! | here | the endpoints |
//! | `rule` | which sessions a queue has |
//! | `sample` | which of them chance picks |
//! | `marks` | which were looked at |

mod marks;
mod rule;
mod sample;

pub use marks::Marks;
pub use rule::{RULES_MAX, Rule};
pub use sample::{ALL, Seed};

use crate::auth::Caller;
use crate::notes::said;
use crate::params::{Body, Fields, FromFields, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::sessions::{no_session, session_id, visible};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::catalog::filter::{NumberFact, SessionFilter};
use daybook_engine::event::Micros;
use daybook_engine::event::wire::Access;
use daybook_engine::view::{Session, Snapshot};
use daybook_query::item::Time;
use daybook_query::sessions::{LIMIT_MAX, PickParams, pick};
use marks::MARKS_MAX;
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use std::sync::Arc;
use utoipa::IntoParams;

/// The longest comment, in bytes.
const COMMENT_BYTES_MAX: usize = 4_096;
/// How many sessions a page looks at: past that it is what was found, with a cursor.
const LOOKS_MAX: usize = 50_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMark {
    comment: Option<String>,
    #[serde(default)]
    undo: bool,
    by: Option<String>,
}

#[derive(Serialize)]
struct MarkItem {
    by: Box<str>,
    at: Time,
    comment: Option<Box<str>>,
}

#[derive(Serialize)]
struct Reviewed {
    session: String,
    reviewed: Option<MarkItem>,
    queues: Vec<Box<str>>,
}

#[derive(Serialize)]
struct QueueItem {
    name: Box<str>,
    query: Box<str>,
    sample_percent: f64,
    age_max_days: u64,
}

#[derive(Serialize)]
struct QueueList {
    items: Vec<QueueItem>,
    next_cursor: Option<String>,
    count: usize,
}

/// What is in a queue's sample, wherever it stands.
fn sampled(app: &App, rule: &Rule, session: &Session) -> bool {
    app.casework.seed.draws(&rule.name, &session.id, rule.sample)
}

/// The sessions that a queue is about: those that ended, and not too long ago.
fn ended(rule: &Rule, now: Micros) -> Result<SessionFilter, Problem> {
    let filter = rule.filter(now).map_err(Problem::internal)?;
    let age = i64::try_from(rule.age_max.as_micros()).unwrap_or(i64::MAX);
    let since = Bound::Included(now.0.saturating_sub(age));
    let ended = SessionFilter::Number(NumberFact::Ended, since, Bound::Unbounded);
    Ok(SessionFilter::And(vec![filter, ended]))
}

fn reviewed(app: &App, snapshot: &Snapshot, id: &str) -> Result<Reviewed, Problem> {
    let session = snapshot.sessions.get(id)?.ok_or_else(|| no_session(id))?;
    let now = Micros::now();
    let mut queues = Vec::new();
    for rule in &app.config.queues {
        let filter = ended(rule, now)?;
        if filter.matches(&session.id, session.key, &session.state) && sampled(app, rule, &session)
        {
            queues.push(rule.name.clone());
        }
    }
    let mark = app.casework.marks.read(|marks| marks.marks.get(id).cloned());
    let reviewed =
        mark.map(|mark| MarkItem { by: mark.by, at: Time(mark.at), comment: mark.comment });
    Ok(Reviewed { session: id.to_owned(), reviewed, queues })
}

/// Was a session looked at, and which queues have it?
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/reviewed",
    tag = "cases",
    params(("id" = String, Path, description = "the session's id")),
    responses(
        (status = 200, description = "its mark, and the queues in whose samples it is", body = shapes::Reviewed),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_reviewed(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let asked = Arc::clone(&app);
    app.read(move |snapshot| -> Result<_, Problem> {
        visible(snapshot, &caller, &id)?;
        reviewed(&asked, snapshot, &id)
    })
    .await
}

/// Marks a session as reviewed, or takes the mark back.
///
/// Also a session that no queue has.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/reviewed",
    tag = "cases",
    params(("id" = String, Path, description = "the session's id")),
    request_body(content = shapes::NewMark, description = "what there is to say"),
    responses(
        (status = 200, description = "its mark, and the queues in whose samples it is", body = shapes::Reviewed),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "it is marked, or is not; or too many are", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only, busy or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_reviewed(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let NewMark { comment, undo, by } = body(bytes)?;
    let by = caller.by(by.as_deref())?;
    let comment = comment.filter(|text| !text.trim().is_empty());
    let comment = comment.map(|text| said("comment", &text, COMMENT_BYTES_MAX)).transpose()?;
    let (engine, session) = (Arc::clone(&app.engine), id.clone());
    let look = move || -> Result<(), Problem> {
        let snapshot = engine.snapshot();
        visible(&snapshot, &caller, &session)?;
        snapshot.sessions.get(&session)?.map(|_| ()).ok_or_else(|| no_session(&session))
    };
    app.reads.run_within(app.config.read_time_max, look).await??;
    let session = id.clone();
    app.casework
        .marks
        .act(move |marks, _| {
            let conflict = |what: String| {
                Problem::new("marked", StatusCode::CONFLICT, "Not in this state", what)
            };
            let before = marks.marks.get(&*session);
            match (undo, before) {
                (false, Some(mark)) => {
                    return Err(conflict(format!("it was marked by `{}` already", mark.by)));
                }
                (true, None) => return Err(conflict("it is not marked".to_owned())),
                (false, None) if marks.marks.len() >= MARKS_MAX => {
                    return Err(conflict(format!(
                        "{MARKS_MAX} sessions are marked, as many as may be"
                    )));
                }
                _ => {}
            }
            let action = if undo { "session.unreviewed" } else { "session.reviewed" };
            let act = Access::new(&by, action, &session);
            let act = match comment {
                Some(comment) => act.with("comment", comment),
                None => act,
            };
            Ok((vec![act], ()))
        })
        .await?;
    let asked = Arc::clone(&app);
    app.read(move |snapshot| reviewed(&asked, snapshot, &id)).await
}

/// The queues of sessions to look at, as they are configured.
#[utoipa::path(
    get,
    path = "/v1/queue",
    tag = "cases",
    responses(
        (status = 200, description = "all of them", body = shapes::QueueList),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_queues(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let item = |rule: &Rule| QueueItem {
        name: rule.name.clone(),
        query: rule.query.clone(),
        sample_percent: rule.percent(),
        age_max_days: rule.age_max.as_secs() / 86_400,
    };
    let items: Vec<QueueItem> = app.config.queues.iter().map(item).collect();
    let list = QueueList { count: items.len(), items, next_cursor: None };
    answer(StatusCode::OK, &list)
}

/// Which page of a queue is asked for.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QueueQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
}

impl FromFields for QueueQuery {
    fn read(fields: &mut Fields) -> Result<QueueQuery, Problem> {
        let limit = fields.count("limit", 50, LIMIT_MAX)?;
        Ok(QueueQuery { cursor: fields.text("cursor")?, limit })
    }
}

/// The sessions of a queue that nobody has marked, the one that ended first first. A page may have fewer than its limit,
/// or none, and still a cursor.
#[utoipa::path(
    get,
    path = "/v1/queue/{name}",
    tag = "cases",
    params(("name" = String, Path, description = "the queue's name"), QueueQuery),
    responses(
        (status = 200, description = "a page of sessions", body = shapes::PickPage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such queue", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_queue(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Params(asked): Params<QueueQuery>,
) -> Result<Response, Problem> {
    let found = app.config.queues.iter().find(|rule| *rule.name == *name).cloned();
    let rule = found.ok_or_else(|| {
        Problem::not_found("there is no queue of this name; GET /v1/queue lists them")
    })?;
    let filter = SessionFilter::And(vec![ended(&rule, Micros::now())?, caller.sees()]);
    let queue = Arc::clone(&app);
    app.read(move |snapshot| {
        let params = PickParams {
            filter,
            cursor: asked.cursor.as_deref(),
            limit: asked.limit,
            looks_max: LOOKS_MAX,
        };
        queue.casework.marks.read(|marks| {
            pick(snapshot, &params, &|session| {
                sampled(&queue, &rule, session) && !marks.marks.contains_key(&*session.id)
            })
        })
    })
    .await
}
