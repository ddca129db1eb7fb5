//! `GET /v1/sessions/{id}/download`: a session as a file, whole or in ranges.
//!
//! ```text
//! snapshot ─► fingerprint ─► ETag ─┬─ If-None-Match: 304
//!                                  ├─ all of it: written as it is made
//!                                  └─ a range: made from the start, of which the range is sent
//! ```
//!
//! A session's file is the same bytes each time ([`daybook_query::download`]), so a download that broke off is gone on
//! with: `Range` and `If-Range` with the ETag. A session that grew meanwhile has another ETag, and comes as a whole. How
//! long a file is is known once it was made; the latest lengths are remembered.
//!
//! | module | what is there |
//! |---|---|
//! | here | the endpoint, ETags and ranges |
//! | `html` | the page that replays offline |
//! | `inline` | its scripts, as one |

mod html;
mod inline;

use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::pieces::{Pieces, pieces};
use crate::problem::{Document, Problem};
use crate::ranges::{Asked, asked};
use crate::sessions::{no_session, session_id, visible};
use crate::state::App;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use daybook_engine::view::Snapshot;
use daybook_query::QueryError;
use daybook_query::download::{self, Download, FileKind};
use daybook_query::excerpt::Excerpt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::sync::oneshot;
use utoipa::IntoParams;

/// Changes whenever the same session gives other bytes than before.
const REVISION: u32 = 1;

/// So many lengths of files are remembered.
const LENGTHS_MAX: usize = 1_024;

/// The format of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One that [`daybook_query`] writes.
    Data(download::Format),
    /// A page that replays offline.
    Html,
}

/// Every format, by all of its names.
const FORMATS: [(&str, Format); 11] = {
    use download::Format::{Cast, Cast3, Csv, Ndjson, Parquet, Text};
    [
        ("txt", Format::Data(Text)),
        ("ndjson", Format::Data(Ndjson)),
        ("csv", Format::Data(Csv)),
        ("cast", Format::Data(Cast)),
        ("cast3", Format::Data(Cast3)),
        ("parquet", Format::Data(Parquet)),
        ("html", Format::Html),
        // As others call them.
        ("text", Format::Data(Text)),
        ("asciicast", Format::Data(Cast)),
        ("asciicast2", Format::Data(Cast)),
        ("asciicast3", Format::Data(Cast3)),
    ]
};

impl Format {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Data(format) => format.name(),
            Format::Html => "html",
        }
    }

    /// The format of a name.
    ///
    /// # Errors
    /// A sentence that names those that there are.
    pub fn of(text: &str) -> Result<Format, String> {
        let known = FORMATS.iter().find(|(name, _)| *name == text);
        known.map(|(_, format)| *format).ok_or_else(|| {
            format!(
                "`{}` is no format; there are txt, ndjson, csv, cast, cast3, parquet and html",
                daybook_engine::event::time::excerpt(text)
            )
        })
    }

    /// The kind of file that it gives; `None` if the session has nothing that it holds.
    ///
    /// # Errors
    /// What can't be read.
    pub fn kind(self, download: &Download<'_>) -> Result<Option<FileKind>, QueryError> {
        match self {
            Format::Data(format) => download.kind(format),
            Format::Html => {
                Ok(Some(FileKind { ending: "html", media_type: "text/html; charset=utf-8" }))
            }
        }
    }

    /// Writes a session, or an excerpt of it.
    ///
    /// # Errors
    /// An output that can't be written; what can't be read.
    pub fn write(
        self,
        download: &Download<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), QueryError> {
        match self {
            Format::Data(format) => download.write(format, out),
            Format::Html => html::write(download, out),
        }
    }
}

impl Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
        let text = String::deserialize(deserializer)?;
        Format::of(&text).map_err(serde::de::Error::custom)
    }
}

/// The parameters of a download.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadQuery {
    /// `txt`, `ndjson`, `csv` (the result tables; several as a ZIP), `cast` (asciicast v2), `cast3` (asciicast v3), `parquet`
    /// or `html` (a page that replays offline).
    #[param(value_type = String)]
    pub format: Format,
}

