//! The endpoints for takers: proxies, and `daybook runner`.
//!
//! ```text
//! take ─► start ─► (events of a new session, renew, renew, ...) ─► done
//!    └─► return, fail
//! ```

use super::machine::{Lease, Run, State as RunState, Step};
use super::original::Original;
use super::{DAYBOOK, Runs, bad, check_id, conflict, original, wait_until};
use crate::auth::Caller;
use crate::params::{Body, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::random;
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::event::time::excerpt;
use daybook_engine::event::wire::{NAME_BYTES_MAX, SESSION_BYTES_MAX};
use daybook_engine::event::{Micros, Offset};
use daybook_engine::is_own;
use daybook_engine::view::Snapshot;
use daybook_query::item::Time;
use daybook_query::lang::number::duration_micros;
use daybook_query::timeline::{TimelineRequest, timeline};
use serde::{Deserialize, Serialize};

/// The most roles, or languages, that are asked for at once.
const NAMES_MAX: usize = 100;
/// The longest reason of a failure that is kept, in bytes.
const WHY_BYTES_MAX: usize = 2_000;
/// So many of a result's first events are looked through for its command.
const FIRST: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    roles: Vec<Box<str>>,
    #[serde(default)]
    languages: Vec<Box<str>>,
    wait: Option<String>,
    lease: Option<String>,
}

#[derive(Serialize)]
struct Taken {
    run: Option<Offer>,
}

/// A run, as its taker gets it.
#[derive(Serialize)]
struct Offer {
    id: Box<str>,
    lease: Box<str>,
    lease_until: Time,
    lease_ms: u64,
    attempt: u32,
    session: Box<str>,
    command: u32,
    rerun_of: String,
    input: String,
    language: Option<String>,
    role: Box<str>,
    #[serde(rename = "type")]
    kind: Option<Box<str>>,
    subtype: Option<Box<str>>,
    masked: u64,
    by: Box<str>,
    reason: Option<Box<str>>,
    repeat: bool,
}

/// What names the command that a result is of.
fn rerun_of(run: &Run) -> String {
    format!("{}:{}", run.request.session, run.request.command)
}

impl Offer {
    fn of(runs: &Runs, run: Run, lease: &Lease, original: Original) -> Offer {
        Offer {
            rerun_of: rerun_of(&run),
            lease: lease.id.clone(),
            lease_until: Time(runs.until(lease)),
            lease_ms: u64::try_from(runs.lease.as_millis()).unwrap_or(u64::MAX),
            attempt: run.attempts,
            session: run.request.session,
            command: run.request.command.0,
            input: original.input,
            language: original.language,
            role: run.request.role,
            kind: original.kind,
            subtype: original.subtype,
            masked: original.masked,
            id: run.id,
            by: run.by,
            reason: run.request.reason,
            repeat: run.request.repeat,
        }
    }
}

