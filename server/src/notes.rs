//! `POST` and `GET /v1/sessions/{id}/notes`: what somebody has to say about a session, or about one of its commands.
//!
//! A note is an event of the session: it is found by searches, shown in timelines, and proved with the rest. It can't be
//! changed or taken back; a further one can put it right.

use crate::auth::Caller;
use crate::params::{Body, Fields, FromFields, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::sessions::{no_session, session_id, visible};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::Batch;
use daybook_engine::event::{Kind, Micros, Offset, Seq};
use daybook_engine::view::Snapshot;
use daybook_query::lang;
use daybook_query::timeline::{self, LIMIT_MAX, TimelineRequest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::IntoParams;

/// The longest text of a note, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNote {
    text: String,
    command: Option<Seq>,
    by: Option<String>,
}

/// A note, in the order in which the log writes its fields.
#[derive(Serialize)]
struct Note<'a> {
    session: &'a str,
    time: String,
    kind: Kind,
    by: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Seq>,
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    note: Note<'a>,
    offset: Offset,
    seq: Seq,
}

/// A text that is there, and not too long.
///
/// # Errors
/// What is wrong with it.
pub fn said(field: &str, text: &str, bytes_max: usize) -> Result<Box<str>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::parameter(field, format!("`{field}` is missing or empty")));
    }
    if text.len() > bytes_max {
        let what = format!("`{field}` has {} bytes, over the limit of {bytes_max}", text.len());
        return Err(Problem::parameter(field, what));
    }
    Ok(text.into())
}

/// Writes a note on a session, or on one of its commands.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/notes",
    tag = "cases",
    params(("id" = String, Path, description = "the session's id")),
    request_body(content = shapes::NewNote, description = "what is to be said"),
    responses(
        (status = 201, description = "the note, as it is in the log", body = shapes::Note),
        (status = 400, description = "it can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only, busy or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_note(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let new: NewNote = body(bytes)?;
    let by = caller.by(new.by.as_deref())?;
    let text = said("text", &new.text, TEXT_BYTES_MAX)?;
    let engine = Arc::clone(&app.engine);
    let (session, command) = (id.clone(), new.command);
    let look = move || -> Result<(), Problem> {
        let snapshot = engine.snapshot();
        visible(&snapshot, &caller, &session)?;
        may_have_notes(&snapshot, &session, command)
    };
    app.reads.run_within(app.config.read_time_max, look).await??;
    let time = Micros::now().to_string();
    let note = Note { session: &id, time, kind: Kind::Note, by: &by, text: &text, command };
    let mut batch = Batch::apart();
    let line = serde_json::to_vec(&note).map_err(Problem::internal)?;
    batch.push(1, &line).map_err(|what| Problem::parameter("text", what))?;
    let ack = app.engine.append(batch).await?;
    let refused = ack.rejected.first().map(|rejection| rejection.error.clone());
    let Some(offset) = ack.first_offset else {
        let what = refused.unwrap_or_default();
        return Err(Problem::new("refused", StatusCode::BAD_REQUEST, "Refused", what));
    };
    let seq = seq_of(&app.engine.snapshot(), offset).ok_or_else(|| no_session(&id))?;
    answer(StatusCode::CREATED, &Written { note, offset, seq })
}

/// Is there a session that a note can be on, with the command that it is about?
fn may_have_notes(snapshot: &Snapshot, id: &str, command: Option<Seq>) -> Result<(), Problem> {
    let session = snapshot.sessions.get(id)?.ok_or_else(|| no_session(id))?;
    let Some(command) = command else { return Ok(()) };
    for part in &snapshot.parts {
        let Some(run) = part.session_by_key(session.key)? else { continue };
        let is_it = |ordinal| {
            part.facts(ordinal).is_some_and(|of| of.seq == command && of.kind == Kind::Command)
        };
        if run.ordinals.iter().any(is_it) {
            return Ok(());
        }
        part.check()?;
    }
    let what =
        format!("`command` is the number (`seq`) of a command of this session; {command} is none");
    Err(Problem::parameter("command", what))
}

fn seq_of(snapshot: &Snapshot, offset: Offset) -> Option<Seq> {
    snapshot.parts.iter().rev().find_map(|part| {
        let facts = part.facts(part.ordinal_of(offset)?)?;
        (facts.offset == offset).then_some(facts.seq)
    })
}

/// Which page of the notes is asked for.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NotesQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 100)]
    limit: usize,
}

impl FromFields for NotesQuery {
    fn read(fields: &mut Fields) -> Result<NotesQuery, Problem> {
        let limit = fields.count("limit", TimelineRequest::default().limit, LIMIT_MAX)?;
        Ok(NotesQuery { cursor: fields.text("cursor")?, limit })
    }
}

/// The notes on a session and its commands, in order.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/notes",
    tag = "cases",
    params(("id" = String, Path, description = "the session's id"), NotesQuery),
    responses(
        (status = 200, description = "a page of `note` events, as a timeline has them", body = shapes::TimelinePage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_notes(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(asked): Params<NotesQuery>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let notes = lang::parse("kind:note", Micros::now())?;
    app.read(move |snapshot| -> Result<_, Problem> {
        visible(snapshot, &caller, &id)?;
        let request = TimelineRequest {
            query: Some(&notes),
            cursor: asked.cursor.as_deref(),
            limit: asked.limit,
            fold: false,
            ..TimelineRequest::default()
        };
        timeline::timeline(snapshot, &id, &request)?.ok_or_else(|| no_session(&id))
    })
    .await
}
