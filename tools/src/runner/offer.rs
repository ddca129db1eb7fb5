//! A run as the server gives it, and what is said of it there.

use crate::client::{Backoff, Client, NotDone};
use crate::source::escape;
use anyhow::Context as _;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a call may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long the server is asked to wait for a run.
const WAIT: Duration = Duration::from_secs(30);
/// How long it is told of an end that it does not hear of, and how long it may miss events that it took.
const TELL_FOR: Duration = Duration::from_secs(600);
const NOT_RECORDED_FOR: Duration = Duration::from_secs(30);

/// A run that was taken.
#[derive(Clone, Debug, Deserialize)]
pub struct Offer {
    pub id: String,
    pub lease: String,
    pub lease_ms: u64,
    pub attempt: u32,
    pub session: String,
    pub rerun_of: String,
    pub input: String,
    pub language: Option<String>,
    pub role: String,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub subtype: Option<String>,
    pub masked: u64,
    pub by: String,
    pub reason: Option<String>,
    pub repeat: bool,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// So it is.
    Heard,
    /// It is not to be, in a sentence.
    Refused(String),
}

/// Where runs are taken.
#[derive(Clone, Debug)]
pub struct Desk {
    client: Client,
    wanted: Value,
}

impl Desk {
    pub fn new(client: Client, roles: &[String], languages: &[&str]) -> Desk {
        let wait = format!("{}s", WAIT.as_secs());
        Desk { client, wanted: json!({"roles": roles, "languages": languages, "wait": wait}) }
    }

    /// Takes a run; none if there was none in time.
    pub async fn take(&self) -> Result<Option<Offer>, NotDone> {
        let fault = |error| NotDone { status: None, name: String::new(), error, passes: false };
        let mut wanted = self.wanted.clone();
        let lease = new_lease().map_err(fault)?;
        if let Some(object) = wanted.as_object_mut() {
            object.insert("lease".to_owned(), json!(lease));
        }
        let within = WAIT + ANSWER_WITHIN;
        let mut taken =
            self.client.call(Method::POST, "/v1/runs/take", Some(&wanted), within).await?;
        let run = taken.get_mut("run").map(Value::take).unwrap_or_default();
        serde_json::from_value(run)
            .context("the server gives a run that can't be read; is it a newer one?")
            .map_err(fault)
    }

    /// Asks whether it may begin.
    pub async fn start(&self, offer: &Offer, session: &str) -> Said {
        // Past its lease it may not anyhow.
        let patience = Duration::from_millis(offer.lease_ms);
        let body = json!({"lease": offer.lease, "session": session});
        self.tell(offer, "start", &body, patience).await
    }

    pub async fn give_back(&self, offer: &Offer, why: &str) -> Said {
        let body = json!({"lease": offer.lease, "why": why});
        self.tell(offer, "return", &body, Duration::from_millis(offer.lease_ms)).await
    }

    pub async fn fail(&self, offer: &Offer, why: &str) -> Said {
        let body = json!({"lease": offer.lease, "why": why});
        self.tell(offer, "fail", &body, TELL_FOR).await
    }

    pub async fn done(&self, offer: &Offer) -> Said {
        self.tell(offer, "done", &json!({"lease": offer.lease}), TELL_FOR).await
    }

    /// Renews the lease, once: is it called off?
    pub async fn renew(&self, offer: &Offer, within: Duration) -> Result<bool, NotDone> {
        let body = json!({"lease": offer.lease});
        let path = path(offer, "renew");
        let said = self.client.call(Method::POST, &path, Some(&body), within).await?;
        Ok(said.get("cancelled").and_then(Value::as_bool).unwrap_or(false))
    }

    /// Says something until it is heard: all of it may be said twice.
    async fn tell(&self, offer: &Offer, what: &str, body: &Value, patience: Duration) -> Said {
        let path = path(offer, what);
        let (began, mut backoff) = (Instant::now(), Backoff::default());
        loop {
            let call = self.client.call(Method::POST, &path, Some(body), ANSWER_WITHIN);
            let Err(refused) = call.await else { return Said::Heard };
            let patience = match &*refused.name {
                "not-recorded" => NOT_RECORDED_FOR,
                _ if refused.passes => patience,
                _ => Duration::ZERO,
            };
            let wait = backoff.wait(None);
            if began.elapsed() + wait >= patience {
                return Said::Refused(format!("{:#}", refused.error));
            }
            tokio::time::sleep(wait).await;
        }
    }
}

fn path(offer: &Offer, what: &str) -> String {
    format!("/v1/runs/{}/{what}", escape(&offer.id))
}

fn new_lease() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(hex::encode(bytes))
}
