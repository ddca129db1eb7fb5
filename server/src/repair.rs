//! `POST /v1/admin/repair`: what is derived from the log and damaged is made again.

use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use daybook_engine::{Engine, Repaired};

/// Reads every file of the sealed segments, the catalog and the text indexes, and makes again what is
/// damaged.
///
/// Ingest and reads go on meanwhile. The answer comes when it is done, which may take minutes. What can't be
/// made again (events) is named, and stays as it is.
#[utoipa::path(
    post,
    path = "/v1/admin/repair",
    tag = "operation",
    responses(
        (status = 200, description = "what was made again, and what could not be", body = shapes::Repaired),
        (status = 409, description = "it is being done already", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "the log is read-only", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_repair(State(app): State<App>) -> Result<Json<Repaired>, Problem> {
    let busy = || {
        Problem::new(
            "repair-running",
            StatusCode::CONFLICT,
            "It is being done already",
            "the log is being repaired; wait until that is done",
        )
    };
    let repaired = app.alone(&app.repairs, busy, Engine::repair).await??;
    tracing::info!(mended = repaired.mended.len(), left = repaired.left.len(), "repaired");
    Ok(Json(repaired))
}
