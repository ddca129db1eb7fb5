//! `GET /v1/stats`.

use crate::health;
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
    warnings: Vec<String>,
    connections: u64,
    connections_max: u64,
    open_files: Option<u64>,
    open_files_max: Option<u64>,
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
    let now = Arc::clone(&app);
    app.read(move |_| -> Result<_, Problem> {
        let files = health::open_files();
        Ok(Answer {
            engine: now.engine.stats()?,
            warnings: health::warnings(&now),
            connections: now.connections.open(),
            connections_max: now.config.connections_max as u64,
            open_files: files.map(|(open, _)| open),
            open_files_max: files.map(|(_, max)| max),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: now.started.elapsed().as_secs(),
        })
    })
    .await
}
