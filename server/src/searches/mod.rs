//! `/v1/searches`: searches that are saved, and the alerts that they may have ([`crate::alerts`]).
//!
//! | module | what is there |
//! |---|---|
//! | here | the endpoints |
//! | `saved` | a saved search, what may be saved, and its file |
//! | `store` | all of them, and how they are changed |
//! | `rights` | who may see and change which |

mod rights;
mod saved;
mod store;

pub use saved::{Alert, Saved};
pub use store::Searches;

use crate::alerts::{Outcome, Secret, Status};
use crate::auth::Caller;
use crate::auth::tokens::Scope;
use crate::params::{Body, NoParams, Params, body};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::event::Micros;
use daybook_query::item::Time;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Instant;
use store::{Change, Changed};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSearch {
    name: String,
    query: String,
    /// Left out, it stays as it is; null, there is none.
    #[serde(default, deserialize_with = "said")]
    alert: Option<Option<NewAlert>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAlert {
    url: String,
    secret: Option<String>,
    from: Option<u64>,
}

/// What was said, though it be null.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<NewAlert>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

/// A saved search, as it is answered.
#[derive(Serialize)]
struct Item {
    id: Box<str>,
    name: Box<str>,
    query: Box<str>,
    by: Option<Box<str>>,
    roles: Vec<Box<str>>,
    users: Vec<Box<str>>,
    created_at: Time,
    updated_at: Time,
    alert: Option<AlertItem>,
}

#[derive(Serialize)]
struct AlertItem {
    url: String,
    /// Only in the answer to who had it made.
    secret: Option<String>,
    from: u64,
    began_at: Time,
    status: Status,
}

#[derive(Serialize)]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
    count: u64,
}

#[derive(Serialize)]
struct Tested {
    delivered: bool,
    status: Option<u16>,
    answer: Option<String>,
    error: Option<String>,
    took_ms: u64,
}

impl Item {
    fn of(app: &App, caller: &Caller, saved: &Saved, secret: Option<&Secret>) -> Item {
        let end = app.engine.follow().borrow().0;
        let alert = saved.alert.as_ref().map(|alert| AlertItem {
            // What stands behind the host is often all that it takes to post there.
            url: match caller.may(Scope::Admin) {
                true => alert.url.to_string(),
                false => saved::origin(&alert.url),
            },
            secret: secret.map(Secret::reveal),
            from: alert.from,
            began_at: Time(Micros(alert.began)),
            status: app.alerts.status(saved, alert, end),
        });
        Item {
            id: saved.id.clone(),
            name: saved.name.clone(),
            query: saved.query.clone(),
            by: saved.by.clone(),
            roles: saved.limits.roles.clone(),
            users: saved.limits.users.clone(),
            created_at: Time(Micros(saved.created)),
            updated_at: Time(Micros(saved.updated)),
            alert,
        }
    }
}

/// Changes the searches: on a task of its own, so that it is done whole also when nobody waits for it.
async fn change(app: &App, caller: &Caller, change: Change) -> Result<Changed, Problem> {
    let (app, caller) = (App::clone(app), caller.clone());
    let done = tokio::spawn(async move { store::change(&app, &caller, change).await });
    done.await.map_err(Problem::internal)?
}

