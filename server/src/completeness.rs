//! `GET /v1/sessions/{id}/completeness`.

use crate::auth::Caller;
use crate::params::{NoParams, Params};
use crate::problem::{Document, Problem};
use crate::sessions::{no_session, session_id, visible};
use crate::shapes;
use crate::state::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use daybook_query::completeness;

/// Is everything of a session here? Names the numbers that are not, and says whether they were.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/completeness",
    tag = "proof",
    params(("id" = String, Path, description = "the session's id")),
    responses(
        (status = 200, description = "what is here", body = shapes::Completeness),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_completeness(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    app.read(move |snapshot| -> Result<_, Problem> {
        visible(snapshot, &caller, &id)?;
        completeness::completeness(snapshot, &id)?.ok_or_else(|| no_session(&id))
    })
    .await
}
