//! Who read what: every read of a session, every search and every export is an `access` event of the session
//! `daybook.reads`.
//!
//! ```text
//! request ─► answer ─► queue (bounded) ─► batch, every 100 ms ─► log
//! ```
//!
//! The same read by the same asker (another page of it, or again) is told once a minute. What waits when the server is
//! told to stop is told before it ends; a crash loses what waited, which is a tenth of a second.
//!
//! | what happens | and then |
//! |---|---|
//! | the queue is full, because the log is slow or has no room | reads wait, for `busy_wait`, and are then answered 503 `busy` |
//! | the log takes no more events until it is started again | reads go on, and each is a line of the server's own log |
//!
//! What links show is told by [`crate::links`], before it is answered.

use crate::auth::{Caller, LOCAL};
use crate::problem::Problem;
use crate::recent::Recent;
use crate::state::{App, Shared};
use axum::extract::Query;
use axum::http::{Method, Uri};
use daybook_engine::event::wire::Access;
use daybook_engine::{Error, OwnSession};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

/// So many reads may wait to be told.
const QUEUE_MAX: usize = 4_096;
/// So many are told at once.
const BATCH_MAX: usize = 512;
/// They are told after so long.
const DELAY: Duration = Duration::from_millis(100);
/// Of a query so many bytes are told.
const TARGET_BYTES_MAX: usize = 1_000;

/// What waits to be told.
#[derive(Debug)]
pub struct Audit {
    sender: mpsc::Sender<Message>,
    receiver: Mutex<Option<mpsc::Receiver<Message>>>,
    recent: Recent,
}

#[derive(Debug)]
enum Message {
    Read(Access),
    /// Everything before it is told when this is answered.
    Flush(oneshot::Sender<()>),
}

impl Default for Audit {
    fn default() -> Audit {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        Audit { sender, receiver: Mutex::new(Some(receiver)), recent: Recent::default() }
    }
}

impl Audit {
    /// Notes a read.
    ///
    /// # Errors
    /// There was no room for it for a long time.
    pub async fn note(&self, read: Access, wait: Duration) -> Result<(), Problem> {
        let said = format!("{} {} {:?} {:?}", read.by, read.action, read.target, read.metadata);
        if !self.recent.is_new(said) {
            return Ok(());
        }
        self.sender.send_timeout(Message::Read(read), wait).await.map_err(|_| {
            Problem::busy("reads are written down, and the log has no room for more; try again")
        })
    }

    /// Tells everything that waits.
    pub async fn flush(&self) {
        let (done, told) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            // It ended: nothing waits.
            let _ = told.await;
        }
    }
}

/// Tells reads, from now on.
pub async fn start(app: &App) {
    let Some(mut receiver) = app.audit.receiver.lock().await.take() else { return };
    let shared = Arc::downgrade(app);
    tokio::spawn(async move {
        while let Some(first) = receiver.recv().await {
            let (mut reads, mut flushed) = (Vec::new(), Vec::new());
            let mut take = |message| match message {
                Message::Read(read) => reads.push(read),
                Message::Flush(done) => flushed.push(done),
            };
            let flushes = matches!(first, Message::Flush(_));
            take(first);
            if !flushes {
                tokio::time::sleep(DELAY).await;
            }
            for _ in 0..BATCH_MAX {
                match receiver.try_recv() {
                    Ok(message) => take(message),
                    Err(_) => break,
                }
            }
            let Some(app) = shared.upgrade() else { return };
            tell(&app, reads).await;
            for done in flushed {
                // Nobody waits any more.
                let _ = done.send(());
            }
        }
    });
}

async fn tell(app: &Arc<Shared>, reads: Vec<Access>) {
    if reads.is_empty() {
        return;
    }
    let engine = Arc::clone(&app.engine);
    let told = tokio::task::spawn_blocking(move || {
        loop {
            match engine.tell(OwnSession::Reads, &reads) {
                Ok(()) => return,
                // There may be room again.
                Err(error) if error.is_full() || matches!(error, Error::Busy { .. }) => {
                    tracing::warn!(%error, "reads wait to be written down");
                    std::thread::sleep(Duration::from_secs(1));
                }
                Err(error) => {
                    tracing::error!(%error, "reads can't be written down; they follow");
                    for read in &reads {
                        let target = read.target.as_deref().unwrap_or_default();
                        tracing::warn!(by = %read.by, action = %read.action, target, "read");
                    }
                    return;
                }
            }
        }
    });
    // A panic is in the log.
    let _ = told.await;
}

