//! Delta Sharing: feeds as shared tables, for whoever speaks the
//! [open protocol](https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md).
//!
//! One share, `daybook`; a feed is a schema of it, and the feed's tables are its tables. A client has a profile:
//!
//! ```text
//! {"shareCredentialsVersion":1,"endpoint":"https://daybook.example.com/delta-sharing","bearerToken":"…"}
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `GET /shares`, `/shares/{share}`, `…/schemas`, `…/schemas/{schema}/tables`, `…/all-tables` | what there is |
//! | `GET …/tables/{table}/version` | the version, in the header `Delta-Table-Version` |
//! | `GET …/metadata` | the table's columns |
//! | `POST …/query` | the files of a version, as signed links; fewer, where hints of a predicate or a limit allow it |
//! | `GET …/changes` | the rows that came with each of some versions, as files |
//!
//! Answers are lines of JSON, in the format `parquet`, or `delta` where the client takes only that. A version, once
//! given, is a cursor that is exact: the next changes begin with the one after it. Rows that were erased are in no
//! answer, also not as rows that went: there is no file that has them any more.

use super::pull::{base, whole_log};
use super::{file, sign, table};
use crate::auth::Caller;
use crate::problem::Problem;
use crate::state::App;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use daybook_engine::event::Micros;
use daybook_query::feed::delta::{Action, Add, Metadata, Protocol};
use daybook_query::feed::state::State as TableState;
use daybook_query::feed::table::Table;
use daybook_query::feed::{Feed, table_name, units};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

const SHARE: &str = "daybook";
const VERSION: HeaderName = HeaderName::from_static("delta-table-version");
const CAPABILITIES: HeaderName = HeaderName::from_static("delta-sharing-capabilities");
/// How long a link is good, in seconds: an hour.
const LINK_SECONDS: i64 = 3600;
/// How many versions an answer about changes goes through at most.
const CHANGES_MAX: i64 = 10_000;

pub(crate) fn routes() -> Router<App> {
    let table = "/shares/{share}/schemas/{schema}/tables/{table}";
    Router::new()
        .route("/shares", get(shares))
        .route("/shares/{share}", get(share))
        .route("/shares/{share}/schemas", get(schemas))
        .route("/shares/{share}/schemas/{schema}/tables", get(tables))
        .route("/shares/{share}/all-tables", get(all_tables))
        .route(&format!("{table}/version"), get(version))
        .route(&format!("{table}/metadata"), get(metadata))
        .route(&format!("{table}/query"), post(query))
        .route(&format!("{table}/changes"), get(changes))
}

