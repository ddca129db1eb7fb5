//! `POST /_bulk`: Elasticsearch's bulk interface, for the shippers that speak nothing else.
//!
//! ```text
//! {"create":{"_index":"audit","_id":"7f3a"}}       {"took":3,"errors":false,"items":[
//! {"@timestamp":"...","user":{"name":...},...}  ─►   {"create":{"_index":"audit","_id":"7f3a",...,"status":201}}]}
//! ```
//!
//! | what arrives | what is answered |
//! |---|---|
//! | a document that becomes an event | 201 in its item, once it is on disk |
//! | the same `_id` again in its session | 200 in its item: all-409 answers make some shippers send for ever |
//! | the same `_id` with other content | `create`: 200, `index`: 400 in its item; what was stored first stays |
//! | a bad document, `update`, `delete` | 400 in its item, with the reason; the others are stored |
//! | more than the log takes now | 429 or 503 for the request, with `Retry-After` where it helps, and nothing is stored: an item that says so is lost by Vector and Fluent Bit |
//!
//! The answer is compact and in this order of keys: Vector looks for `"errors":true` and Fluent Bit for
//! `"errors":false,"items":[` in its text.
//!
//! | module | what is there |
//! |---|---|
//! | [`actions`] | the body to actions with documents |
//! | [`answer`] | items, and errors as Elasticsearch has them |
//! | [`probes`] | what shippers ask before they send |

pub mod actions;
pub mod answer;
pub mod probes;

use super::compose::compose;
use super::store::{Fate, store};
use crate::auth::Caller;
use crate::problem::Problem;
use crate::state::App;
use actions::{Action, Actions, Verb};
use answer::{Item, failed};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;
use std::time::Instant;

/// Stores the documents of a bulk request, as Elasticsearch does.
///
/// Each document becomes an event, by the configured mapping or as it is. The answer comes when all that
/// were accepted are on disk. A document with an `_id` can be sent again safely.
#[utoipa::path(
    post,
    path = "/_bulk",
    tag = "doors",
    params(
        ("Content-Encoding" = Option<String>, Header, description = "`identity`, `gzip` or `zstd`"),
    ),
    request_body(
        content = String,
        content_type = "application/x-ndjson",
        description = "an action (`create` or `index`) and its document, a line each"
    ),
    responses(
        (status = 200, description = "what became of the documents", body = answer::Answer),
        (status = 400, description = "the body can't be decompressed, or was cut short", body = answer::Failure),
        (status = 413, description = "the request is too large", body = answer::Failure),
        (status = 415, description = "another Content-Encoding", body = answer::Failure),
        (status = 429, description = "busy (see Retry-After); nothing was stored", body = answer::Failure),
        (status = 503, description = "the disk is full, read-only or shutting down; nothing was stored", body = answer::Failure),
    )
)]
pub async fn post_bulk(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    bulk((app, caller), None, headers, body).await
}

/// `POST /{index}/_bulk`: the same, with an index for the items that name none.
pub async fn post_index_bulk(
    State(app): State<App>,
    caller: Caller,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    bulk((app, caller), Some(index), headers, body).await
}

async fn bulk(
    (app, caller): (App, Caller),
    index: Option<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take((&app, &caller), index, &headers, body).await {
        Ok(response) => response,
        Err(problem) => {
            tracing::info!(status = problem.status().as_u16(), "a bulk request was not taken");
            failed(&problem)
        }
    }
}

async fn take(
    (app, caller): (&App, &Caller),
    index: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let (bytes, _permit) = super::body(app, caller, headers, body).await?;
    let len = bytes.len() as u64;
    let shared = Arc::clone(app);
    let parsing = app.parsers.run(move || parse(&shared, &bytes, index.as_deref()));
    let (mut items, events) = parsing.await?;
    let outcome = store(app, caller, events).await?;
    app.metrics.ingested(&outcome.stored, len);
    let mut fates = outcome.fates.into_iter();
    for item in items.iter_mut().filter(|item| item.is_open()) {
        item.close(fates.next().unwrap_or(Fate::Refused("it was not looked at".to_owned())));
    }
    Ok(answer::items(started.elapsed(), &items))
}

/// The actions as items: those that are refused at once, and those that wait for their event.
fn parse(
    app: &App,
    bytes: &[u8],
    index: Option<&str>,
) -> (Vec<Item>, Vec<super::compose::Composed>) {
    let (mut items, mut events) = (Vec::new(), Vec::new());
    for (number, Action { verb, index: named, id, document }) in Actions::new(bytes).enumerate() {
        let mut item = Item::new(verb, named.as_deref().or(index).unwrap_or_default(), &id, number);
        let document = match verb {
            Verb::Create | Verb::Index => document.and_then(|document| {
                serde_json::from_slice(document)
                    .map_err(|error| format!("the document is not JSON: {error}"))
            }),
            Verb::Update | Verb::Delete => {
                Err("daybook keeps what it was sent: no document is updated or deleted".to_owned())
            }
        };
        let composed =
            document.and_then(|document| compose(&app.config.mapping, &document, id.as_deref()));
        match composed {
            Ok(event) => events.push(event),
            Err(reason) => item.close(Fate::Refused(reason)),
        }
        items.push(item);
    }
    (items, events)
}
