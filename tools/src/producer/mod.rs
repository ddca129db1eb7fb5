//! A producer's side of delivery: events go to a server as they happen, and none is lost while it is away.
//!
//! ```text
//! send ─► batch ─► memory ─► POST /v1/events
//!           (bytes, count, age)  │        ▲
//!              away, slow, or    ▼        │ oldest first
//!              too much waits  spill: a directory of NDJSON files
//! ```
//!
//! | module | what is there |
//! |---|---|
//! | here | the handle: [`Producer::send`], [`Producer::close`] |
//! | `courier` | the task behind it: batches, attempts, waits |
//! | `status` | what the second tells the first |
//! | `spill` | the directory where batches wait on disk |
//!
//! **What is promised.** An event that [`Producer::send`] took is sent until the server has answered for
//! it. While the server is away, batches lie in the spill and outlive the process: whoever opens the same
//! spill next sends them. Each event is stored once, because it carries `(session, seq)`; `send` refuses
//! one that does not. The spill is bounded: when it is full, `send` says so and takes nothing, and what
//! then happens to the event is the caller's decision, not an accident.
//!
//! **What is not.** A process that is killed while the server takes events loses what was not sent yet:
//! at most what came within [`Options::batch_age`] and one request.

mod courier;
mod spill;
mod status;

pub use spill::{Bounds as SpillBounds, Spill};

use crate::client::Client;
use courier::Courier;
use daybook_engine::event::wire::Event;
use serde::Serialize;
use status::Status;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How a producer sends.
#[derive(Clone, Debug)]
pub struct Options {
    /// A batch is sent when it has this many bytes,
    pub batch_bytes: usize,
    /// or this many events,
    pub batch_events: u64,
    /// or when its first event is this old.
    pub batch_age: Duration,
    /// How many bytes may wait in memory. Without a spill, `send` waits past it.
    pub memory_bytes: usize,
    /// A request that takes longer than this makes what waits go to the spill.
    pub spill_after: Duration,
    /// Where batches wait on disk; none for callers who can make their events again.
    pub spill: Option<SpillBounds>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch_bytes: 256 << 10,
            batch_events: 1_000,
            batch_age: Duration::from_millis(100),
            memory_bytes: 8 << 20,
            spill_after: Duration::from_secs(1),
            spill: None,
        }
    }
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It is none: mend the caller.
    #[error("this is no event that daybook takes: {0}")]
    Bad(String),
    /// It has no `seq`, without which sending it again would store it twice.
    #[error("an event needs a `seq` here, or it could be stored twice")]
    NoSeq,
    /// The server is away and the spill is full, or can't be written: wait, or do without, and say so.
    #[error("{0}")]
    Full(String),
    /// The server refuses all events, and there is no spill for them.
    #[error("{0}")]
    Refused(String),
    /// The producer has ended.
    #[error("the producer has ended")]
    Ended,
}

/// What became of everything that was sent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Events that the server stored.
    pub accepted: u64,
    /// Events that it had already.
    pub duplicates: u64,
    /// Events that it refused: kept in the spill's directory as `.refused`, if there is one.
    pub rejected: u64,
    /// Why, of the first.
    pub first_rejected: Option<String>,
    /// Events that wait in the spill.
    pub left: u64,
    /// Where.
    pub left_in: Option<PathBuf>,
    /// Events that could neither be sent nor kept.
    pub lost: u64,
    /// What went wrong last.
    pub why: Option<String>,
}

/// Sends events in the background.
#[derive(Debug)]
pub struct Producer {
    lines: mpsc::Sender<String>,
    end: oneshot::Sender<Duration>,
    status: Arc<Status>,
    courier: JoinHandle<Report>,
}

impl Producer {
    /// Starts; what waits in the spill from before is sent first.
    ///
    /// # Errors
    /// A spill that can't be made or read.
    pub fn start(client: Client, options: Options) -> anyhow::Result<Producer> {
        let spill = options.spill.clone().map(Spill::open).transpose()?;
        let status = Arc::new(Status::default());
        let (lines, taken) = mpsc::channel(1_024);
        let (end, ended) = oneshot::channel();
        let courier = Courier::new(client, options, spill, Arc::clone(&status), taken, ended);
        Ok(Producer { lines, end, status, courier: tokio::spawn(courier.run()) })
    }

    /// Takes one event: a JSON object on one line, with `seq`.
    ///
    /// # Errors
    /// Why it was not taken. Nothing else is ever dropped.
    pub async fn send(&self, line: &str) -> Result<(), NotTaken> {
        self.take(line, false).await
    }

    /// Takes an event also when the spill is full: for the one event that says so.
    ///
    /// # Errors
    /// As [`Producer::send`], but for [`NotTaken::Full`].
    pub async fn send_last(&self, line: &str) -> Result<(), NotTaken> {
        self.take(line, true).await
    }

    async fn take(&self, line: &str, last: bool) -> Result<(), NotTaken> {
        let line = line.trim_end_matches('\n');
        if line.contains('\n') {
            return Err(NotTaken::Bad("it has more than one line".to_owned()));
        }
        let event = Event::decode(line.as_bytes()).map_err(NotTaken::Bad)?;
        if event.seq.is_none() {
            return Err(NotTaken::NoSeq);
        }
        if let Some(error) = self.status.refuses().filter(|_| !last) {
            return Err(error);
        }
        self.lines.send(format!("{line}\n")).await.map_err(|_| NotTaken::Ended)
    }

    /// What keeps events from the server now, in a sentence; none while all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.status.trouble()
    }

    /// Sends what is left, for up to `patience`; what then is not sent stays in the spill.
    ///
    /// # Errors
    /// None but a bug: the task behind it broke.
    pub async fn close(self, patience: Duration) -> anyhow::Result<Report> {
        // The courier may have ended; its report says why.
        let _ = self.end.send(patience);
        Ok(self.courier.await?)
    }
}
