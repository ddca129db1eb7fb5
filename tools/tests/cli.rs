//! The commands, end to end: the real binary against a real server and a data directory at rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use daybook_engine::OWN_SEQ_MIN;
use daybook_engine::event::Micros;
use daybook_tools::demo;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn sample(sessions: usize) -> String {
    let options = demo::Options { seed: 5, now: Micros(1_773_500_000_000_000), sessions };
    demo::lines(&options).join("\n") + "\n"
}

#[test]
fn a_server_and_a_directory_at_rest_answer_alike() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let server = Server::start(data.as_ref(), &["--demo"]);
    let first = run(0, &["sessions", "--server", &server.address, "--json", "-n", "1"]);
    let id = serde_json::from_str::<Value>(&first).unwrap()["id"].as_str().unwrap().to_owned();
    let asked: &[&[&str]] = &[
        &["sessions", "--json", "-n", "1000"],
        &["sessions", "--json", "--type", "database", "--status", "done", "--sort", "-blocked"],
        &["sessions", "--json", "--after", "3d", "verdict:blocked"],
        &["search", "--json", "DROP TABLE"],
        &["search", "--json", "--role", "prod-*", "verdict:blocked", "-n", "500"],
        &["search", "--json", "/etc/shadow OR \"permission denied\""],
        &["search", "--json", "--by-session", "select", "-n", "20"],
        &["search", "--by-session", "verdict:blocked"],
        &["show", "--json", &id],
        &["show", &id],
        &["sessions"],
    ];
    let ask = |target: &[&str]| -> Vec<String> {
        asked.iter().map(|args| run(0, &[args, target].concat())).collect()
    };
    let live = ask(&["--server", &server.address]);
    server.stop();
    let at_rest = ask(&["--data", data]);
    for (args, (live, at_rest)) in asked.iter().zip(live.iter().zip(&at_rest)) {
        assert_eq!(live, at_rest, "{args:?}");
        assert!(!live.is_empty(), "{args:?} found nothing");
    }
    assert_eq!(live[0].lines().count(), demo::SESSIONS);
}

#[test]
fn importing_a_file_twice_stores_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let text = sample(20);
    let events = text.lines().count() as u64;
    let plain = dir.path().join("a.ndjson");
    std::fs::write(&plain, &text).unwrap();
    let packed = dir.path().join("a.ndjson.zst");
    std::fs::write(&packed, zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
    let import = |file: &Path| -> Value {
        let args = ["import", "--json", "--server", &server.address, file.to_str().unwrap()];
        serde_json::from_str(&run(0, &args)).unwrap()
    };
    let first = import(&plain);
    assert_eq!((&first["accepted"], &first["duplicates"]), (&events.into(), &0.into()));
    let second = import(&packed);
    assert_eq!((&second["accepted"], &second["duplicates"]), (&0.into(), &events.into()));
}

#[test]
fn a_rejected_line_is_named_with_its_file_and_number_and_the_good_ones_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let text = sample(2);
    let (first, rest) = text.split_once('\n').unwrap();
    let file = dir.path().join("bad.ndjson");
    std::fs::write(&file, format!("{first}\n\n{{\"session\":\"x\"}}\n{rest}")).unwrap();
    for target in
        [["--server", &server.address], ["--data", dir.path().join("b").to_str().unwrap()]]
    {
        let args = [&["import", "--json"], &target[..], &[file.to_str().unwrap()]].concat();
        let summary: Value = serde_json::from_str(&run(1, &args)).unwrap();
        assert_eq!(summary["accepted"], text.lines().count());
        assert_eq!(summary["rejected"], 1);
        assert_eq!(summary["first_rejected"][0]["line"], 3);
    }
}

#[test]
fn a_recording_becomes_a_session_and_importing_it_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let cast = dir.path().join("demo.cast");
    std::fs::write(&cast, "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24},\"timestamp\":1773400000}\n[0.2,\"o\",\"hi there\\r\\n\"]\n[0.1,\"x\",\"0\"]\n").unwrap();
    let cast = cast.to_str().unwrap();
    let args = ["import", "--json", "--data", data, "--user", "ana@example.com", cast];
    let first: Value = serde_json::from_str(&run(0, &args)).unwrap();
    let second: Value = serde_json::from_str(&run(0, &args)).unwrap();
    assert_eq!((&first["accepted"], &second["accepted"]), (&3.into(), &0.into()));
    let list = run(0, &["sessions", "--json", "--data", data, "--user", "ana@*"]);
    let item: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(item["status"], "done");
    let shown = run(0, &["show", "--data", data, item["id"].as_str().unwrap()]);
    assert!(shown.contains("hi there"), "{shown}");
}

