//! One sink at work: it follows the log from its place, sends what matches, and moves on once that is taken.

use super::State;
use super::http::Http;
use super::outcome::Outcome;
use super::place::{Place, Refused};
use super::sink::{Sink, Target};
use super::syslog::Syslog;
use crate::problem::Problem;
use crate::state::App;
use daybook_engine::event::{Micros, Offset};
use daybook_query::lang::{Query, parse};
use daybook_query::search::{Bounds, Lines, Told, lines};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// How long what arrives is gathered: under load it comes by the thousand.
const GATHER: Duration = Duration::from_millis(200);
/// How long one look at the log goes on.
const LOOK: Duration = Duration::from_millis(500);
/// While nothing matches, the place is noted down after so many offsets,
const KEEP_AFTER: u64 = 1 << 16;
/// and after this time: no more is looked at again after a crash.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// A sink that runs.
pub struct Sender {
    app: App,
    sink: Arc<Sink>,
    state: Arc<State>,
    query: Arc<Query>,
    door: Door,
    place: Place,
    /// What is looked at next: the place, or before it where events are sent again.
    at: u64,
    /// How many events a batch may have: fewer while the receiver refuses larger ones.
    most: usize,
    /// How many offsets are looked at at once.
    window: u64,
    /// The events that this connection of syslog has taken last.
    recent: VecDeque<u64>,
    /// What of the place is durable, and since when.
    kept: (u64, Instant),
}

/// How events go out.
enum Door {
    Http(Http),
    Syslog(Box<Syslog>),
}

/// There is nothing to be done any more.
struct Done;

impl Sender {
    /// One that goes on where its place is.
    pub fn new(app: &App, sink: &Arc<Sink>, state: &Arc<State>, place: Place) -> Sender {
        let door = match &sink.url {
            Some(Target::Syslog { .. }) => Door::Syslog(Box::new(Syslog::new(sink))),
            _ => Door::Http(Http::new(sink)),
        };
        // It was read when the configuration was.
        let query = match &*sink.query {
            "" => Query::all(),
            text => parse(text, Micros::now()).unwrap_or_else(|_| Query::all()),
        };
        Sender {
            app: Arc::clone(app),
            sink: Arc::clone(sink),
            state: Arc::clone(state),
            query: Arc::new(query),
            door,
            at: place.through,
            most: sink.batch_events_max.max(1),
            window: u64::MAX,
            recent: VecDeque::new(),
            kept: (place.through, Instant::now()),
            place,
        }
    }

    /// Runs until it is cut off.
    pub async fn run(mut self) {
        let _ = self.work().await;
    }

    async fn work(&mut self) -> Result<(), Done> {
        let mut end = self.app.engine.follow();
        let last = end.borrow().0;
        if self.place.through > last {
            tracing::warn!(sink = %self.sink.name, through = self.place.through, end = last,
                "the log ends before a sink's place: it is another log, or an older copy; the sink goes on at its end");
            (self.place.through, self.at) = (last, last);
            (self.place.pending, self.place.again) = (None, None);
        }
        loop {
            // Before the look: what comes meanwhile is seen as a change.
            end.borrow_and_update();
            if let Err(why) = self.connect().await {
                self.look_back().await;
                self.failed(why, None).await;
                continue;
            }
            if self.state.asked() {
                self.resend().await;
            }
            match self.look().await {
                Ok(found) if found.told.is_empty() => {
                    let at_end = found.at_end;
                    self.moved(&found);
                    self.state.at_end(at_end);
                    self.succeeded();
                    self.keep_if_due().await;
                    if at_end {
                        self.wait(&mut end).await?;
                    }
                }
                Ok(found) => self.deliver(found).await,
                Err(problem) => self.failed(problem.detail().to_owned(), None).await,
            }
        }
    }

    /// Sees to it that there is a connection. A new one begins earlier: what the receiver had in its hands may be
    /// lost with the one before.
    async fn connect(&mut self) -> Result<(), String> {
        if let Door::Syslog(syslog) = &mut self.door
            && syslog.connect().await?
        {
            self.at = self.place.again.unwrap_or(self.place.through).min(self.place.through);
            self.recent.clear();
        }
        Ok(())
    }

