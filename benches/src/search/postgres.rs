//! PostgreSQL: a row for each event, GIN indexes over a `tsvector` of its texts and over their trigrams, and
//! btrees for what is filtered by. Loaded by `copy`, indexed after that, vacuumed and analyzed.

use super::draw;
use super::generate::Stream;
use super::measure::{Effort, Figures, drop_caches};
use super::peer::{Share, body, loaded};
use super::queries::{Ask, Class};
use super::sql::Dialect;
use crate::mb;
use crate::postgres::{PORT, Postgres, connect, programs, start};
use crate::source::Source;
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

const DIALECT: Dialect = Dialect::Postgres;

// Without `translate`, a path or a name with dots is one word for PostgreSQL, and a tag is none. A tsvector takes a
// megabyte at most.
const TABLE: &str = "
create extension if not exists pg_trgm;
drop table if exists events;
create table events (
    id bigint not null, session text not null, seq bigint not null, time timestamptz not null,
    username text not null, role text not null, type text not null, kind text not null, verdict text,
    body text not null,
    words tsvector generated always as (
        to_tsvector('simple', translate(left(body, 200000), './-:@=&?%#+~<>', '              '))) stored);";

const INDEXES: &str = "
create index on events using gin (words);
create index on events using gin (body gin_trgm_ops);
create index on events (time desc, id desc);
create index on events (username, time desc);
create index on events (role, time desc);
create index on events (verdict, time desc);
create index on events (kind, time desc);
create index on events (session, seq);";

const SETTINGS: [&str; 7] = [
    "shared_buffers=4GB",
    "effective_cache_size=12GB",
    "work_mem=64MB",
    "maintenance_work_mem=1GB",
    "random_page_cost=1.1",
    "jit=off",
    "max_wal_size=8GB",
];

/// Where everything is small.
const QUICK: [&str; 1] = ["shared_buffers=128MB"];

/// Loads as many events as there is time for, and asks for them; nothing if it is not installed.
pub(crate) fn report(
    dir: &Path,
    source: &Source,
    share: Share,
    (effort, quick): (Effort, bool),
) -> Result<Option<Vec<Figures>>> {
    let Some(programs) = programs() else {
        println!("           PostgreSQL is not installed (apt-get install postgresql): skipped");
        return Ok(None);
    };
    let settings: &[&str] = if quick { &QUICK } else { &SETTINGS };
    println!("           PostgreSQL: {}", settings.join(", "));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = start(&programs, dir, settings)?;
    let stream =
        loaded(("PostgreSQL", dir), source, share, |stream| load(&runtime, &programs, stream))?;
    drop(server);
    let asks = draw::draw(&stream, share.seed)?;
    let mut figures = Vec::new();
    for class in Class::ALL {
        let mine: Vec<&Ask> = asks.iter().filter(|ask| ask.class == class).collect();
        let mut queries: Vec<String> = mine.iter().map(|ask| DIALECT.query(ask, None)).collect();
        if class == Class::DeepPage {
            let asked = Asked::start(&runtime, &programs, dir, settings)?;
            for (query, ask) in queries.iter_mut().zip(&mine) {
                let hits = asked.value(&DIALECT.count(ask))?.parse()?;
                let behind = DIALECT.behind(ask, hits).map(|sql| asked.value(&sql)).transpose()?;
                *query = DIALECT.query(ask, behind.as_deref());
            }
        }
        drop_caches(dir, effort)?;
        let asked = Asked::start(&runtime, &programs, dir, settings)?;
        let (cold, _) = asked.timed(queries.first().context("a class without queries")?)?;
        let (mut empty, until) = (0, Instant::now() + effort.class_time);
        for query in queries.iter().take_while(|_| Instant::now() < until) {
            empty += usize::from(asked.timed(query)?.1 == 0);
        }
        let one = |at: usize| {
            let query = queries.get(at % queries.len()).context("a class without queries")?;
            Ok(asked.timed(query)?.0)
        };
        figures.push(Figures::warm((class, cold, empty), effort, one)?);
    }
    Ok(Some(figures))
}

