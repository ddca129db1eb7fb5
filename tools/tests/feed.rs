//! Feeds of the real server, listed and pulled; and profiles for Delta Sharing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use daybook_tools::client::Client;
use daybook_tools::demo::rng::Rng;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server whose journals close soon, with a configuration.
fn server(dir: &Path, config: &str) -> Server {
    let path = dir.join("daybook.toml");
    let quick = "journal_bytes_max = \"64KiB\"\njournal_age_max = \"200ms\"\n";
    std::fs::write(&path, format!("{quick}{config}")).unwrap();
    let flags = ["--quiet", "--config", path.to_str().unwrap()];
    Server::start(&dir.join("data"), &flags)
}

/// Sends sessions of three events each; every fourth is of ssh.
async fn send(client: &Client, sessions: std::ops::Range<u64>) {
    let mut text = String::new();
    for session in sessions {
        let kind = if session.is_multiple_of(4) { "ssh" } else { "database" };
        for (seq, more) in [
            json!({"kind": "session.start", "user": "ana@example.com", "role": format!("{kind}-prod"), "type": kind}),
            json!({"kind": "command", "input": "select 1", "output": "secret", "verdict": "blocked"}),
            json!({"kind": "session.end", "status": "done"}),
        ]
        .into_iter()
        .enumerate()
        {
            let mut event = more;
            event["session"] = json!(format!("s{session}"));
            event["seq"] = json!(seq);
            event["time"] = json!("2026-03-01T09:30:00Z");
            text += &format!("{event}\n");
        }
    }
    client.send(text.into(), Duration::from_secs(20)).await.unwrap();
}

fn feeds(server: &Server) -> Vec<Value> {
    let list = ["feed", "list", "--json", "--server", &server.address];
    lines(&String::from_utf8(daybook().args(list).output().unwrap().stdout).unwrap())
}

