//! The endpoints for people: asking for a run, looking at runs, calling one off.

use super::item::Item;
use super::machine::{Request, Run, State as RunState, Step};
use super::{bad, check_id, conflict, no_run, original, seen, step, wait_until};
use crate::auth::Caller;
use crate::auth::tokens::Scope;
use crate::params::{Body, Fields, FromFields, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::random;
use crate::sessions::{session_id, visible};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::catalog::filter::Pattern;
use daybook_engine::event::Seq;
use daybook_engine::event::time::excerpt;
use daybook_engine::event::wire::NAME_BYTES_MAX;
use daybook_engine::is_own;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::IntoParams;

/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 2_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRun {
    command: u32,
    reason: Option<String>,
    role: Option<String>,
    by: Option<String>,
    id: Option<String>,
    #[serde(default)]
    repeat: bool,
}

/// Asks for a command to be run again.
///
/// It is offered to whoever takes runs of its role (`POST /v1/runs/take`); where the configuration says so
/// (`run_approval`), a review of it is opened in the command's session first. A command that was blocked or rejected,
/// that waits for a review, or part of which was masked is not run again. Asking again with the same `id` is answered
/// with the run as it stands.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/rerun",
    tag = "runs",
    params(("id" = String, Path, description = "the session's id")),
    request_body(content = shapes::NewRun, description = "the command"),
    responses(
        (status = 201, description = "the run", body = shapes::RunItem),
        (status = 400, description = "something in the body can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the role is not one of the token's", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session or event", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the command is not one that is run again (`not-rerun`), the `id` is another run's, or too many runs wait", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down, or it took too long", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_rerun(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let session = session_id(id)?;
    let asked: NewRun = body(bytes)?;
    let by = caller.by(asked.by.as_deref())?;
    let id = match &asked.id {
        Some(id) => check_id("id", id)?,
        None => random::id::<12>("")?,
    };
    let reason = asked.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    if reason.is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
        return Err(bad("reason", format!("a reason has at most {REASON_BYTES_MAX} bytes")));
    }
    let (engine, seq, of) = (app.engine.clone(), Seq(asked.command), session.clone());
    let within = app.config.read_time_max;
    let who = caller.clone();
    let look = move || {
        let snapshot = engine.snapshot();
        visible(&snapshot, &who, &of)?;
        if is_own(&of) {
            return Err(crate::sessions::no_session(&of));
        }
        original::find(&snapshot, &of, seq)
    };
    let original = app.reads.run_within(within, look).await??;
    let role = asked.role.as_deref().map(str::trim).filter(|role| !role.is_empty());
    let Some(role) = role.map(Box::from).or(original.role) else {
        return Err(bad("role", "the session has no role; say with `role` where it is to be run"));
    };
    check_role(&caller, &role)?;
    let review = app.runs.takes_approval(&role, original.kind.as_deref());
    let request = Request {
        session: session.into(),
        command: seq,
        role,
        language: original.language.filter(|name| name.len() <= NAME_BYTES_MAX).map(Into::into),
        reason: reason.map(Into::into),
        repeat: asked.repeat,
        review: review.then(|| format!("rerun-{id}").into()),
        expires: daybook_engine::event::Micros(0),
        attempts_max: app.runs.attempts_max,
    };
    let (wait_max, open_max) = (app.runs.wait_max, app.runs.open_max);
    let run = app.runs.ledger.act(move |book, now| {
        if let Some(run) = book.get(&id) {
            let same = Request { expires: run.request.expires, ..request };
            if run.request == same && run.by == by {
                return Ok((Vec::new(), run.clone()));
            }
            let what = "another run has this `id`; leave it out to have one made";
            return Err(Problem::new("conflict", StatusCode::CONFLICT, "Not as it stands", what));
        }
        if book.open_len() >= open_max {
            let what = format!(
                "{open_max} runs have not ended; wait for them, or call some off (`runs_max`)"
            );
            return Err(Problem::new("too-many", StatusCode::CONFLICT, "Too many", what));
        }
        let request = Request { expires: now.saturating_add(wait_max), ..request };
        let told = step::tell_request(&id, &by, &request);
        Ok((vec![told], Run::new(id, by, request, now)))
    });
    let run = run.await?;
    let run = app.runs.ledger.read(|book| book.get(&run.id).cloned()).unwrap_or(run);
    answer(StatusCode::CREATED, &Item::of(&app.runs, run))
}

/// May the caller have something run on a role?
fn check_role(caller: &Caller, role: &str) -> Result<(), Problem> {
    if role.len() > NAME_BYTES_MAX {
        return Err(bad("role", format!("a role has at most {NAME_BYTES_MAX} bytes")));
    }
    let roles = caller.limits().roles;
    if roles.is_empty() || roles.iter().any(|limit| Pattern::wildcard(limit).matches(role)) {
        return Ok(());
    }
    let what = format!("the token is not for the role `{}`", excerpt(role));
    Err(Problem::new("scope", StatusCode::FORBIDDEN, "Not with this token", what))
}

/// The parameters of the list of runs.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    /// Only runs of this session's commands.
    session: Option<String>,
    /// Only runs on these roles.
    #[param(required = false)]
    role: Vec<String>,
    /// Only runs in these states: `waiting`, `requested`, `leased`, `running`, `done`, `failed`, `lost`, `expired`,
    /// `cancelled`, `rejected`.
    #[param(required = false)]
    state: Vec<String>,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromFields for RunsQuery {
    fn read(fields: &mut Fields) -> Result<RunsQuery, Problem> {
        let names = RunState::ALL.map(RunState::name);
        let state = fields.list("state")?;
        if let Some(text) = state.iter().find(|text| !names.contains(&text.as_str())) {
            return Err(crate::params::unknown("state", text, names));
        }
        Ok(RunsQuery {
            session: fields.text("session")?,
            role: fields.list("role")?,
            state,
            limit: fields.count("limit", 50, 1_000)?,
            cursor: fields.text("cursor")?,
        })
    }
}

#[derive(Serialize)]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
    count: u64,
    may_request: bool,
}

