//! `POST` and `GET /v1/producers`: what each producer says that it sent, against what is stored.
//!
//! ```text
//! producer ── {"sent": {"s-1": 41, "s-2": 7}} ──► daybook.sent ─► claims ─┬─► all here, or which sessions are not
//!                                                 the sessions of the log ┘
//! ```
//!
//! `session.end` can say how many events of its session were sent; but a session that is lost whole says nothing. What a
//! producer says here is about sessions that it knows it sent, so those are noticed, too.

mod sent;

pub use sent::Sent;

use crate::auth::Caller;
use crate::params::{Body, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use daybook_engine::event::wire::{Access, SESSION_BYTES_MAX};
use daybook_engine::view::Snapshot;
use daybook_engine::{Error, is_own};
use sent::{ACTION, Claims};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most sessions that are told of at once.
const SESSIONS_MAX: usize = 1_000;
/// The most sessions that are named, of each producer.
const NAMED_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    /// How many events of each session were sent.
    sent: BTreeMap<Box<str>, u64>,
    by: Option<String>,
}

#[derive(Serialize)]
struct ProducerPage {
    items: Vec<Producer>,
    next_cursor: Option<String>,
    count: usize,
}

/// What a producer says, and what is here.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Producer {
    producer: Box<str>,
    /// When it said something last.
    said_at: Option<String>,
    /// Of so many sessions.
    sessions: usize,
    /// So many events.
    sent: u64,
    /// How many of these are here.
    stored: u64,
    /// Are all of them?
    complete: bool,
    /// How many sessions are not here whole.
    lacking_sessions: usize,
    /// The first of them.
    lacking: Vec<Lacking>,
    /// Sessions that it spoke of so long ago that it is not known any more.
    forgotten: u64,
}

/// A session that is not here whole.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Lacking {
    session: Box<str>,
    sent: u64,
    stored: u64,
}

impl Producer {
    fn of(name: &str, claims: &Claims, snapshot: &Snapshot) -> Result<Producer, Error> {
        let mut producer = Producer {
            producer: name.into(),
            said_at: claims.said_at.map(|at| at.to_string()),
            sessions: claims.sessions.len(),
            sent: 0,
            stored: 0,
            complete: true,
            lacking_sessions: 0,
            lacking: Vec::new(),
            forgotten: claims.forgotten,
        };
        for (session, sent) in &claims.sessions {
            let found = snapshot.sessions.get(session)?;
            // What daybook added, its producer did not send.
            let here =
                found.map_or(0, |found| found.state.events.saturating_sub(found.state.added));
            let stored = here.min(*sent);
            producer.sent = producer.sent.saturating_add(*sent);
            producer.stored = producer.stored.saturating_add(stored);
            if stored == *sent {
                continue;
            }
            producer.complete = false;
            producer.lacking_sessions += 1;
            if producer.lacking.len() < NAMED_MAX {
                producer.lacking.push(Lacking { session: session.clone(), sent: *sent, stored });
            }
        }
        Ok(producer)
    }
}

/// What each producer says that it sent, and what of it is stored.
#[utoipa::path(
    get,
    path = "/v1/producers",
    tag = "proof",
    responses(
        (status = 200, description = "all who said something", body = shapes::ProducerPage),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_producers(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    caller.sees_all("producers send sessions of all roles and users")?;
    let ledger = app.sent.clone();
    app.read(move |snapshot| -> Result<_, Problem> {
        let all = ledger.read(Sent::clone);
        let items = all.producers.iter().map(|(name, claims)| Producer::of(name, claims, snapshot));
        let items = items.collect::<Result<Vec<_>, Error>>()?;
        Ok(ProducerPage { count: items.len(), items, next_cursor: None })
    })
    .await
}

/// Says how many events of which sessions were sent. A later word on a session takes the place of the one before.
#[utoipa::path(
    post,
    path = "/v1/producers",
    tag = "proof",
    request_body(content = shapes::Statement, description = "what was sent"),
    responses(
        (status = 200, description = "what of all that it said is here", body = shapes::Producer),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only, busy or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_sent(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let statement: Statement = body(bytes)?;
    let by = caller.by(statement.by.as_deref())?;
    check(&statement.sent)?;
    let access = Access {
        metadata: statement
            .sent
            .into_iter()
            .map(|(session, events)| (session, events.to_string().into()))
            .collect(),
        ..Access::new(&by, ACTION, &by)
    };
    app.sent.act(move |_, _| Ok((vec![access], ()))).await?;
    let claims = app.sent.read(|sent| sent.producers.get(&by).cloned().unwrap_or_default());
    app.read(move |snapshot| Producer::of(&by, &claims, snapshot)).await
}

/// Can it be told?
fn check(sent: &BTreeMap<Box<str>, u64>) -> Result<(), Problem> {
    let wrong = |what: String| Err(Problem::parameter("sent", what));
    if sent.is_empty() || sent.len() > SESSIONS_MAX {
        return wrong(format!(
            "`sent` has {} sessions, but has to have 1 to {SESSIONS_MAX}",
            sent.len()
        ));
    }
    for session in sent.keys() {
        if session.is_empty() || session.len() > SESSION_BYTES_MAX || is_own(session) {
            return wrong(format!("`{session}` in `sent` is no id of a producer's session"));
        }
    }
    Ok(())
}
