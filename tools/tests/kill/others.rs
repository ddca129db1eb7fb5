//! What goes on beside ingest: queries, retention passes, checkpoints.

use daybook_tools::client::Client;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What was seen over all lives of the server.
#[derive(Default)]
pub struct Seen {
    checkpoints: Mutex<BTreeSet<String>>,
    merges: AtomicU64,
    queries: AtomicU64,
    /// Events that retention passes said that they erased; the passes that a server makes by itself
    /// when it starts are not counted.
    erased: AtomicU64,
}

impl Seen {
    /// Every checkpoint that the server ever gave.
    pub fn checkpoints(&self) -> Vec<String> {
        self.checkpoints.lock().unwrap().iter().cloned().collect()
    }

    /// A test in which one of them never happened would test less than it says.
    pub fn assert_all_of_it_happened(&self) {
        let checkpoints = self.checkpoints().len();
        let [merges, queries, erased] = [&self.merges, &self.queries, &self.erased]
            .map(|counter| counter.load(Ordering::Relaxed));
        eprintln!(
            "{queries} queries, {merges} merges, {erased} events erased, {checkpoints} checkpoints"
        );
        assert!(checkpoints > 0 && merges > 0 && queries > 0 && erased > 0);
    }

    async fn pass(&self, client: &Client) -> anyhow::Result<()> {
        let by = [("by", "test".to_owned())];
        let report = client.change(Method::POST, "/v1/admin/retention/run", &by, None).await?;
        assert_eq!(report["failed"].as_array().unwrap().len(), 0, "{report}");
        let gone = report["gone"].as_array().unwrap();
        let events: u64 = gone.iter().map(|gone| gone["events"].as_u64().unwrap()).sum();
        self.erased.fetch_add(events, Ordering::Relaxed);
        Ok(())
    }

    async fn checkpoint(&self, client: &Client) -> anyhow::Result<()> {
        let fresh = [("fresh", "true".to_owned())];
        let note = client.open("/v1/checkpoint", &fresh).await?.text().await?;
        self.checkpoints.lock().unwrap().insert(note);
        Ok(())
    }

    async fn query(
        &self,
        client: &Client,
        path: &str,
        params: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        let params: Vec<_> =
            params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let answer = client.get(path, &params).await?;
        self.queries.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }

    async fn queries(&self, client: &Client) -> anyhow::Result<()> {
        let page = self.query(client, "/v1/sessions", &[]).await?;
        for session in page["items"].as_array().unwrap() {
            let id = session["session"].as_str().or(session["id"].as_str()).unwrap();
            let path = format!("/v1/sessions/{id}/timeline");
            match self.query(client, &path, &[]).await {
                // It may have gone since.
                Err(error) if id.starts_with("brief-") && no_session(&error) => {}
                other => drop(other?),
            }
        }
        let found = self.query(client, "/v1/search", &[("q", "select"), ("limit", "20")]).await?;
        assert!(found["items"].is_array(), "{found}");
        let stats = self.query(client, "/v1/stats", &[]).await?;
        assert!(stats["read_only"].is_null(), "{stats}");
        assert!(stats["checkpoint_error"].is_null(), "{stats}");
        self.merges.fetch_max(stats["merges"].as_u64().unwrap(), Ordering::Relaxed);
        Ok(())
    }
}

/// Starts them; each ends when the server is gone, and fails when it answers what it should not.
pub fn spawn(client: &Client, seen: &Arc<Seen>) -> Vec<JoinHandle<()>> {
    macro_rules! again_and_again {
        ($work:ident, $wait:literal) => {{
            let (client, seen) = (client.clone(), Arc::clone(seen));
            tokio::spawn(async move {
                loop {
                    if let Err(error) = seen.$work(&client).await {
                        return assert!(is_gone(&error), "{error:?}");
                    }
                    tokio::time::sleep(Duration::from_millis($wait)).await;
                }
            })
        }};
    }
    vec![
        again_and_again!(queries, 5),
        again_and_again!(pass, 50),
        again_and_again!(checkpoint, 150),
    ]
}

/// Passes and looks at the counts until at least one erased something and segments were merged, and one more
/// checkpoint: a busy machine may have come to neither between two kills.
pub async fn last_passes(client: &Client, seen: &Seen) {
    // Merging small segments makes them as young as the youngest, so under load little gets old.
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        seen.pass(client).await.unwrap();
        seen.queries(client).await.unwrap();
        let happened = |counter: &AtomicU64| counter.load(Ordering::Relaxed) > 0;
        if happened(&seen.erased) && happened(&seen.merges) {
            break;
        }
    }
    seen.checkpoint(client).await.unwrap();
}

fn no_session(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("session")
}

/// Did the connection end, and not with an answer?
fn is_gone(error: &anyhow::Error) -> bool {
    let said = format!("{error:#}");
    ["can't reach", "broke", "error decoding response body", "error reading a body"]
        .iter()
        .any(|part| said.contains(part))
}
