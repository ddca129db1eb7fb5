//! Runs: commands that are run again, to see whether they give the same result.
//!
//! ```text
//! people  ─ POST /v1/sessions/{id}/rerun ─► requested ◄─ approval ─ waiting
//!                                              │
//! takers  ─ POST /v1/runs/take ──────────► leased ─ start ─► running ─ done ─► result: a session of its own
//! ```
//!
//! Every step is an act of the session `daybook.runs` ([`crate::ledger`]). Only renewals of leases are not: they are in
//! memory, and a start gives every lease its whole time again.
//!
//! | module | what is there |
//! |---|---|
//! | here | what all of them share |
//! | `machine` | the states of a run, and the steps between them |
//! | `step` | the steps as the log tells of them |
//! | `book` | the runs that are kept |
//! | `original` | the command that is run again |
//! | `api` | the endpoints for people |
//! | `taking` | the endpoints for takers: proxies, and `daybook runner` |
//! | `keeper` | what happens by itself: ends of leases and of waits, approvals |
//! | `item` | a run as it is answered |

pub mod api;
mod book;
mod item;
mod keeper;
mod machine;
mod original;
mod step;
pub mod taking;

use crate::Config;
use crate::auth::Caller;
use crate::ledger::Ledger;
use crate::problem::Problem;
use crate::sessions::visible;
use crate::state::App;
use axum::http::StatusCode;
use book::Book;
use daybook_engine::catalog::filter::Pattern;
use daybook_engine::event::Micros;
use daybook_engine::event::time::excerpt;
use daybook_engine::view::Snapshot;
use daybook_engine::{Engine, Error};
use machine::{Lease, Run, Step};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long an answer waits at most, in microseconds.
const WAIT_MAX: i64 = 60_000_000;

/// What daybook itself is called where it makes a step.
const DAYBOOK: &str = "daybook";

/// The runs, and what is said of them in the configuration.
#[derive(Debug)]
pub struct Runs {
    ledger: Ledger<Book>,
    /// When they were opened.
    opened: Micros,
    /// Until when leases were renewed, by the lease.
    renewed: Mutex<HashMap<Box<str>, Micros>>,
    stopping: watch::Sender<bool>,
    lease: Duration,
    attempts_max: u32,
    wait_max: Duration,
    open_max: usize,
    approval: Vec<Approval>,
}

/// Runs on which roles take an approval first.
#[derive(Clone, Debug)]
enum Approval {
    Role(Pattern),
    Type(Pattern),
}

impl Approval {
    fn of(text: &str) -> Approval {
        match text.strip_prefix("type:") {
            Some(kind) => Approval::Type(Pattern::wildcard(kind)),
            None => Approval::Role(Pattern::wildcard(text.strip_prefix("role:").unwrap_or(text))),
        }
    }
}

/// An id that somebody else chose.
fn check_id(name: &str, id: &str) -> Result<Box<str>, Problem> {
    let well = (16..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if well {
        return Ok(id.into());
    }
    let what = format!(
        "`{name}` has 16 to 64 letters, digits, `-` and `_`; leave it out to have one made"
    );
    Err(bad(name, what))
}

/// A field of the body that can't be used.
fn bad(field: &str, what: impl Into<String>) -> Problem {
    Problem::new("body", StatusCode::BAD_REQUEST, "Bad request body", what).about(field)
}

fn no_run(id: &str) -> Problem {
    Problem::not_found(format!("there is no run `{}`", excerpt(id)))
}

impl Runs {
    /// Reads them.
    ///
    /// # Errors
    /// A file or a log that can't be read.
    pub fn open(engine: &Arc<Engine>, config: &Config) -> Result<Runs, Error> {
        Ok(Runs {
            ledger: Ledger::open(engine)?,
            opened: Micros::now(),
            renewed: Mutex::default(),
            stopping: watch::Sender::new(false),
            lease: config.run_lease,
            attempts_max: u32::try_from(config.run_attempts_max).unwrap_or(u32::MAX),
            wait_max: config.run_wait_max,
            open_max: config.runs_max,
            approval: config.run_approval.iter().map(|text| Approval::of(text)).collect(),
        })
    }

    /// Begins with what happens by itself.
    pub fn start(app: &App) {
        tokio::spawn(keeper::keep(App::clone(app)));
    }

    /// Answers all who wait.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Does a run take an approval?
    fn takes_approval(&self, role: &str, kind: Option<&str>) -> bool {
        self.approval.iter().any(|approval| match approval {
            Approval::Role(pattern) => pattern.matches(role),
            Approval::Type(pattern) => kind.is_some_and(|kind| pattern.matches(kind)),
        })
    }

    /// The end of a lease, with its renewals.
    fn until(&self, lease: &Lease) -> Micros {
        let renewed = self.renewed.lock().get(&lease.id).copied();
        // Those that were renewed before a start are not known any more: all have their time again.
        lease.until.max(renewed.unwrap_or_else(|| self.opened.saturating_add(self.lease)))
    }

    /// Does a step of a run, whoever asks for it.
    async fn step(
        &self,
        id: &str,
        by: &str,
        step: impl FnOnce(&Run, Micros) -> Result<Option<Step>, Problem> + Send + 'static,
    ) -> Result<Run, Problem> {
        let (key, by): (Box<str>, Box<str>) = (id.into(), by.into());
        let done = self.ledger.act(move |book, now| {
            let run = book.get(&key).ok_or_else(|| no_run(&key))?;
            let Some(step) = step(run, now)? else { return Ok((Vec::new(), run.clone())) };
            if run.knows(&step) {
                return Ok((Vec::new(), run.clone()));
            }
            match run.after(&step, &by, now) {
                Some(next) => Ok((vec![step.tell(&key, &by)], next)),
                None => Err(conflict(run)),
            }
        });
        let next = done.await?;
        Ok(self.ledger.read(|book| book.get(id).cloned()).unwrap_or(next))
    }

    /// Waits until something changes or the time is over; answers false then.
    async fn changed(&self, changes: &mut watch::Receiver<u64>, until: Instant) -> bool {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            _ = stopping.wait_for(|stopping| *stopping) => false,
            () = tokio::time::sleep_until(until) => false,
        }
    }
}

fn wait_until(wait: i64) -> Instant {
    Instant::now() + Duration::from_micros(wait.clamp(0, WAIT_MAX).unsigned_abs())
}

/// The problem of a step that can't be made.
fn conflict(run: &Run) -> Problem {
    let what = format!(
        "the run is {} and can't do this; GET /v1/runs/{} says how it stands",
        run.state.name(),
        run.id
    );
    Problem::new("conflict", StatusCode::CONFLICT, "Not as it stands", what)
}

/// A run whose session the caller may see.
fn seen(snapshot: &Snapshot, caller: &Caller, run: Option<Run>, id: &str) -> Result<Run, Problem> {
    let run = run.ok_or_else(|| no_run(id))?;
    match visible(snapshot, caller, &run.request.session) {
        Ok(()) => Ok(run),
        // As if it was not there.
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => Err(no_run(id)),
        Err(problem) => Err(problem),
    }
}
