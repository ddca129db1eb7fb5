//! `daybook record` in a real terminal, against a real server that comes and goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A person's terminal with `daybook record` in it.
struct Person {
    pty: Arc<Pty>,
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Person {
    fn sits_down(server: &str, spill: &Path, args: &[&str]) -> Person {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(30, 100)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_daybook"))
            .env_remove("DAYBOOK_TOKEN")
            .env("USER", "eve@example.com")
            .args(["record", "--server", server, "--role", "lab-1", "--spill"])
            .arg(spill)
            .args(args)
            .spawn(pts)
            .unwrap();
        let (pty, screen) = (Arc::new(pty), Arc::new(Mutex::new(Vec::new())));
        let (near, shown) = (Arc::clone(&pty), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(n @ 1..) = (&*near).read(&mut buffer) {
                shown.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Person { pty, child, screen }
    }

    fn types(&self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).unwrap();
    }

    fn sees(&self, text: &str) {
        let start = Instant::now();
        loop {
            let screen = String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned();
            if screen.contains(text) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no `{text}` in `{screen}`");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Waits for its end; whatever that was, the terminal echoes again what is typed.
    fn gets_up(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "{modes:?}");
        status
    }
}

type Events = BTreeMap<(String, u64), Value>;

/// The only session's events: numbered without a gap, from its start to its end.
fn whole(events: &Events) -> Vec<&Value> {
    let seqs: Vec<u64> = events.keys().map(|(_, seq)| *seq).collect();
    assert_eq!(seqs, (0..events.len() as u64).collect::<Vec<_>>());
    let events: Vec<&Value> = events.values().collect();
    assert_eq!(events[0]["kind"], "session.start");
    assert_eq!(events[events.len() - 1]["kind"], "session.end");
    events
}

fn texts(events: &[&Value], kind: &str) -> String {
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["text"].as_str().unwrap()).collect()
}

fn waiting(spill: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(spill) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "ndjson")).collect()
}

#[test]
fn a_session_is_recorded_as_it_was_seen_typed_and_resized_and_ends_as_its_command_does() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let spill = temp.path().join("spill");
    let script = "stty size; printf 'żółć %s\\n' \"$DAYBOOK_SESSION\"; read line; while [ \"$(stty size)\" = '30 100' ]; do sleep 0.05; done; stty size; printf '\\377'; exit 7";
    let args = ["--input", "--", "sh", "-c", script];
    let mut person = Person::sits_down(&server.address, &spill, &args);
    person.sees("30 100");
    person.sees("żółć rec-");
    person.pty.resize(Size::new(50, 120)).unwrap();
    person.types("secret word\r");
    person.sees("50 120");
    assert_eq!(person.gets_up().code(), Some(7));
    let stored = server.events();
    let events = whole(&stored);
    let start = events[0];
    assert_eq!((&start["user"], &start["role"]), (&"eve@example.com".into(), &"lab-1".into()));
    assert_eq!((&start["cols"], &start["rows"]), (&100.into(), &30.into()));
    let last = events[events.len() - 1];
    assert_eq!((&last["status"], &last["exit_code"]), (&"failed".into(), &7.into()));
    assert_eq!(texts(&events, "terminal.input"), "secret word\r");
    let resized = events.iter().find(|event| event["kind"] == "terminal.resize").unwrap();
    assert_eq!((&resized["cols"], &resized["rows"]), (&120.into(), &50.into()));
    assert!(events.iter().any(|event| event["data"].is_string()), "\\377 is no text");
    let session = start["session"].as_str().unwrap();
    let shown = run(0, &["show", "--server", &server.address, session]);
    assert!(shown.contains(&format!("żółć {session}")), "{shown}");
    assert!(waiting(&spill).is_empty());
}

#[test]
fn what_is_typed_is_not_kept_unless_it_is_asked_for() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let args = ["--", "sh", "-c", "stty -echo; echo ready; read line; echo thanks"];
    let mut person = Person::sits_down(&server.address, &temp.path().join("spill"), &args);
    person.sees("ready");
    person.types("secret\r");
    assert!(person.gets_up().success());
    let text = format!("{:?}", server.events());
    assert!(text.contains("thanks") && !text.contains("secret"), "{text}");
}

#[test]
fn a_server_that_is_killed_and_started_again_in_the_middle_has_each_event_once() {
    let temp = tempfile::tempdir().unwrap();
    let (data, spill) = (temp.path().join("data"), temp.path().join("spill"));
    let server = Server::start(&data, &["--quiet"]);
    let (listen, address) = (server.listen(), server.address.clone());
    let script = "i=0; while [ $i -lt 150 ]; do echo line-$i-; i=$((i+1)); sleep 0.02; done";
    let mut person =
        Person::sits_down(&address, &spill, &["--patience", "30", "--", "sh", "-c", script]);
    person.sees("line-20-");
    server.kill();
    person.sees("line-80-");
    assert!(!waiting(&spill).is_empty(), "nothing was spilled: the test tests nothing");
    let server = Server::start_at(&listen, &data, &["--quiet"]);
    assert!(person.gets_up().success());
    let stored = server.events();
    let text = texts(&whole(&stored), "terminal.output");
    for i in 0..150 {
        assert_eq!(text.matches(&format!("line-{i}-")).count(), 1, "{i}");
    }
    assert!(waiting(&spill).is_empty());
}

