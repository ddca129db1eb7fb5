//! daybook itself: loading the events into a server, and asking it.

use super::generate::Stream;
use super::measure::{Effort, Figures, drop_caches};
use super::queries::{Ask, Class, DEEP, Filter, PAGE, Text};
use crate::ingest::{bytes_by_kind, send, stats};
use crate::mb;
use crate::server::Server;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const BODY_BYTES: usize = 1 << 20;
const EMPTY: &str = "nothing is found";
/// What is said of a load that is used again.
const LOADED: &str = "search-load.json";

/// Loads all events, or takes what is there from an earlier run, and says what that is.
pub(crate) fn load(dir: &Path, stream: &Stream, producers: usize, quick: bool) -> Result<()> {
    let (data, note) = (dir.join("data"), dir.join(LOADED));
    let (loaded, when) = match std::fs::read(&note) {
        Ok(bytes) => (serde_json::from_slice(&bytes)?, "loaded earlier"),
        Err(_) => {
            if data.exists() {
                std::fs::remove_dir_all(&data)?;
            }
            let loaded = load_anew(&data, stream, producers, quick)?;
            std::fs::write(&note, loaded.to_string())?;
            (loaded, "loaded now")
        }
    };
    let number = |name: &str| loaded[name].as_f64().unwrap_or(f64::NAN);
    let (raw, text) = (number("raw_bytes"), number("text_bytes"));
    println!(
        "           daybook, {when}: {} events, {:.1} MB of NDJSON, {:.1} MB of text; acknowledged after {:.1} s ({:.0} events/s, {:.1} MB/s), sealed and indexed after {:.1} s ({:.1} s CPU of the server), {} segments, memory at most {} MiB",
        number("events"),
        raw / 1e6,
        text / 1e6,
        number("acked_seconds"),
        number("events") / number("acked_seconds"),
        raw / 1e6 / number("acked_seconds"),
        number("sealed_seconds"),
        number("cpu_seconds"),
        number("segments"),
        number("memory_mib"),
    );
    let kinds = bytes_by_kind(&data)?;
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(_, bytes)| **bytes as f64 > raw * 0.0005)
        .map(|(kind, bytes)| format!("{kind} {:.1} MB ({:.3})", mb(*bytes), *bytes as f64 / raw))
        .collect();
    let index = kinds.get("text").copied().unwrap_or(0) as f64;
    println!("           stored (share of the NDJSON): {}", parts.join(", "));
    println!("           text index: {:.3} of the text (target 0.25)", index / text);
    Ok(())
}

fn load_anew(data: &Path, stream: &Stream, producers: usize, quick: bool) -> Result<Value> {
    let server = Server::start(data, &["--journal-age", if quick { "1s" } else { "60s" }])?;
    let started = Instant::now();
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..producers.max(1)).map(|_| mpsc::channel::<String>(2)).unzip();
    let url = server.url.as_str();
    let made = std::thread::scope(|scope| {
        let sending = scope.spawn(move || deliver(url, receivers));
        let made = make(stream, &senders);
        drop(senders);
        sending.join().map_err(|_| anyhow::anyhow!("the producers failed"))??;
        made
    });
    let Made { events, raw_bytes, text_bytes } = made?;
    let acked = started.elapsed();
    let stats = settled(&server)?;
    let sealed = started.elapsed();
    ensure!(stats["events"].as_u64() == Some(events), "{events} events were sent: {stats}");
    Ok(json!({
        "events": events,
        "raw_bytes": raw_bytes,
        "text_bytes": text_bytes,
        "acked_seconds": acked.as_secs_f64(),
        "sealed_seconds": sealed.as_secs_f64(),
        "cpu_seconds": server.cpu_seconds()?,
        "segments": stats["segments"],
        "memory_mib": server.memory_peak_mib()?,
    }))
}

#[derive(Default)]
struct Made {
    events: u64,
    raw_bytes: u64,
    text_bytes: u64,
}

