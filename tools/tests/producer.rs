//! A producer against a server that comes and goes: every event that it took is stored, once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook};
use daybook_engine::event::Micros;
use daybook_tools::client::Client;
use daybook_tools::producer::{NotTaken, Options, Producer, Report, SpillBounds};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

const NOBODY: &str = "http://127.0.0.1:1";

fn line(session: &str, seq: u32) -> String {
    json!({"session": session, "seq": seq, "time": Micros::now().to_string(), "kind": "command",
        "input": format!("SELECT {seq}"), "verdict": "passed"})
    .to_string()
}

fn spilling(dir: &Path, bytes_max: u64) -> Options {
    let spill = Some(SpillBounds { dir: dir.to_owned(), bytes_max });
    Options { batch_events: 20, batch_age: Duration::from_millis(20), spill, ..Options::default() }
}

fn start(address: &str, options: Options) -> Producer {
    Producer::start(Client::new(address, None).unwrap(), options).unwrap()
}

async fn stop(producer: Producer, seconds: u64) -> Report {
    producer.close(Duration::from_secs(seconds)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_started_again_gets_each_event_once() {
    let temp = tempfile::tempdir().unwrap();
    let (data, spill) = (temp.path().join("data"), temp.path().join("spill"));
    let server = Server::start(&data, &["--quiet"]);
    let (listen, address) = (server.listen(), server.address.clone());
    let keeper = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(300));
        let mut server = server;
        for _ in 0..3 {
            server.kill();
            std::thread::sleep(Duration::from_millis(400));
            server = Server::start_at(&listen, &data, &["--quiet"]);
            std::thread::sleep(Duration::from_millis(300));
        }
        server
    });
    // One with a spill, one that holds on to what it has.
    let options = Options { batch_events: 20, ..Options::default() };
    let producers = [start(&address, spilling(&spill, 64 << 20)), start(&address, options)];
    let mut seq = 0;
    while !keeper.is_finished() {
        for (producer, session) in producers.iter().zip(["spills", "waits"]) {
            producer.send(&line(session, seq)).await.unwrap();
        }
        seq += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let server = keeper.await.unwrap();
    for producer in producers {
        let report = stop(producer, 30).await;
        assert_eq!((report.left, report.lost, report.rejected), (0, 0, 0), "{report:?}");
        assert_eq!(report.accepted + report.duplicates, u64::from(seq), "{report:?}");
        assert!(report.why.is_some(), "the server was never missed: the test tests nothing");
    }
    let stored = server.events();
    assert_eq!(stored.len(), 2 * seq as usize);
    assert_eq!(std::fs::read_dir(spill).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spilled_is_sent_by_the_next_producer_that_opens_the_spill() {
    let temp = tempfile::tempdir().unwrap();
    let spill = temp.path().join("spill");
    let producer = start(NOBODY, spilling(&spill, 1 << 20));
    for seq in 0..100 {
        producer.send(&line("s", seq)).await.unwrap();
    }
    let report = stop(producer, 0).await;
    assert_eq!((report.left, report.lost), (100, 0), "{report:?}");

    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let producer = start(&server.address, spilling(&spill, 1 << 20));
    producer.send(&line("s", 100)).await.unwrap();
    let report = stop(producer, 30).await;
    assert_eq!((report.accepted, report.left), (101, 0), "{report:?}");
    assert_eq!(server.events().len(), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spill_is_said_and_what_was_taken_before_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    let spill = temp.path().join("spill");
    let producer = start(NOBODY, spilling(&spill, 20_000));
    let mut taken = 0;
    let full = loop {
        match producer.send(&line("s", taken)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert!(matches!(&full, NotTaken::Full(said) if said.contains("is full")), "{full}");
    producer.send_last(&line("s", taken)).await.unwrap();
    let report = stop(producer, 0).await;
    assert_eq!((report.left, report.lost), (u64::from(taken) + 1, 0), "{report:?}");

    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    stop(start(&server.address, spilling(&spill, 20_000)), 30).await;
    assert_eq!(server.events().len(), taken as usize + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_spill_a_producer_holds_back_and_says_what_it_lost_in_the_end() {
    let options = Options { batch_events: 5, memory_bytes: 1_000, ..Options::default() };
    let producer = start(NOBODY, options);
    let sent = async {
        let mut sent = 0;
        while sent < 5_000 {
            producer.send(&line("s", sent)).await.unwrap();
            sent += 1;
        }
    };
    let held = tokio::time::timeout(Duration::from_millis(500), sent).await;
    assert!(held.is_err(), "5,000 events in memory for 1,000 bytes");
    assert!(producer.trouble().unwrap().contains("can't reach"));
    let report = tokio::time::timeout(Duration::from_secs(5), stop(producer, 0)).await.unwrap();
    assert!(report.lost > 0 && report.left == 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_can_never_be_taken_is_put_aside_and_the_next_ones_go() {
    let temp = tempfile::tempdir().unwrap();
    let spill = temp.path().join("spill");
    let (address, bodies) =
        scripted(vec!["503 x|", "400 Bad Request|{\"detail\":\"no\"}", WELL]).await;
    let producer = start(&address, spilling(&spill, 1 << 20));
    for seq in 0..20 {
        producer.send(&line("bad", seq)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    producer.send(&line("good", 0)).await.unwrap();
    let report = stop(producer, 10).await;
    assert_eq!((report.rejected, report.accepted, report.left, report.lost), (20, 2, 0, 0));
    assert_eq!(report.first_rejected.as_deref(), Some("no"));
    assert!(bodies.lock().unwrap()[2].contains("good"));
    let kept = std::fs::read_dir(&spill).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_to_string(kept).unwrap().lines().count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_or_has_no_number_is_not_taken() {
    let producer = start(NOBODY, Options::default());
    let bare = line("s", 1).replace("\"seq\":1,", "");
    assert_eq!(producer.send(&bare).await, Err(NotTaken::NoSeq));
    assert!(matches!(producer.send("{}").await, Err(NotTaken::Bad(_))));
    let two = format!("{}\n{}", line("s", 1), line("s", 2));
    assert!(matches!(producer.send(&two).await, Err(NotTaken::Bad(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_the_server_refuses_are_kept_beside_and_stop_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let spill = temp.path().join("spill");
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let producer = start(&server.address, spilling(&spill, 1 << 20));
    let other = line("s", 3).replace("SELECT", "DELETE");
    for line in [line("s", 3), line("s", 4), other.clone(), line("s", 5)] {
        producer.send(&line).await.unwrap();
    }
    let report = stop(producer, 30).await;
    assert_eq!((report.accepted, report.rejected, report.lost), (3, 1, 0), "{report:?}");
    assert!(report.first_rejected.unwrap().contains("conflict"));
    let kept = std::fs::read_dir(&spill).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_to_string(kept).unwrap(), other + "\n");
}

/// Answers each request with the next of these, the last one for ever; remembers the bodies.
async fn scripted(answers: Vec<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        let mut answer = answers.next().unwrap();
        loop {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let mut length = 0;
            loop {
                let mut header = String::new();
                stream.read_line(&mut header).await.unwrap();
                if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if header.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            seen.lock().unwrap().push(String::from_utf8(body).unwrap());
            let (head, body) = answer.split_once('|').unwrap();
            let text = format!(
                "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.get_mut().write_all(text.as_bytes()).await.unwrap();
            answer = answers.next().unwrap_or(answer);
        }
    });
    (address, bodies)
}

const WELL: &str = "200 OK|{\"accepted\":2,\"duplicates\":0,\"rejected\":[]}";

#[tokio::test(flavor = "multi_thread")]
async fn passing_answers_are_waited_out_and_a_batch_goes_on_where_it_stopped() {
    let (address, bodies) = scripted(vec![
        "429 Too Many Requests\r\nretry-after: 1|slow down",
        "502 Bad Gateway|",
        "504 Gateway Timeout|<html>",
        "507 Insufficient Storage\r\nretry-after: 0|{\"detail\":\"full\",\"stored\":{\"accepted\":1,\"duplicates\":0,\"rejected_count\":0,\"lines\":1}}",
        WELL,
    ])
    .await;
    let started = std::time::Instant::now();
    let producer = start(&address, Options { batch_events: 3, ..Options::default() });
    for seq in 0..3 {
        producer.send(&line("s", seq)).await.unwrap();
    }
    // Closing does not cut the wait short that was asked for.
    while producer.trouble().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let report = stop(producer, 30).await;
    assert_eq!((report.accepted, report.lost), (3, 0), "{report:?}");
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After was not waited for");
    let bodies = bodies.lock().unwrap();
    let lines: Vec<usize> = bodies.iter().map(|body| body.lines().count()).collect();
    assert_eq!(lines, [3, 3, 3, 3, 2], "the stored line must not be sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_goes_in_pieces() {
    let small = "413 Payload Too Large|{\"detail\":\"too large\"}";
    let (address, bodies) = scripted(vec![small, small, WELL]).await;
    let client = Client::new(&address, None).unwrap();
    let lines: String = (0..8).map(|seq| line("s", seq) + "\n").collect();
    client.send(lines.clone().into(), Duration::from_secs(5)).await.unwrap();
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies[0], lines);
    assert_eq!(bodies[2..].concat(), lines);
    assert!(bodies.len() >= 6, "{}", bodies.len());
}

/// Passes connections on to a server; but of the first one it loses the answer.
async fn loses_the_first_answer(server: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::TcpStream::connect(&server).await.unwrap();
            if std::mem::take(&mut first) {
                let (mut from_client, _) = client.split();
                let (mut from_server, mut to_server) = server.split();
                let mut answer = [0; 1024];
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    read = from_server.read(&mut answer) => assert!(read.unwrap() > 0),
                }
                continue;
            }
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await },
            );
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_a_number_are_stored_once_though_nobody_knows_whether_they_arrived() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let client = Client::new(&loses_the_first_answer(server.listen()).await, None).unwrap();
    let bare = |n| line("s", n).replace(&format!("\"seq\":{n},"), "") + "\n";
    let lines: String = (0..50).map(bare).collect();
    let (receipt, waits) = client.send(lines.into(), Duration::from_secs(5)).await.unwrap();
    assert_eq!((receipt.accepted, receipt.duplicates, waits), (0, 50, 1));
    assert_eq!(server.events().len(), 50);
}

/// Kills a server after a while, and starts it again.
fn restarted(server: Server, data: &Path) -> Server {
    std::thread::sleep(Duration::from_millis(700));
    let listen = server.listen();
    server.kill();
    std::thread::sleep(Duration::from_millis(500));
    Server::start_at(&listen, data, &["--quiet"])
}

#[test]
fn an_import_goes_on_when_the_server_is_back() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let server = Server::start(&data, &["--quiet"]);
    let mut child = daybook()
        .args(["import", "--json", "--concurrency", "2", "--server", &server.address, "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for seq in 0..40_000 {
            writeln!(stdin, "{}", line("imported", seq)).unwrap();
            if seq % 1_000 == 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let server = restarted(server, &data);
    writer.join().unwrap();
    let output = child.wait_with_output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let stored = said["accepted"].as_u64().unwrap() + said["duplicates"].as_u64().unwrap();
    assert_eq!((stored, server.events().len()), (40_000, 40_000));
}

#[test]
fn a_load_goes_on_when_the_server_is_back_and_counts_what_is_stored() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let server = Server::start(&data, &["--quiet"]);
    let args = [
        "load",
        "--json",
        "--duration",
        // Also a busy machine restarts the server in that time.
        "8",
        "--rate",
        "3000",
        "--batch",
        "50",
        "--sessions",
        "50",
    ];
    let child = daybook()
        .args(args)
        .args(["--producers", "4", "--server", &server.address])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let server = restarted(server, &data);
    let output = child.wait_with_output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["errors"], &said["rejected"]), (&0.into(), &0.into()), "{said}");
    assert!(said["waits"].as_u64().unwrap() > 0, "the server was never missed: {said}");
    let stored = said["events"].as_u64().unwrap() + said["duplicates"].as_u64().unwrap();
    assert_eq!(stored, server.events().len() as u64);
}

/// The client that docs/clients.md shows, as a proxy in Python would use it.
#[test]
fn the_python_client_delivers_each_event_once_though_the_server_is_killed() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let (data, spill) = (temp.path().join("data"), temp.path().join("spill"));
    let mut server = Server::start(&data, &["--quiet"]);
    let listen = server.listen();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/daybook_client.py");
    let mut child = std::process::Command::new("python3")
        .args([script, &server.address])
        .arg(&spill)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for seq in 0..1_500 {
            writeln!(stdin, "{}", line("py", seq)).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    server.kill();
    std::thread::sleep(Duration::from_millis(500));
    server = Server::start_at(&listen, &data, &["--quiet"]);
    writer.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let answered = report["accepted"].as_u64().unwrap() + report["duplicates"].as_u64().unwrap();
    assert_eq!((answered, &report["rejected"]), (1_500, &0.into()), "{report}");
    assert_eq!(server.events().len(), 1_500);
    assert_eq!(std::fs::read_dir(spill).unwrap().count(), 0);
}
