//! Where a command reads from and writes to: a server, or a data directory at rest. Both answer with
//! the same JSON, so that what is shown does not depend on it.

use crate::client::{Client, DEFAULT_SERVER, Receipt, Refusal};
use crate::keys::KeyArgs;
use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use daybook_engine::catalog::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use daybook_engine::event::Micros;
use daybook_engine::view::Snapshot;
use daybook_engine::{Batch, Engine, Error, Options};
use daybook_query::export::{ExportRequest, Format, Schema, export};
use daybook_query::lang::{ParseError, Query, parse};
use daybook_query::replay::{self, Keyframes, ReplayRequest};
use daybook_query::search::{Order, SearchRequest};
use daybook_query::sessions::ListParams;
use daybook_query::timeline::TimelineRequest;
use daybook_query::{QueryError, search, sessions, timeline};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;
use std::ops::{Bound, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which server.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServerArgs {
    /// The server's address [default: DAYBOOK_SERVER, or http://127.0.0.1:7330]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The roots, in PEM, that an https server's certificate leads to [default: DAYBOOK_CA, or what the
    /// system trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl ServerArgs {
    /// A client of it. Its token is in `DAYBOOK_TOKEN`, if it asks for one.
    ///
    /// # Errors
    /// An address that is none, or certificates that can't be read.
    pub fn client(&self) -> anyhow::Result<Client> {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let server = self.server.clone().or_else(|| variable("DAYBOOK_SERVER"));
        let server = server.unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let ca = self.ca.clone().or_else(|| variable("DAYBOOK_CA").map(PathBuf::from));
        Client::with_ca(&server, variable("DAYBOOK_TOKEN"), ca.as_deref())
    }
}

/// A server or a data directory.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TargetArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A data directory that no server has open, instead of a server
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Where a command reads from.
pub enum Source {
    /// A server.
    Server(Client),
    /// A data directory at rest.
    Data(Arc<Engine>),
}

/// Which sessions.
#[derive(Clone, Debug, Default)]
pub struct SessionsWanted {
    /// Sessions with an event that matches this query.
    pub query: Option<String>,
    /// Conditions on their texts; `*` stands for anything.
    pub facts: Vec<(TextFact, String)>,
    /// Started at this time or later.
    pub after: Option<Micros>,
    /// Started before this time.
    pub before: Option<Micros>,
    /// A number's name, with `-` before it for the largest first.
    pub sort: String,
    /// Instead of all that: like this one, started within so many microseconds of it.
    pub like: Option<(String, i64)>,
}

/// A page: where it starts and how long it is.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// Where the page before ended.
    pub cursor: Option<&'a str>,
    /// At most this many items.
    pub limit: usize,
}

/// The longest page that is asked for at once.
pub const PAGE_MAX: usize = 500;

impl Source {
    /// Opens what the arguments name.
    ///
    /// # Errors
    /// An address that is none, or a directory that can't be opened.
    pub fn open(args: &TargetArgs) -> anyhow::Result<Source> {
        match &args.data {
            None => Ok(Source::Server(args.server.client()?)),
            Some(dir) => {
                if !dir.join("journal").is_dir() {
                    bail!("{} is not a data directory: it has no `journal`", dir.display());
                }
                let encryption = args.keys.read()?;
                let options = Options { read_only: true, encryption, ..Options::default() };
                Ok(Source::Data(Engine::open(dir, options).map_err(|e| at_rest(dir, e))?))
            }
        }
    }

