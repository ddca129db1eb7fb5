//! Errors as RFC 9457 problem documents, `application/problem+json`.
//!
//! This is the one place where an error of a lower crate becomes a status. A handler answers
//! `Result<_, Problem>`; the [`finish`] layer writes the document and fills in `instance`.
//!
//! `type` is `urn:daybook:problem:` and a name that does not change; `detail` is for people.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use daybook_engine::Error as EngineError;
use daybook_query::QueryError;
use daybook_query::lang::ParseError;
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Clone, Debug)]
pub struct Problem(Box<Document>);

/// A problem document (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// Names the kind of problem; does not change between versions.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong this time, and what to do.
    detail: String,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// The parameter, or the field of the body, that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// Where the error starts in the text of the query, in bytes of its UTF-8 form.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<usize>,
    /// Where it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<usize>,
    /// What would work.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What was stored before an upload failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Stored>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// What was stored of an upload that failed: it is durable, and is not taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stored {
    /// Events that were stored.
    pub accepted: u64,
    /// Events that had been stored before.
    pub duplicates: u64,
    /// Lines that were refused.
    pub rejected_count: u64,
    /// Every line up to this one was answered for; an upload may resume with the next.
    pub lines: u64,
}

impl Problem {
    /// A problem of a kind: its name in `type`, its status, its title, and what went wrong.
    #[must_use]
    pub fn new(
        name: &str,
        status: StatusCode,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem(Box::new(Document {
            kind: format!("urn:daybook:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            parameter: None,
            start: None,
            end: None,
            hint: None,
            stored: None,
            retry_after: None,
        }))
    }

    /// A query parameter that can't be used.
    #[must_use]
    pub fn parameter(name: &str, detail: impl Into<String>) -> Problem {
        let mut problem =
            Problem::new("parameter", StatusCode::BAD_REQUEST, "Bad parameter", detail);
        problem.0.parameter = Some(name.to_owned());
        problem
    }

    /// Says which parameter, or which field of the body, it is about.
    #[must_use]
    pub fn about(mut self, name: &str) -> Problem {
        self.0.parameter = Some(name.to_owned());
        self
    }

    /// Nothing is at this path.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new("not-found", StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// Too much is going on; the client tries again later.
    #[must_use]
    pub fn busy(detail: impl Into<String>) -> Problem {
        Problem::new("busy", StatusCode::SERVICE_UNAVAILABLE, "Busy", detail).retry_after(1)
    }

    /// A read that took too long.
    #[must_use]
    pub fn timeout(detail: impl Into<String>) -> Problem {
        Problem::new("timeout", StatusCode::SERVICE_UNAVAILABLE, "Took too long", detail)
    }

    /// A failure of the server's own. The cause goes to its log, not to the client: it may name
    /// files.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        tracing::error!(%cause, "a request failed");
        Problem::new(
            "internal",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal error",
            "daybook could not answer; its own log says why",
        )
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Says what was stored before the failure.
    #[must_use]
    pub fn stored(mut self, stored: Stored) -> Problem {
        self.0.stored = Some(stored);
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Its name in `type`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.kind.strip_prefix("urn:daybook:problem:").unwrap_or(&self.0.kind)
    }

    /// What went wrong this time, for answers in another protocol's words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The document, for where it is not the whole answer.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.0
    }

    /// When to try again, in seconds, if that is known.
    #[must_use]
    pub fn retries_after(&self) -> Option<u32> {
        self.0.retry_after
    }

    fn render(&self, response: &mut Response) {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        *response.body_mut() = body.into();
    }
}

impl From<ParseError> for Problem {
    fn from(error: ParseError) -> Problem {
        let mut problem =
            Problem::new("query", StatusCode::BAD_REQUEST, "Bad query", error.message);
        problem.0.parameter = Some("q".to_owned());
        problem.0.start = Some(error.start);
        problem.0.end = Some(error.end);
        problem.0.hint = error.hint;
        problem
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        match error {
            QueryError::Parse(error) => error.into(),
            QueryError::Cursor(_) => Problem::parameter("cursor", error.to_string()),
            QueryError::TooCostly { .. } => {
                Problem::new("too-costly", StatusCode::BAD_REQUEST, "Too costly", error.to_string())
            }
            QueryError::Unreadable { .. } => Problem::new(
                "unreadable",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Damaged",
                error.to_string(),
            ),
            QueryError::Engine(error) => error.into(),
            QueryError::Output(error) => Problem::internal(error),
            other => {
                Problem::new("request", StatusCode::BAD_REQUEST, "Bad request", other.to_string())
            }
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Problem {
        match error {
            // Also what the system says so.
            error if error.is_full() => Problem::new(
                "full",
                StatusCode::INSUFFICIENT_STORAGE,
                "Disk full",
                error.to_string(),
            )
            .retry_after(5),
            EngineError::Busy { .. } => Problem::busy(error.to_string()),
            EngineError::ReadOnly { .. } => Problem::new(
                "read-only",
                StatusCode::SERVICE_UNAVAILABLE,
                "Read-only",
                error.to_string(),
            ),
            EngineError::Closed => Problem::new(
                "shutting-down",
                StatusCode::SERVICE_UNAVAILABLE,
                "Shutting down",
                error.to_string(),
            )
            .retry_after(5),
            EngineError::Refused { .. } => {
                Problem::new("refused", StatusCode::BAD_REQUEST, "Refused", error.to_string())
            }
            EngineError::TooLarge { .. } => Problem::new(
                "too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too large",
                error.to_string(),
            ),
            EngineError::Corrupt { .. } | EngineError::Index { .. } => {
                tracing::error!(%error, "a part of the log is damaged");
                Problem::new(
                    "damaged",
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Damaged",
                    "a part of the log that the answer takes is damaged; `daybook verify` says which, and how to mend it",
                )
            }
            other => Problem::internal(other),
        }
    }
}

impl IntoResponse for Problem {
    /// The status, with the problem for [`finish`] to write.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        self.render(&mut response);
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer that says in each problem which path it is about.
pub async fn finish(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.0.instance = Some(path);
        problem.render(&mut response);
    }
    response
}

/// The answer for a handler that panicked; the panic itself is in the log.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::internal("a handler panicked").into_response()
}
