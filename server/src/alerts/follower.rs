//! One alert at work: it follows the log from its place, notes down what it found, delivers it, and moves on.

use super::delivery::Outcome;
use super::place::{Paused, Pending, Place};
use crate::outbound::Live;
use crate::problem::Problem;
use crate::searches::{Alert, Saved};
use crate::state::App;
use daybook_engine::event::{Micros, Offset};
use daybook_engine::view::Snapshot;
use daybook_query::QueryError;
use daybook_query::item::Hit;
use daybook_query::lang::{Query, parse};
use daybook_query::search::{self, Followed, follow};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// Events in a delivery, at most;
const HITS_MAX: usize = 100;
/// and their bytes as JSON, unless one alone has more.
const HITS_BYTES_MAX: usize = 1 << 20;
/// How long what arrives and matches is gathered: under load it comes by the thousand.
const GATHER: Duration = Duration::from_millis(500);
/// While nothing matches, the place is noted down after so many offsets,
const KEEP_AFTER: u64 = 1 << 16;
/// and after this time: no more is looked at again after a crash.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// What is posted.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    search: Named<'a>,
    hits: &'a [Hit],
    from: u64,
    through: u64,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
    query: &'a str,
}

impl<'a> Body<'a> {
    /// The events that a search found among those from the first offset on and before the second.
    pub fn of(kind: &'static str, saved: &'a Saved, hits: &'a [Hit], range: (u64, u64)) -> Self {
        let search = Named { id: &saved.id, name: &saved.name, query: &saved.query };
        Body { kind, search, hits, from: range.0, through: range.1 }
    }
}

/// An alert that runs.
pub struct Follower {
    app: App,
    saved: Arc<Saved>,
    alert: Alert,
    live: Arc<Mutex<Live>>,
    place: Place,
    /// What of the place is durable, and since when.
    kept: (u64, Instant),
}

/// There is nothing to be done any more.
struct Done;

impl Follower {
    /// One that goes on where the alert's place is.
    pub fn new(app: &App, saved: &Arc<Saved>, alert: &Alert, live: Arc<Mutex<Live>>) -> Follower {
        let place = app.alerts.place(saved, alert);
        let kept = (place.through, Instant::now());
        let (app, saved) = (Arc::clone(app), Arc::clone(saved));
        Follower { app, saved, alert: alert.clone(), live, place, kept }
    }

    /// Runs until it is cut off, or the receiver wants nothing more.
    pub async fn run(mut self) {
        let _ = self.work().await;
    }

    async fn work(&mut self) -> Result<(), Done> {
        let mut end = self.app.engine.follow();
        let last = end.borrow().0;
        if self.place.through > last {
            tracing::warn!(search = %self.saved.id, through = self.place.through, end = last,
                "the log ends before an alert's place: it is another log, or an older copy; the alert goes on at its end");
            self.place.through = last;
            self.place.pending = None;
        }
        // It was read when the search was saved.
        let query = match parse(&self.saved.query, Micros::now()) {
            Ok(query) => Arc::new(query),
            Err(error) => {
                self.note_failure(format!("the query can't be read: {}", error.message), None);
                return Err(Done);
            }
        };
        while self.place.paused.is_none() {
            // Before the look: what comes meanwhile is seen as a change.
            end.borrow_and_update();
            if let Some(pending) = self.place.pending.clone() {
                self.deliver(&query, &pending).await;
                continue;
            }
            match self.look(&query).await {
                Ok(_) if self.place.pending.is_some() => {}
                Ok(at_end) => {
                    self.succeeded();
                    self.keep_if_due().await;
                    if at_end {
                        self.wait(&mut end).await?;
                    }
                }
                Err(problem) => self.failed(problem.detail().to_owned(), None).await,
            }
        }
        Ok(())
    }

    /// Waits until the log has grown.
    async fn wait(&mut self, end: &mut watch::Receiver<Offset>) -> Result<(), Done> {
        while self.place.through != self.kept.0 {
            match timeout_at(self.kept.1 + KEEP_EVERY, end.changed()).await {
                Ok(changed) => {
                    changed.map_err(|_| Done)?;
                    sleep(GATHER).await;
                    return Ok(());
                }
                Err(_) => self.keep_if_due().await,
            }
        }
        end.changed().await.map_err(|_| Done)?;
        sleep(GATHER).await;
        Ok(())
    }

    /// Looks at what is behind the place: moves it where nothing matches, else notes down what does. Answers
    /// whether this was the log's end.
    async fn look(&mut self, query: &Arc<Query>) -> Result<bool, Problem> {
        let began = Instant::now();
        let (mut at, mut gone, mut unreadable) = (Offset(self.place.through), 0, 0);
        let (mut offsets, mut bytes) = (Vec::new(), 0);
        let at_end = loop {
            let mut step = self.step(query, at, HITS_MAX - offsets.len()).await?;
            let fit = fitting(&step.hits, HITS_BYTES_MAX.saturating_sub(bytes));
            let full = fit < step.hits.len();
            if full && fit == 0 && !offsets.is_empty() {
                break false;
            }
            if full {
                step = self.step(query, at, fit.max(1)).await?;
            }
            bytes += step.hits.iter().map(len).sum::<usize>();
            offsets.extend(step.hits.iter().map(|hit| hit.offset.0));
            (at, gone, unreadable) = (step.next, gone + step.gone, unreadable + step.unreadable);
            let enough = full || offsets.len() >= HITS_MAX || began.elapsed() >= GATHER;
            if step.at_end || offsets.is_empty() || enough {
                break step.at_end;
            }
        };
        self.place.gone += gone;
        self.place.unreadable += unreadable;
        if offsets.is_empty() {
            self.place.through = at.0;
            self.set();
        } else {
            self.place.pending = Some(Pending { through: at.0, offsets });
            self.keep().await;
        }
        Ok(at_end)
    }