#[test]
fn an_export_holds_every_event_and_leaves_no_half_file() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let text = sample(10);
    let file = dir.path().join("a.ndjson");
    std::fs::write(&file, &text).unwrap();
    run(0, &["import", "--server", &server.address, file.to_str().unwrap()]);
    let mut sent: Vec<(String, u64)> = text.lines().map(named).collect();
    sent.sort();
    for name in ["live.ndjson", "live.csv", "live.arrow", "live.parquet"] {
        let out = dir.path().join(name);
        run(0, &["export", "--server", &server.address, "-o", out.to_str().unwrap()]);
        assert!(std::fs::metadata(&out).unwrap().len() > 0);
        assert!(!dir.path().join(format!("{name}.part")).exists());
    }
    let exported = std::fs::read_to_string(dir.path().join("live.ndjson")).unwrap();
    let mut got: Vec<(String, u64)> = exported.lines().map(named).collect();
    got.sort();
    assert_eq!(got, sent);
    run(2, &["export", "--server", &server.address, "-o", "a.xlsx"]);
    server.stop();
    assert!(run(0, &["inspect", "--json", data.to_str().unwrap()]).contains("journal"));
}

#[test]
fn an_export_that_is_killed_is_gone_on_with_and_has_every_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let text = sample(40);
    let file = dir.path().join("a.ndjson");
    std::fs::write(&file, &text).unwrap();
    run(0, &["import", "--server", &server.address, file.to_str().unwrap()]);
    for name in ["all.ndjson", "all.csv"] {
        let whole = dir.path().join(format!("whole-{name}"));
        run(0, &["export", "--server", &server.address, "-o", whole.to_str().unwrap()]);
        let out = dir.path().join(name);
        let export =
            ["export", "--server", &server.address, "--slice", "9", "-o", out.to_str().unwrap()];
        let mut gone_on = 0;
        let progress = dir.path().join(format!("{name}.part.json"));
        for patience in 0..20 {
            let mut child = daybook().args(export).stdout(Stdio::null()).spawn().unwrap();
            // At some moment after its first slice.
            while !progress.exists() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(patience * 3 % 20));
            child.kill().unwrap();
            child.wait().unwrap();
            gone_on += u32::from(progress.exists());
            if out.exists() {
                break;
            }
        }
        assert!(gone_on > 0, "it was killed in the middle at least once");
        run(0, &export);
        let sorted = |path: &Path| {
            let text = std::fs::read_to_string(path).unwrap();
            // But what daybook adds while it is exported: requests in the sample that expire.
            let added = OWN_SEQ_MIN.0.to_string();
            let sent = text.lines().filter(|line| !line.contains(&added));
            let mut lines: Vec<String> = sent.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert!(sorted(&out) == sorted(&whole), "{name} has not each event once");
        let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.filter(|left| left.to_string_lossy().contains(".part")).count() == 0);
    }
}

#[test]
fn a_session_is_downloaded_shared_and_counted_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--demo"]);
    let at = ["--server", &server.address];
    let with = |args: &[&str]| run(0, &[args, &at].concat());
    let list = with(&["sessions", "--json", "-n", "1", "type:database", "verdict:passed"]);
    let session: Value = serde_json::from_str(&list).unwrap();
    let id = session["id"].as_str().unwrap();
    for (format, head) in [
        ("txt", &b"session "[..]),
        ("ndjson", b"{\""),
        ("cast", b"{\"version\":2"),
        ("cast3", b"{\"version\":3"),
        ("parquet", b"PAR1"),
        ("html", b"<!doctype html>"),
    ] {
        let out = dir.path().join(format!("it.{format}"));
        with(&["download", id, "--format", format, "-o", out.to_str().unwrap()]);
        let bytes = std::fs::read(&out).unwrap();
        assert!(bytes.starts_with(head), "{format}: {}", String::from_utf8_lossy(&bytes[..40]));
    }
    let lines = std::fs::read_to_string(dir.path().join("it.ndjson")).unwrap();
    assert_eq!(lines.lines().count() as u64, session["events"].as_u64().unwrap());
    let link: Value =
        serde_json::from_str(&with(&["share", id, "--anyone", "--hide-outputs", "--json"]))
            .unwrap();
    assert!(link["url"].as_str().unwrap().starts_with("/shared/"), "{link}");
    let file: Value =
        serde_json::from_str(&with(&["share", id, "--file", "ndjson", "--json"])).unwrap();
    assert!(file["url"].as_str().unwrap().starts_with("/v1/linked/"), "{file}");
    let shown = with(&["links", "list", id]);
    assert!(shown.contains("no outputs") && shown.contains("anyone"), "{shown}");
    with(&["links", "revoke", link["id"].as_str().unwrap(), "--by", "eve@example.com"]);
    assert!(with(&["links", "list"]).contains("revoked by eve@example.com"));
    assert!(with(&["notifications", "list"]).contains("nobody is told"));
    assert!(with(&["producers"]).contains("no producer has said"));
}