impl FromFields for DownloadQuery {
    fn read(fields: &mut Fields) -> Result<DownloadQuery, Problem> {
        let wrong = |what: String| Problem::parameter("format", what);
        match fields.text("format")? {
            Some(text) => Ok(DownloadQuery { format: Format::of(&text).map_err(wrong)? }),
            None => Err(wrong(
                "`format` is missing: txt, ndjson, csv, cast, cast3, parquet or html".to_owned(),
            )),
        }
    }
}

/// A session as a file. It is the same bytes each time until the session grows, so that a download that broke off can be
/// gone on with: `Range`, with the `ETag` in `If-Range`.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/download",
    tag = "sessions",
    params(("id" = String, Path, description = "the session's id"), DownloadQuery),
    responses(
        (status = 200, description = "the file", content(
            (String = "text/plain"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (String = "application/zip"),
            (String = "application/x-asciicast"),
            (String = "application/vnd.apache.parquet"),
            (String = "text/html"),
        )),
        (status = 206, description = "the range of the file that was asked for"),
        (status = 304, description = "the client has it"),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such session, or nothing in it that this format holds", body = Document, content_type = "application/problem+json"),
        (status = 416, description = "the file has not this range", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "too many exports at once", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_download(
    State(app): State<App>,
    caller: Caller,
    method: Method,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    Params(DownloadQuery { format }): Params<DownloadQuery>,
) -> Result<Response, Problem> {
    let id = session_id(id)?;
    let look = move |snapshot: &Snapshot, id: &str| visible(snapshot, &caller, id);
    let wanted = Wanted { id, format, excerpt: Excerpt::default() };
    answer(&app, wanted, &method, headers, look).await
}

/// What is to be downloaded.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The session's id.
    pub id: String,
    /// As what.
    pub format: Format,
    /// What of it.
    pub excerpt: Excerpt,
}

/// What stands above a body.
struct Head {
    kind: FileKind,
    etag: String,
    length: Option<u64>,
    asked: Asked,
}

/// Answers with a file, or a range of it. `look` says whether the session may be seen.
///
/// # Errors
/// No such session, too many downloads, or what fails before the first bytes.
pub async fn answer(
    app: &App,
    wanted: Wanted,
    method: &Method,
    headers: HeaderMap,
    look: impl FnOnce(&Snapshot, &str) -> Result<(), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let permit = Arc::clone(&app.exports)
        .try_acquire_owned()
        .map_err(|_| Problem::busy("too many exports at once; ask again when one has ended"))?;
    let (out, taken) = pieces(app.config.idle_max);
    let (told, head) = oneshot::channel();
    let (engine, lengths) = (Arc::clone(&app.engine), Arc::clone(&app.lengths));
    let id = wanted.id.clone();
    let only_head = method == Method::HEAD;
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let snapshot = engine.snapshot();
        let opened = look(&snapshot, &wanted.id).and_then(|()| {
            let download = Download::open(&snapshot, &wanted.id, wanted.excerpt)?;
            let download = download.ok_or_else(|| no_session(&wanted.id))?;
            let head = head_of(&download, wanted.format, &headers, only_head, &lengths)?;
            Ok((download, head))
        });
        let (download, head) = match opened {
            Ok(opened) => opened,
            Err(problem) => {
                // Nobody waits any more.
                let _ = told.send(Err(problem));
                return;
            }
        };
        let (etag, part) = (head.etag.clone(), head.asked.clone());
        let is_known = known(&headers, &etag);
        if told.send(Ok((head, is_known))).is_err()
            || is_known
            || only_head
            || part == Asked::Outside
        {
            return;
        }
        write(&download, wanted.format, part, &etag, &lengths, out);
    });
    // A thread that panicked has said so.
    let (head, is_known) = head.await.map_err(Problem::internal)??;
    let body = match &head.asked {
        Asked::Outside => {
            return Ok(outside(head.length.unwrap_or(0)));
        }
        _ if is_known || only_head => Body::empty(),
        _ => taken.body().await?,
    };
    Ok(respond(&head, is_known, &id, body))
}

