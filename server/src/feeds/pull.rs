//! `GET /v1/feeds`: the feeds; `GET /v1/parquet`: the files that are new to a reader.

use super::{Running, file, place_name, sign, table};
use crate::auth::Caller;
use crate::params::{Fields, FromFields, NoParams, Params};
use crate::problem::{Document, Problem};
use crate::state::{App, answer};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use daybook_engine::event::Micros;
use daybook_query::feed::location::Location;
use daybook_query::feed::pull::{Entry, Page, newest, page};
use daybook_query::feed::units::{self, Went};
use daybook_query::feed::{Columns, table_name};
use daybook_query::item::Time;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

/// How long a link is good if nothing else is asked for, in microseconds: an hour.
const LINK_TIME: i64 = 3_600_000_000;
/// How long a link is good at most, in microseconds: a week.
const LINK_TIME_MAX: i64 = 7 * 86_400_000_000;
/// How long an answer waits for something new at most, in microseconds.
const WAIT_MAX: i64 = 30_000_000;
/// How often it looks for it.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// About how many files an answer has.
const LIMIT: usize = 100;
/// About how many it has at most.
const LIMIT_MAX: usize = 1000;

/// Who may see some sessions only can't have files that have all.
pub(crate) fn whole_log(caller: &Caller) -> Result<(), Problem> {
    if caller.limits().are_none() {
        return Ok(());
    }
    Err(Problem::new(
        "limits",
        StatusCode::FORBIDDEN,
        "Not with this token",
        "this token is limited to some roles or users, and a feed's files have everybody's; use `/v1/export`, or a token without limits",
    ))
}

/// The server's address as the client wrote it, such as `https://daybook.example.com`; empty if it wrote none.
pub(crate) fn base(app: &App, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text("x-forwarded-host").or_else(|| text(header::HOST.as_str())) else {
        return String::new();
    };
    let tls = if app.config.tls_cert.is_some() { "https" } else { "http" };
    let scheme = text("x-forwarded-proto").filter(|scheme| ["http", "https"].contains(scheme));
    format!("{}://{host}", scheme.unwrap_or(tls))
}

/// The feeds of a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedList {
    items: Vec<FeedItem>,
}

/// A feed, and how it is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedItem {
    /// Its name.
    name: String,
    /// `native` or `ocsf`.
    schema: &'static str,
    /// The version of OCSF.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    /// Where its tables are, such as `s3://bucket/prefix`; in the data directory if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// Its tables.
    tables: Vec<TableItem>,
    /// It has every event before this offset.
    through: u64,
    /// Events that are in closed journals or segments, and not in the feed yet.
    behind: u64,
    /// Events that it left out, because their sessions had not said who they are.
    unknown: u64,
    /// Rows that were written since the server started.
    rows_written: u64,
    /// Bytes that were written since the server started.
    bytes_written: u64,
    /// CPU seconds that it took since the server started.
    cpu_seconds: f64,
    /// When files were written last, since the server started.
    #[schema(value_type = Option<String>)]
    last_written_at: Option<Time>,
    /// Since when it does not succeed.
    #[schema(value_type = Option<String>)]
    failing_since: Option<Time>,
    /// Why.
    last_error: Option<String>,
}

/// A table of a feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableItem {
    /// Its name.
    name: &'static str,
    /// Its version.
    version: i64,
    /// Its files.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// Their rows.
    rows: u64,
}

