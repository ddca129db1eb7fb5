//! Feeds of the real server, read by other people's clients: `tests/interop/run.sh`. Where there is no Python with the
//! packages, a line says so.
//!
//! | test | what is read |
//! |---|---|
//! | `a_reader_that_is_killed…` | the pull feed, while reader and server are killed, segments merged and sessions erased |
//! | `clients_read_…` | links, the Delta Lake table and Delta Sharing, by DuckDB, polars, pyarrow, deltalake, delta-sharing, Spark |
//! | `a_feed_in_ocsf…` | a feed in OCSF, against exports |
//! | `one_table_of_two_servers…` | one table in an object store that fails, written by two servers, of which one is killed |
//! | `a_store_that_hears_no_conditions…` | how a feed fares with a store that can't keep two writers apart |
//! | `…_corpus` | all of it with real sessions, and with one large event among a million small ones |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Server, run};
use daybook_engine::event::Micros;
use daybook_tools::client::{Client, Sent};
use daybook_tools::demo::rng::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long events are sent while reader and server are killed.
const STORM: Duration = Duration::from_secs(16);

/// What is sent, with what a feed should make of it.
#[derive(Default)]
struct Sender {
    rng: u64,
    sessions: u64,
    expected: Vec<Value>,
}

impl Sender {
    /// The events of a session, as they are sent; `role` says whether they are erased.
    fn session(&mut self, events: u64, bytes: usize, erased: bool) -> String {
        let number = self.sessions;
        self.sessions += 1;
        let mut rng = Rng::new(self.rng.wrapping_add(number));
        let session = format!("s-{number}");
        let user = format!("user-{}@example.com", number % 10);
        let role = if erased { "lab-x".to_owned() } else { format!("prod-{}", number % 3) };
        let kind = ["database", "ssh", "kubernetes", "application"][number as usize / 10 % 4];
        let mut lines = String::new();
        for seq in 0..events {
            let time = Micros::now().to_string();
            let mut text = format!("{number} é\u{1f600}\n\"{seq}\"");
            while text.len() < bytes {
                // Six of eight bits are left when it is compressed.
                text.push_str(&URL_SAFE_NO_PAD.encode(rng.bits().to_le_bytes()));
            }
            let mut event = json!({"session": session, "seq": seq, "time": time});
            let more = match seq {
                0 => {
                    json!({"kind": "session.start", "user": user, "role": role, "type": kind})
                }
                n if n == events - 1 => json!({"kind": "session.end", "status": "done"}),
                n if n % 4 == 1 => {
                    json!({"kind": "output", "command": n - 1, "stream": "stdout", "text": text})
                }
                n if n % 4 == 3 => json!({"kind": "terminal.input", "text": text}),
                n => {
                    json!({"kind": "command", "input": format!("select {n} -- é"), "output": text,
                    "language": "sql", "verdict": if n % 8 == 2 { "blocked" } else { "passed" }})
                }
            };
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            lines.push_str(&event.to_string());
            lines.push('\n');
            self.expect(event, Some(&user), Some(&role), erased);
        }
        lines
    }

    /// An event is to be in the feed.
    fn expect(&mut self, mut event: Value, user: Option<&str>, role: Option<&str>, erased: bool) {
        // What was typed and what was shown are in the columns of all inputs and outputs.
        let column = match event["kind"].as_str() {
            Some("output" | "terminal.output") => "output",
            Some("terminal.input") => "input",
            _ => "text",
        };
        if let Some(text) = event.as_object_mut().and_then(|event| event.remove("text")) {
            event[column] = text;
        }
        event["user"] = json!(user);
        event["role"] = json!(role);
        event["erased"] = json!(erased);
        self.expected.push(event);
    }

    /// Writes down what is to be there.
    fn write(&self, dir: &Path) {
        let file = std::fs::File::create(dir.join("expected.ndjson")).unwrap();
        let mut file = std::io::BufWriter::new(file);
        for event in &self.expected {
            writeln!(file, "{event}").unwrap();
        }
        file.flush().unwrap();
    }
}

/// A data directory with a token, and what the clients are to know.
struct Place {
    dir: tempfile::TempDir,
    token: String,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Server::start(&data, &["--quiet"]).stop();
        let scopes = ["ingest", "read", "export", "admin"].map(|scope| ["--scope", scope]);
        let data = data.to_str().unwrap();
        let made = run(
            0,
            &[&["token", "create", "--json", "--data", data], &scopes.concat()[..]].concat(),
        );
        let made: Value = serde_json::from_str(&made).unwrap();
        Place { dir, token: made["token"].as_str().unwrap().to_owned() }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn client(&self, address: &str) -> Client {
        Client::new(address, Some(self.token.clone())).unwrap()
    }

    /// A directory for a check of a server.
    fn check(&self, name: &str, address: &str) -> PathBuf {
        self.check_with(name, address, &json!({}))
    }

