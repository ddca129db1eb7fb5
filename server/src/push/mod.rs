//! Sinks: collectors that are sent events by themselves, over HTTP or as syslog, at least once.
//!
//! ```text
//!            ┌───────── push.json ─────────┐
//!            │ through             pending │ durable before anything is sent for the first time
//!            ▼                        ▼    │
//! log ─ windows of offsets ─► a batch of lines ─► receiver ─ taken ─► through moves
//!                                     ▲              │ │
//!                                     │              │ └── refused ──► halves; the one event is noted, and passed
//!                                     └─ wait, longer ◄── anything else
//! ```
//!
//! **Invariant: a sink's place moves past an event that matched only after its receiver has taken it, or once it is
//! noted as refused.** The note is on disk, bounded, and shown; where it is full the sink stands. In memory is one batch
//! of each sink and nothing else, so a sink whose receiver is away for a week costs what an idle one does.
//!
//! Each sink is a task that sleeps until the log grows. They read as alerts do, on a part of the read pool.
//!
//! | module | what is there |
//! |---|---|
//! | `sink` | the settings of one, and what goes together |
//! | `sender` | one at work |
//! | `place` | how far each has come |
//! | `http`, `syslog` | the two ways out; `outcome` is what comes of one |
//! | `tls` | who the receiver must be |
//! | `api` | `/v1/push` |

pub(crate) mod api;
mod http;
mod outcome;
mod place;
mod sender;
mod sink;
mod syslog;
mod tls;

pub use sink::{Begin, Compression, Format, Hidden, SINKS_MAX, Sink, Target};

use crate::outbound::{Live, Places};
use crate::pool::Pool;
use crate::state::App;
use crate::{Config, Error};
use daybook_engine::event::Micros;
use daybook_engine::{Beside, Engine};
use daybook_query::item::Time;
use parking_lot::Mutex;
use place::Place;
use sender::Sender;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The sinks of a server.
#[derive(Debug)]
pub struct Push {
    sinks: Vec<(Arc<Sink>, Arc<State>)>,
    places: Places<Place>,
    /// What they may take of the read pool.
    share: Pool,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    stopped: bool,
    tasks: Vec<JoinHandle<()>>,
}

/// What is known of a sink as long as it runs, and asked of it.
#[derive(Debug, Default)]
struct State {
    now: Mutex<Now>,
    /// Wakes one that waits.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Now {
    live: Live,
    /// Attempts that failed since the start.
    failures: u64,
    /// When the first event was taken in that matches and is not sent.
    oldest: Option<Micros>,
    /// Is what was refused to be sent once more?
    asked: bool,
}

impl State {
    /// Is what was refused to be sent once more? It is, by who asks.
    fn asked(&self) -> bool {
        std::mem::take(&mut self.now.lock().asked)
    }

    fn ask(&self) {
        self.now.lock().asked = true;
    }

    fn failed(
        &self,
        error: String,
        asked: Option<Duration>,
        wait_max: Duration,
    ) -> (Instant, bool) {
        let mut now = self.now.lock();
        now.failures += 1;
        now.live.failed(error, asked, wait_max)
    }

    fn succeeded(&self) -> Option<u32> {
        self.now.lock().live.succeeded()
    }

    fn oldest(&self, received: Micros) {
        self.now.lock().oldest = Some(received);
    }

    fn knows_oldest(&self) -> bool {
        self.now.lock().oldest.is_some()
    }

    fn at_end(&self, at_end: bool) {
        if at_end {
            self.now.lock().oldest = None;
        }
    }
}

/// How a sink is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub name: Box<str>,
    url: String,
    format: String,
    version: Option<&'static str>,
    query: String,
    through: u64,
    /// How many offsets the log has behind its place.
    pub behind: u64,
    /// How long ago the oldest event was taken in that matches and is not sent.
    pub behind_seconds: u64,
    /// Events that were taken.
    pub sent_events: u64,
    /// Bytes of their lines.
    pub sent_bytes: u64,
    last_sent_at: Option<Time>,
    /// Events that were erased before the sink came to them.
    pub gone: u64,
    unreadable: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    failing_since: Option<Time>,
    last_error: Option<String>,
    next_attempt_at: Option<Time>,
    /// Events that were refused, ever.
    pub refused_ever: u64,
    /// Those of them that were not taken since.
    pub refused: Vec<RefusedItem>,
}

/// An event that a receiver does not want.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedItem {
    offset: u64,
    session: Box<str>,
    seq: u32,
    at: Time,
    why: Box<str>,
}

impl Status {
    /// Does it not succeed?
    #[must_use]
    pub fn failing(&self) -> bool {
        self.failing_since.is_some()
    }
}

