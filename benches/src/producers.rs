//! Many producers: events a second and the time to their acknowledgement, by how many send and how much
//! at once; and what the server's memory does meanwhile.
//!
//! The client is as plain as can be (requests made beforehand, one connection a producer, no library), for
//! it runs on the same cores. What is acknowledged is on the disk: the server runs as always, with its text
//! index and `fdatasync`.

use crate::ingest::stats;
use crate::mb;
use crate::outcome::{Outcome, Sent};
use crate::server::Server;
use crate::source::Source;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What the server of a soak keeps: then the oldest segments go, and their number stands still.
const SOAK_KEEPS: &str = "500MiB";
/// Events in a session; then its producer begins another.
const SESSION_EVENTS: u64 = 1_000;

/// Reads `PRODUCERS:BATCH`.
pub(crate) fn run(text: &str) -> Result<(usize, usize)> {
    let (producers, batch) = text.split_once(':').context("write it like 64:1")?;
    Ok((producers.parse()?, batch.parse()?))
}

/// Reports each number of producers with each size of batch, or only these runs.
pub(crate) fn report(
    dir: &Path,
    source: &Source,
    only: &[(usize, usize)],
    quick: bool,
) -> Result<()> {
    let (numbers, sizes): (&[usize], &[usize]) = match quick {
        true => (&[1, 8], &[1, 100]),
        false => (&[1, 8, 64, 1_000], &[1, 10, 100, 1_000]),
    };
    // Small batches first: large ones leave work behind them, which the next run would pay for.
    let all: Vec<(usize, usize)> =
        sizes.iter().flat_map(|b| numbers.iter().map(move |n| (*n, *b))).collect();
    let lasts = if quick { Duration::from_millis(300) } else { Duration::from_secs(4) };
    let server = Server::start(dir, &[])?;
    Outcome::print_head("producers");
    let runs = if only.is_empty() { &all } else { only };
    for (run, &(producers, batch)) in runs.iter().enumerate() {
        let events = |server| anyhow::Ok(stats(server)?["events"].as_u64().unwrap_or(0));
        let before = events(&server)?;
        let outcome = load(&server, source, (run, producers, batch), lasts)?;
        let stored = events(&server)? - before;
        ensure!(
            stored == outcome.events,
            "{} were acknowledged, {stored} are there",
            outcome.events
        );
        outcome.print(producers, batch);
    }
    println!("           the server's memory at its peak: {} MiB", server.memory_peak_mib()?);
    Ok(())
}

fn load(
    server: &Server,
    source: &Source,
    (run, producers, batch): (usize, usize, usize),
    lasts: Duration,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let host = server.url.trim_start_matches("http://").to_owned();
    let cpu_before = server.cpu_seconds()?;
    let mut outcome = runtime.block_on(async {
        // Made before the clock starts: with a thousand producers that takes longer than the run.
        let shares: Vec<Vec<String>> = (0..producers).map(|p| share(source, p, batch)).collect();
        let mut tasks = JoinSet::new();
        let started = Instant::now();
        let until = started + lasts;
        for (producer, lines) in shares.into_iter().enumerate() {
            let (host, name) = (host.clone(), format!("r{run}p{producer}"));
            tasks.spawn(async move { produce(&host, &name, &lines, batch, until).await });
        }
        Outcome::of(tasks, started).await
    })?;
    outcome.cpu = server.cpu_seconds()? - cpu_before;
    Ok(outcome)
}

/// Some of the lines, behind their session's name: what is in front is made anew each time.
fn share(source: &Source, producer: usize, batch: usize) -> Vec<String> {
    let from = producer * 97 % source.lines.len().max(1);
    let lines = source.lines.iter().cycle().skip(from).take(batch.max(64));
    lines.filter_map(|line| without_name(line)).collect()
}

/// A line without its session and number, but for the brace at its end.
fn without_name(line: &str) -> Option<String> {
    let mut event: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = event.as_object_mut()?;
    fields.remove("session");
    fields.remove("seq");
    Some(event.to_string().strip_prefix('{')?.to_owned())
}

/// So often is a batch sent again whose connection broke.
const BROKEN_MAX: usize = 20;

