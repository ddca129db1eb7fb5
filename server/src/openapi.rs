//! The routes, and the document about them: each handler is added once and is in both.

use crate::metrics::Counted;
use crate::params::{NoParams, Params};
use crate::problem::{self, Problem};
use crate::state::{App, json_response};
use crate::{
    audit, auth, backup, cases, completeness, doors, download, export, feeds, health, ingest,
    links, merkle, metrics, notes, notify, page, producers, push, queue, rekey, repair, replay,
    report, retention, reviews, runs, search, searches, security, sessions, stats, tail, timeline,
};
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(
    // Their paths have any number of parts, which the document can't say.
    paths(merkle::get_tile, feeds::get_file),
    info(
        title = "daybook",
        description = "The book of original entry for privileged access: sessions' events, kept and searched. Errors are problem documents (RFC 9457). Times are RFC 3339 in UTC with microseconds. Lists page by `cursor` and `limit`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "events", description = "The way in"),
        (name = "doors", description = "The ways in for producers that speak other protocols"),
        (name = "sessions", description = "Lists, details, timelines and replays"),
        (name = "search", description = "Events by what is in them"),
        (name = "alerts", description = "Searches that are saved, and post what matches to a webhook"),
        (name = "reviews", description = "Access requests: may this session begin, may this command run"),
        (name = "links", description = "Sessions for who has no token: links to files, and shares"),
        (name = "runs", description = "Commands that are run again"),
        (name = "export", description = "Events as files"),
        (name = "push", description = "Collectors that are sent events"),
        (name = "proof", description = "What shows that nothing was altered"),
        (name = "retention", description = "How long what is kept, and legal holds"),
        (name = "cases", description = "Notes, cases, marks of what was looked at, and reports"),
        (name = "operation", description = "How the server is doing"),
    )
)]
struct Api;

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(ingest::post_events, ingest::stream::stream_events))
        .routes(routes!(doors::bulk::post_bulk))
        .routes(routes!(doors::otlp::post_logs))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::list_values))
        .routes(routes!(sessions::get_session))
        .routes(routes!(sessions::similar_sessions))
        .routes(routes!(timeline::get_timeline))
        .routes(routes!(replay::get_replay))
        .routes(routes!(download::get_download))
        .routes(routes!(links::post_link))
        .routes(routes!(links::post_share))
        .routes(routes!(links::list_links))
        .routes(routes!(links::delete_link))
        .routes(routes!(links::get_linked))
        .routes(routes!(links::shared::get_shared))
        .routes(routes!(links::shared::get_shared_timeline))
        .routes(routes!(links::shared::get_shared_replay))
        .routes(routes!(links::shared::get_shared_proof))
        .routes(routes!(links::shared::get_shared_download))
        .routes(routes!(search::search_events))
        .routes(routes!(search::search_sessions))
        .routes(routes!(search::get_help))
        .routes(routes!(tail::get_tail))
        .routes(routes!(searches::list_searches, searches::post_search))
        .routes(routes!(searches::get_search, searches::put_search, searches::delete_search))
        .routes(routes!(searches::test_search))
        .routes(routes!(reviews::list_reviews, reviews::post_review))
        .routes(routes!(reviews::get_review))
        .routes(routes!(reviews::post_decision))
        .routes(routes!(notify::api::list_notifications))
        .routes(routes!(notify::api::resend))
        .routes(routes!(push::api::list_sinks))
        .routes(routes!(push::api::resend))
        .routes(routes!(runs::api::post_rerun))
        .routes(routes!(runs::api::list_runs))
        .routes(routes!(runs::api::get_run, runs::api::cancel_run))
        .routes(routes!(runs::taking::take_run))
        .routes(routes!(runs::taking::renew_run))
        .routes(routes!(runs::taking::start_run))
        .routes(routes!(runs::taking::return_run))
        .routes(routes!(runs::taking::fail_run))
        .routes(routes!(runs::taking::finish_run))
        .routes(routes!(export::get_export))
        .routes(routes!(feeds::list_feeds))
        .routes(routes!(feeds::pull))
        .routes(routes!(merkle::get_checkpoint))
        .routes(routes!(merkle::get_proof))
        .routes(routes!(retention::get_policy, retention::put_policy))
        .routes(routes!(retention::run))
        .routes(routes!(retention::list_holds, retention::post_hold))
        .routes(routes!(retention::delete_hold))
        .routes(routes!(notes::post_note, notes::get_notes))
        .routes(routes!(queue::post_reviewed, queue::get_reviewed))
        .routes(routes!(queue::list_queues))
        .routes(routes!(queue::get_queue))
        .routes(routes!(completeness::get_completeness))
        .routes(routes!(producers::list_producers, producers::post_sent))
        .routes(routes!(report::get_report))
        .routes(routes!(cases::list_cases, cases::post_case))
        .routes(routes!(cases::get_case))
        .routes(routes!(cases::change_sessions))
        .routes(routes!(cases::post_case_note))
        .routes(routes!(cases::hold_case))
        .routes(routes!(cases::release_case))
        .routes(routes!(cases::close_case))
        .routes(routes!(cases::export_case))
        .routes(routes!(stats::get_stats))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(backup::post_backup))
        .routes(routes!(rekey::post_rekey))
        .routes(routes!(repair::post_repair))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
}

