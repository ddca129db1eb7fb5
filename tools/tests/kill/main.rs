//! The server is killed with SIGKILL in the middle of ingest, again and again. Whatever it
//! acknowledged is there after the last restart, once; and nothing is there that was never sent.
//!
//! A kill leaves what reached the system's page cache, so this finds lost acks, half batches, double
//! events and broken recovery; it does not find a missing `fdatasync`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, run};
use daybook_engine::event::Micros;
use daybook_tools::client::{Client, Sent};
use daybook_tools::demo::rng::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const PRODUCERS: u64 = 4;

/// What a producer knows: the next event of its session, and which were acknowledged.
struct Producer {
    session: String,
    rng: Rng,
    /// Everything that was ever sent, acknowledged or not.
    sent: BTreeMap<u64, String>,
    acked: BTreeSet<u64>,
}

impl Producer {
    fn new(number: u64) -> Producer {
        Producer {
            session: format!("kill-{number}"),
            rng: Rng::new(number),
            sent: BTreeMap::new(),
            acked: BTreeSet::new(),
        }
    }

    /// Sends batch after batch until the server is gone. What was sent but never acknowledged is sent
    /// again first, as a proxy does.
    async fn run(mut self, client: Client) -> Producer {
        loop {
            let mut batch: Vec<u64> =
                self.sent.keys().filter(|seq| !self.acked.contains(seq)).copied().collect();
            for _ in 0..self.rng.between(1, 200) {
                let seq = self.sent.len() as u64;
                let text = "x".repeat(self.rng.between(0, 400) as usize);
                let line = json!({
                    "session": self.session, "seq": seq, "time": Micros::now().to_string(),
                    "kind": "command", "input": format!("SELECT {seq}, '{text}'"),
                });
                self.sent.insert(seq, line.to_string());
                batch.push(seq);
            }
            let lines: Vec<&str> = batch.iter().map(|seq| self.sent[seq].as_str()).collect();
            match client.send_once((lines.join("\n") + "\n").into()).await {
                Ok(Sent::Stored(receipt)) => {
                    assert!(receipt.rejected.is_empty(), "{:?}", receipt.rejected);
                    assert_eq!(receipt.accepted + receipt.duplicates, batch.len() as u64);
                    self.acked.extend(batch);
                }
                Ok(Sent::Busy(wait)) => tokio::time::sleep(wait).await,
                Err(_) => return self,
            }
        }
    }
}

#[test]
fn every_acked_event_survives_twenty_kills_once_and_no_other_appears() {
    kill_again_and_again(20, &[]);
}

#[test]
fn the_same_holds_with_encryption_and_small_journals() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let line = run(0, &["keygen", "--id", "5"]);
    std::fs::write(&keys, line).unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    let keys = keys.to_str().unwrap();
    kill_again_and_again(8, &["--encryption-key-file", keys, "--journal-bytes", "256KiB"]);
}

fn kill_again_and_again(kills: u64, flags: &[&str]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut producers: Vec<Producer> = (0..PRODUCERS).map(Producer::new).collect();
    let mut rng = Rng::new(7);
    let started = [&["--quiet"], flags].concat();
    for _ in 0..kills {
        let server = Server::start(&data, &started);
        let client = Client::new(&server.address, None).unwrap();
        let wait = Duration::from_millis(rng.between(30, 400));
        producers = runtime.block_on(async {
            let running: Vec<_> = std::mem::take(&mut producers)
                .into_iter()
                .map(|producer| tokio::spawn(producer.run(client.clone())))
                .collect();
            tokio::time::sleep(wait).await;
            tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
            let mut back = Vec::new();
            for producer in running {
                back.push(producer.await.unwrap());
            }
            back
        });
    }
    let acked: usize = producers.iter().map(|p| p.acked.len()).sum();
    assert!(acked > 1_000, "only {acked} events were acknowledged: the test tests nothing");

    let server = Server::start(&data, &started);
    let out = dir.path().join("all.ndjson");
    run(0, &["export", "--server", &server.address, "-o", out.to_str().unwrap()]);
    let mut found: BTreeMap<String, BTreeMap<u64, Value>> = BTreeMap::new();
    let mut offsets = BTreeSet::new();
    for line in std::fs::read_to_string(&out).unwrap().lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        let offset = event.as_object_mut().unwrap().remove("offset").unwrap();
        assert!(offsets.insert(offset.as_u64().unwrap()), "offset {offset} twice");
        if event["kind"] == "access" {
            continue;
        }
        let (session, seq) =
            (event["session"].as_str().unwrap().to_owned(), event["seq"].as_u64().unwrap());
        let before = found.entry(session.clone()).or_default().insert(seq, event);
        assert!(before.is_none(), "event {seq} of {session} is there twice");
    }
    assert_eq!(found.len() as u64, PRODUCERS, "sessions that were never sent: {:?}", found.keys());
    for producer in &producers {
        let stored = &found[&producer.session];
        for seq in &producer.acked {
            assert!(stored.contains_key(seq), "acked event {seq} of {} is lost", producer.session);
        }
        for (seq, event) in stored {
            let sent =
                producer.sent.get(seq).map(|line| serde_json::from_str::<Value>(line).unwrap());
            assert_eq!(Some(event), sent.as_ref(), "event {seq} is not what was sent");
        }
        // The timeline knows the same events as the export.
        let shown = run(0, &["show", "--json", "--server", &server.address, &producer.session]);
        assert_eq!(shown.lines().count(), stored.len());
    }
    server.stop();
    // Without the keys, where there are any, it sees all the same that every block is whole.
    run(0, &["inspect", data.to_str().unwrap()]);
}