/// Makes the events and hands them out in bodies; a session stays with one producer.
fn make(stream: &Stream, senders: &[mpsc::Sender<String>]) -> Result<Made> {
    let mut bodies = vec![String::new(); senders.len()];
    let mut made = Made::default();
    for row in stream.rows() {
        made.events += 1;
        made.raw_bytes += row.line.len() as u64 + 1;
        made.text_bytes += row.text_bytes;
        let mut hasher = DefaultHasher::new();
        row.session.hash(&mut hasher);
        let place = (hasher.finish() % senders.len() as u64) as usize;
        let (Some(body), Some(sender)) = (bodies.get_mut(place), senders.get(place)) else {
            continue;
        };
        body.push_str(&row.line);
        body.push('\n');
        if body.len() >= BODY_BYTES {
            sender.blocking_send(std::mem::take(body)).context("a producer stopped")?;
        }
    }
    for (body, sender) in bodies.into_iter().zip(senders) {
        sender.blocking_send(body).context("a producer stopped")?;
    }
    Ok(made)
}

/// Sends what each producer is given, body after body.
fn deliver(url: &str, receivers: Vec<mpsc::Receiver<String>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut producers = tokio::task::JoinSet::new();
        for mut bodies in receivers {
            let url = url.to_owned();
            producers.spawn(async move {
                let client = reqwest::Client::new();
                while let Some(body) = bodies.recv().await {
                    if !body.is_empty() {
                        send(&client, &url, body).await?;
                    }
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = producers.join_next().await {
            done??;
        }
        Ok(())
    })
}

/// Waits until all is sealed, indexed and merged.
fn settled(server: &Server) -> Result<Value> {
    let (mut before, mut same) = (Value::Null, 0);
    for _ in 0..3_600 {
        let now = stats(server)?;
        let done = now["journal_bytes"] == 0 && now["index_lag_events"] == 0;
        let at = json!([done, now["segments"], now["merges"]]);
        same = if done && at == before { same + 1 } else { 0 };
        if same >= 3 {
            return Ok(now);
        }
        before = at;
        std::thread::sleep(Duration::from_secs(1));
    }
    bail!("not everything was sealed: {}", stats(server)?)
}

/// Asks everything, class by class, each after a start of its own. Also answers how many answers were wrong.
pub(crate) fn ask(dir: &Path, asks: &[Ask], effort: Effort) -> Result<(Vec<Figures>, usize)> {
    let data = dir.join("data");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut figures, mut wrong) = (Vec::new(), 0);
    for class in Class::ALL {
        let mine: Vec<&Ask> = asks.iter().filter(|ask| ask.class == class).collect();
        let mut paths: Vec<String> = mine.iter().map(|ask| path(ask)).collect();
        if class == Class::DeepPage {
            let server = Asked::start(&data)?;
            for path in &mut paths {
                *path = runtime.block_on(server.deep(path))?;
            }
        }
        let how = drop_caches(dir, effort)?;
        if figures.is_empty() {
            println!("           cold: the first query after a start, {how}");
        }
        let server = Asked::start(&data)?;
        let first = paths.first().context("a class without queries")?;
        runtime.block_on(server.get("/healthz"))?;
        let (cold, _) = runtime.block_on(server.timed(first))?;
        let mut empty = 0;
        for (ask, path) in mine.iter().zip(&paths) {
            let faults = runtime.block_on(server.check(ask, path))?;
            wrong += usize::from(!faults.is_empty());
            empty += usize::from(faults.contains(&EMPTY.to_owned()));
            for fault in faults {
                println!("           WRONG: {path}: {fault}");
            }
        }
        let one = |at: usize| {
            let path = paths.get(at % paths.len()).context("a class without queries")?;
            Ok(runtime.block_on(server.timed(path))?.0)
        };
        figures.push(Figures::warm((class, cold, empty), effort, one)?);
    }
    let known = asks.iter().filter(|ask| ask.hits.is_some()).count();
    println!(
        "           {} answers checked, {known} against what is known to be there: {wrong} wrong",
        asks.len()
    );
    Ok((figures, wrong))
}

/// A server that is asked.
struct Asked {
    server: Server,
    client: reqwest::Client,
}

impl Asked {
    fn start(data: &Path) -> Result<Asked> {
        Ok(Asked { server: Server::start(data, &[])?, client: reqwest::Client::new() })
    }

    async fn get(&self, path: &str) -> Result<String> {
        let answer = self.client.get(format!("{}{path}", self.server.url)).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        // Too late is an answer, too: it is not complete, and took as long.
        let late = status == reqwest::StatusCode::SERVICE_UNAVAILABLE;
        ensure!(status.is_success() || late, "{path} answered {status}: {body}");
        Ok(body)
    }

    /// How many milliseconds an answer takes, and what it is.
    async fn timed(&self, path: &str) -> Result<(f64, String)> {
        let started = Instant::now();
        let body = self.get(path).await?;
        Ok((started.elapsed().as_secs_f64() * 1e3, body))
    }

    /// What is wrong with an answer: it is not whole, nothing was found, or not what is known to be there.
    async fn check(&self, ask: &Ask, path: &str) -> Result<Vec<String>> {
        let page: Value = serde_json::from_str(&self.get(path).await?)?;
        let items = page["items"].as_array().map_or(0, Vec::len);
        let mut faults = Vec::new();
        if page["complete"] != true {
            faults.push("it is not complete".to_owned());
        }
        if items == 0 {
            faults.push(EMPTY.to_owned());
        }
        if let Some(hits) = ask.hits {
            let counted: Value =
                serde_json::from_str(&self.get(&format!("{path}&count=exact")).await?)?;
            if counted["count"] != hits || items as u64 != hits.min(PAGE as u64) {
                faults.push(format!("{} were counted of {hits} hits", counted["count"]));
            }
        }
        Ok(faults)
    }

    /// The address of the deep page, or of the last one if there are not so many.
    async fn deep(&self, path: &str) -> Result<String> {
        let first: Value = serde_json::from_str(&self.get(&format!("{path}&count=exact")).await?)?;
        let count = first["count"].as_u64().or(first["count_at_least"].as_u64());
        let count = count.context("no count")? as usize;
        let mut skip = ((DEEP - 1) * PAGE).min(count.saturating_sub(1) / PAGE * PAGE);
        let (start, mut at) = (path.replace("&limit=50", ""), path.to_owned());
        println!("           deep page: page {} of {count} hits of {path}", skip / PAGE + 1);
        while skip > 0 {
            let step = skip.min(1_000);
            let cursor = at.split_once("&cursor=").map_or("", |(_, cursor)| cursor).to_owned();
            let from = if cursor.is_empty() { cursor } else { format!("&cursor={cursor}") };
            let page: Value =
                serde_json::from_str(&self.get(&format!("{start}&limit={step}{from}")).await?)?;
            let next = page["next_cursor"].as_str().context("the pages end too early")?;
            at = format!("{path}&cursor={}", encoded(next));
            skip -= step;
        }
        Ok(at)
    }
}

/// What is asked for, as the server takes it.
fn path(ask: &Ask) -> String {
    let text = match &ask.text {
        Text::None => String::new(),
        Text::Words(words) => words.join(" "),
        Text::Phrase(text) => format!("\"{text}\""),
        Text::Token(token) => token.clone(),
        Text::Part(part) if part.contains(' ') => format!("\"{part}\""),
        Text::Part(part) => format!("*{part}*"),
        Text::Regex(regex) => format!("~\"{regex}\""),
    };
    let filters = ask.filters.iter().map(|filter| match filter {
        Filter::User(user) => format!("user:{user}"),
        Filter::Role(role) => format!("role:\"{role}\""),
        Filter::Type(role_type) => format!("type:{role_type}"),
        Filter::Kind(kind) => format!("kind:{kind}"),
        Filter::Verdict(verdict) => format!("verdict:{verdict}"),
        Filter::Session(session) => format!("session:\"{session}\""),
        Filter::After(time) => format!("after:{time}"),
    });
    let query: Vec<String> =
        std::iter::once(text).chain(filters).filter(|part| !part.is_empty()).collect();
    let show = match ask.class {
        Class::Count => "&limit=1&count=exact".to_owned(),
        Class::Facets => "&limit=1&facets=true".to_owned(),
        Class::Histogram => "&limit=1&histogram=true".to_owned(),
        _ => format!("&limit={PAGE}"),
    };
    format!("/v1/search?q={}{show}", encoded(&query.join(" ")))
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
