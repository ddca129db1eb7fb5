//! Answers in Elasticsearch's words.

use super::actions::Verb;
use crate::doors::store::Fate;
use crate::problem::Problem;
use crate::state::json_response;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;

/// The header by which clients make sure whom they talk to.
const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");

/// What became of a bulk request.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkAnswer)]
pub struct Answer<'a> {
    /// Milliseconds.
    took: u64,
    /// Was any item refused?
    errors: bool,
    /// The items, each under its action.
    #[schema(value_type = Vec<Object>)]
    items: &'a [Item],
}

/// Why a request was not taken.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkFailure)]
pub struct Failure {
    error: Reason,
    status: u16,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BulkReason)]
pub struct Reason {
    /// Its name.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What went wrong, and what would be right.
    reason: String,
}

/// What becomes of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    verb: Verb,
    about: About,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct About {
    #[serde(rename = "_index")]
    index: Box<str>,
    #[serde(rename = "_id")]
    id: Box<str>,
    #[serde(rename = "_version", skip_serializing_if = "Option::is_none")]
    version: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    /// 0 while it waits for its event.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.verb.name(), &self.about)?;
        map.end()
    }
}

impl Item {
    /// Waits for its event. One without an id gets a name for the answer alone.
    #[must_use]
    pub fn new(verb: Verb, index: &str, id: &Option<String>, number: usize) -> Item {
        let id = id.clone().unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{:x}-{number}", now.as_micros())
        });
        let about = About {
            index: index.into(),
            id: id.into(),
            version: None,
            result: None,
            status: 0,
            error: None,
        };
        Item { verb, about }
    }

    /// Waits it for its event?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.about.status == 0
    }

    /// Says what became of it.
    pub fn close(&mut self, fate: Fate) {
        let about = &mut self.about;
        match fate {
            Fate::Stored => (about.status, about.result) = (201, Some("created")),
            // Not 409: Fluent Bit sends a chunk again whose items are all 409.
            Fate::Repeated => (about.status, about.result) = (200, Some("noop")),
            // `create` asks for it to be there. A file that is read again after a crash has its old ids and
            // new times.
            Fate::Other if self.verb == Verb::Create => {
                (about.status, about.result) = (200, Some("noop"));
            }
            // `index` asks for a change. Not 409, which Filebeat takes for stored: 400 goes to dead letters.
            Fate::Other => {
                about.status = 400;
                about.error = Some(Reason {
                    kind: "version_conflict_engine_exception",
                    reason: "a document with this _id is stored with other content, which stays: daybook changes nothing".to_owned(),
                });
            }
            Fate::Refused(reason) => {
                about.status = 400;
                about.error = Some(Reason { kind: "mapper_parsing_exception", reason });
            }
        }
        about.version = about.error.is_none().then_some(1);
    }
}

/// The answer to a request that was taken.
pub fn items(took: Duration, items: &[Item]) -> Response {
    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let errors = items.iter().any(|item| item.about.error.is_some());
    marked(json(&Answer { took, errors, items }))
}

/// The answer to a request that was not: what may be tried again is 429 or 503, which every shipper does.
pub fn failed(problem: &Problem) -> Response {
    let status = match problem.status() {
        _ if problem.name() == "busy" => StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INSUFFICIENT_STORAGE
        | StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::REQUEST_TIMEOUT => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable_shards_exception",
        _ => "illegal_argument_exception",
    };
    let error = Reason { kind, reason: problem.detail().to_owned() };
    let mut response = marked(json(&Failure { error, status: status.as_u16() }));
    *response.status_mut() = status;
    if let Some(seconds) = problem.retries_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A compact JSON answer.
pub fn json(value: &impl Serialize) -> Response {
    json_response(serde_json::to_vec(value).unwrap_or_default())
}

/// Puts Elasticsearch's mark on an answer.
pub fn marked(mut response: Response) -> Response {
    response.headers_mut().insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    response
}
