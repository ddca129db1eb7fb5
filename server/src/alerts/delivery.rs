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
use daybook_engine::event::Micros;
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;

/// The wait after the first failure, at most.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait that a receiver can ask for.
const WAIT_ASKED_MAX: Duration = Duration::from_secs(3_600);
/// As much of an answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1_024;
/// For so long it is read.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered(Answer),
    /// The receiver wants nothing more.
    Gone(Answer),
    /// The receiver answered something else; what it asks to wait.
    Refused(Answer, Option<Duration>),
    /// It did not answer in time.
    TimedOut(Duration),
    /// It can't be reached; why.
    Unreachable(String),
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The beginning of the body.
    pub text: String,
    /// Where a redirect leads, without what may be secret of that.
    to: Option<String>,
}

impl Outcome {
    /// The names that they are counted under.
    pub const NAMES: [&str; 5] = ["delivered", "gone", "refused", "timeout", "unreachable"];

    fn index(&self) -> usize {
        match self {
            Outcome::Delivered(_) => 0,
            Outcome::Gone(_) => 1,
            Outcome::Refused(..) => 2,
            Outcome::TimedOut(_) => 3,
            Outcome::Unreachable(_) => 4,
        }
    }

    /// What was answered, if something was.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Outcome::Delivered(answer) | Outcome::Gone(answer) | Outcome::Refused(answer, _) => {
                Some(answer)
            }
            Outcome::TimedOut(_) | Outcome::Unreachable(_) => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Delivered(answer) => write!(f, "the receiver answered {}", answer.status),
            Outcome::Gone(_) => {
                f.write_str("the receiver answered 410 Gone: it wants nothing more of this")
            }
            Outcome::Refused(Answer { status, to: Some(to), .. }, _) => {
                write!(
                    f,
                    "the receiver answered {status} and points to {to}, which is not followed"
                )
            }
            Outcome::Refused(answer, _) => write!(f, "the receiver answered {}", answer.status),
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
    wait_max: Duration,
    outcomes: [AtomicU64; Outcome::NAMES.len()],
}

impl Courier {
    /// One that has sent nothing.
    #[must_use]
    pub fn new(config: &Config) -> Courier {
        Courier {
            client: Mutex::default(),
            time_max: config.alert_time_max,
            wait_max: config.alert_wait_max,
            outcomes: Default::default(),
        }
    }

    /// Posts a body.
    pub async fn post(&self, url: &str, secret: &Secret, id: &str, body: Vec<u8>) -> Outcome {
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

    async fn try_post(&self, url: &str, secret: &Secret, id: &str, body: Vec<u8>) -> Outcome {
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return Outcome::Unreachable(cause(&error)),
        };
        let seconds = Micros::now().0.div_euclid(1_000_000);
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", secret.sign(id, seconds, &body))
            .body(body);
        let response = match tokio::time::timeout(self.time_max, request.send()).await {
            Err(_) => return Outcome::TimedOut(self.time_max),
            Ok(Err(error)) => return Outcome::Unreachable(cause(&error)),
            Ok(Ok(response)) => response,
        };
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| asked_for(text, Timestamp::now()));
        let answer = read(response).await;
        match answer.status {
            status if status.is_success() => Outcome::Delivered(answer),
            StatusCode::GONE => Outcome::Gone(answer),
            _ => Outcome::Refused(answer, asked),
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

    /// How long to wait after so many failures, of which a random half is left out: alerts whose receiver was away
    /// do not come back in the same moment.
    #[must_use]
    pub fn wait(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let doubled = WAIT_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let mut random = [0];
        // Without random bytes, in step.
        let _ = getrandom::fill(&mut random);
        let spread = doubled.min(self.wait_max).mul_f64(0.5 + f64::from(random[0]) / 512.0);
        match asked {
            // After what was asked for, not before it.
            Some(asked) => asked.min(WAIT_ASKED_MAX) + spread.min(asked / 2),
            None => spread,
        }
    }
}

/// What a receiver asks to wait: seconds, or until a time.
fn asked_for(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}

/// The beginning of an answer, or what came of it in time: its status is what counts.
async fn read(mut response: Response) -> Answer {
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < ANSWER_BYTES_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
    };
    let _ = tokio::time::timeout(ANSWER_TIME_MAX, reading).await;
    bytes.truncate(ANSWER_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let to = response.headers().get(LOCATION);
    let to = to.filter(|_| response.status().is_redirection()).map(|to| {
        // What stands behind the host may be as secret as it is in the address that it came from.
        let url = to.to_str().ok().and_then(|to| Url::parse(to).ok());
        url.map_or_else(|| "another path".to_owned(), |url| url.origin().ascii_serialization())
    });
    Answer { status: response.status(), text, to }
}

/// The innermost cause, without the address: that may be a secret, too.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "the request can't be made".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_what_is_asked_for_is_waited_at_least() {
        let courier = Courier::new(&Config::default());
        let within = |failures, asked, from: u64, to: u64| {
            let wait = courier.wait(failures, asked);
            let range = Duration::from_millis(from)..=Duration::from_millis(to);
            assert!(range.contains(&wait), "{failures} {asked:?}: {wait:?}");
        };
        within(1, None, 500, 1_000);
        within(2, None, 1_000, 2_000);
        within(5, None, 8_000, 16_000);
        for failures in [10, 20, u32::MAX] {
            within(failures, None, 150_000, 300_000);
        }
        within(1, Some(Duration::from_secs(7)), 7_000, 8_000);
        within(1, Some(Duration::MAX), 3_600_000, 3_601_000);
    }

    #[test]
    fn a_receiver_asks_for_seconds_or_for_a_time() {
        let now: Timestamp = "2026-03-01T09:30:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 01 Mar 2026 09:31:30 GMT", Some(90)),
            ("Sun, 01 Mar 2026 09:00:00 GMT", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(asked_for(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
