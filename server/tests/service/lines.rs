//! What becomes of lines, good and bad.

use crate::support::{Service, command, end, ndjson, start};
use serde_json::{Value, json};

#[tokio::test]
async fn what_was_acknowledged_is_found_at_once() {
    let service = Service::start().await;
    for n in 0..20 {
        let session = format!("s-{n}");
        let events =
            [start(&session), command(&session, 2, &format!("select marker{n}")), end(&session, 3)];
        let (status, answer) = service.post(ndjson(&events)).await;
        assert_eq!(status, 200);
        let expected = json!({"accepted": 3, "duplicates": 0, "rejected": [], "rejected_count": 0,
            "first_offset": n * 3, "last_offset": n * 3 + 2});
        assert_eq!(answer, expected);
        assert_eq!(service.found(&format!("marker{n}")).await, 1);
        let (status, details) = service.get(&format!("/v1/sessions/{session}")).await;
        assert_eq!((status.as_u16(), &details["status"]), (200, &json!("done")));
    }
    let (_, page) = service.get("/v1/sessions?limit=3").await;
    assert_eq!(page["count"], 20);
}

#[tokio::test]
async fn a_bad_line_is_named_and_the_good_ones_beside_it_are_stored() {
    let service = Service::start().await;
    let good = command("s", 1, "select goodone").to_string();
    let long_id = "x".repeat(10 << 10);
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (b"{\"session\":".to_vec(), "column"),
        (b"[1,2]".to_vec(), ""),
        (b"not json at all".to_vec(), "not a JSON object"),
        (line(|e| e["kind"] = json!("command.started")), "command.started"),
        (line(|e| e["colour"] = json!("red")), "colour"),
        (line(|e| e["rows_affected"] = json!(3)), "rows_affected"),
        (line(|e| e["seq"] = json!("two")), "invalid type"),
        (line(|e| e["seq"] = json!(-1)), "invalid value"),
        (line(|e| e["input"] = json!({"sql": "x"})), "invalid type"),
        (line(|e| e["verdict"] = json!("perhaps")), "perhaps"),
        (line(|e| e["time"] = json!("yesterday")), "RFC 3339"),
        (line(|e| e["time"] = json!("1969-12-31T23:59:59Z")), "out of range"),
        (line(|e| e["time"] = json!("2200-01-01T00:00:00Z")), "out of range"),
        (line(|e| e["time"] = json!("9999-12-31T23:59:59Z")), "9999-12-31"),
        (line(|e| e["session"] = json!(long_id)), "256"),
        (line(|e| e["session"] = json!("")), "session"),
        (line(|e| e["session"] = json!("daybook")), "daybook's own record"),
        (
            json!({"session": "s", "time": "2026-03-01T09:00:00Z", "kind": "retention",
                "by": "mallory@example.com", "action": "delete"})
            .to_string()
            .into_bytes(),
            "written by daybook itself",
        ),
        (line(|e| drop(e.as_object_mut().unwrap().remove("time"))), "time"),
        (b"{\"session\":\"\xff\xfe\"}".to_vec(), "UTF-8"),
    ];
    let mut body = format!("{good}\n\n").into_bytes();
    for (bad, _) in &bad {
        body.extend_from_slice(bad);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(command("s", 2, "select goodtwo").to_string().as_bytes());

    let (status, answer) = service.post(body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["accepted"], 2);
    assert_eq!(answer["rejected_count"], bad.len());
    for (index, (line, says)) in bad.iter().enumerate() {
        let rejected = &answer["rejected"][index];
        assert_eq!(rejected["line"], index + 3, "{rejected}");
        let error = rejected["error"].as_str().unwrap();
        assert!(error.contains(says), "{:?}: {error}", String::from_utf8_lossy(line));
        assert!(!error.ends_with('.') && !error.is_empty(), "{error}");
    }
    assert_eq!(service.found("goodone OR goodtwo").await, 2);
    assert_eq!(service.found("kind:command").await, 2);
}

