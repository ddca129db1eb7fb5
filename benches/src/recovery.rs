//! A start after a crash: the server is killed with a full journal, which it reads through when it
//! starts again. Beside it the time of just reading that file, from the page cache as well.

use crate::ingest::{Run, stats};
use crate::mb;
use crate::server::Server;
use crate::source::Source;
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::Instant;

const BODY_BYTES: usize = 1 << 20;

/// Fills a journal, kills the server and times its start.
pub(crate) fn report(dir: &Path, source: &Source, producers: usize, quick: bool) -> Result<()> {
    let full: u64 = if quick { 16 << 20 } else { 256 << 20 };
    // It may become larger, so that it is not sealed at the moment when it is full.
    let flags = ["--journal-bytes", "8GiB", "--journal-age", "1d"];
    let server = Server::start(dir, &flags)?;
    let (mut raw, mut round) = (0, 0);
    while raw < full {
        let again = another(source, round, full - raw);
        Run::load(&server, again.bodies(producers, BODY_BYTES))?;
        let now = stats(&server)?["journal_bytes"].as_u64().unwrap_or(0);
        ensure!(now > raw, "the journal does not grow any more at {now} bytes (round {round})");
        (raw, round) = (now, round + 1);
    }
    let events = stats(&server)?["events"].as_u64();
    server.kill()?;
    let (stored, read) = read_journals(&dir.join("journal"))?;
    let started = Instant::now();
    let server = Server::start(dir, &flags)?;
    let ready = server.ready_after.as_secs_f64();
    let found = stats(&server)?["events"].as_u64();
    let answered = started.elapsed().as_secs_f64();
    ensure!(events == found, "{events:?} events were there, {found:?} are there after the crash");
    println!(
        "recovery   kill -9 with {:.1} MB in the journal ({:.1} MB on the disk): listens after {:.0} ms, {:.0} MB/s ({:.0} MB/s of the file); first answer after {:.0} ms",
        mb(raw),
        mb(stored),
        ready * 1e3,
        mb(raw) / ready,
        mb(stored) / ready,
        answered * 1e3,
    );
    println!(
        "           a plain read of the file takes {:.0} ms, {:.0} MB/s",
        read * 1e3,
        mb(stored) / read
    );
    Ok(())
}

/// The same events, up to so many bytes, in other sessions each round: what is there already would not
/// be stored again.
fn another(source: &Source, round: u64, bytes_max: u64) -> Source {
    let mut other = Source {
        name: source.name.clone(),
        lines: Vec::new(),
        sessions: Vec::new(),
        raw_bytes: 0,
        text_bytes: 0,
    };
    for (line, session) in source.lines.iter().zip(&source.sessions) {
        if other.raw_bytes > bytes_max {
            break;
        }
        let renamed = ["\"session\":\"", "\"session\": \""]
            .iter()
            .filter(|name| line.contains(**name))
            .map(|name| line.replacen(name, &format!("{name}again{round}-"), 1))
            .next()
            .unwrap_or_else(|| line.clone());
        other.raw_bytes += renamed.len() as u64 + 1;
        other.lines.push(renamed);
        other.sessions.push(session.clone());
    }
    other
}

/// The bytes of the journals' files, and the seconds of reading them a second time.
fn read_journals(dir: &Path) -> Result<(u64, f64)> {
    let (mut bytes, mut seconds) = (0, 0.0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        bytes += std::fs::read(entry.path())?.len() as u64;
        let started = Instant::now();
        std::hint::black_box(std::fs::read(entry.path())?);
        seconds += started.elapsed().as_secs_f64();
    }
    Ok((bytes, seconds))
}
