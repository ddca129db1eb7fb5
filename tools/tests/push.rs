//! Sinks of the real server, which is killed again and again, with receivers that fail as they like: every event that
//! matches arrives at least once, and by the keys of the requests exactly once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, run};
use daybook_tools::client::{Client, Sent};
use daybook_tools::demo::rng::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What receivers have, as events by their offsets; and what fails.
#[derive(Clone, Default)]
struct Mind {
    /// Of requests that were taken, by their keys.
    taken: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    /// Of messages, in the order in which they came.
    messages: Arc<Mutex<Vec<Value>>>,
    kind: Arc<AtomicBool>,
    failed: Arc<AtomicU32>,
}

type Talk = fn(TcpStream, &mut Rng, &Mind) -> std::io::Result<()>;

/// Answers where it listens.
fn listen(mind: &Mind, talk: Talk) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mind = mind.clone();
    std::thread::spawn(move || {
        for (stream, number) in listener.incoming().zip(0..) {
            let mind = mind.clone();
            // An error: the server was killed in the middle.
            std::thread::spawn(move || talk(stream.unwrap(), &mut Rng::new(number), &mind));
        }
    });
    address
}

/// One connection of HTTP: a request after the other, some of them taken.
fn http(stream: TcpStream, rng: &mut Rng, mind: &Mind) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(": ") {
                headers.insert(name.to_lowercase(), value.trim().to_owned());
            }
        }
        let fails = !mind.kind.load(Ordering::Relaxed) && rng.between(0, 3) > 0;
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        if fails && rng.between(0, 3) == 0 {
            // In the middle of the body.
            let half = body.len() / 2;
            reader.read_exact(&mut body[..half])?;
            mind.failed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        reader.read_exact(&mut body)?;
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let events: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        assert!(events.iter().map(offset).collect::<Vec<_>>().is_sorted());
        // As its bounds have it, always: what is in halves was not taken whole.
        if events.len() > 60 && !mind.kind.load(Ordering::Relaxed) {
            write!(stream, "HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        }
        if fails {
            mind.failed.fetch_add(1, Ordering::Relaxed);
            match rng.between(0, 3) {
                0 => write!(stream, "HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno")?,
                1 => write!(
                    stream,
                    "HTTP/1.1 429 No\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
                )?,
                // Longer than the server waits.
                2 => std::thread::sleep(Duration::from_millis(400)),
                _ => return Ok(()),
            }
            continue;
        }
        let key = headers["idempotency-key"].clone();
        let before = mind.taken.lock().unwrap().insert(key, events.clone());
        assert!(before.is_none_or(|before| before == events), "the same key, other events");
        // A kill finds many that were taken, and of which the server does not know it.
        std::thread::sleep(Duration::from_millis(rng.between(0, 100)));
        write!(stream, "HTTP/1.1 204 Yes\r\ncontent-length: 0\r\n\r\n")?;
    }
}

/// One connection of syslog: half of them break after some messages, with more unread.
fn syslog(stream: TcpStream, rng: &mut Rng, mind: &Mind) -> std::io::Result<()> {
    let breaks = !mind.kind.load(Ordering::Relaxed) && rng.between(0, 2) > 0;
    let most = if breaks { rng.between(1, 300) } else { u64::MAX };
    let mut reader = BufReader::with_capacity(64, stream);
    for _ in 0..most {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length)? == 0 {
            return Ok(());
        }
        let length: usize = std::str::from_utf8(&length).unwrap().trim().parse().unwrap();
        let mut message = vec![0; length];
        reader.read_exact(&mut message)?;
        let message = String::from_utf8(message).unwrap();
        let (_, event) = message.split_once('\u{feff}').unwrap();
        mind.messages.lock().unwrap().push(serde_json::from_str(event).unwrap());
    }
    mind.failed.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn offset(event: &Value) -> u64 {
    event["offset"].as_u64().unwrap()
}

/// Sends batches until the server is gone; a third of the events match.
async fn load(client: Client, rng: &mut Rng, seq: &mut u64) {
    loop {
        let mut lines = String::new();
        for _ in 0..rng.between(1, 60) {
            let text = if (*seq).is_multiple_of(3) { "drop table cards" } else { "select 1" };
            let event = json!({"session": format!("s{}", *seq / 500), "seq": *seq % 500,
                "time": "2026-03-01T09:30:00Z", "kind": "command", "input": text});
            lines += &format!("{event}\n");
            *seq += 1;
        }
        match client.send_once(lines.into()).await {
            Ok(Sent::Stored(_)) => {}
            Ok(Sent::Busy(wait)) => tokio::time::sleep(wait).await,
            Err(_) => return,
        }
        tokio::time::sleep(Duration::from_millis(rng.between(1, 20))).await;
    }
}

fn sinks(server: &Server) -> Vec<Value> {
    let said = common::daybook()
        .args(["push", "list", "--json", "--server", &server.address])
        .output()
        .unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn configured(dir: &Path, minds: &[Mind; 3]) -> String {
    let usual = "timeout = \"300ms\"\nwait_max = \"50ms\"\n";
    let text = format!(
        "journal_bytes_max = \"64KiB\"\njournal_age_max = \"300ms\"\n\
         [push.all]\nurl = \"http://{}/in\"\nbatch_events_max = 100\n{usual}\
         [push.drops]\nurl = \"http://{}/in\"\nquery = \"drop\"\n{usual}\
         [push.old]\nurl = \"syslog+tcp://{}\"\n{usual}",
        listen(&minds[0], http),
        listen(&minds[1], http),
        listen(&minds[2], syslog),
    );
    let path = dir.join("daybook.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_event_that_matches_arrives_over_kills_at_receivers_that_fail_at_random() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let minds: [Mind; 3] = Default::default();
    let config = configured(dir.path(), &minds);
    let flags = ["--quiet", "--config", config.as_str()];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut rng, mut seq) = (Rng::new(12), 0);
    for _ in 0..8 {
        let server = Server::start(&data, &flags);
        let client = Client::new(&server.address, None).unwrap();
        let wait = Duration::from_millis(rng.between(300, 1_200));
        runtime.block_on(async {
            let killing = async {
                tokio::time::sleep(wait).await;
                tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
            };
            tokio::join!(load(client, &mut rng, &mut seq), killing);
        });
    }
    let server = Server::start(&data, &flags);
    minds.iter().for_each(|mind| mind.kind.store(true, Ordering::Relaxed));
    let started = Instant::now();
    let last =
        |sinks: &[Value]| sinks.iter().all(|s| s["behind"] == 0 && s["refused"] == json!([]));
    loop {
        // What was refused alone is noted, and sent again when somebody says so.
        let now = sinks(&server);
        for sink in now.iter().filter(|sink| sink["refused"] != json!([])) {
            let name = sink["name"].as_str().unwrap();
            run(0, &["push", "resend", name, "--server", &server.address]);
        }
        if now.len() == 3 && last(&now) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{now:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let stored: BTreeMap<u64, Value> =
        server.events().into_values().map(|event| (offset(&event), event)).collect();
    let drops: BTreeSet<u64> =
        stored.values().filter(|e| e["input"] == "drop table cards").map(offset).collect();
    let arrived = |mind: &Mind| -> BTreeSet<u64> {
        mind.messages.lock().unwrap().iter().map(offset).collect()
    };
    while arrived(&minds[2]).len() < stored.len() {
        assert!(started.elapsed() < Duration::from_secs(90), "the last messages did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
    server.stop();
    let all: BTreeSet<u64> = stored.keys().copied().collect();
    for (mind, wanted) in minds.iter().zip([&all, &drops]) {
        let taken = mind.taken.lock().unwrap().clone();
        let events: Vec<&Value> = taken.values().flatten().collect();
        assert_eq!(events.iter().map(|event| offset(event)).collect::<BTreeSet<_>>(), *wanted);
        assert!(events.iter().all(|event| stored[&offset(event)] == **event));
        // Whoever drops what has a key that was there has each event once.
        assert_eq!(events.len(), wanted.len());
    }
    assert_eq!(arrived(&minds[2]), all);
    let messages = minds[2].messages.lock().unwrap().clone();
    assert!(messages.iter().all(|event| stored[&offset(event)] == *event));
    let failed: Vec<u32> = minds.iter().map(|mind| mind.failed.load(Ordering::Relaxed)).collect();
    eprintln!(
        "{} events, {} drops, {failed:?} failed, {} messages",
        all.len(),
        drops.len(),
        messages.len()
    );
    assert!(all.len() > 500 && failed.iter().sum::<u32>() > 20, "the test tests nothing");
}

#[test]
fn sinks_are_listed_and_what_was_refused_is_sent_again_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daybook.toml");
    let server = Server::start(&dir.path().join("bare"), &[]);
    let list = |server: &Server| run(0, &["push", "list", "--server", &server.address]);
    assert_eq!(list(&server), "no sink is configured\n");
    std::fs::write(&path, "[push.siem]\nurl = \"http://127.0.0.1:1/in?key=secret\"\n").unwrap();
    let server = Server::start(&dir.path().join("data"), &["--config", path.to_str().unwrap()]);
    let said = list(&server);
    assert!(
        said.contains("siem") && said.contains("127.0.0.1:1/in") && !said.contains("secret"),
        "{said}"
    );
    let said = run(0, &["push", "resend", "siem", "--server", &server.address]);
    assert_eq!(said, "siem has refused nothing\n");
    run(2, &["push", "resend", "none", "--server", &server.address]);
    std::fs::write(&path, "[push.siem]\nurl = \"http://127.0.0.1:1/\"\ncompresion = \"gzip\"\n")
        .unwrap();
    let refused = common::daybook().args(["config", "--config", path.to_str().unwrap()]).output();
    let said = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(
        said.contains("line 3: [push.siem]: unknown key `compresion`; did you mean `compression`"),
        "{said}"
    );
}
