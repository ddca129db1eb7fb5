//! `POST /v1/admin/rekey`: everything under the first encryption key.

use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use daybook_engine::{Engine, Error, Rekeyed};

/// Encrypts everything anew that is not under the first encryption key.
///
/// Ingest and reads go on meanwhile. The answer comes when it is done, which may take minutes; what was
/// done when it fails stays done. `encryption_keys` of `/v1/stats` says what is under which key.
#[utoipa::path(
    post,
    path = "/v1/admin/rekey",
    tag = "operation",
    responses(
        (status = 200, description = "what was encrypted anew", body = shapes::Rekeyed),
        (status = 400, description = "the server has no encryption keys", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "it is being done already", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "the log is read-only", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_rekey(State(app): State<App>) -> Result<Json<Rekeyed>, Problem> {
    let busy = || {
        Problem::new(
            "rekey-running",
            StatusCode::CONFLICT,
            "It is being done already",
            "everything is being put under the first encryption key; wait until it is done",
        )
    };
    match app.alone(&app.rekeys, busy, Engine::rekey).await? {
        Err(Error::Unusable { what, .. }) => {
            Err(Problem::new("rekey", StatusCode::BAD_REQUEST, "There is no key", what))
        }
        done => Ok(Json(done?)),
    }
}