/// What is wrong, as the protocol says it.
struct Refusal(StatusCode, &'static str, String);

impl Refusal {
    fn parameter(what: impl Into<String>) -> Refusal {
        Refusal(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", what.into())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        let code = match problem.status() {
            StatusCode::NOT_FOUND => "RESOURCE_DOES_NOT_EXIST",
            StatusCode::FORBIDDEN => "PERMISSION_DENIED",
            StatusCode::BAD_REQUEST => "INVALID_PARAMETER_VALUE",
            StatusCode::SERVICE_UNAVAILABLE => "TEMPORARILY_UNAVAILABLE",
            _ => "INTERNAL_ERROR",
        };
        Refusal(problem.status(), code, problem.detail().to_owned())
    }
}

impl From<daybook_query::feed::Error> for Refusal {
    fn from(error: daybook_query::feed::Error) -> Refusal {
        Problem::internal(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal(status, code, message) = self;
        let body = json!({"errorCode": code, "message": message}).to_string();
        (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
    }
}

type Answer = Result<Response, Refusal>;

fn page(items: &[Value]) -> Response {
    let body = json!({"items": items}).to_string();
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

fn of_share(caller: &Caller, name: &str) -> Result<(), Refusal> {
    whole_log(caller)?;
    if name == SHARE {
        return Ok(());
    }
    Err(Problem::not_found(format!("there is no share `{name}`; there is: {SHARE}")).into())
}

async fn shares(caller: Caller) -> Answer {
    whole_log(&caller)?;
    Ok(page(&[json!({"name": SHARE, "id": SHARE})]))
}

async fn share(caller: Caller, Path(share): Path<String>) -> Answer {
    of_share(&caller, &share)?;
    let body = json!({"share": {"name": SHARE, "id": SHARE}}).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response())
}

async fn schemas(State(app): State<App>, caller: Caller, Path(share): Path<String>) -> Answer {
    of_share(&caller, &share)?;
    let feeds = app.feeds.all().iter();
    let items: Vec<Value> =
        feeds.map(|feed| json!({"name": feed.spec.name, "share": SHARE})).collect();
    Ok(page(&items))
}

fn table_items(feed: &Feed) -> impl Iterator<Item = Value> + '_ {
    feed.tables().iter().map(|(class, table)| {
        let state = table.state();
        let id = state.metadata.as_ref().map_or("", |metadata| metadata.id.as_str());
        json!({
            "name": table_name(*class),
            "schema": feed.spec().name,
            "share": SHARE,
            "shareId": SHARE,
            "id": id,
        })
    })
}

async fn tables(
    State(app): State<App>,
    caller: Caller,
    Path((share, schema)): Path<(String, String)>,
) -> Answer {
    of_share(&caller, &share)?;
    let feed = app.feeds.feed(&schema)?;
    Ok(page(&table_items(&feed).collect::<Vec<_>>()))
}

async fn all_tables(State(app): State<App>, caller: Caller, Path(share): Path<String>) -> Answer {
    of_share(&caller, &share)?;
    let mut items = Vec::new();
    for running in app.feeds.all() {
        let feed = app.feeds.feed(&running.spec.name)?;
        items.extend(table_items(&feed));
    }
    Ok(page(&items))
}

/// A table that is asked about, and how it is to be answered.
struct Asked {
    app: App,
    feed: Arc<Feed>,
    name: String,
    /// In the format `delta`?
    delta: bool,
    base: String,
    signer: sign::Signer,
    expires: i64,
}

impl Asked {
    fn new(
        app: App,
        caller: &Caller,
        (share, schema, name): (String, String, String),
        headers: &HeaderMap,
    ) -> Result<Asked, Refusal> {
        of_share(caller, &share)?;
        let feed = app.feeds.feed(&schema)?;
        table(&feed, Some(&name))?;
        Ok(Asked {
            delta: wants_delta(headers),
            base: base(&app, headers),
            signer: app.feeds.signer(),
            expires: Micros::now().0.div_euclid(1_000_000) + LINK_SECONDS,
            app,
            feed,
            name,
        })
    }

    fn table(&self) -> Result<&Table, Refusal> {
        Ok(table(&self.feed, Some(&self.name))?)
    }

    /// The answer's first two lines; of changes, if these begin with a version.
    fn head(&self, state: &TableState, changes: Option<i64>) -> Lines {
        let version = changes.unwrap_or(state.version);
        let mut lines = Lines(String::new());
        let Protocol { min_reader_version, min_writer_version } = Protocol::OURS;
        let bytes: i64 = state.live.values().map(|live| live.add.size).sum();
        let metadata = state.metadata.clone().map(|mut metadata| {
            if changes.is_some() {
                // What clients look for before they ask for changes.
                let name =
                    if self.delta { "delta.enableChangeDataFeed" } else { "enableChangeDataFeed" };
                metadata.configuration.insert(name.to_owned(), "true".to_owned());
            }
            metadata
        });
        if self.delta {
            // A table with changes asks for more of its writers, of whom there is none here.
            let writer = if changes.is_some() { 4 } else { min_writer_version };
            lines.push(&json!({"protocol": {"deltaProtocol": {
                "minReaderVersion": min_reader_version, "minWriterVersion": writer,
            }}}));
            lines.push(&json!({"metaData": {
                "version": version, "size": bytes, "numFiles": state.live.len(),
                "deltaMetadata": metadata,
            }}));
        } else {
            lines.push(&json!({"protocol": {"minReaderVersion": min_reader_version}}));
            let Metadata {
                id,
                name,
                description,
                format,
                schema_string,
                partition_columns,
                configuration,
                ..
            } = metadata.unwrap_or_else(|| Metadata {
                id: String::new(),
                name: None,
                description: None,
                format: Default::default(),
                schema_string: String::new(),
                partition_columns: Vec::new(),
                configuration: BTreeMap::new(),
                created_time: None,
            });
            lines.push(&json!({"metaData": {
                "id": id, "name": name, "description": description, "format": format,
                "schemaString": schema_string, "partitionColumns": partition_columns,
                "configuration": configuration, "version": version, "size": bytes,
                "numFiles": state.live.len(),
            }}));
        }
        lines
    }

    /// A line for a file; of a change, if it has the version and the time of one.
    fn file(&self, add: &Add, version: i64, change: Option<i64>) -> Value {
        let path = file::path_of(&self.feed.spec().name, &self.name, &add.path);
        let url = format!("{}{}", self.base, self.signer.link(&path, self.expires));
        let sha256 = add.tags.as_ref().and_then(|tags| tags.get("daybook.sha256"));
        let id = sha256.unwrap_or(&add.path);
        let timestamp = change.unwrap_or(add.modification_time);
        let expires = self.expires * 1000;
        if self.delta {
            let add = Add { path: url, data_change: true, tags: None, ..add.clone() };
            return json!({"file": {
                "id": id, "version": version, "timestamp": timestamp,
                "expirationTimestamp": expires, "deltaSingleAction": {"add": add},
            }});
        }
        let file = json!({
            "url": url, "id": id, "partitionValues": add.partition_values, "size": add.size,
            "stats": add.stats, "version": version, "timestamp": timestamp,
            "expirationTimestamp": expires,
        });
        json!({if change.is_some() { "add" } else { "file" }: file})
    }

    fn answer(&self, lines: Lines, version: i64) -> Response {
        let mut response = Response::new(Body::from(lines.0));
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/x-ndjson; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, media_type);
        headers.insert(VERSION, HeaderValue::from(version));
        let format = if self.delta { "responseformat=delta" } else { "responseformat=parquet" };
        headers.insert(CAPABILITIES, HeaderValue::from_static(format));
        response
    }
}

/// Lines of JSON.
struct Lines(String);

impl Lines {
    fn push(&mut self, line: &Value) {
        // Into memory: nothing fails.
        let _ = writeln!(self.0, "{line}");
    }
}

/// Does the client take the format `delta` only? Where it takes both, `parquet` is the one with fewer demands.
fn wants_delta(headers: &HeaderMap) -> bool {
    let value = headers.get(CAPABILITIES).and_then(|value| value.to_str().ok()).unwrap_or("");
    let formats = value.split(';').filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("responseformat").then_some(value)
    });
    let formats: Vec<String> =
        formats.flat_map(|all| all.split(',')).map(|one| one.trim().to_ascii_lowercase()).collect();
    formats.iter().any(|format| format == "delta")
        && !formats.iter().any(|format| format == "parquet")
}

