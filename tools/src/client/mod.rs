//! A daybook server, over HTTP.
//!
//! | module | what is there |
//! |---|---|
//! | here | reads, and changes of settings |
//! | `call` | changes whose refusal is acted upon |
//! | `send` | events: one attempt, and the same lines again until they are stored |
//! | `delivery` | how far a batch of lines has come |
//! | `events` | server-sent events, as a tail sends them |
//! | `backoff` | how long to wait before the next attempt |

mod backoff;
mod call;
mod delivery;
mod events;
mod send;

pub use backoff::Backoff;
pub use call::NotDone;
pub(crate) use delivery::count_lines;
pub use delivery::{Before, Delivery, Receipt, Refusal};
pub use events::{EventReader, ServerEvent};
pub use send::{Attempt, Later, Sent};

use anyhow::{Context as _, bail};
use reqwest::{Certificate, Method, Response, StatusCode, Url};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;

/// The address of a server on this machine.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7330";

/// A server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// Why something can't be followed.
#[derive(Debug)]
pub struct NotFollowed {
    /// What is wrong.
    pub error: anyhow::Error,
    /// Does it pass by itself?
    pub passes: bool,
}

/// Gives the process its TLS: without, reqwest can't make a client.
pub fn set_up_tls() {
    // An error means that it has some already.
    let _ = ring::default_provider().install_default();
}

/// The certificates of a file, to be trusted.
fn roots(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let pem = std::fs::read(path)
        .with_context(|| format!("can't read the certificates in {}", path.display()))?;
    let roots = Certificate::from_pem_bundle(&pem)
        .with_context(|| format!("{} holds no certificates in PEM", path.display()))?;
    if roots.is_empty() {
        bail!("{} holds no certificates in PEM", path.display());
    }
    Ok(roots)
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:7330`.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(base: &str, token: Option<String>) -> anyhow::Result<Client> {
        Client::with_ca(base, token, None)
    }

    /// As [`Client::new`], for a server whose certificate leads to a root in a file, not to one that
    /// the system trusts.
    ///
    /// # Errors
    /// An address that is none, or a file that can't be used.
    pub fn with_ca(base: &str, token: Option<String>, ca: Option<&Path>) -> anyhow::Result<Client> {
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let url = Url::parse(&base).with_context(|| {
            format!("`{base}` is not a server's address; write one like {DEFAULT_SERVER}")
        })?;
        if !["http", "https"].contains(&url.scheme()) {
            bail!("`{base}`: a server's address starts with http:// or https://");
        }
        set_up_tls();
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(1024)
            .tcp_nodelay(true)
            .no_proxy();
        if let Some(ca) = ca {
            http = http.tls_certs_only(roots(ca)?);
        }
        let http = http.build().context("can't set up an HTTP client")?;
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

    /// Reads a list, all pages of it.
    ///
    /// # Errors
    /// As [`Client::get`], or an answer that is no list.
    pub async fn items(&self, path: &str, params: &[(&str, String)]) -> anyhow::Result<Vec<Value>> {
        let mut params = params.to_vec();
        let (asked, mut all) = (params.len(), Vec::new());
        loop {
            let mut page = self.get(path, &params).await?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                anyhow::bail!("{} answered {path} with something that is no list", self.base);
            };
            all.extend(items);
            let Some(next) = page["next_cursor"].as_str() else { return Ok(all) };
            params.truncate(asked);
            params.push(("cursor", next.to_owned()));
        }
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

    /// Opens a path for reading, from a byte on if it is still what it was: its ETag.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn resume(
        &self,
        path: &str,
        params: &[(&str, String)],
        from: Option<(u64, &str)>,
    ) -> anyhow::Result<Response> {
        let url = Url::parse_with_params(&format!("{}{path}", self.base), params)
            .with_context(|| format!("can't build the address of {path}"))?;
        let mut request = self.http.get(url);
        if let Some((at, etag)) = from {
            request = request.header("range", format!("bytes={at}-")).header("if-range", etag);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        bail!(problem(response).await)
    }

    /// Opens a link that the server made, without the token: it may lead elsewhere. `None` if it leads to nothing any
    /// more.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn link(&self, link: &str) -> anyhow::Result<Option<Response>> {
        let base = Url::parse(&self.base).context("the server's address is none")?;
        let url = base.join(link).with_context(|| format!("`{link}` is not a link"))?;
        let response = self.http.get(url).send().await.map_err(|error| self.unreachable(&error))?;
        match response.status() {
            status if status.is_success() => Ok(Some(response)),
            // Signed links that have expired are forbidden, too.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => Ok(None),
            _ => bail!(problem(response).await),
        }
    }

    /// Opens a path that answers for as long as both sides like.
    ///
    /// # Errors
    /// As [`Client::get`], and whether that passes by itself.
    pub async fn follow(
        &self,
        path: &str,
        params: &[(&str, String)],
    ) -> Result<Response, NotFollowed> {
        let url = Url::parse_with_params(&format!("{}{path}", self.base), params)
            .with_context(|| format!("can't build the address of {path}"))
            .map_err(|error| NotFollowed { error, passes: false })?;
        let mut request = self.http.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return Err(NotFollowed { error: self.unreachable(&error), passes: true });
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let error = anyhow::anyhow!(problem(response).await);
        Err(NotFollowed { error, passes: send::passes(status) })
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

/// What a server said of a request that it refused.
async fn problem(response: Response) -> String {
    let status = response.status();
    let path = response.url().path().to_owned();
    let body = response.bytes().await.unwrap_or_default();
    said(status, &path, &body)
}

/// A problem document, or whatever else was answered, in a sentence.
fn said(status: StatusCode, path: &str, body: &[u8]) -> String {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(document) => {
            let field = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
            let mut said = field("detail").or_else(|| field("title")).unwrap_or_default();
            if let Some(hint) = field("hint") {
                said.push_str("; ");
                said.push_str(&hint);
            }
            said
        }
        Err(_) => String::from_utf8_lossy(body).chars().take(300).collect(),
    };
    let said = crate::output::clean::line(&said);
    if said.is_empty() { format!("the server answered {path} with {status}") } else { said }
}