    /// Notes how old is what waits for a receiver that can't be reached.
    async fn look_back(&self) {
        if self.state.knows_oldest() {
            return;
        }
        // Where it can't be read that is said once the receiver is there.
        if let Ok(found) = self.look().await
            && let Some(first) = found.told.first()
        {
            self.state.oldest(first.received);
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, end: &mut watch::Receiver<Offset>) -> Result<(), Done> {
        let closed = async {
            match &mut self.door {
                Door::Http(_) => std::future::pending().await,
                Door::Syslog(syslog) => syslog.closed().await,
            }
        };
        let due = self.kept.1 + KEEP_EVERY;
        let moved = self.place.through != self.kept.0;
        tokio::select! {
            changed = end.changed() => {
                changed.map_err(|_| Done)?;
                sleep(GATHER).await;
            }
            // At once, if there is nothing else: what it had not read is sent again.
            why = closed => self.failed(why, None).await,
            () = self.state.wake.notified() => {}
            () = sleep_until(due), if moved => self.keep_if_due().await,
        }
        Ok(())
    }

    /// Finds what is to be sent next: the batch that was noted down, or what there is.
    async fn look(&self) -> Result<Lines, Problem> {
        let until = self.place.pending.filter(|pending| *pending > self.at).unwrap_or(u64::MAX);
        self.lines(Arc::clone(&self.query), self.at, until, self.most).await
    }

    async fn lines(
        &self,
        query: Arc<Query>,
        from: u64,
        until: u64,
        events_max: usize,
    ) -> Result<Lines, Problem> {
        let bounds = Bounds {
            until: Offset(until),
            events_max,
            bytes_max: self.sink.batch_bytes_max,
            time_max: LOOK,
            window: self.window,
        };
        let (engine, form) = (Arc::clone(&self.app.engine), self.sink.form());
        let turn = self.app.push.share.turn().await?;
        let read = self.app.reads.run_within(self.app.config.read_time_max, move || {
            let _turn = turn;
            lines(&engine.snapshot(), &query, form, Offset(from), &bounds)
        });
        Ok(read.await??)
    }

    async fn send(&mut self, batch: Vec<Told>) -> Outcome {
        match &mut self.door {
            Door::Http(http) => http.send(batch).await,
            Door::Syslog(syslog) => syslog.send(&batch).await,
        }
    }

    /// One attempt to send what was found. What failed is waited for.
    async fn deliver(&mut self, mut found: Lines) {
        let told = std::mem::take(&mut found.told);
        let (Some(first), Some(last)) = (told.first(), told.last()) else { return };
        self.state.oldest(first.received);
        let (count, bytes) = (told.len(), told.iter().map(Told::bytes).sum::<usize>());
        let alone = Refused {
            offset: last.offset.0,
            session: last.session.clone(),
            seq: last.seq.0,
            at: Micros::now().0,
            why: "".into(),
        };
        let offsets: Vec<u64> = told.iter().map(|told| told.offset.0).collect();
        let next = found.next.0;
        if matches!(self.door, Door::Http(_)) && self.place.pending != Some(next) {
            self.place.pending = Some(next);
            self.keep().await;
        }
        match self.send(told).await {
            Outcome::Taken => {
                self.moved(&found);
                self.taken(count, bytes, &offsets);
                self.most = self.most.saturating_mul(2).min(self.sink.batch_events_max.max(1));
                self.succeeded();
                self.keep().await;
            }
            Outcome::Refused(_) if count > 1 => self.most = count / 2,
            Outcome::Refused(why) => {
                self.refused(&found, Refused { why: why.into(), ..alone }).await
            }
            Outcome::Failed(why, asked) => self.failed(why, asked).await,
        }
    }

    /// Goes on behind what was found. What is looked at again is not counted again.
    fn moved(&mut self, found: &Lines) {
        if self.at >= self.place.through && (found.gone > 0 || found.unreadable > 0) {
            tracing::warn!(sink = %self.sink.name, from = self.at, through = found.next.0, gone = found.gone,
                unreadable = found.unreadable, "events were erased or damaged before a sink came to them");
            self.place.gone += found.gone;
            self.place.unreadable += found.unreadable;
        }
        self.window = found.window;
        self.at = found.next.0;
        self.place.through = self.place.through.max(self.at);
        if self.place.pending.is_some_and(|pending| pending <= self.at) {
            self.place.pending = None;
        }
        self.set();
    }

    fn taken(&mut self, count: usize, bytes: usize, offsets: &[u64]) {
        self.place.sent += count as u64;
        self.place.sent_bytes += bytes as u64;
        self.place.last_sent = Some(Micros::now().0);
        if matches!(self.door, Door::Syslog(_)) && !offsets.is_empty() {
            self.recent.extend(offsets);
            let over = self.recent.len().saturating_sub(self.sink.resend);
            self.recent.drain(..over);
            self.place.again = self.recent.front().copied();
        }
    }

    /// Notes an event that the receiver does not want, and goes on behind it; where there is no room, stands.
    async fn refused(&mut self, found: &Lines, refused: Refused) {
        let (offset, why) = (refused.offset, &refused.why);
        let known = self.place.refused.iter().any(|noted| noted.offset == offset);
        if !known && self.place.refused.len() >= self.sink.refused_max {
            let what = format!(
                "the event {offset} is refused ({why}), and there is no room to note it: {} are noted (refused_max); mend the receiver and have them sent again: POST /v1/push/{}/resend",
                self.place.refused.len(),
                self.sink.name
            );
            return self.failed(what, None).await;
        }
        if !known {
            tracing::warn!(sink = %self.sink.name, offset, session = %refused.session, seq = refused.seq, %why,
                "a receiver refused an event; it is noted");
            self.place.refused.push(refused);
            self.place.refused_ever += 1;
        }
        self.moved(found);
        self.keep().await;
    }

    /// Sends once more what was refused, one by one. What is taken, or gone, is noted no longer.
    async fn resend(&mut self) {
        for mut refused in self.place.refused.clone() {
            let offset = refused.offset;
            let found = match self.lines(Arc::new(Query::all()), offset, offset + 1, 1).await {
                Ok(found) => found,
                Err(problem) => return self.ask_again(problem.detail().to_owned(), None).await,
            };
            if found.unreadable > 0 {
                // It may be mended.
                continue;
            }
            let bytes = found.told.first().map_or(0, Told::bytes);
            let outcome = match found.told.is_empty() {
                true => None,
                false => Some(self.send(found.told).await),
            };
            match outcome {
                None => {
                    tracing::warn!(sink = %self.sink.name, offset, "a refused event was erased; it is noted no longer");
                    self.place.gone += 1;
                }
                Some(Outcome::Taken) => self.taken(1, bytes, &[]),
                Some(Outcome::Failed(why, asked)) => return self.ask_again(why, asked).await,
                Some(Outcome::Refused(why)) => {
                    (refused.at, refused.why) = (Micros::now().0, why.into());
                    let noted = self.place.refused.iter_mut().find(|noted| noted.offset == offset);
                    if let Some(noted) = noted {
                        *noted = refused;
                    }
                    continue;
                }
            }
            self.place.refused.retain(|noted| noted.offset != offset);
            self.set();
        }
        self.keep().await;
    }

    /// Waits, and then sends what was refused once more.
    async fn ask_again(&mut self, why: String, asked: Option<Duration>) {
        self.keep().await;
        self.failed(why, asked).await;
        self.state.ask();
    }

    /// Notes what went wrong, and waits before the next attempt; who asks for one has it at once.
    async fn failed(&mut self, error: String, asked: Option<Duration>) {
        let (until, first) = self.state.failed(error.clone(), asked, self.sink.wait_max);
        if first {
            // Once; how it goes on is in its status.
            tracing::warn!(sink = %self.sink.name, %error, "a sink does not take events; they are sent again");
        }
        // The place is durable by then.
        self.keep_if_due().await;
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.state.wake.notified() => {}
        }
    }

    fn succeeded(&self) {
        if let Some(failures) = self.state.succeeded() {
            tracing::info!(sink = %self.sink.name, failures, "a sink goes on");
        }
    }

    fn set(&self) {
        self.app.push.places.set(&self.sink.name, self.place.clone());
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
        self.app.push.keep_places().await;
    }
}
