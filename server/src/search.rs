//! `GET /v1/search`.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use daybook_query::lang::Query;
use daybook_query::search::{self, CountMode, LIMIT_MAX, SearchRequest};
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
    /// `exact` counts all matches.
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
        let q = fields.query("q")?.ok_or_else(|| {
            Problem::parameter(
                "q",
                "`q` is missing: say what to search for, such as `q=DROP TABLE`",
            )
        })?;
        let modes = [("none", CountMode::None), ("exact", CountMode::Exact)];
        Ok(SearchQuery {
            q,
            cursor: fields.text("cursor")?,
            limit: fields.count("limit", 50, LIMIT_MAX)?,
            count: fields.one_of("count", &modes)?.unwrap_or_default(),
            facets: fields.flag("facets", false)?,
            histogram: fields.flag("histogram", false)?,
        })
    }
}

/// Finds events, latest first. What was acknowledged is found, at once.
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
    app.read(move |snapshot| {
        let mut request = SearchRequest::new(&asked.q);
        request.scope = caller.sees();
        request.cursor = asked.cursor.as_deref();
        request.limit = asked.limit;
        request.count = asked.count;
        request.facets = asked.facets;
        request.histogram = asked.histogram;
        search::search(snapshot, &request)
    })
    .await
}