/// The feeds, and how they are doing.
#[utoipa::path(
    get,
    path = "/v1/feeds",
    tag = "export",
    responses(
        (status = 200, description = "the feeds", body = FeedList),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn list_feeds(
    State(app): State<App>,
    Params(NoParams): Params<NoParams>,
) -> Result<Response, Problem> {
    let items = app.feeds.all().iter().map(|running| item(&app, running)).collect();
    answer(StatusCode::OK, &FeedList { items })
}

fn item(app: &App, running: &Running) -> FeedItem {
    let spec = &running.spec;
    let place = app.feeds.places.of(&place_name(spec));
    let live = running.live();
    let tables = running.feed().map_or_else(Vec::new, |feed| {
        let tables = feed.tables().iter().map(|(class, table)| {
            let state = table.state();
            let rows = units::live(&state, feed.node()).iter().map(units::Unit::rows).sum();
            TableItem {
                name: table_name(*class),
                rows,
                version: state.version,
                files: state.live.len() as u64,
                bytes: state.live.values().map(|live| live.add.size.max(0).cast_unsigned()).sum(),
            }
        });
        tables.collect()
    });
    let (schema, version) = match spec.columns {
        Columns::Native { .. } => ("native", None),
        Columns::Ocsf(mapping) => ("ocsf", Some(mapping.version.name())),
    };
    FeedItem {
        name: spec.name.clone(),
        schema,
        version,
        location: match &spec.location {
            Location::Data => None,
            Location::Remote(remote) => Some(remote.to_string()),
        },
        tables,
        through: place.through,
        behind: app.engine.closed_through().0.saturating_sub(place.through),
        unknown: place.unknown,
        rows_written: live.rows,
        bytes_written: live.bytes,
        cpu_seconds: live.cpu_us as f64 / 1e6,
        last_written_at: live.last_written.map(Time),
        failing_since: live.failing_since.map(Time),
        last_error: live.last_error,
    }
}

/// The parameters of a pull.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PullQuery {
    /// The feed's name; `native` if unsaid.
    #[param(value_type = Option<String>)]
    feed: String,
    /// The table's name; not needed where there is one only.
    table: Option<String>,
    /// Where the answer before ended; without one, the answer begins with the first file that there is.
    cursor: Option<String>,
    /// About how many files; 100 if unsaid, 1000 at most.
    #[param(value_type = Option<u32>)]
    limit: usize,
    /// How long links are good, such as `1h` (if unsaid); a week at most.
    #[param(value_type = Option<String>)]
    link: i64,
    /// How long to wait for something new where there is nothing, such as `20s`; not at all if unsaid, 30 s at most.
    #[param(value_type = Option<String>)]
    wait: i64,
    /// The newest files instead, latest first, for a look at them; the cursor is then that of what comes next.
    #[param(value_type = Option<bool>, default = false)]
    newest: bool,
}

impl FromFields for PullQuery {
    fn read(fields: &mut Fields) -> Result<PullQuery, Problem> {
        Ok(PullQuery {
            feed: fields.text("feed")?.unwrap_or_else(|| "native".to_owned()),
            table: fields.text("table")?,
            cursor: fields.text("cursor")?,
            limit: fields.count("limit", LIMIT, LIMIT_MAX)?,
            link: fields.duration("link", LINK_TIME)?.min(LINK_TIME_MAX),
            wait: fields.duration("wait", 0)?.min(WAIT_MAX),
            newest: fields.flag("newest", false)?,
        })
    }
}

/// Files that are new to a reader.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilePage {
    /// New files, in the order of what they are of.
    items: Vec<FileItem>,
    /// Files that the reader may have, of which events were erased since: they should be deleted.
    removed: Vec<RemovedItem>,
    /// The files that have what is left of the rows of those: for who keeps files. Who keeps rows has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remaining: Vec<FileItem>,
    /// Where the next answer begins, also where nothing is new.
    next_cursor: String,
    /// Is there more already?
    more: bool,
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileItem {
    /// Its name: feed, table and path.
    file: String,
    /// Where it is; the link needs no token.
    url: String,
    /// When the link expires.
    #[schema(value_type = String)]
    expires_at: Time,
    /// How many rows it has.
    rows: u64,
    /// Its length.
    bytes: u64,
    /// The SHA-256 of its bytes, which is its entity tag, too.
    sha256: String,
    /// The earliest time of its rows.
    #[schema(value_type = String)]
    min_time: Time,
    /// The latest time of its rows.
    #[schema(value_type = String)]
    max_time: Time,
    /// The offsets that it (with its neighbours, if there are several files of them) is of: from the first, before the
    /// second.
    offsets: [u64; 2],
    /// The reader has its rows with smaller offsets already, from files that this one replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    skip_offsets_before: Option<u64>,
}

/// A file that went.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedItem {
    /// Its name: feed, table and path.
    file: String,
    /// Why: `erased`.
    why: &'static str,
    /// When.
    #[schema(value_type = String)]
    at: Time,
    /// The offsets that it was of.
    offsets: [u64; 2],
}

