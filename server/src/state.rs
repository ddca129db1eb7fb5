//! What the handlers share.

use crate::Config;
use crate::alerts::Alerts;
use crate::audit::Audit;
use crate::auth::tokens::Tokens;
use crate::casework::Casework;
use crate::doors::known::Known;
use crate::download::Lengths;
use crate::feeds::Feeds;
use crate::ingest::admission::Admission;
use crate::ingest::queue::QueuePart;
use crate::ingest::stream::Streams;
use crate::ledger::Ledger;
use crate::links::Links;
use crate::listener::Connections;
use crate::metrics::Metrics;
use crate::notify::Notifications;
use crate::pool::Pool;
use crate::problem::Problem;
use crate::producers::Sent;
use crate::push::Push;
use crate::reviews::Reviews;
use crate::runs::Runs;
use crate::searches::Searches;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use daybook_engine::view::Snapshot;
use daybook_engine::{Engine, Error};
use daybook_query::replay::Keyframes;
use daybook_query::search::SearchLimits;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// What the handlers share.
#[derive(Debug)]
pub struct Shared {
    /// The log.
    pub engine: Arc<Engine>,
    /// The settings.
    pub config: Config,
    /// Queries: they read maps and files.
    pub reads: Pool,
    /// Decompressing and parsing of uploads.
    pub parsers: Pool,
    /// Who may send events now.
    pub admission: Admission,
    /// The part of the log's queue for uploads.
    pub queue: QueuePart,
    /// Who may ask.
    pub tokens: Tokens,
    /// The producers that stream.
    pub streams: Streams,
    /// The searches that are saved.
    pub searches: Searches,
    /// Those of them that post what matches.
    pub alerts: Alerts,
    /// The feeds of Parquet files.
    pub feeds: Feeds,
    /// Where events are sent, by themselves.
    pub push: Push,
    /// Access requests.
    pub reviews: Reviews,
    /// Who is told of them.
    pub notify: Notifications,
    /// Cases, marks and queues.
    pub casework: Casework,
    /// Commands that are run again.
    pub runs: Runs,
    /// What producers say that they sent.
    pub sent: Ledger<Sent>,
    /// Those who follow the log.
    pub tails: Arc<Semaphore>,
    /// Exports: they run for long.
    pub exports: Arc<Semaphore>,
    /// The ids of events that came through the doors for other protocols.
    pub known: Known,
    /// The connections that are open.
    pub connections: Arc<Connections>,
    /// Putting everything under the first encryption key: once at a time.
    pub rekeys: Arc<Semaphore>,
    /// The moments of replays that are kept.
    pub keyframes: Arc<Keyframes>,
    /// Backups: one at a time.
    pub backups: Arc<Semaphore>,
    /// Repairs: one at a time.
    pub repairs: Arc<Semaphore>,
    /// Links to sessions.
    pub links: Arc<Links>,
    /// Who read what.
    pub audit: Audit,
    /// How long the files of sessions are.
    pub lengths: Arc<Lengths>,
    /// What is counted.
    pub metrics: Metrics,
    /// When the server started.
    pub started: Instant,
}

/// What a server reads from its data directory when it starts.
#[derive(Debug)]
pub struct Opened {
    /// The searches that are saved.
    pub searches: Searches,
    /// How far their alerts are.
    pub alerts: Alerts,
    /// How far notifications of access requests are.
    pub notify: Notifications,
    /// Cases, marks and queues.
    pub casework: Casework,
    /// Links to sessions.
    pub links: Links,
    /// Commands that are run again.
    pub runs: Runs,
    /// What producers say that they sent.
    pub sent: Ledger<Sent>,
    /// The feeds of Parquet files.
    pub feeds: Feeds,
    /// How far the sinks are.
    pub push: Push,
}

/// [`Shared`], as handlers get it.
pub type App = Arc<Shared>;

