//! What a receiver answers to a request, as far as it matters to who sent it.

use jiff::Timestamp;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use std::fmt;
use std::time::Duration;

/// As much of an answer is read, in bytes.
const BYTES_MAX: usize = 1_024;
/// For so long it is read.
const TIME_MAX: Duration = Duration::from_secs(1);

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The beginning of the body.
    pub text: String,
    /// Where a redirect leads, without what may be secret of that.
    to: Option<String>,
    /// How long it asks to wait.
    pub asks: Option<Duration>,
}

impl Answer {
    /// The beginning of an answer, or what came of it in time: its status is what counts.
    pub async fn read(mut response: Response) -> Answer {
        let asks = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asks = asks.and_then(|text| asked_for(text, Timestamp::now()));
        let mut bytes = Vec::new();
        let reading = async {
            while bytes.len() < BYTES_MAX
                && let Ok(Some(chunk)) = response.chunk().await
            {
                bytes.extend_from_slice(&chunk);
            }
        };
        let _ = tokio::time::timeout(TIME_MAX, reading).await;
        bytes.truncate(BYTES_MAX);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let to = response.headers().get(LOCATION);
        let to = to.filter(|_| response.status().is_redirection()).map(|to| {
            // What stands behind the host may be as secret as it is in the address that it came from.
            let url = to.to_str().ok().and_then(|to| Url::parse(to).ok());
            url.map_or_else(|| "another path".to_owned(), |url| url.origin().ascii_serialization())
        });
        Answer { status: response.status(), text, to, asks }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the receiver answered {}", self.status)?;
        match &self.to {
            Some(to) => write!(f, " and points to {to}, which is not followed"),
            None => Ok(()),
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

/// The innermost cause, without the address: that may be a secret, too.
#[must_use]
pub fn cause(error: &reqwest::Error) -> String {
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
