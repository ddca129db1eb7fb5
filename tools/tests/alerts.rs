//! Alerts of the real server, which is killed again and again, with a receiver that fails as it likes: every event
//! that matches is taken at least once, and by the ids of the deliveries exactly once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use daybook_tools::client::{Client, Sent};
use daybook_tools::demo::rng::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const FLAGS: [&str; 9] = [
    "--quiet",
    "--journal-bytes",
    "64KiB",
    "--journal-age",
    "300ms",
    "--set",
    "alert_wait_max=50ms",
    "--set",
    "alert_time_max=300ms",
];

/// What a receiver has taken: offsets by the delivery's id.
type Taken = BTreeMap<String, BTreeSet<u64>>;

struct Receiver {
    url: String,
    taken: Arc<Mutex<Taken>>,
    /// Of so many deliveries one is taken.
    fails: Arc<AtomicU32>,
    failed: Arc<AtomicU32>,
}

impl Receiver {
    fn start(fails: u32) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Receiver {
            url,
            taken: Arc::default(),
            fails: Arc::new(AtomicU32::new(fails)),
            failed: Arc::default(),
        };
        let (taken, fails, failed) =
            (receiver.taken.clone(), receiver.fails.clone(), receiver.failed.clone());
        std::thread::spawn(move || {
            for (stream, number) in listener.incoming().zip(0..) {
                let (taken, fails, failed) = (taken.clone(), fails.clone(), failed.clone());
                std::thread::spawn(move || {
                    let mut rng = Rng::new(number);
                    // An error: the server was killed in the middle.
                    let _ = talk(stream.unwrap(), &mut rng, &taken, &fails, &failed);
                });
            }
        });
        receiver
    }

    fn taken(&self) -> Taken {
        self.taken.lock().unwrap().clone()
    }
}

/// One connection: a delivery after the other, some of them taken.
fn talk(
    stream: TcpStream,
    rng: &mut Rng,
    taken: &Mutex<Taken>,
    fails: &AtomicU32,
    failed: &AtomicU32,
) -> std::io::Result<()> {
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
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let hits = body["hits"].as_array().unwrap();
        let offsets: BTreeSet<u64> =
            hits.iter().map(|hit| hit["offset"].as_u64().unwrap()).collect();
        let sorted: Vec<u64> = hits.iter().map(|hit| hit["offset"].as_u64().unwrap()).collect();
        assert!(sorted.is_sorted());
        let fails = fails.load(Ordering::Relaxed);
        if rng.between(0, u64::from(fails)) > 0 {
            failed.fetch_add(1, Ordering::Relaxed);
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
        let id = headers["webhook-id"].clone();
        let before = taken.lock().unwrap().insert(id, offsets.clone());
        assert!(before.is_none_or(|before| before == offsets), "the same id, other events");
        // A kill finds many that were taken, and of which the server does not know it.
        std::thread::sleep(Duration::from_millis(rng.between(0, 200)));
        write!(stream, "HTTP/1.1 204 Yes\r\ncontent-length: 0\r\n\r\n")?;
    }
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

fn save(client: &Client, receiver: &Receiver, name: &str) -> Value {
    let alert = json!({"url": receiver.url, "secret": SECRET});
    let body = json!({"name": name, "query": "drop", "alert": alert});
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(client.post("/v1/searches", &body)).unwrap()
}

fn kill_again_and_again(dir: &Path, kills: u32, more: &[&str]) {
    let data = dir.join("data");
    let flags = [&FLAGS, more].concat();
    let receivers = [Receiver::start(2), Receiver::start(0)];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut rng, mut seq) = (Rng::new(11), 0);
    for life in 0..kills {
        let server = Server::start(&data, &flags);
        let client = Client::new(&server.address, None).unwrap();
        if life == 0 {
            for (receiver, name) in receivers.iter().zip(["one", "two"]) {
                save(&client, receiver, name);
            }
        }
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
    for receiver in &receivers {
        receiver.fails.store(0, Ordering::Relaxed);
    }
    let list = || run(0, &["searches", "list", "--json", "--server", &server.address]);
    let started = Instant::now();
    loop {
        let listed = list();
        let items = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        if items.into_iter().all(|item| item["alert"]["status"]["behind"] == 0) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{listed}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let found = run(0, &["search", "--json", "-n", "1000000", "--server", &server.address, "drop"]);
    let matched: Vec<u64> = found
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["offset"].as_u64().unwrap())
        .collect();
    let matched: BTreeSet<u64> = matched.into_iter().collect();
    server.stop();
    for receiver in &receivers {
        let taken = receiver.taken();
        let all: Vec<u64> = taken.values().flatten().copied().collect();
        eprintln!(
            "{} matched, {} deliveries, {} failed",
            matched.len(),
            taken.len(),
            receiver.failed.load(Ordering::Relaxed)
        );
        assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), matched);
        // Whoever drops what has an id that was there has each event once.
        assert_eq!(all.len(), matched.len());
    }
    let failed = receivers[0].failed.load(Ordering::Relaxed);
    assert!(matched.len() > 200 && failed >= kills, "the test tests nothing");
}

#[test]
fn every_event_that_matches_is_taken_over_kills_by_a_receiver_that_fails_at_random() {
    let dir = tempfile::tempdir().unwrap();
    kill_again_and_again(dir.path(), 10, &[]);
}

fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn with_encryption_it_is_the_same_and_no_file_has_the_secret_or_the_address() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, run(0, &["keygen", "--id", "5"])).unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    kill_again_and_again(dir.path(), 3, &["--encryption-key-file", keys.to_str().unwrap()]);
    let mut found = Vec::new();
    files(&dir.path().join("data"), &mut found);
    assert!(found.iter().any(|path| path.ends_with("searches.json")));
    for path in found {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!has(&bytes, "whsec_") && !has(&bytes, "/hook"), "{}", path.display());
    }
}

/// A server with variables of the environment.
fn start_with(dir: &Path, variables: &[(&str, &str)], stderr: Stdio) -> Server {
    let mut child = daybook()
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--set",
            "alert_wait_max=50ms",
            "--set",
            "audit=false",
            "--data",
        ])
        .arg(dir.join("data"))
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("daybook is open at ").unwrap();
    Server { child, address: address.trim_end_matches('/').to_owned() }
}

/// However much it logs, and whatever fails.
#[test]
fn the_log_has_neither_the_secret_nor_what_stands_behind_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said");
    let level = "info,daybook=trace,daybook_server=trace,reqwest=debug";
    let stderr = std::fs::File::create(&said).unwrap();
    let server = start_with(dir.path(), &[("RUST_LOG", level)], stderr.into());
    let client = Client::new(&server.address, None).unwrap();
    let receiver = Receiver::start(1_000);
    let away = Receiver { url: "http://127.0.0.1:1/hook".into(), ..Receiver::start(0) };
    let one = save(&client, &receiver, "one");
    save(&client, &away, "two");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let line = r#"{"session":"s","seq":0,"time":"2026-03-01T09:30:00Z","kind":"command","input":"drop it"}"#;
        client.send_once(format!("{line}\n").into()).await.unwrap();
        let test = format!("/v1/searches/{}/test", one["id"].as_str().unwrap());
        client.post(&test, &Value::Null).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    });
    server.stop();
    let said = std::fs::read(&said).unwrap();
    assert!(has(&said, "an alert is not delivered"), "{}", String::from_utf8_lossy(&said));
    for secret in [&SECRET[6..], "/hook"] {
        assert!(!has(&said, secret), "{secret}: {}", String::from_utf8_lossy(&said));
    }
}

/// The receiver is a daybook with TLS: it takes no webhooks, but says so.
#[test]
fn a_receiver_with_tls_is_reached_if_its_certificate_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    std::fs::write(path("cert"), made.cert.pem()).unwrap();
    std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    let flags = ["--tls-cert", &path("cert"), "--tls-key", &path("key")];
    let receiver = Server::start(&dir.path().join("receiver"), &flags);
    for (life, trusts) in [&path("cert"), "/nonexistent"].into_iter().enumerate() {
        let server = start_with(dir.path(), &[("SSL_CERT_FILE", trusts)], Stdio::null());
        let at = ["--server", &server.address];
        let hook = ["searches", "save", "n", "drop", "--webhook", &receiver.address];
        run(0, &[&hook[..], &at].concat());
        let said = run(1, &[&["searches", "test", "--json", "n"], &at[..]].concat());
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["status"].is_null(), life == 1, "{said}");
        server.stop();
    }
    receiver.stop();
}

#[test]
fn searches_are_saved_listed_used_tested_and_forgotten_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--demo"]);
    let at = ["--server", server.address.as_str()];
    let ask = |code, args: &[&str]| run(code, &[args, &at].concat());
    assert_eq!(ask(0, &["searches", "list"]), "no search is saved\n");
    assert_eq!(ask(0, &["searches", "save", "blocked", "verdict:blocked"]), "blocked is saved\n");
    assert_eq!(
        ask(0, &["search", "--json", "--saved", "blocked"]),
        ask(0, &["search", "--json", "verdict:blocked"])
    );
    ask(2, &["search", "--saved", "none"]);
    ask(2, &["searches", "save", "wrong", "verdict:bloked"]);
    let receiver = Receiver::start(0);
    let hook = ["searches", "save", "blocked", "DROP TABLE", "--webhook", &receiver.url];
    let said = ask(0, &hook);
    assert!(said.contains("shown this once: whsec_"), "{said}");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let said = ask(0, &[&hook[..], &["--secret-file", secret.to_str().unwrap()]].concat());
    assert!(!said.contains("whsec_"), "{said}");
    // Another query, and the webhook stays.
    assert!(ask(0, &["searches", "save", "blocked", "DROP"]).contains("/hook"));
    let list = ask(0, &["searches", "list"]);
    assert!(list.contains("DROP") && list.contains("0 delivered"), "{list}");
    assert!(ask(0, &["searches", "test", "blocked"]).contains("took it"));
    receiver.fails.store(1_000_000, Ordering::Relaxed);
    ask(1, &["searches", "test", "blocked"]);
    assert_eq!(
        ask(0, &["searches", "save", "blocked", "DROP", "--no-webhook"]),
        "blocked is saved\n"
    );
    ask(2, &["searches", "test", "blocked"]);
    assert_eq!(ask(0, &["searches", "delete", "blocked"]), "blocked is forgotten\n");
    ask(2, &["searches", "delete", "blocked"]);
    server.stop();
}