    /// A page of sessions.
    ///
    /// # Errors
    /// What the server or the log says.
    pub async fn sessions(&self, wanted: &SessionsWanted, page: Page<'_>) -> anyhow::Result<Value> {
        match self {
            Source::Server(client) => {
                let mut params = vec![("sort", wanted.sort.clone())];
                if let Some((id, window)) = &wanted.like {
                    params.push(("window", format!("{}ms", window / 1000)));
                    let path = format!("/v1/sessions/{}/similar", escape(id));
                    return client.get(&path, &page.params(params)).await;
                }
                params.extend(wanted.query.clone().map(|q| ("q", q)));
                params.extend(wanted.facts.iter().map(|(fact, v)| (fact.name(), v.clone())));
                params.extend(wanted.after.map(|t| ("after", t.to_string())));
                params.extend(wanted.before.map(|t| ("before", t.to_string())));
                client.get("/v1/sessions", &page.params(params)).await
            }
            Source::Data(engine) => {
                let query = wanted.query.as_deref().map(parsed).transpose()?;
                let snapshot = engine.snapshot();
                let filter = match &wanted.like {
                    None => wanted.filter(),
                    Some((id, window)) => sessions::like(&snapshot, id, *window)
                        .map_err(said)?
                        .ok_or_else(|| no_session(id))?,
                };
                let params = ListParams {
                    query: query.as_ref(),
                    filter,
                    sort: sessions::parse_sort(&wanted.sort).map_err(said)?,
                    cursor: page.cursor,
                    limit: page.limit,
                    ..ListParams::default()
                };
                let list = sessions::list(&snapshot, &params).map_err(said)?;
                Ok(serde_json::to_value(list)?)
            }
        }
    }

