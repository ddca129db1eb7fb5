//! Links: what somebody without a token, or with another one, may see of a session, and until when.
//!
//! ```text
//! POST /v1/sessions/{id}/links ─► /v1/linked/TOKEN    a file, for whoever has the link
//! POST /v1/sessions/{id}/share ─► /shared/TOKEN       the session's page, read-only ([`shared`])
//!
//! use ─► signed here? not expired? not revoked? for this name? ─► told in the log, durable ─► answer
//! ```
//!
//! A link has in it all that it grants ([`grant`]), so it works at every node with the same key. What the log is needed
//! for is that it was revoked ([`state`]): that is so at the node where it was revoked.

pub mod grant;
mod key;
pub mod shared;
pub mod state;

use crate::auth::Caller;
use crate::auth::tokens::Scope;
use crate::download::{self, Format, Wanted};
use crate::ledger::Ledger;
use crate::params::{self, Fields, FromFields, NoParams, Params};
use crate::problem::{Document, Problem};
use crate::recent::Recent;
use crate::sessions::{no_session, session_id, visible};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_engine::event::Micros;
use daybook_engine::event::time::excerpt;
use daybook_engine::event::wire::{Access, NAME_BYTES_MAX};
use daybook_engine::{Engine, Error};
use daybook_query::download::Download;
use daybook_query::excerpt::Part;
use daybook_query::item::Time;
use daybook_query::lang::number::duration_micros;
use grant::{Grant, Key, To, Wrong};
use serde::{Deserialize, Serialize};
use state::{Done, Link};
use std::path::Path as File;
use std::sync::Arc;
use utoipa::IntoParams;

/// How long a link is good, if nobody says, in microseconds.
const EXPIRES_DEFAULT: i64 = 7 * 86_400_000_000;
/// And at most.
const EXPIRES_MAX: i64 = 365 * 86_400_000_000;
/// At least.
const EXPIRES_MIN: i64 = 1_000_000;

/// So many links can be good at a time.
const LINKS_MAX: usize = 10_000;
/// So many are listed.
const LISTED_MAX: usize = 1_000;
/// So many reviewers can be named.
const REVIEWERS_MAX: usize = 10;
/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 1_000;

/// The links of a node.
#[derive(Debug)]
pub struct Links {
    key: Key,
    ledger: Ledger<state::State>,
    recent: Recent,
    /// The moments of replays that are kept for each share.
    keyframes: shared::Keyframes,
}

impl Links {
    /// Reads the key, and which links there are.
    ///
    /// # Errors
    /// A file or a part of the log that can't be read.
    pub fn open(engine: &Arc<Engine>, key: Option<&File>) -> Result<Links, Error> {
        let ledger = Ledger::open(engine)?;
        let key = key::open(engine, key)?;
        Ok(Links { key, ledger, recent: Recent::default(), keyframes: Default::default() })
    }

    /// What a token grants, if it is good.
    fn open_token(&self, token: &str) -> Result<Grant, Problem> {
        let gone = |what: &str| Problem::new("link", StatusCode::GONE, "The link is over", what);
        let grant = self.key.open(token, Micros::now().0.div_euclid(1_000_000)).map_err(|wrong| {
            match wrong {
                Wrong::Forged => Problem::new(
                    "link",
                    StatusCode::FORBIDDEN,
                    "No link of ours",
                    "this link was not made with this server's key; look whether it was copied whole",
                ),
                Wrong::Expired => gone("the link has expired; ask for a new one"),
            }
        })?;
        match self.ledger.read(|links| links.is_revoked(&grant.id)) {
            true => Err(gone("the link was revoked; ask for a new one")),
            false => Ok(grant),
        }
    }

    /// Tells that a link is used; that is durable when this answers.
    async fn tell_use(&self, grant: &Grant, by: &str, what: &'static str) -> Result<(), Problem> {
        let act = Access::new(by, "link.use", &grant.session)
            .with("id", grant.id.clone())
            .with("what", what);
        let id = grant.id.clone();
        let tell = move |links: &state::State, _| match links.is_revoked(&id) {
            // Meanwhile.
            true => {
                Err(Problem::new("link", StatusCode::GONE, "The link is over", "it was revoked"))
            }
            false => Ok((vec![act], ())),
        };
        self.ledger.act(tell).await
    }
}

/// What a link is asked for with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLink {
    format: Format,
    expires_in: Option<String>,
    #[serde(default)]
    part: Part,
    #[serde(default)]
    outputs: Outputs,
    #[serde(default)]
    note: String,
    by: Option<String>,
}

