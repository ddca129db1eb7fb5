//! Alerts: saved searches that post what arrives and matches to a webhook, at least once.
//!
//! ```text
//!            ┌───────────── alerts.json ─────────────┐
//!            │ through               pending         │ durable before anything is sent for the first time
//!            ▼                          ▼            │
//! log ─ follow: windows of offsets ─► found ─► read again from the log ─► webhook ─ 2xx ─► through moves
//!                                                       ▲                    │
//!                                                       └── wait, longer ◄───┘ anything else
//! ```
//!
//! **Invariant: an alert's place moves past an event that matched only after a receiver has taken it.** Nothing is
//! held in memory but offsets, so an alert whose receiver is away for a week costs what an idle one does.
//!
//! What matched is decided once, as the session was then; later attempts send the same events under the same
//! `webhook-id`, also after a restart. An event that was erased meanwhile is not sent any more, and counted.
//!
//! Each alert is a task that sleeps until the log grows. They read on the read pool, a part of it at most, and
//! after what arrived was gathered for a moment: ingest does not wait for them.
//!
//! | module | what is there |
//! |---|---|
//! | `follower` | one alert at work |
//! | `place` | how far each has come |
//! | `delivery` | a request to a webhook, and what its answer means |
//! | `secret` | what is signed, and with what |

mod delivery;
mod follower;
mod place;
mod secret;

pub use delivery::{Courier, Outcome};
pub use place::{Paused, Place};
pub use secret::Secret;

use crate::Config;
use crate::outbound::{Live, Places};
use crate::pool::Pool;
use crate::searches::{Alert, Saved};
use crate::state::App;
use daybook_engine::event::Micros;
use daybook_engine::{Beside, Engine, Error};
use daybook_query::item::Time;
use follower::Follower;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The alerts of a server.
#[derive(Debug)]
pub struct Alerts {
    places: Places<Place>,
    courier: Courier,
    /// What they may take of the read pool.
    share: Pool,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    stopped: bool,
    tasks: HashMap<Box<str>, Task>,
}

#[derive(Debug)]
struct Task {
    handle: JoinHandle<()>,
    live: Arc<Mutex<Live>>,
}

/// How an alert is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Everything before this offset was looked at, and what matched was delivered.
    pub through: u64,
    /// How many offsets the log has behind it.
    pub behind: u64,
    /// Events that were delivered.
    delivered: u64,
    /// Events that were erased before the alert came to them.
    gone: u64,
    /// Events that may match, but can't be read.
    unreadable: u64,
    last_delivery_at: Option<Time>,
    /// Since when it does not succeed.
    pub failing_since: Option<Time>,
    last_error: Option<String>,
    next_attempt_at: Option<Time>,
    /// Why nothing is sent any more.
    pub paused: Option<PausedItem>,
}

/// Why an alert stands still.
#[derive(Clone, Debug, Serialize)]
pub struct PausedItem {
    since: Time,
    why: Box<str>,
}

/// Begins all alerts. They run until [`Alerts::stop`].
pub fn start(app: &App) {
    let saved = app.searches.all();
    app.alerts.places.retain(|id| saved.iter().any(|s| *s.id == *id && s.alert.is_some()));
    for saved in &saved {
        app.alerts.begin(app, saved);
    }
}

impl Alerts {
    /// Those of a data directory; none runs yet.
    ///
    /// # Errors
    /// Places that can't be read.
    pub fn open(engine: &Arc<Engine>, config: &Config) -> Result<Alerts, Error> {
        Ok(Alerts {
            places: Places::open(engine, Beside::Alerts)?,
            courier: Courier::new(config),
            share: Pool::new(config.reads() / 4),
            running: Mutex::default(),
        })
    }

    /// Has a search's alert run, if it has one, in the place of the one before.
    pub fn begin(&self, app: &App, saved: &Arc<Saved>) {
        let Some(alert) = &saved.alert else { return };
        let live = Arc::default();
        let mut running = self.running.lock();
        if running.stopped {
            return;
        }
        let follower = Follower::new(app, saved, alert, Arc::clone(&live));
        let handle = tokio::spawn(follower.run());
        if let Some(before) = running.tasks.insert(saved.id.clone(), Task { handle, live }) {
            before.handle.abort();
        }
    }

    /// Ends a search's alert. When this answers it sends nothing any more; what it was sending may have arrived.
    pub async fn end(&self, id: &str) {
        let task = self.running.lock().tasks.remove(id);
        if let Some(task) = task {
            task.handle.abort();
            // That it was cut off is an error here, and no other.
            let _ = task.handle.await;
        }
    }

    /// Ends all of them, and lets none begin.
    pub fn stop(&self) {
        let mut running = self.running.lock();
        running.stopped = true;
        running.tasks.drain().for_each(|(_, task)| task.handle.abort());
    }

    /// Makes durable how far they are. Where that fails, some deliveries are repeated after the next start.
    pub async fn keep_places(&self) {
        if let Err(error) = self.places.keep().await {
            tracing::warn!(%error, "how far the alerts are could not be noted down; they go on where they were noted last");
        }
    }

    /// Forgets how far the alert of a search was that has none any more.
    pub fn forget(&self, id: &str) {
        self.places.retain(|other| other != id);
    }

    /// How far a search's alert is.
    #[must_use]
    pub fn place(&self, saved: &Saved, alert: &Alert) -> Place {
        // One of another beginning is out of date.
        let place = self.places.get(&saved.id).filter(|place| place.began == alert.began);
        let (began, through) = (alert.began, alert.from);
        place.unwrap_or_else(|| Place { began, through, ..Place::default() })
    }

    /// Has an alert that stood still go on, once it begins.
    pub async fn resume(&self, saved: &Saved, alert: &Alert) {
        let mut place = self.place(saved, alert);
        if place.paused.take().is_some() {
            self.places.set(&saved.id, place);
            self.keep_places().await;
        }
    }

    /// Sends a delivery without events.
    pub async fn test(&self, saved: &Saved, alert: &Alert) -> Outcome {
        let through = self.place(saved, alert).through;
        let id = format!("{}-test-{}", saved.id, Micros::now().0);
        let body = follower::Body::of("search.test", saved, &[], (through, through));
        let body = serde_json::to_vec(&body).unwrap_or_default();
        self.courier.post(&alert.url, Some(&alert.secret), &id, body).await
    }

    /// How a search's alert is doing; the log ends at `end`.
    #[must_use]
    pub fn status(&self, saved: &Saved, alert: &Alert, end: u64) -> Status {
        let place = self.place(saved, alert);
        let live = self.running.lock().tasks.get(&saved.id).map(|task| Arc::clone(&task.live));
        let live = live.map(|live| live.lock().clone()).unwrap_or_default();
        let time = |micros: i64| Time(Micros(micros));
        Status {
            through: place.through,
            behind: end.saturating_sub(place.through),
            delivered: place.delivered,
            gone: place.gone,
            unreadable: place.unreadable,
            last_delivery_at: place.last_delivery.map(time),
            failing_since: live.failing_since.map(Time),
            last_error: live.last_error,
            next_attempt_at: live.next_attempt.map(Time),
            paused: place.paused.map(|Paused { at, why }| PausedItem { since: time(at), why }),
        }
    }

    /// How often each outcome of a delivery was, by its name.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.courier.outcomes()
    }
}
