//! Policy and legal holds, over HTTP.

use crate::support::{Service, command, end, name, ndjson, start};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_hold_on_a_query_keeps_what_matches_and_the_rest_goes_and_all_of_it_is_told() {
    let service = Service::start().await;
    for (id, input) in [("a", "drop table cards"), ("b", "select 1")] {
        let (status, _) =
            service.post(ndjson(&[start(id), command(id, 2, input), end(id, 3)])).await;
        assert_eq!(status, 200);
    }
    service.engine.seal_now().unwrap();
    let hold = json!({"query": "\"drop table\"", "case": "2026-17", "reason": "subpoena",
        "by": "eve@example.com"});
    let (status, placed) = service.send(Method::POST, "/v1/admin/holds", &hold.to_string()).await;
    assert_eq!((status.as_u16(), &placed["matched"]), (201, &json!(1)), "{placed}");
    // All bytes are too many: everything goes that is not held.
    let policy = json!({"policy": {"bytes_max": 1}, "by": "eve@example.com"}).to_string();
    let (status, answer) = service.send(Method::PUT, "/v1/admin/retention", &policy).await;
    assert_eq!((status.as_u16(), &answer["policy"]["default"]), (200, &json!("forever")));
    let (_, plan) = service.send(Method::POST, "/v1/admin/retention/run?dry_run=true", "").await;
    assert_eq!(
        (&plan["gone"][0]["sessions"], &plan["gone"][0]["whole"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(service.found("session:b").await, 3);
    let run = "/v1/admin/retention/run?by=eve@example.com";
    let (status, report) = service.send(Method::POST, run, "").await;
    assert_eq!((status.as_u16(), &report["failed"]), (200, &json!([])), "{report}");
    assert_eq!((service.found("session:a").await, service.found("session:b").await), (3, 0));
    let (status, _) = service.get("/v1/sessions/b").await;
    assert_eq!(status, 404);
    let (_, timeline) = service.get("/v1/sessions/daybook/timeline").await;
    let actions: Vec<_> =
        timeline["items"].as_array().unwrap().iter().map(|item| item["action"].clone()).collect();
    assert_eq!(actions, [json!(null), json!("hold"), json!("policy"), json!("delete")]);
    assert_eq!(service.found("kind:retention subpoena").await, 1);
    let id = placed["id"].as_str().unwrap();
    let release = format!("/v1/admin/holds/{id}?by=eve@example.com&reason=closed");
    let (status, released) = service.send(Method::DELETE, &release, "").await;
    assert_eq!((status.as_u16(), &released["id"]), (200, &placed["id"]));
    service.send(Method::POST, run, "").await;
    assert_eq!(service.found("session:a").await, 0);
}

#[tokio::test]
async fn what_can_not_be_used_is_refused_and_changes_nothing() {
    let service = Service::start().await;
    let hold = |more: &str| format!(r#"{{"case":"c","reason":"r","by":"b"{more}}}"#);
    for (body, problem) in [
        (hold(""), "refused"),
        (hold(r#","query":"verdict:bloked""#), "refused"),
        (hold(r#","users":[""]"#), "body"),
        (hold(r#","user":"ann""#), "body"),
        (r#"{"users":["ann"],"case":"c","by":"b"}"#.to_owned(), "body"),
        (r#"{"users":["ann"],"case":"c","by":"b","reason":" "}"#.to_owned(), "refused"),
    ] {
        let (status, answer) = service.send(Method::POST, "/v1/admin/holds", &body).await;
        assert_eq!((status.as_u16(), name(&answer)), (400, problem), "{body}: {answer}");
    }
    let (_, holds) = service.get("/v1/admin/holds").await;
    assert_eq!(holds, json!({"items": [], "next_cursor": null, "count": 0}));
    for body in [r#"{"policy":{"default":"soon"},"by":"b"}"#, r#"{"policy":{}}"#] {
        let (status, _) = service.send(Method::PUT, "/v1/admin/retention", body).await;
        assert_eq!(status, 400, "{body}");
    }
    let (status, answer) = service.send(Method::POST, "/v1/admin/retention/run", "").await;
    assert_eq!((status.as_u16(), &answer["parameter"]), (400, &json!("by")));
}