    async fn step(
        &self,
        query: &Arc<Query>,
        at: Offset,
        limit: usize,
    ) -> Result<Followed, Problem> {
        let (query, scope) = (Arc::clone(query), self.saved.limits.filter());
        self.read(move |log| follow(log, &query, &scope, at, limit)).await
    }

    /// Reads the log, on the alerts' part of the read pool.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, Problem> {
        let engine = Arc::clone(&self.app.engine);
        let limit = self.app.config.read_time_max;
        let turn = self.app.alerts.share.turn().await?;
        let read = self.app.reads.run_within(limit, move || {
            let _turn = turn;
            read(&engine.snapshot())
        });
        Ok(read.await??)
    }

    /// One attempt to deliver what was noted down. What failed is waited for.
    async fn deliver(&mut self, query: &Arc<Query>, pending: &Pending) {
        let range = (self.place.through, pending.through);
        let (again, saved) = (Arc::clone(query), Arc::clone(&self.saved));
        let offsets: Vec<Offset> = pending.offsets.iter().copied().map(Offset).collect();
        let made = self.read(move |log| {
            let found = search::at(log, &again, &offsets)?;
            let body = serde_json::to_vec(&Body::of("search.hits", &saved, &found.hits, range));
            Ok((body, found.hits.len() as u64, found.gone, found.unreadable))
        });
        let (body, hits, gone, unreadable) = match made.await {
            Ok((Ok(body), hits, gone, unreadable)) => (body, hits, gone, unreadable),
            Ok((Err(error), ..)) => return self.failed(error.to_string(), None).await,
            Err(problem) => return self.failed(problem.detail().to_owned(), None).await,
        };
        if hits > 0 {
            let (Alert { url, secret, began, .. }, id) = (&self.alert, &self.saved.id);
            let id = format!("{id}-{began}-{}-{}", range.0, range.1);
            match self.app.alerts.courier.post(url, Some(secret), &id, body).await {
                Outcome::Delivered(_) => {}
                outcome @ Outcome::Gone(_) => return self.pause(&outcome).await,
                Outcome::Refused(answer) => {
                    return self.failed(answer.to_string(), answer.asks).await;
                }
                outcome => return self.failed(outcome.to_string(), None).await,
            }
            self.place.last_delivery = Some(Micros::now().0);
        }
        self.place.through = pending.through;
        self.place.pending = None;
        self.place.delivered += hits;
        self.place.gone += gone;
        self.place.unreadable += unreadable;
        self.succeeded();
        self.keep().await;
    }

    async fn pause(&mut self, outcome: &Outcome) {
        let why = outcome.to_string().into();
        tracing::warn!(search = %self.saved.id, %outcome, "an alert stands still until it is changed");
        self.place.paused = Some(Paused { at: Micros::now().0, why });
        self.keep().await;
    }

    /// Notes what went wrong, and waits before the next attempt.
    async fn failed(&mut self, error: String, asked: Option<Duration>) {
        let until = self.note_failure(error, asked);
        // The place is durable by then.
        self.keep_if_due().await;
        sleep_until(until).await;
    }

    fn note_failure(&self, error: String, asked: Option<Duration>) -> Instant {
        let wait_max = self.app.config.alert_wait_max;
        let (until, first) = self.live.lock().failed(error.clone(), asked, wait_max);
        if first {
            // Once; how it goes on is in its status.
            tracing::warn!(search = %self.saved.id, %error, "an alert is not delivered; it is tried again");
        }
        until
    }

    fn succeeded(&self) {
        if let Some(failures) = self.live.lock().succeeded() {
            tracing::info!(search = %self.saved.id, failures, "an alert goes on");
        }
    }

    fn set(&self) {
        self.app.alerts.places.set(&self.saved.id, self.place.clone());
    }

    async fn keep_if_due(&mut self) {
        let moved = self.place.through.abs_diff(self.kept.0);
        if moved >= KEEP_AFTER || (moved > 0 && self.kept.1.elapsed() >= KEEP_EVERY) {
            self.keep().await;
        }
    }

    /// Makes the place durable. Where that fails it goes on all the same: after a restart something may come twice.
    async fn keep(&mut self) {
        self.set();
        self.kept = (self.place.through, Instant::now());
        self.app.alerts.keep_places().await;
    }
}

/// A hit's bytes as JSON.
fn len(hit: &Hit) -> usize {
    serde_json::to_vec(hit).map_or(0, |json| json.len())
}

/// How many of the first hits have at most so many bytes together.
fn fitting(hits: &[Hit], bytes_max: usize) -> usize {
    let mut bytes = 0;
    hits.iter()
        .take_while(|hit| {
            bytes += len(hit);
            bytes <= bytes_max
        })
        .count()
}
