//! `GET /v1/tail`: what arrives and matches, as server-sent events.
//!
//! ```text
//! log ─ follow: a window of offsets at a time ─► a few messages ─► socket
//! ```
//!
//! Nothing is kept for a reader: the log is the buffer. One that reads slowly is behind, and misses nothing; one
//! whose connection breaks goes on after the `id` that it saw last, which is an offset. Where nothing matches,
//! the id moves all the same, with the sign of life, so that going on does not mean looking at everything again.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::problem::{Document, Problem};
use crate::state::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use daybook_engine::event::Offset;
use daybook_query::lang::Query;
use daybook_query::search::{Followed, follow};
use futures_util::stream;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use utoipa::IntoParams;

/// Hits in a message.
const HITS_MAX: usize = 256;
/// Messages that may wait for the socket.
const MESSAGES_MAX: usize = 2;
/// How long events are gathered before they are looked at: under load they come by the thousand.
const PACE: Duration = Duration::from_millis(25);
/// How often something is said while there is nothing to say.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// The parameters of a tail.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TailQuery {
    /// Which events; all if unsaid.
    #[param(value_type = Option<String>)]
    q: Option<Query>,
    /// The offset to begin at; what arrives from now on, if unsaid. A header `Last-Event-ID` goes before it.
    #[param(value_type = Option<u64>)]
    from: Option<Offset>,
}

impl FromFields for TailQuery {
    fn read(fields: &mut Fields) -> Result<TailQuery, Problem> {
        let q = fields.query("q")?;
        let from = fields.text("from")?.map(|text| offset("from", &text)).transpose()?;
        Ok(TailQuery { q, from })
    }
}

fn offset(name: &'static str, text: &str) -> Result<Offset, Problem> {
    // One below the last number there is, so that there is one after it.
    text.parse().ok().filter(|offset| *offset < u64::MAX).map(Offset).ok_or_else(|| {
        Problem::parameter(name, format!("`{name}` is an offset: a whole number from 0 on"))
    })
}