/// The runs, the newest first, of sessions that may be seen.
///
/// All that have not ended, and the latest 10,000 that have; older ones are told of in the session `daybook.runs`.
#[utoipa::path(
    get,
    path = "/v1/runs",
    tag = "runs",
    params(RunsQuery),
    responses(
        (status = 200, description = "a page of runs", body = shapes::RunPage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_runs(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<RunsQuery>,
) -> Result<Response, Problem> {
    let below = match asked.cursor.as_deref().map(str::parse::<u32>) {
        None => None,
        Some(Ok(below)) => Some(below),
        Some(Err(_)) => {
            let what = "the cursor is not one that daybook gave out; begin again without one";
            return Err(Problem::parameter("cursor", what));
        }
    };
    let matches = |run: &Run| {
        asked.session.as_ref().is_none_or(|session| **session == *run.request.session)
            && (asked.role.is_empty() || asked.role.iter().any(|role| **role == *run.request.role))
            && (asked.state.is_empty() || asked.state.iter().any(|name| name == run.state.name()))
    };
    let found: Vec<(u32, Run)> = app.runs.ledger.read(|book| {
        let all = book.newest(None).filter(|(_, run)| matches(run));
        all.map(|(number, run)| (number, run.clone())).collect()
    });
    let (own, limit) = (app.clone(), asked.limit);
    app.read(move |snapshot| -> Result<_, Problem> {
        let mut known: HashMap<Box<str>, bool> = HashMap::new();
        let mut page = Vec::new();
        let (mut count, mut next) = (0, None);
        for (number, run) in found {
            let session = &run.request.session;
            let sees = match known.get(session) {
                Some(sees) => *sees,
                None => {
                    let sees = seen(snapshot, &caller, Some(run.clone()), "").is_ok();
                    known.insert(session.clone(), sees);
                    sees
                }
            };
            count += u64::from(sees);
            if !sees || below.is_some_and(|below| number >= below) {
                continue;
            }
            if page.len() < limit {
                page.push((number, Item::of(&own.runs, run)));
            } else if next.is_none() {
                next = page.last().map(|(number, _)| number.to_string());
            }
        }
        let items = page.into_iter().map(|(_, item)| item).collect();
        let may_request = caller.may(Scope::Review) || caller.may(Scope::Admin);
        Ok(Page { items, next_cursor: next, count, may_request })
    })
    .await
}

/// The parameters of a look at a run.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// How long to wait until it has ended, or until its version is another than `version`, such as `20s`; not at all if
    /// unsaid, 60 s at most.
    #[param(value_type = Option<String>)]
    wait: i64,
    /// The version that is known.
    #[param(value_type = Option<u32>)]
    version: Option<u64>,
}

impl FromFields for RunQuery {
    fn read(fields: &mut Fields) -> Result<RunQuery, Problem> {
        Ok(RunQuery { wait: fields.duration("wait", 0)?, version: fields.offset("version")? })
    }
}

/// A run, at once or when it has changed.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}",
    tag = "runs",
    params(("id" = String, Path, description = "the run's id"), RunQuery),
    responses(
        (status = 200, description = "the run", body = shapes::RunItem),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no run of this id is to be seen", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(asked): Params<RunQuery>,
) -> Result<Response, Problem> {
    let until = wait_until(asked.wait);
    let mut changes = app.runs.ledger.changes();
    let mut run = may_see(&app, &caller, &id).await?;
    loop {
        let news = asked.version.is_some_and(|version| version != u64::from(run.version));
        if news || run.state.ended() || !app.runs.changed(&mut changes, until).await {
            break;
        }
        let now = app.runs.ledger.read(|book| book.get(&id).cloned());
        run = now.ok_or_else(|| no_run(&id))?;
    }
    answer(StatusCode::OK, &Item::of(&app.runs, run))
}

/// A run, if the caller may see its session.
async fn may_see(app: &App, caller: &Caller, id: &str) -> Result<Run, Problem> {
    let run = app.runs.ledger.read(|book| book.get(id).cloned());
    let (engine, caller, id) = (app.engine.clone(), caller.clone(), id.to_owned());
    let look = move || seen(&engine.snapshot(), &caller, run, &id);
    app.reads.run_within(app.config.read_time_max, look).await?
}

/// The parameters of calling a run off.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CancelQuery {
    /// Who calls it off, where no token says it.
    by: Option<String>,
}

impl FromFields for CancelQuery {
    fn read(fields: &mut Fields) -> Result<CancelQuery, Problem> {
        Ok(CancelQuery { by: fields.text("by")? })
    }
}

/// Calls a run off.
///
/// One that runs already is ended by its taker, which hears of it at its next renewal, and is `cancelled` once the taker
/// says so.
#[utoipa::path(
    delete,
    path = "/v1/runs/{id}",
    tag = "runs",
    params(("id" = String, Path, description = "the run's id"), CancelQuery),
    responses(
        (status = 200, description = "the run", body = shapes::RunItem),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no run of this id is to be seen", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "it has ended", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down, or it took too long", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn cancel_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(asked): Params<CancelQuery>,
) -> Result<Response, Problem> {
    let by = caller.by(asked.by.as_deref())?;
    may_see(&app, &caller, &id).await?;
    let run =
        app.runs.step(&id, &by, |run, _| match run.state.ended() && run.cancelled_by.is_none() {
            true => Err(conflict(run)),
            false => Ok(Some(Step::Cancel)),
        });
    let run = run.await?;
    answer(StatusCode::OK, &Item::of(&app.runs, run))
}