/// What a share is asked for with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewShare {
    to: Reviewers,
    expires_in: Option<String>,
    #[serde(default)]
    part: Part,
    #[serde(default)]
    outputs: Outputs,
    #[serde(default)]
    note: String,
    by: Option<String>,
}

/// Are outputs shown?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outputs {
    #[default]
    Shown,
    Hidden,
}

/// Who may look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Reviewers {
    Named(Vec<Box<str>>),
    Anyone(Anyone),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Anyone {
    Anyone,
}

/// A link, as it is answered.
#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    kind: &'static str,
    session: &'a str,
    by: &'a str,
    created_at: Time,
    expires_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Reviewers>,
    part: Part,
    outputs: Outputs,
    note: &'a str,
    uses: u64,
    used_at: Option<Time>,
    used_by: Option<&'a str>,
    revoked_at: Option<Time>,
    revoked_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Item<'_> {
    fn of<'a>(link: &'a Link, url: Option<String>) -> Item<'a> {
        let grant = &link.grant;
        let (format, to) = match &grant.to {
            To::Download(format) => (Some(*format), None),
            To::Show(names) => (None, Some(Reviewers::Named(names.clone()))),
            To::ShowAnyone => (None, Some(Reviewers::Anyone(Anyone::Anyone))),
        };
        let at = |done: &Option<Done>| done.as_ref().map(|done| Time(done.at));
        Item {
            id: &grant.id,
            kind: if format.is_some() { "download" } else { "share" },
            session: &grant.session,
            by: &link.made.by,
            created_at: Time(link.made.at),
            expires_at: Time(Micros(grant.expires.saturating_mul(1_000_000))),
            format,
            to,
            part: grant.part,
            outputs: if grant.hides_outputs { Outputs::Hidden } else { Outputs::Shown },
            note: &link.note,
            uses: link.uses,
            used_at: at(&link.used),
            used_by: link.used.as_ref().map(|done| &*done.by),
            revoked_at: at(&link.revoked),
            revoked_by: link.revoked.as_ref().map(|done| &*done.by),
            url,
        }
    }
}

fn url_of(key: &Key, grant: &Grant) -> String {
    let token = key.sign(grant);
    match grant.to {
        To::Download(_) => format!("/v1/linked/{token}"),
        To::Show(_) | To::ShowAnyone => format!("/shared/{token}"),
    }
}