/// Sends what arrives and matches.
///
/// Server-sent events: `data` is a hit as a search gives it, `id` its offset. After a break a client goes on
/// with `Last-Event-ID` (browsers do so by themselves): nothing is skipped, nothing comes twice. Filters on
/// sessions are answered as the session is when its event is sent.
#[utoipa::path(
    get,
    path = "/v1/tail",
    tag = "search",
    params(
        TailQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "the offset of the last event that was seen: goes on after it"),
    ),
    responses(
        (status = 200, description = "the hits as they arrive, until one of the two goes away", body = String, content_type = "text/event-stream"),
        (status = 400, description = "the query can't be read (see start and end), or a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many tails (see Retry-After), or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_tail(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Params(asked): Params<TailQuery>,
) -> Result<Response, Problem> {
    let seen = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let seen = seen.filter(|text| !text.is_empty());
    let after = seen.map(|text| match text {
        START => Ok(Offset(0)),
        text => offset("Last-Event-ID", text).map(|Offset(seen)| Offset(seen + 1)),
    });
    let after = after.transpose()?;
    let slot = Arc::clone(&app.tails).try_acquire_owned().map_err(|_| {
        Problem::busy("too many tails at once (tails_max); close some, or come again later")
    })?;
    if *app.streams.stopping().borrow() {
        return Err(daybook_engine::Error::Closed.into());
    }
    let end = *app.engine.follow().borrow();
    let at = after.or(asked.from).unwrap_or(end);
    let (sender, messages) = mpsc::channel(MESSAGES_MAX);
    let tail = Tail {
        app,
        caller,
        query: Arc::new(asked.q.unwrap_or_else(Query::all)),
        at,
        said: at,
        sender,
        _slot: slot,
    };
    tokio::spawn(tail.run());
    let body = stream::unfold(messages, |mut messages| async move {
        messages.recv().await.map(|message| (Ok::<_, io::Error>(message), messages))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold up what is live.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The id of a reader that has seen everything before the log's first event.
const START: &str = "start";

/// A bare id, after which a reader goes on at an offset: no event, but it is kept.
fn id_before(Offset(next): Offset) -> String {
    match next.checked_sub(1) {
        Some(last) => format!("id: {last}\n\n"),
        None => format!("id: {START}\n\n"),
    }
}

/// One reader.
struct Tail {
    app: App,
    caller: Caller,
    query: Arc<Query>,
    /// Everything before it has been looked at,
    at: Offset,
    /// and this is what the reader knows of that.
    said: Offset,
    sender: mpsc::Sender<Bytes>,
    _slot: OwnedSemaphorePermit,
}

/// The reader is gone, or is to go.
struct Gone;

impl Tail {
    async fn run(mut self) {
        // Whoever is gone hears nothing.
        let _ = self.follow().await;
    }

    async fn follow(&mut self) -> Result<(), Gone> {
        let mut end = self.app.engine.follow();
        let mut stopping = self.app.streams.stopping();
        // What a client waits for before it believes that it is connected; and from here on it can go on.
        self.say(format!("retry: 1000\n{}", id_before(self.at))).await?;
        let mut due = Instant::now() + SIGN_OF_LIFE;
        while !*stopping.borrow() {
            // Before the look: what comes meanwhile is seen as a change.
            end.borrow_and_update();
            let step = match self.step().await {
                Ok(step) => step,
                Err(problem) => {
                    let document = serde_json::to_string(problem.document()).unwrap_or_default();
                    return self.say(format!("event: problem\ndata: {document}\n\n")).await;
                }
            };
            self.at = step.next;
            self.hits(&step).await?;
            // Also where much arrives and nothing matches.
            if Instant::now() >= due {
                self.sign_of_life().await?;
                due = Instant::now() + SIGN_OF_LIFE;
            }
            if !step.at_end {
                continue;
            }
            tokio::select! {
                changed = end.changed() => {
                    changed.map_err(|_| Gone)?;
                    tokio::time::sleep(PACE).await;
                }
                () = tokio::time::sleep_until(due) => {}
                () = self.sender.closed() => return Err(Gone),
                _ = stopping.changed() => {}
            }
        }
        Ok(())
    }

    async fn step(&self) -> Result<Followed, Problem> {
        let (engine, query) = (Arc::clone(&self.app.engine), Arc::clone(&self.query));
        let (scope, at) = (self.caller.sees(), self.at);
        let step = self
            .app
            .reads
            .run_within(self.app.config.read_time_max, move || {
                follow(&engine.snapshot(), &query, &scope, at, HITS_MAX)
            })
            .await??;
        Ok(step)
    }

    async fn hits(&mut self, step: &Followed) -> Result<(), Gone> {
        let mut text = String::new();
        if step.unreadable > 0 {
            let events = step.unreadable;
            let _ = write!(text, "event: unreadable\ndata: {{\"events\":{events}}}\n\n");
        }
        for hit in &step.hits {
            let json = serde_json::to_string(hit).map_err(|_| Gone)?;
            let _ = write!(text, "id: {}\ndata: {json}\n\n", hit.offset);
        }
        if let Some(last) = step.hits.last() {
            self.said = Offset(last.offset.0 + 1);
        }
        if text.is_empty() { Ok(()) } else { self.say(text).await }
    }

    /// Says that somebody is there, and how far the log was looked at.
    async fn sign_of_life(&mut self) -> Result<(), Gone> {
        let token = self.caller.0.as_ref();
        if token.is_some_and(|token| !self.app.tokens.still_valid(token)) {
            return Err(Gone);
        }
        let text = if self.at > self.said { id_before(self.at) } else { ":\n\n".to_owned() };
        self.said = self.at;
        self.say(text).await
    }

    async fn say(&self, text: String) -> Result<(), Gone> {
        // One that takes nothing for too long goes on later, where it was.
        let limit = self.app.config.idle_max;
        self.sender.send_timeout(text.into(), limit).await.map_err(|_| Gone)
    }
}
