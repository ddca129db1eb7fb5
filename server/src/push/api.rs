//! `/v1/push`: how the sinks are doing.

use super::Status;
use crate::params::{NoParams, Params};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

#[derive(Serialize)]
struct Page {
    items: Vec<Status>,
    next_cursor: Option<String>,
    count: u64,
}

/// The sinks of the configuration, and how each is doing.
#[utoipa::path(
    get,
    path = "/v1/push",
    tag = "push",
    responses(
        (status = 200, description = "all of them, in the order of the configuration", body = shapes::SinkPage),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_sinks(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let end = app.engine.follow().borrow().0;
    let items: Vec<Status> = app.push.statuses(end).collect();
    let count = items.len() as u64;
    answer(StatusCode::OK, &Page { items, next_cursor: None, count })
}

/// Sends once more what a sink's receiver refused, beside what is sent anyway, and at once if it waits.
///
/// Answered before it is done: what is taken is listed no longer.
#[utoipa::path(
    post,
    path = "/v1/push/{name}/resend",
    tag = "push",
    params(("name" = String, Path, description = "the sink's name")),
    responses(
        (status = 200, description = "the sink as it is now", body = shapes::Sink),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "there is no sink of this name", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn resend(
    State(app): State<App>,
    Path(name): Path<String>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let end = app.engine.follow().borrow().0;
    let known = app.push.resend(&name);
    let sink = app.push.statuses(end).find(|status| known && *status.name == *name);
    let sink = sink.ok_or_else(|| {
        let name = daybook_engine::event::time::excerpt(&name);
        Problem::not_found(format!("there is no sink `{name}`; GET /v1/push lists them"))
    })?;
    answer(StatusCode::OK, &sink)
}
