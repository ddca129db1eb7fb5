//! OpenTelemetry logs over HTTP.

use crate::clients::{python, script};
use crate::support::Service;
use serde_json::{Value, json};

fn request(records: &[Value]) -> String {
    json!({"resourceLogs": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "gateway"}},
            {"key": "host.name", "value": {"stringValue": "web-1"}}]},
        "scopeLogs": [{"scope": {"name": "audit"}, "logRecords": records}],
    }]})
    .to_string()
}

fn record(session: &str, nanos: u64, query: &str) -> Value {
    json!({"timeUnixNano": nanos.to_string(), "severityText": "INFO", "severityNumber": 9,
        "body": {"stringValue": "query"}, "attributes": [
            {"key": "session.id", "value": {"stringValue": session}},
            {"key": "user.email", "value": {"stringValue": "alice@example.com"}},
            {"key": "db.system.name", "value": {"stringValue": "postgresql"}},
            {"key": "db.query.text", "value": {"stringValue": query}}]})
}

async fn post(
    service: &Service,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> (u16, String, Vec<u8>) {
    let request = service.http.post(format!("{}/v1/logs", service.url));
    let response = request.header("content-type", kind).body(body).send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.bytes().await.unwrap().to_vec())
}

async fn post_json(service: &Service, body: String) -> (u16, Value) {
    let (status, kind, body) = post(service, "application/json", body).await;
    assert_eq!(kind, "application/json");
    (status, serde_json::from_slice(&body).unwrap())
}

const TIME: u64 = 1_772_357_400_000_000_001;

#[tokio::test]
async fn records_become_events_once_however_often_they_are_sent() {
    let service = Service::start().await;
    let note = json!({"timeUnixNano": (TIME + 9).to_string(), "severityText": "WARN",
        "body": {"stringValue": "disk is slow"}});
    let records = [record("s", TIME, "select one"), record("s", TIME, "select one"), note];
    for _ in 0..3 {
        assert_eq!(post_json(&service, request(&records)).await, (200, json!({})));
    }
    assert_eq!(post_json(&service, request(&[record("s", TIME + 1, "select one")])).await.0, 200);
    assert_eq!(service.found("input:\"select one\"").await, 3, "two that say the same are two");
    let (_, session) = service.get("/v1/sessions/s").await;
    for (field, value) in [
        ("user", "alice@example.com"),
        ("role", "gateway"),
        ("type", "database"),
        ("subtype", "postgresql"),
    ] {
        assert_eq!(session[field], value, "{session}");
    }
    assert_eq!(session["metadata"]["host.name"], "web-1");
    let (_, page) = service.get("/v1/sessions/s/timeline").await;
    let first = &page["items"][1];
    assert_eq!(
        (&first["time"], &first["language"]),
        (&json!("2026-03-01T09:30:00.000000001Z"), &json!("sql"))
    );
    let (_, page) = service.get("/v1/sessions/web-1%202026-03-01/timeline").await;
    assert_eq!(page["items"][1]["text"], "[WARN] disk is slow", "{page}");
}

#[tokio::test]
async fn records_that_are_no_events_are_counted_with_the_reasons() {
    let service = Service::start().await;
    let timeless = json!({"body": {"stringValue": "when?"}});
    let empty = json!({"timeUnixNano": TIME.to_string()});
    let records = [record("s", TIME, "select good"), timeless, empty];
    let (status, answer) = post_json(&service, request(&records)).await;
    assert_eq!((status, &answer["partialSuccess"]["rejectedLogRecords"]), (200, &json!("2")));
    let said = answer["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(said.contains("record 2: it has no time") && said.contains("record 3"), "{said}");
    assert_eq!(service.found("good").await, 1);
    assert_eq!(post_json(&service, "{}".to_owned()).await, (200, json!({})));
}

#[tokio::test]
async fn what_can_not_be_decoded_is_a_status_in_the_form_of_the_request() {
    let service = Service::start().await;
    let (status, answer) = post_json(&service, "[1".to_owned()).await;
    assert_eq!((status, &answer["code"]), (400, &json!(3)));
    let (status, kind, body) = post(&service, "application/x-protobuf", vec![0xff_u8; 9]).await;
    assert_eq!((status, kind.as_str()), (400, "application/x-protobuf"));
    assert_eq!(&body[..3], &[0x08, 3, 0x12], "code 3, and a message");
    assert_eq!(post(&service, "text/plain", "").await.0, 415);
    service.engine.close().unwrap();
    let (status, answer) = post_json(&service, request(&[record("s", TIME, "x")])).await;
    assert_eq!((status, &answer["code"]), (503, &json!(14)), "clients try again");
}

#[tokio::test]
async fn the_python_sdk_sends_plain_and_compressed() {
    let Some(python) = python() else { return };
    let service = Service::start().await;
    for compression in ["none", "gzip"] {
        assert_eq!(script(&python, "otlp.py", &service.url, &[compression]).await, "sent\n");
        assert_eq!(service.found(&format!("{compression}marker")).await, 300);
    }
    let (_, session) = service.get("/v1/sessions/otel-gzip-0").await;
    assert_eq!((&session["user"], &session["commands"]), (&json!("alice"), &json!(100)));
}