fn named(line: &str) -> (String, u64) {
    let event: Value = serde_json::from_str(line).unwrap();
    (event["session"].as_str().unwrap().to_owned(), event["seq"].as_u64().unwrap())
}

#[test]
fn a_short_load_is_taken_whole_and_found_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let out = run(
        0,
        &[
            "load",
            "--server",
            &server.address,
            "--producers",
            "3",
            "--duration",
            "1",
            "--batch",
            "50",
            "--sessions",
            "9",
            "--rate",
            "2000",
            "--check-searchable",
            "--json",
        ],
    );
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["errors"], &report["duplicates"]), (&0.into(), &0.into()), "{report}");
    assert!(report["events"].as_u64().unwrap() > 0 && report["searches"].as_u64().unwrap() > 0);
}

#[test]
fn what_can_not_be_done_is_said_with_exit_code_2() {
    let nobody = "http://127.0.0.1:1";
    for args in [
        &["sessions", "--server", nobody][..],
        &["search", "--data", "/nonexistent", "x"],
        &["search", "verdict:bloked"],
        &["import", "--server", nobody, "/nonexistent/a.ndjson"],
        &["inspect", "/nonexistent"],
        &["sessions", "--status", "finished"],
    ] {
        run(2, args);
    }
}

#[test]
fn holds_and_retention_are_the_same_on_a_server_and_on_a_directory_at_rest() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--demo", "--keep", "type:ssh 30d", "--keep", "7y"]);
    let live = ["--server", server.address.as_str()];
    let show = run(0, &[&["retention", "show"], &live[..]].concat());
    assert_eq!(show, "type:ssh 30d\nall others 7y\n");
    let why = ["--case", "2026-17", "--reason", "subpoena", "--by", "eve@example.com"];
    let add = ["hold", "add", "--user", "ana@*", "--query", "\"drop table\"", "--json"];
    let hold: Value = serde_json::from_str(&run(0, &[&add[..], &why, &live].concat())).unwrap();
    run(2, &[&["hold", "add"], &why[..], &live].concat());
    let listed = run(0, &[&["hold", "list", "--json"], &live[..]].concat());
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap(), hold);
    let plan = run(0, &[&["retention", "run", "--dry-run", "--by", "eve"], &live[..]].concat());
    assert_eq!(plan, "nothing is past its age\n");
    server.stop();

    let rest = ["--data", data.to_str().unwrap()];
    assert_eq!(run(0, &[&["hold", "list", "--json"], &rest[..]].concat()), listed);
    assert_eq!(run(0, &[&["retention", "show"], &rest[..]].concat()), show);
    let id = hold["id"].as_str().unwrap();
    let release = ["hold", "release", id, "--reason", "closed", "--by", "eve@example.com"];
    run(0, &[&release[..], &rest].concat());
    run(2, &[&release[..], &rest].concat());
    let set = ["retention", "set", "role:lab-* 1d", "--bytes-max", "1GiB", "--by", "eve"];
    run(0, &[&set[..], &rest].concat());
    let show = run(0, &[&["retention", "show"], &rest[..]].concat());
    assert_eq!(show, "role:lab-* 1d\nall others forever\nat most 1.1 GB in sealed segments\n");
    let told = run(0, &[&["show", "daybook"], &rest[..]].concat());
    assert!(told.contains("(case 2026-17): closed"), "{told}");
}

