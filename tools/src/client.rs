//! A daybook server, over HTTP.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use reqwest::{Method, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The address of a server on this machine.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7330";

/// A server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// What a server says of a batch of lines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Lines stored.
    pub accepted: u64,
    /// Lines that were there already.
    pub duplicates: u64,
    /// Lines refused.
    #[serde(default)]
    pub rejected: Vec<Refusal>,
}

/// A line that was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Its number in the batch, from 1.
    pub line: u64,
    /// Why.
    pub error: String,
}

/// How an attempt to send lines ended.
#[derive(Debug)]
pub enum Sent {
    /// The server has them.
    Stored(Receipt),
    /// Nothing of it was taken; send it again after this time.
    Busy(Duration),
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:7330`.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(base: &str, token: Option<String>) -> anyhow::Result<Client> {
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let url = Url::parse(&base).with_context(|| {
            format!("`{base}` is not a server's address; write one like {DEFAULT_SERVER}")
        })?;
        if url.scheme() != "http" {
            bail!("`{base}`: this build speaks http only; put a TLS proxy in front for https");
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(1024)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .context("can't set up an HTTP client")?;
        Ok(Client { http, base: base.trim_end_matches('/').to_owned(), token })
    }

    /// The server's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Reads JSON from a path with query parameters.
    ///
    /// # Errors
    /// A server that can't be reached, or its problem document in a sentence.
    pub async fn get(&self, path: &str, params: &[(&str, String)]) -> anyhow::Result<Value> {
        let response = self.open(path, params).await?;
        let body = response.bytes().await.with_context(|| self.lost())?;
        serde_json::from_slice(&body).with_context(|| {
            format!("{} answered {path} with something that is not JSON", self.base)
        })
    }

    /// Asks for something with a JSON body; answers what the server says to it.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.change(Method::POST, path, &[], Some(body)).await
    }

    /// Asks for a change, and reads the JSON that is answered.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn change(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let url = Url::parse_with_params(&format!("{}{path}", self.base), params)
            .with_context(|| format!("can't build the address of {path}"))?;
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            bail!(problem(response).await)
        }
        let body = response.bytes().await.with_context(|| self.lost())?;
        serde_json::from_slice(&body).with_context(|| {
            format!("{} answered {path} with something that is not JSON", self.base)
        })
    }

    /// Opens a path for reading as a stream.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn open(&self, path: &str, params: &[(&str, String)]) -> anyhow::Result<Response> {
        let url = Url::parse_with_params(&format!("{}{path}", self.base), params)
            .with_context(|| format!("can't build the address of {path}"))?;
        let mut request = self.http.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        bail!(problem(response).await)
    }

    /// Sends lines once.
    ///
    /// # Errors
    /// A server that can't be reached or that refuses the request as a whole.
    pub async fn send_once(&self, lines: Bytes) -> anyhow::Result<Sent> {
        let mut request = self
            .http
            .post(format!("{}/v1/events", self.base))
            .header("content-type", "application/x-ndjson")
            .body(lines);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        // A full disk passes like a busy log: the server takes events again by itself.
        let passing = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::INSUFFICIENT_STORAGE,
        ];
        if passing.contains(&status) {
            let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
            let seconds = after.and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.25);
            return Ok(Sent::Busy(Duration::from_secs_f64(seconds.clamp(0.01, 30.0))));
        }
        if !status.is_success() {
            bail!(problem(response).await)
        }
        let body = response.bytes().await.with_context(|| self.lost())?;
        let receipt = serde_json::from_slice(&body).with_context(|| {
            format!("{} answered with something that is not a receipt", self.base)
        })?;
        Ok(Sent::Stored(receipt))
    }

    /// Sends lines, and again while the server is busy, for up to `patience`.
    ///
    /// # Errors
    /// As [`Client::send_once`], or a server that stays busy.
    pub async fn send(&self, lines: Bytes, patience: Duration) -> anyhow::Result<(Receipt, u32)> {
        let start = tokio::time::Instant::now();
        let mut waits = 0;
        loop {
            let wait = match self.send_once(lines.clone()).await? {
                Sent::Stored(receipt) => return Ok((receipt, waits)),
                Sent::Busy(wait) => wait,
            };
            if start.elapsed() > patience {
                bail!(
                    "{} has been busy, or its disk full, for {}; try again later, or with a lower --concurrency",
                    self.base,
                    crate::output::duration_ms(start.elapsed().as_millis() as u64)
                );
            }
            waits += 1;
            // Up to half as long again, so that many clients do not come back together.
            let spread = u32::try_from(waits_jitter(waits)).unwrap_or(0);
            tokio::time::sleep(wait + wait * spread / 200).await;
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        if error.is_connect() {
            anyhow::anyhow!(
                "can't reach daybook at {}: {cause}; start it with `daybook serve`, or name another server with --server or DAYBOOK_SERVER",
                self.base
            )
        } else {
            anyhow::anyhow!(
                "the connection to {} broke: {cause}; events that carry `seq` are safe to send again",
                self.base
            )
        }
    }

    fn lost(&self) -> String {
        format!("the connection to {} broke while it answered", self.base)
    }
}

/// 0 to 100, different for each caller and wait.
fn waits_jitter(waits: u32) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |d| d.subsec_nanos());
    crate::demo::rng::Rng::new(u64::from(nanos) ^ (u64::from(waits) << 32)).between(0, 100)
}

/// What a server said of a request that it refused.
async fn problem(response: Response) -> String {
    let status = response.status();
    let url = response.url().path().to_owned();
    let body = response.bytes().await.unwrap_or_default();
    let said = match serde_json::from_slice::<Value>(&body) {
        Ok(document) => {
            let field = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
            let mut said = field("detail").or_else(|| field("title")).unwrap_or_default();
            if let Some(hint) = field("hint") {
                said.push_str("; ");
                said.push_str(&hint);
            }
            said
        }
        Err(_) => String::from_utf8_lossy(&body).chars().take(300).collect(),
    };
    let said = crate::output::clean::line(&said);
    if said.is_empty() { format!("the server answered {url} with {status}") } else { said }
}