/// What a request reads, if it is one that is told.
pub fn read_of(method: &Method, uri: &Uri, caller: Option<&Caller>) -> Option<Access> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let path = uri.path();
    let value = |name: &str| {
        // What can't be read is refused later.
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
        pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    let by = caller.and_then(Caller::name).unwrap_or(LOCAL);
    let told = |action: &str, target: &str| Access::new(by, action, cut(target));
    if let Some(rest) = path.strip_prefix("/v1/sessions/") {
        let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
        let id = decoded(id);
        return Some(match what {
            "" => told("session.read", &id),
            "timeline" => with(told("session.timeline", &id), "q", value("q")),
            "replay" => told("session.replay", &id),
            "proof" => told("session.proof", &id),
            "notes" => told("session.notes", &id),
            "download" => with(told("session.download", &id), "format", value("format")),
            _ => return None,
        });
    }
    let query = value("q");
    Some(match path {
        "/v1/search" | "/v1/search/sessions" => told("search", &query?),
        // A list is a search if it looks into sessions.
        "/v1/sessions" | "/v1/facets" => told("search", &query?),
        "/v1/report" => told("report", &value("role").unwrap_or_default()),
        "/v1/tail" => told("tail", &query.unwrap_or_default()),
        "/v1/export" => {
            let read = with(told("export", &query.unwrap_or_default()), "format", value("format"));
            with(with(read, "from", value("from")), "to", value("to"))
        }
        _ => {
            let file = path.strip_prefix("/v1/parquet/")?;
            let signed = caller.and_then(Caller::name).is_none() && uri.query().is_some();
            let by = if signed { "link" } else { by };
            Access::new(by, "feed.read", cut(&decoded(file)))
        }
    })
}

fn with(read: Access, name: &str, value: Option<String>) -> Access {
    match value.filter(|value| !value.is_empty()) {
        Some(value) => read.with(name, cut(&value)),
        None => read,
    }
}

/// As much of a text as is told.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(TARGET_BYTES_MAX);
    text.get(..end).unwrap_or_default()
}

/// Percent-encoding undone.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn reads_of_sessions_searches_and_exports_are_told_and_nothing_else() {
        let of = |uri: &str| read_of(&Method::GET, &uri.parse().unwrap(), None);
        let said = |uri: &str| {
            let read = of(uri).unwrap();
            (read.by.to_string(), read.action.to_string(), read.target.unwrap().to_string())
        };
        let local = |action: &str, target: &str| ("local".into(), action.into(), target.into());
        assert_eq!(said("/v1/sessions/a%20b"), local("session.read", "a b"));
        assert_eq!(said("/v1/sessions/s/timeline?cursor=x"), local("session.timeline", "s"));
        assert_eq!(said("/v1/search?q=drop+%22a%22&limit=3"), local("search", "drop \"a\""));
        assert_eq!(said("/v1/sessions?user=ann&q=x"), local("search", "x"));
        let export = of("/v1/export?format=csv&q=x").unwrap();
        assert_eq!((&*export.action, export.said("format")), ("export", Some("csv")));
        let file = of("/v1/parquet/native/events/f?expires=1&X-Amz-Signature=2").unwrap();
        assert_eq!((&*file.by, &*file.action), ("link", "feed.read"));
        for quiet in [
            "/v1/sessions",
            "/v1/sessions?user=ann",
            "/v1/stats",
            "/",
            "/v1/sessions/s/x",
            "/v1/search",
            "/v1/parquet",
        ] {
            assert_eq!(of(quiet), None, "{quiet}");
        }
        assert_eq!(read_of(&Method::POST, &"/v1/sessions/s/share".parse().unwrap(), None), None);
        let long = said(&format!("/v1/search?q={}", "é".repeat(1_000))).2;
        assert_eq!(long.len(), 1_000);
    }
}