    fn check_with(&self, name: &str, address: &str, more: &Value) -> PathBuf {
        let dir = self.dir.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        let seed = std::env::var("DAYBOOK_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(1_u64);
        let mut settings = json!({"url": address, "token": self.token, "seed": seed, "kills": 24,
            "user": "user-3@example.com", "in_order": true,
            "table": self.data().join("feeds/native/events")});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(dir.join("settings.json"), settings.to_string()).unwrap();
        dir
    }
}

fn flags<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    let all = settings.iter().chain(&["index_heap_bytes=16MiB"]);
    std::iter::once("--quiet").chain(all.flat_map(|setting| ["--set", setting])).collect()
}

/// Begins a check.
fn begin(check: &str, dir: &Path) -> Child {
    begin_of("feeds.py", check, dir)
}

fn begin_of(program: &str, check: &str, dir: &Path) -> Child {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/run.sh");
    let mut command = Command::new(run);
    command.args([program, check]).arg(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for its end; `false` if it was skipped.
fn end(check: Child) -> bool {
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    let skipped = output.status.code() == Some(77);
    assert!(output.status.success() || skipped, "{said}");
    !skipped
}

fn checked(check: &str, dir: &Path) -> bool {
    end(begin(check, dir))
}

/// Sends lines for as long as it takes.
async fn send(client: &Client, lines: String) {
    let (receipt, _) = client.send(lines.into(), Duration::from_secs(60)).await.unwrap();
    assert!(receipt.rejected.is_empty(), "{receipt:?}");
}

#[test]
fn a_reader_that_is_killed_gets_each_row_once_from_a_server_that_is_killed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::new();
    let flags =
        flags(&["journal_bytes_max=64KiB", "journal_age_max=300ms", "retention_interval=1s"]);
    let mut server = Server::start(&place.data(), &flags);
    let listen = server.listen();
    let client = place.client(&server.address);
    let policy =
        json!({"policy": {"rules": [{"role": "lab-*", "keep": "3s"}]}, "by": "eve@example.com"});
    runtime
        .block_on(client.change(Method::PUT, "/v1/admin/retention", &[], Some(&policy)))
        .unwrap();
    let dir = place.check("follow", &server.address);
    let mut check = begin("follow", &dir);
    let stop = Arc::new(AtomicBool::new(false));
    let producer = runtime.spawn(produce(client, Arc::clone(&stop)));
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < STORM && check.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1700 + 600 * (kills % 3)));
        server.kill();
        server = Server::start_at(&listen, &place.data(), &flags);
        kills += 1;
    }
    stop.store(true, Relaxed);
    let sender = runtime.block_on(producer).unwrap();
    let (sessions, events) = (sender.sessions, sender.expected.len());
    println!("{sessions} sessions, {events} events, {kills} kills of the server");
    sender.write(&dir);
    std::fs::write(dir.join("done"), "").unwrap();
    end(check);
    server.stop();
}

