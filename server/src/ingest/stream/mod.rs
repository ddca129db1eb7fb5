//! `GET /v1/events` as a WebSocket: one connection for a proxy that sends all day.
//!
//! | module | what is there |
//! |---|---|
//! | [`connection`] | one connection: reading, taking in, acknowledging, closing |
//! | [`resume`] | up to where a session is stored |
//! | [`wire`] | what is sent down, and why a connection is closed |
//!
//! ```text
//! producer                                     daybook
//!    ──── GET /v1/events?session=a  Upgrade ─────►
//!    ◄─── {"type":"hello","credit":4194304,"sessions":[{"session":"a","first":1,"through":41}],...}
//!    ──── frame 1: lines 42.. of a ──────────────►  taken in, in this order
//!    ──── frame 2 ───────────────────────────────►  (several on their way to the disk at once)
//!    ◄─── {"type":"ack","frame":1,"credit":80213,"accepted":300,...}     frame 1 is durable
//!    ──── frame 3 ...
//! ```
//!
//! A frame is one WebSocket message: NDJSON as `POST /v1/events` takes it, as text or binary, or
//! binary with zstd (told by zstd's magic number, which no line starts with). Frames have no numbers
//! of their own; they are counted, from 1. Each gets one ack, in their order, once it is durable.
//!
//! **Credit** is how many bytes of frames may be on their way: `hello` gives it, a frame takes its
//! length, its ack gives that back. A producer that waits for credit is one that a slow disk slows
//! down; one that does not wait is cut off. So a connection takes a bounded piece of memory, and the
//! frames of all of them together take at most half of the log's queue: uploads have the rest. A frame is
//! let in as an upload is, by the memory and the rate of its producer; where an upload is sent away, a
//! frame waits.
//!
//! **After a break** nothing is known of frames that had no ack. The producer connects again, asks for
//! its sessions, and sends what comes after `through`; what was stored beyond it is a duplicate.
//!
//! **Why WebSocket** and not a stream of HTTP/2: proxies and load balancers pass it on unbuffered in both
//! directions, every language has a client, and its messages are what is to be acknowledged: one
//! frame, one ack, and no framing of our own.

mod connection;
mod resume;
mod wire;

use super::queue::QueuePart;
use super::takes_events;
use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::problem::{Document, Problem};
use crate::state::App;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// A connection asks after at most this many sessions.
pub const SESSIONS_MAX: usize = 100;
/// A frame may decompress to this many times the bound on its length.
const UNPACKED_FACTOR: u64 = 16;

/// What the streams of a server share.
#[derive(Debug)]
pub struct Streams {
    slots: Arc<Semaphore>,
    max: usize,
    /// For frames on their way to the disk.
    queue: QueuePart,
    stopping: watch::Sender<bool>,
}

impl Streams {
    /// At most `max` streams at once, which fill a queue of so many bytes at most by half.
    #[must_use]
    pub fn new(max: usize, queue_bytes: u64) -> Streams {
        let max = max.min(Semaphore::MAX_PERMITS >> 1);
        Streams {
            slots: Arc::new(Semaphore::new(max)),
            max,
            queue: QueuePart::half(queue_bytes),
            stopping: watch::Sender::new(false),
        }
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.max.saturating_sub(self.slots.available_permits())
    }

    /// Becomes `true` once they are to end.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Has all of them answer what they read, and end; no more are begun.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until none is open; after [`Streams::stop`].
    pub async fn ended(&self) {
        // An error means that they can't be counted any more: there are none.
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        let _ = self.slots.acquire_many(all).await;
    }
}

/// The sessions that a stream is about to go on with.
#[derive(Debug)]
pub struct Resume(Vec<String>);

impl FromFields for Resume {
    fn read(fields: &mut Fields) -> Result<Resume, Problem> {
        let sessions = fields.each("session")?;
        if sessions.len() > SESSIONS_MAX {
            return Err(Problem::parameter(
                "session",
                format!("a stream can ask after {SESSIONS_MAX} sessions, not {}", sessions.len()),
            ));
        }
        Ok(Resume(sessions))
    }
}

/// Stores events as they come, over one long connection.
///
/// A WebSocket: frames of NDJSON go up, an ack for each comes down when its events are on disk, in
/// their order. The first message down says how many bytes may be on their way (`credit`) and, for
/// each `session` asked after, up to which `seq` it is stored. docs/streaming.md has the whole of it.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(
        ("session" = Option<Vec<String>>, Query, description = "a session to go on with; may be repeated, up to 100 times"),
    ),
    responses(
        (status = 101, description = "the connection is a WebSocket now"),
        (status = 400, description = "a bad parameter, or a request that is half an upgrade", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "no token, or none that is known", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "a page of another site asked, or the token has not the scope `ingest`", body = Document, content_type = "application/problem+json"),
        (status = 426, description = "not asked for as a WebSocket", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many streams (see Retry-After), read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full (see Retry-After)", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn stream_events(
    State(app): State<App>,
    caller: Caller,
    Params(Resume(sessions)): Params<Resume>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(not_asked_for)?;
    takes_events(&app)?;
    if *app.streams.stopping.borrow() {
        return Err(daybook_engine::Error::Closed.into());
    }
    let slot = Arc::clone(&app.streams.slots).try_acquire_owned().map_err(|_| {
        Problem::busy("too many streams at once (streams_max); close some, or come again later")
    })?;
    // Those that are somewhat over the bound are read, so that they can be told.
    let bytes = usize::try_from(connection::frame_bytes_max(&app).saturating_mul(2));
    let bytes = bytes.unwrap_or(usize::MAX);
    let upgrade = upgrade.max_message_size(bytes).max_frame_size(bytes);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _slot = slot;
        connection::run(socket, app, caller, sessions).await;
    }))
}

fn not_asked_for(rejection: WebSocketUpgradeRejection) -> Problem {
    use WebSocketUpgradeRejection as R;
    match rejection {
        R::InvalidConnectionHeader(_) | R::InvalidUpgradeHeader(_) => Problem::new(
            "upgrade",
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket wanted",
            "GET here is a WebSocket of events (docs/streaming.md); POST takes an upload",
        ),
        other => Problem::new(
            "upgrade",
            StatusCode::BAD_REQUEST,
            "Bad upgrade",
            format!("this is no request for a WebSocket: {other}"),
        ),
    }
}
