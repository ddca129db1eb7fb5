//! The task that carries events to the server.
//!
//! It does one thing at a time to the server and never waits for it: while a request is under way, events
//! are batched, and batches go to the spill once the server is known to be away or slow.
//!
//! Order: what waits in the spill is older than what waits in memory, so while anything is in the spill,
//! new batches go behind it. (daybook does not need the order; people who watch a session live do.)

use super::spill::Spill;
use super::status::{Known, Status};
use super::{NotTaken, Options, Report};
use crate::client::{Attempt, Backoff, Before, Client, Delivery, Later, Receipt, count_lines};
use reqwest::StatusCode;
use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A batch that is being sent.
struct Parcel {
    delivery: Delivery,
    /// Its file, if it has one.
    file: Option<PathBuf>,
    /// Its bytes, as a whole.
    lines: bytes::Bytes,
    since: Instant,
}

type Answer = Pin<Box<dyn Future<Output = Attempt> + Send>>;

pub struct Courier {
    client: Client,
    options: Options,
    spill: Option<Spill>,
    status: Arc<Status>,
    /// Events' lines, each with its line break.
    lines: mpsc::Receiver<String>,
    /// How long to go on, once it is to end.
    close: oneshot::Receiver<Duration>,
    /// The batch that is being filled, and since when.
    open: Vec<u8>,
    open_events: u64,
    open_since: Option<Instant>,
    /// Batches that wait in memory.
    queue: VecDeque<bytes::Bytes>,
    queued: usize,
    parcel: Option<Parcel>,
    answer: Option<Answer>,
    /// Did the last attempt fail?
    away: bool,
    backoff: Backoff,
    again_at: Option<Instant>,
    /// `again_at`, if the server asked for that wait.
    asked_at: Option<Instant>,
    /// When to stop trying, once the handle has said so.
    end: Option<Instant>,
    report: Report,
}

impl Courier {
    pub fn new(
        client: Client,
        options: Options,
        spill: Option<Spill>,
        status: Arc<Status>,
        lines: mpsc::Receiver<String>,
        close: oneshot::Receiver<Duration>,
    ) -> Courier {
        Courier {
            client,
            options,
            spill,
            status,
            lines,
            close,
            open: Vec::new(),
            open_events: 0,
            open_since: None,
            queue: VecDeque::new(),
            queued: 0,
            parcel: None,
            answer: None,
            away: false,
            backoff: Backoff::default(),
            again_at: None,
            asked_at: None,
            end: None,
            report: Report::default(),
        }
    }

    /// Carries until the handle closes it and all is sent or its time is over.
    pub async fn run(mut self) -> Report {
        loop {
            self.begin();
            if self.end.is_some_and(|end| self.is_idle() || end <= Instant::now()) {
                return self.finish();
            }
            let takes = self.end.is_none() && self.has_room();
            let timer = self.next_timer();
            tokio::select! {
                // Of a handle that was dropped the other channel tells.
                Some(line) = self.lines.recv(), if takes => self.add(&line),
                patience = &mut self.close, if self.end.is_none() => {
                    // Dropped: what waits is kept, if there is a spill.
                    self.close(patience.unwrap_or(Duration::ZERO));
                }
                attempt = answered(&mut self.answer) => {
                    self.answer = None;
                    self.judge(attempt);
                }
                () = tokio::time::sleep_until(timer) => self.tick(),
            }
        }
    }

    fn add(&mut self, line: &str) {
        self.open_since.get_or_insert_with(Instant::now);
        self.open.extend_from_slice(line.as_bytes());
        self.open_events += 1;
        if self.open.len() >= self.options.batch_bytes
            || self.open_events >= self.options.batch_events
        {
            self.batch();
        }
    }

    /// Takes what was sent before the end, also past the bound of memory: it is no more than the channel holds.
    fn close(&mut self, patience: Duration) {
        while let Ok(line) = self.lines.try_recv() {
            self.add(&line);
        }
        self.batch();
        let end = Instant::now() + patience;
        self.end = Some(end);
        // A last attempt at once, unless the server asked for a wait that there is time for.
        self.again_at = self.asked_at.filter(|asked| *asked < end);
    }

    /// Ends the batch that is being filled.
    fn batch(&mut self) {
        self.open_since = None;
        self.open_events = 0;
        if self.open.is_empty() {
            return;
        }
        let lines = bytes::Bytes::from(std::mem::take(&mut self.open));
        self.queued += lines.len();
        self.queue.push_back(lines);
        let behind = self.spill.as_ref().is_some_and(|spill| !spill.is_empty());
        if self.away || behind || self.queued > self.options.memory_bytes / 2 {
            self.stash();
        }
    }

