//! `GET /v1/parquet/{feed}/{table}/{file}`: a file, or bytes of it, by a signed link or with a token.
//!
//! Files never change, so a link to one is good for any number of reads, in any pieces, until it expires. What was
//! erased is gone at once, for links too.

use super::sign::{EXPIRES, SIGNATURE, Wrong};
use super::table;
use crate::auth::Caller;
use crate::params::{Fields, FromFields, Params};
use crate::problem::{Document, Problem};
use crate::ranges::{Asked, asked};
use crate::state::App;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use daybook_engine::event::Micros;
use daybook_query::feed::units::{self, Found};
use daybook_query::feed::{Feed, table_name};
use futures_util::stream;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use utoipa::IntoParams;

/// The parameters of a link.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinkQuery {
    /// Until when the link is good, in seconds since 1970.
    expires: Option<String>,
    /// The link's signature.
    #[param(rename = "X-Amz-Signature")]
    signature: Option<String>,
}

impl FromFields for LinkQuery {
    fn read(fields: &mut Fields) -> Result<LinkQuery, Problem> {
        Ok(LinkQuery { expires: fields.text(EXPIRES)?, signature: fields.text(SIGNATURE)? })
    }
}

/// The path of a file, as links have it.
pub(crate) fn path_of(feed: &str, table: &str, file: &str) -> String {
    format!("/v1/parquet/{feed}/{table}/{file}")
}

/// Is it a signed link? Then it needs no token: the signature says who may.
pub(crate) fn is_signed(uri: &Uri) -> bool {
    uri.path().starts_with("/v1/parquet/")
        && uri.query().is_some_and(|query| {
            query.split('&').any(|field| field.split('=').next() == Some(SIGNATURE))
        })
}

/// A file of a feed, or a range of its bytes. With a signed link it takes no token.
#[utoipa::path(
    get,
    path = "/v1/parquet/{feed}/{table}/{file}",
    tag = "export",
    params(
        ("feed" = String, Path, description = "the feed's name"),
        ("table" = String, Path, description = "the table's name"),
        ("file" = String, Path, description = "the file's path in the table"),
        LinkQuery,
    ),
    responses(
        (status = 200, description = "the file", body = String, content_type = "application/vnd.apache.parquet"),
        (status = 206, description = "the bytes that were asked for", body = String, content_type = "application/vnd.apache.parquet"),
        (status = 304, description = "the client has it"),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the link is not one of ours, or has expired", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such feed, table or file", body = Document, content_type = "application/problem+json"),
        (status = 410, description = "the file was erased, or its rows are in a larger one", body = Document, content_type = "application/problem+json"),
        (status = 412, description = "the file is not the one that `If-Match` names", body = Document, content_type = "application/problem+json"),
        (status = 416, description = "the file has no such bytes", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "the feed can't be read now", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn get_file(
    State(app): State<App>,
    caller: Caller,
    path: Result<Path<(String, String, String)>, PathRejection>,
    headers: HeaderMap,
    Params(link): Params<LinkQuery>,
) -> Result<Response, Problem> {
    let path = path.map(|Path(path)| path);
    let (name, table_name, path) =
        path.map_err(|error| Problem::parameter("path", error.body_text()))?;
    match (&link.expires, &link.signature) {
        (Some(expires), Some(signature)) => {
            let now = Micros::now().0.div_euclid(1_000_000);
            let wrong = app.feeds.signer();
            let signed = path_of(&name, &table_name, &path);
            wrong.check(&signed, expires, signature, now).map_err(refused)?;
        }
        (None, None) => super::pull::whole_log(&caller)?,
        (None, Some(_)) => return Err(refused(Wrong::Forged)),
        (Some(_), None) => {
            let what = format!("`{EXPIRES}` goes with `{SIGNATURE}`: take the link as it is");
            return Err(Problem::parameter(SIGNATURE, what));
        }
    }
    let feed = app.feeds.feed(&name)?;
    let state = table(&feed, Some(&table_name))?.state();
    // Of whichever node's: Delta Sharing shows all that the table has.
    let file = match units::find(&state, &path, feed.spec().replaced_kept_ms) {
        Some(Found::There(file)) => file,
        Some(Found::Gone(why)) => return Err(gone(why)),
        None => return Err(Problem::not_found("there is no such file in this table")),
    };
    let etag = format!("\"{}\"", file.sha256);
    let matches = |name| {
        let value = headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        value.map(|value| value.split(',').any(|one| one.trim() == etag || one.trim() == "*"))
    };
    if matches(header::IF_MATCH) == Some(false) {
        return Err(Problem::new(
            "changed",
            StatusCode::PRECONDITION_FAILED,
            "Not that file",
            "the file is not the one that `If-Match` names; files never change, so look at the link",
        ));
    }
    if matches(header::IF_NONE_MATCH) == Some(true) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        common(&mut response, &etag);
        return Ok(response);
    }
    let (status, range) = match asked(&headers, file.size, &etag) {
        Asked::Whole => (StatusCode::OK, 0..file.size),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Outside => {
            let what = format!("the file has {} bytes, and none of those asked for", file.size);
            let problem =
                Problem::new("range", StatusCode::RANGE_NOT_SATISFIABLE, "No such bytes", what);
            let mut response = problem.into_response();
            content_range(&mut response, &format!("bytes */{}", file.size));
            return Ok(response);
        }
    };
    // The first piece before the answer: what can't be read is an error, and not a file cut short.
    let reader = Arc::new(Reader { app, feed, table: table_name, path });
    let first = reader.read(&range).await?;
    let length = range.end - range.start;
    let mut response = Response::new(Body::from_stream(pieces(reader, range.clone(), first)));
    *response.status_mut() = status;
    common(&mut response, &etag);
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let media_type = HeaderValue::from_static("application/vnd.apache.parquet");
    fields.insert(header::CONTENT_TYPE, media_type);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), file.size);
        content_range(&mut response, &range);
    }
    Ok(response)
}

