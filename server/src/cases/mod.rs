//! `/v1/cases`: named sets of sessions, with notes, a legal hold, and an export of all that is in them.
//!
//! | module | what is there |
//! |---|---|
//! | here | the endpoints, and what each may do |
//! | `state` | the cases, as a fold over what was done to them |
//! | `hold` | the legal hold of a case |
//! | `export` | a case as one file, with proofs |
//!
//! A case names sessions whoever may see them; so a token that is limited to roles or users has no way in.

mod export;
mod hold;
mod state;

pub use export::{__path_export_case, export_case};
pub use hold::{PREFIX as HOLD_PREFIX, resume};
pub use state::Cases;

use crate::auth::Caller;
use crate::notes::said;
use crate::params::{Body, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::random;
use crate::sessions::no_session;
use crate::shapes;
use crate::state::{App, json_response};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::event::time::excerpt;
use daybook_engine::event::wire::{Access, NAME_BYTES_MAX};
use daybook_engine::retention::NAMES_MAX;
use serde::{Deserialize, Serialize};
use state::{Case, CaseDetails, CaseItem};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most cases.
const CASES_MAX: usize = 10_000;
/// The most sessions of a case: one hold names them all.
const SESSIONS_MAX: usize = NAMES_MAX;
/// The most notes on a case.
const NOTES_MAX: usize = 1_000;
/// The longest reason, comment or note, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCase {
    name: String,
    reason: String,
    #[serde(default)]
    sessions: Vec<Box<str>>,
    by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    add: Vec<Box<str>>,
    #[serde(default)]
    remove: Vec<Box<str>>,
    by: Option<String>,
}

/// What is said of a note, a hold, its release, and of closing a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    text: String,
    by: Option<String>,
}

#[derive(Serialize)]
struct CasePage<'a> {
    items: Vec<CaseItem<'a>>,
    next_cursor: Option<String>,
    count: usize,
}

/// Is the token one that may see all sessions?
fn unlimited(caller: &Caller) -> Result<(), Problem> {
    caller.sees_all("cases may have sessions of all roles and users")
}

fn no_case(id: &str) -> Problem {
    let what = format!("there is no case `{}`; GET /v1/cases lists them", excerpt(id));
    Problem::not_found(what)
}

fn conflict(what: impl Into<String>) -> Problem {
    Problem::new("case", StatusCode::CONFLICT, "Not in this state", what)
}

/// A case that may be changed.
fn open_case<'a>(cases: &'a Cases, id: &str) -> Result<&'a Case, Problem> {
    let case = cases.cases.get(id).ok_or_else(|| no_case(id))?;
    match &case.closed {
        None => Ok(case),
        Some(_) => Err(conflict("the case is closed, and stays as it is; open another one")),
    }
}

fn details(app: &App, id: &str, status: StatusCode) -> Result<Response, Problem> {
    let json = app.casework.cases.read(|cases| {
        let case = cases.cases.get(id).ok_or_else(|| no_case(id))?;
        serde_json::to_vec(&CaseDetails::of(id, case)).map_err(Problem::internal)
    })?;
    let mut response = json_response(json);
    *response.status_mut() = status;
    Ok(response)
}

/// Are there sessions of all these ids?
async fn all_there(app: &App, ids: Vec<Box<str>>) -> Result<(), Problem> {
    if ids.len() > SESSIONS_MAX {
        return Err(too_many_sessions());
    }
    let engine = Arc::clone(&app.engine);
    let look = move || -> Result<(), Problem> {
        let snapshot = engine.snapshot();
        ids.iter().try_for_each(|id| match snapshot.sessions.get(id)? {
            Some(_) => Ok(()),
            None => Err(no_session(id)),
        })
    };
    app.reads.run_within(app.config.read_time_max, look).await?
}

fn too_many_sessions() -> Problem {
    conflict(format!("a case may have {SESSIONS_MAX} sessions; open another one for more"))
}

