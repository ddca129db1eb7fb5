//! `GET /v1/sessions/{id}/replay`.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::problem::{Document, Problem};
use crate::sessions::{no_session, session_id, visible};
use crate::shapes;
use crate::state::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use daybook_engine::event::Micros;
use daybook_query::replay::{self, LIMIT_MAX, ReplayRequest};
use std::sync::Arc;
use utoipa::IntoParams;

/// The parameters of a replay.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReplayQuery {
    /// The moment of the first frame (RFC 3339, or a date in UTC); the session's start if it is left out.
    #[param(value_type = Option<String>)]
    at: Option<Micros>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// At most this many frames after the first.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 5000, default = 500)]
    limit: usize,
}

impl FromFields for ReplayQuery {
    fn read(fields: &mut Fields) -> Result<ReplayQuery, Problem> {
        Ok(ReplayQuery {
            at: fields.time("at")?,
            cursor: fields.text("cursor")?,
            limit: fields.count("limit", ReplayRequest::default().limit, LIMIT_MAX)?,
        })
    }
}

impl ReplayQuery {
    /// The page that is asked for.
    pub(crate) fn request(&self) -> ReplayRequest<'_> {
        ReplayRequest { cursor: self.cursor.as_deref(), at: self.at, limit: self.limit }
    }
}

/// A session's terminal, frame by frame, from any moment on.
///
/// A page's first frame has every row, the others those that changed. A page without frames is on its way to a moment
/// that is far from every one that was looked at: its cursor goes on.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/replay",
    tag = "sessions",
    params(("id" = String, Path, description = "the session's id"), ReplayQuery),
    responses(
        (status = 200, description = "a page of frames", body = shapes::ReplayPage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_replay(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(asked): Params<ReplayQuery>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let keyframes = Arc::clone(&app.keyframes);
    app.read(move |snapshot| -> Result<_, Problem> {
        visible(snapshot, &caller, &id)?;
        replay::replay(snapshot, &id, &keyframes, &asked.request())?.ok_or_else(|| no_session(&id))
    })
    .await
}
