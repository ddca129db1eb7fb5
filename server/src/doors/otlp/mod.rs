//! `POST /v1/logs`: OpenTelemetry logs over HTTP (OTLP 1.x), as protobuf and as JSON.
//!
//! A record is an event by the same [`mapping`](super::mapping) as a bulk document: its fields are the
//! attributes of its resource, of its scope and its own, its body and its severity ([`records`]).
//!
//! | what arrives | what is answered |
//! |---|---|
//! | records | 200 once they are on disk, in the request's content type |
//! | records that are no events | 200 with `partialSuccess`: how many, and why; clients don't send them again |
//! | the same record again | 200; it is stored once: its id is `log.record.uid`, or the hash of all that it says |
//! | what can't be decoded | 400 with a `google.rpc.Status` |
//! | more than the log takes now | 429 or 503, which are the only statuses that clients try again after |

pub mod records;

use super::compose::compose;
use super::store::{Fate, store};
use crate::auth::Caller;
use crate::problem::Problem;
use crate::state::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use prost::Message as _;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// How many reasons an answer gives.
const REASONS_MAX: usize = 5;
/// `INVALID_ARGUMENT` and `UNAVAILABLE` of `google.rpc.Code`.
const INVALID: i32 = 3;
const UNAVAILABLE: i32 = 14;

/// The two forms of OTLP over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// What became of the records; all fields are left out where all are stored.
#[derive(ToSchema)]
#[schema(as = OtlpAnswer)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Answer {
    /// How many were refused, and why.
    #[schema(rename = "partialSuccess", nullable = false, value_type = Option<Object>)]
    partial: Option<()>,
}

/// Why a request was not taken: `google.rpc.Status`.
#[derive(ToSchema)]
#[schema(as = OtlpStatus)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Failure {
    /// `google.rpc.Code`.
    code: i32,
    /// What went wrong, and what would be right.
    message: String,
}

impl Form {
    /// The form of a request, by its `Content-Type`.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Form> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Form::Protobuf),
            "application/json" => Some(Form::Json),
            _ => None,
        }
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// What it is instead.
    pub fn decode(self, bytes: &[u8]) -> Result<ExportLogsServiceRequest, String> {
        match self {
            Form::Protobuf => ExportLogsServiceRequest::decode(bytes)
                .map_err(|error| format!("not an ExportLogsServiceRequest: {error}")),
            Form::Json => serde_json::from_slice(bytes)
                .map_err(|error| format!("not an ExportLogsServiceRequest in JSON: {error}")),
        }
    }

    fn answer(self, status: StatusCode, protobuf: Vec<u8>, json: &serde_json::Value) -> Response {
        let (media_type, body) = match self {
            Form::Protobuf => ("application/x-protobuf", protobuf),
            Form::Json => ("application/json", json.to_string().into_bytes()),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        response
    }

    fn failed(self, problem: &Problem) -> Response {
        // A client drops what is answered with anything else than these.
        let status = match problem.status() {
            _ if problem.name() == "busy" => StatusCode::TOO_MANY_REQUESTS,
            status if status.is_server_error() => StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::REQUEST_TIMEOUT => StatusCode::SERVICE_UNAVAILABLE,
            status => status,
        };
        let code = if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            INVALID
        } else {
            UNAVAILABLE
        };
        let said = Status { code, message: problem.detail().to_owned() };
        let json = json!({"code": said.code, "message": said.message});
        let mut response = self.answer(status, said.encode_to_vec(), &json);
        if let Some(seconds) = problem.retries_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Stores OpenTelemetry log records.
///
/// The body is an `ExportLogsServiceRequest` as protobuf or JSON, plain or gzip, and the answer is in the
/// same form. It comes when all records that were accepted are on disk; a record that is sent again is
/// stored once.
#[utoipa::path(
    post,
    path = "/v1/logs",
    tag = "doors",
    params(
        ("Content-Encoding" = Option<String>, Header, description = "`identity`, `gzip` or `zstd`"),
    ),
    request_body(
        content((String = "application/json"), (String = "application/x-protobuf")),
        description = "an ExportLogsServiceRequest"
    ),
    responses(
        (status = 200, description = "what became of the records", content((Answer = "application/json"), (String = "application/x-protobuf"))),
        (status = 400, description = "not an ExportLogsServiceRequest", content((Failure = "application/json"), (String = "application/x-protobuf"))),
        (status = 413, description = "the request is too large", content((Failure = "application/json"), (String = "application/x-protobuf"))),
        (status = 415, description = "another Content-Type or Content-Encoding", content((Failure = "application/json"), (String = "application/x-protobuf"))),
        (status = 429, description = "busy (see Retry-After); nothing was stored", content((Failure = "application/json"), (String = "application/x-protobuf"))),
        (status = 503, description = "the disk is full, read-only or shutting down; nothing was stored", content((Failure = "application/json"), (String = "application/x-protobuf"))),
    )
)]
pub async fn post_logs(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(form) = Form::of(&headers) else {
        return Form::Json.failed(&Problem::new(
            "content-type",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unknown Content-Type",
            "logs are sent as application/x-protobuf or application/json",
        ));
    };
    match take((&app, &caller), form, &headers, body).await {
        Ok(response) => response,
        Err(problem) => {
            tracing::info!(status = problem.status().as_u16(), "an OTLP request was not taken");
            form.failed(&problem)
        }
    }
}

async fn take(
    (app, caller): (&App, &Caller),
    form: Form,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (bytes, _permit) = super::body(app, caller, headers, body).await?;
    let len = bytes.len() as u64;
    let shared = Arc::clone(app);
    let parsing = app.parsers.run(move || {
        let request = form.decode(&bytes)?;
        let mapping = &shared.config.mapping;
        let (mut events, mut refused) = (Vec::new(), Vec::new());
        for (number, (document, id)) in records::documents(mapping, &request).enumerate() {
            match compose(mapping, &document, id.as_deref()) {
                Ok(event) => events.push(event),
                Err(reason) => refused.push(format!("record {}: {reason}", number + 1)),
            }
        }
        Ok((events, refused))
    });
    let (events, mut refused) = parsing.await?.map_err(|what: String| {
        Problem::new("request", StatusCode::BAD_REQUEST, "Bad request", what)
    })?;
    let mut outcome = store(app, caller, events).await?;
    outcome.stored.rejected_count += refused.len() as u64;
    app.metrics.ingested(&outcome.stored, len);
    refused.extend(outcome.fates.into_iter().filter_map(|fate| match fate {
        Fate::Refused(reason) => Some(reason),
        // Two records with one `log.record.uid` are one, by its definition.
        Fate::Stored | Fate::Repeated | Fate::Other => None,
    }));
    Ok(answer(form, &refused))
}

fn answer(form: Form, refused: &[String]) -> Response {
    if refused.is_empty() {
        return form.answer(StatusCode::OK, Vec::new(), &json!({}));
    }
    let reasons = refused.get(..REASONS_MAX.min(refused.len())).unwrap_or_default().join("; ");
    let partial = ExportLogsPartialSuccess {
        rejected_log_records: i64::try_from(refused.len()).unwrap_or(i64::MAX),
        error_message: reasons,
    };
    // 64-bit numbers are texts in OTLP's JSON.
    let json = json!({"partialSuccess": {
        "rejectedLogRecords": partial.rejected_log_records.to_string(),
        "errorMessage": partial.error_message,
    }});
    let response = ExportLogsServiceResponse { partial_success: Some(partial) };
    form.answer(StatusCode::OK, response.encode_to_vec(), &json)
}
