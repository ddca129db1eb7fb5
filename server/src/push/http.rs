//! HTTP: a batch is a request, whose body is a line for each event (or each row of OCSF).
//!
//! | answer | taken as |
//! |---|---|
//! | 2xx | taken |
//! | 400, 413, 422 | refused: sent again in halves, down to the one event that is at fault, which is noted |
//! | anything else, or none in time | tried again: after `Retry-After` if there is one, and after a wait that grows |
//!
//! A redirect is not followed: what is sent is for the address that somebody wrote down. The token is read for each
//! request, and the files for TLS whenever the receiver could not be reached, so what is mended there is taken up.

use super::outcome::Outcome;
use super::sink::{Compression, Sink, Target};
use super::tls;
use crate::outbound::{Answer, cause};
use daybook_query::search::Told;
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

/// A file that is longer is no token, in bytes.
const TOKEN_BYTES_MAX: u64 = 16 << 10;
/// As much of a refusal's text is noted, in characters.
const WHY_CHARS_MAX: usize = 200;

/// A receiver of requests.
pub struct Http {
    sink: Arc<Sink>,
    /// Made when it is needed.
    client: Option<Client>,
}

/// A request's body and what it is known by.
struct Body {
    bytes: Vec<u8>,
    key: String,
}

impl Http {
    /// One that was not asked yet.
    #[must_use]
    pub fn new(sink: &Arc<Sink>) -> Http {
        Http { sink: Arc::clone(sink), client: None }
    }

    /// Sends events.
    pub async fn send(&mut self, batch: Vec<Told>) -> Outcome {
        match self.try_send(batch).await {
            Ok(outcome) => outcome,
            Err(why) => {
                self.client = None;
                Outcome::Failed(why, None)
            }
        }
    }

    async fn try_send(&mut self, batch: Vec<Told>) -> Result<Outcome, String> {
        let Some(Target::Http(url)) = &self.sink.url else {
            return Err("it is no address of HTTP".to_owned());
        };
        let (sink, made) = (Arc::clone(&self.sink), self.client.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let client = made.map_or_else(|| client(&sink), Ok)?;
            Ok::<_, String>((client, authorization(&sink)?, body(&sink, &batch)?))
        });
        let (client, authorization, body) = prepared.await.map_err(|error| error.to_string())??;
        self.client = Some(client.clone());
        let mut request = client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header("idempotency-key", body.key)
            .body(body.bytes);
        if self.sink.compression != Compression::None {
            request = request.header(CONTENT_ENCODING, self.sink.compression.to_string());
        }
        for (name, value) in &self.sink.headers {
            request = request.header(name, value.reveal());
        }
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let limit = self.sink.timeout;
        let answer = match tokio::time::timeout(limit, request.send()).await {
            Err(_) => return Err(format!("no answer within {} ms (timeout)", limit.as_millis())),
            Ok(Err(error)) => {
                return Err(format!("the receiver can't be reached: {}", cause(&error)));
            }
            Ok(Ok(response)) => Answer::read(response).await,
        };
        Ok(match answer.status {
            status if status.is_success() => Outcome::Taken,
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused(said(&answer)),
            _ => Outcome::Failed(said(&answer), answer.asks),
        })
    }
}

/// An answer, and the beginning of what it says.
fn said(answer: &Answer) -> String {
    let text: String = answer.text.trim().chars().take(WHY_CHARS_MAX).collect();
    if text.is_empty() { answer.to_string() } else { format!("{answer}: {text}") }
}

fn client(sink: &Sink) -> Result<Client, String> {
    let tls = tls::config(sink).map_err(|error| error.to_string())?;
    let made = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .pool_max_idle_per_host(1)
        .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .build();
    made.map_err(|error| cause(&error))
}

/// What requests say of who sends them.
///
/// # Errors
/// The file of the token can't be read, or is none. Nothing of what is in it is told.
pub fn authorization(sink: &Sink) -> Result<Option<HeaderValue>, String> {
    let Some(path) = &sink.token_file else { return Ok(None) };
    let text = token(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    let text = text.trim();
    // One with a scheme of its own, as `Splunk TOKEN`, is taken as it is.
    let value = match text.contains(' ') {
        true => HeaderValue::try_from(text),
        false => HeaderValue::try_from(format!("Bearer {text}")),
    };
    let value = value.ok().filter(|_| !text.is_empty()).map(|mut value| {
        value.set_sensitive(true);
        value
    });
    let what = || format!("{} holds no token: write one line, the token", path.display());
    value.map(Some).ok_or_else(what)
}

fn token(path: &Path) -> io::Result<String> {
    let length = std::fs::metadata(path)?.len();
    if length > TOKEN_BYTES_MAX {
        return Err(io::Error::other(format!("{length} bytes are no token")));
    }
    std::fs::read_to_string(path)
}

/// The lines of events. The key is made of what they are: the same key is always the same bytes.
fn body(sink: &Sink, batch: &[Told]) -> Result<Body, String> {
    let mut bytes = Vec::with_capacity(batch.iter().map(Told::bytes).sum());
    for line in batch.iter().flat_map(|told| &told.lines) {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    let offset = |told: Option<&Told>| told.map_or(0, |told| told.offset.0);
    let hash = Sha256::digest(&bytes);
    let hash = hash.first_chunk::<16>().map(hex::encode).unwrap_or_default();
    let (first, last) = (offset(batch.first()), offset(batch.last()));
    let key = format!("{}-{first}-{last}-{hash}", sink.name);
    let bytes = compressed(sink.compression, bytes).map_err(|error| error.to_string())?;
    Ok(Body { bytes, key })
}

fn compressed(compression: Compression, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&bytes)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::encode_all(&*bytes, 0),
    }
}