    /// Puts what waits in memory into the spill, as far as there is room.
    fn stash(&mut self) {
        let Some(spill) = &mut self.spill else { return };
        let ending = self.end.is_some_and(|end| end <= Instant::now());
        let mut put = |lines: &[u8]| -> Result<PathBuf, String> {
            // What was taken is kept: when this ends, past the bound too, by what memory held.
            let room =
                ending || spill.has_room(lines.len()).map_err(|error| format!("{error:#}"))?;
            if !room {
                return Err(format!(
                    "the server is away, and the spill directory {} is full; start the server, or allow more",
                    spill.dir().display()
                ));
            }
            spill.put(lines).map_err(|error| format!("{error:#}"))
        };
        let mut stashed = || -> Result<(), String> {
            if let Some(parcel) = self.parcel.as_mut().filter(|parcel| parcel.file.is_none()) {
                // Whole, also what is answered for: it may not have been heard.
                parcel.file = Some(put(&parcel.lines)?);
            }
            while let Some(lines) = self.queue.front() {
                put(lines)?;
                self.queued -= lines.len();
                self.queue.pop_front();
            }
            Ok(())
        };
        let refuses = stashed().err().map(NotTaken::Full);
        self.status.0.lock().refuses = refuses;
    }

    /// Begins with the next batch, if it is time to.
    fn begin(&mut self) {
        let waits = self.again_at.is_some_and(|at| at > Instant::now());
        if self.answer.is_some() || waits {
            return;
        }
        self.again_at = None;
        if self.parcel.is_none() {
            self.parcel = self.next_spilled().or_else(|| self.next_queued());
        }
        if let Some(parcel) = &mut self.parcel {
            let (client, piece) = (self.client.clone(), parcel.delivery.piece());
            let key = parcel.delivery.key();
            parcel.since = Instant::now();
            self.answer = Some(Box::pin(async move { client.attempt(piece, &key).await }));
        }
    }

    fn next_spilled(&mut self) -> Option<Parcel> {
        let spill = self.spill.as_mut()?;
        while let Some(path) = spill.oldest() {
            match spill.read(&path) {
                Ok(Some(lines)) if lines.is_empty() => spill.remove(&path, 0),
                Ok(Some(lines)) => return Some(Parcel::new(lines.into(), Some(path))),
                Ok(None) => {}
                Err(error) => {
                    self.status.0.lock().trouble = Some(format!("{error:#}"));
                    self.report.why = Some(format!("{error:#}"));
                    self.again_at = Some(Instant::now() + self.backoff.wait(None));
                    return None;
                }
            }
        }
        None
    }

    fn next_queued(&mut self) -> Option<Parcel> {
        let lines = self.queue.pop_front()?;
        self.queued -= lines.len();
        Some(Parcel::new(lines, None))
    }

    /// Goes on after an answer.
    fn judge(&mut self, attempt: Attempt) {
        let Some(mut parcel) = self.parcel.take() else { return };
        match attempt {
            Attempt::Stored(receipt) => {
                self.keep_refused(&receipt, &parcel);
                parcel.delivery.stored(receipt);
                self.well();
                if parcel.delivery.is_done() {
                    self.delivered(&parcel);
                } else {
                    self.parcel = Some(parcel);
                }
            }
            Attempt::TooLarge(before, why) => {
                let moved = parcel.resume(before);
                if moved || parcel.delivery.shrink() {
                    self.parcel = Some(parcel);
                } else {
                    self.set_aside(parcel, &why);
                }
            }
            // Not this server's mood but these lines: the next ones may be taken.
            Attempt::Refused(status, why) if of_the_request(status) => self.set_aside(parcel, &why),
            Attempt::Refused(_, why) => {
                if self.spill.is_none() {
                    self.status.0.lock().refuses = Some(NotTaken::Refused(why.clone()));
                }
                self.failed(parcel, None, why);
            }
            Attempt::Later(Later { asked, before, why, .. }) => {
                parcel.resume(before);
                self.failed(parcel, asked, why);
            }
        }
    }

    fn failed(&mut self, parcel: Parcel, asked: Option<Duration>, why: String) {
        self.parcel = Some(parcel);
        self.away = true;
        let again_at = Instant::now() + self.backoff.wait(asked);
        self.again_at = Some(again_at);
        self.asked_at = asked.map(|_| again_at);
        self.status.0.lock().trouble = Some(why.clone());
        self.report.why = Some(why);
        self.stash();
    }

    fn well(&mut self) {
        self.away = false;
        self.again_at = None;
        self.asked_at = None;
        self.backoff.reset();
        *self.status.0.lock() = Known::default();
    }

    fn delivered(&mut self, parcel: &Parcel) {
        let receipt = parcel.delivery.receipt();
        self.report.accepted += receipt.accepted;
        self.report.duplicates += receipt.duplicates;
        self.report.rejected += receipt.refused();
        if let Some(refusal) = receipt.rejected.first() {
            self.report.first_rejected.get_or_insert_with(|| refusal.error.clone());
        }
        if let (Some(spill), Some(file)) = (&mut self.spill, &parcel.file) {
            spill.remove(file, parcel.lines.len() as u64);
        }
    }