/// All cases, the one that was changed last first.
#[utoipa::path(
    get,
    path = "/v1/cases",
    tag = "cases",
    responses(
        (status = 200, description = "all of them", body = shapes::CasePage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_cases(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    unlimited(&caller)?;
    let json = app.casework.cases.read(|cases| {
        let mut all: Vec<_> = cases.cases.iter().collect();
        all.sort_by_key(|(_, case)| std::cmp::Reverse(case.changed));
        let items: Vec<_> = all.into_iter().map(|(id, case)| CaseItem::of(id, case)).collect();
        let page = CasePage { count: items.len(), items, next_cursor: None };
        serde_json::to_vec(&page).map_err(Problem::internal)
    })?;
    Ok(json_response(json))
}

/// Opens a case.
#[utoipa::path(
    post,
    path = "/v1/cases",
    tag = "cases",
    request_body(content = shapes::NewCase, description = "what it is about"),
    responses(
        (status = 201, description = "the case", body = shapes::Case),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "too many cases or sessions", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_case(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    unlimited(&caller)?;
    let new: NewCase = body(bytes)?;
    let by = caller.by(new.by.as_deref())?;
    let name = said("name", &new.name, NAME_BYTES_MAX)?;
    let reason = said("reason", &new.reason, TEXT_BYTES_MAX)?;
    all_there(&app, new.sessions.clone()).await?;
    let id = random::id::<6>(hold::PREFIX)?;
    let case = id.clone();
    let sessions: BTreeSet<Box<str>> = new.sessions.into_iter().collect();
    app.casework
        .cases
        .act(move |cases, _| {
            if cases.cases.len() >= CASES_MAX {
                return Err(conflict(format!(
                    "there are {CASES_MAX} cases, as many as there may be"
                )));
            }
            let open =
                Access::new(&by, "case.open", &case).with("name", name).with("reason", reason);
            let adds = sessions
                .into_iter()
                .map(|session| Access::new(&by, "case.add", &case).with("session", session));
            Ok((std::iter::once(open).chain(adds).collect(), ()))
        })
        .await?;
    details(&app, &id, StatusCode::CREATED)
}

/// One case: its sessions, its notes, its hold.
#[utoipa::path(
    get,
    path = "/v1/cases/{id}",
    tag = "cases",
    params(("id" = String, Path, description = "the case's id")),
    responses(
        (status = 200, description = "the case", body = shapes::Case),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such case", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_case(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    unlimited(&caller)?;
    details(&app, &id, StatusCode::OK)
}

/// Adds sessions to a case, and takes sessions out.
///
/// Sessions that are added to a case under a hold are held before this is answered.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/sessions",
    tag = "cases",
    params(("id" = String, Path, description = "the case's id")),
    request_body(content = shapes::CaseChange, description = "which sessions"),
    responses(
        (status = 200, description = "the case as it is now", body = shapes::Case),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users, or may release no hold", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such case or session", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the case is closed, or has too many", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn change_sessions(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    unlimited(&caller)?;
    let change: Change = body(bytes)?;
    let by = caller.by(change.by.as_deref())?;
    all_there(&app, change.add.clone()).await?;
    let (engine, case_id, who) = (Arc::clone(&app.engine), id.clone(), by.clone());
    let releases = caller.may(crate::auth::tokens::Scope::Admin);
    app.casework
        .cases
        .act(move |cases, _| {
            let case = open_case(cases, &case_id)?;
            let new: BTreeSet<_> =
                change.add.into_iter().filter(|id| !case.sessions.contains_key(id)).collect();
            let gone: BTreeSet<_> =
                change.remove.into_iter().filter(|id| case.sessions.contains_key(id)).collect();
            if case.sessions.len() + new.len() > SESSIONS_MAX {
                return Err(too_many_sessions());
            }
            if let Some(hold) = &case.hold {
                if !gone.is_empty() && !releases {
                    return Err(Problem::new(
                        "scope",
                        StatusCode::FORBIDDEN,
                        "Not with this token",
                        "the case is under a hold: to take a session out takes the scope `admin`",
                    ));
                }
                let all = case.sessions.keys().cloned().chain(new.iter().cloned()).collect();
                hold::place(&engine, (&case_id, &case.name), (&hold.by, &hold.text), all)?;
            }
            let act = |what: &str, session: Box<str>| {
                Access::new(&who, what, &case_id).with("session", session)
            };
            let acts = new.into_iter().map(|id| act("case.add", id));
            let acts: Vec<_> =
                acts.chain(gone.into_iter().map(|id| act("case.remove", id))).collect();
            Ok((acts, ()))
        })
        .await?;
    let why = "a session was taken out of the case";
    in_step(&app, &id, by, why).await?;
    details(&app, &id, StatusCode::OK)
}

async fn in_step(app: &App, id: &str, by: Box<str>, why: &str) -> Result<(), Problem> {
    hold::in_step(&app.casework.cases, Arc::clone(&app.engine), (id.into(), by, why.into())).await
}

/// What somebody says when he does something to a case.
struct Spoken {
    by: Box<str>,
    text: Box<str>,
}

fn spoken(caller: &Caller, bytes: Body) -> Result<Spoken, Problem> {
    unlimited(caller)?;
    let Words { text, by } = body(bytes)?;
    Ok(Spoken { by: caller.by(by.as_deref())?, text: said("text", &text, TEXT_BYTES_MAX)? })
}

/// Writes a note on a case.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/notes",
    tag = "cases",
    params(("id" = String, Path, description = "the case's id")),
    request_body(content = shapes::CaseWords, description = "what is to be said"),
    responses(
        (status = 200, description = "the case as it is now", body = shapes::Case),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such case", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the case is closed, or has too many", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_case_note(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let Spoken { by, text } = spoken(&caller, bytes)?;
    let case_id = id.clone();
    app.casework
        .cases
        .act(move |cases, _| {
            if open_case(cases, &case_id)?.notes.len() >= NOTES_MAX {
                return Err(conflict(format!("a case may have {NOTES_MAX} notes")));
            }
            Ok((vec![Access::new(&by, "case.note", &case_id).with("text", text)], ()))
        })
        .await?;
    details(&app, &id, StatusCode::OK)
}

/// Places a legal hold on the sessions of a case, those that are added later too.
///
/// Once this is answered, none of them is deleted until the hold is released.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/hold",
    tag = "cases",
    params(("id" = String, Path, description = "the case's id")),
    request_body(content = shapes::CaseWords, description = "why"),
    responses(
        (status = 200, description = "the case as it is now", body = shapes::Case),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such case", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the case is closed, or is held", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn hold_case(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let Spoken { by, text } = spoken(&caller, bytes)?;
    let (engine, case_id) = (Arc::clone(&app.engine), id.clone());
    app.casework
        .cases
        .act(move |cases, _| {
            let case = open_case(cases, &case_id)?;
            if case.hold.is_some() {
                return Err(conflict("the case is under a hold already"));
            }
            let all = case.sessions.keys().cloned().collect();
            hold::place(&engine, (&case_id, &case.name), (&by, &text), all)?;
            Ok((vec![Access::new(&by, "case.hold", &case_id).with("reason", text)], ()))
        })
        .await?;
    details(&app, &id, StatusCode::OK)
}

/// Releases the legal hold of a case.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/release",
    tag = "cases",
    params(("id" = String, Path, description = "the case's id")),
    request_body(content = shapes::CaseWords, description = "why"),
    responses(
        (status = 200, description = "the case as it is now", body = shapes::Case),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such case", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the case is not held", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn release_case(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let Spoken { by, text } = spoken(&caller, bytes)?;
    let (case_id, who, why) = (id.clone(), by.clone(), text.clone());
    app.casework
        .cases
        .act(move |cases, _| {
            // Also of a case that is closed: its hold outlives it.
            let case = cases.cases.get(&*case_id).ok_or_else(|| no_case(&case_id))?;
            if case.hold.is_none() {
                return Err(conflict("the case is not under a hold"));
            }
            Ok((vec![Access::new(&who, "case.release", &case_id).with("reason", why)], ()))
        })
        .await?;
    in_step(&app, &id, by, &text).await?;
    details(&app, &id, StatusCode::OK)
}

/// Closes a case: nothing of it changes any more, but that its hold can be released.
#[utoipa::path(
    post,
    path = "/v1/cases/{id}/close",
    tag = "cases",
    params(("id" = String, Path, description = "the case's id")),
    request_body(content = shapes::CaseWords, description = "what came of it"),
    responses(
        (status = 200, description = "the case as it is now", body = shapes::Case),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to roles or users", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such case", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the case is closed", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn close_case(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let Spoken { by, text } = spoken(&caller, bytes)?;
    let case_id = id.clone();
    app.casework
        .cases
        .act(move |cases, _| {
            open_case(cases, &case_id)?;
            Ok((vec![Access::new(&by, "case.close", &case_id).with("comment", text)], ()))
        })
        .await?;
    details(&app, &id, StatusCode::OK)
}
