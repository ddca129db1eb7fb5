//! The way into the log for what the doors made: one batch a request, appended as `POST /v1/events`
//! appends.

use super::compose::Composed;
use super::known::{Held, Meeting};
use crate::auth::Caller;
use crate::problem::{Problem, Stored};
use crate::state::App;
use daybook_engine::event::wire::Event;
use daybook_engine::{Ack, Batch, Engine, Sender};
use std::sync::Arc;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on disk.
    Stored,
    /// It had been stored before.
    Repeated,
    /// One with its id had been stored before, with other content. That one stays.
    Other,
    /// It was refused, and why.
    Refused(String),
}

/// What became of a request's events: one fate for each, in their order.
#[derive(Debug)]
pub struct Outcome {
    /// The fates.
    pub fates: Vec<Fate>,
    /// The counts, for the metrics.
    pub stored: Stored,
}

/// A request's events with what is known of their ids.
struct Prepared {
    batch: Batch,
    held: Held,
    fates: Vec<Fate>,
    events: Vec<Composed>,
}

/// Stores events. It goes on to its end also when the asker goes away: what is known of the ids has to
/// be what is in the log.
///
/// # Errors
/// Why nothing was stored, or that it is not certain whether it was; sending it all again is safe.
pub async fn store(app: &App, caller: &Caller, events: Vec<Composed>) -> Result<Outcome, Problem> {
    let (app, sender) = (Arc::clone(app), caller.sender());
    tokio::spawn(async move { store_all(&app, sender, events).await })
        .await
        .map_err(Problem::internal)?
}

async fn store_all(
    app: &App,
    sender: Option<Arc<Sender>>,
    events: Vec<Composed>,
) -> Result<Outcome, Problem> {
    let by_id = events.iter().filter(|event| event.id.is_some() || event.start.is_some());
    let held = app.known.hold(by_id.map(|event| &*event.session)).await;
    let engine = Arc::clone(&app.engine);
    let mut prepared = app.parsers.run(move || prepare(&engine, sender, held, events)).await??;
    let batch = std::mem::take(&mut prepared.batch);
    let bytes = batch.bytes() as u64;
    let stored = async {
        let _place = app.queue.enter_within(bytes, app.config.busy_wait).await?;
        app.engine.append(batch).await
    };
    match stored.await {
        Ok(ack) => Ok(prepared.settle(ack)),
        Err(error) => {
            let Prepared { mut held, events, .. } = prepared;
            held.forget(events.iter().map(|event| &*event.session));
            Err(error.into())
        }
    }
}

/// Decodes and checks the events, and sorts out those that were stored before.
fn prepare(
    engine: &Engine,
    sender: Option<Arc<Sender>>,
    held: Held,
    events: Vec<Composed>,
) -> Result<Prepared, Problem> {
    let fates = Vec::with_capacity(events.len());
    let mut prepared = Prepared { batch: Batch::of(sender), held, fates, events };
    let events = std::mem::take(&mut prepared.events);
    let looked_at = events.iter().enumerate().try_for_each(|(index, event)| {
        let fate = prepared.take(engine, index, event)?;
        prepared.fates.push(fate);
        Ok(())
    });
    if let Err(error) = looked_at {
        // What was met so far is not stored.
        let mut held = prepared.held;
        held.forget(events.iter().map(|event| &*event.session));
        return Err(error);
    }
    prepared.events = events;
    Ok(prepared)
}

impl Prepared {
    fn take(&mut self, engine: &Engine, index: usize, event: &Composed) -> Result<Fate, Problem> {
        // The start's number and the event's, for what the log says of them.
        let number = 2 * index as u64;
        let hashes = event
            .id
            .as_ref()
            .map(|id| (self.held.hash(id.as_bytes()), self.held.hash(&event.line)));
        if hashes.is_none() && event.start.is_none() {
            return Ok(match self.batch.push(number + 1, &event.line) {
                Ok(()) => Fate::Stored,
                Err(error) => Fate::Refused(error),
            });
        }
        let Some(session) = self.held.session(engine, &event.session)? else {
            return Err(Problem::internal("a session was not locked"));
        };
        match hashes.map_or(Meeting::New, |(id, line)| session.look(id, line)) {
            Meeting::New => {}
            Meeting::Same => return Ok(Fate::Repeated),
            Meeting::Other => return Ok(Fate::Other),
        }
        let start = event.start.as_ref().filter(|_| !session.started);
        // A start stands before its event, but not for one that is refused.
        let pushed = start.map_or(Ok(()), |start| {
            Event::decode(&event.line)?;
            self.batch.push(number, start)
        });
        Ok(match pushed.and_then(|()| self.batch.push(number + 1, &event.line)) {
            Ok(()) => {
                session.started |= start.is_some();
                if let Some((id, line)) = hashes {
                    session.meet(id, line);
                }
                Fate::Stored
            }
            Err(error) => Fate::Refused(error),
        })
    }

    /// What it came to, now that the log has answered.
    fn settle(mut self, ack: Ack) -> Outcome {
        let mut uncertain = Vec::new();
        for rejection in ack.rejected {
            let Ok(index) = usize::try_from(rejection.line / 2) else { continue };
            if let Some(event) = self.events.get(index) {
                uncertain.push(&*event.session);
            }
            // An event is stored also where the start beside it is not.
            if rejection.line % 2 == 1
                && let Some(fate) = self.fates.get_mut(index)
            {
                *fate = Fate::Refused(rejection.error);
            }
        }
        self.held.forget(uncertain.into_iter());
        self.held.trim();
        let count =
            |is: fn(&Fate) -> bool| self.fates.iter().filter(|fate| is(fate)).count() as u64;
        let repeated = count(|fate| matches!(fate, Fate::Repeated | Fate::Other));
        let stored = Stored {
            accepted: ack.accepted,
            duplicates: ack.duplicates + repeated,
            rejected_count: count(|fate| matches!(fate, Fate::Refused(_))),
            lines: self.fates.len() as u64,
        };
        Outcome { fates: self.fates, stored }
    }
}
