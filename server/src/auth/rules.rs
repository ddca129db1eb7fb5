//! Which path needs which scope.
//!
//! | path | one of these scopes |
//! |---|---|
//! | the pages and their files, `/openapi.json`, `/login`, `/healthz`, `/readyz` | none |
//! | what takes events: `/v1/events`, `/_bulk`, `/{index}/_bulk`, `/v1/logs`, and what shippers probe | `ingest` |
//! | `/v1/export`, `/v1/feeds`, `/v1/parquet`, `/delta-sharing` | `export`; a signed link to a file none |
//! | `/shared/TOKEN`, `/v1/shared/TOKEN/...`, `/v1/linked/TOKEN` | none: the link is one |
//! | `/v1/links/...`, `/v1/sessions/{id}/links`, `/v1/sessions/{id}/share` | `read` |
//! | `GET /v1/reviews` | `review`, `read` |
//! | `POST /v1/reviews` | `ingest` |
//! | `/v1/reviews/...` | `review`, `ingest`, to read also `read`; who may say what of a review, the handlers say |
//! | `/v1/sessions/{id}/rerun`; calling a run off | `review`, `admin` |
//! | looking at `/v1/runs` | `read`, `review`, `admin` |
//! | `/v1/runs/take`, and what a taker says of its run | `ingest` |
//! | `/v1/stats`, `/metrics` | `read`, `admin` |
//! | `POST /v1/producers` | `ingest` |
//! | `/v1/searches/...` | `read`, `admin`; what more a change takes, the handlers say |
//! | `/v1/checkpoint`, `/v1/tile/...` | any |
//! | `/v1/admin/...`, `/v1/push/...` | `admin` |
//! | `/v1/cases/{id}/export` | `export` |
//! | `/v1/cases/{id}/hold`, `/v1/cases/{id}/release` | `admin` |
//! | `/v1/cases/...` else; writing notes and marks of sessions | `review`, `admin` |
//! | everything else below `/v1` that reads | `read` |
//! | anything else | `admin` |

use super::tokens::Scope;
use axum::http::Method;

/// The scopes of which one is needed; `None` for what anybody may have.
pub(super) fn needed(method: &Method, path: &str) -> Option<&'static [Scope]> {
    use Scope::{Admin, Export, Ingest, Read, Review};
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    let page = [
        "/",
        "/search",
        "/sessions",
        "/reviews",
        "/exports",
        "/status",
        "/cases",
        "/queue",
        "/report",
    ];
    let ends = |end: &str| path.ends_with(end);
    let open = page.contains(&path) || ["/openapi.json", "/healthz", "/readyz"].contains(&path);
    if path == "/login"
        || (reads && (open || below("/sessions") || below("/cases") || below("/ui")))
    {
        return None;
    }
    if reads && (below("/shared") || below("/v1/shared") || below("/v1/linked")) {
        return None;
    }
    Some(match path {
        "/v1/events" | "/v1/logs" | "/_bulk" => &[Ingest],
        "/v1/producers" if !reads => &[Ingest],
        "/v1/export" | "/v1/feeds" | "/v1/parquet" => &[Export],
        _ if below("/v1/parquet") || below("/delta-sharing") => &[Export],
        "/v1/stats" | "/metrics" => &[Read, Admin],
        "/v1/searches" => &[Read, Admin],
        _ if below("/v1/searches") => &[Read, Admin],
        "/v1/checkpoint" => &Scope::ALL,
        _ if below("/v1/tile") => &Scope::ALL,
        "/v1/runs/take" => &[Ingest],
        "/v1/runs" if reads => &[Read, Review, Admin],
        _ if below("/v1/runs") && reads => &[Read, Review, Admin],
        _ if below("/v1/runs") && *method == Method::POST => &[Ingest],
        _ if below("/v1/runs") => &[Review, Admin],
        _ if below("/v1/sessions") && path.ends_with("/rerun") => &[Review, Admin],
        "/v1/push" => &[Admin],
        _ if below("/v1/admin") || below("/v1/push") => &[Admin],
        _ if path == "/v1/links" || below("/v1/links") => &[Read],
        _ if below("/v1/sessions") && (path.ends_with("/links") || path.ends_with("/share")) => {
            &[Read]
        }
        "/v1/reviews" if reads => &[Review, Read],
        "/v1/reviews" => &[Ingest],
        _ if below("/v1/reviews") && reads => &[Review, Ingest, Read],
        _ if below("/v1/reviews") => &[Review, Ingest],
        _ if below("/v1/cases") && ends("/export") => &[Export],
        _ if below("/v1/cases") && (ends("/hold") || ends("/release")) => &[Admin],
        "/v1/cases" => &[Review, Admin],
        _ if below("/v1/cases") => &[Review, Admin],
        _ if below("/v1/sessions") && !reads && (ends("/notes") || ends("/reviewed")) => {
            &[Review, Admin]
        }
        _ if below("/v1") && reads => &[Read],
        _ if below("/v1") => &[Admin],
        // Indexes of a shipper's, and what it asks about them.
        _ => &[Ingest, Admin],
    })
}