/// The searches that are saved, by name.
///
/// A token that is limited to roles or users sees those that it saved itself.
#[utoipa::path(
    get,
    path = "/v1/searches",
    tag = "alerts",
    responses(
        (status = 200, description = "all of them", body = shapes::SavedSearchPage),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_searches(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let mut seen = app.searches.all();
    seen.retain(|saved| rights::sees(&caller, saved));
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    let items: Vec<Item> = seen.iter().map(|saved| Item::of(&app, &caller, saved, None)).collect();
    let count = items.len() as u64;
    answer(StatusCode::OK, &Page { items, next_cursor: None, count })
}

/// Saves a search.
///
/// With an `alert`, what arrives from now on (or from the offset `from` on) and matches is posted to its `url`,
/// signed as Standard Webhooks has it, at least once; that takes the scopes `admin` and `read`. A `secret` that is
/// left out is made, and shown in this answer alone. The alert sees what the token may see that saved it.
#[utoipa::path(
    post,
    path = "/v1/searches",
    tag = "alerts",
    request_body(content = shapes::NewSavedSearch, description = "the search"),
    responses(
        (status = 201, description = "the search as it is saved", body = shapes::SavedSearch),
        (status = 400, description = "the query can't be read (see start and end), or something else can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "an alert takes another scope", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the name is taken, or there are too many", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn post_search(
    State(app): State<App>,
    caller: Caller,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let changed = change(&app, &caller, Change::Save(body(bytes)?)).await?;
    let item = Item::of(&app, &caller, &changed.saved, changed.secret.as_ref());
    answer(StatusCode::CREATED, &item)
}

/// A saved search, and how its alert is doing.
#[utoipa::path(
    get,
    path = "/v1/searches/{id}",
    tag = "alerts",
    params(("id" = String, Path, description = "the search's id")),
    responses(
        (status = 200, description = "the search", body = shapes::SavedSearch),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no search of this id is to be seen", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_search(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let saved = rights::visible(&app, &caller, &id)?;
    answer(StatusCode::OK, &Item::of(&app, &caller, &saved, None))
}

/// Changes a saved search.
///
/// An `alert` that is left out stays as it is; null takes it away. It goes on where it is, also one that stood still:
/// with a new query for what was not delivered yet, with `from` at that offset. A `secret` that is left out stays.
#[utoipa::path(
    put,
    path = "/v1/searches/{id}",
    tag = "alerts",
    params(("id" = String, Path, description = "the search's id")),
    request_body(content = shapes::NewSavedSearch, description = "the whole search"),
    responses(
        (status = 200, description = "the search as it is now", body = shapes::SavedSearch),
        (status = 400, description = "the query can't be read (see start and end), or something else can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it takes another scope", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no search of this id is to be seen", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "the name is taken, or there are too many alerts", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn put_search(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
    bytes: Body,
) -> Result<Response, Problem> {
    let changed = change(&app, &caller, Change::Replace(id, body(bytes)?)).await?;
    let item = Item::of(&app, &caller, &changed.saved, changed.secret.as_ref());
    answer(StatusCode::OK, &item)
}

/// Forgets a saved search, and ends its alert: when this is answered, nothing more is sent.
#[utoipa::path(
    delete,
    path = "/v1/searches/{id}",
    tag = "alerts",
    params(("id" = String, Path, description = "the search's id")),
    responses(
        (status = 200, description = "the search that was forgotten", body = shapes::SavedSearch),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it takes another scope", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no search of this id is to be seen", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn delete_search(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let changed = change(&app, &caller, Change::Delete(id)).await?;
    answer(StatusCode::OK, &Item::of(&app, &caller, &changed.saved, None))
}

/// Sends a delivery without events to a search's webhook now, and says what came of it.
#[utoipa::path(
    post,
    path = "/v1/searches/{id}/test",
    tag = "alerts",
    params(("id" = String, Path, description = "the search's id")),
    responses(
        (status = 200, description = "what the receiver said, or why it can't be reached", body = shapes::TestedAlert),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "it takes the scope `admin`", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no search of this id is to be seen", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "it has no alert", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn test_search(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let saved = rights::visible(&app, &caller, &id)?;
    rights::needs(&caller, Scope::Admin, "testing an alert")?;
    let Some(alert) = &saved.alert else {
        let what = "the search has no alert; PUT it with one";
        return Err(Problem::new("no-alert", StatusCode::CONFLICT, "No alert", what));
    };
    let began = Instant::now();
    let outcome = app.alerts.test(&saved, alert).await;
    let delivered = matches!(outcome, Outcome::Delivered(_));
    let tested = Tested {
        delivered,
        status: outcome.answer().map(|answer| answer.status.as_u16()),
        answer: outcome.answer().map(|answer| answer.text.clone()),
        error: (!delivered).then(|| outcome.to_string()),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    answer(StatusCode::OK, &tested)
}
