//! Many producers: events a second and the time to their acknowledgement, by how many send and how much
//! at once; and what the server's memory does meanwhile.
//!
//! The client is as plain as can be (requests made beforehand, one connection a producer, no library), for
//! it runs on the same cores. What is acknowledged is on the disk: the server runs as always, with its text
//! index and `fdatasync`.

use crate::ingest::stats;
use crate::mb;
use crate::server::Server;
use crate::source::Source;
use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What all producers of a run came to.
struct Outcome {
    acks: Histogram<u64>,
    events: u64,
    bytes: u64,
    seconds: f64,
    cpu: f64,
}

/// Reports each number of producers with each size of batch.
pub(crate) fn report(dir: &Path, source: &Source, quick: bool) -> Result<()> {
    let (numbers, sizes): (&[usize], &[usize]) = match quick {
        true => (&[1, 8], &[1, 100]),
        false => (&[1, 8, 64, 1_000], &[1, 10, 100, 1_000]),
    };
    let lasts = if quick { Duration::from_millis(300) } else { Duration::from_secs(4) };
    let server = Server::start(dir, &[])?;
    println!("producers  batch   events/s     MB/s  MB/CPU s  ack p50 ms      p99    p99.9");
    for (run, (producers, batch)) in
        numbers.iter().flat_map(|n| sizes.iter().map(move |b| (*n, *b))).enumerate()
    {
        let before = server.cpu_seconds()?;
        let mut outcome = load(&server, source, (run, producers, batch), lasts)?;
        outcome.cpu = server.cpu_seconds()? - before;
        let ms = |quantile| outcome.acks.value_at_quantile(quantile) as f64 / 1e3;
        println!(
            "{producers:>9}  {batch:>5}  {:>9.0}  {:>7.1}  {:>8.1}  {:>10.2}  {:>7.2}  {:>7.2}",
            outcome.events as f64 / outcome.seconds,
            mb(outcome.bytes) / outcome.seconds,
            mb(outcome.bytes) / outcome.cpu.max(1e-9),
            ms(0.5),
            ms(0.99),
            ms(0.999),
        );
    }
    println!("           the server's memory at its peak: {} MiB", server.memory_peak_mib()?);
    drop(server);
    pressure(&dir.with_extension("pressure"), source, quick)
}

fn load(
    server: &Server,
    source: &Source,
    (run, producers, batch): (usize, usize, usize),
    lasts: Duration,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let host = server.url.trim_start_matches("http://").to_owned();
    let events_before = stats(server)?["events"].as_u64().unwrap_or(0);
    let outcome = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        let started = Instant::now();
        let until = started + lasts;
        for producer in 0..producers {
            let lines = share(source, producer, batch);
            let (host, name) = (host.clone(), format!("r{run}p{producer}"));
            tasks.spawn(async move { produce(&host, &name, &lines, batch, until).await });
        }
        let mut acks = Histogram::new(3)?;
        let (mut events, mut bytes) = (0, 0);
        while let Some(done) = tasks.join_next().await {
            let (times, sent, sent_bytes) = done??;
            acks.add(times)?;
            (events, bytes) = (events + sent, bytes + sent_bytes);
        }
        let seconds = started.elapsed().as_secs_f64();
        anyhow::Ok(Outcome { acks, events, bytes, seconds, cpu: 0.0 })
    })?;
    let stored = stats(server)?["events"].as_u64().unwrap_or(0) - events_before;
    ensure!(stored == outcome.events, "{} were acknowledged, {stored} are there", outcome.events);
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

/// Sends batch after batch on one connection, each when the one before is acknowledged.
async fn produce(
    host: &str,
    name: &str,
    lines: &[String],
    batch: usize,
    until: Instant,
) -> Result<(Histogram<u64>, u64, u64)> {
    let mut socket = TcpStream::connect(host).await?;
    socket.set_nodelay(true)?;
    let mut acks = Histogram::new(3)?;
    let (mut seq, mut bytes, mut next) = (0u64, 0u64, lines.iter().cycle());
    let (mut body, mut request) = (String::new(), Vec::new());
    let mut answer = Vec::new();
    while Instant::now() < until {
        body.clear();
        for _ in 0..batch {
            let rest = next.next().context("there are no lines")?;
            body.push_str(&format!("{{\"session\":\"{name}\",\"seq\":{seq},{rest}\n"));
            seq += 1;
        }
        bytes += body.len() as u64;
        request.clear();
        request.extend_from_slice(
            format!(
                "POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
        let sent = Instant::now();
        socket.write_all(&request).await?;
        let accepted = read_answer(&mut socket, &mut answer).await?;
        acks.record(sent.elapsed().as_micros() as u64)?;
        ensure!(accepted == batch as u64, "{}", String::from_utf8_lossy(&answer));
    }
    Ok((acks, seq, bytes))
}

/// Reads one answer and what it accepted.
async fn read_answer(socket: &mut TcpStream, answer: &mut Vec<u8>) -> Result<u64> {
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
            let receipt: serde_json::Value = serde_json::from_str(body)?;
            return Ok(receipt["accepted"].as_u64().unwrap_or(0));
        }
    }
}

/// The server's memory with a thousand producers that each send slowly, and with 64 that send as fast as
/// they can.
fn pressure(dir: &Path, source: &Source, quick: bool) -> Result<()> {
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
    let accepted = read_answer(&mut socket, &mut Vec::new()).await?;
    ensure!(accepted == seq as u64, "{seq} lines were sent, {accepted} accepted");
    Ok(())
}
