//! Lists, searches, timelines, exports, and what is wrong with a question.

use crate::support::{Service, command, end, name, ndjson, start};
use serde_json::{Value, json};

async fn with_sessions() -> Service {
    let service = Service::start().await;
    for (n, (user, role)) in [
        ("alice@example.com", "prod-eu"),
        ("bob@example.com", "prod-us"),
        ("carol@example.com", "dev"),
    ]
    .into_iter()
    .enumerate()
    {
        let session = format!("s/{n}");
        let mut first = start(&session);
        first["user"] = json!(user);
        first["role"] = json!(role);
        first["time"] = json!(format!("2026-03-0{}T09:00:00Z", n + 1));
        let mut last = end(&session, 3);
        last["time"] = json!(format!("2026-03-0{}T10:00:00Z", n + 1));
        let events = [first, command(&session, 2, "select * from cards"), last];
        let (status, answer) = service.post(ndjson(&events)).await;
        assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(3)), "{answer}");
    }
    service
}

fn users(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["user"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn sessions_are_filtered_by_any_of_several_values() {
    let service = with_sessions().await;
    for (query, expected) in [
        ("", vec!["carol@example.com", "bob@example.com", "alice@example.com"]),
        ("user=alice@example.com", vec!["alice@example.com"]),
        ("user=alice@example.com,bob@example.com", vec!["bob@example.com", "alice@example.com"]),
        (
            "user=alice@example.com&user=carol@example.com",
            vec!["carol@example.com", "alice@example.com"],
        ),
        ("sort=user", vec!["alice@example.com", "bob@example.com", "carol@example.com"]),
        ("sort=-role", vec!["bob@example.com", "alice@example.com", "carol@example.com"]),
        ("role=prod-*&sort=started", vec!["alice@example.com", "bob@example.com"]),
        ("after=2026-03-02&before=2026-03-03T00:00:00Z", vec!["bob@example.com"]),
        (
            "status=done&type=database&subtype=postgres&tag=production&agent=claude&limit=1",
            vec!["carol@example.com"],
        ),
        ("status=open,failed", vec![]),
        ("q=role:dev", vec!["carol@example.com"]),
        ("q=cards&user=bob@example.com", vec!["bob@example.com"]),
    ] {
        let (status, page) = service.get(&format!("/v1/sessions?{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        assert_eq!(users(&page), expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_says_when_its_sessions_started() {
    let service = with_sessions().await;
    let (status, page) = service.get("/v1/sessions?histogram=true&limit=1").await;
    assert_eq!(status, 200, "{page}");
    let buckets = page["histogram"]["buckets"].as_array().unwrap();
    let sum = |name: &str| buckets.iter().map(|bucket| bucket[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("count"), sum("commands"), sum("blocked")), (3, 3, 0));
    let (_, page) = service.get("/v1/sessions?histogram=true&user=bob@example.com").await;
    let of_bob = &page["histogram"]["buckets"];
    assert_eq!((&of_bob[0]["count"], &of_bob[1]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn values_are_found_by_a_part_of_them() {
    let service = with_sessions().await;
    let (status, all) = service.get("/v1/facets?field=user").await;
    assert_eq!((status.as_u16(), &all["more"]), (200, &json!(false)), "{all}");
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    let values = async |query: &str| {
        let (_, page) = service.get(&format!("/v1/facets?{query}")).await;
        let items = page["items"].as_array().unwrap().clone();
        items.into_iter().map(|item| item["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values("field=user&find=ALI").await, ["alice@example.com"]);
    // What begins with it comes before what only has it.
    assert_eq!(values("field=user&find=c&limit=1").await, ["carol@example.com"]);
    assert_eq!(values("field=user&find=o&role=dev*").await, ["carol@example.com"]);
    assert_eq!(values("field=tag&find=prod").await, ["production"]);
    let (_, page) = service.get("/v1/facets?field=user&limit=2").await;
    assert_eq!(page["more"], true);
    let (status, problem) = service.get("/v1/facets?field=usr").await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().contains("user"), "{problem}");
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let service = with_sessions().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = service.get(&format!("/v1/sessions?limit=1&cursor={cursor}")).await;
        assert_eq!(page["count"], 3);
        seen.extend(users(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["carol@example.com", "bob@example.com", "alice@example.com"]);
}

#[tokio::test]
async fn an_id_with_a_slash_is_found_when_it_is_escaped() {
    let service = with_sessions().await;
    let (status, details) = service.get("/v1/sessions/s%2F1").await;
    assert_eq!((status.as_u16(), &details["id"]), (200, &json!("s/1")));
    let (status, timeline) = service.get("/v1/sessions/s%2F1/timeline?fold=false&limit=2").await;
    assert_eq!((status.as_u16(), &timeline["count"]), (200, &json!(3)));
    assert_eq!(timeline["items"][1]["input"], "select * from cards");
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let service = with_sessions().await;
    for (path, parameter) in [
        ("/v1/sessions?limit=0", "limit"),
        ("/v1/sessions?limit=1001", "limit"),
        ("/v1/sessions?limit=many", "limit"),
        ("/v1/sessions?limit=1&limit=2", "limit"),
        ("/v1/sessions?sort=colour", "sort"),
        ("/v1/sessions?status=closed", "status"),
        ("/v1/sessions?after=yesterday", "after"),
        ("/v1/sessions?facets=maybe", "facets"),
        ("/v1/sessions?cursor=xyz", "cursor"),
        ("/v1/sessions?usr=alice", "usr"),
        ("/v1/sessions/s%2F0?user=alice", "user"),
        ("/v1/sessions/s%2F0/timeline?at=noon", "at"),
        ("/v1/sessions/s%2F0/timeline?direction=up", "direction"),
        ("/v1/sessions/s%2F0/timeline?cursor=xyz", "cursor"),
        ("/v1/sessions/%FF", "id"),
        ("/v1/search", "q"),
        ("/v1/search?q=", "q"),
        ("/v1/search?q=x&count=roughly", "count"),
        ("/v1/search?q=x&cursor=xyz", "cursor"),
        ("/v1/search/sessions?q=x&cursor=xyz", "cursor"),
        ("/v1/export", "format"),
        ("/v1/export?format=xlsx", "format"),
        ("/v1/export?format=parquet&schema=ocsf&class=7", "class"),
        ("/v1/export?format=ndjson&version=1.3.0", "version"),
        ("/v1/stats?verbose=1", "verbose"),
    ] {
        let (status, problem) = service.get(path).await;
        assert_eq!(
            (status.as_u16(), &problem["parameter"]),
            (400, &json!(parameter)),
            "{path}: {problem}"
        );
        let instance = path.split('?').next().unwrap();
        assert_eq!((&problem["status"], &problem["instance"]), (&json!(400), &json!(instance)));
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_answered_with_the_place() {
    let service = with_sessions().await;
    for path in [
        "/v1/search?q=DROP+verdict:bloked",
        "/v1/sessions?q=DROP+verdict:bloked",
        "/v1/sessions/s%2F0/timeline?q=DROP+verdict:bloked",
        "/v1/export?format=csv&q=DROP+verdict:bloked",
    ] {
        let response = service.raw(path).await;
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(
            (name(&problem), &problem["start"], &problem["end"]),
            ("query", &json!(13), &json!(19)),
            "{path}"
        );
        assert!(problem["detail"].as_str().unwrap().contains("bloked"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let service = Service::start().await;
    for path in [
        "/v1/sessions/nobody",
        "/v1/sessions/nobody/timeline",
        "/v2",
        "/ui/none.js",
        "/ui/..%2fCargo.toml",
    ] {
        let (status, problem) = service.get(path).await;
        assert_eq!((status.as_u16(), name(&problem)), (404, "not-found"), "{path}");
    }
    let response = service.http.delete(format!("{}/v1/events", service.url)).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "POST,GET,HEAD");
    assert_eq!(name(&response.json().await.unwrap()), "method");
}

#[tokio::test]
async fn a_search_counts_and_groups_what_it_finds() {
    let service = with_sessions().await;
    let (status, page) =
        service.get("/v1/search?q=cards&limit=2&count=exact&facets=true&histogram=true").await;
    assert_eq!(status, 200, "{page}");
    assert_eq!((page["items"].as_array().unwrap().len(), &page["count"]), (2, &json!(3)));
    assert_eq!(page["items"][0]["snippets"][0]["highlights"], json!([[14, 19]]));
    assert_eq!(page["facets"]["role"].as_array().unwrap().len(), 3);
    assert!(page["histogram"].is_object());
    let next = page["next_cursor"].as_str().unwrap();
    let (_, page) = service.get(&format!("/v1/search?q=cards&limit=2&cursor={next}")).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn hits_come_by_relevance_too_and_say_the_moment_of_the_replay() {
    let service = Service::start().await;
    let mut long = command("s", 2, "cat orders.log");
    long["output"] = json!(format!("cards {}", "and other words ".repeat(200)));
    long["time"] = json!("2026-03-01T14:00:09Z");
    let mut twice = command("s", 3, "select cards.id from cards");
    twice["time"] = json!("2026-03-01T14:00:03.5Z");
    let mut first = start("s");
    first["time"] = json!("2026-03-01T14:00:00Z");
    service.post(ndjson(&[first, long, twice])).await;
    let moments = async |path: &str| -> Vec<(u64, u64)> {
        let (status, page) = service.get(path).await;
        assert_eq!(status, 200, "{page}");
        let number = |hit: &Value, name: &str| hit[name].as_u64().unwrap();
        let items = page["items"].as_array().unwrap().iter();
        items.map(|hit| (number(hit, "seq"), number(hit, "replay_ms"))).collect()
    };
    assert_eq!(moments("/v1/search?q=cards").await, [(2, 9000), (3, 3500)]);
    assert_eq!(moments("/v1/search?q=cards&sort=relevance").await, [(3, 3500), (2, 9000)]);

    let (_, page) = service.get("/v1/search?q=cards&sort=relevance&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = format!("/v1/search?q=cards&sort=relevance&limit=1&cursor={cursor}");
    assert_eq!(moments(&next).await, [(2, 9000)]);
    // A place in one order is none in the other.
    let (status, problem) = service.get(&format!("/v1/search?q=cards&cursor={cursor}")).await;
    assert_eq!((status.as_u16(), &problem["parameter"]), (400, &json!("cursor")), "{problem}");
}

#[tokio::test]
async fn sessions_like_one_are_of_its_user_and_role_at_about_its_time() {
    let service = Service::start().await;
    for (id, user, role, time) in [
        ("this", "alice@example.com", "prod", "2026-03-03T09:00:00Z"),
        ("near", "alice@example.com", "prod", "2026-03-02T10:00:00Z"),
        ("later", "alice@example.com", "prod", "2026-03-04T08:59:00Z"),
        ("far", "alice@example.com", "prod", "2026-03-01T09:00:00Z"),
        ("other role", "alice@example.com", "dev", "2026-03-03T09:00:00Z"),
        ("other user", "bob@example.com", "prod", "2026-03-03T09:00:00Z"),
    ] {
        let mut event = start(id);
        event["user"] = json!(user);
        event["role"] = json!(role);
        event["time"] = json!(time);
        service.post(ndjson(&[event])).await;
    }
    for (query, expected) in [
        ("", vec!["later", "near"]),
        ("?window=90m", vec![]),
        ("?window=7d&sort=started", vec!["far", "near", "later"]),
        ("?limit=1", vec!["later"]),
    ] {
        let (status, page) = service.get(&format!("/v1/sessions/this/similar{query}")).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap().iter();
        let ids: Vec<&str> = items.map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
}

#[tokio::test]
async fn exports_come_in_each_format() {
    let service = with_sessions().await;
    let response = service.raw("/v1/export?format=ndjson&q=cards").await;
    assert_eq!(
        response.headers()["content-disposition"],
        "attachment; filename=\"daybook.ndjson\""
    );
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["input"] == "select * from cards"));

    let csv = service.raw("/v1/export?format=csv").await.text().await.unwrap();
    assert_eq!(csv.lines().count(), 10);
    for (format, magic) in [("parquet", b"PAR1".as_slice()), ("arrow", b"ARROW1")] {
        let bytes =
            service.raw(&format!("/v1/export?format={format}")).await.bytes().await.unwrap();
        assert!(bytes.starts_with(magic) && bytes.ends_with(magic), "{format}");
    }
}

#[tokio::test]
async fn metrics_count_lines_and_requests() {
    let service = with_sessions().await;
    service.post("{}\n").await;
    let text = service.raw("/metrics").await.text().await.unwrap();
    for line in [
        "daybook_events 9",
        "daybook_sessions 3",
        "daybook_ingest_lines_total{outcome=\"accepted\"} 9",
        "daybook_ingest_lines_total{outcome=\"rejected\"} 1",
        "daybook_http_request_seconds_count{method=\"POST\",path=\"/v1/events\",status=\"200\"} 4",
        "daybook_read_only 0",
    ] {
        assert!(text.lines().any(|has| has == line), "{line} is not in\n{text}");
    }
    assert_eq!(service.get("/healthz").await.1["status"], "ok");
    assert_eq!(service.get("/readyz").await.0, 200);
}
