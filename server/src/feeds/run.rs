//! A feed's thread: what is closed becomes files, what is erased goes, what is small becomes large.

use super::place::{Place, Places};
use super::remote::Around;
use super::{Running, open, place_name};
use daybook_engine::Engine;
use daybook_engine::cpu::thread_cpu_us;
use daybook_engine::disk::SharedDisk;
use daybook_engine::event::Micros;
use daybook_engine::view::Snapshot;
use daybook_query::feed::{Error, Feed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often it is looked whether something is closed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a feed waits that failed; longer each time, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often it is looked for what was erased, what is small, and what is not kept any longer.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked for what other nodes wrote to its tables.
const REFRESH_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked for files that no commit names, and how long such a one stays.
const UNNAMED: (Duration, i64) = (Duration::from_secs(3600), 6 * 3_600_000);

/// How often a step is tried at once, when what it reads is erased under it.
const ATTEMPTS: u32 = 3;

/// How a feed is doing.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    /// Since it began: events that were looked at, rows, files and their bytes.
    pub events: u64,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    /// The CPU time of its thread, in microseconds.
    pub cpu_us: u64,
    /// Since when it does not succeed.
    pub failing_since: Option<Micros>,
    pub last_error: Option<String>,
    /// When it wrote files last.
    pub last_written: Option<Micros>,
}

/// A feed's thread.
pub(super) struct Worker {
    pub engine: Arc<Engine>,
    pub places: Arc<Places>,
    pub running: Arc<Running>,
    pub stopping: Arc<AtomicBool>,
    /// What stores elsewhere are asked on.
    pub runtime: Handle,
}

impl Worker {
    /// Runs until it is to stop.
    pub fn run(&self) {
        let name = &self.running.spec.name;
        let mut wait = RETRY.0;
        while !self.stopping() {
            match self.try_run() {
                Ok(()) => return,
                Err(error) => {
                    let mut live = self.running.live.lock();
                    if live.failing_since.is_none() {
                        tracing::warn!(feed = name, %error, "a feed failed; it is tried again");
                        live.failing_since = Some(Micros::now());
                        wait = RETRY.0;
                    }
                    live.last_error = Some(error.to_string());
                }
            }
            self.sleep(wait);
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Runs until it is to stop, or something fails.
    fn try_run(&self) -> Result<(), Error> {
        let feed = match self.running.feed() {
            Some(feed) => feed,
            None => {
                let around = Around {
                    disk: SharedDisk::clone(&self.engine.options().disk),
                    runtime: self.runtime.clone(),
                    stopping: Arc::clone(&self.stopping),
                };
                let (spec, node) = (&self.running.spec, self.places.node());
                let feed = Arc::new(open(&self.engine, spec, &node, &around)?);
                self.is_of_its_tables(&feed)?;
                *self.running.feed.lock() = Some(Arc::clone(&feed));
                feed
            }
        };
        let (mut tidied, mut refreshed, mut listed) = (None, Instant::now(), None::<Instant>);
        while !self.stopping() {
            let worked = self.ship(&feed)?;
            // Where something was shipped, what others wrote was read on the way.
            if worked {
                refreshed = Instant::now();
            } else if refreshed.elapsed() >= REFRESH_EVERY {
                feed.refresh()?;
                refreshed = Instant::now();
            }
            if tidied.is_none_or(|at: Instant| at.elapsed() >= TIDY_EVERY) {
                self.tidy(&feed)?;
                tidied = Some(Instant::now());
            }
            if listed.is_none_or(|at| at.elapsed() >= UNNAMED.0) {
                self.engine.feeding(|| feed.sweep_unnamed(UNNAMED.1))?;
                listed = Some(Instant::now());
            }
            self.succeeded();
            if !worked {
                self.sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// Is the log the one that wrote the tables? One that is set back would leave out what is new in it; and as it grows
    /// that can't be seen any more, so where it ended at its start is compared, and what came out is noted down.
    fn is_of_its_tables(&self, feed: &Feed) -> Result<(), Error> {
        let name = place_name(&self.running.spec);
        let mut place = self.places.of(&name);
        if let Some(end) = place.to_compare.take() {
            place.set_back |= feed.is_ahead_of(end);
            if self.engine.read_only_reason().is_none() {
                self.places.keep(&name, place.clone())?;
            }
        }
        if place.set_back {
            let what = "they have more of this log than there is: the data directory is an older copy of the one that wrote them, and its new events would be missing; give the feed another `location` or another name";
            return Err(Error::Table(what.to_owned()));
        }
        Ok(())
    }

    /// Makes the next unit; `false` if there was nothing for it.
    fn ship(&self, feed: &Feed) -> Result<bool, Error> {
        let name = &self.running.spec.name;
        let place_name = place_name(&self.running.spec);
        let (mut place, tables) = (self.places.of(&place_name), feed.ids());
        if place.tables.as_ref().is_some_and(|known| *known != tables) {
            tracing::warn!(feed = name, "a feed's tables are new ones: it begins again");
            place = Place::default();
        }
        let closed = self.engine.closed_through().0;
        if place.through >= closed {
            return Ok(false);
        }
        let shipped = self.on_snapshot(|snapshot| {
            let Some(shipped) = feed.ship(snapshot, place.through, closed)? else {
                return Ok(None);
            };
            let unknown = place.unknown + shipped.unknown;
            let tables = Some(tables.clone());
            let through = shipped.through;
            self.places
                .keep(&place_name, Place { through, unknown, tables, ..Place::default() })?;
            Ok(Some(shipped))
        })?;
        let Some(shipped) = shipped else { return Ok(false) };
        let mut live = self.running.live.lock();
        live.events += shipped.events;
        live.rows += shipped.rows;
        live.files += shipped.files;
        live.bytes += shipped.bytes;
        if shipped.files > 0 {
            live.last_written = Some(Micros::now());
        }
        if shipped.unknown > 0 {
            tracing::warn!(
                feed = name,
                events = shipped.unknown,
                "events were left out of a feed of some sessions: theirs have not said who they are"
            );
        }
        Ok(true)
    }

    fn tidy(&self, feed: &Feed) -> Result<(), Error> {
        self.on_snapshot(|snapshot| feed.follow_erasures(snapshot))?;
        self.on_snapshot(|snapshot| feed.merge(snapshot))?;
        self.engine.feeding(|| feed.sweep())
    }

    /// Does a step on what the log has now. A session that is erased meanwhile is not known any more though its events
    /// are in the snapshot: the next one has not got them, so that is no failure of the feed.
    fn on_snapshot<T>(&self, step: impl Fn(&Snapshot) -> Result<T, Error>) -> Result<T, Error> {
        let attempt = || {
            let snapshot = self.engine.snapshot();
            self.engine.feeding(|| step(&snapshot))
        };
        for _ in 1..ATTEMPTS {
            match attempt() {
                Err(Error::Engine(_)) if !self.stopping() => {}
                other => return other,
            }
        }
        attempt()
    }

    fn succeeded(&self) {
        let mut live = self.running.live.lock();
        live.cpu_us = thread_cpu_us();
        if live.failing_since.take().is_some() {
            live.last_error = None;
            tracing::info!(feed = self.running.spec.name, "a feed goes on");
        }
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stopping() && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY.min(time));
        }
    }
}
