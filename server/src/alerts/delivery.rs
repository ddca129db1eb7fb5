//! One delivery: a request to a webhook, and what its answer means.
//!
//! | answer | taken as |
//! |---|---|
//! | 2xx | delivered |
//! | 410 | the receiver wants nothing more: the alert stands still |
//! | anything else, or none | tried again: after `Retry-After` if there is one, and after a wait that grows |
//!
//! A redirect is not followed: what is sent is for the address that somebody wrote down.

use super::secret::Secret;
use crate::Config;
use crate::outbound::{Answer, cause};
use daybook_engine::event::Micros;
use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered(Answer),
    /// The receiver wants nothing more.
    Gone(Answer),
    /// The receiver answered something else.
    Refused(Answer),
    /// It did not answer in time.
    TimedOut(Duration),
    /// It can't be reached; why.
    Unreachable(String),
}

impl Outcome {
    /// The names that they are counted under.
    pub const NAMES: [&str; 5] = ["delivered", "gone", "refused", "timeout", "unreachable"];

    fn index(&self) -> usize {
        match self {
            Outcome::Delivered(_) => 0,
            Outcome::Gone(_) => 1,
            Outcome::Refused(_) => 2,
            Outcome::TimedOut(_) => 3,
            Outcome::Unreachable(_) => 4,
        }
    }

    /// What was answered, if something was.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Outcome::Delivered(answer) | Outcome::Gone(answer) | Outcome::Refused(answer) => {
                Some(answer)
            }
            Outcome::TimedOut(_) | Outcome::Unreachable(_) => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Delivered(answer) => answer.fmt(f),
            Outcome::Gone(_) => {
                f.write_str("the receiver answered 410 Gone: it wants nothing more of this")
            }
            Outcome::Refused(answer) => answer.fmt(f),
            Outcome::TimedOut(limit) => {
                write!(f, "no answer within {} ms (alert_time_max)", limit.as_millis())
            }
            Outcome::Unreachable(why) => write!(f, "the receiver can't be reached: {why}"),
        }
    }
}

/// Sends to webhooks, and counts what comes of it.
#[derive(Debug)]
pub struct Courier {
    /// Made when it is needed: it reads what the system trusts.
    client: Mutex<Option<Client>>,
    time_max: Duration,
    outcomes: [AtomicU64; Outcome::NAMES.len()],
}

impl Courier {
    /// One that has sent nothing.
    #[must_use]
    pub fn new(config: &Config) -> Courier {
        Courier {
            client: Mutex::default(),
            time_max: config.alert_time_max,
            outcomes: Default::default(),
        }
    }

    /// Posts a body, signed if there is a secret.
    pub async fn post(
        &self,
        url: &str,
        secret: Option<&Secret>,
        id: &str,
        body: Vec<u8>,
    ) -> Outcome {
        let outcome = self.try_post(url, secret, id, body).await;
        if let Some(counter) = self.outcomes.get(outcome.index()) {
            counter.fetch_add(1, Relaxed);
        }
        outcome
    }

    /// How often each outcome was, by its name.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.outcomes.iter().map(|counter| counter.load(Relaxed));
        Outcome::NAMES.into_iter().zip(counts)
    }

    async fn try_post(
        &self,
        url: &str,
        secret: Option<&Secret>,
        id: &str,
        body: Vec<u8>,
    ) -> Outcome {
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return Outcome::Unreachable(cause(&error)),
        };
        let seconds = Micros::now().0.div_euclid(1_000_000);
        let mut request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds);
        if let Some(secret) = secret {
            request = request.header("webhook-signature", secret.sign(id, seconds, &body));
        }
        let request = request.body(body);
        let response = match tokio::time::timeout(self.time_max, request.send()).await {
            Err(_) => return Outcome::TimedOut(self.time_max),
            Ok(Err(error)) => return Outcome::Unreachable(cause(&error)),
            Ok(Ok(response)) => response,
        };
        let answer = Answer::read(response).await;
        match answer.status {
            status if status.is_success() => Outcome::Delivered(answer),
            StatusCode::GONE => Outcome::Gone(answer),
            _ => Outcome::Refused(answer),
        }
    }

    fn client(&self) -> Result<Client, reqwest::Error> {
        let mut client = self.client.lock();
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        // An error means that the process has some already; without any, no client can be made.
        let _ = ring::default_provider().install_default();
        let made = Client::builder()
            .redirect(Policy::none())
            .pool_max_idle_per_host(1)
            .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()?;
        Ok(client.insert(made).clone())
    }
}
