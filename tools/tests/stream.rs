//! A producer that streams, and a server that is killed under it again and again: it goes on where the
//! server says that its session stands, and nothing that was acknowledged is lost or there twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, run};
use daybook_tools::demo::rng::Rng;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message};

const SESSION: &str = "streamed";
const KILLS: u32 = 12;
/// Frames that are sent before the first of them is acknowledged.
const ON_THEIR_WAY: usize = 16;

/// What a producer knows of its session.
#[derive(Default)]
struct Producer {
    /// The number after the last that was ever sent.
    next: u64,
    /// Everything below was acknowledged.
    acked: u64,
    /// The most that the server said to have, without an ack.
    resumed_ahead: u64,
}

fn line(seq: u64) -> String {
    let input = format!("SELECT {seq}, '{}'", "x".repeat((seq * 37 % 300) as usize));
    json!({"session": SESSION, "seq": seq, "time": "2026-03-01T10:00:00Z", "kind": "command",
        "input": input})
    .to_string()
}

impl Producer {
    /// Streams until the server is gone.
    async fn run(&mut self, address: &str, rng: &mut Rng) -> Result<(), Error> {
        let address = address.trim_start_matches("http://");
        let socket = TcpStream::connect(address).await?;
        let url = format!("ws://{address}/v1/events?session={SESSION}");
        let (mut socket, _) = client_async(url, socket).await?;
        let hello = answer(socket.next().await)?;
        let through = hello["sessions"][0]["through"].as_u64().map_or(0, |seq| seq + 1);
        assert!(through >= self.acked, "{} were acknowledged, {through} are there", self.acked);
        assert!(through <= self.next, "{} were sent, {through} are there", self.next);
        self.resumed_ahead = self.resumed_ahead.max(through - self.acked);
        let (mut seq, mut frame, mut ends) = (through, 0, VecDeque::new());
        loop {
            while ends.len() < ON_THEIR_WAY {
                let until = seq + rng.between(1, 100);
                let lines: Vec<String> = (seq..until).map(line).collect();
                self.next = self.next.max(until);
                ends.push_back((until, until - seq));
                seq = until;
                socket.send(Message::text(lines.join("\n"))).await?;
            }
            let ack = answer(socket.next().await)?;
            frame += 1;
            let (end, count) = ends.pop_front().unwrap();
            assert_eq!((&ack["type"], &ack["frame"]), (&json!("ack"), &json!(frame)), "{ack}");
            let stored = ack["accepted"].as_u64().unwrap() + ack["duplicates"].as_u64().unwrap();
            assert_eq!(stored, count, "{ack}");
            self.acked = end;
        }
    }
}

fn answer(message: Option<Result<Message, Error>>) -> Result<Value, Error> {
    match message.ok_or(Error::ConnectionClosed)?? {
        Message::Text(text) => Ok(serde_json::from_str(&text).unwrap()),
        Message::Close(_) => Err(Error::ConnectionClosed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_that_a_stream_acknowledged_is_lost_over_kills() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let flags = ["--quiet", "--journal-bytes", "256KiB", "--journal-age", "300ms"];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut rng = Rng::new(11);
    let mut producer = Producer::default();
    for _ in 0..KILLS {
        let server = Server::start(&data, &flags);
        let address = server.address.clone();
        let wait = Duration::from_millis(rng.between(100, 700));
        let ended = runtime.block_on(async {
            let kill = async {
                tokio::time::sleep(wait).await;
                tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
            };
            tokio::join!(producer.run(&address, &mut rng), kill).0
        });
        assert!(ended.is_err());
    }
    assert!(producer.acked > 2_000, "only {} acks: the test tests nothing", producer.acked);
    assert!(producer.resumed_ahead > 0, "no kill came between the disk and an ack");

    let server = Server::start(&data, &flags);
    let out = dir.path().join("all.ndjson");
    run(0, &["export", "--server", &server.address, "-o", out.to_str().unwrap()]);
    let mut found = BTreeMap::new();
    for text in std::fs::read_to_string(&out).unwrap().lines() {
        let mut event: Value = serde_json::from_str(text).unwrap();
        if event["session"] != SESSION {
            continue;
        }
        event.as_object_mut().unwrap().remove("offset");
        let seq = event["seq"].as_u64().unwrap();
        assert_eq!(event, serde_json::from_str::<Value>(&line(seq)).unwrap());
        assert!(found.insert(seq, ()).is_none(), "{seq} is there twice");
    }
    for seq in 0..producer.acked {
        assert!(found.contains_key(&seq), "{seq} was acknowledged and is lost");
    }
    server.stop();
    run(0, &["verify", data.to_str().unwrap()]);
}
