//! `/v1/shared/{token}`: what a share shows.
//!
//! It is answered from the part of the session that the share has, as if there was nothing else
//! ([`daybook_query::excerpt`]). Each use is told in the log before it is answered; the same one by the same reviewer
//! once a minute.

use super::grant::{Grant, To};
use crate::auth::Caller;
use crate::download::{self, DownloadQuery, Wanted};
use crate::merkle::unprovable;
use crate::params::{NoParams, Params};
use crate::problem::{Document, Problem};
use crate::replay::ReplayQuery;
use crate::sessions::{no_session, session_id};
use crate::shapes;
use crate::state::App;
use crate::timeline::TimelineQuery;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use daybook_engine::event::Micros;
use daybook_query::download::Download;
use daybook_query::excerpt::Part;
use daybook_query::item::Time;
use daybook_query::{replay, sessions, timeline};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// The moments of so many shares' replays are kept,
const KEPT_MAX: usize = 16;
/// in so many bytes each.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// What is said of a session of which a part is shown.
const FACTS: [&str; 11] = [
    "id",
    "user",
    "user_name",
    "role",
    "type",
    "subtype",
    "agent",
    "started_at",
    "ended_at",
    "duration_ms",
    "status",
];

/// The moments of replays that are kept: each part of a session has screens of its own.
#[derive(Debug, Default)]
pub(super) struct Keyframes(Mutex<VecDeque<(Box<str>, Arc<replay::Keyframes>)>>);

impl Keyframes {
    fn of(&self, link: &str) -> Arc<replay::Keyframes> {
        let mut kept = self.0.lock();
        if let Some((_, found)) = kept.iter().find(|(id, _)| **id == *link) {
            return Arc::clone(found);
        }
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        let new = Arc::new(replay::Keyframes::with_memory(KEPT_BYTES_MAX));
        kept.push_back((link.into(), Arc::clone(&new)));
        new
    }
}

/// What a share grants, if it is good and for who asks; told in the log.
async fn admit(
    app: &App,
    caller: &Caller,
    token: Result<Path<String>, PathRejection>,
    what: &'static str,
) -> Result<Grant, Problem> {
    let grant = app.links.open_token(&session_id(token)?)?;
    let refused = |title, detail| Problem::new("link", StatusCode::FORBIDDEN, title, detail);
    let by = match (&grant.to, caller.name()) {
        (To::Download(_), _) => {
            let what = "this link leads to a file: it is at /v1/linked/";
            return Err(refused("Another kind of link", what));
        }
        (To::ShowAnyone, name) => name.unwrap_or("anyone"),
        (To::Show(names), Some(name)) if names.iter().any(|one| **one == *name) => name,
        (To::Show(_), Some(_)) => {
            return Err(refused("For others", "this share is for reviewers of other names"));
        }
        (To::Show(_), None) => {
            return Err(Problem::new(
                "token",
                StatusCode::UNAUTHORIZED,
                "Who is there?",
                "this share is for reviewers of some names: it takes the token of one of them",
            ));
        }
    };
    let use_of = format!("{} {what} {by}", grant.id);
    if !app.links.recent.knows(&use_of) {
        app.links.tell_use(&grant, by, what).await?;
        app.links.recent.is_new(use_of);
    }
    Ok(grant)
}