/// Sends batch after batch on one connection, each when the one before is acknowledged.
async fn produce(
    host: &str,
    name: &str,
    lines: &[String],
    batch: usize,
    until: Instant,
) -> Result<Sent> {
    let mut socket = TcpStream::connect(host).await?;
    socket.set_nodelay(true)?;
    let (mut sent, mut next) = (Sent::new()?, lines.iter().cycle());
    let (mut body, mut request) = (String::new(), Vec::new());
    let mut answer = Vec::new();
    while Instant::now() < until {
        body.clear();
        for seq in (sent.events..).take(batch) {
            let rest = next.next().context("there are no lines")?;
            let session = seq / SESSION_EVENTS;
            body.push_str(&format!("{{\"session\":\"{name}-{session}\",\"seq\":{seq},{rest}\n"));
        }
        request.clear();
        request.extend_from_slice(
            format!(
                "POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
        let began = Instant::now();
        let mut broken = 0;
        let stored = loop {
            // A server under pressure may answer, and close, before it has taken the whole body.
            let written = socket.write_all(&request).await;
            match read_answer(&mut socket, &mut answer).await {
                Ok(Some(stored)) => break stored,
                Ok(None) if written.is_ok() => {}
                Err(error) if broken == BROKEN_MAX => return Err(error),
                Ok(None) | Err(_) => {
                    broken += 1;
                    socket = TcpStream::connect(host).await?;
                }
            }
            // Busy. What that takes is in the time to this batch's acknowledgement.
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        ensure!(stored == batch as u64, "{}", String::from_utf8_lossy(&answer));
        sent.acknowledged(began, stored, body.len() as u64)?;
    }
    Ok(sent)
}

/// Reads one answer: how many events are stored, or nothing if the server is busy.
async fn read_answer(socket: &mut TcpStream, answer: &mut Vec<u8>) -> Result<Option<u64>> {
    answer.clear();
    loop {
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).await?;
        if read == 0 {
            bail!("the server closed: {}", String::from_utf8_lossy(answer));
        }
        answer.extend_from_slice(piece.get(..read).unwrap_or_default());
        let text = std::str::from_utf8(answer)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let length: usize = length.context("an answer without a length")?;
        if body.len() >= length {
            if head.split(' ').nth(1) == Some("503") {
                return Ok(None);
            }
            let receipt: serde_json::Value = serde_json::from_str(body)?;
            let count = |name: &str| receipt[name].as_u64().unwrap_or(0);
            return Ok(Some(count("accepted") + count("duplicates")));
        }
    }
}

/// The server's memory with a thousand producers that each send slowly, and with 64 that send as fast as
/// they can.
pub(crate) fn pressure(dir: &Path, source: &Source, quick: bool) -> Result<()> {
    let (slow, lasts) = match quick {
        true => (50, Duration::from_millis(500)),
        false => (1_000, Duration::from_secs(10)),
    };
    let server = Server::start(dir, &[])?;
    let idle = server.memory_mib()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let host = server.url.trim_start_matches("http://").to_owned();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for producer in 0..slow {
            // Long outputs are not slow: they hold what an upload may hold.
            let short = |line: &String| line.len() < 2_000;
            let lines: Vec<String> =
                share(source, producer, 1_000).into_iter().filter(short).collect();
            let host = host.clone();
            tasks.spawn(async move { trickle(&host, producer, &lines, lasts).await });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        anyhow::Ok(())
    })?;
    let slowly = server.memory_peak_mib()?;
    load(&server, source, (9_999, 64, 1_000), lasts)?;
    println!(
        "pressure   memory: {idle} MiB idle, at most {slowly} MiB with {slow} connections that each send a line a second, at most {} MiB with 64 producers that send as fast as they can",
        server.memory_peak_mib()?,
    );
    Ok(())
}

/// Eight producers that send as fast as they can, for a long time, to a server that keeps so many bytes: its
/// memory and open files, and what waits to be sealed, twenty times on the way.
pub(crate) fn soak(dir: &Path, source: &Source, lasts: Duration) -> Result<()> {
    let server =
        Server::start(dir, &["--keep-bytes", SOAK_KEEPS, "--set", "retention_interval=5s"])?;
    println!("soak       after s     events  memory MiB  open files  unsealed MB  segments");
    let mut events = 0;
    for part in 1..=20 {
        events += load(&server, source, (part, 8, 100), lasts / 20)?.events;
        let now = stats(&server)?;
        println!(
            "           {:>7.0}  {:>9}  {:>10}  {:>10}  {:>11.1}  {:>8}",
            lasts.as_secs_f64() * part as f64 / 20.0,
            events,
            server.memory_mib()?,
            now["open_files"].as_u64().unwrap_or(0),
            mb(now["journal_bytes"].as_u64().unwrap_or(0)),
            now["segments"].as_u64().unwrap_or(0),
        );
    }
    Ok(())
}

/// One upload, a line a second.
async fn trickle(host: &str, producer: usize, lines: &[String], lasts: Duration) -> Result<()> {
    let mut socket = TcpStream::connect(host).await?;
    let head =
        format!("POST /v1/events HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    let (mut seq, until) = (0, Instant::now() + lasts);
    while Instant::now() < until {
        let rest = lines.get(seq % lines.len().max(1)).context("there are no lines")?;
        let line = format!("{{\"session\":\"slow{producer}\",\"seq\":{seq},{rest}\n");
        socket.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await?;
        seq += 1;
        tokio::time::sleep(Duration::from_secs(1).min(lasts / 4)).await;
    }
    socket.write_all(b"0\r\n\r\n").await?;
    let stored = read_answer(&mut socket, &mut Vec::new()).await?;
    ensure!(stored == Some(seq as u64), "{seq} lines were sent, {stored:?} are stored");
    Ok(())
}
