//! Backups of the real server, under load, and killed in the middle of one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use daybook_tools::client::{Client, Sent};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Acked = Arc<Mutex<BTreeSet<(String, u64)>>>;

/// Sends events until it is told to stop or nobody answers.
async fn produce(client: Client, session: String, from: u64, acked: Acked, stop: Arc<AtomicBool>) {
    let mut next = from;
    while !stop.load(Ordering::Relaxed) {
        let lines: String = (next..next + 50)
            .map(|seq| {
                let event = json!({"session": session, "seq": seq, "time": "2026-03-01T10:00:00Z",
                    "kind": "command", "input": format!("select {seq}"), "output": "x".repeat(200)});
                format!("{event}\n")
            })
            .collect();
        match client.send_once(lines.into()).await {
            Ok(Sent::Stored(receipt)) => {
                assert!(receipt.rejected.is_empty(), "{receipt:?}");
                acked.lock().unwrap().extend((next..next + 50).map(|seq| (session.clone(), seq)));
                next += 50;
            }
            Ok(Sent::Busy(wait)) => tokio::time::sleep(wait).await,
            Err(_) => return,
        }
    }
}

fn events(data: &Path, out: &Path) -> BTreeSet<(String, u64)> {
    let _ = std::fs::remove_file(out);
    run(0, &["export", "--data", data.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let mut all = BTreeSet::new();
    for line in std::fs::read_to_string(out).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        // What daybook writes of itself is not what was sent.
        if event["session"] == "daybook" {
            continue;
        }
        let named = (event["session"].as_str().unwrap().to_owned(), event["seq"].as_u64().unwrap());
        assert!(all.insert(named), "{event} twice");
    }
    all
}

#[test]
fn a_backup_under_load_is_whole_and_one_that_was_killed_is_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let text = |name: &str| at(name).to_str().unwrap().to_owned();
    let acked = Acked::default();
    let mut unfinished = 0;
    for round in 0..5_u64 {
        let server = Server::start(&at("data"), &["--journal-bytes", "256KiB", "--quiet"]);
        let client = Client::new(&server.address, None).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let producers: Vec<_> = (0..3)
            .map(|n| {
                let session = format!("s-{round}-{n}");
                runtime.spawn(produce(client.clone(), session, 0, Arc::clone(&acked), stop.clone()))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(400));
        let before = acked.lock().unwrap().clone();
        if round == 0 {
            let report = run(0, &["backup", "--json", "--server", &server.address, &text("whole")]);
            let report: Value = serde_json::from_str(&report).unwrap();
            assert!(report["events"].as_u64().unwrap() >= before.len() as u64, "{report}");
            run(2, &["backup", "--server", &server.address, &text("whole")]);
            let restored = run(0, &["restore", "--json", &text("whole"), &text("restored")]);
            let restored: Value = serde_json::from_str(&restored).unwrap();
            assert_eq!(restored["events"], report["events"]);
            let found = events(&at("restored"), &at("found.ndjson"));
            assert!(
                found.is_superset(&before),
                "an event that was acked before is not in the backup"
            );
            stop.store(true, Ordering::Relaxed);
            runtime.block_on(async {
                for producer in producers {
                    producer.await.unwrap();
                }
            });
            server.stop();
            continue;
        }
        let name = format!("killed-{round}");
        let mut backup = daybook()
            .args(["backup", "--server", &server.address, &text(&name)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(10 + 15 * round));
        server.kill();
        let finished = backup.wait().unwrap().success();
        runtime.block_on(async {
            for producer in producers {
                producer.await.unwrap();
            }
        });
        if at(&name).join("backup.json").exists() {
            let target = text(&format!("restored-{round}"));
            run(0, &["restore", &text(&name), &target]);
            assert!(events(Path::new(&target), &at("found.ndjson")).is_superset(&before));
        } else {
            assert!(!finished);
            unfinished += 1;
            run(2, &["restore", &text(&name), &text(&format!("restored-{round}"))]);
            assert!(!at(&format!("restored-{round}")).join("DAYBOOK").exists());
        }
    }
    assert!(unfinished > 0, "no backup was killed before its end: the test tests too little");
    // The log itself has lost nothing in all this.
    let acked = acked.lock().unwrap();
    assert!(events(&at("data"), &at("found.ndjson")).is_superset(&acked));
}

#[test]
fn a_directory_at_rest_is_backed_up_and_a_damaged_backup_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let server = Server::start(&dir.path().join("data"), &["--demo", "--quiet"]);
    server.stop();
    let said = run(0, &["backup", "--data", &text("data"), &text("backup")]);
    assert!(said.contains("backed up to") && said.contains("events"), "{said}");
    let said = run(0, &["restore", &text("backup"), &text("restored")]);
    assert!(said.contains("restored to"), "{said}");
    let sessions = |data: &str| run(0, &["sessions", "--json", "-n", "500", "--data", &text(data)]);
    assert_eq!(sessions("restored"), sessions("data"));
    let journal = std::fs::read_dir(dir.path().join("backup/journal")).unwrap().next().unwrap();
    let journal = journal.unwrap().path();
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    std::fs::write(&journal, bytes).unwrap();
    let output = daybook().args(["restore", &text("backup"), &text("other")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(journal.file_name().unwrap().to_str().unwrap()), "{said}");
    assert!(said.contains("not the file that was backed up"), "{said}");
}