/// What a share shows of a session's details, and what it is of.
#[utoipa::path(
    get,
    path = "/v1/shared/{token}",
    tag = "links",
    params(("token" = String, Path, description = "what the link has")),
    responses(
        (status = 200, description = "the session", body = shapes::Shared),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "it is for reviewers of some names", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it was not made with this server's key, or is for others", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "the session is not here", body = Document, content_type = "application/problem+json"),
        (status = 410, description = "it has expired, or was revoked", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long, or the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_shared(
    State(app): State<App>,
    caller: Caller,
    token: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let grant = admit(&app, &caller, token, "details").await?;
    let coverage = app.engine.coverage();
    app.read(move |snapshot| -> Result<_, Problem> {
        let details = sessions::details(snapshot, &grant.session, coverage)?;
        let details = details.ok_or_else(|| no_session(&grant.session))?;
        let mut session = serde_json::to_value(details).map_err(Problem::internal)?;
        if grant.part != Part::Whole
            && let Value::Object(fields) = &mut session
        {
            fields.retain(|name, _| FACTS.contains(&name.as_str()));
        }
        let to = match &grant.to {
            To::Show(names) => json!(names),
            _ => json!("anyone"),
        };
        let expires = Time(Micros(grant.expires.saturating_mul(1_000_000)));
        let outputs = if grant.hides_outputs { "hidden" } else { "shown" };
        let share = json!({ "id": grant.id, "to": to, "part": grant.part, "outputs": outputs, "expires_at": expires });
        Ok(json!({ "session": session, "share": share }))
    })
    .await
}

/// What a share shows of a session's timeline. A part of a session, or one without outputs, takes no `q`.
#[utoipa::path(
    get,
    path = "/v1/shared/{token}/timeline",
    tag = "links",
    params(("token" = String, Path, description = "what the link has"), TimelineQuery),
    responses(
        (status = 200, description = "a page of events", body = shapes::TimelinePage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "it is for reviewers of some names", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it was not made with this server's key, or is for others", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "the session is not here", body = Document, content_type = "application/problem+json"),
        (status = 410, description = "it has expired, or was revoked", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long, or the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_shared_timeline(
    State(app): State<App>,
    caller: Caller,
    token: Result<Path<String>, PathRejection>,
    Params(asked): Params<TimelineQuery>,
) -> Result<Response, Problem> {
    let grant = admit(&app, &caller, token, "timeline").await?;
    app.read(move |snapshot| -> Result<_, Problem> {
        let excerpt = grant.excerpt();
        let page = timeline::timeline_of(snapshot, &grant.session, &excerpt, &asked.request())?;
        page.ok_or_else(|| no_session(&grant.session))
    })
    .await
}

/// What a share shows of a session's terminal. A part begins with an empty screen; without outputs there is none.
#[utoipa::path(
    get,
    path = "/v1/shared/{token}/replay",
    tag = "links",
    params(("token" = String, Path, description = "what the link has"), ReplayQuery),
    responses(
        (status = 200, description = "a page of frames", body = shapes::ReplayPage),
        (status = 400, description = "a parameter can't be used, or outputs are hidden", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "it is for reviewers of some names", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it was not made with this server's key, or is for others", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "the session is not here", body = Document, content_type = "application/problem+json"),
        (status = 410, description = "it has expired, or was revoked", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long, or the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_shared_replay(
    State(app): State<App>,
    caller: Caller,
    token: Result<Path<String>, PathRejection>,
    Params(asked): Params<ReplayQuery>,
) -> Result<Response, Problem> {
    let grant = admit(&app, &caller, token, "replay").await?;
    let keyframes = app.links.keyframes.of(&grant.id);
    app.read(move |snapshot| -> Result<_, Problem> {
        let (session, excerpt) = (&grant.session, grant.excerpt());
        let page = replay::replay_of(snapshot, session, &excerpt, &keyframes, &asked.request())?;
        page.ok_or_else(|| no_session(session))
    })
    .await
}

/// The proof of what a share shows: that each of the events is in the log as it was stored. Of a part, nothing is said of
/// the others; where outputs are hidden, it has not the events that carry some.
#[utoipa::path(
    get,
    path = "/v1/shared/{token}/proof",
    tag = "links",
    params(("token" = String, Path, description = "what the link has")),
    responses(
        (status = 200, description = "the proof", body = crate::merkle::Proof),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "it is for reviewers of some names", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it was not made with this server's key, or is for others", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "the session is not here, or nothing of it can be proved", body = Document, content_type = "application/problem+json"),
        (status = 410, description = "it has expired, or was revoked", body = Document, content_type = "application/problem+json"),
        (status = 413, description = "the session is too large for one proof", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long, or can't be signed", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_shared_proof(
    State(app): State<App>,
    caller: Caller,
    token: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let grant = admit(&app, &caller, token, "proof").await?;
    let engine = Arc::clone(&app.engine);
    app.read(move |snapshot| -> Result<_, Problem> {
        let (session, excerpt) = (&grant.session, grant.excerpt());
        let only = match excerpt.is_all() {
            true => None,
            false => {
                let found = Download::open(snapshot, session, excerpt)?;
                Some(found.ok_or_else(|| no_session(session))?.as_stored()?)
            }
        };
        let bundle = engine.proof_of(session, only.as_ref()).map_err(unprovable)?;
        bundle.ok_or_else(|| Problem::not_found("nothing of what is shown can be proved"))
    })
    .await
}

/// What a share shows, as a file.
#[utoipa::path(
    get,
    path = "/v1/shared/{token}/download",
    tag = "links",
    params(("token" = String, Path, description = "what the link has"), DownloadQuery),
    responses(
        (status = 200, description = "the file, as `/v1/sessions/{id}/download` has it", content(
            (String = "text/plain"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (String = "application/zip"),
            (String = "application/x-asciicast"),
            (String = "application/vnd.apache.parquet"),
            (String = "text/html"),
        )),
        (status = 206, description = "the range of the file that was asked for"),
        (status = 304, description = "the client has it"),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "it is for reviewers of some names", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it was not made with this server's key, or is for others", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "the session is not here, or has nothing that this format holds", body = Document, content_type = "application/problem+json"),
        (status = 410, description = "it has expired, or was revoked", body = Document, content_type = "application/problem+json"),
        (status = 416, description = "the file has not this range", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many exports at once, or the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_shared_download(
    State(app): State<App>,
    caller: Caller,
    method: Method,
    headers: HeaderMap,
    token: Result<Path<String>, PathRejection>,
    Params(DownloadQuery { format }): Params<DownloadQuery>,
) -> Result<Response, Problem> {
    let grant = admit(&app, &caller, token, "download").await?;
    let wanted = Wanted { id: grant.session.to_string(), format, excerpt: grant.excerpt() };
    download::answer(&app, wanted, &method, headers, |_, _| Ok(())).await
}
