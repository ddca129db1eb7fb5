//! Stopping, and going on under load.

use crate::support::{Service, command, config, hanging, name, ndjson};
use bytes::Bytes;
use daybook_server::Config;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

#[tokio::test]
async fn an_upload_that_runs_is_answered_before_the_server_stops() {
    let mut service = Service::start().await;
    let (go, wait) = oneshot::channel::<()>();
    let first = Bytes::from(ndjson(&[command("s", 1, "select 1")]));
    let last = Bytes::from(ndjson(&[command("s", 2, "select 2")]));
    let body = stream::iter([Ok::<_, std::io::Error>(first)]).chain(stream::once(async move {
        let _ = wait.await;
        Ok(last)
    }));
    let request = service.http.post(format!("{}/v1/events", service.url));
    let upload = tokio::spawn(request.body(reqwest::Body::wrap_stream(body)).send());
    tokio::time::sleep(Duration::from_millis(200)).await;
    service.stop.take().unwrap().send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!service.running.is_finished());
    go.send(()).unwrap();
    let answer: Value = upload.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["accepted"], 2);
    (&mut service.running).await.unwrap();
    assert!(service.http.get(format!("{}/healthz", service.url)).send().await.is_err());
    service.engine.close().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_server() {
    let limits = Config { shutdown_time_max: Duration::from_millis(300), ..config() };
    let mut service = Service::with(limits).await;
    let body = reqwest::Body::wrap_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let upload =
        tokio::spawn(service.http.post(format!("{}/v1/events", service.url)).body(body).send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.stop.take().unwrap().send(()).unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(5), &mut service.running).await;
    stopped.expect("it stops").unwrap();
    upload.abort();
}

#[tokio::test]
async fn a_closed_log_takes_nothing_and_says_so() {
    let service = Service::start().await;
    service.post(ndjson(&[command("s", 1, "select kept")])).await;
    service.engine.close().unwrap();
    let (status, problem) = service.post(ndjson(&[command("s", 2, "select lost")])).await;
    assert_eq!((status.as_u16(), name(&problem)), (503, "shutting-down"), "{problem}");
    assert_eq!(problem["stored"]["accepted"], 0);
    assert_eq!(service.found("kept").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_producers_at_once_lose_nothing() {
    let service = Arc::new(Service::start().await);
    let producers: Vec<_> = (0..32)
        .map(|producer| {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                for round in 0..5_u32 {
                    let events: Vec<Value> = (0..200)
                        .map(|n| command(&format!("p{producer}"), round * 200 + n + 1, "select 1"))
                        .collect();
                    let (status, answer) = service.post(ndjson(&events)).await;
                    assert_eq!(
                        (status.as_u16(), &answer["accepted"]),
                        (200, &json!(200)),
                        "{answer}"
                    );
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    let (_, stats) = service.get("/v1/stats").await;
    assert_eq!((&stats["events"], &stats["sessions"]), (&json!(32_000), &json!(32)));
}

#[tokio::test]
async fn uploads_beyond_the_memory_for_them_are_told_to_come_back() {
    let limits =
        Config { uploads_bytes_max: 8 << 20, busy_wait: Duration::from_millis(200), ..config() };
    let service = Service::with(limits).await;
    let hang = || {
        let request = service.http.post(format!("{}/v1/events", service.url));
        tokio::spawn(request.body(hanging()).send())
    };
    let (one, two) = (hang(), hang());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let url = format!("{}/v1/events", service.url);
    let response = service.http.post(url).body("").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    assert_eq!(name(&response.json().await.unwrap()), "busy");
    one.abort();
    two.abort();
}
