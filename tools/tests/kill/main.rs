//! The server is killed with SIGKILL again and again while everything goes on at once: ingest, queries,
//! sealing, merging, retention under a policy with a legal hold, checkpoints. Whatever it acknowledged
//! and had to keep is there after the last restart, once; nothing is there that was never sent; and the
//! log continues every checkpoint that it ever gave.
//!
//! | module | what is there |
//! |---|---|
//! | `producer` | sends events, and remembers them and their acks |
//! | `others` | queries, retention passes and checkpoints, until the server is gone |
//! | `check` | compares what is stored with what the producers and the client know |
//!
//! A kill leaves what reached the system's page cache, so this finds lost acks, half batches, double
//! events and broken recovery; it does not find a missing `fdatasync`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod check;
#[path = "../common/mod.rs"]
mod common;
mod others;
mod producer;

use common::{Server, run};
use daybook_tools::client::Client;
use daybook_tools::demo::rng::Rng;
use others::Seen;
use producer::{Kept, Producer};
use reqwest::Method;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn what_was_acked_survives_twenty_kills_once_and_every_checkpoint_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    kill_again_and_again(dir.path(), 20, &[]);
}

#[test]
fn the_same_holds_with_encryption() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let line = run(0, &["keygen", "--id", "5"]);
    std::fs::write(&keys, line).unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    kill_again_and_again(dir.path(), 6, &["--encryption-key-file", keys.to_str().unwrap()]);
}

#[test]
fn a_stop_under_load_loses_nothing_and_takes_less_than_ten_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data = dir.path().join("data");
    let flags = ["--quiet", "--journal-bytes", "1MiB", "--journal-age", "1s"];
    let mut producers: Vec<Producer> =
        (0..8).map(|number| Producer::new(Kept::Forever, number)).collect();
    for _ in 0..3 {
        let server = Server::start(&data, &flags);
        let client = Client::new(&server.address, None).unwrap();
        producers = runtime.block_on(async {
            let loading: Vec<_> = std::mem::take(&mut producers)
                .into_iter()
                .map(|producer| tokio::spawn(producer.run(client.clone())))
                .collect();
            tokio::time::sleep(Duration::from_secs(1)).await;
            let asked = Instant::now();
            tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
            assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
            let mut back = Vec::new();
            for producer in loading {
                back.push(producer.await.unwrap());
            }
            back
        });
    }
    let server = Server::start(&data, &flags);
    check::stored(&server, &producers, &dir.path().join("all.ndjson"));
    server.stop();
}

fn kill_again_and_again(dir: &Path, kills: u64, keys: &[&str]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data = dir.join("data");
    let small = ["--quiet", "--journal-bytes", "128KiB", "--journal-age", "300ms"];
    let flags = [&small, keys].concat();
    let seen = Arc::new(Seen::default());
    let mut producers: Vec<Producer> = [Kept::Forever, Kept::Forever, Kept::Held, Kept::Briefly]
        .into_iter()
        .zip(0..)
        .map(|(kept, number)| Producer::new(kept, number))
        .collect();
    let mut rng = Rng::new(7);
    for life in 0..kills {
        let server = Server::start(&data, &flags);
        let client = Client::new(&server.address, None).unwrap();
        let wait = Duration::from_millis(rng.between(30, 600));
        producers = runtime.block_on(async {
            if life == 0 {
                set_up(&client).await;
            }
            let loading: Vec<_> = std::mem::take(&mut producers)
                .into_iter()
                .map(|producer| tokio::spawn(producer.run(client.clone())))
                .collect();
            let others = others::spawn(&client, &seen);
            tokio::time::sleep(wait).await;
            tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
            for other in others {
                other.await.unwrap();
            }
            let mut back = Vec::new();
            for producer in loading {
                back.push(producer.await.unwrap());
            }
            back
        });
    }
    for producer in &producers {
        let acked = producer.acked.len();
        assert!(acked > 200, "{:?}: only {acked} acks: the test tests nothing", producer.kept);
    }

    let server = Server::start(&data, &flags);
    let client = Client::new(&server.address, None).unwrap();
    runtime.block_on(others::last_passes(&client, &seen));
    seen.assert_all_of_it_happened();
    check::stored(&server, &producers, &dir.join("all.ndjson"));
    server.stop();
    // Without the keys, where there are any, it sees all the same that every block is whole.
    run(0, &["inspect", data.to_str().unwrap()]);
    check::checkpoints(&data, &seen.checkpoints(), keys);
}

/// What is `short-*` may go after a second, but for the session on hold.
async fn set_up(client: &Client) {
    let policy = json!({"policy": {"rules": [{"role": "short-*", "keep": "1s"}]}, "by": "test"});
    client.change(Method::PUT, "/v1/admin/retention", &[], Some(&policy)).await.unwrap();
    let hold =
        json!({"sessions": [producer::HELD], "case": "C-1", "reason": "a test", "by": "test"});
    client.post("/v1/admin/holds", &hold).await.unwrap();
}
