//! Events to a server.
//!
//! | answer | what it means here |
//! |---|---|
//! | 200 | every line is answered for: stored, there already, or refused with a reason |
//! | 413 | too large at once: the lines go in smaller pieces |
//! | 408, 429, 5xx; no connection; a connection that broke | passes: the same lines are sent again |
//! | any other | does not pass: said to the caller |
//!
//! Sending again is safe because an event is named by `(session, seq)`, and one that has no `seq` by its place in
//! a batch with an idempotency key.

use super::delivery::{Before, Delivery, Receipt};
use super::{Backoff, Client, said};
use anyhow::bail;
use bytes::Bytes;
use reqwest::{StatusCode, header};
use serde::Deserialize;
use std::time::Duration;

/// How long one attempt may take before it counts as failed: longer than any server that lives takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The longest wait that is taken from a server.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// How an attempt to send lines ended, for callers who try again themselves.
#[derive(Debug)]
pub enum Sent {
    /// The server has them.
    Stored(Receipt),
    /// Not all of it was taken; send it again after this time.
    Busy(Duration),
}

/// How one request ended.
#[derive(Debug)]
pub enum Attempt {
    /// Every line is answered for.
    Stored(Receipt),
    /// It was too large; this was stored before.
    TooLarge(Before, String),
    /// It passes.
    Later(Later),
    /// It does not pass by itself: the status, and what the server said.
    Refused(StatusCode, String),
}

/// Something that passes.
#[derive(Debug)]
pub struct Later {
    /// When the server asked to come again.
    pub asked: Option<Duration>,
    /// What was stored before.
    pub before: Before,
    /// In a sentence.
    pub why: String,
    /// The server's status; none if it did not answer.
    pub status: Option<StatusCode>,
}

impl Client {
    /// Sends lines in one request; never fails, but says how it went. With the same key they may be sent
    /// again when nobody knows whether they arrived.
    pub async fn attempt(&self, lines: Bytes, key: &str) -> Attempt {
        let mut request = self
            .http
            .post(format!("{}/v1/events", self.base))
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .header("Idempotency-Key", key)
            .timeout(ANSWER_WITHIN)
            .body(lines);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let broken = |error: &reqwest::Error| {
            let why = self.unreachable(error).to_string();
            Attempt::Later(Later { asked: None, before: Before::default(), why, status: None })
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return broken(&error),
        };
        let status = response.status();
        let asked = response.headers().get(header::RETRY_AFTER);
        let asked = asked.and_then(|value| value.to_str().ok()).and_then(retry_after);
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return broken(&error),
        };
        if status.is_success() {
            return match serde_json::from_slice(&body) {
                Ok(receipt) => Attempt::Stored(receipt),
                Err(_) => Attempt::Refused(
                    status,
                    format!("{} answered with something that is not a receipt", self.base),
                ),
            };
        }
        let stored = serde_json::from_slice::<Document>(&body).ok().and_then(|d| d.stored);
        // Of a proxy that lost its server in the middle nobody knows how far it came.
        let before = stored.unwrap_or_default();
        let why = said(status, "/v1/events", &body);
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Attempt::TooLarge(before, why);
        }
        if !passes(status) {
            return Attempt::Refused(status, why);
        }
        Attempt::Later(Later { asked, before, why, status: Some(status) })
    }

    /// Sends lines once.
    ///
    /// # Errors
    /// A server that can't be reached or that refuses the request as a whole.
    pub async fn send_once(&self, lines: Bytes) -> anyhow::Result<Sent> {
        let delivery = Delivery::new(lines);
        match self.attempt(delivery.piece(), &delivery.key()).await {
            Attempt::Stored(receipt) => Ok(Sent::Stored(receipt)),
            Attempt::Later(Later { status: Some(_), asked, .. }) => {
                Ok(Sent::Busy(asked.unwrap_or(Duration::from_millis(250))))
            }
            Attempt::Later(Later { why, .. })
            | Attempt::TooLarge(_, why)
            | Attempt::Refused(_, why) => bail!(why),
        }
    }

    /// Sends lines until they are stored, for up to `patience`: while the server is busy or its disk is
    /// full, and also while it is away, so that it may be restarted meanwhile. Answers the receipt and how
    /// often it had to wait.
    ///
    /// # Errors
    /// A server that refuses the request as a whole, or that stays busy or away. What had been stored of
    /// it then is safe to send again in another call, if each event carries `seq`.
    pub async fn send(&self, lines: Bytes, patience: Duration) -> anyhow::Result<(Receipt, u32)> {
        let start = tokio::time::Instant::now();
        let mut delivery = Delivery::new(lines);
        let mut backoff = Backoff::default();
        let mut waits = 0;
        loop {
            let later = match self.attempt(delivery.piece(), &delivery.key()).await {
                Attempt::Stored(receipt) => {
                    delivery.stored(receipt);
                    if delivery.is_done() {
                        return Ok((delivery.receipt().clone(), waits));
                    }
                    backoff.reset();
                    continue;
                }
                Attempt::TooLarge(before, why) => {
                    delivery.stopped(before);
                    if before.lines == 0 && !delivery.shrink() {
                        bail!(why);
                    }
                    continue;
                }
                Attempt::Refused(_, why) => bail!(why),
                Attempt::Later(later) => later,
            };
            if start.elapsed() > patience {
                let waited = crate::output::duration_ms(start.elapsed().as_millis() as u64);
                if later.status.is_none() {
                    bail!("{} (tried for {waited})", later.why);
                }
                bail!(
                    "{} has been busy, or its disk full, for {waited}; try again later, or with a lower --concurrency; it says: {}",
                    self.base,
                    later.why
                );
            }
            delivery.stopped(later.before);
            waits += 1;
            tokio::time::sleep(backoff.wait(later.asked)).await;
        }
    }
}

#[derive(Deserialize)]
struct Document {
    stored: Option<Before>,
}

/// Does what this status says pass by itself?
pub(super) fn passes(status: StatusCode) -> bool {
    let never = [StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED];
    let client = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    client.contains(&status) || (status.is_server_error() && !never.contains(&status))
}

/// A `Retry-After`: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            date.duration_since(jiff::Timestamp::now()).as_secs_f64()
        }
    };
    Duration::try_from_secs_f64(seconds.max(0.0)).ok().map(|asked| asked.min(ASKED_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        assert_eq!(retry_after("5"), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("Wed, 21 Oct 2195 07:28:00 GMT"), Some(ASKED_MAX));
        assert_eq!(retry_after("1e30"), None);
        assert_eq!(retry_after("-3"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_said() {
        for status in [408, 429, 500, 502, 503, 504, 507] {
            assert!(StatusCode::from_u16(status).is_ok_and(passes), "{status}");
        }
        for status in [400, 401, 403, 404, 413, 415, 501] {
            assert!(StatusCode::from_u16(status).is_ok_and(|s| !passes(s)), "{status}");
        }
    }
}
