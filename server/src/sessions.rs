//! `GET /v1/sessions`, `GET /v1/facets`, `GET /v1/sessions/{id}` and `GET /v1/sessions/{id}/similar`.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, NoParams, Params, unknown};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use daybook_engine::catalog::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use daybook_engine::catalog::sort::Sort;
use daybook_engine::event::Micros;
use daybook_engine::session::Status;
use daybook_engine::view::Snapshot;
use daybook_query::lang::Query;
use daybook_query::sessions::{self, LIMIT_MAX, ListParams, ValuesParams};
use std::ops::Bound;
use utoipa::IntoParams;

/// Which sessions. Parameters that name facts may be repeated or hold several values with commas between them: any of
/// them; `*` in a value stands for anything.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilterQuery {
    /// Only sessions with an event that matches this query.
    #[param(value_type = Option<String>)]
    q: Option<Query>,
    /// The user's e-mail or id.
    #[param(required = false)]
    user: Vec<String>,
    /// The resource role.
    #[param(required = false)]
    role: Vec<String>,
    /// The role's type.
    #[param(rename = "type", required = false)]
    kind: Vec<String>,
    /// The role's subtype.
    #[param(required = false)]
    subtype: Vec<String>,
    /// The AI agent.
    #[param(required = false)]
    agent: Vec<String>,
    /// A tag.
    #[param(required = false)]
    tag: Vec<String>,
    /// `pending_review`, `open`, `done`, `failed`, `killed`, `rejected`.
    #[param(required = false)]
    status: Vec<String>,
    /// Only sessions that started at this time (RFC 3339, or a date in UTC) or later.
    #[param(value_type = Option<String>)]
    after: Option<Micros>,
    /// Only sessions that started before this time.
    #[param(value_type = Option<String>)]
    before: Option<Micros>,
}

impl FromFields for FilterQuery {
    fn read(fields: &mut Fields) -> Result<FilterQuery, Problem> {
        Ok(FilterQuery {
            q: fields.query("q")?,
            user: fields.list("user")?,
            role: fields.list("role")?,
            kind: fields.list("type")?,
            subtype: fields.list("subtype")?,
            agent: fields.list("agent")?,
            tag: fields.list("tag")?,
            status: statuses(fields)?,
            after: fields.time("after")?,
            before: fields.time("before")?,
        })
    }
}

/// The parameters of a list of sessions, beside those that say which ones.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    #[param(ignore)]
    which: FilterQuery,
    /// `started`, `ended`, `last_event`, `duration`, `events`, `commands`, `blocked`, `approved`, `pending`, `masked`,
    /// `bytes`, `user`, `role`, `type`, `subtype`, `agent` or `status`; with `-` before it, largest (last) first.
    #[param(value_type = Option<String>, default = "-started")]
    sort: Sort,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Also answer how many sessions have each user, role, ...
    #[param(value_type = Option<bool>, default = false)]
    facets: bool,
    /// Also answer how the sessions' starts are spread over time, with the commands in them by verdict.
    #[param(value_type = Option<bool>, default = false)]
    histogram: bool,
}

impl FromFields for ListQuery {
    fn read(fields: &mut Fields) -> Result<ListQuery, Problem> {
        Ok(ListQuery {
            which: FilterQuery::read(fields)?,
            sort: sort(fields)?,
            limit: fields.count("limit", 50, LIMIT_MAX)?,
            cursor: fields.text("cursor")?,
            facets: fields.flag("facets", false)?,
            histogram: fields.flag("histogram", false)?,
        })
    }
}

impl FilterQuery {
    /// What the parameters beside `q` ask of a session that the caller may see.
    fn filter(&self, caller: &Caller) -> SessionFilter {
        match caller.sees() {
            SessionFilter::All => self.asked(),
            seen => SessionFilter::And(vec![seen, self.asked()]),
        }
    }

    fn asked(&self) -> SessionFilter {
        let mut all: Vec<SessionFilter> = [
            (TextFact::User, &self.user),
            (TextFact::Role, &self.role),
            (TextFact::Type, &self.kind),
            (TextFact::Subtype, &self.subtype),
            (TextFact::Agent, &self.agent),
            (TextFact::Tag, &self.tag),
            (TextFact::Status, &self.status),
        ]
        .into_iter()
        .filter_map(|(fact, values)| any_of(fact, values))
        .collect();
        if self.after.is_some() || self.before.is_some() {
            let low = self.after.map_or(Bound::Unbounded, |Micros(time)| Bound::Included(time));
            let high = self.before.map_or(Bound::Unbounded, |Micros(time)| Bound::Excluded(time));
            all.push(SessionFilter::Number(NumberFact::Started, low, high));
        }
        if all.is_empty() { SessionFilter::All } else { SessionFilter::And(all) }
    }
}

fn statuses(fields: &mut Fields) -> Result<Vec<String>, Problem> {
    let names = Status::ALL.map(Status::name);
    let statuses = fields.list("status")?;
    match statuses.iter().find(|text| !names.contains(&text.as_str())) {
        Some(text) => Err(unknown("status", text, names)),
        None => Ok(statuses),
    }
}

fn sort(fields: &mut Fields) -> Result<Sort, Problem> {
    match fields.text("sort")? {
        None => Ok(ListParams::default().sort),
        Some(text) => sessions::parse_sort(&text)
            .map_err(|error| Problem::parameter("sort", error.to_string())),
    }
}

fn any_of(fact: TextFact, values: &[String]) -> Option<SessionFilter> {
    let mut any: Vec<SessionFilter> =
        values.iter().map(|value| SessionFilter::Text(fact, Pattern::wildcard(value))).collect();
    match any.len() {
        0 => None,
        1 => any.pop(),
        _ => Some(SessionFilter::Or(any)),
    }
}