fn common(response: &mut Response, etag: &str) {
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}

fn content_range(response: &mut Response, range: &str) {
    if let Ok(value) = HeaderValue::from_str(range) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
}

fn refused(wrong: Wrong) -> Problem {
    let what = match wrong {
        Wrong::Forged => {
            "the link was not signed by this server for this file and this time; take it as it is in the list of files"
        }
        Wrong::Expired => "the link's time is over; ask for the list of files again",
    };
    Problem::new("link", StatusCode::FORBIDDEN, "Not with this link", what)
}

fn gone(why: units::Why) -> Problem {
    let what = match why {
        units::Why::Erased => {
            "events of this file were erased; what is left of them is in another file, if anything is: ask for what is new"
        }
        units::Why::Merged => "the rows of this file are in a larger one: ask for what is new",
    };
    Problem::new("gone", StatusCode::GONE, "Gone", what)
}

/// Reads a file of a feed.
struct Reader {
    app: App,
    feed: Arc<Feed>,
    table: String,
    path: String,
}

impl Reader {
    /// Reads the first piece of a range.
    async fn read(self: &Arc<Reader>, range: &Range<u64>) -> Result<Bytes, Problem> {
        let (reader, range) = (Arc::clone(self), range.clone());
        let read = move || {
            let table = reader.feed.tables().iter().find(|(c, _)| table_name(*c) == reader.table);
            let (_, table) = table.ok_or_else(|| Problem::not_found("the table is gone"))?;
            let store = table.store();
            let piece = range.start..range.end.min(range.start + store.piece_bytes());
            store.read(&reader.path, piece).map_err(|error| match store.exists(&reader.path) {
                // It is deleted before the table says so; or it was a small one that a larger one had replaced, of
                // which events were erased.
                Ok(false) => gone(units::Why::Erased),
                _ => Problem::internal(error),
            })
        };
        Ok(self.app.reads.run(read).await??.into())
    }
}

/// The pieces of a range, of which the first is read already.
fn pieces(
    reader: Arc<Reader>,
    range: Range<u64>,
    first: Bytes,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::unfold((range, Some(first)), move |(range, first)| {
        let reader = Arc::clone(&reader);
        async move {
            if range.is_empty() {
                return None;
            }
            let piece = match first {
                Some(first) => Ok(first),
                None => reader.read(&range).await,
            };
            match piece {
                Ok(piece) => {
                    let rest = range.start + piece.len() as u64..range.end;
                    Some((Ok(piece), (rest, None)))
                }
                // The connection is cut: a file that is not whole is not taken for one.
                Err(problem) => {
                    let error = io::Error::other(problem.detail().to_owned());
                    Some((Err(error), (range.end..range.end, None)))
                }
            }
        }
    })
}
