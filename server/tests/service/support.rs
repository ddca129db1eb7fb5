//! A server for a test, and events for it.

use crate::clients::until;
use daybook_engine::{Engine, Options};
use daybook_server::{Config, Reload, Server};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server on a port and a data directory of its own.
pub struct Service {
    pub url: String,
    pub http: Client,
    pub engine: Arc<Engine>,
    pub reload: Reload,
    pub stop: Option<oneshot::Sender<()>>,
    pub running: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

pub fn config() -> Config {
    // So that what a test reads is not among what it counts.
    Config { listen: "127.0.0.1:0".parse().unwrap(), audit: false, ..Config::default() }
}

impl Service {
    pub async fn start() -> Service {
        Service::with(config()).await
    }

    pub async fn with(config: Config) -> Service {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            index_heap_bytes: 16 << 20,
            hold_queries: Some(Arc::new(daybook_query::holds::QueryHolds)),
            ..Options::default()
        };
        let data = dir.path().to_owned();
        Service::on(dir, &data, options, config).await
    }

    /// On a data directory below one that is deleted at the end.
    pub async fn on(
        dir: tempfile::TempDir,
        data: &Path,
        options: Options,
        config: Config,
    ) -> Service {
        let engine = Engine::open(data, options).unwrap();
        let server = Server::bind(config, Arc::clone(&engine)).await.unwrap();
        let (url, reload) = (server.url(), server.reload());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        // Without one, reqwest can't make a client.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let http = Client::new();
        Service { url, http, engine, reload, stop: Some(stop), running, _dir: dir }
    }

    /// One that was started already.
    pub fn of(
        url: String,
        reload: Reload,
        engine: Arc<Engine>,
        stop: oneshot::Sender<()>,
        running: JoinHandle<()>,
    ) -> Service {
        // Without one, reqwest can't make a client.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let (http, _dir) = (Client::new(), tempfile::tempdir().unwrap());
        Service { url, http, engine, reload, stop: Some(stop), running, _dir }
    }

    /// Stops it, and waits until nobody has the log any more: what was cut off in the middle of a read ends after that.
    pub async fn end(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.running).await.unwrap();
        self.engine.close().unwrap();
        until("the log is let go", async || Arc::strong_count(&self.engine) == 1).await;
    }

    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        self.post_as(None, body).await
    }

    pub async fn post_as(
        &self,
        encoding: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        let mut request = self.http.post(format!("{}/v1/events", self.url)).body(body);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.raw(path).await).await
    }

    pub async fn raw(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    pub async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &str,
    ) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        read(request.body(body.to_owned()).send().await.unwrap()).await
    }

    /// How many events a query finds.
    pub async fn found(&self, query: &str) -> usize {
        let url = reqwest::Url::parse_with_params(
            &format!("{}/v1/search", self.url),
            [("q", query), ("limit", "1000")],
        );
        let (status, page) = read(self.http.get(url.unwrap()).send().await.unwrap()).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().len()
    }
}

/// The body of an upload that holds all that one may, and then sends nothing any more.
pub fn hanging() -> reqwest::Body {
    let blank = Ok::<_, std::io::Error>("\n".repeat(100 << 10));
    let first = futures_util::stream::iter([blank]);
    let body = futures_util::StreamExt::chain(first, futures_util::stream::pending());
    reqwest::Body::wrap_stream(body)
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    (status, body)
}

pub fn start(session: &str) -> Value {
    json!({"session": session, "seq": 1, "time": "2026-03-01T09:00:00Z", "kind": "session.start",
        "user": "alice@example.com", "user_name": "Alice", "role": "prod-eu", "type": "database",
        "subtype": "postgres", "agent": "claude", "tags": ["production"]})
}

pub fn command(session: &str, seq: u32, input: &str) -> Value {
    json!({"session": session, "seq": seq, "time": "2026-03-01T09:00:01.5Z", "kind": "command",
        "input": input, "language": "sql", "verdict": "passed"})
}

pub fn end(session: &str, seq: u32) -> Value {
    json!({"session": session, "seq": seq, "time": "2026-03-01T09:05:00Z", "kind": "session.end",
        "status": "done", "exit_code": 0})
}

pub fn ndjson(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// The problem's own name.
pub fn name(problem: &Value) -> &str {
    problem["type"].as_str().unwrap().strip_prefix("urn:daybook:problem:").unwrap()
}
