//! `GET /v1/report`: compliance at a glance, as JSON, as CSV, and as a page that prints.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::problem::{Document, Problem};
use crate::shapes;
use crate::state::{App, answer};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_engine::event::Micros;
use daybook_query::report::{Report, ReportParams, csv, html, report};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use utoipa::IntoParams;

/// The form of a report.
#[derive(Clone, Copy, Debug, Default)]
enum Format {
    #[default]
    Json,
    Csv,
    Html,
}

/// Which report is asked for.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// Of sessions that started at this time (RFC 3339, or a date in UTC) or later; 30 days before the end if unsaid.
    #[param(value_type = Option<String>)]
    after: Option<Micros>,
    /// Of sessions that started before this time; now if unsaid.
    #[param(value_type = Option<String>)]
    before: Option<Micros>,
    /// Only of these roles; may be repeated or have commas, `*` stands for anything.
    #[param(required = false)]
    role: Vec<String>,
    /// `json` (if unsaid), `csv`, or `html`: a page that prints.
    #[param(value_type = Option<String>)]
    format: Format,
}

impl FromFields for ReportQuery {
    fn read(fields: &mut Fields) -> Result<ReportQuery, Problem> {
        let formats = [("json", Format::Json), ("csv", Format::Csv), ("html", Format::Html)];
        let asked = ReportQuery {
            after: fields.time("after")?,
            before: fields.time("before")?,
            role: fields.list("role")?,
            format: fields.one_of("format", &formats)?.unwrap_or_default(),
        };
        match (asked.after, asked.before) {
            (Some(after), Some(before)) if after >= before => {
                Err(Problem::parameter("before", "`before` is not later than `after`"))
            }
            _ => Ok(asked),
        }
    }
}

const MONTH_MICROS: i64 = 30 * 86_400_000_000;

/// What happened in a period: sessions, users, commands, what was blocked, approved and masked, what nobody looked at.
#[utoipa::path(
    get,
    path = "/v1/report",
    tag = "cases",
    params(ReportQuery),
    responses(
        (status = 200, description = "the report", content(
            (shapes::Report = "application/json"),
            (String = "text/csv"),
            (String = "text/html"),
        )),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "it took too long, or can't be signed", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_report(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<ReportQuery>,
) -> Result<Response, Problem> {
    let before = asked.before.unwrap_or_else(Micros::now);
    let after = asked.after.unwrap_or(Micros(before.0.saturating_sub(MONTH_MICROS)));
    let format = asked.format;
    let state = Arc::clone(&app);
    let made = move || -> Result<Report, Problem> {
        // It covers what the report counts: what was acknowledged before. A log that signs nothing has none.
        let snapshot = state.engine.snapshot();
        let checkpoint = state.engine.checkpoint().ok().map(|note| note.to_string());
        state.casework.marks.read(|marks| {
            let params = ReportParams {
                after,
                before,
                roles: asked.role,
                scope: caller.sees(),
                hours: &state.config.report_hours,
                reviewed: &|id| marks.marks.contains_key(id),
            };
            Ok(Report { checkpoint, ..report(&snapshot, &params)? })
        })
    };
    let made = app.reads.run_within(app.config.read_time_max, made).await??;
    match format {
        Format::Json => answer(StatusCode::OK, &made),
        Format::Csv => {
            let mut out = Vec::new();
            csv::write(&made, &mut out).map_err(Problem::internal)?;
            let mut response = file(out, "text/csv; charset=utf-8; header=present");
            let name = HeaderValue::from_static("attachment; filename=\"daybook-report.csv\"");
            response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
            Ok(response)
        }
        Format::Html => {
            let mut response = file(html::page(&made).into_bytes(), "text/html; charset=utf-8");
            // Nothing but its own style.
            let hash = STANDARD.encode(Sha256::digest(html::STYLE.as_bytes()));
            let policy = format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            );
            if let Ok(policy) = HeaderValue::try_from(policy) {
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            }
            Ok(response)
        }
    }
}

fn file(bytes: Vec<u8>, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
