//! Real sessions through the real server: each event is there once and as it was sent, every counted
//! search gives exactly its count (right after the ack, after a restart, on sealed segments only), and
//! other people's readers count the same in the exported Parquet.
//!
//! The sessions come from the directory `DAYBOOK_CORPUS`, by default `../shared/corpus` beside the
//! checkout; where there is none, from the sample sessions, with searches counted by brute force.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod count;
#[path = "../../../query/tests/support/searches.rs"]
mod searches;
mod server;

use count::Model;
use daybook_tools::demo;
use serde_json::Value;
use serde_json::value::RawValue;
use server::Server;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PRODUCERS: usize = 8;

/// Searches whose counts rest on facts that no event of the corpus carries: the verdict and the masked
/// fields of terminal outputs, which a `terminal.output` event does not have.
const NOT_ON_THE_WIRE: [&str; 2] = ["D19", "D23"];

struct Input {
    /// Lines in the order of time, with their sessions.
    lines: Vec<(String, String)>,
    searches: Vec<Value>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn corpus() -> Option<Input> {
    let dir =
        std::env::var_os("DAYBOOK_CORPUS").map_or(root().join("../shared/corpus"), PathBuf::from);
    let searches = std::fs::read(dir.join("searches.json")).ok()?;
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(&dir).ok()? {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".ndjson.zst") {
            let mut text = String::new();
            let file = std::fs::File::open(&path).unwrap();
            zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    println!("{} events of {}", lines.len(), dir.display());
    Some(Input { lines: by_time(lines), searches: serde_json::from_slice(&searches).unwrap() })
}

/// The sample sessions a few times over, with a search of each kind counted by brute force.
fn samples() -> Input {
    println!("no corpus: DAYBOOK_CORPUS and ../shared/corpus are not there; using sample sessions");
    let now = daybook_engine::event::Micros(1_790_000_000_000_000);
    let mut lines = Vec::new();
    for round in 0..3 {
        let options = demo::Options { seed: demo::SEED + round, now, sessions: demo::SESSIONS };
        for line in demo::lines_without_requests(&options) {
            lines.push(line.replacen("\"session\":\"", &format!("\"session\":\"r{round}-"), 1));
        }
    }
    let lines = by_time(lines);
    let model = Model::new(lines.iter().map(|(_, line)| line.as_str()));
    let searches: Vec<Value> = serde_json::from_str(include_str!("searches.json")).unwrap();
    let searches = searches
        .into_iter()
        .map(|mut search| {
            let (events, sessions) = model.count(&search);
            assert!(events > 0, "the sample sessions have nothing for {search}");
            search["events"] = events.into();
            search["sessions"] = sessions.into();
            search
        })
        .collect();
    Input { lines, searches }
}

fn by_time(lines: Vec<String>) -> Vec<(String, String)> {
    let mut keyed: Vec<((String, String, u64), String)> = lines
        .into_iter()
        .map(|line| {
            let event: Value = serde_json::from_str(&line).unwrap();
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            ((text("time"), text("session"), event["seq"].as_u64().unwrap()), line)
        })
        .collect();
    keyed.sort();
    keyed.into_iter().map(|((_, session, _), line)| (session, line)).collect()
}

#[test]
fn every_event_is_there_once_and_every_search_counts_exactly() {
    let input = corpus().unwrap_or_else(samples);
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--journal-bytes", "48MiB"];
    let server = Server::start(dir.path(), &flags);
    load(&server, &input);
    let stats = server.get("/v1/stats");
    assert_eq!(stats["events"], input.lines.len() as u64);
    check_searches(&server, &input, "right after the ack");
    drop(server);

    let server = Server::start(dir.path(), &flags);
    check_searches(&server, &input, "after a restart");
    drop(server);

    let server = Server::start(dir.path(), &["--journal-age", "1s"]);
    for _ in 0..600 {
        if server.get("/v1/stats")["journal_bytes"] == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.get("/v1/stats")["journal_bytes"], 0, "not everything was sealed");
    check_searches(&server, &input, "on sealed segments only");
    check_timelines(&server, &input);
    check_parquet(&server, dir.path(), input.lines.len());
}

/// Sends everything with several producers at once; a session may go through any of them.
fn load(server: &Server, input: &Input) {
    let chunks: Vec<String> = input
        .lines
        .chunks(2_000)
        .map(|chunk| chunk.iter().map(|(_, line)| format!("{line}\n")).collect())
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                let client = server.client();
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(chunk) = chunks.get(i) else { return };
                    let answer = client.post("/v1/events", chunk.clone());
                    assert_eq!(answer["accepted"], chunk.lines().count() as u64, "{answer}");
                    if i.is_multiple_of(10) {
                        // A producer that did not hear the answer sends again.
                        let again = client.post("/v1/events", chunk.clone());
                        assert_eq!(again["duplicates"], chunk.lines().count() as u64, "{again}");
                    }
                }
            });
        }
    });
}