/// Waits until something holds for the feeds.
fn until(server: &Server, what: &str, holds: impl Fn(&[Value]) -> bool) {
    let started = Instant::now();
    while !holds(&feeds(server)) {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: {:#?}", feeds(server));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn pull(server: &Server, to: &Path, more: &[&str]) -> Vec<Value> {
    let base = ["feed", "pull", "--json", "--server", &server.address, "--to"];
    let mut args = base.to_vec();
    args.push(to.to_str().unwrap());
    args.extend(more);
    lines(&run(0, &args))
}

fn files(dir: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_str().unwrap().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// A column of all files of a directory.
fn column(dir: &Path, name: &str) -> Vec<Field> {
    let mut values = Vec::new();
    for file in files(dir, ".parquet") {
        let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let value = row.get_column_iter().find(|(column, _)| *column == name);
            values.push(value.unwrap().1.clone());
        }
    }
    values
}

fn offsets(dir: &Path) -> Vec<u64> {
    let number = |field: &Field| match field {
        Field::Long(number) => number.cast_unsigned(),
        other => panic!("{other}"),
    };
    let mut offsets: Vec<u64> = column(dir, "offset").iter().map(number).collect();
    offsets.sort_unstable();
    offsets
}

fn stored(server: &Server) -> BTreeSet<u64> {
    server.events().into_values().map(|event| event["offset"].as_u64().unwrap()).collect()
}

#[test]
fn a_directory_has_each_row_once_however_often_the_pull_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("lake");
    let server = server(dir.path(), "[feed.native]\nmerge_fewest = 2\npartition = \"day\"\n");
    let client = Client::new(&server.address, None).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut rng = Rng::new(7);
    let (mut killed, mut sent) = (0, 0);
    run(0, &["retention", "set", "type:ssh 1s", "--by", "eve", "--server", &server.address]);
    until(&server, "the feed began", |feeds| feeds[0]["tables"] != json!([]));
    for round in 0..24 {
        let more = rng.between(1, 40);
        runtime.block_on(send(&client, sent..sent + more));
        sent += more;
        let mut child = daybook()
            .args(["feed", "pull", "--quiet", "--follow", "--server", &server.address, "--to"])
            .arg(&to)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Some are killed while they start, some in the middle, some after long waits; small files become large ones
        // every five seconds.
        std::thread::sleep(Duration::from_millis(rng.between(10, 700)));
        assert!(child.try_wait().unwrap().is_none(), "it follows");
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        if round % 8 == 7 {
            run(0, &["retention", "run", "--by", "eve", "--server", &server.address]);
        }
    }
    // The last erasure, and nothing after it.
    std::thread::sleep(Duration::from_millis(1500));
    run(0, &["retention", "run", "--by", "eve", "--server", &server.address]);
    let all = stored(&server);
    let last = *all.last().unwrap();
    until(&server, "the feed is behind", |feeds| feeds[0]["through"].as_u64().unwrap() > last);
    // What was erased is followed, and small files become large ones, every five seconds.
    std::thread::sleep(Duration::from_secs(12));
    pull(&server, &to, &[]);
    let kept: Vec<u64> = offsets(&to).into_iter().filter(|offset| *offset <= last).collect();
    assert_eq!(kept, all.iter().copied().collect::<Vec<_>>());
    assert!(kept.len() as u64 >= sent * 2 && (kept.len() as u64) < sent * 3, "ssh is erased");
    assert_eq!(files(&to, ".part"), Vec::<PathBuf>::new());
    assert_eq!(pull(&server, &to, &[]), Vec::<Value>::new());
    // Who begins now comes to the same files.
    let again = dir.path().join("again");
    let told = pull(&server, &again, &["--table", "events"]);
    let names = |to: &Path| {
        let files = files(&to.join("native"), ".parquet").into_iter();
        files.map(|f| f.strip_prefix(to).unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&again), names(&to));
    assert_eq!(told.len(), names(&to).len());
    assert!(told.iter().all(|file| Path::new(file["path"].as_str().unwrap()).is_file()));
    eprintln!("{killed} killed, {sent} sessions, {} rows, {} files", kept.len(), told.len());
}

#[test]
fn what_is_pulled_is_checked_and_what_is_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("lake");
    let config = "parquet = false\n[feed.siem]\nschema = \"ocsf\"\nfindings = true\n\
                  [feed.hashes]\noutputs = \"hash\"\nroles = \"*, !ssh-*\"\n";
    let server = server(dir.path(), config);
    let client = Client::new(&server.address, None).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(send(&client, 0..40));
    let last = *stored(&server).last().unwrap();
    until(&server, "the feeds are behind", |feeds| {
        feeds.len() == 2 && feeds.iter().all(|feed| feed["through"].as_u64().unwrap() > last)
    });
    let listed = run(0, &["feed", "list", "--server", &server.address]);
    assert!(listed.contains("ocsf 1.8.0") && listed.contains("hashes"), "{listed}");
    // All tables of a feed.
    pull(&server, &to, &["--feed", "siem"]);
    assert_eq!(column(&to.join("siem/datastore_activity"), "time").len(), 30);
    assert_eq!(column(&to.join("siem/detection_finding"), "time").len(), 40);
    assert!(files(&to, ".cursor-siem-authentication").len() == 1);
    // Of some roles, and without a byte of what was shown.
    pull(&server, &to, &["--feed", "hashes"]);
    let hashes = to.join("hashes/events");
    assert_eq!(offsets(&hashes).len(), 90);
    assert!(column(&hashes, "output").iter().all(|output| *output == Field::Null));
    let details = format!("{:?}", column(&hashes, "details"));
    assert!(details.contains("sha256") && !details.contains("secret"), "{details}");
    // Without the cursor, what is missing comes again, and what the server does not know goes.
    let one = files(&hashes, ".parquet").pop().unwrap();
    let name = one.file_name().unwrap().to_str().unwrap().to_owned();
    let foreign = name.replacen(name.split('-').nth(3).unwrap(), "deadbeef", 1);
    std::fs::rename(&one, one.with_file_name(&foreign)).unwrap();
    std::fs::write(hashes.join("mine.txt"), "").unwrap();
    std::fs::write(hashes.join(".x.parquet.part"), "half").unwrap();
    assert_eq!(pull(&server, &to, &["--feed", "hashes"]), Vec::<Value>::new());
    std::fs::remove_file(to.join(".cursor-hashes-events")).unwrap();
    let told = pull(&server, &to, &["--feed", "hashes"]);
    assert!(told.iter().any(|line| line["deleted"] == json!(format!("hashes/events/{foreign}"))));
    assert_eq!((offsets(&hashes).len(), one.is_file()), (90, true), "{told:?}");
    assert!(hashes.join("mine.txt").is_file() && files(&to, ".part").is_empty());
    // A cursor that was altered is refused.
    let refused = |args: &[&str]| {
        let base = ["feed", "pull", "--server", &server.address, "--to", to.to_str().unwrap()];
        let output = daybook().args(base).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::write(to.join(".cursor-hashes-events"), "nonsense").unwrap();
    let said = refused(&["--feed", "hashes"]);
    assert!(said.contains(".cursor-hashes-events") && said.contains("begin again"), "{said}");
    assert!(refused(&[]).contains("there is no feed `native`; there are: siem, hashes"));
    assert!(refused(&["--feed", "siem", "--table", "x"]).contains("no table `x`"));
    assert!(refused(&["--feed", "../x", "--table", "x"]).contains("can't be the name"));
}

#[test]
fn settings_that_a_feeds_tables_can_not_follow_are_said_with_what_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = server(dir.path(), "[feed.a]\n[feed.b]\n[feed.c]\nschema = \"ocsf\"\n");
    until(&first, "they began", |feeds| feeds.iter().all(|feed| feed["tables"] != json!([])));
    first.stop();
    let changed = "[feed.a]\npartition = \"day\"\n[feed.b]\nschema = \"ocsf\"\n\
                   [feed.c]\nschema = \"ocsf\"\nversion = \"1.3.0\"\n";
    let second = server(dir.path(), changed);
    until(&second, "they fail", |feeds| {
        feeds.iter().filter(|feed| feed["failing_since"] != Value::Null).count() == 3
    });
    let said = |name: &str| {
        let feeds = feeds(&second);
        let feed = feeds.iter().find(|feed| feed["name"] == name).unwrap();
        feed["last_error"].as_str().unwrap().to_owned()
    };
    assert!(said("a").contains("set the feed's `partition` back, or give"), "{}", said("a"));
    assert!(said("b").contains("set its `schema` back, or give"), "{}", said("b"));
    assert!(said("c").contains("set the feed's `version` back, or give"), "{}", said("c"));
    run(1, &["feed", "list", "--server", &second.address]);
    let said = daybook()
        .args(["feed", "pull", "--feed", "a", "--to"])
        .arg(dir.path().join("lake"))
        .args(["--server", &second.address])
        .output()
        .unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("`partition` back"), "{said}");
}