/// What a request's headers make of a file.
fn head_of(
    download: &Download<'_>,
    format: Format,
    headers: &HeaderMap,
    only_head: bool,
    lengths: &Lengths,
) -> Result<Head, Problem> {
    let kind = format.kind(download)?.ok_or_else(|| {
        Problem::not_found(
            "this session has no result that is a table; format=ndjson or txt has every output",
        )
    })?;
    let fingerprint = u128::from_le_bytes(download.fingerprint()?);
    let etag = format!("\"{fingerprint:032x}-{}-{REVISION}\"", format.name());
    let mut length = lengths.get(&etag);
    if length.is_none() && (headers.contains_key(header::RANGE) || only_head) {
        let mut counted = Window { out: None, at: 0, part: None };
        format.write(download, &mut counted)?;
        lengths.keep(&etag, counted.at);
        length = Some(counted.at);
    }
    let asked = length.map_or(Asked::Whole, |length| asked(headers, length, &etag));
    Ok(Head { kind, etag, length, asked })
}

/// Does the client have it already?
fn known(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    tags.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
}

fn write(
    download: &Download<'_>,
    format: Format,
    part: Asked,
    etag: &str,
    lengths: &Lengths,
    mut out: Pieces,
) {
    let part = match part {
        Asked::Part(range) => Some(range),
        _ => None,
    };
    let end = part.as_ref().map(|range| range.end);
    let mut window = Window { out: Some(&mut out), at: 0, part };
    let written = format.write(download, &mut window);
    let at = window.at;
    let outcome = match written {
        // What is behind the range is not made.
        Err(_) if end.is_some_and(|end| at >= end) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => {
            lengths.keep(etag, at);
            Ok(())
        }
    };
    out.end(outcome);
}

fn respond(head: &Head, is_known: bool, id: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let mut length = head.length;
    if let (Asked::Part(range), false) = (&head.asked, is_known) {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let of = format!("bytes {}-{}/{}", range.start, range.end - 1, head.length.unwrap_or(0));
        set(&mut response, header::CONTENT_RANGE, &of);
        length = Some(range.end - range.start);
    }
    if let (Some(length), false) = (length, is_known) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    set(&mut response, header::CONTENT_TYPE, head.kind.media_type);
    set(&mut response, header::ETAG, &head.etag);
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    // It is about people; and it may be revoked.
    set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    let name = format!("attachment; filename=\"{}.{}\"", file_name(id), head.kind.ending);
    set(&mut response, header::CONTENT_DISPOSITION, &name);
    response
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

fn outside(length: u64) -> Response {
    let problem = Problem::new(
        "range",
        StatusCode::RANGE_NOT_SATISFIABLE,
        "No such range",
        format!("the file has {length} bytes"),
    );
    let mut response = problem.into_response();
    set(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
    response
}

/// A session's id as the name of a file, on any system and in any header.
fn file_name(id: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = id.chars().take(100).map(|c| if safe(c) { c } else { '_' }).collect();
    let name = name.trim_matches('.');
    if name.is_empty() { "session".to_owned() } else { name.to_owned() }
}

/// Lets a part of what is written through, and counts.
struct Window<'o> {
    /// Nothing if it is only counted.
    out: Option<&'o mut Pieces>,
    at: u64,
    part: Option<std::ops::Range<u64>>,
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let from = self.at;
        self.at += bytes.len() as u64;
        let Some(out) = self.out.as_mut() else { return Ok(bytes.len()) };
        let Some(part) = &self.part else {
            out.write_all(bytes)?;
            return Ok(bytes.len());
        };
        let place = |at: u64| usize::try_from(at.saturating_sub(from)).unwrap_or(usize::MAX);
        let (low, high) = (place(part.start).min(bytes.len()), place(part.end).min(bytes.len()));
        if let Some(inside) = bytes.get(low..high) {
            out.write_all(inside)?;
        }
        // That ends the writing.
        if self.at >= part.end { Err(io::ErrorKind::WriteZero.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long files are, by their ETags; those that were asked for last.
#[derive(Debug, Default)]
pub struct Lengths(Mutex<VecDeque<(String, u64)>>);

impl Lengths {
    fn get(&self, etag: &str) -> Option<u64> {
        self.0.lock().iter().find(|(known, _)| known == etag).map(|(_, length)| *length)
    }

    fn keep(&self, etag: &str, length: u64) {
        let mut lengths = self.0.lock();
        if lengths.iter().any(|(known, _)| known == etag) {
            return;
        }
        if lengths.len() >= LENGTHS_MAX {
            lengths.pop_front();
        }
        lengths.push_back((etag.to_owned(), length));
    }
}
