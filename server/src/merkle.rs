//! `GET /v1/checkpoint`, the tiles under `/v1/tile/`, and `GET /v1/sessions/{id}/proof`.
//!
//! With the first two, `/v1` is a log as C2SP tlog-tiles has it: any of its monitors can follow it.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, NoParams, Params};
use crate::problem::{Document, Problem};
use crate::sessions::{no_session, session_id, visible};
use crate::state::{App, json_response};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use daybook_engine::Error;
use daybook_engine::merkle::tile::Tile;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The parameters of a checkpoint.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CheckpointQuery {
    /// Wait for one that covers everything that was acknowledged before.
    #[param(value_type = Option<bool>, default = false)]
    fresh: bool,
}

impl FromFields for CheckpointQuery {
    fn read(fields: &mut Fields) -> Result<CheckpointQuery, Problem> {
        Ok(CheckpointQuery { fresh: fields.flag("fresh", false)? })
    }
}

/// The log's last checkpoint: its size and root, signed (C2SP tlog-checkpoint).
#[utoipa::path(
    get,
    path = "/v1/checkpoint",
    tag = "proof",
    params(CheckpointQuery),
    responses(
        (status = 200, description = "a signed note", body = String, content_type = "text/plain"),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "nothing was signed yet", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long, or can't be signed", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_checkpoint(
    State(app): State<App>,
    Params(asked): Params<CheckpointQuery>,
) -> Result<Response, Problem> {
    let engine = Arc::clone(&app.engine);
    let note = if asked.fresh {
        let sign = move || engine.checkpoint().map(Some);
        app.reads.run_within(app.config.read_time_max, sign).await?.map_err(unprovable)?
    } else {
        engine.last_checkpoint()
    };
    let note = note.ok_or_else(|| Problem::not_found("this log has no checkpoint"))?;
    Ok(bytes(note.as_bytes().to_vec(), "text/plain; charset=utf-8", "no-cache"))
}

/// A piece of the log's tree (C2SP tlog-tiles): `LEVEL/NUMBER` for 256 hashes, `entries/NUMBER` for 256
/// leaves, with `.p/WIDTH` behind it for one that is not full yet.
#[utoipa::path(
    get,
    path = "/v1/tile/{path}",
    tag = "proof",
    params(("path" = String, Path, description = "such as `0/x001/234`, `1/000.p/7` or `entries/000`")),
    responses(
        (status = 200, description = "the hashes, or the leaves each with its length before it", body = String, content_type = "application/octet-stream"),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such tile in the last checkpoint's tree", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_tile(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let path = path.map(|Path(path)| path);
    let path = path.map_err(|error| Problem::parameter("path", error.body_text()))?;
    let tile = Tile::parse(&path).map_err(|what| Problem::parameter("path", what))?;
    let engine = Arc::clone(&app.engine);
    let read = move || engine.tile(&tile);
    let found = app.reads.run_within(app.config.read_time_max, read).await??;
    let found = found
        .ok_or_else(|| Problem::not_found("the last checkpoint's tree does not have this tile"))?;
    // A tile never changes: whoever asked once does not have to ask again.
    Ok(bytes(found, "application/octet-stream", "private, max-age=31536000, immutable"))
}

/// The proof of a session, for `daybook verify` or anybody else to check without the server: each of its
/// events is in the log as it is here, and none between the first and the last is missing.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/proof",
    tag = "proof",
    params(("id" = String, Path, description = "the session's id")),
    responses(
        (status = 200, description = "the proof", body = Proof),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 413, description = "the session is too large for one proof", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long, or can't be signed", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_proof(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let engine = Arc::clone(&app.engine);
    let json = app
        .reads
        .run_within(app.config.read_time_max, move || -> Result<_, Problem> {
            visible(&engine.snapshot(), &caller, &id)?;
            let bundle = engine.proof(&id).map_err(unprovable)?.ok_or_else(|| no_session(&id))?;
            serde_json::to_vec(&bundle).map_err(Problem::internal)
        })
        .await??;
    Ok(json_response(json))
}

/// A log that nothing can be proved of says why; everything else is as everywhere.
pub(crate) fn unprovable(error: Error) -> Problem {
    match error {
        Error::Unusable { what, .. } => {
            Problem::new("unprovable", StatusCode::SERVICE_UNAVAILABLE, "No proof", what)
        }
        other => other.into(),
    }
}

fn bytes(body: Vec<u8>, media_type: &'static str, cache: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// The proof of a session.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Proof {
    /// `daybook-proof-1`.
    format: String,
    /// The session's id.
    session: String,
    /// Are events left out that are not shared? Then each of these is proved, and nothing is said of others.
    #[schema(nullable = false)]
    excerpt: Option<bool>,
    /// The key that checks the checkpoint: `name+id+base64`.
    key: String,
    /// The signed checkpoint.
    checkpoint: String,
    /// The blocks that hold the session's events, in order.
    blocks: Vec<ProofBlock>,
}

/// What proves the events of one block.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct ProofBlock {
    /// The leaf's index in the tree.
    index: u64,
    /// The leaf, 64 bytes in base64.
    leaf: String,
    /// The leaf's inclusion path, hashes in base64, from its sibling upward.
    path: Vec<String>,
    /// The session's events in the block.
    events: Vec<ProofEvent>,
    /// What the rest of the block hashes to, from left to right.
    cover: Vec<String>,
}

/// One event, with all that its hash is over.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct ProofEvent {
    /// Its place in the log.
    offset: u64,
    /// The place of the session's event before it.
    #[schema(required = true)]
    previous: Option<u64>,
    /// Its number in its session.
    seq: u32,
    /// When it happened.
    #[schema(format = DateTime)]
    time: String,
    /// What happened.
    kind: String,
    /// The verdict, for commands that carry one.
    #[schema(nullable = false)]
    verdict: Option<String>,
    /// When the server took it in.
    received: String,
    /// Who sent it; only if that is known.
    #[schema(nullable = false)]
    producer: Option<String>,
    /// 16 bytes in base64; only of an event that came with an idempotency key.
    #[schema(nullable = false)]
    retry: Option<String>,
    /// 16 bytes in base64.
    salt: String,
    /// The line as it was stored.
    line: String,
}