#[test]
fn a_recorder_that_is_killed_while_the_server_is_away_leaves_what_the_next_one_sends() {
    let temp = tempfile::tempdir().unwrap();
    let (data, spill) = (temp.path().join("data"), temp.path().join("spill"));
    let server = Server::start(&data, &["--quiet"]);
    let (listen, address) = (server.listen(), server.address.clone());
    server.kill();
    let script = "i=0; while :; do echo line-$i-; i=$((i+1)); sleep 0.02; done";
    let mut person = Person::sits_down(&address, &spill, &["--", "sh", "-c", script]);
    person.sees("line-60-");
    person.signal(Signal::KILL);
    person.child.wait().unwrap();
    let server = Server::start_at(&listen, &data, &["--quiet"]);
    let spill_text = spill.to_str().unwrap();
    run(0, &["record", "--server", &address, "--spill", spill_text, "--send-spilled"]);
    let stored = server.events();
    let events: Vec<&Value> = stored.values().collect();
    let text = texts(&events, "terminal.output");
    // The last tenth of a second was in memory.
    for i in 0..40 {
        assert_eq!(text.matches(&format!("line-{i}-")).count(), 1, "{i}");
    }
    assert!(waiting(&spill).is_empty());
}

#[test]
fn a_full_spill_ends_the_command_and_says_so_in_the_recording() {
    let temp = tempfile::tempdir().unwrap();
    let (data, spill) = (temp.path().join("data"), temp.path().join("spill"));
    let script = "while :; do echo 0123456789012345678901234567890123456789; done";
    let args = ["--spill-bytes-max", "64KiB", "--patience", "0", "--", "sh", "-c", script];
    let mut person = Person::sits_down("http://127.0.0.1:1", &spill, &args);
    assert_eq!(person.gets_up().code(), Some(128 + 1));
    person.sees("the command was ended: the server is away, and the spill directory");
    let server = Server::start(&data, &["--quiet"]);
    let files = waiting(&spill);
    let files: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    run(0, &[&["import", "--server", &server.address][..], &files].concat());
    let stored = server.events();
    let events = whole(&stored);
    let last = events[events.len() - 1];
    assert_eq!(last["status"], "killed");
    assert!(last["reason"].as_str().unwrap().contains("is full"), "{last}");
}

#[test]
fn a_command_that_does_not_mind_is_killed_when_it_can_not_be_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let script = "trap '' HUP; while :; do echo 0123456789012345678901234567890123456789; done";
    let args = ["--spill-bytes-max", "64KiB", "--patience", "0", "--", "sh", "-c", script];
    let mut person = Person::sits_down("http://127.0.0.1:1", &temp.path().join("spill"), &args);
    assert_eq!(person.gets_up().code(), Some(128 + 9));
}

#[test]
fn a_command_waits_for_room_when_that_is_wanted_and_goes_on_when_the_server_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let (data, spill) = (temp.path().join("data"), temp.path().join("spill"));
    let server = Server::start(&data, &["--quiet"]);
    let (listen, address) = (server.listen(), server.address.clone());
    server.kill();
    let script = "i=0; while [ $i -lt 30000 ]; do echo line-$i-0123456789012345678901234567890123456789; i=$((i+1)); done";
    let full = ["--when-full", "wait", "--spill-bytes-max", "32KiB", "--patience", "60"];
    let args = [&full[..], &["--", "sh", "-c", script]].concat();
    let mut person = Person::sits_down(&address, &spill, &args);
    std::thread::sleep(Duration::from_millis(1_500));
    let seen = String::from_utf8_lossy(&person.screen.lock().unwrap()).contains("line-29999-");
    assert!(!seen, "it was never full: the test tests nothing");
    let server = Server::start_at(&listen, &data, &["--quiet"]);
    assert!(person.gets_up().success());
    let stored = server.events();
    let text = texts(&whole(&stored), "terminal.output");
    assert_eq!(text.matches("line-").count(), 30_000);
}

#[test]
fn a_recorder_that_is_asked_to_end_ends_the_command_and_the_recording() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let args = ["--", "sh", "-c", "echo ready; sleep 60; echo late"];
    let mut person = Person::sits_down(&server.address, &temp.path().join("spill"), &args);
    person.sees("ready");
    person.signal(Signal::TERM);
    assert_eq!(person.gets_up().code(), Some(128 + 1));
    let stored = server.events();
    let events = whole(&stored);
    assert_eq!(events[events.len() - 1]["reason"], "signal 1");
}

#[test]
fn without_a_terminal_a_pipe_is_recorded_to_its_end() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let mut child = daybook()
        .args(["record", "--server", &server.address, "--spill"])
        .arg(temp.path().join("spill"))
        .args(["--", "cat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe\nto its end").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("from a pipe"));
    let stored = server.events();
    assert!(texts(&whole(&stored), "terminal.output").contains("to its end"));
}

#[test]
fn a_command_that_is_not_there_is_said_and_its_session_ends() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(&temp.path().join("data"), &["--quiet"]);
    let mut person = Person::sits_down(
        &server.address,
        &temp.path().join("spill"),
        &["--", "no-such-command-anywhere"],
    );
    assert_eq!(person.gets_up().code(), Some(2));
    person.sees("can't run no-such-command-anywhere");
    assert_eq!(whole(&server.events()).len(), 2);
}