fn line(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut event = command("s", 9, "select bad");
    change(&mut event);
    event.to_string().into_bytes()
}

#[tokio::test]
async fn repetitions_are_duplicates_and_other_content_is_a_conflict() {
    let service = Service::start().await;
    let events = [start("s"), command("s", 2, "select 1")];
    service.post(ndjson(&events)).await;
    let (_, again) = service.post(ndjson(&events)).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(2)));
    assert_eq!(again["first_offset"], Value::Null);

    let mixed = [command("s", 2, "drop table audit"), command("s", 3, "select 3")];
    let (status, answer) = service.post(ndjson(&mixed)).await;
    assert_eq!(status, 200);
    assert_eq!((&answer["accepted"], &answer["rejected_count"]), (&json!(1), &json!(1)));
    assert_eq!(answer["rejected"][0]["line"], 1);
    assert!(answer["rejected"][0]["error"].as_str().unwrap().contains("conflict"), "{answer}");
    assert_eq!(service.found("audit").await, 0);
}

#[tokio::test]
async fn late_events_and_gaps_are_stored() {
    let service = Service::start().await;
    let events =
        [start("s"), end("s", 10), command("s", 7, "select late"), command("s", 90_000, "x")];
    let (_, answer) = service.post(ndjson(&events)).await;
    assert_eq!(answer["accepted"], 4);
    let (_, details) = service.get("/v1/sessions/s").await;
    assert_eq!((&details["status"], &details["commands"]), (&json!("done"), &json!(2)));
    let (_, timeline) = service.get("/v1/sessions/s/timeline").await;
    let seqs: Vec<_> =
        timeline["items"].as_array().unwrap().iter().map(|i| i["seq"].clone()).collect();
    assert_eq!(seqs, [1, 7, 10, 90_000]);
}

#[tokio::test]
async fn an_event_without_a_number_gets_one() {
    let service = Service::start().await;
    let mut event = command("s", 0, "select unnumbered");
    event.as_object_mut().unwrap().remove("seq");
    let (_, answer) = service.post(ndjson(&[event.clone(), event])).await;
    assert_eq!(answer["accepted"], 2);
    let (_, timeline) = service.get("/v1/sessions/s/timeline").await;
    let items = timeline["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_ne!(items[0]["seq"], items[1]["seq"]);
}

#[tokio::test]
async fn the_first_thousand_bad_lines_are_listed_and_all_are_counted() {
    let service = Service::start().await;
    let mut body = "{}\n".repeat(9_000);
    body.push_str(&command("s", 1, "select last").to_string());
    let (status, answer) = service.post(body).await;
    assert_eq!(status, 200);
    assert_eq!((&answer["accepted"], &answer["rejected_count"]), (&json!(1), &json!(9_000)));
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 1_000);
    assert!(rejected.iter().enumerate().all(|(i, r)| r["line"] == i + 1));
}

#[tokio::test]
async fn a_batch_with_an_idempotency_key_is_safe_to_send_again() {
    let service = Service::start().await;
    let body = r#"{"session":"s","time":"2026-03-01T09:30:02Z","kind":"command","input":"select 1"}
{"session":"s","time":"2026-03-01T09:30:02Z","kind":"command","input":"select 1"}
"#;
    let send = |key: &'static str| {
        let request = service.http.post(format!("{}/v1/events", service.url)).body(body);
        async move {
            let answer = request.header("idempotency-key", key).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    let (_, first) = send("batch-1").await;
    assert_eq!((&first["accepted"], &first["duplicates"]), (&2.into(), &0.into()));
    let (_, again) = send("batch-1").await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&0.into(), &2.into()));
    let (_, other) = send("batch-2").await;
    assert_eq!(other["accepted"], 2);
    assert_eq!(service.found("select").await, 4);
    assert_eq!(send("").await.0, 400);
}