#[test]
fn a_session_is_proved_by_a_server_or_a_directory_and_checked_with_the_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--demo"]);
    let listed = run(0, &["sessions", "--server", &server.address, "--json", "-n", "1"]);
    let id = serde_json::from_str::<Value>(&listed).unwrap()["id"].as_str().unwrap().to_owned();
    let (live, at_rest) = (dir.path().join("live.json"), dir.path().join("rest.json"));
    let (live, at_rest) = (live.to_str().unwrap(), at_rest.to_str().unwrap());
    run(0, &["proof", "--server", &server.address, "-o", live, &id]);
    server.stop();
    run(0, &["proof", "--data", data.to_str().unwrap(), "-o", at_rest, &id]);
    let key = data.join("keys/verifier.key");
    for file in [live, at_rest] {
        let said = run(0, &["verify", file, "--key", key.to_str().unwrap()]);
        assert!(said.contains("the proof holds") && said.contains("none between these"), "{said}");
        let proved: Value = serde_json::from_str(&run(0, &["verify", "--json", file])).unwrap();
        assert_eq!(proved["session"], id.as_str());
    }
    let text = std::fs::read_to_string(live).unwrap();
    std::fs::write(live, text.replacen("\"time\":\"20", "\"time\":\"21", 1)).unwrap();
    assert!(run(1, &["verify", live]).contains("does not hold"));
}

#[test]
fn a_data_directory_that_can_not_be_used_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let said = |args: &[&str]| -> String {
        let output = daybook().args(args).arg("--data").arg(&data).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let server =
        Server::start(&data, &["--demo", "--journal-age", "200ms", "--set", "merge=false"]);
    let serve = ["serve", "--listen", "127.0.0.1:0", "--set", "merge=false"];
    for args in [&serve[..], &["sessions"]] {
        let said = said(args);
        assert!(said.contains("has it open") && said.contains("--server"), "{said}");
    }
    let sealed = || {
        let names = std::fs::read_dir(data.join("segments")).unwrap().map(|e| e.unwrap().path());
        names.into_iter().find(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'))
    };
    while sealed().is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    server.stop();
    let segment = sealed().unwrap();
    let segment = segment.strip_prefix(&data).unwrap().to_owned();
    for (file, part) in [
        (std::path::PathBuf::from("DAYBOOK"), "its file DAYBOOK is missing"),
        ("journal".into(), "`journal` is missing"),
        (segment.join("events.blk"), "events.blk"),
        (segment.join("segment.json"), "segment.json"),
    ] {
        // On a copy: what can be mended is mended by the server.
        let copy = dir.path().join("copy");
        let _ = std::fs::remove_dir_all(&copy);
        let copied = std::process::Command::new("cp").arg("-a").args([&data, &copy]).status();
        assert!(copied.unwrap().success());
        std::fs::rename(copy.join(&file), dir.path().join(part.replace('/', ""))).unwrap();
        // What is damaged may be served read-only; here only what is said counts.
        let mut child = daybook();
        child.args(serve).arg("--data").arg(&copy).stdout(Stdio::null());
        let child = child.stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let pid = child.id().to_string();
        let _ = std::process::Command::new("kill").args(["-TERM", &pid]).output();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(part), "{}: {said}", file.display());
    }
    let marker = std::fs::read(data.join("DAYBOOK")).unwrap();
    for (text, part) in
        [("{\"daybook\":99}", "a newer version"), ("{\"daybook\":1}", "an older version")]
    {
        std::fs::write(data.join("DAYBOOK"), text).unwrap();
        assert!(said(&serve).contains(part));
        assert!(said(&["search", "x"]).contains(part));
    }
    std::fs::write(data.join("DAYBOOK"), marker).unwrap();
    assert!(!run(0, &["sessions", "--data", data.to_str().unwrap()]).is_empty());
}