    /// Keeps the lines that a receipt says were refused.
    fn keep_refused(&mut self, receipt: &Receipt, parcel: &Parcel) {
        let Some(spill) = self.spill.as_mut().filter(|_| receipt.refused() > 0) else { return };
        let piece = parcel.delivery.piece();
        let lines: Vec<&[u8]> = piece.split_inclusive(|byte| *byte == b'\n').collect();
        let at = |line: u64| lines.get(usize::try_from(line).ok()?.checked_sub(1)?).copied();
        let refused: Vec<&[u8]> = receipt.rejected.iter().filter_map(|r| at(r.line)).collect();
        // Of very many the server names only the first ones: then all are kept.
        let all_named = refused.len() as u64 == receipt.refused();
        let kept = if all_named { refused.concat() } else { piece.to_vec() };
        if let Err(error) = spill.put_refused(&kept) {
            self.report.why = Some(format!("{error:#}"));
        }
    }

    /// Puts aside what can never be sent as it is, so that what is behind it can.
    fn set_aside(&mut self, mut parcel: Parcel, why: &str) {
        self.well();
        let rest = parcel.delivery.rest().clone();
        let events = count_lines(&rest);
        self.report.rejected += events;
        self.report.first_rejected.get_or_insert_with(|| why.to_owned());
        // Kept before anything of it is removed.
        let kept = self.spill.as_mut().map(|spill| match parcel.file.take() {
            Some(file) => spill.refuse(&file),
            None => spill.put_refused(&rest),
        });
        match kept {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.report.lost += events;
                self.report.why = Some(format!("{error:#}"));
            }
            None => self.report.lost += events,
        }
        self.delivered(&parcel);
    }

    /// Does what is due by the clock.
    fn tick(&mut self) {
        let now = Instant::now();
        if self.open_since.is_some_and(|since| now >= since + self.options.batch_age) {
            self.batch();
        }
        if self.is_slow(now) {
            self.away = true;
            self.stash();
        }
    }

    /// Has a request been under way for so long that what is in memory is not safe there?
    fn is_slow(&self, now: Instant) -> bool {
        let since = self.parcel.as_ref().filter(|_| self.answer.is_some() && !self.away);
        self.spill.is_some() && since.is_some_and(|p| now >= p.since + self.options.spill_after)
    }

    fn next_timer(&self) -> Instant {
        let slow = self.parcel.as_ref().filter(|_| self.answer.is_some() && !self.away);
        let timers = [
            self.open_since.map(|since| since + self.options.batch_age),
            self.again_at.filter(|_| self.answer.is_none()),
            slow.filter(|_| self.spill.is_some()).map(|p| p.since + self.options.spill_after),
            self.end,
        ];
        let far = Instant::now() + Duration::from_secs(3_600);
        timers.into_iter().flatten().min().unwrap_or(far)
    }

    /// May more lines be taken? With a spill its bound is what holds, and `send` refuses past it.
    fn has_room(&self) -> bool {
        self.spill.is_some() || self.queued + self.open.len() < self.options.memory_bytes
    }

    fn is_idle(&self) -> bool {
        self.parcel.is_none()
            && self.queue.is_empty()
            && self.open.is_empty()
            && self.spill.as_ref().is_none_or(Spill::is_empty)
    }

    /// Keeps what could not be sent, and says how it went.
    fn finish(mut self) -> Report {
        self.batch();
        self.stash();
        if let Some(parcel) = self.parcel.take() {
            let receipt = parcel.delivery.receipt();
            self.report.accepted += receipt.accepted;
            self.report.duplicates += receipt.duplicates;
            self.report.rejected += receipt.refused();
            if parcel.file.is_none() {
                self.report.lost += count_lines(parcel.delivery.rest());
            }
        }
        self.report.lost += self.queue.iter().map(|lines| count_lines(lines)).sum::<u64>();
        if let Some(spill) = &self.spill {
            self.report.left = spill.events();
            self.report.left_in = (self.report.left > 0).then(|| spill.dir().to_owned());
        }
        self.report
    }
}

impl Parcel {
    fn new(lines: bytes::Bytes, file: Option<PathBuf>) -> Parcel {
        Parcel { delivery: Delivery::new(lines.clone()), file, lines, since: Instant::now() }
    }

    /// Goes on behind what was stored; not where lines were refused that nobody named: sent again, they
    /// are named. Answers whether it came on.
    fn resume(&mut self, before: Before) -> bool {
        let comes_on = before.lines > 0 && before.rejected_count == 0;
        if comes_on {
            self.delivery.stopped(before);
        }
        comes_on
    }
}

/// The answer that is waited for; never, if none is.
async fn answered(answer: &mut Option<Answer>) -> Attempt {
    match answer {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}

/// Is a refusal about what was sent, and not about who sent it or where?
fn of_the_request(status: StatusCode) -> bool {
    let of_the_request = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    of_the_request.contains(&status)
}
