//! From an ack to the search that finds the event.

use crate::client::Client;
use crate::command::load::histogram;
use crate::demo::rng::Rng;
use daybook_engine::event::Micros;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// What the probe saw.
pub struct Searchable {
    /// From ack to found, in microseconds.
    pub times: Histogram<u64>,
    /// Events that were not found, and failed requests.
    pub errors: u64,
    /// What went wrong first.
    pub first_error: Option<String>,
}

/// How long an event may take to be found before that is an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two events of the probe.
const PAUSE: Duration = Duration::from_millis(200);

/// Until `end`: sends an event with a word of its own, and searches for it until it is found.
///
/// # Errors
/// None but a histogram that can't be made.
pub async fn searchable(client: Client, end: Instant) -> anyhow::Result<Searchable> {
    let mut seen = Searchable { times: histogram()?, errors: 0, first_error: None };
    let mut rng = Rng::new(Micros::now().0.unsigned_abs());
    let session = format!("load-probe-{}", rng.id(10));
    for seq in 0u32.. {
        if Instant::now() >= end {
            break;
        }
        let word = format!("probe{}", rng.id(16));
        let line = json!({
            "session": session, "seq": seq, "time": Micros::now().to_string(), "kind": "command",
            "input": format!("SELECT '{word}'"), "language": "sql", "verdict": "passed",
        });
        match once(&client, &word, format!("{line}\n")).await {
            Ok(took) => seen.times.saturating_record((took.as_micros() as u64).max(1)),
            Err(error) => {
                seen.errors += 1;
                seen.first_error.get_or_insert(format!("{error:#}"));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seen)
}

async fn once(client: &Client, word: &str, line: String) -> anyhow::Result<Duration> {
    client.send(line.into(), PATIENCE).await?;
    let acked = Instant::now();
    let params = [("q", word.to_owned()), ("limit", "1".to_owned())];
    loop {
        let page = client.get("/v1/search", &params).await?;
        if page.get("items").and_then(Value::as_array).is_some_and(|items| !items.is_empty()) {
            return Ok(acked.elapsed());
        }
        if acked.elapsed() > PATIENCE {
            anyhow::bail!("an acked event was not found by a search within {PATIENCE:?}");
        }
    }
}