fn check_searches(server: &Server, input: &Input, when: &str) {
    let mut wrong = Vec::new();
    let answerable = |search: &&Value| !NOT_ON_THE_WIRE.iter().any(|id| search["id"] == *id);
    for search in input.searches.iter().filter(answerable) {
        let query = searches::query_text(search);
        let answer = server.search(&query);
        let found = (answer["count"].as_u64(), answer["sessions"].as_u64());
        // A `then` names sessions; the list counts each of them as one event.
        let expected = (search["events"].as_u64(), search["sessions"].as_u64());
        let right =
            if search.get("then").is_some() { found.1 == expected.1 } else { found == expected };
        if !right {
            wrong.push(format!(
                "{} `{query}`: found {found:?}, expected {expected:?}",
                search["id"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n"));
    println!("{} searches count exactly {when}", input.searches.iter().filter(answerable).count());
}

/// Each session's timeline gives the very bytes that were sent, plus the offset.
fn check_timelines(server: &Server, input: &Input) {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
        next_cursor: Option<String>,
    }
    let mut sessions: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for (session, line) in &input.lines {
        let seq = serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap();
        sessions.entry(session).or_default().push((seq, line));
    }
    let client = server.client();
    for (session, events) in &mut sessions {
        events.sort_unstable();
        let mut found = 0;
        let mut cursor = String::new();
        loop {
            let id = server::encode(session);
            let page =
                client.text(&format!("/v1/sessions/{id}/timeline?fold=false&limit=1000{cursor}"));
            let page: Page<'_> = serde_json::from_str(&page).unwrap();
            for item in page.items {
                let item = item.get();
                let cut = item.rfind("\"offset\":").expect("an offset");
                let sent = item[..cut].trim_end_matches([',', ' ']);
                let line = events[found].1;
                assert_eq!(format!("{sent}}}"), line, "event {found} of {session}");
                found += 1;
            }
            let Some(next) = page.next_cursor else { break };
            cursor = format!("&cursor={}", server::encode(&next));
        }
        assert_eq!(found, events.len(), "events of {session}");
    }
    println!("{} timelines give the bytes that were sent", sessions.len());
}

/// DuckDB, pyarrow and polars count the same in an export and in the feed's files.
fn check_parquet(server: &Server, data: &Path, events: usize) {
    let export = data.join("all.parquet");
    std::fs::write(&export, server.client().bytes("/v1/export?format=parquet")).unwrap();
    let mut files = vec![(export, events as u64)];
    let until = Instant::now() + Duration::from_secs(60);
    while files.iter().skip(1).map(|(_, rows)| rows).sum::<u64>() < events as u64 {
        assert!(Instant::now() < until, "the feed has all that is sealed: {files:?}");
        let page = server.client().bytes("/v1/parquet?limit=1000&wait=1s");
        let page: Value = serde_json::from_slice(&page).unwrap();
        files.truncate(1);
        for file in page["items"].as_array().unwrap() {
            let path = data.join("feeds").join(file["file"].as_str().unwrap());
            files.push((path, file["rows"].as_u64().unwrap()));
        }
    }
    for (file, events) in files {
        let expected = data.join("expected.json");
        std::fs::write(&expected, format!("{{\"events\": {events}}}")).unwrap();
        let script = root().join("query/tests/interop/run.sh");
        let output = Command::new("sh")
            .arg(script)
            .arg("check.py")
            .args([&file, &expected])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.code() == Some(77) {
            println!("{text}");
            return;
        }
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    println!("DuckDB, pyarrow and polars count {events} events");
}
