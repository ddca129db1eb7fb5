//! One who is told at work: follows the log from its place, tells of one event after the other, and moves on.

use super::message::Message;
use super::place::{At, Dead, Place};
use super::target::{Target, Told};
use crate::alerts::{Outcome, Secret};
use crate::outbound::{Live, Places};
use crate::problem::Problem;
use crate::state::App;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::{Micros, Offset, Seq};
use daybook_engine::view::{Session, Snapshot};
use daybook_query::QueryError;
use daybook_query::item::Hit;
use daybook_query::lang::{Query, parse};
use daybook_query::reviews;
use daybook_query::search::{self, follow};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The most dead letters that are kept.
pub(super) const DEAD_MAX: usize = 1_000;
/// How long what is said of a review is gathered: a request and its session's start come together.
const GATHER: Duration = Duration::from_millis(100);
/// How often a place moves where nothing is told, so that no more is looked at after a start.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What is told of.
const QUERY: &str = "kind:review.request,review.decision";

/// Somebody who is told.
pub(super) struct Sender {
    pub app: App,
    pub target: Arc<Target>,
    pub secret: Option<Secret>,
    pub live: Arc<Mutex<Live>>,
    /// Somebody wants a dead letter to be sent again.
    pub again: Arc<Notify>,
}

/// What one event comes to.
enum Made {
    /// Nothing is told of it.
    Nothing,
    /// This.
    Body { body: Vec<u8>, session: Box<str>, review: Box<str>, told: Told },
}

impl Sender {
    fn places(&self) -> &Places<Place> {
        self.app.notify.places()
    }

    fn place(&self) -> Place {
        self.places().get(&self.target.name).unwrap_or_default()
    }

    /// Changes the place, durably. Where that fails it goes on all the same: after a restart something may come twice.
    async fn change(&self, change: impl FnOnce(&mut Place)) {
        self.places().change(&self.target.name, change);
        if let Err(error) = self.places().keep().await {
            tracing::warn!(%error, "how far notifications are could not be noted down; something may come twice");
        }
    }

    /// Runs until it is cut off.
    pub async fn run(self) {
        let Ok(query) = parse(QUERY, Micros::now()) else { return };
        let query = Arc::new(query);
        let mut changes = self.app.engine.follow_reviews();
        loop {
            changes.borrow_and_update();
            let place = self.place();
            if let Some(offset) = place.again.first().copied() {
                let since = place.at.filter(|at| at.offset == offset).map(|at| at.since);
                self.tell(&query, offset, since, true).await;
                continue;
            }
            match self.next(&query, place.through).await {
                Ok((Some(offset), _)) => {
                    let since = place.at.filter(|at| at.offset == offset).map(|at| at.since);
                    self.tell(&query, offset, since, false).await;
                }
                Ok((None, next)) => {
                    if next != place.through {
                        // It is noted down with the next message, or at the end.
                        self.places().change(&self.target.name, |place| place.through = next);
                    }
                    let news = timeout(LOOK_EVERY, changes.changed());
                    tokio::select! {
                        news = news => match news {
                            Ok(Err(_)) => return,
                            Ok(Ok(())) => sleep(GATHER).await,
                            Err(_) => {}
                        },
                        () = self.again.notified() => {}
                    }
                }
                Err(problem) => self.failed(problem.detail().to_owned(), None).await,
            }
        }
    }

