//! The real binary on a port of its own, and a client for it.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server; asked to stop, and waited for, when dropped.
pub struct Server {
    child: Child,
    url: String,
}

/// A client with a connection of its own.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    url: String,
}

impl Server {
    pub fn start(data: &Path, flags: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_daybook"))
            .args(["serve", "--listen", "127.0.0.1:0", "--set", "audit=false", "--data"])
            .arg(data)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines {
            let line = line.unwrap();
            if let Some(at) = line.find("http://") {
                let url =
                    line[at..].split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
                return Server { child, url };
            }
        }
        let status = child.wait().unwrap();
        panic!("the server ended before it was ready: {status}");
    }

    pub fn client(&self) -> Client {
        daybook_tools::client::set_up_tls();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Client { runtime, http: reqwest::Client::new(), url: self.url.clone() }
    }

    pub fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.client().text(path)).unwrap()
    }

    pub fn search(&self, query: &str) -> Value {
        self.get(&format!("/v1/search?limit=1&count=sessions&q={}", encode(query)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(self.child.wait().unwrap().success(), "the server did not stop in order");
    }
}

impl Client {
    pub fn text(&self, path: &str) -> String {
        String::from_utf8(self.bytes(path)).unwrap()
    }

    pub fn bytes(&self, path: &str) -> Vec<u8> {
        self.runtime.block_on(async {
            let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
            let status = answer.status();
            let bytes = answer.bytes().await.unwrap().to_vec();
            assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&bytes));
            bytes
        })
    }

    /// Sends a body; a server that is busy is asked again.
    pub fn post(&self, path: &str, body: String) -> Value {
        self.runtime.block_on(async {
            loop {
                let url = format!("{}{path}", self.url);
                let answer = self.http.post(url).body(body.clone()).send().await.unwrap();
                if answer.status() != 503 {
                    return answer.json().await.unwrap();
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
    }
}

/// Percent-encodes everything but letters, digits, `-`, `_` and `.`.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}