#[test]
fn keys_are_made_rotated_and_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, data) = (dir.path().join("keys"), dir.path().join("data"));
    let (keys, data) = (keys.to_str().unwrap(), data.to_str().unwrap());
    let events = dir.path().join("events.ndjson");
    let line = r#"{"session":"s","seq":0,"time":"2026-03-01T10:00:00Z","kind":"note","by":"a@example.com","text":"x"}"#;
    std::fs::write(&events, line).unwrap();
    let write = |text: String| {
        std::fs::write(keys, text).unwrap();
        std::fs::set_permissions(keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let old = run(0, &["keygen"]);
    assert!(old.starts_with("1:") && old.ends_with("=\n"), "a line");
    write(old.clone());
    let at = ["--data", data, "--encryption-key-file", keys];
    fn with<'a>(command: &[&'a str], at: &[&'a str]) -> Vec<&'a str> {
        [command, at].concat()
    }
    run(0, &with(&["import", events.to_str().unwrap()], &at));
    let shown = run(0, &with(&["show", "s"], &at));
    let new = run(0, &["keygen", "--after", keys]);
    assert!(new.starts_with("2:"), "the next number");
    write(format!("{new}{old}"));
    let said = run(0, &with(&["rekey", "--json"], &at));
    assert_eq!(said.trim(), r#"{"key":2,"segments":0}"#);
    write(new);
    assert_eq!(run(0, &with(&["show", "s"], &at)), shown);
    write(old);
    let output = daybook().args(with(&["show", "s"], &at)).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("under key 2, which is not among the encryption keys"), "{said}");
    write("1:secret".to_owned());
    let output = daybook().args(with(&["show", "s"], &at)).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("line 1 of the encryption keys") && !said.contains("secret"), "{said}");
}

#[test]
fn a_token_is_made_used_and_revoked_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let at = data.to_str().unwrap();
    // Before there is a data directory, there is nothing to put a token into.
    let output = daybook().args(["token", "create", "--scope", "read", "--data", at]).output();
    assert_eq!(output.unwrap().status.code(), Some(2));
    let server = Server::start(&data, &["--quiet", "--demo"]);
    let make = |more: &[&str]| {
        let args = [&["token", "create", "--data", at], more].concat();
        run(0, &args).trim().to_owned()
    };
    let token = make(&["ann", "--scope", "read", "--role", "prod-*"]);
    let sessions = |token: &str| {
        let mut command = daybook();
        command.args(["sessions", "--json", "--limit", "1000", "--server", &server.address]);
        if !token.is_empty() {
            command.env("DAYBOOK_TOKEN", token);
        }
        let output = command.output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), lines.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(sessions("").0, Some(2));
    let (code, seen) = sessions(&token);
    assert_eq!(code, Some(0));
    assert!(
        !seen.is_empty() && seen.iter().all(|line| line.contains("\"role\":\"prod-")),
        "{seen:?}"
    );
    let list = run(0, &["token", "list", "--data", at]);
    assert!(
        list.contains("ann") && list.contains("role:prod-*") && list.contains("valid"),
        "{list}"
    );
    let id = list.split_whitespace().next().unwrap();
    run(0, &["token", "revoke", "--data", at, id]);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(sessions(&token).0, Some(2));
    assert!(run(0, &["token", "list", "--data", at]).contains("revoked"));
    run(2, &["token", "revoke", "--data", at, "none"]);
    server.stop();
    run(0, &["verify", at]);
}

#[test]
fn a_tail_goes_on_over_a_restart_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let listen = server.listen();
    let mut tail = daybook()
        .args(["tail", "--json", "-n", "4", "--from", "0", "--server", &server.address])
        .arg("verdict:blocked")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tail.stdout.take().unwrap()));
    let file = dir.path().join("events.ndjson");
    let send = |address: &str, session: &str| {
        let events: Vec<String> = (0..4)
            .map(|seq| {
                let verdict = if seq % 2 == 0 { "passed" } else { "blocked" };
                format!(
                    r#"{{"session":"{session}","seq":{seq},"time":"2026-03-01T10:00:00Z","kind":"command","input":"select 1","verdict":"{verdict}"}}"#
                )
            })
            .collect();
        std::fs::write(&file, events.join("\n")).unwrap();
        run(0, &["import", "-q", "--server", address, file.to_str().unwrap()]);
    };
    let mut next = || -> (String, u64) {
        let hit: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        (hit["session"].as_str().unwrap().to_owned(), hit["seq"].as_u64().unwrap())
    };
    send(&server.address, "a");
    assert_eq!((next(), next()), (("a".to_owned(), 1), ("a".to_owned(), 3)));
    server.kill();
    let server = Server::start_at(&listen, &data, &[]);
    // Before it is there again.
    send(&server.address, "b");
    assert_eq!((next(), next()), (("b".to_owned(), 1), ("b".to_owned(), 3)));
    assert!(tail.wait().unwrap().success());
}