    /// A page of the events that a query finds, in an order.
    ///
    /// # Errors
    /// A query that can't be read, or what the server or the log says.
    pub async fn search(
        &self,
        query: &Query,
        order: Order,
        page: Page<'_>,
    ) -> anyhow::Result<Value> {
        let sort = match order {
            Order::Newest => Vec::new(),
            Order::Relevance => vec![("sort", "relevance".to_owned())],
        };
        let find = |snapshot: &Snapshot, request: &SearchRequest<'_>| {
            search::search(snapshot, &SearchRequest { order, ..request.clone() })
        };
        self.searched("/v1/search", (query, sort), page, find).await
    }

    /// A page of the sessions that have events which match.
    ///
    /// # Errors
    /// What the server or the log says.
    pub async fn search_sessions(&self, query: &Query, page: Page<'_>) -> anyhow::Result<Value> {
        self.searched("/v1/search/sessions", (query, Vec::new()), page, search::by_session).await
    }

    /// A page of what a server answers at a path, and `find` on a log at rest.
    async fn searched<T: Serialize>(
        &self,
        path: &str,
        (query, mut params): (&Query, Vec<(&'static str, String)>),
        page: Page<'_>,
        find: impl FnOnce(&Snapshot, &SearchRequest<'_>) -> Result<T, QueryError>,
    ) -> anyhow::Result<Value> {
        match self {
            Source::Server(client) => {
                params.push(("q", query.to_string()));
                client.get(path, &page.params(params)).await
            }
            Source::Data(engine) => {
                let mut request = SearchRequest::new(query);
                request.cursor = page.cursor;
                request.limit = page.limit;
                let found = find(&engine.snapshot(), &request).map_err(said)?;
                Ok(serde_json::to_value(found)?)
            }
        }
    }

    /// What is known of a session.
    ///
    /// # Errors
    /// No session of this id, or what the server or the log says.
    pub async fn details(&self, id: &str) -> anyhow::Result<Value> {
        match self {
            Source::Server(client) => {
                client.get(&format!("/v1/sessions/{}", escape(id)), &[]).await
            }
            Source::Data(engine) => {
                let details =
                    sessions::details(&engine.snapshot(), id, engine.coverage()).map_err(said)?;
                Ok(serde_json::to_value(details.ok_or_else(|| no_session(id))?)?)
            }
        }
    }

    /// The proof of a session.
    ///
    /// # Errors
    /// As [`Source::details`].
    pub async fn proof(&self, id: &str) -> anyhow::Result<Value> {
        match self {
            Source::Server(client) => {
                client.get(&format!("/v1/sessions/{}/proof", escape(id)), &[]).await
            }
            Source::Data(engine) => {
                let bundle = engine.proof(id)?.ok_or_else(|| no_session(id))?;
                Ok(serde_json::to_value(bundle)?)
            }
        }
    }

    /// A page of a session's timeline, commands folded with what came of them or each event alone.
    ///
    /// # Errors
    /// As [`Source::details`].
    pub async fn timeline(&self, id: &str, fold: bool, page: Page<'_>) -> anyhow::Result<Value> {
        match self {
            Source::Server(client) => {
                let params = page.params(vec![("fold", fold.to_string())]);
                client.get(&format!("/v1/sessions/{}/timeline", escape(id)), &params).await
            }
            Source::Data(engine) => {
                let request = TimelineRequest {
                    cursor: page.cursor,
                    limit: page.limit,
                    fold,
                    ..TimelineRequest::default()
                };
                let page = timeline::timeline(&engine.snapshot(), id, &request).map_err(said)?;
                Ok(serde_json::to_value(page.ok_or_else(|| no_session(id))?)?)
            }
        }
    }

    /// A page of a session's replay: from its start, from a moment, or behind a cursor.
    ///
    /// # Errors
    /// As [`Source::details`].
    pub async fn replay(
        &self,
        id: &str,
        keyframes: &Keyframes,
        at: Option<Micros>,
        cursor: Option<&str>,
    ) -> anyhow::Result<Value> {
        match self {
            Source::Server(client) => {
                let mut params = Vec::new();
                params.extend(at.map(|at| ("at", at.to_string())));
                params.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
                client.get(&format!("/v1/sessions/{}/replay", escape(id)), &params).await
            }
            Source::Data(engine) => {
                let request = ReplayRequest { cursor, at, ..ReplayRequest::default() };
                let page = replay::replay(&engine.snapshot(), id, keyframes, &request);
                let page = page.map_err(said)?.ok_or_else(|| no_session(id))?;
                Ok(serde_json::to_value(page)?)
            }
        }
    }

    /// Writes every event of these offsets that a query matches; answers where the log ended when that began.
    ///
    /// # Errors
    /// An output that can't be written, or what the server or the log says.
    pub async fn export(
        &self,
        query: &Query,
        (format, schema): (Format, Schema),
        offsets: Range<u64>,
        out: &mut (dyn Write + Send),
    ) -> anyhow::Result<u64> {
        match self {
            Source::Server(client) => {
                let mut params =
                    vec![("format", format.name().to_owned()), ("q", query.to_string())];
                params.extend(params_of(schema));
                if offsets.start > 0 {
                    params.push(("from", offsets.start.to_string()));
                }
                if offsets.end < u64::MAX {
                    params.push(("to", offsets.end.to_string()));
                }
                let mut response = client.open("/v1/export", &params).await?;
                let end = response.headers().get("daybook-log-end");
                let end = end.and_then(|end| end.to_str().ok()?.parse().ok());
                while let Some(piece) =
                    response.chunk().await.context("the server broke the export off")?
                {
                    out.write_all(&piece).context("can't write the export")?;
                }
                // One that does not say has taken no notice of the offsets, and has sent everything.
                Ok(end.unwrap_or(0))
            }
            Source::Data(engine) => {
                let end = engine.follow().borrow().0;
                let scope = SessionFilter::All;
                let request = ExportRequest { query: Some(query), scope, offsets, format, schema };
                export(&engine.snapshot(), &request, out)?;
                Ok(end)
            }
        }
    }
}

/// How a server is asked for a schema.
fn params_of(schema: Schema) -> Vec<(&'static str, String)> {
    let Schema::Ocsf { mapping, class } = schema else { return Vec::new() };
    let mut params = vec![
        ("schema", "ocsf".to_owned()),
        ("version", mapping.version.name().to_owned()),
        ("outputs", mapping.outputs.name().to_owned()),
        ("findings", mapping.findings.to_string()),
    ];
    params.extend(class.map(|class| ("class", class.name().to_owned())));
    params
}

impl Page<'_> {
    fn params(&self, mut params: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
        params.push(("limit", self.limit.to_string()));
        params.extend(self.cursor.map(|cursor| ("cursor", cursor.to_owned())));
        params
    }
}

impl SessionsWanted {
    fn filter(&self) -> SessionFilter {
        let mut all: Vec<SessionFilter> = self
            .facts
            .iter()
            .map(|(fact, value)| {
                let one = |value| SessionFilter::Text(*fact, Pattern::wildcard(value));
                SessionFilter::Or(values(value).map(one).collect())
            })
            .collect();
        let low = self.after.map_or(Bound::Unbounded, |Micros(t)| Bound::Included(t));
        let high = self.before.map_or(Bound::Unbounded, |Micros(t)| Bound::Excluded(t));
        if (low, high) != (Bound::Unbounded, Bound::Unbounded) {
            all.push(SessionFilter::Number(NumberFact::Started, low, high));
        }
        SessionFilter::And(all)
    }
}

/// The values of a flag, which have commas between them.
pub fn values(flag: &str) -> impl Iterator<Item = &str> {
    flag.split(',').map(str::trim).filter(|value| !value.is_empty())
}

/// Reads a query; what is wrong with it is shown under the place.
///
/// # Errors
/// A query that can't be read.
pub fn parsed(text: &str) -> anyhow::Result<Query> {
    parse(text, Micros::now())
        .map_err(|error: ParseError| anyhow!("the query can't be read:\n{}", error.render(text)))
}

fn said(error: QueryError) -> anyhow::Error {
    error.into()
}

fn no_session(id: &str) -> anyhow::Error {
    anyhow!("there is no session `{}`", crate::output::clean::line(id))
}

fn at_rest(dir: &Path, error: Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("can't open {}", dir.display()))
}