/// Takes a run of one of some roles, now or when there is one.
///
/// The taker has it until `lease_until` and renews that before; nobody else gets it meanwhile. Before it begins it says
/// `start`. With a `lease` of the taker's own choosing, taking can be tried again when no answer came: the same run is
/// answered.
#[utoipa::path(
    post,
    path = "/v1/runs/take",
    tag = "runs",
    request_body(content = shapes::WantedRun, description = "what the taker can run"),
    responses(
        (status = 200, description = "a run, or null if there was none in time", body = shapes::TakenRun),
        (status = 400, description = "something in the body can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "a role is not one of the token's", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the `lease` was used before", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down, or it took too long", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn take_run(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let wanted: Wanted = body(bytes)?;
    for (name, list) in [("roles", &wanted.roles), ("languages", &wanted.languages)] {
        if list.len() > NAMES_MAX || list.iter().any(|one| one.len() > NAME_BYTES_MAX) {
            let what = format!("`{name}` has at most {NAMES_MAX} names of {NAME_BYTES_MAX} bytes");
            return Err(bad(name, what));
        }
    }
    if wanted.roles.is_empty() {
        return Err(bad("roles", "say of which roles runs are taken, such as `[\"pg-prod\"]`"));
    }
    if let Some(sender) = caller.sender().filter(|sender| !sender.roles.is_empty())
        && let Some(role) =
            wanted.roles.iter().find(|role| !sender.roles.iter().any(|one| one.matches(role)))
    {
        let what =
            format!("the token `{}` is not for the role `{}`", sender.producer, excerpt(role));
        return Err(Problem::new("scope", StatusCode::FORBIDDEN, "Not with this token", what));
    }
    let wait = match wanted.wait.as_deref() {
        None => 0,
        Some(text) => duration_micros(text).ok_or_else(|| {
            bad("wait", format!("`wait` is how long, such as 30s, not `{}`", excerpt(text)))
        })?,
    };
    let lease = match &wanted.lease {
        Some(lease) => check_id("lease", lease)?,
        None => random::id::<12>("")?,
    };
    let taker = caller.by(None)?;
    let until = wait_until(wait);
    let mut changes = app.runs.ledger.changes();
    loop {
        if let Some(run) = take(&app, &wanted, &lease, &taker).await? {
            return answer(StatusCode::OK, &Taken { run: Some(run) });
        }
        if !app.runs.changed(&mut changes, until).await {
            return answer(StatusCode::OK, &Taken { run: None });
        }
    }
}

async fn find(app: &App, run: &Run) -> Result<Original, Problem> {
    let (engine, request) = (app.engine.clone(), run.request.clone());
    let look = move || original::find(&engine.snapshot(), &request.session, request.command);
    app.reads.run_within(app.config.read_time_max, look).await?
}

async fn take(
    app: &App,
    wanted: &Wanted,
    lease: &str,
    taker: &str,
) -> Result<Option<Offer>, Problem> {
    let runs = &app.runs;
    let (before, offered) = runs.ledger.read(|book| {
        let before = book.open().find(|run| run.has(lease)).cloned();
        let offered: Vec<Run> = book.offered(&wanted.roles, &wanted.languages).cloned().collect();
        (before, offered)
    });
    if let Some(run) = before {
        // The answer to the first time was lost on its way.
        let mine = run.state == RunState::Leased;
        let held = run.lease.clone().filter(|lease| mine && *lease.taker == *taker);
        let held = held.ok_or_else(|| conflict(&run))?;
        let original = find(app, &run).await?;
        return Ok(Some(Offer::of(runs, run, &held, original)));
    }
    for run in offered {
        let original = match find(app, &run).await {
            Ok(original) => original,
            Err(problem) if problem.status().is_client_error() => {
                // It was erased, or a review of it was taken back, since it was asked for.
                let why: Box<str> = problem.detail().into();
                let step = runs.step(&run.id, DAYBOOK, |run, _| {
                    let offered = run.state == RunState::Requested;
                    Ok(offered.then_some(Step::Fail { lease: None, why }))
                });
                step.await?;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        let (id, taker, length) = (Box::<str>::from(lease), Box::<str>::from(taker), runs.lease);
        let by = taker.clone();
        let step = move |run: &Run, now: Micros| match run.state {
            RunState::Requested if run.request.expires > now => {
                let until = now.saturating_add(length);
                Ok(Some(Step::Take(Lease { id, taker, until })))
            }
            // Somebody was faster.
            _ => Ok(None),
        };
        let run = runs.step(&run.id, &by, step).await?;
        if let Some(held) = run.lease.clone().filter(|_| run.has(lease)) {
            runs.renewed.lock().insert(held.id.clone(), held.until);
            return Ok(Some(Offer::of(runs, run, &held, original)));
        }
    }
    Ok(None)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    lease: Box<str>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    lease: Box<str>,
    session: Box<str>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    lease: Box<str>,
    why: String,
}

impl Failed {
    fn why(&self) -> Box<str> {
        let mut end = self.why.len().min(WHY_BYTES_MAX);
        while !self.why.is_char_boundary(end) {
            end -= 1;
        }
        self.why.get(..end).unwrap_or_default().into()
    }
}

#[derive(Serialize)]
struct Renewed {
    lease_until: Time,
    state: &'static str,
    cancelled: bool,
}

/// Is this the last lease of a run, and who asks its taker?
fn check(run: &Run, lease: &str, taker: &str) -> Result<(), Problem> {
    if run.lease.as_ref().is_some_and(|held| *held.id == *lease && *held.taker == *taker) {
        return Ok(());
    }
    let what = "the lease is not the run's last one: it ended, and somebody else may have the run; begin nothing, and end what runs";
    Err(Problem::new("lease", StatusCode::CONFLICT, "Not the lease", what))
}

/// Does a step of a taker's.
async fn taker_step(
    app: &App,
    caller: &Caller,
    id: &str,
    lease: Box<str>,
    step: Step,
) -> Result<Response, Problem> {
    let taker = caller.by(None)?;
    let by = taker.clone();
    let run = app.runs.step(id, &by, move |run, _| {
        check(run, &lease, &taker)?;
        Ok(Some(step))
    });
    renewed(app, run.await?)
}

fn renewed(app: &App, run: Run) -> Result<Response, Problem> {
    let until = run.lease.as_ref().map_or(run.updated, |lease| app.runs.until(lease));
    let renewed = Renewed {
        lease_until: Time(until),
        state: run.state.name(),
        cancelled: run.cancelled_by.is_some(),
    };
    answer(StatusCode::OK, &renewed)
}

/// Holds a run for longer.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/renew",
    tag = "runs",
    params(("id" = String, Path, description = "the run's id")),
    request_body(content = shapes::HeldRun, description = "the lease"),
    responses(
        (status = 200, description = "until when; `cancelled` says that what runs is to be ended", body = shapes::RenewedRun),
        (status = 400, description = "the body can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such run", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "not the run's last lease, or it has ended", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn renew_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let held: Held = body(bytes)?;
    let taker = caller.by(None)?;
    let (by, lease, own) = (taker.clone(), held.lease, app.clone());
    let run = app.runs.step(&id, &by, move |run, now| {
        check(run, &lease, &taker)?;
        if !matches!(run.state, RunState::Leased | RunState::Running) {
            return Err(conflict(run));
        }
        // While nothing else is done: no lease lapses between the look and this.
        own.runs.renewed.lock().insert(lease, now.saturating_add(own.runs.lease));
        Ok(None)
    });
    renewed(&app, run.await?)
}

/// Says that the command begins now: from here on nobody else is given the run, unless it may be repeated.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/start",
    tag = "runs",
    params(("id" = String, Path, description = "the run's id")),
    request_body(content = shapes::BegunRun, description = "the lease, and the new session that the result is written to"),
    responses(
        (status = 200, description = "it may begin", body = shapes::RenewedRun),
        (status = 400, description = "the body can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such run", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "it may not: not the run's last lease, or it was called off", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn start_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let Begun { lease, session } = body(bytes)?;
    let well = (1..=SESSION_BYTES_MAX).contains(&session.len())
        && !session.contains(char::is_control)
        && !is_own(&session);
    if !well {
        let what = format!(
            "a session's id has 1 to {SESSION_BYTES_MAX} bytes, no control characters, and does not begin with `daybook.`"
        );
        return Err(bad("session", what));
    }
    let step = Step::Start { lease: lease.clone(), session };
    taker_step(&app, &caller, &id, lease, step).await
}

/// Gives a run back that was not begun: it is offered again.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/return",
    tag = "runs",
    params(("id" = String, Path, description = "the run's id")),
    request_body(content = shapes::FailedRun, description = "the lease, and why"),
    responses(
        (status = 200, description = "it is given back", body = shapes::RenewedRun),
        (status = 400, description = "the body can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such run", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "not the run's last lease, or it was begun", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn return_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let failed: Failed = body(bytes)?;
    let step = Step::Return { lease: failed.lease.clone(), why: failed.why() };
    taker_step(&app, &caller, &id, failed.lease, step).await
}

/// Says that a run could not be run to its end. An error that the command itself ended in is a result: that is `done`.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/fail",
    tag = "runs",
    params(("id" = String, Path, description = "the run's id")),
    request_body(content = shapes::FailedRun, description = "the lease, and why"),
    responses(
        (status = 200, description = "it has ended", body = shapes::RenewedRun),
        (status = 400, description = "the body can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such run", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "not the run's last lease, or it has ended otherwise", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn fail_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let failed: Failed = body(bytes)?;
    let step = Step::Fail { lease: Some(failed.lease.clone()), why: failed.why() };
    taker_step(&app, &caller, &id, failed.lease, step).await
}

/// Says that it ran, and that its result is in the log: the session that `start` named, whole, with a command whose
/// `rerun_of` is the original's `SESSION:SEQ`. That is looked at.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/done",
    tag = "runs",
    params(("id" = String, Path, description = "the run's id")),
    request_body(content = shapes::HeldRun, description = "the lease"),
    responses(
        (status = 200, description = "it is done", body = shapes::RenewedRun),
        (status = 400, description = "the body can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such run", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "not the run's last lease (`lease`); its result is not in the log yet (`not-recorded`): send it, then say this again", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down, or it took too long", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn finish_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let held: Held = body(bytes)?;
    let run = app.runs.ledger.read(|book| book.get(&id).cloned());
    let run = run.ok_or_else(|| super::no_run(&id))?;
    check(&run, &held.lease, &caller.by(None)?)?;
    if matches!(run.state, RunState::Running | RunState::Lost) {
        let (engine, name) = (app.engine.clone(), caller.name().map(str::to_owned));
        let look = move || recorded(&engine.snapshot(), &run, name.as_deref());
        app.reads.run_within(app.config.read_time_max, look).await??;
    }
    let step = Step::Done { lease: held.lease.clone() };
    taker_step(&app, &caller, &id, held.lease, step).await
}

/// Of an event, what tells a run's command.
#[derive(Deserialize)]
struct Told {
    kind: String,
    rerun_of: Option<String>,
}

/// Is the result of a run in the log, and its taker's?
fn recorded(snapshot: &Snapshot, run: &Run, taker: Option<&str>) -> Result<(), Problem> {
    let result = run.result.as_deref().unwrap_or_default();
    let not = |what: String| {
        Err(Problem::new("not-recorded", StatusCode::CONFLICT, "Not recorded", what).retry_after(1))
    };
    let named = excerpt(result);
    let Some(session) = snapshot.sessions.get(result)? else {
        return not(format!("the session `{named}` is not in the log; send its events first"));
    };
    if session.state.end.is_none() {
        return not(format!(
            "the session `{named}` has no `session.end` yet; send all its events first"
        ));
    }
    let first = TimelineRequest { limit: FIRST, fold: false, ..TimelineRequest::default() };
    let page = timeline(snapshot, result, &first)?;
    let of = rerun_of(run);
    let is_it = |told: Told| told.kind == "command" && told.rerun_of.as_ref() == Some(&of);
    let items = page.map(|page| page.items).unwrap_or_default();
    if !items.iter().any(|item| serde_json::from_str(item.get()).is_ok_and(is_it)) {
        let what = format!(
            "none of the first {FIRST} events of the session `{named}` is a command with `rerun_of` `{}`",
            excerpt(&of)
        );
        return not(what);
    }
    // A session's key is the offset of its first event.
    let producer = snapshot.producer_of(Offset(session.key.0))?;
    if taker.is_some_and(|taker| producer.as_deref() != Some(taker)) {
        return not(format!(
            "the session `{named}` is another producer's; write the result to a session of its own"
        ));
    }
    Ok(())
}
