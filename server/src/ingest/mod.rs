//! `/v1/events`: the way in, by `POST` and as a stream.
//!
//! | module | what is there |
//! |---|---|
//! | [`admission`] | who is let in, and when |
//! | [`decode`] | gzip and zstd, in steps |
//! | [`lines`] | bytes to lines to batches |
//! | [`queue`] | turns for the log's queue |
//! | [`upload`] | an upload as a whole: reading, parsing and appending at once |
//! | [`tally`] | what it came to |
//! | [`stream`] | the same over a WebSocket, frame by frame |

pub mod admission;
pub mod decode;
pub mod lines;
pub mod queue;
pub mod stream;
pub mod tally;
pub mod upload;

use crate::auth::Caller;
use crate::problem::{Document, Problem};
use crate::state::App;
use admission::{Admitted, Room};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use decode::{Bounds, Decoder, Encoding};
use lines::Origin;
use std::sync::Arc;
use tally::Tally;

/// What one upload may take of the memory for uploads, in bytes: its pieces and chunks in flight.
const UPLOAD_BYTES: u64 = 4 << 20;
const UPLOAD_KIB: usize = (UPLOAD_BYTES >> 10) as usize;

/// What one of unknown length begins with.
const UNKNOWN_BYTES: usize = 64 << 10;

/// Stores events.
///
/// The body is NDJSON: one event a line. Lines are independent: one that is refused never stops the
/// others. The answer comes when every accepted event is on disk. Sending the same events again is
/// safe: `(session, seq)` names an event, and a second arrival with the same content is counted as a
/// duplicate. An event without `seq` gets one, and sent again it is another event; unless the batch has
/// an `Idempotency-Key`: sent again with the same key, the same line of the same place is a duplicate, also
/// after a crash, for as long as the event is kept.
///
/// A problem says in `stored` what was stored before it: that is durable.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "makes a batch of events without `seq` safe to send again"),
        ("Content-Encoding" = Option<String>, Header, description = "`identity`, `gzip` or `zstd`"),
    ),
    request_body(
        content = String,
        content_type = "application/x-ndjson",
        description = "one event a line, each at most 16 MiB unless it is set otherwise"
    ),
    responses(
        (status = 200, description = "what became of the lines", body = Tally),
        (status = 400, description = "the body can't be decompressed, or was cut short", body = Document, content_type = "application/problem+json"),
        (status = 408, description = "nothing came for too long", body = Document, content_type = "application/problem+json"),
        (status = 413, description = "the upload is too large", body = Document, content_type = "application/problem+json"),
        (status = 415, description = "another Content-Encoding", body = Document, content_type = "application/problem+json"),
        (status = 429, description = "this producer is over its rate, or has too many uploads open (see Retry-After)", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "busy (see Retry-After), read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full (see Retry-After)", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_events(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Tally>, Problem> {
    let encoding = encoding(&headers)?;
    let key = idempotency_key(&headers)?;
    let length = content_length(&headers);
    let limits = &app.config;
    if encoding == Encoding::Identity && length.is_some_and(|n| n > limits.upload_bytes_max) {
        return Err(Problem::new(
            "too-large",
            StatusCode::PAYLOAD_TOO_LARGE,
            "Upload too large",
            format!(
                "the upload is over the limit of {} bytes; send it in parts",
                limits.upload_bytes_max
            ),
        )
        .stored(Tally::default().stored()));
    }
    let kib = match length {
        Some(_) => weight_kib(encoding, length, UPLOAD_BYTES),
        None => UNKNOWN_BYTES >> 10,
    };
    takes_events(&app)?;
    let admitted = app.admission.enter(&caller, kib, limits.busy_wait).await?;
    // One that says how long it is holds as much as it takes from the start.
    let (_held, room) = match length {
        Some(_) => (Some(admitted), None),
        None => (None, Some(Room::new(&app, &caller, admitted, kib))),
    };
    let decoder = Decoder::new(encoding, bounds(&app), Origin { sender: caller.sender(), key })
        .map_err(Problem::internal)?;
    let outcome = upload::receive(&app, decoder, body, room).await;
    match outcome {
        Ok((tally, bytes)) => {
            app.admission.spend(&caller, bytes);
            app.metrics.ingested(&tally.stored(), bytes);
            Ok(Json(tally))
        }
        Err(problem) => {
            tracing::info!(
                status = problem.status().as_u16(),
                "an upload was not taken to its end"
            );
            Err(problem)
        }
    }
}

/// Does the log take events?
fn takes_events(app: &App) -> Result<(), Problem> {
    if let Some(reason) = app.engine.read_only_reason() {
        return Err(daybook_engine::Error::ReadOnly { reason }.into());
    }
    if let Some(what) = app.engine.full_reason() {
        let problem = Problem::from(daybook_engine::Error::Full { what });
        return Err(problem.stored(Tally::default().stored()));
    }
    Ok(())
}

/// May an upload begin? Answers its share of the memory for uploads, up to `most` bytes of it.
///
/// # Errors
/// That the log takes no events now, that nothing was free for too long, or that its producer is over its
/// rate.
pub(crate) async fn admit(
    app: &App,
    caller: &Caller,
    encoding: Encoding,
    length: Option<u64>,
    most: u64,
) -> Result<Admitted, Problem> {
    takes_events(app)?;
    let kib = weight_kib(encoding, length, most);
    app.admission.enter(caller, kib, app.config.busy_wait).await
}

/// What an upload takes of the memory for uploads, in KiB, up to `most` bytes. A small one takes little;
/// what is compressed may become much more.
fn weight_kib(encoding: Encoding, length: Option<u64>, most: u64) -> usize {
    // Its bytes as they came, its lines, and what is known of each event.
    let factor = if encoding == Encoding::Identity { 3 } else { 32 };
    let weight = length.map_or(most, |n| n.saturating_mul(factor)).clamp(16 << 10, most);
    usize::try_from(weight >> 10).unwrap_or(usize::MAX)
}

/// The bounds of an upload.
pub(crate) fn bounds(app: &App) -> Bounds {
    Bounds {
        bytes_max: app.config.upload_bytes_max,
        ratio_max: app.config.upload_ratio_max,
        line_bytes_max: usize::try_from(app.engine.options().event_bytes_max).unwrap_or(usize::MAX),
    }
}

/// The encoding of a body.
///
/// # Errors
/// One that is not known, or several.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let value = values.next().map_or(Some(""), |value| value.to_str().ok());
    match (value.and_then(Encoding::from_header), values.next()) {
        (Some(encoding), None) => Ok(encoding),
        _ => Err(Problem::new(
            "content-encoding",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unknown Content-Encoding",
            "a body is sent plain, or with one Content-Encoding of gzip and zstd",
        )),
    }
}

/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    key.map(|key| Some(Arc::from(key))).ok_or_else(|| {
        Problem::new(
            "idempotency-key",
            StatusCode::BAD_REQUEST,
            "Bad Idempotency-Key",
            format!("an Idempotency-Key has 1 to {KEY_BYTES_MAX} visible ASCII characters"),
        )
    })
}

/// How long the body is, if that is said.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
