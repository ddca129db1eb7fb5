//! `GET /v1/cases/{id}/export`: a case with all that is in it, as one file that `daybook verify` takes.

use super::state::CaseDetails;
use super::{no_case, unlimited};
use crate::auth::Caller;
use crate::params::{NoParams, Params};
use crate::pieces::pieces;
use crate::problem::{Document, Problem};
use crate::state::App;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use daybook_engine::event::wire::Access;
use daybook_query::case_file::{self, Contents};
use std::sync::Arc;

/// Exports a case: its sessions' events and proofs, its notes, and the log's checkpoint, in one archive.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}/export",
    tag = "cases",
    params(("id" = String, Path, description = "the case's id")),
    responses(
        (status = 200, description = "a ZIP archive", body = String, content_type = "application/zip"),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such case", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many exports at once, read-only, or nothing can be signed", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn export_case(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    unlimited(&caller)?;
    let permit = Arc::clone(&app.exports)
        .try_acquire_owned()
        .map_err(|_| Problem::busy("too many exports at once; ask again when one has ended"))?;
    let (by, case) = (caller.by(None)?, id.clone());
    // Told before anything leaves.
    let (json, sessions, at) = app
        .casework
        .cases
        .act(move |cases, now| {
            let found = cases.cases.get(&*case).ok_or_else(|| no_case(&case))?;
            let json = serde_json::to_vec_pretty(&CaseDetails::of(&case, found));
            let json = json.map_err(Problem::internal)?;
            let sessions: Vec<Box<str>> = found.sessions.keys().cloned().collect();
            Ok((vec![Access::new(&by, "case.export", &case)], (json, sessions, now)))
        })
        .await?;
    let (mut out, taken) = pieces(app.config.idle_max);
    let engine = Arc::clone(&app.engine);
    let name = format!("{id}.zip");
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let contents = Contents { case: &id, json: &json, sessions: &sessions, at };
        let written = case_file::write(&engine, &contents, &mut out);
        if let Ok(written) = &written {
            tracing::info!(case = %id, written.proved, written.others, "exported a case");
        }
        out.end(written.map(|_| ()).map_err(Problem::from));
    });
    let mut response = Response::new(taken.body().await?);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