/// Lists sessions, with the exact count of all that match.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "sessions",
    params(FilterQuery, ListQuery),
    responses(
        (status = 200, description = "a page of sessions", body = shapes::SessionPage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_sessions(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<ListQuery>,
) -> Result<Response, Problem> {
    app.find(move |snapshot, limits| {
        sessions::list(
            snapshot,
            &ListParams {
                query: asked.which.q.as_ref(),
                filter: asked.which.filter(&caller),
                sort: asked.sort,
                cursor: asked.cursor.as_deref(),
                limit: asked.limit,
                facets: asked.facets,
                histogram: asked.histogram,
                limits,
            },
        )
    })
    .await
}

/// The fields whose values can be asked for.
const FIELDS: [TextFact; 7] = [
    TextFact::User,
    TextFact::Role,
    TextFact::Type,
    TextFact::Subtype,
    TextFact::Agent,
    TextFact::Tag,
    TextFact::Status,
];

/// The parameters of a list of a field's values, beside those that say of which sessions.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FacetQuery {
    #[param(ignore)]
    which: FilterQuery,
    /// `user`, `role`, `type`, `subtype`, `agent`, `tag` or `status`.
    #[param(value_type = String)]
    field: TextFact,
    /// Only values that contain this, in any case; those that begin with it come first.
    find: Option<String>,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
}

impl FromFields for FacetQuery {
    fn read(fields: &mut Fields) -> Result<FacetQuery, Problem> {
        let field = fields.one_of("field", &FIELDS.map(|fact| (fact.name(), fact)))?;
        Ok(FacetQuery {
            field: field.ok_or_else(|| {
                Problem::parameter(
                    "field",
                    "`field` is missing: say whose values, such as `field=user`",
                )
            })?,
            which: FilterQuery::read(fields)?,
            find: fields.text("find")?,
            limit: fields.count("limit", 50, LIMIT_MAX)?,
        })
    }
}

/// The values of a field that sessions have, the most frequent first.
#[utoipa::path(
    get,
    path = "/v1/facets",
    tag = "sessions",
    params(FilterQuery, FacetQuery),
    responses(
        (status = 200, description = "the values, with how many sessions have each", body = shapes::FacetValues),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_values(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<FacetQuery>,
) -> Result<Response, Problem> {
    app.find(move |snapshot, limits| {
        sessions::values(
            snapshot,
            &ValuesParams {
                field: asked.field,
                find: asked.find.as_deref().unwrap_or_default(),
                query: asked.which.q.as_ref(),
                filter: asked.which.filter(&caller),
                limit: asked.limit,
                limits,
            },
        )
    })
    .await
}

/// One session: its facts, counts, reviews, and where its events are.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}",
    tag = "sessions",
    params(("id" = String, Path, description = "the session's id")),
    responses(
        (status = 200, description = "the session", body = shapes::SessionDetails),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_session(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let coverage = app.engine.coverage();
    app.read(move |snapshot| -> Result<_, Problem> {
        visible(snapshot, &caller, &id)?;
        sessions::details(snapshot, &id, coverage)?.ok_or_else(|| no_session(&id))
    })
    .await
}

/// The parameters of a list of similar sessions.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SimilarQuery {
    /// They started at most so long before or after it: `90m`, `24h`, `7d`.
    #[param(value_type = Option<String>, default = "24h")]
    window: i64,
    /// As in `/v1/sessions`.
    #[param(value_type = Option<String>, default = "-started")]
    sort: Sort,
    /// At most this many.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromFields for SimilarQuery {
    fn read(fields: &mut Fields) -> Result<SimilarQuery, Problem> {
        Ok(SimilarQuery {
            window: fields.duration("window", sessions::SIMILAR_WINDOW)?,
            sort: sort(fields)?,
            limit: fields.count("limit", 50, LIMIT_MAX)?,
            cursor: fields.text("cursor")?,
        })
    }
}

/// Sessions like this one: of the same user, through the same resource role, at about the same time.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/similar",
    tag = "sessions",
    params(("id" = String, Path, description = "the session's id"), SimilarQuery),
    responses(
        (status = 200, description = "a page of sessions", body = shapes::SessionPage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn similar_sessions(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    Params(asked): Params<SimilarQuery>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    app.read(move |snapshot| -> Result<_, Problem> {
        visible(snapshot, &caller, &id)?;
        let like = sessions::like(snapshot, &id, asked.window)?.ok_or_else(|| no_session(&id))?;
        let params = ListParams {
            filter: SessionFilter::And(vec![caller.sees(), like]),
            sort: asked.sort,
            cursor: asked.cursor.as_deref(),
            limit: asked.limit,
            ..ListParams::default()
        };
        Ok(sessions::list(snapshot, &params)?)
    })
    .await
}

/// The id in the path.
///
/// # Errors
/// One that is not UTF-8.
pub fn session_id(id: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    id.map(|Path(id)| id).map_err(|error| Problem::parameter("id", error.body_text()))
}

/// May the caller see a session? One that it may not is answered as one that is not there.
///
/// # Errors
/// That it is not there, or the catalog's.
pub fn visible(snapshot: &Snapshot, caller: &Caller, id: &str) -> Result<(), Problem> {
    let filter = caller.sees();
    if filter == SessionFilter::All {
        return Ok(());
    }
    let session = snapshot.sessions.get(id).map_err(Problem::from)?;
    let seen =
        session.is_some_and(|session| filter.matches(&session.id, session.key, &session.state));
    if seen { Ok(()) } else { Err(no_session(id)) }
}

/// The problem of a session that is not there.
pub fn no_session(id: &str) -> Problem {
    Problem::not_found(format!(
        "there is no session `{}`",
        daybook_engine::event::time::excerpt(id)
    ))
}
