//! A taker of runs: it fetches commands that are to be run again, runs them, and sends what came of them as sessions.
//!
//! ```text
//! take ─► connect ─► start (durable there) ─► session.start, command ─► run ─► command.end, session.end ─► sent? ─► done
//!                                     └── renew, renew, ... ────────────────────────────────────┘
//! ```
//!
//! | module | what is there |
//! |---|---|
//! | here | one run from its taking to its end |
//! | `offer` | a run as the server gives it, and what is said of it there |
//! | `lease` | the heartbeat |
//! | `recording` | the session's events, within their bounds |
//! | `shell`, `postgres` | how commands are run |
//! | `table` | a result as psql prints it |
//!
//! **What is promised.** Nothing is begun before the server has it in the book that it begins, and nothing is begun that it
//! does not agree to. Nothing runs on unrecorded: when the spill is full, what runs is ended. A runner that is killed
//! after that leaves a run that is `lost`; it is not begun again, here or elsewhere.

mod lease;
mod offer;
mod postgres;
mod recording;
mod shell;
mod table;

pub use postgres::Postgres;

use crate::client::{Backoff, Client};
use crate::producer::{Options, Producer, Report, SpillBounds};
use lease::{Heartbeat, Standing};
use offer::{Desk, Offer, Said};
use recording::Recording;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often what is left of a session is tried to be sent, while the server is away.
const SEND_FOR: Duration = Duration::from_secs(5);
/// How long a connection to what is to be run on may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a command that is told to end may take to.
const MIND_WITHIN: Duration = Duration::from_secs(2);

/// What runs commands.
#[derive(Debug)]
pub enum Target {
    /// `sh -c`
    Shell,
    /// A PostgreSQL server.
    Postgres(Box<Postgres>),
}

/// The bounds of what runs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a command may take.
    pub time: Duration,
    /// How much of its output is kept.
    pub output_bytes: usize,
    /// How many rows of a result are kept.
    pub rows: usize,
}

/// A taker of runs.
#[derive(Debug)]
pub struct Runner {
    /// The server that offers them.
    pub client: Client,
    /// The roles whose runs it takes.
    pub roles: Vec<String>,
    /// What it runs them on.
    pub target: Target,
    /// Their bounds.
    pub limits: Limits,
    /// Where events wait while the server is away.
    pub spill: SpillBounds,
    /// Also run what the first time gave a result with masked fields.
    pub unmasked: bool,
}

/// How a command ended.
#[derive(Debug, Default)]
struct Ended {
    exit_code: Option<i64>,
    rows: Option<u64>,
    /// What it said itself is wrong.
    error: Option<String>,
    /// Why it was ended from here.
    ended_for: Option<String>,
}

/// What is asked of a runner from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// To go on.
    #[default]
    Nothing,
    /// To take no more.
    Last,
    /// To end what runs, too.
    Now,
}

/// What commands are run with, once that is at hand.
enum Ready {
    Shell,
    Postgres(postgres::Connected),
}

impl Target {
    /// The languages of what it can run; sent when runs are asked for.
    fn languages(&self) -> &'static [&'static str] {
        match self {
            Target::Shell => &["shell", "bash", "sh"],
            Target::Postgres(_) => &["sql"],
        }
    }

    async fn ready(&self, limits: &Limits) -> anyhow::Result<Ready> {
        match self {
            Target::Shell => Ok(Ready::Shell),
            Target::Postgres(server) => {
                let connecting = server.connect(limits.time);
                match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
                    Ok(connected) => Ok(Ready::Postgres(connected?)),
                    Err(_) => anyhow::bail!("no connection within {} s", CONNECT_WITHIN.as_secs()),
                }
            }
        }
    }
}

impl Runner {
    /// Takes runs until it is asked to end, or with `once` until one was taken; answers whether the last one was done.
    ///
    /// # Errors
    /// A refusal that does not pass by itself: a token without the scope, a role that is not the token's.
    pub async fn run(&self, once: bool, asked: watch::Receiver<Asked>) -> anyhow::Result<bool> {
        let desk = Desk::new(self.client.clone(), &self.roles, self.target.languages());
        let mut backoff = Backoff::default();
        let mut well = true;
        // What a runner before this one could not send.
        self.send_left().await;
        loop {
            let mut until = asked.clone();
            let taken = tokio::select! {
                _ = until.wait_for(|asked| *asked > Asked::Nothing) => return Ok(well),
                taken = desk.take() => taken,
            };
            match taken {
                Ok(None) => backoff.reset(),
                Ok(Some(offer)) => {
                    backoff.reset();
                    tracing::info!(
                        run = offer.id,
                        command = offer.rerun_of,
                        by = offer.by,
                        "taken"
                    );
                    well = self.one(&desk, &offer, &asked).await;
                    if once {
                        return Ok(well);
                    }
                    if !well {
                        tokio::time::sleep(backoff.wait(Some(Duration::from_secs(1)))).await;
                    }
                }
                Err(refused) if refused.passes => {
                    tracing::warn!("no runs can be taken: {:#}", refused.error);
                    tokio::time::sleep(backoff.wait(None)).await;
                }
                Err(refused) => return Err(refused.error),
            }
        }
    }

