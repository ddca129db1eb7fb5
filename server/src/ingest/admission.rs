//! Admission of uploads: by the bytes that they hold in flight, in all and for each producer, and by rate.
//!
//! ```text
//! upload ─► rate of the token: over? 429 ─► the producer's part of the memory ─► all memory ─► read the body
//!                                             first come, first served: waits a while, then 429 or 503
//! ```
//!
//! An upload that does not say how long it is (a proxy that streams) begins with a little and asks for the
//! rest once more than that has come ([`Room`]): a thousand that send slowly hold little each.
//!
//! A producer may hold a quarter of the memory for uploads. So one that sends as fast as it can over many
//! connections waits for itself, and leaves the rest to the others. What waits holds nothing but its
//! connection: the body is not read before it is let in.

use crate::auth::Caller;
use crate::problem::Problem;
use crate::state::App;
use axum::http::StatusCode;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A producer's part of the memory for uploads.
const PART: usize = 4;
/// The least that a producer may hold, in KiB: one upload.
const PART_KIB_MIN: usize = 4 << 10;
/// Producers that are remembered while they send nothing.
const REMEMBERED_MAX: usize = 10_000;

/// Who is let in, and when.
#[derive(Debug)]
pub struct Admission {
    /// The memory for uploads, in KiB.
    all: Arc<Semaphore>,
    part_kib: usize,
    producers: Mutex<HashMap<Box<str>, Arc<Producer>>>,
}

#[derive(Debug)]
struct Producer {
    part: Arc<Semaphore>,
    /// Below zero: what was sent ahead of the rate.
    balance: Mutex<Balance>,
}

#[derive(Debug)]
struct Balance {
    bytes: f64,
    at: Instant,
}

/// Holds an upload's part of the memory, until it is dropped.
#[derive(Debug)]
pub struct Admitted {
    _all: OwnedSemaphorePermit,
    _part: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// For so much memory, in KiB.
    #[must_use]
    pub fn new(all_kib: usize) -> Admission {
        Admission {
            all: Arc::new(Semaphore::new(all_kib)),
            part_kib: (all_kib / PART).max(PART_KIB_MIN).min(all_kib),
            producers: Mutex::default(),
        }
    }

    /// Lets an upload of so many KiB in, or says when to come again.
    ///
    /// # Errors
    /// 429 for a producer that is over its rate or holds all that it may; 503 where all memory is held.
    pub async fn enter(
        &self,
        caller: &Caller,
        kib: usize,
        wait_max: Duration,
    ) -> Result<Admitted, Problem> {
        if let Some(token) = &caller.0
            && let Some(rate) = token.bytes_per_second
        {
            self.producer(&token.name).within(rate)?;
        }
        self.hold(caller, kib, wait_max).await
    }

    /// As [`Admission::enter`], for an upload that was let in and needs more.
    async fn hold(
        &self,
        caller: &Caller,
        kib: usize,
        wait_max: Duration,
    ) -> Result<Admitted, Problem> {
        let until = tokio::time::Instant::now() + wait_max;
        let kib = kib.min(self.part_kib);
        let permits = u32::try_from(kib).unwrap_or(u32::MAX);
        let mut part = None;
        if let Some(token) = &caller.0 {
            let known = self.producer(&token.name);
            let free = Arc::clone(&known.part).acquire_many_owned(permits);
            part = match tokio::time::timeout_at(until, free).await {
                Ok(part) => Some(part.map_err(Problem::internal)?),
                Err(_) => {
                    return Err(slower(
                        "this producer has as many uploads open as it may; send this one again when one of them is answered",
                        1,
                    ));
                }
            };
        }
        let free = Arc::clone(&self.all).acquire_many_owned(permits);
        let all = tokio::time::timeout_at(until, free)
            .await
            .map_err(|_| {
                Problem::busy("too many uploads at once; send this one again in a second")
            })?
            .map_err(Problem::internal)?;
        Ok(Admitted { _all: all, _part: part })
    }

    /// Counts what an upload brought against its producer's rate.
    pub fn spend(&self, caller: &Caller, bytes: u64) {
        if let Some(token) = &caller.0 {
            self.producer(&token.name).balance.lock().bytes -= bytes as f64;
        }
    }

    fn producer(&self, name: &str) -> Arc<Producer> {
        let mut producers = self.producers.lock();
        if let Some(known) = producers.get(name) {
            return Arc::clone(known);
        }
        if producers.len() >= REMEMBERED_MAX {
            // Those that hold something, or owe something, are remembered.
            producers.retain(|_, producer| {
                producer.part.available_permits() < self.part_kib
                    || producer.balance.lock().bytes < 0.0
            });
        }
        let new = Arc::new(Producer {
            part: Arc::new(Semaphore::new(self.part_kib)),
            balance: Mutex::new(Balance { bytes: 0.0, at: Instant::now() }),
        });
        producers.insert(name.into(), Arc::clone(&new));
        new
    }
}

/// What an upload holds, and how it gets more.
#[derive(Debug)]
pub struct Room {
    app: App,
    caller: Caller,
    held: Vec<Admitted>,
    kib: usize,
}

impl Room {
    /// What an upload was let in with.
    #[must_use]
    pub fn new(app: &App, caller: &Caller, admitted: Admitted, kib: usize) -> Room {
        Room { app: Arc::clone(app), caller: caller.clone(), held: vec![admitted], kib }
    }

    /// Sees to it that so many KiB are held, at least.
    ///
    /// # Errors
    /// As [`Admission::enter`], but for the rate.
    pub async fn reserve(&mut self, kib: usize) -> Result<(), Problem> {
        let Some(more) = kib.checked_sub(self.kib).filter(|more| *more > 0) else { return Ok(()) };
        let wait_max = self.app.config.busy_wait;
        self.held.push(self.app.admission.hold(&self.caller, more, wait_max).await?);
        self.kib = kib;
        Ok(())
    }
}

impl Producer {
    /// Is it within its rate, with a second's worth in hand?
    fn within(&self, rate: u64) -> Result<(), Problem> {
        let rate = rate.max(1) as f64;
        let mut balance = self.balance.lock();
        let now = Instant::now();
        let earned = now.duration_since(balance.at).as_secs_f64() * rate;
        balance.bytes = (balance.bytes + earned).min(rate);
        balance.at = now;
        if balance.bytes >= 0.0 {
            return Ok(());
        }
        let seconds = (-balance.bytes / rate).ceil().clamp(1.0, 3_600.0);
        Err(slower("this producer is over its rate", seconds as u32))
    }
}

fn slower(what: &str, seconds: u32) -> Problem {
    let title = "Slower, please";
    Problem::new("rate", StatusCode::TOO_MANY_REQUESTS, title, what).retry_after(seconds)
}