/// Begins all sinks. They run until [`Push::stop`].
pub fn start(app: &App) {
    let mut running = app.push.running.lock();
    if running.stopped {
        return;
    }
    for (sink, state) in &app.push.sinks {
        let place = app.push.places.get(&sink.name).unwrap_or_default();
        let sender = Sender::new(app, sink, state, place);
        running.tasks.push(tokio::spawn(sender.run()));
    }
}

impl Push {
    /// Those of a configuration; none runs yet. One that is new has its place from here on.
    ///
    /// # Errors
    /// Sinks that can't be used as they are configured, and places that can't be read.
    pub async fn open(engine: &Arc<Engine>, config: &Config) -> Result<Push, Error> {
        let places = Places::<Place>::open(engine, Beside::Push).map_err(Error::Places)?;
        let mut names = HashSet::new();
        for (number, sink) in config.push.iter().enumerate() {
            let unusable = |what: String| Error::Sink { name: sink.name.clone(), what };
            sink.check().map_err(unusable)?;
            if !names.insert(&sink.name) {
                return Err(unusable("another sink has this name".to_owned()));
            }
            if number >= SINKS_MAX {
                return Err(unusable(format!(
                    "there are more than {SINKS_MAX} sinks; leave some out"
                )));
            }
            tls::config(sink).map_err(|error| unusable(error.to_string()))?;
            http::authorization(sink).map_err(unusable)?;
        }
        let end = engine.follow().borrow().0;
        let mut new = false;
        for sink in &config.push {
            if places.get(&sink.name).is_none() {
                let through = if sink.from == Begin::Start { 0 } else { end };
                places.set(&sink.name, Place { through, ..Place::default() });
                new = true;
            }
        }
        // Before the first event is taken in: after a crash, what came since is not passed over.
        if new && let Err(error) = places.keep().await {
            tracing::warn!(%error, "where the new sinks begin could not be noted down");
        }
        let sinks = config.push.iter().map(|sink| (Arc::new(sink.clone()), Arc::default()));
        Ok(Push {
            sinks: sinks.collect(),
            places,
            share: Pool::new(config.reads() / 4),
            running: Mutex::default(),
        })
    }

    /// Ends all of them, and lets none begin.
    pub fn stop(&self) {
        let mut running = self.running.lock();
        running.stopped = true;
        running.tasks.drain(..).for_each(|task| task.abort());
    }

    /// Makes durable how far they are. Where that fails, some events are sent again after the next start.
    pub async fn keep_places(&self) {
        if let Err(error) = self.places.keep().await {
            tracing::warn!(%error, "how far the sinks are could not be noted down; they go on where they were noted last");
        }
    }

    /// Has what a sink refused sent once more; answers whether there is such a sink.
    fn resend(&self, name: &str) -> bool {
        let sink = self.sinks.iter().find(|(sink, _)| *sink.name == *name);
        if let Some((_, state)) = sink {
            state.ask();
            state.wake.notify_one();
        }
        sink.is_some()
    }

    /// How each sink is doing; the log ends at `end`.
    pub fn statuses(&self, end: u64) -> impl Iterator<Item = Status> {
        self.sinks.iter().map(move |(sink, state)| self.status(sink, state, end))
    }

    fn status(&self, sink: &Sink, state: &State, end: u64) -> Status {
        let place = self.places.get(&sink.name).unwrap_or_default();
        let now = state.now.lock();
        let time = |micros: i64| Time(Micros(micros));
        let age = now.oldest.map_or(0, |Micros(oldest)| Micros::now().0.saturating_sub(oldest));
        let refused = place.refused.into_iter().map(|refused| RefusedItem {
            offset: refused.offset,
            session: refused.session,
            seq: refused.seq,
            at: time(refused.at),
            why: refused.why,
        });
        Status {
            name: sink.name.clone(),
            url: sink.url.as_ref().map(Target::public).unwrap_or_default(),
            format: sink.format.to_string(),
            version: (sink.format == Format::Ocsf).then(|| sink.version.name()),
            query: sink.query.clone(),
            through: place.through,
            behind: end.saturating_sub(place.through),
            behind_seconds: u64::try_from(age / 1_000_000).unwrap_or(0),
            sent_events: place.sent,
            sent_bytes: place.sent_bytes,
            last_sent_at: place.last_sent.map(time),
            gone: place.gone,
            unreadable: place.unreadable,
            failures: now.failures,
            failing_since: now.live.failing_since.map(Time),
            last_error: now.live.last_error.clone(),
            next_attempt_at: now.live.next_attempt.map(Time),
            refused_ever: place.refused_ever,
            refused: refused.collect(),
        }
    }
}
