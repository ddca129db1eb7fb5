//! Reads through the real server: long lists, long sessions, many segments.

use crate::ingest::send;
use crate::server::Server;
use anyhow::{Result, bail};
use daybook_engine::event::Micros;
use daybook_engine::{Batch, Engine, Options};
use serde_json::Value;
use std::path::Path;
use std::time::Instant;

/// The p50 and p95 of some requests to the same address, in milliseconds, and the last answer.
pub(crate) fn times(server: &Server, path: &str, rounds: usize) -> Result<(f64, f64, Value)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let mut times = Vec::new();
        let mut last = Value::Null;
        for _ in 0..rounds {
            let started = Instant::now();
            let answer = client.get(format!("{}{path}", server.url)).send().await?;
            let status = answer.status();
            last = answer.json().await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            if !status.is_success() {
                bail!("{path} answered {status}: {last}");
            }
        }
        times.sort_by(f64::total_cmp);
        let at = |q: f64| times.get((times.len() as f64 * q) as usize).copied().unwrap_or(0.0);
        Ok((at(0.5), at(0.95), last))
    })
}

/// The first page of a list of very many sessions, by each filter.
pub(crate) fn list(dir: &Path, sessions: u64) -> Result<()> {
    let engine = Engine::open(dir, Options::default())?;
    let start = 1_767_225_600_000_000_i64; // 2026-01-01
    let types = ["database", "ssh", "kubernetes", "application"];
    let mut batch = Batch::new();
    for i in 0..sessions {
        let time = Micros(start + i as i64 * 15_000_000);
        let end = Micros(time.0 + 1_000_000 + (i as i64 * 7_919) % 600_000_000);
        let (kind, role) = (types.get((i % 4) as usize).copied().unwrap_or_default(), i % 97);
        let user = (i * 2_654_435_761) % 5_003;
        let lines = [
            format!(
                r#"{{"session":"s{i:08}","seq":0,"time":"{time}","kind":"session.start","user":"user{user}@example.com","role":"role-{role}","type":"{kind}","tags":["team-{}"]}}"#,
                i % 23
            ),
            format!(
                r#"{{"session":"s{i:08}","seq":1,"time":"{end}","kind":"session.end","status":"{}"}}"#,
                if i % 50 == 0 { "failed" } else { "done" }
            ),
        ];
        for line in lines.iter().take(if i % 1_000 == 0 { 1 } else { 2 }) {
            batch.push(i, line.as_bytes()).map_err(anyhow::Error::msg)?;
        }
        if batch.bytes() > 1 << 20 {
            engine.append_blocking(std::mem::take(&mut batch))?;
        }
    }
    engine.append_blocking(batch)?;
    engine.seal_now()?;
    engine.close()?;
    drop(engine);
    let server = Server::start(dir, &[])?;
    for (name, query) in [
        ("no filter", ""),
        ("user", "&user=user17@example.com"),
        ("role", "&role=role-42"),
        ("role-*", "&q=role:role-4*"),
        ("type", "&type=database"),
        ("status", "&status=done"),
        ("tag", "&tag=team-7"),
        ("period", "&after=2026-02-01T00:00:00Z&before=2026-03-01T00:00:00Z"),
    ] {
        let (p50, p95, page) = times(&server, &format!("/v1/sessions?limit=50{query}"), 60)?;
        println!(
            "list       {sessions} sessions, first page, {name:<9}: p50 {p50:>5.1} ms, p95 {p95:>5.1} ms (count {})",
            page["count"]
        );
    }
    Ok(())
}

/// The first page of a long session whose events arrived between those of a thousand others.
pub(crate) fn timeline(dir: &Path, quick: bool) -> Result<()> {
    let (long, others) = if quick { (1_000, 50) } else { (10_000, 1_000) };
    let engine = Engine::open(dir, Options::default())?;
    let mut batch = Batch::new();
    let mut seqs = vec![0u32; others];
    for i in 0..long {
        let time = Micros(1_772_000_000_000_000 + i64::from(i) * 50_000);
        let line = format!(
            r#"{{"session":"long","seq":{i},"time":"{time}","kind":"command","input":"select * from orders where id = {i}","verdict":"passed","output":"id | total\n{i} | {}\n"}}"#,
            i * 37
        );
        batch.push(0, line.as_bytes()).map_err(anyhow::Error::msg)?;
        for j in 0..20 {
            let other = (i as usize * 20 + j) % others;
            let Some(seq) = seqs.get_mut(other) else { continue };
            let line = format!(
                r#"{{"session":"other-{other}","seq":{seq},"time":"{time}","kind":"terminal.output","text":"line {seq} of some output that scrolls by"}}"#
            );
            *seq += 1;
            batch.push(0, line.as_bytes()).map_err(anyhow::Error::msg)?;
        }
        if batch.bytes() > 1 << 20 {
            engine.append_blocking(std::mem::take(&mut batch))?;
        }
    }
    engine.append_blocking(batch)?;
    engine.seal_now()?;
    engine.close()?;
    drop(engine);
    let server = Server::start(dir, &[])?;
    for (name, path) in [
        ("first page", "/v1/sessions/long/timeline?limit=100"),
        ("at a time", "/v1/sessions/long/timeline?limit=100&at=2026-02-25T06:18:00Z"),
    ] {
        let (p50, p95, page) = times(&server, path, 100)?;
        let items = page["items"].as_array().map_or(0, Vec::len);
        println!(
            "timeline   {long} events among {others} other sessions, sealed, {name}: p50 {p50:.1} ms, p95 {p95:.1} ms ({items} items)"
        );
    }
    Ok(())
}

/// A start with very many segments.
pub(crate) fn start(dir: &Path, segments: u64) -> Result<()> {
    let engine = Engine::open(dir, Options { index_heap_bytes: 16 << 20, ..Options::default() })?;
    for i in 0..segments {
        let mut batch = Batch::new();
        for seq in 0..20 {
            let time = Micros(1_772_000_000_000_000 + (i as i64 * 20 + seq) * 1_000_000);
            let line = format!(
                r#"{{"session":"s{}","seq":{},"time":"{time}","kind":"command","input":"select {i}","verdict":"passed"}}"#,
                i % 50,
                (i / 50) * 20 + seq as u64
            );
            batch.push(0, line.as_bytes()).map_err(anyhow::Error::msg)?;
        }
        engine.append_blocking(batch)?;
        engine.seal_now()?;
    }
    engine.close()?;
    drop(engine);
    let server = Server::start(dir, &[])?;
    println!(
        "start      {segments} sealed segments: ready after {:.0} ms",
        server.ready_after.as_secs_f64() * 1e3
    );
    let (p50, p95, _) = times(&server, "/v1/search?q=select&limit=20", 20)?;
    println!("           a search over them: p50 {p50:.1} ms, p95 {p95:.1} ms");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = format!(
        r#"{{"session":"new","seq":0,"time":"{}","kind":"note","by":"a@example.com","text":"x"}}"#,
        Micros::now()
    );
    let started = Instant::now();
    runtime.block_on(send(&reqwest::Client::new(), &server.url, line))?;
    println!(
        "           the first event of a new session: acknowledged after {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}
