//! `GET /v1/search`.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, NoParams, Params};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use daybook_query::lang::Query;
use daybook_query::search::{self, CountMode, LIMIT_MAX, Order, SearchRequest};
use utoipa::IntoParams;

/// The parameters of a search.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// What is searched for, in daybook's language: `DROP TABLE user:alice@example.com`.
    #[param(value_type = String)]
    q: Query,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// At most this many hits.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
    /// `newest` first, or those that say most of what is searched for: `relevance`.
    #[param(value_type = Option<String>, default = "newest")]
    sort: Order,
    /// `exact` counts all matches; `sessions` also the sessions that they are in.
    #[param(value_type = Option<String>)]
    count: CountMode,
    /// Also answer how often each user, role, kind, ... occurs among the matches.
    #[param(value_type = Option<bool>, default = false)]
    facets: bool,
    /// Also answer how the matches are spread over time.
    #[param(value_type = Option<bool>, default = false)]
    histogram: bool,
}

impl FromFields for SearchQuery {
    fn read(fields: &mut Fields) -> Result<SearchQuery, Problem> {
        let q = wanted(fields)?;
        let orders = [("newest", Order::Newest), ("relevance", Order::Relevance)];
        let modes = [
            ("none", CountMode::None),
            ("exact", CountMode::Exact),
            ("sessions", CountMode::Sessions),
        ];
        Ok(SearchQuery {
            q,
            cursor: fields.text("cursor")?,
            limit: fields.count("limit", 50, LIMIT_MAX)?,
            sort: fields.one_of("sort", &orders)?.unwrap_or_default(),
            count: fields.one_of("count", &modes)?.unwrap_or_default(),
            facets: fields.flag("facets", false)?,
            histogram: fields.flag("histogram", false)?,
        })
    }
}

fn wanted(fields: &mut Fields) -> Result<Query, Problem> {
    fields.query("q")?.ok_or_else(|| {
        Problem::parameter("q", "`q` is missing: say what to search for, such as `q=DROP TABLE`")
    })
}

/// Finds events, latest first or by relevance. What was acknowledged is found, at once.
#[utoipa::path(
    get,
    path = "/v1/search",
    tag = "search",
    params(SearchQuery),
    responses(
        (status = 200, description = "a page of hits", body = shapes::SearchPage),
        (status = 400, description = "the query can't be read (see start and end), or another parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn search_events(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<SearchQuery>,
) -> Result<Response, Problem> {
    app.find(move |snapshot, limits| {
        let mut request = SearchRequest::new(&asked.q);
        request.scope = caller.sees();
        request.cursor = asked.cursor.as_deref();
        request.limit = asked.limit;
        request.order = asked.sort;
        request.count = asked.count;
        request.facets = asked.facets;
        request.histogram = asked.histogram;
        request.limits = limits;
        search::search(snapshot, &request)
    })
    .await
}

/// The parameters of a search by session.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GroupQuery {
    /// What is searched for, as in `/v1/search`.
    #[param(value_type = String)]
    q: Query,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// At most this many sessions.
    #[param(value_type = Option<usize>, minimum = 1, maximum = 1000, default = 50)]
    limit: usize,
}

impl FromFields for GroupQuery {
    fn read(fields: &mut Fields) -> Result<GroupQuery, Problem> {
        Ok(GroupQuery {
            q: wanted(fields)?,
            cursor: fields.text("cursor")?,
            limit: fields.count("limit", 50, LIMIT_MAX)?,
        })
    }
}

/// Finds the sessions that have hits, with how many, and the latest of each.
#[utoipa::path(
    get,
    path = "/v1/search/sessions",
    tag = "search",
    params(GroupQuery),
    responses(
        (status = 200, description = "a page of sessions", body = shapes::GroupPage),
        (status = 400, description = "the query can't be read (see start and end), or another parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn search_sessions(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<GroupQuery>,
) -> Result<Response, Problem> {
    app.find(move |snapshot, limits| {
        let mut request = SearchRequest::new(&asked.q);
        request.scope = caller.sees();
        request.cursor = asked.cursor.as_deref();
        request.limit = asked.limit;
        request.limits = limits;
        search::by_session(snapshot, &request)
    })
    .await
}

/// The query language by examples: the page of the documentation.
const HELP: &str = include_str!("../../docs/query-language.md");

/// The query language, by examples.
#[utoipa::path(
    get,
    path = "/v1/search/help",
    tag = "search",
    responses(
        (status = 200, description = "in Markdown", body = String, content_type = "text/markdown"),
        (status = 400, description = "it takes no parameters", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_help(Params(NoParams): Params<NoParams>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], HELP)
}