/// Sends sessions, of which each fifth may be erased soon, until it is told to stop.
async fn produce(client: Client, stop: Arc<AtomicBool>) -> Sender {
    let mut sender = Sender::default();
    while !stop.load(Relaxed) {
        let events = 10 + sender.sessions % 40;
        if sender.sessions % 5 == 4 {
            // What was erased and is sent again is taken again, so this is sent once, and nobody may ever know whether
            // it arrived.
            let sent = client.send_once(sender.session(events, 200, true).into()).await;
            if let Ok(Sent::Stored(receipt)) = sent {
                assert!(receipt.rejected.is_empty(), "{receipt:?}");
            }
        } else {
            send(&client, sender.session(events, 200, false)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sender
}

#[test]
fn clients_read_links_the_table_and_what_is_shared() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::new();
    let small = flags(&["journal_age_max=250ms", "merge=false"]);
    let server = Server::start(&place.data(), &small);
    let client = place.client(&server.address);
    let mut sender = Sender::default();
    let dir = place.check("lag", &server.address);
    let lag = begin("lag", &dir);
    runtime.block_on(async {
        for _ in 0..26 {
            send(&client, sender.session(12, 200, false)).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    std::fs::write(dir.join("stop"), "").unwrap();
    if !end(lag) {
        return;
    }
    let listen = server.listen();
    server.stop();
    // A large file.
    let server = Server::start_at(&listen, &place.data(), &flags(&["journal_age_max=2s"]));
    runtime.block_on(async {
        for _ in 0..40 {
            let lines: String = (0..5).map(|_| sender.session(60, 700, false)).collect();
            send(&client, lines).await;
        }
    });
    let dir = place.check("clients", &server.address);
    sender.write(&dir);
    checked("clients", &dir);
    server.stop();
}

/// A configuration with a feed in OCSF beside the native one.
fn with_ocsf(place: &Place) -> String {
    let config = place.dir.path().join("daybook.toml");
    let feed = "[feed.ocsf]\nschema = \"ocsf\"\noutputs = \"text\"\nfindings = true\n";
    std::fs::write(&config, feed).unwrap();
    config.to_str().unwrap().to_owned()
}

#[test]
fn a_feed_in_ocsf_has_what_exports_have() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::new();
    let config = with_ocsf(&place);
    let mut flags = flags(&["journal_age_max=300ms"]);
    flags.extend(["--config", &config]);
    let server = Server::start(&place.data(), &flags);
    let client = place.client(&server.address);
    let mut sender = Sender::default();
    runtime.block_on(async {
        for _ in 0..6 {
            send(&client, (0..4).map(|_| sender.session(20, 100, false)).collect()).await;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    });
    checked("ocsf", &place.check("ocsf", &server.address));
    server.stop();
}

/// An object store, by `shared.py`.
struct Bucket {
    dir: tempfile::TempDir,
    process: Child,
    endpoint: String,
    /// A configuration of a server whose feed is in it.
    config: PathBuf,
}

impl Bucket {
    /// Starts one; `None` if that was skipped.
    fn start() -> Option<Bucket> {
        let dir = tempfile::tempdir().unwrap();
        let mut process = begin_of("shared.py", "store", dir.path());
        let endpoint = dir.path().join("endpoint");
        while !endpoint.exists() {
            if process.try_wait().unwrap().is_some() {
                end(process);
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let endpoint = std::fs::read_to_string(endpoint).unwrap();
        let credentials = dir.path().join("credentials");
        let keys = "[default]\naws_access_key_id = one\naws_secret_access_key = two\n";
        std::fs::write(&credentials, keys).unwrap();
        let config = dir.path().join("daybook.toml");
        let feed = format!(
            "[feed.native]\nlocation = \"s3://lake/audit\"\nmerge_fewest = 6\n\
             store_options = {{ endpoint = \"{endpoint}\", allow_http = true, region = \"us-east-1\", \
             credentials_file = \"{}\" }}\n",
            credentials.display()
        );
        std::fs::write(&config, feed).unwrap();
        Some(Bucket { dir, process, endpoint, config })
    }

    /// Tells it something: `calm`, `deaf`.
    fn tell(&self, what: &str) {
        std::fs::write(self.dir.path().join(what), "").unwrap();
    }

    /// Stops it; answers what it did.
    fn stop(self) -> Value {
        self.tell("stop");
        end(self.process);
        let did = std::fs::read(self.dir.path().join("did.json")).unwrap();
        serde_json::from_slice(&did).unwrap()
    }
}

#[test]
fn a_store_that_hears_no_conditions_is_refused_and_one_that_does_is_not() {
    let Some(store) = Bucket::start() else { return };
    store.tell("calm");
    store.tell("deaf");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::new();
    let mut flags = flags(&["journal_age_max=300ms"]);
    flags.extend(["--config", store.config.to_str().unwrap()]);
    let server = Server::start(&place.data(), &flags);
    let client = place.client(&server.address);
    let feed = || {
        let feeds = runtime.block_on(client.get("/v1/feeds", &[])).unwrap();
        feeds["items"][0].clone()
    };
    let wait = |what: &str, done: &dyn Fn(&Value) -> bool| {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let feed = feed();
            if done(&feed) {
                return;
            }
            assert!(Instant::now() < until, "{what}: {feed}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    runtime.block_on(send(&client, Sender::default().session(12, 100, false)));
    wait("it is refused", &|feed| {
        let error = feed["last_error"].as_str().unwrap_or_default();
        error.contains("puts an object where there is one") && feed["tables"] == json!([])
    });
    std::fs::remove_file(store.dir.path().join("deaf")).unwrap();
    wait("it is taken once it hears", &|feed| {
        feed["rows_written"].as_u64() >= Some(12) && feed["failing_since"].is_null()
    });
    server.stop();
    store.stop();
}

#[test]
fn one_table_of_two_servers_in_a_store_that_fails_has_each_row_once() {
    let Some(store) = Bucket::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut flags = flags(&["journal_age_max=300ms"]);
    flags.extend(["--config", store.config.to_str().unwrap()]);
    let places = [Place::new(), Place::new()];
    let mut servers: Vec<Server> =
        places.iter().map(|place| Server::start(&place.data(), &flags)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = [0_u64, 1]
        .into_iter()
        .map(|at| {
            let client = places[at as usize].client(&servers[at as usize].address);
            let stop = Arc::clone(&stop);
            runtime.spawn(async move {
                let mut sender = Sender { sessions: at * 1_000_000, ..Sender::default() };
                while !stop.load(Relaxed) {
                    send(&client, sender.session(12, 100, false)).await;
                    tokio::time::sleep(Duration::from_millis(80)).await;
                }
                // An event whose file is put in pieces, however journals are cut.
                send(&client, sender.session(3, 15 << 20, false)).await;
                sender
            })
        })
        .collect();
    // In the middle of whatever it is at with the store.
    for wait in [1900, 2300, 1400, 2600] {
        std::thread::sleep(Duration::from_millis(wait));
        let first = servers.remove(0);
        let listen = first.listen();
        first.kill();
        servers.insert(0, Server::start_at(&listen, &places[0].data(), &flags));
    }
    stop.store(true, Relaxed);
    let mut all = Sender::default();
    for producer in producers {
        all.expected.extend(runtime.block_on(producer).unwrap().expected);
    }
    // What is read in the end is read from a store that is well again.
    store.tell("calm");
    let check = store.dir.path().join("check");
    std::fs::create_dir(&check).unwrap();
    let settings = json!({
        "urls": servers.iter().map(|server| &server.address).collect::<Vec<_>>(),
        "tokens": places.iter().map(|place| &place.token).collect::<Vec<_>>(),
        "endpoint": store.endpoint,
    });
    std::fs::write(check.join("settings.json"), settings.to_string()).unwrap();
    all.write(&check);
    end(begin_of("shared.py", "check", &check));
    servers.into_iter().for_each(Server::stop);
    let did = store.stop();
    assert!(did["in pieces"].as_u64() >= Some(2), "{did}");
}

#[test]
#[ignore = "needs a corpus: DAYBOOK_CORPUS"]
fn clients_read_every_row_of_a_corpus() {
    let corpus = std::env::var_os("DAYBOOK_CORPUS").expect("DAYBOOK_CORPUS names a directory");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::new();
    let config = with_ocsf(&place);
    let mut flags = flags(&["journal_bytes_max=4MiB", "journal_age_max=5s"]);
    flags.extend(["--config", &config]);
    let server = Server::start(&place.data(), &flags);
    let client = place.client(&server.address);
    let mut sender = Sender::default();
    let mut starts: BTreeMap<String, (Value, Value)> = BTreeMap::new();
    let began = Instant::now();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(Path::new(&corpus)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".ndjson.zst"));
    files.sort();
    let mut lines = String::new();
    for path in files {
        let file = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
        for line in std::io::BufReader::new(file).lines() {
            let line = line.unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            let session = event["session"].as_str().unwrap().to_owned();
            if event["kind"] == "session.start" {
                starts.insert(session.clone(), (event["user"].clone(), event["role"].clone()));
            }
            let (user, role) = starts.get(&session).cloned().unwrap_or_default();
            sender.expect(event, user.as_str(), role.as_str(), false);
            lines.push_str(&line);
            lines.push('\n');
            if lines.len() > 4 << 20 {
                runtime.block_on(send(&client, std::mem::take(&mut lines)));
            }
        }
    }
    runtime.block_on(send(&client, lines));
    println!("{} events sent after {:?}", sender.expected.len(), began.elapsed());
    let about = json!({"user": null, "in_order": false});
    let dir = place.check_with("clients", &server.address, &about);
    sender.write(&dir);
    checked("clients", &dir);
    println!("read after {:?}", began.elapsed());
    checked("ocsf", &place.check("ocsf", &server.address));
    println!("compared with exports after {:?}", began.elapsed());
    server.stop();
}

#[test]
#[ignore = "takes minutes"]
fn a_large_event_among_a_million_small_ones_holds_up_nobody() {
    const EVENTS: u64 = 1_000_000;
    const LARGE: usize = 50_000_000;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::new();
    let server = Server::start(
        &place.data(),
        &flags(&[
            "journal_bytes_max=32MiB",
            "journal_age_max=5s",
            "text_index=false",
            "event_bytes_max=64MiB",
        ]),
    );
    let client = place.client(&server.address);
    let began = Instant::now();
    runtime.block_on(async {
        let mut lines = String::new();
        for n in 0..EVENTS {
            let (session, seq) = (n / 1000, n % 1000);
            let time = Micros(1_772_357_400_000_000 + i64::try_from(n).unwrap() * 1000);
            let output = if n == EVENTS / 2 { "x".repeat(LARGE) } else { "y".to_owned() };
            let _ = writeln!(
                lines,
                r#"{{"session":"s-{session}","seq":{seq},"time":"{time}","kind":"command","input":"select {n}","output":"{output}"}}"#
            );
            if lines.len() > 4 << 20 || n == EVENTS - 1 {
                send(&client, std::mem::take(&mut lines)).await;
            }
        }
    });
    println!("{EVENTS} events sent after {:?}", began.elapsed());
    let about = json!({"events": EVENTS, "large": LARGE});
    checked("large", &place.check_with("large", &server.address, &about));
    println!("read after {:?}", began.elapsed());
    server.stop();
}
