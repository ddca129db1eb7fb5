//! Bounds: each is said aloud, and what it refuses is not there.

use crate::support::{Service, command, config, name, ndjson};
use daybook_engine::Options;
use daybook_server::Config;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn a_connection_over_the_bound_is_told_so_and_closed() {
    let service = Service::with(Config { connections_max: 2, ..config() }).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let held = [
        tokio::net::TcpStream::connect(&address).await.unwrap(),
        tokio::net::TcpStream::connect(&address).await.unwrap(),
    ];
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, problem) = service.get("/healthz").await;
    assert_eq!((status.as_u16(), name(&problem)), (503, "busy"), "{problem}");
    drop(held);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, _) = service.get("/healthz").await;
    assert_eq!(status, 200);
    let metrics = service.raw("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("daybook_connections_refused_total 1"), "{metrics}");
}

#[tokio::test]
async fn bounds_on_events_and_sessions_are_told_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        event_bytes_max: 1 << 10,
        session_id_bytes_max: 8,
        session_events_max: 3,
        session_reviews_max: 2,
        index_heap_bytes: 16 << 20,
        ..Options::default()
    };
    let data = dir.path().to_owned();
    let service = Service::on(dir, &data, options, config()).await;
    let long = command("s", 1, &"x".repeat(2_000));
    let (_, answer) = service.post(ndjson(&[long, command("s", 2, "select short")])).await;
    assert_eq!(answer["accepted"], 1);
    let error = answer["rejected"][0]["error"].as_str().unwrap();
    assert!(error.contains("limit of 1024 (event_bytes_max)"), "{error}");

    let (_, answer) = service.post(ndjson(&[command("a-long-name", 1, "select x")])).await;
    assert!(answer["rejected"][0]["error"].as_str().unwrap().contains("session_id_bytes_max"));

    let lines: Vec<Value> = (3..8).map(|seq| command("s", seq, "select more")).collect();
    let (_, answer) = service.post(ndjson(&lines)).await;
    assert_eq!((&answer["accepted"], &answer["rejected_count"]), (&2.into(), &3.into()));
    let error = answer["rejected"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("session `s` has 3 events") && error.contains("session_events_max"),
        "{error}"
    );
    // What is there already is a duplicate all the same, and other sessions go on.
    let (_, answer) = service.post(ndjson(&[lines[0].clone(), command("t", 1, "select x")])).await;
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&1.into(), &1.into()));
    assert_eq!(service.found("more").await, 2);

    for seq in 1..4 {
        let mut pending = command("p", seq, "drop table x");
        pending["verdict"] = "pending".into();
        let (_, answer) = service.post(ndjson(&[pending])).await;
        assert_eq!(answer["accepted"], u64::from(seq < 3), "{answer}");
    }
    let (_, answer) = service.post(ndjson(&[command("p", 3, "select 1")])).await;
    assert_eq!(answer["accepted"], 1);
}

#[tokio::test]
async fn a_bound_that_is_near_is_named_where_operators_look() {
    let service = Service::with(Config { connections_max: 2, ..config() }).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let _held = tokio::net::TcpStream::connect(&address).await.unwrap();
    let (status, ready) = service.get("/readyz").await;
    assert_eq!((status.as_u16(), &ready["status"]), (200, &"ok".into()));
    assert!(ready["warnings"][0].as_str().unwrap().contains("connections_max"), "{ready}");
    let (_, stats) = service.get("/v1/stats").await;
    assert_eq!(stats["warnings"], ready["warnings"]);
    assert!(stats["open_files"].as_u64().unwrap() < stats["open_files_max"].as_u64().unwrap());
}

/// Unmounts a directory at the end.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(dir: &Path, mib: u32) -> Option<Mounted> {
    let size = format!("size={mib}m");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir).output();
    if mounted.is_ok_and(|output| output.status.success()) {
        return Some(Mounted(dir.to_owned()));
    }
    println!("skipped: this process may not mount a file system of its own");
    None
}

#[tokio::test]
async fn a_full_disk_answers_507_and_goes_on_by_itself_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mounted) = mount(dir.path(), 64) else { return };
    let (data, ballast) = (dir.path().join("data"), dir.path().join("ballast"));
    let options = Options { index_heap_bytes: 16 << 20, ..Options::default() };
    let service = Service::on(dir, &data, options, config()).await;
    let (status, _) = service.post(ndjson(&[command("s", 1, "select kept")])).await;
    assert_eq!(status, 200);

    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[1; 64 << 10]).is_ok() {}
    drop(file);
    let (status, problem) = service.post(ndjson(&[command("s", 2, "select refused")])).await;
    assert_eq!((status.as_u16(), name(&problem)), (507, "full"), "{problem}");
    assert_eq!(problem["stored"]["accepted"], 0);
    // Told before the body is read, too, and with the time after which to come again.
    let request = service.http.post(format!("{}/v1/events", service.url));
    let answer = request.body(ndjson(&[command("s", 2, "x")])).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "5");
    let (status, problem) = service.get("/readyz").await;
    assert_eq!((status.as_u16(), name(&problem)), (507, "full"));
    let (status, stats) = service.get("/v1/stats").await;
    assert_eq!(status, 200);
    assert!(stats["full"].is_string() && stats["read_only"].is_null(), "{stats}");
    assert_eq!((service.found("kept").await, service.found("refused").await), (1, 0));

    std::fs::remove_file(&ballast).unwrap();
    let mut tries = 0;
    while service.post(ndjson(&[command("s", 2, "select refused")])).await.0 != 200 {
        tries += 1;
        assert!(tries < 100, "it did not go on by itself");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((service.found("kept").await, service.found("refused").await), (1, 1));
    assert_eq!(service.get("/readyz").await.0, 200);
    service.engine.close().unwrap();
}
