//! `GET /v1/sessions/{id}/timeline`.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::problem::{Document, Problem};
use crate::sessions::{no_session, session_id, visible};
use crate::shapes;
use crate::state::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use daybook_engine::event::Micros;
use daybook_query::lang::Query;
use daybook_query::timeline::{self, LIMIT_MAX, TimelineRequest};
use utoipa::IntoParams;

/// The parameters of a timeline.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// Only events that match this query.
    #[param(value_type = Option<String>)]
    q: Option<Query>,
    /// The `next_cursor` or `prev_cursor` of another page.
    cursor: Option<String>,
    /// Start at the first event of this time (RFC 3339, or a date in UTC) or later.
    #[param(value_type = Option<String>)]
    at: Option<Micros>,
    /// Start at the event with this `seq`, or the first one after it.
    #[param(value_type = Option<u32>)]
    from: Option<u32>,
    /// `backward`: the page that ends at `at`, or at the session's end.
    #[param(value_type = Option<String>, default = "forward")]
    direction: bool,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 100)]
    limit: usize,
    /// Commands carry their outputs, their end and their reviews; `false` gives the bare events.
    #[param(value_type = Option<bool>, default = true)]
    fold: bool,
}

impl FromFields for TimelineQuery {
    fn read(fields: &mut Fields) -> Result<TimelineQuery, Problem> {
        let directions = [("forward", false), ("backward", true)];
        Ok(TimelineQuery {
            q: fields.query("q")?,
            cursor: fields.text("cursor")?,
            at: fields.time("at")?,
            from: seq(fields)?,
            direction: fields.one_of("direction", &directions)?.unwrap_or_default(),
            limit: fields.count("limit", TimelineRequest::default().limit, LIMIT_MAX)?,
            fold: fields.flag("fold", true)?,
        })
    }
}

impl TimelineQuery {
    /// The page that is asked for.
    pub(crate) fn request(&self) -> TimelineRequest<'_> {
        TimelineRequest {
            query: self.q.as_ref(),
            cursor: self.cursor.as_deref(),
            at: self.at,
            from: self.from,
            backwards: self.direction,
            limit: self.limit,
            fold: self.fold,
        }
    }
}

fn seq(fields: &mut Fields) -> Result<Option<u32>, Problem> {
    let Some(number) = fields.offset("from")? else { return Ok(None) };
    let what = || format!("`from` is the `seq` of an event, up to {}", u32::MAX);
    u32::try_from(number).map(Some).map_err(|_| Problem::parameter("from", what()))
}

/// A session's events in order, as they were sent.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/timeline",
    tag = "sessions",
    params(("id" = String, Path, description = "the session's id"), TimelineQuery),
    responses(
        (status = 200, description = "a page of events", body = shapes::TimelinePage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_timeline(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(asked): Params<TimelineQuery>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    app.read(move |snapshot| -> Result<_, Problem> {
        visible(snapshot, &caller, &id)?;
        timeline::timeline(snapshot, &id, &asked.request())?.ok_or_else(|| no_session(&id))
    })
    .await
}
