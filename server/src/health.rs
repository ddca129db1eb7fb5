//! `GET /healthz` and `GET /readyz`, for load balancers and supervisors, and the bounds that are near.

use crate::problem::{Document, Problem};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use daybook_engine::Error;
use serde::Serialize;
use std::time::Duration;
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

/// Events are taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Ready {
    /// `ok`.
    status: &'static str,
    /// Bounds that are near or reached, in words.
    warnings: Vec<String>,
}

/// How often the log hears of bounds that are near.
const WATCH_EVERY: Duration = Duration::from_secs(10);
/// A bound is near at this part of it.
const NEAR_PERCENT: u64 = 80;

/// The bounds that are near or reached, in words.
pub fn warnings(app: &App) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(app.engine.full_reason().map(|what| format!("the disk is full: {what}")));
    let mut near = |what: &str, now: u64, max: u64| {
        if now * 100 >= max.saturating_mul(NEAR_PERCENT) {
            warnings.push(format!("{now} of at most {max} {what}"));
        }
    };
    near(
        "connections (connections_max)",
        app.connections.open(),
        app.config.connections_max as u64,
    );
    near("streams (streams_max)", app.streams.open() as u64, app.config.streams_max as u64);
    if let Some((open, max)) = open_files() {
        near("open files (open_files_max; segments and connections keep one each)", open, max);
    }
    let (waiting, max) = app.engine.queue_bytes();
    near("bytes of batches that wait (queue_bytes_max)", waiting, max);
    let (unsealed, max) = app.engine.unsealed_bytes();
    // A load that does not end stays below it: the writer slows down.
    if unsealed >= max {
        near("bytes in journals that are not sealed (unsealed_bytes_max)", unsealed, max);
    }
    warnings
}

/// The files that this process has open, and how many it may, where the system says.
pub fn open_files() -> Option<(u64, u64)> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    Some((open, line.split_whitespace().next()?.parse().ok()?))
}

/// Says in the log when a bound comes near.
pub async fn watch(app: App) {
    let mut said = Vec::new();
    loop {
        let now = warnings(&app);
        // The numbers change; what they are about is what is said once.
        let about =
            |text: &String| text.rsplit(char::is_numeric).next().unwrap_or_default().to_owned();
        for warning in now.iter().filter(|warning| !said.contains(&about(warning))) {
            tracing::warn!(%warning, "a bound is near");
        }
        said = now.iter().map(about).collect();
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Are events taken?
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses(
        (status = 200, description = "they are", body = Ready),
        (status = 503, description = "they are not; reads may still be answered", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "they are not: the disk is full; reads are answered", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn readyz(State(app): State<App>) -> Result<Json<Ready>, Problem> {
    match (app.engine.read_only_reason(), app.engine.full_reason()) {
        (Some(reason), _) => Err(Error::ReadOnly { reason }.into()),
        (None, Some(what)) => Err(Error::Full { what }.into()),
        (None, None) => Ok(Json(Ready { status: "ok", warnings: warnings(&app) })),
    }
}