/// What stands behind the `?`.
type Parameters = BTreeMap<String, String>;

/// A parameter of the address.
fn parameter(query: &Parameters, name: &str) -> Option<String> {
    query.get(name).cloned()
}

fn number(query: &Parameters, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = parameter(query, name) else { return Ok(None) };
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| Refusal::parameter(format!("`{name}` is a version, from 0 on")))
}

/// A moment as the protocol writes it, in milliseconds since 1970.
fn moment(text: &str, name: &str) -> Result<i64, Refusal> {
    let time = Micros::parse(text);
    time.map(|time| time.0.div_euclid(1000))
        .map_err(|_| Refusal::parameter(format!("`{name}` is a time such as 2026-03-01T09:30:00Z")))
}

/// The last version that was committed at a time (in milliseconds) or before.
fn version_until(table: &Table, at: i64) -> Result<Option<i64>, Refusal> {
    let latest = table.state().version;
    Ok(match table.version_from(at.saturating_add(1))? {
        Some(0) => None,
        Some(version) => Some(version - 1),
        None => Some(latest),
    })
}

/// Does what reads files on a thread for that.
async fn reading<T: Send + 'static>(
    app: &App,
    read: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    app.reads.run_within(app.config.read_time_max, read).await?
}

async fn version(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Answer {
    let asked = Asked::new(app, &caller, path, &headers)?;
    let app = App::clone(&asked.app);
    reading(&app, move || {
        let table = asked.table()?;
        let version = match parameter(&query, "startingTimestamp") {
            None => table.state().version,
            Some(text) => table
                .version_from(moment(&text, "startingTimestamp")?)?
                .ok_or_else(|| Refusal::parameter("no version is as late as that"))?,
        };
        Ok(asked.answer(Lines(String::new()), version))
    })
    .await
}

async fn metadata(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let asked = Asked::new(app, &caller, path, &headers)?;
    let state = asked.table()?.state();
    let lines = asked.head(&state, None);
    Ok(asked.answer(lines, state.version))
}

/// What is asked of a table's rows. Hints may be passed over; what a client sends besides is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wanted {
    json_predicate_hints: Option<String>,
    limit_hint: Option<u64>,
    version: Option<i64>,
    timestamp: Option<String>,
    starting_version: Option<i64>,
    ending_version: Option<i64>,
}