#[test]
fn a_profile_opens_the_shares_until_it_expires() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path(), "");
    let (data, file) = (dir.path().join("data"), dir.path().join("daybook.share"));
    let (data, path) = (data.to_str().unwrap(), file.to_str().unwrap());
    let create = ["share-profile", "create", "--data", data, "--server", &server.address];
    run(0, &[&create[..], &["--name", "lake", "--expires", "90d", "-o", path]].concat());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let profile: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(profile["shareCredentialsVersion"], 1);
    assert_eq!(profile["endpoint"], format!("{}/delta-sharing", server.address));
    assert!(profile["expirationTime"].as_str().unwrap().ends_with('Z'), "{profile}");
    let token = profile["bearerToken"].as_str().unwrap().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shares = |token: &str| {
        let client = Client::new(&server.address, Some(token.to_owned())).unwrap();
        runtime.block_on(client.get("/delta-sharing/shares", &[]))
    };
    let started = Instant::now();
    while shares("nonsense").is_ok() {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not know of the token");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(shares(&token).unwrap()["items"][0]["name"], "daybook");
    // It is for reading feeds and exports.
    let client = Client::new(&server.address, Some(token)).unwrap();
    assert!(runtime.block_on(client.get("/v1/sessions", &[])).is_err());
    // A file that is there stays, and no token is made for nothing.
    let tokens = || run(0, &["token", "list", "--data", data]).lines().count();
    run(2, &[&create[..], &["-o", path]].concat());
    run(2, &[&create[..4], &["--server", "ftp://x"]].concat());
    run(2, &[&create[..], &["--expires", "soon"]].concat());
    assert_eq!(tokens(), 1);
    let printed: Value = serde_json::from_str(&run(0, &create)).unwrap();
    assert!(printed.get("expirationTime").is_none() && tokens() == 2);
}
