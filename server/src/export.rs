//! `GET /v1/export`: streams all events that match.
//!
//! It is written as [`crate::pieces`] has it.

use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params, unknown};
use crate::pieces::pieces;
use crate::problem::{Document, Problem};
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use daybook_query::export::{ExportRequest, Format, Schema, export};
use daybook_query::lang::Query;
use daybook_query::ocsf::{Class, Mapping, Outputs, Version};
use std::sync::Arc;
use utoipa::IntoParams;

/// The parameters of an export.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Which events; all if unsaid.
    #[param(value_type = Option<String>)]
    q: Option<Query>,
    /// `parquet`, `arrow`, `ndjson` or `csv`.
    #[param(value_type = String)]
    format: Format,
    /// `native` (if unsaid) or `ocsf`.
    #[param(value_type = Option<String>)]
    schema: Known,
    /// The version of OCSF: `1.8.0` (if unsaid) or `1.3.0`.
    #[param(value_type = Option<String>)]
    version: Option<Version>,
    /// Only rows of this class of OCSF, such as `datastore_activity` or `6005`; Parquet and Arrow files have one.
    #[param(value_type = Option<String>)]
    class: Option<Class>,
    /// What rows of OCSF have of the outputs that commands carry: `hash` (if unsaid), `text` or `none`.
    #[param(value_type = Option<String>)]
    outputs: Option<Outputs>,
    /// Only events from this offset on.
    #[param(value_type = Option<u64>)]
    from: u64,
    /// Only events before this offset. With `from` an export can be had in slices, and gone on with after a break.
    #[param(value_type = Option<u64>)]
    to: u64,
    /// In OCSF, is a blocked command a row of `detection_finding`, too? `false` if unsaid.
    #[param(value_type = Option<bool>)]
    findings: bool,
}

/// The schemas that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Native,
    Ocsf,
}

impl ExportQuery {
    /// The schema, with what was said of it.
    fn schema(&self) -> Result<Schema, Problem> {
        let given = [
            ("version", self.version.is_some()),
            ("class", self.class.is_some()),
            ("outputs", self.outputs.is_some()),
            ("findings", self.findings),
        ];
        match (self.schema, given.into_iter().find(|(_, given)| *given)) {
            (Known::Native, None) => Ok(Schema::Native),
            (Known::Native, Some((name, _))) => {
                Err(Problem::parameter(name, format!("`{name}` goes with `schema=ocsf` only")))
            }
            (Known::Ocsf, _) => {
                let mapping = Mapping {
                    version: self.version.unwrap_or_default(),
                    outputs: self.outputs.unwrap_or_default(),
                    findings: self.findings,
                };
                Ok(Schema::Ocsf { mapping, class: self.class })
            }
        }
    }
}

impl FromFields for ExportQuery {
    fn read(fields: &mut Fields) -> Result<ExportQuery, Problem> {
        let formats = Format::ALL.map(|format| (format.name(), format));
        let format = fields.one_of("format", &formats)?.ok_or_else(|| {
            Problem::parameter("format", "`format` is missing: parquet, arrow, ndjson or csv")
        })?;
        let class = fields.text("class")?.map(|text| {
            let of = Class::of(&text);
            of.ok_or_else(|| unknown("class", &text, Class::ALL.map(Class::name)))
        });
        let schemas = [("native", Known::Native), ("ocsf", Known::Ocsf)];
        Ok(ExportQuery {
            q: fields.query("q")?,
            format,
            schema: fields.one_of("schema", &schemas)?.unwrap_or_default(),
            version: fields.one_of("version", &Version::ALL.map(|of| (of.name(), of)))?,
            class: class.transpose()?,
            outputs: fields.one_of("outputs", &Outputs::ALL.map(|of| (of.name(), of)))?,
            findings: fields.flag("findings", false)?,
            from: fields.offset("from")?.unwrap_or(0),
            to: fields.offset("to")?.unwrap_or(u64::MAX),
        })
    }
}

/// In an answer: where the log ended when it was asked.
const LOG_END: HeaderName = HeaderName::from_static("daybook-log-end");

/// Streams all events that match, as a file. The header `daybook-log-end` is the offset behind the last event that the log
/// had.
#[utoipa::path(
    get,
    path = "/v1/export",
    tag = "export",
    params(ExportQuery),
    responses(
        (status = 200, description = "the file", content(
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (String = "application/vnd.apache.parquet"),
            (String = "application/vnd.apache.arrow.file"),
        )),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many exports at once", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_export(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<ExportQuery>,
) -> Result<Response, Problem> {
    let schema = asked.schema()?;
    let permit = Arc::clone(&app.exports)
        .try_acquire_owned()
        .map_err(|_| Problem::busy("too many exports at once; ask again when one has ended"))?;
    let format = asked.format;
    let (mut out, taken) = pieces(app.config.idle_max);
    let engine = Arc::clone(&app.engine);
    // Before the snapshot: what it has behind that belongs to a later slice.
    let end = engine.follow().borrow().0;
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let request = ExportRequest {
            query: asked.q.as_ref(),
            scope: caller.sees(),
            offsets: asked.from..asked.to,
            format: asked.format,
            schema,
        };
        let exported = export(&engine.snapshot(), &request, &mut out).map_err(Problem::from);
        out.end(exported.map(|summary| {
            tracing::info!(summary.events, summary.bytes, "exported");
        }));
    });
    let body = taken.body().await?;

    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(LOG_END, HeaderValue::from(end));
    let disposition = format!("attachment; filename=\"daybook.{}\"", format.name());
    if let Ok(value) = HeaderValue::try_from(disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
