//! ClickHouse, as chDB has it in a process of Python's: a table by time, a text index over the texts, one of
//! their parts, and Bloom filters for users and sessions. All is merged into one part. There is no HTTP between
//! the query and its answer.

use super::draw;
use super::generate::Stream;
use super::measure::{Effort, Figures, drop_caches};
use super::peer::{Share, body, loaded};
use super::queries::{Ask, Class};
use super::sql::Dialect;
use crate::clickhouse::{installed, python};
use crate::source::Source;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("../../peers/search.py");
const DIALECT: Dialect = Dialect::Clickhouse;
/// Rows that are inserted at once.
const INSERT: u64 = 200_000;

/// Loads as many events as there is time for, and asks for them; nothing if it is not installed.
pub(crate) fn report(
    dir: &Path,
    source: &Source,
    share: Share,
    effort: Effort,
) -> Result<Option<Vec<Figures>>> {
    if !installed() {
        println!("           chDB is not installed (pip install chdb): skipped");
        return Ok(None);
    }
    let data = dir.join("data");
    let stream = loaded(("chDB", dir), source, share, |stream| load(dir, &data, stream))?;
    let asks = draw::draw(&stream, share.seed)?;
    let mut figures = Vec::new();
    for class in Class::ALL {
        let mine: Vec<&Ask> = asks.iter().filter(|ask| ask.class == class).collect();
        let mut queries: Vec<String> = mine.iter().map(|ask| DIALECT.query(ask, None)).collect();
        if class == Class::DeepPage {
            let mut asked = Script::start("values", &data, &[])?;
            for (query, ask) in queries.iter_mut().zip(&mine) {
                let hits = asked.answer(&json!(DIALECT.count(ask)).to_string())?.parse()?;
                let behind = DIALECT.behind(ask, hits).map(|sql| json!(sql).to_string());
                let behind = behind.map(|sql| asked.answer(&sql)).transpose()?;
                *query = DIALECT.query(ask, behind.as_deref());
            }
            asked.end()?;
        }
        let file = dir.join("queries");
        let lines: Vec<String> = queries.iter().map(|query| json!(query).to_string()).collect();
        std::fs::write(&file, lines.join("\n"))?;
        drop_caches(dir, effort)?;
        let (seconds, requests) =
            (effort.class_time.as_secs_f64().to_string(), effort.requests.to_string());
        let file = file.to_string_lossy();
        let mut asked = Script::start("ask", &data, &[&file, &seconds, &requests])?;
        let answer: Value = serde_json::from_str(&asked.line()?)?;
        asked.end()?;
        let warm = answer["warm"].as_array().context("no times")?;
        figures.push(Figures::new(
            class,
            answer["cold"].as_f64().unwrap_or(f64::NAN),
            answer["empty"].as_u64().unwrap_or(0) as usize,
            warm.iter().filter_map(Value::as_f64).collect(),
        ));
    }
    Ok(Some(figures))
}

/// Loads a stream into an empty table; answers what it takes on the disk.
fn load(dir: &Path, data: &Path, stream: &Stream) -> Result<String> {
    if data.exists() {
        std::fs::remove_dir_all(data)?;
    }
    let path = dir.join("rows.ndjson");
    let mut script = Script::start("load", data, &[])?;
    let mut rows = BufWriter::new(File::create(&path)?);
    for row in stream.rows() {
        let value = json!({
            "id": row.number, "session": row.session, "seq": row.seq,
            "time": row.time.to_string().replace('T', " ").replace('Z', ""),
            "username": row.user, "role": row.role, "type": row.role_type, "kind": row.kind,
            "verdict": row.verdict.unwrap_or_default(), "body": body(&row)?,
        });
        writeln!(rows, "{value}")?;
        if (row.number + 1) % INSERT == 0 || row.number + 1 == stream.events {
            rows.flush()?;
            script.answer(&path.to_string_lossy())?;
            rows = BufWriter::new(File::create(&path)?);
        }
    }
    drop(script.stdin.take());
    let said = script.line()?;
    script.end()?;
    std::fs::remove_file(&path)?;
    let mut sizes = said.split_whitespace().map(|n| n.parse().unwrap_or(f64::NAN));
    let mut next = || sizes.next().unwrap_or(f64::NAN);
    let (events, all, indexes) = (next(), next() / 1e6, next() / 1e6);
    ensure!(events == stream.events as f64, "{} were sent: {said}", stream.events);
    Ok(format!("{all:.1} MB, of which indexes {indexes:.1} MB"))
}

/// The script as a process that is asked line by line.
struct Script {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Script {
    fn start(what: &str, data: &Path, rest: &[&str]) -> Result<Script> {
        let mut child = Command::new(python())
            .args(["-c", SCRIPT, what])
            .arg(data)
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("it has no output")?);
        Ok(Script { child, stdin, stdout })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "search.py ended");
        Ok(line.trim_end().to_owned())
    }

    fn answer(&mut self, asked: &str) -> Result<String> {
        let stdin = self.stdin.as_mut().context("its input is closed")?;
        writeln!(stdin, "{asked}")?;
        stdin.flush()?;
        self.line()
    }

    fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "search.py failed: {status}");
        Ok(())
    }
}