/// Makes a link to a session's file: whoever has it can download it, any number of times, until it expires or is revoked.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/links",
    tag = "links",
    params(("id" = String, Path, description = "the session's id")),
    request_body(content = shapes::NewLink, content_type = "application/json"),
    responses(
        (status = 200, description = "the link", body = shapes::Link),
        (status = 400, description = "it can't be made", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "there are too many", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_link(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
    bytes: params::Body,
) -> Result<Response, Problem> {
    let asked: NewLink = params::body(bytes)?;
    let by = caller.by(asked.by.as_deref())?;
    let (to, outputs) = (To::Download(asked.format), asked.outputs);
    let new =
        New { to, part: asked.part, outputs, expires_in: asked.expires_in, note: asked.note, by };
    make(&app, caller, session_id(id)?, new).await
}

/// Shares a session: a link to its page, read-only, for named reviewers or whoever has it.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/share",
    tag = "links",
    params(("id" = String, Path, description = "the session's id")),
    request_body(content = shapes::NewShare, content_type = "application/json"),
    responses(
        (status = 200, description = "the link", body = shapes::Link),
        (status = 400, description = "it can't be made", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "there are too many", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_share(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
    bytes: params::Body,
) -> Result<Response, Problem> {
    let asked: NewShare = params::body(bytes)?;
    let by = caller.by(asked.by.as_deref())?;
    let to = reviewers(&app, asked.to)?;
    let outputs = asked.outputs;
    let new =
        New { to, part: asked.part, outputs, expires_in: asked.expires_in, note: asked.note, by };
    make(&app, caller, session_id(id)?, new).await
}

fn reviewers(app: &App, to: Reviewers) -> Result<To, Problem> {
    let wrong = |what: String| Err(Problem::parameter("to", what));
    let names = match to {
        Reviewers::Anyone(Anyone::Anyone) => return Ok(To::ShowAnyone),
        Reviewers::Named(names) => names,
    };
    if names.is_empty() || names.len() > REVIEWERS_MAX {
        return wrong(format!("name 1 to {REVIEWERS_MAX} reviewers, or write \"anyone\""));
    }
    if let Some(name) = names.iter().find(|n| n.trim().is_empty() || n.len() > NAME_BYTES_MAX) {
        return wrong(format!("`{}` is no name of a token", excerpt(name)));
    }
    if !app.tokens.required() {
        return wrong(
            "without tokens nobody's name is known; make some (`daybook token create`), or share with \"anyone\""
                .to_owned(),
        );
    }
    Ok(To::Show(names))
}

/// What is to be made.
struct New {
    to: To,
    part: Part,
    outputs: Outputs,
    expires_in: Option<String>,
    note: String,
    by: Box<str>,
}

async fn make(app: &App, caller: Caller, session: String, new: New) -> Result<Response, Problem> {
    let lifetime = match &new.expires_in {
        None => EXPIRES_DEFAULT,
        Some(text) => duration_micros(text)
            .filter(|micros| (EXPIRES_MIN..=EXPIRES_MAX).contains(micros))
            .ok_or_else(|| {
                let what = format!(
                    "`expires_in` is how long, up to 365d, such as 24h or 7d, not `{}`",
                    excerpt(text)
                );
                Problem::parameter("expires_in", what)
            })?,
    };
    if new.note.len() > NOTE_BYTES_MAX {
        let what = format!("the note has {} bytes, and may have {NOTE_BYTES_MAX}", new.note.len());
        return Err(Problem::parameter("note", what));
    }
    let mut random = [0u8; 15];
    getrandom::fill(&mut random).map_err(Problem::internal)?;
    let grant = Grant {
        id: URL_SAFE_NO_PAD.encode(random).into(),
        session: session.as_str().into(),
        expires: 0,
        to: new.to,
        part: new.part,
        hides_outputs: new.outputs == Outputs::Hidden,
    };
    check(app, caller, session, &grant).await?;
    let (note, by) = (new.note.into_boxed_str(), new.by);
    let made = app
        .links
        .ledger
        .act(move |links, now| {
            if links.live(now) >= LINKS_MAX {
                return Err(Problem::new(
                    "links",
                    StatusCode::CONFLICT,
                    "Too many links",
                    format!(
                        "{LINKS_MAX} links are good now; revoke some, or wait until they expire"
                    ),
                ));
            }
            let expires = now.0.saturating_add(lifetime).div_euclid(1_000_000);
            let grant = Grant { expires, ..grant };
            let json = serde_json::to_string(&grant).map_err(Problem::internal)?;
            if json.len() > NAME_BYTES_MAX {
                let what =
                    format!("a link has room for {NAME_BYTES_MAX} bytes; name fewer reviewers");
                return Err(Problem::parameter("to", what));
            }
            let mut act = Access::new(&by, "link.create", &grant.session).with("grant", json);
            if !note.is_empty() {
                act = act.with("note", note.clone());
            }
            let made = Done { by, at: now };
            let link = Link { grant, made, note, revoked: None, uses: 0, used: None };
            Ok((vec![act], link))
        })
        .await?;
    let url = url_of(&app.links.key, &made.grant);
    answer(StatusCode::OK, &Item::of(&made, Some(url)))
}

/// Is there anything that the link would show?
async fn check(app: &App, caller: Caller, session: String, grant: &Grant) -> Result<(), Problem> {
    let (engine, excerpt) = (Arc::clone(&app.engine), grant.excerpt());
    let look = move || {
        let snapshot = engine.snapshot();
        visible(&snapshot, &caller, &session)?;
        let found = Download::open(&snapshot, &session, excerpt)?;
        let found = found.ok_or_else(|| no_session(&session))?;
        match (found.events(), excerpt.part) {
            (0, Part::Command(seq)) => {
                Err(Problem::parameter("part", format!("the session has no command {seq}")))
            }
            (0, Part::Time(..)) => {
                Err(Problem::parameter("part", "nothing happened in the session in this time"))
            }
            _ => Ok(()),
        }
    };
    app.reads.run_within(app.config.read_time_max, look).await?
}

/// The parameters of a list of links.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinksQuery {
    /// Only links to this session.
    session: Option<String>,
}

impl FromFields for LinksQuery {
    fn read(fields: &mut Fields) -> Result<LinksQuery, Problem> {
        Ok(LinksQuery { session: fields.text("session")? })
    }
}

/// The links that were made at this node, to sessions that the caller may see, the newest first; each for 30 days after it
/// expired. Its maker also gets its address again.
#[utoipa::path(
    get,
    path = "/v1/links",
    tag = "links",
    params(LinksQuery),
    responses(
        (status = 200, description = "the links", body = shapes::Links),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_links(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<LinksQuery>,
) -> Result<Response, Problem> {
    let links = Arc::clone(&app.links);
    app.read(move |snapshot| -> Result<_, Problem> {
        let wanted =
            |link: &&Link| asked.session.as_deref().is_none_or(|id| *link.grant.session == *id);
        let mut found: Vec<Link> =
            links.ledger.read(|state| state.links.values().filter(wanted).cloned().collect());
        found.sort_unstable_by_key(|link| std::cmp::Reverse(link.made.at));
        let mut items = Vec::new();
        let mut count = 0u64;
        for link in &found {
            // One that may not be seen is answered as one that is not there.
            if visible(snapshot, &caller, &link.grant.session).is_err() {
                continue;
            }
            count += 1;
            if items.len() < LISTED_MAX {
                let mine = caller.name().is_none_or(|name| name == &*link.made.by);
                let url = mine.then(|| url_of(&links.key, &link.grant));
                items.push(serde_json::to_value(Item::of(link, url)).map_err(Problem::internal)?);
            }
        }
        Ok(serde_json::json!({ "items": items, "next_cursor": null, "count": count }))
    })
    .await
}

/// The parameters of a revocation.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevokeQuery {
    /// Who revokes, where no token says it.
    by: Option<String>,
}

impl FromFields for RevokeQuery {
    fn read(fields: &mut Fields) -> Result<RevokeQuery, Problem> {
        Ok(RevokeQuery { by: fields.text("by")? })
    }
}

/// Revokes a link: it is good for nothing from then on at this node. Its maker may, and `admin`, who can also revoke one that
/// was made at another node.
#[utoipa::path(
    delete,
    path = "/v1/links/{id}",
    tag = "links",
    params(("id" = String, Path, description = "the link's id"), RevokeQuery),
    responses(
        (status = 200, description = "it is revoked", body = shapes::Revoked),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "somebody else made it", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such link", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn delete_link(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(asked): Params<RevokeQuery>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let by = caller.by(asked.by.as_deref())?;
    let is_id = URL_SAFE_NO_PAD.decode(&id).is_ok_and(|bytes| bytes.len() == 15);
    let nothing = Problem::not_found(format!("there is no link `{}`", excerpt(&id)));
    if !is_id {
        return Err(nothing);
    }
    let revoked = serde_json::json!({ "id": id, "revoked": true });
    let revoke = move |links: &state::State, _: Micros| {
        let session = match links.links.get(&*id) {
            Some(link) if *link.made.by != *by && !caller.may(Scope::Admin) => {
                return Err(Problem::new(
                    "scope",
                    StatusCode::FORBIDDEN,
                    "Not with this token",
                    "who made a link revokes it, or a token with the scope `admin`",
                ));
            }
            Some(link) => link.grant.session.clone(),
            None if caller.0.is_some() && caller.may(Scope::Admin) => Box::default(),
            None => return Err(nothing),
        };
        let acts = match links.is_revoked(&id) {
            true => Vec::new(),
            false => vec![Access::new(&by, "link.revoke", &session).with("id", id.as_str())],
        };
        Ok((acts, ()))
    };
    app.links.ledger.act(revoke).await?;
    answer(StatusCode::OK, &revoked)
}

/// The file that a link leads to. It takes no token: the link is one.
#[utoipa::path(
    get,
    path = "/v1/linked/{token}",
    tag = "links",
    params(("token" = String, Path, description = "what the link has")),
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
        (status = 403, description = "the link was not made with this server's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "the session is not here, or has nothing that this format holds", body = Document, content_type = "application/problem+json"),
        (status = 410, description = "the link has expired, or was revoked", body = Document, content_type = "application/problem+json"),
        (status = 416, description = "the file has not this range", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many exports at once, or the log takes no events", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_linked(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    token: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let grant = app.links.open_token(&session_id(token)?)?;
    let To::Download(format) = grant.to else {
        return Err(Problem::new(
            "link",
            StatusCode::FORBIDDEN,
            "Another kind of link",
            "this link shows a session's page: open it at /shared/",
        ));
    };
    app.links.tell_use(&grant, "link", "download").await?;
    let wanted = Wanted { id: grant.session.to_string(), format, excerpt: grant.excerpt() };
    download::answer(&app, wanted, &method, headers, |_, _| Ok(())).await
}
