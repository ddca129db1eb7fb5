//! Sinks: what arrives and matches is sent to real receivers that fail, hang and go away, at least once and in order.

mod http;
mod rsyslog;
mod syslog;

use crate::support::{Service, command, config, ndjson};
use daybook_engine::Options;
use daybook_server::Config;
use daybook_server::push::Sink;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A sink with which what fails is tried again soon.
fn sink(name: &str, url: &str) -> Sink {
    Sink {
        url: Some(url.parse().unwrap()),
        timeout: Duration::from_secs(2),
        wait_max: Duration::from_millis(50),
        ..Sink::new(name).unwrap()
    }
}

fn with(sinks: &[Sink]) -> Config {
    Config { push: sinks.to_vec(), ..config() }
}

/// A server on a data directory that outlives it.
async fn on(data: &Path, sinks: &[Sink]) -> Service {
    let options = Options { index_heap_bytes: 16 << 20, ..Options::default() };
    Service::on(tempfile::tempdir().unwrap(), data, options, with(sinks)).await
}

/// How a sink is doing.
async fn status(service: &Service, name: &str) -> Value {
    let (code, page) = service.get("/v1/push").await;
    assert_eq!(code, 200, "{page}");
    let items = page["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap().clone()
}

async fn selects(service: &Service, session: &str, seqs: std::ops::Range<u32>) {
    let events: Vec<Value> =
        seqs.map(|seq| command(session, seq, &format!("select {seq}"))).collect();
    let (_, answer) = service.post(ndjson(&events)).await;
    assert_eq!(answer["accepted"], events.len(), "{answer}");
}

/// The events of sessions as a timeline has them, in the order of offsets.
async fn stored(service: &Service, sessions: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    for session in sessions {
        let mut cursor = String::new();
        loop {
            let path =
                format!("/v1/sessions/{session}/timeline?fold=false&limit=1000&cursor={cursor}");
            let (code, page) = service.get(&path).await;
            assert_eq!(code, 200, "{page}");
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
    }
    all.sort_by_key(offset);
    all
}

fn offset(event: &Value) -> u64 {
    event["offset"].as_u64().unwrap()
}

/// Without repetitions, in the order of the first arrival.
fn once(events: Vec<Value>) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    events.into_iter().filter(|event| seen.insert(offset(event))).collect()
}