async fn query(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let query: Wanted = match body.trim_ascii() {
        [] => Wanted::default(),
        body => serde_json::from_slice(body)
            .map_err(|error| Refusal::parameter(format!("the body can't be read: {error}")))?,
    };
    let asked = Asked::new(app, &caller, path, &headers)?;
    let app = App::clone(&asked.app);
    reading(&app, move || {
        if let Some(from) = query.starting_version {
            return of_changes(&asked, from, query.ending_version);
        }
        let table = asked.table()?;
        let version = match (query.version, &query.timestamp) {
            (Some(_), Some(_)) => {
                return Err(Refusal::parameter("`version` or `timestamp`, not both"));
            }
            (Some(version), None) => version,
            (None, Some(text)) => version_until(table, moment(text, "timestamp")?)?
                .ok_or_else(|| Refusal::parameter("no version is as early as that"))?,
            (None, None) => table.state().version,
        };
        let state = table.at(version)?.ok_or_else(|| no_version(table, version))?;
        let versions: BTreeMap<String, i64> =
            state.live.iter().map(|(path, live)| (path.clone(), live.version)).collect();
        let adds = state.live.values().map(|live| live.add.clone()).collect();
        let adds = units::resolve(table, adds)?.map_err(Refusal::parameter)?;
        let hint: Option<Value> =
            query.json_predicate_hints.as_deref().and_then(|hint| serde_json::from_str(hint).ok());
        let mut lines = asked.head(&state, None);
        let mut rows = 0;
        for add in &adds {
            if query.limit_hint.is_some_and(|limit| rows >= limit) {
                break;
            }
            if hint.as_ref().is_none_or(|hint| may_match(hint, add, 0)) {
                rows += rows_of(add);
                let version = versions.get(&add.path).copied().unwrap_or(version);
                lines.push(&asked.file(add, version, None));
            }
        }
        Ok(asked.answer(lines, version))
    })
    .await
}

fn no_version(table: &Table, version: i64) -> Refusal {
    let latest = table.state().version;
    Refusal::parameter(match version > latest || version < 0 {
        true => format!("there is no version {version}; the latest is {latest}"),
        false => {
            format!("it is not known any more what version {version} had; the latest is {latest}")
        }
    })
}

fn rows_of(add: &Add) -> u64 {
    let stats = add.stats.as_deref().and_then(|stats| serde_json::from_str::<Value>(stats).ok());
    stats.and_then(|stats| stats.get("numRecords")?.as_u64()).unwrap_or(0)
}

