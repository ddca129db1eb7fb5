//! `/v1/admin/notifications`: who is told, how that is going, and dead letters.

use super::One;
use super::place::{Dead, Place};
use crate::params::{NoParams, Params};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::{App, answer};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_engine::event::Micros;
use daybook_engine::event::time::excerpt;
use daybook_query::item::Time;
use serde::Serialize;

#[derive(Serialize)]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
    count: u64,
}

#[derive(Serialize)]
struct Item {
    name: Box<str>,
    form: &'static str,
    url: String,
    events: Vec<&'static str>,
    roles: Vec<String>,
    through: u64,
    behind: u64,
    delivered: u64,
    last_delivery_at: Option<Time>,
    failing_since: Option<Time>,
    last_error: Option<String>,
    next_attempt_at: Option<Time>,
    forgotten: u64,
    dead: Vec<Letter>,
}

#[derive(Serialize)]
struct Letter {
    id: String,
    offset: u64,
    at: Time,
    why: Box<str>,
    session: Box<str>,
    review: Box<str>,
    event: Box<str>,
}

impl Letter {
    fn of(name: &str, dead: &Dead) -> Letter {
        Letter {
            id: format!("{name}-{}", dead.offset),
            offset: dead.offset,
            at: Time(Micros(dead.at)),
            why: dead.why.clone(),
            session: dead.session.clone(),
            review: dead.review.clone(),
            event: dead.event.clone(),
        }
    }
}

impl Item {
    fn of(one: &One, place: Place, end: u64) -> Item {
        let (target, live) = (&one.target, one.live.lock().clone());
        // What stands behind the host is often all that it takes to post there.
        let url = target.url.as_ref().map(|url| url.origin().ascii_serialization());
        Item {
            name: target.name.clone(),
            form: target.form.name(),
            url: url.unwrap_or_default(),
            events: target.events.iter().map(|told| told.name()).collect(),
            roles: target.roles.clone(),
            through: place.through,
            behind: end.saturating_sub(place.through),
            delivered: place.delivered,
            last_delivery_at: place.last_delivery.map(|at| Time(Micros(at))),
            failing_since: live.failing_since.map(Time),
            last_error: live.last_error,
            next_attempt_at: live.next_attempt.map(Time),
            forgotten: place.forgotten,
            dead: place.dead.iter().map(|dead| Letter::of(&target.name, dead)).collect(),
        }
    }
}

/// Who is told of access requests, how that is going, and what could not be delivered.
#[utoipa::path(
    get,
    path = "/v1/admin/notifications",
    tag = "reviews",
    responses(
        (status = 200, description = "all of them", body = shapes::reviews::NotificationPage),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_notifications(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let end = app.engine.follow().borrow().0;
    let item = |one: &One| {
        let place = app.notify.places.get(&one.target.name).unwrap_or_default();
        Item::of(one, place, end)
    };
    let items: Vec<Item> = app.notify.targets.iter().map(item).collect();
    let count = items.len() as u64;
    answer(StatusCode::OK, &Page { items, next_cursor: None, count })
}

/// Sends a dead letter again: from now on it is tried as a new message is.
#[utoipa::path(
    post,
    path = "/v1/admin/notifications/{id}/resend",
    tag = "reviews",
    params(("id" = String, Path, description = "the dead letter's id")),
    responses(
        (status = 200, description = "the letter, which is not dead any more", body = shapes::reviews::DeadLetter),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "there is no such dead letter", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "read-only or shutting down", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "the disk is full", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn resend(
    State(app): State<App>,
    Path(id): Path<String>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let none = || Problem::not_found(format!("there is no dead letter `{}`", excerpt(&id)));
    let (name, offset) = id.rsplit_once('-').ok_or_else(none)?;
    let offset: u64 = offset.parse().map_err(|_| none())?;
    let one = app.notify.one(name).ok_or_else(none)?;
    let mut letter = None;
    app.notify.places.change(name, |place| {
        if let Some(at) = place.dead.iter().position(|dead| dead.offset == offset) {
            letter = Some(place.dead.remove(at));
            if !place.again.contains(&offset) {
                place.again.push(offset);
            }
        }
    });
    let letter = letter.ok_or_else(none)?;
    if let Err(error) = app.notify.places.keep().await {
        // It stays where it is listed, so that it can be tried again.
        app.notify.places.change(name, |place| {
            place.again.retain(|again| *again != offset);
            place.dead.push(letter);
            place.dead.sort_by_key(|dead| dead.offset);
        });
        return Err(error.into());
    }
    one.again.notify_one();
    answer(StatusCode::OK, &Letter::of(name, &letter))
}
