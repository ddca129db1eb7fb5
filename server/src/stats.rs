//! `GET /v1/stats`.

use crate::params::{NoParams, Params};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    engine: daybook_engine::Stats,
    version: &'static str,
    uptime_seconds: u64,
}

/// What is stored, and how the parts of the engine are doing.
#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "operation",
    responses(
        (status = 200, description = "the numbers", body = shapes::Stats),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_stats(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let engine = Arc::clone(&app.engine);
    let uptime_seconds = app.started.elapsed().as_secs();
    app.read(move |_| -> Result<_, Problem> {
        Ok(Answer { engine: engine.stats()?, version: env!("CARGO_PKG_VERSION"), uptime_seconds })
    })
    .await
}
