//! `/v1/admin/retention` and `/v1/admin/holds`: how long what is kept, and what is held.
//!
//! Each change names who makes it: the log tells of it in an event of the session `daybook`.

use crate::params::{Body, Fields, FromFields, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::event::Micros;
use daybook_engine::retention::{Names, NewHold, Policy, Scope};
use daybook_engine::{Engine, Error};
use daybook_query::holds::HoldItem;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Does what may take long, on a thread of its own: it goes on to its end also if nobody waits.
async fn work<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Engine) -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let engine = Arc::clone(&app.engine);
    let done = tokio::task::spawn_blocking(move || work(&engine)).await;
    Ok(done.map_err(Problem::internal)??)
}

#[derive(Serialize)]
struct PolicyAnswer {
    policy: Policy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPolicy {
    policy: Policy,
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldBody {
    #[serde(default)]
    sessions: Vec<Box<str>>,
    #[serde(default)]
    users: Vec<Names>,
    #[serde(default)]
    roles: Vec<Names>,
    query: Option<Box<str>>,
    case: Box<str>,
    reason: Box<str>,
    by: Box<str>,
}

#[derive(Serialize)]
struct HoldPage {
    items: Vec<HoldItem>,
    next_cursor: Option<String>,
    count: u64,
}

/// How long what is kept.
#[utoipa::path(
    get,
    path = "/v1/admin/retention",
    tag = "retention",
    responses(
        (status = 200, description = "the policy", body = shapes::RetentionPolicy),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_policy(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    answer(StatusCode::OK, &PolicyAnswer { policy: app.engine.policy() })
}

/// Changes how long what is kept.
///
/// Nothing is deleted before the next pass, which `POST /v1/admin/retention/run` can show and start.
#[utoipa::path(
    put,
    path = "/v1/admin/retention",
    tag = "retention",
    request_body(content = shapes::NewRetentionPolicy, description = "the whole policy, and who changes it"),
    responses(
        (status = 200, description = "the policy as it is now", body = shapes::RetentionPolicy),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn put_policy(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let NewPolicy { policy, by } = body(bytes)?;
    let policy = work(&app, move |engine| {
        engine.set_policy(policy, &by)?;
        Ok(engine.policy())
    })
    .await?;
    answer(StatusCode::OK, &PolicyAnswer { policy })
}

/// How a pass is asked for.
#[derive(Debug)]
pub struct RunParams {
    dry_run: bool,
    by: Option<String>,
}

impl FromFields for RunParams {
    fn read(fields: &mut Fields) -> Result<RunParams, Problem> {
        let dry_run = fields.flag("dry_run", false)?;
        let by = fields.text("by")?;
        if !dry_run && by.is_none() {
            return Err(Problem::parameter("by", "`by` is missing: say who deletes"));
        }
        Ok(RunParams { dry_run, by })
    }
}

/// Deletes what is past its age and not held, or says what would go.
///
/// What is held stays. Events stay at least until their journal has become a segment. Each deletion is
/// an event of the session `daybook`.
#[utoipa::path(
    post,
    path = "/v1/admin/retention/run",
    tag = "retention",
    params(
        ("dry_run" = Option<bool>, Query, description = "say what would go, and delete nothing"),
        ("by" = Option<String>, Query, description = "who deletes; needed unless `dry_run`"),
    ),
    responses(
        (status = 200, description = "what went, or would go", body = shapes::RetentionReport),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn run(
    State(app): State<App>,
    Params(params): Params<RunParams>,
) -> Result<Response, Problem> {
    let report = work(&app, move |engine| match params {
        RunParams { dry_run: false, by: Some(by) } => engine.retain(Micros::now(), &by),
        RunParams { .. } => engine.retention_plan(Micros::now()),
    })
    .await?;
    answer(StatusCode::OK, &report)
}

/// The legal holds, in the order in which they were placed.
#[utoipa::path(
    get,
    path = "/v1/admin/holds",
    tag = "retention",
    responses(
        (status = 200, description = "all of them", body = shapes::HoldPage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_holds(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let items: Vec<HoldItem> = app.engine.holds().into_iter().map(HoldItem::of).collect();
    answer(StatusCode::OK, &HoldPage { count: items.len() as u64, items, next_cursor: None })
}

/// Places a legal hold.
///
/// Once this is answered, nothing that it covers is deleted until it is released. A hold on a query
/// covers the sessions that match when it is placed, and those that match when something is about to
/// be deleted; what it has covered once stays covered.
#[utoipa::path(
    post,
    path = "/v1/admin/holds",
    tag = "retention",
    request_body(content = shapes::NewHold, description = "what it covers, and why"),
    responses(
        (status = 201, description = "the hold", body = shapes::Hold),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_hold(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let HoldBody { sessions, users, roles, query, case, reason, by } = body(bytes)?;
    let scope = Scope { sessions, users, roles, query };
    let hold = NewHold { scope, case, reason, by };
    let hold = work(&app, move |engine| engine.hold(hold)).await?;
    let mut response = answer(StatusCode::OK, &HoldItem::of(hold))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Why and by whom a hold is released.
#[derive(Debug)]
pub struct ReleaseParams {
    by: String,
    reason: String,
}

impl FromFields for ReleaseParams {
    fn read(fields: &mut Fields) -> Result<ReleaseParams, Problem> {
        let needed = |name: &str, value: Option<String>| {
            value.ok_or_else(|| {
                Problem::parameter(
                    name,
                    format!("`{name}` is missing: say who releases it, and why"),
                )
            })
        };
        let by = fields.text("by")?;
        let reason = fields.text("reason")?;
        Ok(ReleaseParams { by: needed("by", by)?, reason: needed("reason", reason)? })
    }
}

/// Releases a legal hold.
#[utoipa::path(
    delete,
    path = "/v1/admin/holds/{id}",
    tag = "retention",
    params(
        ("id" = String, Path, description = "the hold's id"),
        ("by" = String, Query, description = "who releases it"),
        ("reason" = String, Query, description = "why"),
    ),
    responses(
        (status = 200, description = "the hold that was released", body = shapes::Hold),
        (status = 400, description = "a parameter is missing or can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "there is no hold of this id", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn delete_hold(
    State(app): State<App>,
    Path(id): Path<String>,
    Params(ReleaseParams { by, reason }): Params<ReleaseParams>,
) -> Result<Response, Problem> {
    if id.starts_with(crate::cases::HOLD_PREFIX) {
        let what = format!(
            "`{}` is the hold of a case; release it there: POST /v1/cases/{{id}}/release",
            daybook_engine::event::time::excerpt(&id)
        );
        return Err(Problem::parameter("id", what));
    }
    let wanted = id.clone();
    let released = work(&app, move |engine| engine.release(&wanted, &by, &reason)).await?;
    match released {
        Some(hold) => answer(StatusCode::OK, &HoldItem::of(hold)),
        None => Err(Problem::not_found(format!(
            "there is no hold `{}`; GET /v1/admin/holds lists them",
            daybook_engine::event::time::excerpt(&id)
        ))),
    }
}
