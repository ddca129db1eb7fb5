//! Waiting: a proxy asks for a review and is answered once it is decided.
//!
//! Whoever waits is woken when something is said of any review, and looks at its own. A look costs little: where a
//! review stands is in the session's state.

use super::{Item, Named};
use crate::problem::Problem;
use crate::state::App;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use daybook_engine::review::ReviewStatus;
use futures_util::stream;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The longest wait.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);
/// Two looks are at least so far apart.
const PACE: Duration = Duration::from_millis(20);
/// How often something is said while there is nothing to say.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

fn slot(app: &App) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
    Arc::clone(&app.reviews.waits).try_acquire_owned().map_err(|_| {
        Problem::busy("too many wait for reviews at once (review_waits_max); ask again later")
    })
}

/// Waits until a review does not stand any more where it is said to stand, but not longer than a while.
///
/// # Errors
/// That too many wait, or that it is gone.
pub(super) async fn until(
    app: &App,
    named: &Named,
    status: ReviewStatus,
    wait: Duration,
) -> Result<(), Problem> {
    let _slot = slot(app)?;
    let (mut changes, mut stopping) = (app.engine.follow_reviews(), app.streams.stopping());
    let until = Instant::now() + wait.min(WAIT_MAX);
    while !*stopping.borrow() {
        changes.borrow_and_update();
        if named.look(app).await?.0 != status {
            return Ok(());
        }
        tokio::select! {
            changed = changes.changed() => {
                changed.map_err(Problem::internal)?;
                tokio::time::sleep(PACE).await;
            }
            () = tokio::time::sleep_until(until) => return Ok(()),
            _ = stopping.changed() => {}
        }
    }
    Ok(())
}

/// Sends a review as it stands, and again whenever that changes, as server-sent events.
///
/// # Errors
/// That too many wait.
pub(super) fn stream(app: App, named: Named) -> Result<Response, Problem> {
    let slot = slot(&app)?;
    let (sender, messages) = mpsc::channel::<Bytes>(2);
    tokio::spawn(async move {
        let _slot = slot;
        // Whoever is gone hears nothing.
        let _ = follow(&app, &named, &sender).await;
    });
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

/// The reader is gone, or is to go.
struct Gone;

async fn follow(app: &App, named: &Named, sender: &mpsc::Sender<Bytes>) -> Result<(), Gone> {
    let say = async |text: String| {
        let limit = app.config.idle_max;
        sender.send_timeout(text.into(), limit).await.map_err(|_| Gone)
    };
    let (mut changes, mut stopping) = (app.engine.follow_reviews(), app.streams.stopping());
    let mut seen = None;
    let mut due = Instant::now() + SIGN_OF_LIFE;
    say("retry: 1000\n\n".to_owned()).await?;
    while !*stopping.borrow() {
        changes.borrow_and_update();
        let looked = async {
            let now = named.look(app).await?;
            match seen == Some(now) {
                true => Ok(None),
                false => Item::of(app, named).await.map(|item| Some((now, item))),
            }
        };
        match looked.await {
            Ok(None) => {}
            Ok(Some((now, item))) => {
                let json = serde_json::to_string(&item).map_err(|_| Gone)?;
                say(format!("event: review\ndata: {json}\n\n")).await?;
                seen = Some(now);
            }
            Err(problem) => {
                let document = serde_json::to_string(problem.document()).unwrap_or_default();
                return say(format!("event: problem\ndata: {document}\n\n")).await;
            }
        }
        tokio::select! {
            changed = changes.changed() => {
                changed.map_err(|_| Gone)?;
                tokio::time::sleep(PACE).await;
            }
            () = tokio::time::sleep_until(due) => {
                let token = named.caller.0.as_ref();
                if token.is_some_and(|token| !app.tokens.still_valid(token)) {
                    return Err(Gone);
                }
                say(":\n\n".to_owned()).await?;
                due = Instant::now() + SIGN_OF_LIFE;
            }
            () = sender.closed() => return Err(Gone),
            _ = stopping.changed() => {}
        }
    }
    Ok(())
}
