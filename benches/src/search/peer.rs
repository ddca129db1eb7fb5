//! What both peers have in common: how many events they load, and what is noted of it.

use super::generate::{Row, Stream};
use crate::source::Source;
use anyhow::Result;
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// So many events are loaded first, to see how many there is time for.
const SLICE: u64 = 50_000;
/// So much of the time is planned for: larger indexes grow slower.
const CAUTION: f64 = 0.75;
const LOADED: &str = "search-load.json";

/// How many events a peer may load, and in what time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub events: u64,
    pub seconds: u64,
    pub seed: u64,
}

/// The events that a peer has: those of an earlier run, or as many as it loads in its time. `load` loads a
/// stream into an empty peer and answers what is to be said of it.
pub(crate) fn loaded(
    (name, dir): (&str, &Path),
    source: &Source,
    share: Share,
    load: impl Fn(&Stream) -> Result<String>,
) -> Result<Stream> {
    let note = dir.join(LOADED);
    let stream = |events| Stream::new(source, events, share.seed);
    if let Ok(bytes) = std::fs::read(&note) {
        let earlier: Value = serde_json::from_slice(&bytes)?;
        let events = earlier["events"].as_u64().unwrap_or_default();
        // In less time it may have loaded fewer.
        if events >= share.events || earlier["seconds"].as_u64() == Some(share.seconds) {
            println!(
                "           {name}, loaded earlier: {}",
                earlier["said"].as_str().unwrap_or("")
            );
            return stream(events);
        }
    }
    let mut events = share.events;
    if events > SLICE {
        let slice = stream(SLICE)?;
        let took = timed(&slice, &load)?.0;
        let rate = slice.events as f64 / took.as_secs_f64();
        events = events.min((rate * share.seconds as f64 * CAUTION) as u64);
        println!("           {name}: {rate:.0} events/s of the first {}", slice.events);
    }
    let stream = stream(events)?;
    let (took, said) = timed(&stream, &load)?;
    let said = format!(
        "{} events in {:.0} s with their indexes ({:.0} events/s); {said}",
        stream.events,
        took.as_secs_f64(),
        stream.events as f64 / took.as_secs_f64()
    );
    println!("           {name}, loaded now: {said}");
    let noted =
        serde_json::json!({"events": stream.events, "seconds": share.seconds, "said": said});
    std::fs::write(&note, noted.to_string())?;
    Ok(stream)
}

fn timed(stream: &Stream, load: impl Fn(&Stream) -> Result<String>) -> Result<(Duration, String)> {
    let started = Instant::now();
    let said = load(stream)?;
    Ok((started.elapsed(), said))
}

/// The texts of an event in one, without the byte that PostgreSQL does not take.
pub(crate) fn body(row: &Row<'_>) -> Result<String> {
    let event = Event::decode(row.line.as_bytes()).map_err(anyhow::Error::msg)?;
    let texts = Texts::of(&event);
    let texts: Vec<&str> = texts.iter().map(|(_, text)| text).collect();
    Ok(texts.join("\n").replace('\0', " "))
}