/// Loads a stream into an empty table; answers what it takes on the disk.
fn load(runtime: &Runtime, programs: &Path, stream: &Stream) -> Result<String> {
    let client = runtime.block_on(connect())?;
    runtime.block_on(client.batch_execute(TABLE))?;
    let columns = "id, session, seq, time, username, role, type, kind, verdict, body";
    let mut copy = Command::new(programs.join("psql"))
        // It says each word that is too long to be indexed.
        .env("PGOPTIONS", "-c client_min_messages=warning")
        .args(["-qX", "-h", "127.0.0.1", "-p", &PORT.to_string(), "-U", "postgres", "-c"])
        .arg(format!("copy events ({columns}) from stdin"))
        .stdin(Stdio::piped())
        .spawn()?;
    let mut rows = std::io::BufWriter::new(copy.stdin.take().context("psql has no input")?);
    let mut line = String::new();
    for row in stream.rows() {
        line.clear();
        write!(line, "{}", row.number)?;
        let (seq, time) = (row.seq.to_string(), row.time.to_string());
        let body = body(&row)?;
        for value in [
            row.session.as_str(),
            &seq,
            &time,
            &row.user,
            &row.role,
            row.role_type,
            row.kind,
            row.verdict.unwrap_or("\0"),
            &body,
        ] {
            line.push('\t');
            escape(&mut line, value);
        }
        line.push('\n');
        rows.write_all(line.as_bytes())?;
    }
    drop(rows);
    ensure!(copy.wait()?.success(), "psql could not copy");
    runtime.block_on(client.batch_execute(INDEXES))?;
    runtime.block_on(client.batch_execute("vacuum analyze events"))?;
    let sizes = "select pg_total_relation_size('events') || ' ' || pg_indexes_size('events')";
    let sizes = value(runtime, &client, sizes)?;
    let mut sizes = sizes.split(' ').map(|size| size.parse().map_or(f64::NAN, mb));
    let mut next = || sizes.next().unwrap_or(f64::NAN);
    Ok(format!("{:.1} MB, of which indexes {:.1} MB", next(), next()))
}

/// A value as `copy` takes it; a null byte alone is none.
fn escape(line: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\0' => line.push_str("\\N"),
            '\\' => line.push_str("\\\\"),
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c => line.push(c),
        }
    }
}

/// The first value that a query answers.
fn value(runtime: &Runtime, client: &Client, sql: &str) -> Result<String> {
    let answer = runtime.block_on(client.simple_query(sql))?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(row.context("no row")?.to_owned())
}

/// A PostgreSQL that is asked.
struct Asked<'a> {
    runtime: &'a Runtime,
    client: Client,
    _server: Postgres,
}

impl<'a> Asked<'a> {
    fn start(
        runtime: &'a Runtime,
        programs: &Path,
        dir: &Path,
        settings: &[&str],
    ) -> Result<Asked<'a>> {
        let server = start(programs, dir, settings)?;
        let client = runtime.block_on(connect())?;
        runtime.block_on(client.batch_execute("set statement_timeout = '60s'"))?;
        Ok(Asked { runtime, client, _server: server })
    }

    fn value(&self, sql: &str) -> Result<String> {
        value(self.runtime, &self.client, sql)
    }

    /// How many milliseconds a query takes, and how many rows it has. One that is too late has taken as long.
    fn timed(&self, sql: &str) -> Result<(f64, usize)> {
        let started = Instant::now();
        let answer = self.runtime.block_on(self.client.simple_query(sql));
        let took = started.elapsed();
        let rows = match answer {
            Ok(messages) => {
                messages.iter().filter(|m| matches!(m, SimpleQueryMessage::Row(_))).count()
            }
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => 1,
            Err(error) => return Err(error).context(sql.to_owned()),
        };
        Ok((took.as_secs_f64() * 1e3, rows))
    }
}
