//! `GET /healthz` and `GET /readyz`, for load balancers and supervisors.

use crate::problem::{Document, Problem};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use daybook_engine::Error;
use serde::Serialize;
use utoipa::ToSchema;

/// All is well.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
}

/// Does the process answer?
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operation",
    responses((status = 200, description = "it does", body = Health))
)]
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Are events taken?
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses(
        (status = 200, description = "they are", body = Health),
        (status = 503, description = "they are not; reads may still be answered", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    match app.engine.read_only_reason() {
        Some(reason) => Err(Error::ReadOnly { reason }.into()),
        None => Ok(Json(Health { status: "ok" })),
    }
}