    /// The next event that may be told of, and how far was looked.
    async fn next(&self, query: &Arc<Query>, from: u64) -> Result<(Option<u64>, u64), Problem> {
        let mut at = Offset(from);
        loop {
            let query = Arc::clone(query);
            let step =
                self.read(move |log| follow(log, &query, &SessionFilter::All, at, 1)).await?;
            if let Some(hit) = step.hits.first() {
                return Ok((Some(hit.offset.0), hit.offset.0));
            }
            // What can't be read can't be told of; its damage is told elsewhere.
            at = step.next;
            if step.at_end {
                return Ok((None, at.0));
            }
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, Problem> {
        let engine = Arc::clone(&self.app.engine);
        let limit = self.app.config.read_time_max;
        Ok(self.app.reads.run_within(limit, move || read(&engine.snapshot())).await??)
    }

    /// Tells of an event until it is taken or it is too late; `again`: it was a dead letter.
    async fn tell(&self, query: &Arc<Query>, offset: u64, since: Option<i64>, again: bool) {
        let made = loop {
            let (query, target) = (Arc::clone(query), Arc::clone(&self.target));
            let public_url = self.app.config.public_url.clone();
            let made = self.read(move |log| {
                let found = search::at(log, &query, &[Offset(offset)])?;
                match found.hits.first() {
                    None => Ok(Made::Nothing),
                    Some(hit) => make(log, hit, &target, public_url.as_deref()),
                }
            });
            match made.await {
                Ok(made) => break made,
                Err(problem) => self.failed(problem.detail().to_owned(), None).await,
            }
        };
        let done = |place: &mut Place| {
            place.at = None;
            match again {
                true => place.again.retain(|other| *other != offset),
                false => place.through = offset + 1,
            }
        };
        let Made::Body { body, session, review, told } = made else {
            return self.change(done).await;
        };
        let since = match since {
            Some(since) => since,
            None => {
                let since = Micros::now().0;
                self.change(|place| place.at = Some(At { offset, since })).await;
                since
            }
        };
        let id = format!("notify-{}-{offset}", self.target.name);
        let url = self.target.url.as_ref().map_or("", |url| url.as_str());
        let give_up = i64::try_from(self.target.give_up_after.as_micros()).unwrap_or(i64::MAX);
        loop {
            let outcome =
                self.app.notify.courier().post(url, self.secret.as_ref(), &id, body.clone()).await;
            if matches!(outcome, Outcome::Delivered(_)) {
                if let Some(failures) = self.live.lock().succeeded() {
                    tracing::info!(target = %self.target.name, failures, "notifications go on");
                }
                let now = Micros::now().0;
                return self
                    .change(|place| {
                        done(place);
                        place.delivered += 1;
                        place.last_delivery = Some(now);
                    })
                    .await;
            }
            let gone = matches!(outcome, Outcome::Gone(_));
            let late = Micros::now().0.saturating_sub(since) >= give_up;
            if gone || late {
                let why = outcome.to_string();
                tracing::warn!(target = %self.target.name, %session, %review, %why, "a notification is put aside as a dead letter");
                let (at, event) = (Micros::now().0, told.name().into());
                let dead = Dead { offset, at, why: why.clone().into(), session, review, event };
                self.change(|place| {
                    done(place);
                    place.dead.push(dead);
                    if place.dead.len() > DEAD_MAX {
                        place.dead.remove(0);
                        place.forgotten += 1;
                    }
                })
                .await;
                // So that a receiver that is away is not asked for each at once.
                let mut live = self.live.lock();
                if live.last_error.is_none() {
                    live.failed(why, None, self.app.config.alert_wait_max);
                }
                return;
            }
            let asked = outcome.answer().and_then(|answer| answer.asks);
            self.failed(outcome.to_string(), asked).await;
        }
    }

    /// Notes what went wrong, and waits before the next attempt.
    async fn failed(&self, error: String, asked: Option<Duration>) {
        let wait_max = self.app.config.alert_wait_max.min(self.target.give_up_after);
        let (until, first): (Instant, bool) =
            self.live.lock().failed(error.clone(), asked, wait_max);
        if first {
            tracing::warn!(target = %self.target.name, %error, "a notification is not delivered; it is tried again");
        }
        sleep_until(until).await;
    }
}

/// What is told of an event.
fn make(
    log: &Snapshot,
    hit: &Hit,
    target: &Target,
    public_url: Option<&str>,
) -> Result<Made, QueryError> {
    let Some(session) = log.sessions.get(&hit.session)? else { return Ok(Made::Nothing) };
    let Some(id) = review_of(&session, hit.seq) else { return Ok(Made::Nothing) };
    let Some(entry) = reviews::entry(log, &session, &id)? else { return Ok(Made::Nothing) };
    let decision = entry.review.decisions.iter().find(|said| said.seq == hit.seq);
    let told = decision.map_or(Told::Request, |said| Told::Decision(said.said.decision));
    // What has no effect is nothing to be told of.
    let effective = decision.is_none_or(|said| said.effective);
    if !effective || !target.hears(told, entry.role.as_deref()) {
        return Ok(Made::Nothing);
    }
    let link = public_url.map(|base| {
        let seq = entry.review.request.as_ref().and_then(|request| request.command);
        let seq = seq.or(entry.review.seq).unwrap_or_default();
        format!("{}/sessions/{}?seq={seq}", base.trim_end_matches('/'), escaped(&entry.session))
    });
    let message = Message { told, entry: &entry, decision, time: hit.time.0, link };
    let body = serde_json::to_vec(&message.body(target.form)).unwrap_or_default();
    let (session, review) = (entry.session.clone(), entry.review.id.clone());
    Ok(Made::Body { body, session, review, told })
}

/// The review that an event is of, by its number.
fn review_of(session: &Session, seq: Seq) -> Option<Box<str>> {
    let mut all = session.state.reviews.iter();
    let found = all.find(|(_, review)| {
        review.decisions.contains_key(&seq)
            || review.request.as_ref().is_some_and(|(request, ..)| *request == seq)
    });
    found.map(|(id, _)| id.clone())
}

/// A text as a part of a path.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            byte => path.push_str(&format!("%{byte:02X}")),
        }
        path
    })
}
