//! A call whose answer is acted upon: what it is refused for, and whether that passes.

use super::{Client, said, send};
use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Why something was not done.
#[derive(Debug)]
pub struct NotDone {
    /// The status; none if there was no answer.
    pub status: Option<StatusCode>,
    /// The problem's name, such as `conflict`; empty if the answer is no problem document.
    pub name: String,
    /// In a sentence.
    pub error: anyhow::Error,
    /// Does it pass by itself? Then it may be said again.
    pub passes: bool,
}

impl Client {
    /// Asks for something, and waits so long for an answer.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        within: Duration,
    ) -> Result<Value, NotDone> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(within);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let lost = |error: &reqwest::Error| NotDone {
            status: None,
            name: String::new(),
            error: self.unreachable(error),
            passes: true,
        };
        let response = request.send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| lost(&error))?;
        let not = |error: anyhow::Error, passes| {
            let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let name = document.get("type").and_then(Value::as_str).unwrap_or_default();
            let name = name.rsplit(':').next().unwrap_or_default().to_owned();
            NotDone { status: Some(status), name, error, passes }
        };
        if !status.is_success() {
            return Err(not(anyhow::anyhow!(said(status, path, &bytes)), send::passes(status)));
        }
        serde_json::from_slice(&bytes)
            .with_context(|| {
                format!("{} answered {path} with something that is not JSON", self.base)
            })
            .map_err(|error| not(error, false))
    }
}