/// The service.
pub fn router(app: App) -> Router {
    let (api, document) = documented().split_for_parts();
    let document = serde_json::to_vec(&document).unwrap_or_default();
    let openapi = move |Params(NoParams): Params<NoParams>| {
        let document = document.clone();
        async move { json_response(document) }
    };
    let api = doors::bulk::probes::routes().fold(api, |api, (path, probe)| api.route(path, probe));
    // The outermost first. As one layer, and few of our own in it: a router copies all that it holds for each request
    // and each of them.
    let layers = ServiceBuilder::new()
        // What fails inside is said where it fails; "busy" is no failure.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(1024).and(is_text)))
        .map_response(security::with_headers)
        .layer(middleware::from_fn(problem::finish))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn_with_state(app.clone(), enter));
    api.route("/openapi.json", get(openapi))
        // Elasticsearch takes both, and says so of neither.
        .route("/_bulk", put(doors::bulk::post_bulk))
        .route(
            "/{index}/_bulk",
            post(doors::bulk::post_index_bulk).put(doors::bulk::post_index_bulk),
        )
        .route("/v1/tile/{*path}", get(merkle::get_tile))
        .route("/v1/parquet/{feed}/{table}/{*file}", get(feeds::get_file))
        .nest("/delta-sharing", feeds::sharing::routes())
        .route("/", doors::bulk::probes::root())
        .route("/sessions", get(page::index))
        .route("/search", get(page::index))
        .route("/reviews", get(page::index))
        .route("/exports", get(page::index))
        .route("/status", get(page::index))
        .route("/cases", get(page::index))
        .route("/cases/{id}", get(page::index))
        .route("/queue", get(page::index))
        .route("/report", get(page::index))
        .route("/sessions/{id}", get(page::index))
        .route("/shared/{token}", get(page::index))
        .route("/ui/{name}", get(page::file))
        .route("/ui/{version}/{name}", get(page::version_file))
        .route("/login", get(auth::login::get).post(auth::login::post))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(layers)
        .with_state(app)
}

/// Lets a request in that may come in, and counts it.
async fn enter(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let counted = Counted::of(&request);
    let refused = security::refuse(&app, &request).map(IntoResponse::into_response);
    let response = match refused.or_else(|| auth::refuse(&app, &mut request)) {
        None => {
            let caller = request.extensions().get::<auth::Caller>();
            let read = audit::read_of(request.method(), request.uri(), caller);
            let read = read.filter(|_| app.config.audit);
            let response = next.run(request).await;
            match read.filter(|_| response.status().is_success()) {
                Some(read) => match app.audit.note(read, app.config.busy_wait).await {
                    Ok(()) => response,
                    Err(problem) => problem.into_response(),
                },
                None => response,
            }
        }
        Some(response) => response,
    };
    counted.answered(&app, &response);
    response
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing at this path; /openapi.json says what there is")
}

async fn wrong_method() -> Response {
    use axum::response::IntoResponse as _;
    Problem::new(
        "method",
        StatusCode::METHOD_NOT_ALLOWED,
        "Wrong method",
        "this path does not answer this method; /openapi.json says which",
    )
    .into_response()
}

/// Answers and pages are compressed; exports are not: they are large, and Parquet is compressed.
fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    // Ranges are of the file as it is.
    if headers.contains_key(header::ACCEPT_RANGES) {
        return false;
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|media_type| {
        ["application/json", "text/html", "text/css", "text/javascript", "text/plain"]
            .iter()
            .any(|text| media_type.starts_with(text))
    })
}
