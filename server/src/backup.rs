//! `POST /v1/admin/backup`: a backup of the running log, onto the server's own disks.

use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use daybook_engine::Error;
use serde::Deserialize;
use std::path::PathBuf;
use utoipa::ToSchema;

/// Where a backup goes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupWish {
    /// A directory on the server, as an absolute path, that is not there yet or is empty.
    #[schema(value_type = String)]
    to: PathBuf,
}

/// Makes a backup of everything that was acknowledged before.
///
/// Ingest and reads go on meanwhile. The answer comes when the backup is durable. Give it a directory of
/// the same file system: sealed files are then linked, not copied.
#[utoipa::path(
    post,
    path = "/v1/admin/backup",
    tag = "operation",
    request_body = BackupWish,
    responses(
        (status = 200, description = "what it holds", body = shapes::Backup),
        (status = 400, description = "a directory that can't be used", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "another backup is running", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_backup(
    State(app): State<App>,
    wish: Result<Json<BackupWish>, JsonRejection>,
) -> Result<Json<daybook_engine::backup::Report>, Problem> {
    let bad = |detail: String| {
        Problem::new("backup", StatusCode::BAD_REQUEST, "Can't back up there", detail)
    };
    let Json(BackupWish { to }) = wish.map_err(|rejection| bad(rejection.body_text()))?;
    if !to.is_absolute() {
        return Err(bad(
            "`to` is not an absolute path: the server has its own directory".to_owned()
        ));
    }
    let busy = || {
        Problem::new(
            "backup-running",
            StatusCode::CONFLICT,
            "A backup is running",
            "another backup is running; wait until it is done",
        )
    };
    match app.alone(&app.backups, busy, move |engine| engine.backup(&to)).await? {
        Ok(report) => {
            tracing::info!(to = %report.path.display(), report.events, report.bytes, "backed up");
            Ok(Json(report))
        }
        // Who may ask for a backup may know the server's paths.
        Err(error @ (Error::Unusable { .. } | Error::Io { .. })) if !error.is_full() => {
            Err(bad(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
