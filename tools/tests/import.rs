//! `daybook import` of what other systems recorded: real logs of sudo and tlog, and files as hoop and
//! Teleport give them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// Imports twice: the second time nothing is new. Answers what the first time said.
fn import_twice(server: &Server, path: &Path, code: i32) -> Value {
    let args = ["import", "--json", "--server", &server.address, path.to_str().unwrap()];
    let first: Value = serde_json::from_str(&run(code, &args)).unwrap();
    let second: Value = serde_json::from_str(&run(code, &args)).unwrap();
    assert!(first["accepted"].as_u64().unwrap() > 0, "{first}");
    assert_eq!((&second["accepted"], &second["rejected"]), (&0.into(), &0.into()), "{second}");
    assert_eq!(second["duplicates"], first["accepted"]);
    first
}

fn sessions(server: &Server, more: &[&str]) -> Vec<Value> {
    let args = [&["sessions", "--json", "-n", "100", "--server", &server.address], more].concat();
    run(0, &args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The I/O logs that sudo 1.9.13 wrote, with the permissions that it gave them: git does not keep those.
fn sudo_logs(temp: &Path) -> PathBuf {
    let dir = temp.join("sudo-io");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(format!("{FIXTURES}/sudo-io"))
        .arg(&dir)
        .status();
    assert!(copied.unwrap().success());
    for number in ["01", "02", "03", "04"] {
        let timing = dir.join("00/00").join(number).join("timing");
        std::fs::set_permissions(timing, std::fs::Permissions::from_mode(0o400)).unwrap();
    }
    dir
}

#[test]
fn sudo_logs_are_sessions_with_their_commands_and_screens() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let dir = sudo_logs(temp.path());
    let said = import_twice(&server, &dir, 0);
    assert_eq!(said["files"], 4);
    let all = sessions(&server, &["--user", "alice"]);
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|session| session["status"] == "done"), "{all:?}");
    let found =
        run(0, &["search", "--json", "--server", &server.address, "\"stty size\" type:ssh"]);
    assert_eq!(found.lines().count(), 2, "{found}");
    let events = server.events();
    let texts: String = events.values().filter_map(|event| event["text"].as_str()).collect();
    assert!(texts.contains("été") && texts.contains("40 132"), "{texts}");
    let kinds = |kind: &str| events.values().filter(|event| event["kind"] == kind).count();
    assert_eq!((kinds("terminal.resize"), kinds("output"), kinds("command")), (1, 1, 4));
}

#[test]
fn one_bad_log_among_others_is_named_and_stops_none() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let dir = sudo_logs(temp.path());
    std::fs::write(dir.join("00/00/01/log.json"), "{\"submituser\":").unwrap();
    std::fs::write(dir.join("00/00/02/ttyout"), "short").unwrap();
    let said = import_twice(&server, &dir, 1);
    assert_eq!(sessions(&server, &[]).len(), 3);
    let named = said["first_rejected"].as_array().unwrap();
    assert!(named[0]["error"].as_str().unwrap().contains("01/log.json is not what sudo writes"));
    assert!(named[1]["error"].as_str().unwrap().contains("bytes of ttyout, which has"), "{said}");
}

