//! Producers, which remember what they sent and what was acknowledged.

use daybook_engine::event::Micros;
use daybook_tools::client::{Client, Sent};
use daybook_tools::demo::rng::Rng;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The session that is on hold.
pub const HELD: &str = "held";
/// Events of a session of the producer whose sessions may go.
const SHORT_EVENTS: u64 = 500;

/// For how long a producer's sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Forever,
    /// As long as they are on hold.
    Held,
    /// They may go at any time.
    Briefly,
}

/// An event: its session and its `seq` there.
pub type Key = (String, u64);

/// What a producer knows.
pub struct Producer {
    pub kept: Kept,
    number: u64,
    rng: Rng,
    /// Everything that was ever sent, acknowledged or not.
    pub sent: BTreeMap<Key, String>,
    pub acked: BTreeSet<Key>,
}

impl Producer {
    pub fn new(kept: Kept, number: u64) -> Producer {
        let (sent, acked) = (BTreeMap::new(), BTreeSet::new());
        Producer { kept, number, rng: Rng::new(number), sent, acked }
    }

    /// Sends batch after batch until the server is gone. What was sent but never acknowledged is sent
    /// again first, as a proxy does.
    pub async fn run(mut self, client: Client) -> Producer {
        loop {
            let unknown = self.sent.keys().filter(|key| !self.acked.contains(key));
            let mut batch: Vec<Key> = unknown.cloned().collect();
            for _ in 0..self.rng.between(1, 100) {
                batch.push(self.make());
            }
            let lines: Vec<&str> = batch.iter().map(|key| self.sent[key].as_str()).collect();
            match client.send_once((lines.join("\n") + "\n").into()).await {
                Ok(Sent::Stored(receipt)) => {
                    assert!(receipt.rejected.is_empty(), "{:?}", receipt.rejected);
                    assert_eq!(receipt.accepted + receipt.duplicates, batch.len() as u64);
                    self.acked.extend(batch);
                }
                Ok(Sent::Busy(wait)) => tokio::time::sleep(wait).await,
                Err(_) => return self,
            }
            // Else there is so much that checking it takes most of the test's time.
            tokio::time::sleep(Duration::from_millis(self.rng.between(1, 20))).await;
        }
    }

    /// Makes the next event.
    fn make(&mut self) -> Key {
        let count = self.sent.len() as u64;
        let (session, seq, role) = match self.kept {
            Kept::Forever => (format!("kept-{}", self.number), count, "prod"),
            Kept::Held => (HELD.to_owned(), count, "short-held"),
            Kept::Briefly => {
                (format!("brief-{}", count / SHORT_EVENTS), count % SHORT_EVENTS, "short-lived")
            }
        };
        let time = Micros::now().to_string();
        let line = if seq == 0 {
            json!({"session": session, "seq": seq, "time": time, "kind": "session.start",
                "user": "someone@example.com", "role": role, "type": "database"})
        } else {
            let text = "x".repeat(self.rng.between(0, 400) as usize);
            json!({"session": session, "seq": seq, "time": time, "kind": "command",
                "input": format!("SELECT {seq}, '{text}'")})
        };
        let key = (session, seq);
        self.sent.insert(key.clone(), line.to_string());
        key
    }
}
