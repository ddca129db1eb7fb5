//! `POST /v1/admin/rekey`: everything under the first encryption key.

use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use daybook_engine::{Error, Rekeyed};
use std::sync::Arc;

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
    let Ok(permit) = Arc::clone(&app.rekeys).try_acquire_owned() else {
        return Err(Problem::new(
            "rekey-running",
            StatusCode::CONFLICT,
            "It is being done already",
            "everything is being put under the first encryption key; wait until it is done",
        ));
    };
    let engine = Arc::clone(&app.engine);
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        engine.rekey()
    });
    match done.await.map_err(Problem::internal)? {
        Ok(rekeyed) => Ok(Json(rekeyed)),
        Err(error) if error.is_full() => Err(Error::Full { what: error.to_string().into() }.into()),
        Err(Error::Unusable { what, .. }) => {
            Err(Problem::new("rekey", StatusCode::BAD_REQUEST, "There is no key", what))
        }
        Err(error) => Err(error.into()),
    }
}