#[test]
fn a_tlog_recording_is_a_session_plain_packed_or_from_the_journal() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let file = PathBuf::from(format!("{FIXTURES}/tlog.json"));
    let said = import_twice(&server, &file, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let packed = temp.path().join("tlog.zst");
    std::fs::write(&packed, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    let journal = temp.path().join("journal");
    let entries: String = text
        .lines()
        .map(|line| {
            json!({"__REALTIME_TIMESTAMP": "1772357427653000", "MESSAGE": line}).to_string() + "\n"
        })
        .collect();
    std::fs::write(&journal, entries).unwrap();
    for again in [packed, journal] {
        let args = ["import", "--json", "--server", &server.address, again.to_str().unwrap()];
        let again: Value = serde_json::from_str(&run(0, &args)).unwrap();
        assert_eq!((&again["accepted"], &again["duplicates"]), (&0.into(), &said["accepted"]));
    }
    let all = sessions(&server, &["--role", "db1.example.com"]);
    assert_eq!((all.len(), &all[0]["status"]), (1, &"done".into()));
    let shown = run(0, &["show", "--server", &server.address, all[0]["id"].as_str().unwrap()]);
    assert!(shown.contains("got typéd"), "{shown}");
}

#[test]
fn hoop_sessions_keep_their_ids_and_say_how_they_really_ended() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    import_twice(&server, Path::new(&format!("{FIXTURES}/hoop.json")), 0);
    let all = sessions(&server, &["--type", "database"]);
    assert_eq!(all[0]["id"], "35db0a2f-e5ce-4ad8-a308-55c3108956e5");
    assert_eq!((&all[0]["status"], &all[0]["approved"]), (&"failed".into(), &1.into()), "{all:?}");
    let found =
        run(0, &["search", "--json", "--server", &server.address, "output:\"permission denied\""]);
    assert_eq!(found.lines().count(), 1);
}

#[test]
fn teleport_events_are_found_by_user_role_and_query() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    import_twice(&server, Path::new(&format!("{FIXTURES}/teleport.ndjson")), 0);
    let all = sessions(&server, &["--role", "pg-prod"]);
    assert_eq!((all.len(), &all[0]["commands"]), (1, &2.into()), "{all:?}");
    let found = run(
        0,
        &["search", "--json", "--server", &server.address, "user:alice@example.com \"drop table\""],
    );
    assert_eq!(found.lines().count(), 1, "{found}");
    assert_eq!(sessions(&server, &["--user", "mallory*", "--status", "failed"]).len(), 1);
}

#[test]
fn all_versions_of_asciicast_are_the_same_session_but_for_its_id() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let versions = [
        "{\n \"version\": 1, \"width\": 80, \"height\": 24,\n \"stdout\": [[0.5, \"one\\r\\n\"],\n  [0.5, \"two\\r\\n\"]]\n}\n",
        "{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1772357400}\n[0.5,\"o\",\"one\\r\\n\"]\n[1.0,\"o\",\"two\\r\\n\"]\n",
        "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24},\"timestamp\":1772357400}\n# a comment\n[0.5,\"o\",\"one\\r\\n\"]\n[0.5,\"o\",\"two\\r\\n\"]\n",
    ];
    for (number, cast) in (1..).zip(versions) {
        let path = temp.path().join(format!("v{number}"));
        std::fs::write(&path, cast).unwrap();
        import_twice(&server, &path, 0);
    }
    let all = sessions(&server, &[]);
    assert_eq!(all.len(), 3);
    for session in all {
        assert_eq!((&session["duration_ms"], &session["status"]), (&1_000.into(), &"done".into()));
        let shown = run(0, &["show", "--server", &server.address, session["id"].as_str().unwrap()]);
        assert!(shown.contains("one") && shown.contains("two"), "{shown}");
    }
}

#[test]
fn a_file_that_is_nothing_known_is_named_with_what_it_seems_to_be() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    for (content, said) in [
        (&b"PK\x03\x04zip"[..], "it starts with `PK"),
        (b"{\"foo\":1}\n", "its first object has the fields foo"),
        (b"{\"version\":2}\n", "can't be read as an asciicast recording"),
        (b"{\"rec\":\"r\",\"timing\":5}\n", "can't be read as tlog's messages"),
        (b"[[1,2]]", "can't be read as hoop's sessions"),
    ] {
        let file = temp.path().join("x");
        std::fs::write(&file, content).unwrap();
        let output = daybook().args(["import", "--data"]).arg(&data).arg(&file).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said) && stderr.contains(file.to_str().unwrap()), "{stderr}");
    }
}