/// The files of a feed that are new to a reader, as links that need no token.
#[utoipa::path(
    get,
    path = "/v1/parquet",
    tag = "export",
    params(PullQuery),
    responses(
        (status = 200, description = "the files", body = FilePage),
        (status = 400, description = "a parameter can't be used", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "the token is limited to some sessions", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "no such feed or table", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "the feed can't be read now", body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn pull(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Params(asked): Params<PullQuery>,
) -> Result<Response, Problem> {
    whole_log(&caller)?;
    if asked.newest && asked.cursor.is_some() {
        let what = "`newest` begins at the end, and `cursor` where the answer before ended; take one of them";
        return Err(Problem::parameter("newest", what));
    }
    let until = Instant::now() + Duration::from_micros(asked.wait.max(0).cast_unsigned());
    let found = loop {
        let feed = match app.feeds.feed(&asked.feed) {
            Ok(feed) => feed,
            // It begins in a moment, or is tried again.
            Err(problem) if problem.retries_after().is_some() && Instant::now() < until => {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        table(&feed, asked.table.as_deref())?;
        let (name, cursor) = (asked.table.clone(), asked.cursor.clone());
        let (limit, latest) = (asked.limit, asked.newest);
        let read = move || -> Result<(String, Page), Problem> {
            let table = table(&feed, name.as_deref())?;
            let kept = feed.spec().replaced_kept_ms;
            let found = if latest {
                newest(table, feed.node(), limit)
            } else {
                page(table, feed.node(), kept, cursor.as_deref(), limit)
                    .map_err(Problem::internal)?
                    .map_err(|what| {
                        let what = format!("the cursor {what}; begin again without one");
                        Problem::parameter("cursor", what)
                    })?
            };
            let name = feed.tables().iter().find(|(_, other)| std::ptr::eq(other, table));
            Ok((name.map_or("", |(class, _)| table_name(*class)).to_owned(), found))
        };
        let found = app.reads.run_within(app.config.read_time_max, read).await??;
        if !found.1.entries.is_empty() || !found.1.went.is_empty() || Instant::now() >= until {
            break found;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let (table, Page { went, remaining, entries, next, more }) = found;
    let signer = app.feeds.signer();
    let expires = Micros(Micros::now().0.saturating_add(asked.link));
    let links =
        Links { base: base(&app, &headers), signer, expires, feed: &asked.feed, table: &table };
    let page = FilePage {
        items: entries.into_iter().map(|entry| links.item(entry)).collect(),
        remaining: remaining.into_iter().map(|entry| links.item(entry)).collect(),
        removed: went.into_iter().map(|went| links.removed(went)).collect(),
        next_cursor: next,
        more,
    };
    answer(StatusCode::OK, &page)
}

/// Makes links to files.
struct Links<'a> {
    base: String,
    signer: sign::Signer,
    expires: Micros,
    feed: &'a str,
    table: &'a str,
}

impl Links<'_> {
    fn name(&self, path: &str) -> String {
        format!("{}/{}/{path}", self.feed, self.table)
    }

    fn item(&self, entry: Entry) -> FileItem {
        let Entry { file, offsets, skip_before } = entry;
        let path = file::path_of(self.feed, self.table, &file.path);
        let link = self.signer.link(&path, self.expires.0.div_euclid(1_000_000));
        FileItem {
            file: self.name(&file.path),
            url: format!("{}{link}", self.base),
            expires_at: Time(self.expires),
            rows: file.rows,
            bytes: file.size,
            sha256: file.sha256,
            min_time: Time(Micros(file.times.0)),
            max_time: Time(Micros(file.times.1)),
            skip_offsets_before: (skip_before > offsets.start).then_some(skip_before),
            offsets: [offsets.start, offsets.end],
        }
    }

    fn removed(&self, went: Went) -> RemovedItem {
        RemovedItem {
            file: self.name(&went.file.path),
            why: went.why.name(),
            at: Time(Micros(went.at.saturating_mul(1000))),
            offsets: [went.offsets.start, went.offsets.end],
        }
    }
}