impl Shared {
    /// At the start.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        config: Config,
        tokens: Tokens,
        Opened { searches, alerts, notify, casework, links, runs, sent, feeds, push }: Opened,
    ) -> Shared {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let uploads_kib = usize::try_from(config.uploads_bytes_max >> 10).unwrap_or(usize::MAX);
        // A single upload has to fit.
        let uploads_kib = uploads_kib.clamp(8 << 10, Semaphore::MAX_PERMITS);
        let queue_bytes = engine.options().queue_bytes_max;
        Shared {
            reviews: Reviews::new(&engine, &config.review_rules, config.review_waits_max),
            engine,
            streams: Streams::new(config.streams_max, queue_bytes),
            reads: Pool::new(config.reads()),
            searches,
            alerts,
            notify,
            feeds,
            push,
            casework,
            runs,
            sent,
            parsers: Pool::new(cores),
            admission: Admission::new(uploads_kib),
            queue: QueuePart::half(queue_bytes),
            tokens,
            tails: Arc::new(Semaphore::new(config.tails_max.clamp(1, Semaphore::MAX_PERMITS))),
            exports: Arc::new(Semaphore::new(config.exports_max.max(1))),
            rekeys: Arc::new(Semaphore::new(1)),
            keyframes: Arc::default(),
            backups: Arc::new(Semaphore::new(1)),
            repairs: Arc::new(Semaphore::new(1)),
            known: Known::default(),
            connections: Arc::default(),
            links: Arc::new(links),
            audit: Audit::default(),
            lengths: Arc::default(),
            metrics: Metrics::default(),
            started: Instant::now(),
            config,
        }
    }

    /// Runs work that may take minutes on a thread of its own, if its slot is free; otherwise answers
    /// `busy`. It runs to its end also when the asker goes away.
    ///
    /// # Errors
    /// `busy`, or a panic; the work's own errors are in what it answers.
    pub async fn alone<T: Send + 'static>(
        &self,
        slot: &Arc<Semaphore>,
        busy: impl FnOnce() -> Problem,
        work: impl FnOnce(&Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, Problem> {
        let permit = Arc::clone(slot).try_acquire_owned().map_err(|_| busy())?;
        let engine = Arc::clone(&self.engine);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&engine)
        });
        done.await.map_err(Problem::internal)
    }

    /// Answers a read: runs it on a snapshot, on a thread of its own and in bounded time, and
    /// writes its answer as JSON there too.
    ///
    /// # Errors
    /// The read's, or that it took too long.
    pub async fn read<T: Serialize, E: Into<Problem>>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        self.find(|snapshot, _| read(snapshot)).await
    }

    /// As [`Shared::read`], for what may have much to look at: within limits, and only as long as the asker waits.
    ///
    /// # Errors
    /// As [`Shared::read`].
    pub async fn find<T: Serialize, E: Into<Problem>>(
        &self,
        find: impl FnOnce(&Snapshot, SearchLimits) -> Result<T, E> + Send + 'static,
    ) -> Result<Response, Problem> {
        let engine = Arc::clone(&self.engine);
        let (asked, time_max) = (Instant::now(), self.config.read_time_max);
        let json = self
            .reads
            .run_while_awaited(time_max, move |abandoned| {
                // Before the answer as a whole would be late: what was found by then is one.
                let left = (time_max / 2).saturating_sub(asked.elapsed());
                let limits = SearchLimits::within(left, abandoned);
                let answer = find(&engine.snapshot(), limits).map_err(Into::into)?;
                serde_json::to_vec(&answer).map_err(Problem::internal)
            })
            .await??;
        Ok(json_response(json))
    }
}

/// A value as a JSON answer that no cache keeps.
///
/// # Errors
/// A value that is no JSON: a defect.
pub fn answer(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let mut response = json_response(serde_json::to_vec(value).map_err(Problem::internal)?);
    *response.status_mut() = status;
    Ok(response)
}

/// A JSON answer that no cache keeps: it is about people.
pub fn json_response(json: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