async fn changes(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Answer {
    let asked = Asked::new(app, &caller, path, &headers)?;
    let app = App::clone(&asked.app);
    reading(&app, move || {
        let query = &query;
        let table = asked.table()?;
        let from = match (number(query, "startingVersion")?, parameter(query, "startingTimestamp"))
        {
            (Some(version), None) => version,
            (None, Some(text)) => {
                table.version_from(moment(&text, "startingTimestamp")?)?.ok_or_else(|| {
                    Refusal::parameter("no version is as late as `startingTimestamp`")
                })?
            }
            _ => {
                let what = "name the first version: `startingVersion`, or `startingTimestamp`";
                return Err(Refusal::parameter(what));
            }
        };
        let to = match (number(query, "endingVersion")?, parameter(query, "endingTimestamp")) {
            (Some(_), Some(_)) => {
                return Err(Refusal::parameter("`endingVersion` or `endingTimestamp`, not both"));
            }
            (Some(version), None) => Some(version),
            (None, Some(text)) => version_until(table, moment(&text, "endingTimestamp")?)?,
            (None, None) => None,
        };
        of_changes(&asked, from, to)
    })
    .await
}

/// The rows that came with the versions from one on to another one, or the latest.
fn of_changes(asked: &Asked, from: i64, to: Option<i64>) -> Answer {
    let table = asked.table()?;
    let state = table.state();
    // A client whose last version is the latest asks for the one after it.
    if from > state.version + 1 || from < 0 {
        return Err(no_version(table, from));
    }
    let to =
        to.unwrap_or(state.version).min(state.version).min(from.saturating_add(CHANGES_MAX - 1));
    let mut adds = Vec::new();
    let mut came: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for version in from..=to {
        let commit = table.commit_at(version)?.ok_or_else(|| no_version(table, version))?;
        let (actions, committed) = commit;
        for action in actions {
            if let Action::Add(add) = action
                && add.data_change
            {
                came.insert(add.path.clone(), (version, committed));
                adds.push(add);
            }
        }
    }
    let adds = units::resolve(table, adds)?.map_err(Refusal::parameter)?;
    let mut lines = asked.head(&state, Some(from));
    let committed = table.commit_at(to.max(0))?.map_or(0, |(_, committed)| committed);
    let mut changes: Vec<(i64, i64, &Add)> = adds
        .iter()
        .map(|add| {
            // What stands for files that are not there any more came with the last of them.
            let (version, at) = came.get(&add.path).copied().unwrap_or((to, committed));
            (version, at, add)
        })
        .collect();
    changes.sort_by(|a, b| (a.0, &a.2.path).cmp(&(b.0, &b.2.path)));
    for (version, at, add) in changes {
        lines.push(&asked.file(add, version, Some(at)));
    }
    Ok(asked.answer(lines, to))
}

/// Asks a predicate of a file, for fuzzing.
pub(crate) fn may_match_any(hint: &str) {
    let add = Add {
        path: "x.parquet".to_owned(),
        partition_values: BTreeMap::from([("eventDay".to_owned(), Some("20260301".to_owned()))]),
        size: 1,
        modification_time: 0,
        data_change: true,
        stats: Some(
            r#"{"numRecords":1,"minValues":{"time":"2026-03-01T00:00:00.000Z"},"maxValues":{"time":1}}"#
                .to_owned(),
        ),
        tags: None,
    };
    if let Ok(hint) = serde_json::from_str(hint) {
        let _ = may_match(&hint, &add, 0);
    }
}

/// How deep predicates may be nested.
const DEPTH_MAX: usize = 32;

/// May rows of a file satisfy a predicate? What is not understood may always be.
fn may_match(hint: &Value, add: &Add, depth: usize) -> bool {
    let children = || hint.get("children").and_then(Value::as_array).map_or(&[] as &[Value], |c| c);
    if depth > DEPTH_MAX {
        return true;
    }
    let mut each = children().iter().map(|child| may_match(child, add, depth + 1));
    match hint.get("op").and_then(Value::as_str) {
        Some("and") => each.all(|may| may),
        Some("or") => children().is_empty() || each.any(|may| may),
        Some(
            op @ ("equal" | "lessThan" | "lessThanOrEqual" | "greaterThan" | "greaterThanOrEqual"),
        ) => compare(op, children(), add).unwrap_or(true),
        _ => true,
    }
}

/// May a comparison of a column with a value hold for rows of a file? `None` if that can't be said.
fn compare(op: &str, children: &[Value], add: &Add) -> Option<bool> {
    let [left, right] = children else { return None };
    let is = |value: &Value, op: &str| value.get("op").and_then(Value::as_str) == Some(op);
    let (column, literal, op) = match (is(left, "column"), is(right, "column")) {
        (true, false) => (left, right, op),
        (false, true) => {
            let turned = match op {
                "lessThan" => "greaterThan",
                "lessThanOrEqual" => "greaterThanOrEqual",
                "greaterThan" => "lessThan",
                "greaterThanOrEqual" => "lessThanOrEqual",
                other => other,
            };
            (right, left, turned)
        }
        _ => return None,
    };
    let name = column.get("name")?.as_str()?;
    let value = literal.get("value")?.as_str()?;
    let (low, high, value) = match add.partition_values.get(name) {
        // All rows of the file have it.
        Some(Some(has)) => {
            (Key::Text(has.clone()), Key::Text(has.clone()), Key::Text(value.to_owned()))
        }
        Some(None) => return None,
        None => {
            let stats: Value = serde_json::from_str(add.stats.as_deref()?).ok()?;
            let of = |which: &str| Key::of(stats.get(which)?.get(name)?);
            (of("minValues")?, of("maxValues")?, Key::of(&Value::from(value))?)
        }
    };
    if std::mem::discriminant(&low) != std::mem::discriminant(&value) {
        return None;
    }
    Some(match op {
        "equal" => low <= value && value <= high,
        "lessThan" => low < value,
        "lessThanOrEqual" => low <= value,
        "greaterThan" => high > value,
        "greaterThanOrEqual" => high >= value,
        _ => return None,
    })
}

/// A value that can be compared with one of its kind.
#[derive(PartialEq, PartialOrd)]
enum Key {
    Text(String),
    Number(i64),
    Time(i64),
}

impl Key {
    fn of(value: &Value) -> Option<Key> {
        if let Some(number) = value.as_i64() {
            return Some(Key::Number(number));
        }
        let text = value.as_str()?;
        if let Ok(number) = text.parse() {
            return Some(Key::Number(number));
        }
        let time = text.replacen(' ', "T", 1);
        let time = Micros::parse(&time).or_else(|_| Micros::parse(&format!("{time}Z"))).ok()?;
        Some(Key::Time(time.0))
    }
}
