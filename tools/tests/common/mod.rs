//! The real binary, started and stopped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

use daybook_engine::OWN_SEQ_MIN;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A running server; killed when dropped.
pub struct Server {
    pub child: Child,
    /// `http://127.0.0.1:PORT`
    pub address: String,
}

pub fn daybook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
    command
        .env_remove("DAYBOOK_SERVER")
        .env_remove("DAYBOOK_TOKEN")
        .env_remove("DAYBOOK_ENCRYPTION_KEY")
        .env("RUST_LOG", "warn");
    command
}

impl Server {
    /// Starts `daybook serve` on a free port, and waits until it listens.
    pub fn start(data: &Path, more: &[&str]) -> Server {
        Server::start_at("127.0.0.1:0", data, more)
    }

    /// Starts it at an address: the one that it had before, for clients that wait for it.
    pub fn start_at(listen: &str, data: &Path, more: &[&str]) -> Server {
        let mut child = daybook()
            // So that what the tests read is not among what they count.
            .args(["serve", "--listen", listen, "--set", "audit=false", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("daybook is open at ")
            .unwrap_or_else(|| panic!("no address in `{line}`"))
            .trim_end_matches('/')
            .to_owned();
        Server { child, address }
    }

    /// Its address as `--listen` takes it.
    pub fn listen(&self) -> String {
        self.address.trim_start_matches("http://").to_owned()
    }

    /// Every event of producers that it holds, as `(session, seq)` with its line; each once, or this fails. Left out is what
    /// daybook adds by itself: of the requests in samples some expire.
    pub fn events(&self) -> BTreeMap<(String, u64), Value> {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("all.ndjson");
        run(0, &["export", "--server", &self.address, "-o", out.to_str().unwrap()]);
        let mut events = BTreeMap::new();
        for line in std::fs::read_to_string(out).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let session = event["session"].as_str().unwrap().to_owned();
            let key = (session, event["seq"].as_u64().unwrap());
            if key.1 >= u64::from(OWN_SEQ_MIN.0) {
                continue;
            }
            assert!(events.insert(key, event).is_none(), "an event is there twice: {line}");
        }
        events
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "the server did not stop well");
    }

    /// Kills it as a power cut would, but for the disk's cache.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command and answers what it printed; panics with what it said if its exit code is another.
pub fn run(code: i32, args: &[&str]) -> String {
    let output: Output = daybook().args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