/// An id as one piece of a path.
pub(crate) fn escape(id: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte.into()),
            // A dot alone would be read as a directory.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

/// Where events go.
pub enum Sink {
    /// A server.
    Server(Client),
    /// A data directory that no server has open.
    Data(Arc<Engine>),
}

impl Sink {
    /// Opens what the arguments name.
    ///
    /// # Errors
    /// An address that is none, or a directory that can't be opened, or is damaged.
    pub async fn open(args: &TargetArgs) -> anyhow::Result<Sink> {
        let Some(dir) = args.data.clone() else {
            return Ok(Sink::Server(args.server.client()?));
        };
        let options = Options { encryption: args.keys.read()?, ..writable() };
        let engine = tokio::task::spawn_blocking(move || {
            Engine::open(&dir, options).map_err(|e| at_rest(&dir, e))
        });
        let engine = engine.await.context("opening the data directory broke")??;
        if let Some(reason) = engine.read_only_reason() {
            bail!("the data directory takes no events: {reason}");
        }
        Ok(Sink::Data(engine))
    }

    /// Sends lines, and again while too much waits, for up to `patience`.
    ///
    /// # Errors
    /// What the server or the log says of all of them; a bad line is in the receipt.
    pub async fn send(&self, lines: Bytes, patience: Duration) -> anyhow::Result<Receipt> {
        match self {
            Sink::Server(client) => Ok(client.send(lines, patience).await?.0),
            Sink::Data(engine) => append(engine, &lines, patience).await,
        }
    }

    /// Ends the writing.
    ///
    /// # Errors
    /// What the log says.
    pub async fn close(&self) -> anyhow::Result<()> {
        if let Sink::Data(engine) = self {
            let engine = Arc::clone(engine);
            tokio::task::spawn_blocking(move || engine.close())
                .await
                .context("closing the data directory broke")??;
        }
        Ok(())
    }
}

/// The engine's settings for a directory that is written to.
#[must_use]
pub fn writable() -> Options {
    Options {
        columnar: Some(Arc::new(daybook_query::columnar::parquet::SegmentParquet::default())),
        // A command deletes nothing that it was not told to.
        retention_interval: None,
        hold_queries: Some(Arc::new(daybook_query::holds::QueryHolds)),
        ..Options::default()
    }
}

/// Appends NDJSON lines to a log; blank lines are skipped.
///
/// # Errors
/// What the log says of all of them; a bad line is in the receipt.
pub async fn append(engine: &Engine, lines: &[u8], patience: Duration) -> anyhow::Result<Receipt> {
    let start = Instant::now();
    loop {
        let mut batch = Batch::new();
        let mut rejected = Vec::new();
        for (number, line) in (1u64..).zip(lines.split(|byte| *byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            if let Err(error) = batch.push(number, line) {
                rejected.push(Refusal { line: number, error });
            }
        }
        match engine.append(batch).await {
            Ok(ack) => {
                let refused = ack.rejected.into_iter();
                rejected.extend(refused.map(|r| Refusal { line: r.line, error: r.error }));
                rejected.sort_by_key(|refusal| refusal.line);
                let (accepted, duplicates) = (ack.accepted, ack.duplicates);
                let rejected_count = rejected.len() as u64;
                return Ok(Receipt { accepted, duplicates, rejected, rejected_count });
            }
            Err(Error::Busy { .. }) if start.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