    /// One run, to its end; answers whether it was done.
    async fn one(&self, desk: &Desk, offer: &Offer, asked: &watch::Receiver<Asked>) -> bool {
        if offer.masked > 0 && !self.unmasked {
            let why = "fields of the first result were masked, and this runner masks nothing; --unmasked has it run such commands, too";
            return self.over(desk.fail(offer, why).await, why);
        }
        let ready = match self.target.ready(&self.limits).await {
            Ok(ready) => ready,
            Err(error) => {
                let why = format!("it can't be run here: {error:#}");
                return self.over(desk.give_back(offer, &why).await, &why);
            }
        };
        let session = format!("run-{}-{}", offer.id, offer.attempt);
        if let Said::Refused(why) = desk.start(offer, &session).await {
            tracing::warn!(run = offer.id, "not begun: {why}");
            return false;
        }
        let heartbeat = Heartbeat::start(desk.clone(), offer.clone());
        let ended = match self.record(offer, session, ready, &heartbeat, asked).await {
            Ok(ended_for) => ended_for,
            Err(error) => Some(format!("{error:#}")),
        };
        match ended {
            None => match desk.done(offer).await {
                Said::Heard => {
                    tracing::info!(run = offer.id, "done");
                    true
                }
                Said::Refused(why) => {
                    tracing::warn!(run = offer.id, "it ran, but is not taken as done: {why}");
                    false
                }
            },
            Some(why) => self.over(desk.fail(offer, &why).await, &why),
        }
    }

    fn over(&self, said: Said, why: &str) -> bool {
        tracing::warn!("not run: {why}");
        if let Said::Refused(refusal) = said {
            tracing::warn!("that is not taken: {refusal}");
        }
        false
    }

    /// Runs and records; answers why it was ended from here, if it was.
    async fn record(
        &self,
        offer: &Offer,
        session: String,
        ready: Ready,
        heartbeat: &Heartbeat,
        asked: &watch::Receiver<Asked>,
    ) -> anyhow::Result<Option<String>> {
        let mut recording = Recording::new(session, self.producer()?, self.limits.output_bytes);
        recording.start(offer).await?;
        let began = Instant::now();
        let ended = {
            let mut asked = asked.clone();
            let stop = async {
                tokio::select! {
                    why = heartbeat.ends() => why,
                    _ = asked.wait_for(|asked| *asked == Asked::Now) => "the runner was ended".to_owned(),
                }
            };
            match ready {
                Ready::Shell => shell::run(&offer.input, &self.limits, &mut recording, stop).await,
                Ready::Postgres(connected) => {
                    connected.run(&offer.input, &self.limits, &mut recording, stop).await
                }
            }
        };
        recording.end(&ended, began.elapsed()).await?;
        let mut report = recording.producer.close(SEND_FOR).await?;
        let mut backoff = Backoff::default();
        while report.left > 0 && heartbeat.standing() != Standing::Gone {
            if *asked.borrow() == Asked::Now {
                anyhow::bail!("the runner was ended before its events were sent");
            }
            tokio::time::sleep(backoff.wait(None)).await;
            report = self.producer()?.close(SEND_FOR).await?;
        }
        check(&report)?;
        Ok(ended.ended_for)
    }

    fn producer(&self) -> anyhow::Result<Producer> {
        let options = Options { spill: Some(self.spill.clone()), ..Options::default() };
        Producer::start(self.client.clone(), options)
    }

    async fn send_left(&self) {
        let sent = async { self.producer()?.close(SEND_FOR).await };
        match sent.await {
            Ok(report) if report.left > 0 => {
                tracing::warn!(events = report.left, "events of runs before wait in the spill");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("what waits in the spill is not sent: {error:#}"),
        }
    }
}

/// Is all of a session with the server?
fn check(report: &Report) -> anyhow::Result<()> {
    if let Some(why) = &report.first_rejected {
        anyhow::bail!("the server refused {} events of the result: {why}", report.rejected);
    }
    if report.lost > 0 {
        let why = report.why.as_deref().unwrap_or("they could not be kept");
        anyhow::bail!("{} events of the result are lost: {why}", report.lost);
    }
    Ok(())
}
