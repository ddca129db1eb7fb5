//! HTTP on each connection, in bounded memory.
//!
//! What a client sends before anybody reads it waits in its connection's buffers. They are small: with a
//! thousand clients that all send at once, what was let in ([`admission`](crate::ingest)) is what takes memory,
//! and the rest waits in the clients.

use crate::tls::listener::{Door, Stream};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::serve::Listener as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// What is read ahead of a connection in HTTP/1.1, and so the longest head of a request, in bytes.
const AHEAD_BYTES: usize = 64 << 10;
/// What is read ahead of a connection in HTTP/2, in bytes.
const WINDOW_BYTES: u32 = 256 << 10;
/// Requests of one connection in HTTP/2 at once.
const STREAMS_MAX: u32 = 128;
/// How long a connection may take for the head of its next request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(300);

/// Answers requests until `stop` is done; then takes no more, and answers those that run.
pub async fn serve(mut door: Door, router: Router, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(AHEAD_BYTES)
        .header_read_timeout(HEAD_TIME_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        // For WebSockets.
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let stream = tokio::select! {
            (stream, _) = door.accept() => stream,
            () = &mut stop => break,
        };
        tokio::spawn(connection(builder.clone(), stream, router.clone(), stopped.clone()));
    }
    drop((door, stopped));
    // An error means that no connection is left to hear it.
    let _ = stopping.send(true);
    stopping.closed().await;
}

async fn connection(
    builder: Builder<TokioExecutor>,
    stream: Stream,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let certificate = stream.client_certificate();
    let service = router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        request
    });
    let service = TowerToHyperService::new(service);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    let stop = async move {
        let _ = stopping.wait_for(|stopping| *stopping).await;
        stopping
    };
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        _last = stop => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        // Clients go away as they like.
        tracing::debug!(%error, "a connection broke");
    }
}
