//! What shippers ask before they send: is that Elasticsearch, which version, may it be used, are its
//! templates there. Nothing here says anything of what is stored.
//!
//! The version is the one from which on the bulk interface is as it is answered here. Where a shipper
//! looks for a template, a policy or a pipeline, it is there; where it sends one, it is acknowledged and
//! not kept: daybook's fields are its own.

use super::answer::{json, marked};
use crate::page;
use crate::problem::Problem;
use axum::extract::{RawQuery, Request};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};
use serde_json::{Value, json};

/// What is asked for with a constant answer.
const PATHS: &[&str] = &[
    "/_license",
    "/_xpack",
    "/_cluster/health",
    "/_cluster/settings",
    "/_cat/health",
    "/_cat/indices",
    "/_nodes",
    "/_nodes/{*rest}",
    "/_ilm/{*rest}",
    "/_index_template",
    "/_index_template/{*rest}",
    "/_component_template/{*rest}",
    "/_template/{*rest}",
    "/_data_stream/{*rest}",
    "/_alias/{*rest}",
    "/_ingest/{*rest}",
    "/_logstash/{*rest}",
];

/// The paths with their answers.
pub fn routes<S: Clone + Send + Sync + 'static>()
-> impl Iterator<Item = (&'static str, MethodRouter<S>)> {
    PATHS.iter().map(|path| (*path, any(probe)))
}

/// `/`: the page for browsers, and who answers for everybody else.
pub fn root<S: Clone + Send + Sync + 'static>() -> MethodRouter<S> {
    get(async |query: RawQuery, headers: HeaderMap| -> Result<Response, Problem> {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        if accepted.is_some_and(|accepted| accepted.contains("text/html")) {
            let mut response = page::home(query, headers).await?;
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
            return Ok(response);
        }
        Ok(marked(json(&json!({
            "name": "daybook",
            "cluster_name": "daybook",
            "cluster_uuid": "daybook",
            "version": {
                "number": "8.19.0",
                "build_flavor": "default",
                "build_type": "daybook",
                "lucene_version": "9.12.0",
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }))))
    })
}

async fn probe(request: Request) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    marked(json(&if changes {
        json!({"acknowledged": true})
    } else {
        answer(request.uri().path())
    }))
}

fn answer(path: &str) -> Value {
    match path {
        "/_license" => json!({"license": {
            "status": "active", "uid": "daybook", "type": "basic", "mode": "basic",
            "issued_to": "daybook", "issuer": "daybook",
        }}),
        "/_xpack" => {
            json!({"license": {"type": "basic", "mode": "basic", "status": "active"}, "features": {}})
        }
        "/_cluster/health" => json!({
            "cluster_name": "daybook", "status": "green", "timed_out": false, "number_of_nodes": 1,
            "number_of_data_nodes": 1, "active_shards": 1, "unassigned_shards": 0,
        }),
        "/_cat/health" | "/_cat/indices" => json!([]),
        path if path.starts_with("/_nodes") => json!({
            "cluster_name": "daybook",
            "nodes": {"daybook": {"name": "daybook", "version": "8.19.0", "roles": ["ingest", "data"]}},
        }),
        _ => json!({}),
    }
}
