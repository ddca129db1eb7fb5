//! The OpenAPI document says what the server does: each path is called as the document has it, and
//! each answer is compared with its schema, both ways: nothing is missing, nothing is extra.

use crate::clients::until;
use crate::support::{Service, command, config, end, ndjson, start};
use daybook_server::Config;
use daybook_server::notify::{Form, Target};
use daybook_server::push::Sink;
use daybook_server::queue::Rule;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[tokio::test]
async fn every_documented_path_answers_as_the_document_says() {
    // What is sent to this one it refuses, each event for good.
    let receiver = Service::start().await;
    let url = format!("{}/v1/searches", receiver.url).parse().unwrap();
    let sink = Sink { url: Some(url), ..Sink::new("siem").unwrap() };
    let mut chat = Target::new("chat").unwrap();
    chat.set_url(&format!("{}/none", receiver.url)).unwrap();
    (chat.form, chat.give_up_after) = (Form::Slack, Duration::from_millis(1));
    let config = Config {
        push: vec![sink],
        notify: vec![chat],
        queues: vec![Rule::new("all").unwrap()],
        ..config()
    };
    let service = Service::with(config).await;
    let document = service.get("/openapi.json").await.1;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    store(&service).await;
    let refused = async || service.get("/v1/push").await.1["items"][0]["refused_ever"] == 7;
    until("they are refused", refused).await;

    let run = r#"{"command":2,"id":"0123456789abcdef"}"#;
    let asked = service.send(reqwest::Method::POST, "/v1/sessions/s/rerun", run).await;
    assert_eq!(asked.0, 201, "{}", asked.1);

    let calls: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        (
            "/v1/sessions",
            vec!["", "?facets=true&histogram=true&limit=1", "?limit=0", "?nonsense=1", "?q=("],
        ),
        ("/v1/facets", vec!["?field=user&find=A", "?field=x", "?field=tag&q=cards", ""]),
        ("/v1/sessions/{id}", vec!["s", "none", "s?x=1"]),
        ("/v1/sessions/{id}/similar", vec!["s", "s?window=7d&limit=1", "none", "s?window=x"]),
        (
            "/v1/sessions/{id}/replay",
            vec!["s", "s?at=2026-03-01", "t?limit=1", "none", "s?limit=0", "s?cursor=x"],
        ),
        (
            "/v1/sessions/{id}/download",
            vec![
                "s?format=txt",
                "s?format=ndjson",
                "s?format=csv",
                "s?format=cast",
                "s?format=parquet",
                "s?format=html",
                "none?format=txt",
                "s",
            ],
        ),
        ("/v1/links", vec!["", "?session=s", "?x=1"]),
        ("/v1/linked/{token}", vec!["FILE", "x", "FILE?x=1", "SHARE", "GONE"]),
        ("/v1/shared/{token}", vec!["SHARE", "x", "SHARE?x=1", "GONE", "FILE"]),
        ("/v1/shared/{token}/timeline", vec!["SHARE", "x", "SHARE?limit=0", "GONE"]),
        ("/v1/shared/{token}/replay", vec!["SHARE", "x", "SHARE?limit=0", "GONE"]),
        ("/v1/shared/{token}/proof", vec!["SHARE", "x", "SHARE?x=1", "GONE"]),
        (
            "/v1/shared/{token}/download",
            vec![
                "SHARE?format=txt",
                "x?format=txt",
                "SHARE",
                "SHARE?format=csv",
                "GONE?format=txt",
            ],
        ),
        ("/v1/sessions/{id}/timeline", vec!["s", "s?fold=false", "none", "s?limit=0"]),
        (
            "/v1/search",
            vec![
                "?q=cards",
                "?q=cards&sort=relevance",
                "?q=cards&count=exact&facets=true&histogram=true",
                "?q=(",
                "",
            ],
        ),
        ("/v1/search/sessions", vec!["?q=cards", "?q=cards&limit=0", "?q=(", ""]),
        ("/v1/search/help", vec!["", "?x=1"]),
        // Without an end, where nothing is wrong.
        ("/v1/tail", vec!["?from=x", "?q=(", "?x=1"]),
        (
            "/v1/export",
            vec!["?format=ndjson", "?format=csv", "?format=parquet", "?format=arrow", ""],
        ),
        ("/v1/feeds", vec!["", "?x=1"]),
        ("/v1/parquet", vec!["", "?newest=true", "?feed=x", "?table=x", "?cursor=x", "?x=1"]),
        ("/v1/parquet/{feed}/{table}/{file}", vec!["none", "none?expires=1", "none?x=1"]),
        ("/v1/checkpoint", vec!["", "?fresh=true", "?fresh=no"]),
        ("/v1/tile/{path}", vec!["0/000.p/1", "entries/000.p/1", "0/001", "0/1", "0/000.p/1?x=1"]),
        ("/v1/sessions/{id}/proof", vec!["s", "none", "s?x=1"]),
        ("/v1/sessions/{id}/notes", vec!["s", "s?limit=1", "none", "s?x=1"]),
        ("/v1/sessions/{id}/reviewed", vec!["s", "none", "s?x=1"]),
        ("/v1/sessions/{id}/completeness", vec!["s", "bare", "none", "s?x=1"]),
        ("/v1/queue", vec!["", "?x=1"]),
        ("/v1/queue/{name}", vec!["all", "all?limit=1", "none", "all?x=1"]),
        ("/v1/cases", vec!["", "?x=1"]),
        ("/v1/cases/{id}", vec!["none", "none?x=1"]),
        ("/v1/cases/{id}/export", vec!["none", "none?x=1"]),
        (
            "/v1/report",
            vec![
                "?after=2026-01-01&before=2027-01-01",
                "?format=csv",
                "?format=html",
                "?after=2027-01-01&before=2026-01-01",
                "?x=1",
            ],
        ),
        ("/v1/producers", vec!["", "?x=1"]),
        ("/v1/searches", vec!["", "?x=1"]),
        ("/v1/runs", vec!["", "?state=x", "?state=done&cursor=x", "?limit=1"]),
        ("/v1/runs/{id}", vec!["0123456789abcdef", "none", "0123456789abcdef?wait=x"]),
        ("/v1/push", vec!["", "?x=1"]),
        ("/v1/reviews", vec!["", "?status=pending", "?limit=1", "?status=x", "?cursor=x"]),
        ("/v1/admin/notifications", vec!["", "?x=1"]),
        (
            "/v1/reviews/{id}",
            vec!["r", "r?session=s", "none", "r?wait=2m", "r?while=approved&wait=1ms"],
        ),
        ("/v1/searches/{id}", vec!["none", "none?x=1"]),
        ("/v1/admin/retention", vec!["", "?x=1"]),
        ("/v1/admin/holds", vec!["", "?x=1"]),
        ("/v1/stats", vec!["", "?x=1"]),
        ("/metrics", vec![""]),
        ("/healthz", vec![""]),
        ("/readyz", vec![""]),
    ]);
    let paths = document["paths"].as_object().unwrap();
    let known: BTreeSet<&str> = calls
        .keys()
        .copied()
        .chain([
            "/v1/events",
            "/v1/logs",
            "/_bulk",
            "/v1/admin/backup",
            "/v1/admin/rekey",
            "/v1/admin/repair",
            "/v1/admin/retention/run",
            "/v1/admin/holds/{id}",
            "/v1/cases/{id}/sessions",
            "/v1/cases/{id}/notes",
            "/v1/cases/{id}/hold",
            "/v1/cases/{id}/release",
            "/v1/cases/{id}/close",
            "/v1/searches/{id}/test",
            "/v1/push/{name}/resend",
            "/v1/reviews/{id}/decision",
            "/v1/admin/notifications/{id}/resend",
            "/v1/sessions/{id}/links",
            "/v1/sessions/{id}/share",
            "/v1/links/{id}",
            "/v1/sessions/{id}/rerun",
            "/v1/runs/take",
            "/v1/runs/{id}/renew",
            "/v1/runs/{id}/start",
            "/v1/runs/{id}/return",
            "/v1/runs/{id}/fail",
            "/v1/runs/{id}/done",
        ])
        .collect();
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);

    let tokens = links(&service, &document).await;
    for (path, calls) in calls {
        for call in calls {
            let call = tokens
                .iter()
                .fold(call.to_owned(), |call, (name, token)| call.replace(name, token));
            let call = call.as_str();
            let (id, query) = call.split_once('?').unwrap_or((call, ""));
            let at = path.replace("{id}", id).replace("{path}", id).replace("{token}", id);
            let at = at.replace("{name}", id);
            let at = at.replace("{feed}", "native").replace("{table}", "events");
            let at = at.replace("{file}", id);
            let url = format!("{at}?{query}");
            let response = service.raw(&url).await;
            check(&document, &paths[path]["get"], response, &url).await;
        }
    }
    for query in ["", "?session=s", "?x=1"] {
        let at = format!("/v1/events{query}");
        check(&document, &paths["/v1/events"]["get"], service.raw(&at).await, &at).await;
    }
    for (encoding, body) in [("identity", "{}\n"), ("gzip", "no"), ("br", ""), ("identity", "")] {
        let request = service.http.post(format!("{}/v1/events", service.url));
        let response =
            request.header("content-encoding", encoding).body(body).send().await.unwrap();
        check(&document, &paths["/v1/events"]["post"], response, "/v1/events").await;
    }
    let logged = r#"{"@timestamp":"2026-03-01T09:30:00Z","host.name":"h","message":"hello"}"#;
    let bulk = format!("{{\"index\":{{}}}}\n{logged}\n{{\"delete\":{{}}}}\n");
    let logs =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#;
    for (path, encoding, kind, body) in [
        ("/_bulk", "identity", "application/x-ndjson", &*bulk),
        ("/_bulk", "gzip", "application/x-ndjson", "no"),
        ("/_bulk", "br", "application/x-ndjson", ""),
        ("/v1/logs", "identity", "application/json", "{}"),
        ("/v1/logs", "identity", "application/json", logs),
        ("/v1/logs", "identity", "application/json", "["),
        ("/v1/logs", "identity", "application/x-protobuf", "x"),
        ("/v1/logs", "gzip", "application/json", "no"),
        ("/v1/logs", "identity", "text/plain", ""),
    ] {
        let request = service.http.post(format!("{}{path}", service.url));
        let request = request.header("content-encoding", encoding).header("content-type", kind);
        let response = request.body(body.to_owned()).send().await.unwrap();
        check(&document, &paths[path]["post"], response, path).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    for wish in [json!({"to": to}), json!({"to": to}), json!({"to": "here"}), json!({"x": 1})] {
        let request = service.http.post(format!("{}/v1/admin/backup", service.url));
        let response = request.json(&wish).send().await.unwrap();
        let operation = &paths["/v1/admin/backup"]["post"];
        check(&document, operation, response, "/v1/admin/backup").await;
    }
    let policy = r#"{"by":"eve@example.com","policy":{"rules":[{"type":"ssh","keep":"30d"},{"user":"*","role":"lab-*","keep":"1d"}],"default":"7y","bytes_max":1}}"#;
    let hold = r#"{"users":["alice@*"],"query":"cards","case":"2026-17","reason":"subpoena","by":"eve@example.com"}"#;
    for (method, path, at, body) in [
        ("post", "/v1/admin/holds", "", "{"),
        ("post", "/v1/admin/holds", "", r#"{"case":"c","reason":"r","by":"b"}"#),
        ("post", "/v1/admin/holds", "", hold),
        ("put", "/v1/admin/retention", "", policy),
        ("put", "/v1/admin/retention", "", r#"{"policy":{}}"#),
        ("get", "/v1/admin/retention", "", ""),
        ("get", "/v1/admin/holds", "", ""),
        ("post", "/v1/admin/retention/run", "?dry_run=true", ""),
        ("post", "/v1/admin/retention/run", "?by=eve@example.com", ""),
        ("post", "/v1/admin/retention/run", "", ""),
        ("delete", "/v1/admin/holds/{id}", "none?by=a&reason=b", ""),
        ("delete", "/v1/admin/holds/{id}", "none?by=a", ""),
        ("delete", "/v1/admin/holds/{id}", "HOLD?by=a&reason=b", ""),
    ] {
        if path == "/v1/admin/retention/run" {
            service.engine.seal_now().unwrap();
        }
        let held = service.engine.holds();
        let at = at.replace("HOLD", held.first().map_or("", |hold| &*hold.id));
        let (id, query) = at.split_once('?').unwrap_or(("", ""));
        let url = format!("{}?{query}", path.replace("{id}", id));
        let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = service.http.request(verb, format!("{}{url}", service.url));
        let response = request.body(body).send().await.unwrap();
        check(&document, &paths[path][method], response, &format!("{method} {url} {body}")).await;
    }
    assert!(service.engine.holds().is_empty());
    for (method, path, at, body) in [
        ("post", "/v1/searches", "", r#"{"name":"n","query":"("}"#),
        ("post", "/v1/searches", "", r#"{"name":"n","query":"cards","alert":{"url":"no"}}"#),
        (
            "post",
            "/v1/searches",
            "",
            r#"{"name":"n","query":"cards","alert":{"url":"http://127.0.0.1:1/","from":0}}"#,
        ),
        ("post", "/v1/searches", "", r#"{"name":"n","query":"cards"}"#),
        ("get", "/v1/searches", "", ""),
        ("get", "/v1/searches/{id}", "SEARCH", ""),
        ("post", "/v1/searches/{id}/test", "SEARCH", ""),
        ("post", "/v1/searches/{id}/test", "none", ""),
        ("put", "/v1/searches/{id}", "none", r#"{"name":"n","query":"cards"}"#),
        ("put", "/v1/searches/{id}", "SEARCH", r#"{"name":"m","query":"cards"}"#),
        ("put", "/v1/searches/{id}", "SEARCH", r#"{"name":"m","query":"cards","alert":null}"#),
        ("post", "/v1/searches/{id}/test", "SEARCH", ""),
        ("delete", "/v1/searches/{id}", "SEARCH", ""),
        ("delete", "/v1/searches/{id}", "none", ""),
    ] {
        let saved = service.get("/v1/searches").await.1;
        let id = saved["items"][0]["id"].as_str().unwrap_or_default();
        let url = path.replace("{id}", &at.replace("SEARCH", id));
        let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = service.http.request(verb, format!("{}{url}", service.url));
        let response = request.body(body).send().await.unwrap();
        check(&document, &paths[path][method], response, &format!("{method} {url} {body}")).await;
    }
    let ask = r#"{"session":"jit","scope":"session","review":"j","start":{"user":"a@example.com","role":"r"},"expires_in":"5m","duration":"1h"}"#;
    for (path, body) in [
        ("/v1/reviews", "{"),
        ("/v1/reviews", r#"{"session":"none","scope":"session"}"#),
        ("/v1/reviews", ask),
        ("/v1/reviews", ask),
        ("/v1/reviews", r#"{"session":"s","scope":"command","command":2}"#),
        ("/v1/reviews/none/decision", r#"{"decision":"approved"}"#),
        ("/v1/reviews/j/decision", r#"{"decision":"expired"}"#),
        ("/v1/reviews/j/decision", r#"{"decision":"maybe"}"#),
        ("/v1/reviews/j/decision?session=jit", r#"{"decision":"approved","comment":"yes"}"#),
        ("/v1/reviews/j/decision", r#"{"decision":"rejected"}"#),
    ] {
        let response =
            service.http.post(format!("{}{path}", service.url)).body(body).send().await.unwrap();
        let of = if path == "/v1/reviews" { path } else { "/v1/reviews/{id}/decision" };
        check(&document, &paths[of]["post"], response, &format!("{path} {body}")).await;
    }
    for body in ["{", r#"{"sent":{}}"#, r#"{"sent":{"s":3,"none":7}}"#] {
        let request = service.http.post(format!("{}/v1/producers", service.url)).body(body);
        let response = request.send().await.unwrap();
        check(&document, &paths["/v1/producers"]["post"], response, body).await;
    }
    let at = "/v1/producers";
    check(&document, &paths[at]["get"], service.raw(at).await, at).await;
    // What is told here is refused for good, and is told once more.
    let letter =
        async || service.get("/v1/admin/notifications").await.1["items"][0]["dead"][0].clone();
    until("a letter is dead", async || letter().await.is_object()).await;
    let dead = letter().await["id"].as_str().unwrap().to_owned();
    let at = "/v1/admin/notifications";
    check(&document, &paths[at]["get"], service.raw(at).await, at).await;
    for call in [format!("{dead}?x=1"), "none".to_owned(), "chat-7".to_owned(), dead] {
        let (id, query) = call.split_once('?').unwrap_or((&call, ""));
        let url = format!("{}{at}/{id}/resend?{query}", service.url);
        let response = service.http.post(url).send().await.unwrap();
        let of = "/v1/admin/notifications/{id}/resend";
        check(&document, &paths[of]["post"], response, &call).await;
    }
    for (method, path, at, body) in [
        ("post", "/v1/sessions/{id}/rerun", "s", r#"{"command":2}"#),
        ("post", "/v1/sessions/{id}/rerun", "s", r#"{"command":3}"#),
        ("post", "/v1/sessions/{id}/rerun", "s", r#"{"command":99}"#),
        ("post", "/v1/sessions/{id}/rerun", "s", "{"),
        ("post", "/v1/runs/take", "", r#"{"roles":["none"]}"#),
        ("post", "/v1/runs/take", "", r#"{"roles":[]}"#),
        ("post", "/v1/runs/take", "", r#"{"roles":["prod-eu"],"lease":"a-lease-of-a-test"}"#),
        ("post", "/v1/runs/{id}/renew", "RUN", "{"),
        ("post", "/v1/runs/{id}/renew", "none", r#"{"lease":"x"}"#),
        ("post", "/v1/runs/{id}/renew", "RUN", r#"{"lease":"x"}"#),
        ("post", "/v1/runs/{id}/renew", "RUN", r#"{"lease":"a-lease-of-a-test"}"#),
        ("post", "/v1/runs/{id}/return", "RUN", r#"{"lease":"x","why":"y"}"#),
        ("post", "/v1/runs/{id}/return", "RUN", r#"{"lease":"a-lease-of-a-test","why":"y"}"#),
        ("post", "/v1/runs/take", "", r#"{"roles":["prod-eu"],"lease":"another-lease-of-it"}"#),
        ("post", "/v1/runs/{id}/start", "RUN", r#"{"lease":"another-lease-of-it","session":""}"#),
        ("post", "/v1/runs/{id}/start", "RUN", r#"{"lease":"another-lease-of-it","session":"n"}"#),
        ("post", "/v1/runs/{id}/done", "RUN", r#"{"lease":"another-lease-of-it"}"#),
        ("delete", "/v1/runs/{id}", "RUN", ""),
        ("post", "/v1/runs/{id}/fail", "RUN", r#"{"lease":"another-lease-of-it","why":"y"}"#),
        ("post", "/v1/runs/{id}/fail", "RUN", r#"{"lease":"another-lease-of-it","why":"y"}"#),
        ("delete", "/v1/runs/{id}", "none", ""),
    ] {
        let url = path.replace("{id}", &at.replace("RUN", "0123456789abcdef"));
        let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = service.http.request(verb, format!("{}{url}", service.url));
        let response = request.body(body).send().await.unwrap();
        check(&document, &paths[path][method], response, &format!("{method} {url} {body}")).await;
    }
    for (path, at, body) in [
        ("/v1/sessions/{id}/notes", "s", r#"{"text":"odd","command":2,"by":"eve@example.com"}"#),
        ("/v1/sessions/{id}/notes", "s", r#"{"text":"odd","command":1}"#),
        ("/v1/sessions/{id}/notes", "none", r#"{"text":"odd"}"#),
        ("/v1/sessions/{id}/reviewed", "s", r#"{"comment":"in order"}"#),
        ("/v1/sessions/{id}/reviewed", "s", r#"{"comment":"in order"}"#),
        ("/v1/sessions/{id}/reviewed", "s", r#"{"undo":true}"#),
        ("/v1/sessions/{id}/reviewed", "s", r#"{"x":1}"#),
        ("/v1/sessions/{id}/reviewed", "none", "{}"),
        ("/v1/cases", "", r#"{"name":"n","reason":""}"#),
        ("/v1/cases", "", r#"{"name":"n","reason":"r","sessions":["none"]}"#),
        ("/v1/cases", "", r#"{"name":"n","reason":"r","sessions":["s"]}"#),
        ("/v1/cases/{id}/sessions", "CASE", r#"{"add":["bare"],"remove":["s"]}"#),
        ("/v1/cases/{id}/sessions", "none", r#"{"add":["bare"]}"#),
        ("/v1/cases/{id}/notes", "CASE", r#"{"text":"odd"}"#),
        ("/v1/cases/{id}/notes", "none", r#"{"text":"odd"}"#),
        ("/v1/cases/{id}/hold", "CASE", r#"{"text":"court"}"#),
        ("/v1/cases/{id}/hold", "CASE", r#"{"text":"court"}"#),
        ("/v1/cases/{id}/release", "CASE", r#"{"text":"over"}"#),
        ("/v1/cases/{id}/release", "CASE", r#"{"text":"over"}"#),
        ("/v1/cases/{id}/close", "CASE", r#"{"text":"over"}"#),
        ("/v1/cases/{id}/close", "CASE", r#"{"text":""}"#),
        ("/v1/cases/{id}/close", "CASE", r#"{"text":"over"}"#),
    ] {
        let cases = service.get("/v1/cases").await.1;
        let id = cases["items"][0]["id"].as_str().unwrap_or_default();
        let url = path.replace("{id}", &at.replace("CASE", id));
        let request = service.http.post(format!("{}{url}", service.url));
        let response = request.body(body).send().await.unwrap();
        check(&document, &paths[path]["post"], response, &format!("{url} {body}")).await;
    }
    let cases = service.get("/v1/cases").await.1;
    let id = cases["items"][0]["id"].as_str().unwrap();
    for (path, at) in [("/v1/cases/{id}", ""), ("/v1/cases/{id}/export", "/export")] {
        let response = service.raw(&format!("/v1/cases/{id}{at}")).await;
        assert_eq!(response.status(), 200);
        check(&document, &paths[path]["get"], response, at).await;
    }
    for call in ["siem/resend", "none/resend", "siem/resend?x=1"] {
        let at = format!("/v1/push/{call}");
        let response = service.http.post(format!("{}{at}", service.url)).send().await.unwrap();
        check(&document, &paths["/v1/push/{name}/resend"]["post"], response, &at).await;
    }
    // Without keys there is nothing to encrypt with.
    let response =
        service.http.post(format!("{}/v1/admin/rekey", service.url)).send().await.unwrap();
    assert_eq!(response.status(), 400);
    check(&document, &paths["/v1/admin/rekey"]["post"], response, "/v1/admin/rekey").await;
    let response =
        service.http.post(format!("{}/v1/admin/repair", service.url)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    check(&document, &paths["/v1/admin/repair"]["post"], response, "/v1/admin/repair").await;
}

/// Makes links, and answers what stands for them in the calls: one to a file, a share, and a share that is revoked.
async fn links(service: &Service, document: &Value) -> [(&'static str, String); 3] {
    let token = |link: &Value| link["url"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    let mut made = Vec::new();
    for (what, id, body) in [
        ("links", "s", r#"{"format":"txt","part":"command:2","note":"n"}"#),
        ("share", "s", r#"{"to":"anyone","by":"ann@example.com"}"#),
        ("share", "s", r#"{"to":"anyone","outputs":"hidden"}"#),
        ("links", "none", r#"{"format":"txt"}"#),
        ("share", "none", r#"{"to":"anyone"}"#),
        ("links", "s", "{"),
        ("share", "s", r#"{"to":["ann"]}"#),
    ] {
        let at = format!("/v1/sessions/{id}/{what}");
        let response =
            service.http.post(format!("{}{at}", service.url)).body(body).send().await.unwrap();
        let bytes = response.status().is_success();
        let operation = &document["paths"][format!("/v1/sessions/{{id}}/{what}")]["post"];
        if bytes {
            let (status, link) = service.send(reqwest::Method::POST, &at, body).await;
            assert_eq!(status, 200);
            made.push(link);
        }
        check(document, operation, response, &at).await;
    }
    let gone = made[2]["id"].as_str().unwrap();
    for call in [gone, gone, "none", "none?x=1"] {
        let at = format!("/v1/links/{call}");
        let response = service.http.delete(format!("{}{at}", service.url)).send().await.unwrap();
        check(document, &document["paths"]["/v1/links/{id}"]["delete"], response, &at).await;
    }
    [("FILE", token(&made[0])), ("SHARE", token(&made[1])), ("GONE", token(&made[2]))]
}

#[tokio::test]
async fn every_documented_parameter_is_taken() {
    let service =
        Service::with(Config { queues: vec![Rule::new("all").unwrap()], ..config() }).await;
    let document = service.get("/openapi.json").await.1;
    store(&service).await;
    let search = r#"{"name":"n","query":"cards"}"#;
    let search = service.send(reqwest::Method::POST, "/v1/searches", search).await.1;
    let saved = search["id"].as_str().unwrap().to_owned();
    let case = r#"{"name":"n","reason":"r","sessions":["s"]}"#;
    let case = service.send(reqwest::Method::POST, "/v1/cases", case).await.1;
    let case = case["id"].as_str().unwrap().to_owned();
    let run = r#"{"command":2,"id":"0123456789abcdef"}"#;
    service.send(reqwest::Method::POST, "/v1/sessions/s/rerun", run).await;
    let examples = BTreeMap::from([
        ("state", "requested"),
        ("version", "1"),
        ("q", "cards"),
        ("status", "done"),
        ("after", "2026-01-01"),
        ("before", "2027-01-01"),
        ("sort", "-duration"),
        ("limit", "7"),
        ("facets", "true"),
        ("histogram", "true"),
        ("count", "exact"),
        ("format", "ndjson"),
        ("schema", "ocsf"),
        ("class", "6005"),
        ("outputs", "text"),
        ("findings", "true"),
        ("at", "2026-03-01T09:00:00Z"),
        ("direction", "backward"),
        ("fold", "false"),
        ("fresh", "true"),
        ("from", "0"),
        ("window", "7d"),
        ("to", "100"),
        ("feed", "native"),
        ("table", "events"),
        ("link", "1h"),
        ("wait", "1s"),
        ("field", "role"),
        ("newest", "true"),
        ("while", "approved"),
        ("session", "s"),
    ]);
    let (_, share) =
        service.send(reqwest::Method::POST, "/v1/sessions/s/share", r#"{"to":"anyone"}"#).await;
    let (_, file) =
        service.send(reqwest::Method::POST, "/v1/sessions/s/links", r#"{"format":"txt"}"#).await;
    let token = |link: &Value| link["url"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    let (share, file) = (token(&share), token(&file));
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameters) = item["get"]["parameters"].as_array() else { continue };
        let mut query: Vec<(String, String)> = Vec::new();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            assert!(parameter["description"].is_string(), "{path} {name} says what it is for");
            // A cursor is one that the server made; an empty one counts as absent.
            let value = match name {
                "version" if path == "/v1/export" => "1.3.0",
                "cursor" => "",
                "status" if path == "/v1/reviews" => "approved",
                "session" if path == "/v1/reviews/{id}" => "s",
                "sort" if path == "/v1/search" => "relevance",
                "format" if path == "/v1/report" => "csv",
                other => examples.get(other).copied().unwrap_or("x"),
            };
            query.push((name.into(), value.into()));
        }
        let id = match path.as_str() {
            path if path.starts_with("/v1/searches") => &saved,
            path if path.starts_with("/v1/reviews") => "r",
            path if path.starts_with("/v1/cases") => &case,
            path if path.starts_with("/v1/runs") => "0123456789abcdef",
            _ => "s",
        };
        let signed = path.ends_with("/{file}");
        let token = if path.starts_with("/v1/linked") { &file } else { &share };
        let path =
            path.replace("{id}", id).replace("{path}", "0/000.p/1").replace("{token}", token);
        let path = path.replace("{name}", "all");
        let path = path.replace("{feed}", "native").replace("{table}", "events");
        let url = format!("{}{path}", service.url);
        let url = reqwest::Url::parse_with_params(&url, &query).unwrap();
        let response = service.http.get(url).send().await.unwrap();
        // A WebSocket, which this client does not ask for; its parameters were taken all the same.
        let expected = if item["get"]["responses"]["101"].is_object() { 426 } else { 200 };
        // A link that nobody signed.
        let expected = if signed { 403 } else { expected };
        assert_eq!(response.status(), expected, "{path}: {}", response.text().await.unwrap());
    }
}

async fn store(service: &Service) {
    let mut asked = command("s", 3, "delete from cards");
    asked["verdict"] = json!("pending");
    let events = [
        start("s"),
        command("s", 2, "select * from cards"),
        asked,
        json!({"session": "s", "seq": 4, "time": "2026-03-01T09:01:00Z", "kind": "review.request",
            "review": "r", "scope": "command", "command": 3, "groups": ["dba"], "reason": "cleanup"}),
        json!({"session": "s", "seq": 5, "time": "2026-03-01T09:02:00Z", "kind": "review.decision",
            "review": "r", "decision": "approved", "by": "bob@example.com"}),
        end("s", 6),
        command("bare", 1, "select 1"),
    ];
    let (status, answer) = service.post(ndjson(&events)).await;
    assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(7)), "{answer}");
}

/// Compares an answer with what the document says of the operation.
async fn check(document: &Value, operation: &Value, response: reqwest::Response, call: &str) {
    let status = response.status().as_u16().to_string();
    let documented = &operation["responses"][&status];
    assert!(documented.is_object(), "{call} answers {status}, which is not documented");
    let media_type = response.headers()["content-type"].to_str().unwrap();
    let media_type = media_type.split(';').next().unwrap().to_owned();
    let schema = &documented["content"][&media_type]["schema"];
    assert!(schema.is_object(), "{call} answers {media_type}, which is not documented");
    let bytes = response.bytes().await.unwrap();
    if ["application/json", "application/problem+json"].contains(&media_type.as_str()) {
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        let mut faults = Vec::new();
        compare(document, schema, &body, call, &mut faults);
        assert!(faults.is_empty(), "{call}: {faults:#?}\n{body:#}");
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// The properties and the required names of an object, also of one that is put together.
fn fields<'a>(
    document: &'a Value,
    schema: &'a Value,
    properties: &mut BTreeMap<&'a str, &'a Value>,
    required: &mut BTreeSet<&'a str>,
) {
    let schema = resolve(document, schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields(document, part, properties, required);
    }
    let named = schema["properties"].as_object().into_iter().flatten();
    properties.extend(named.map(|(name, schema)| (name.as_str(), schema)));
    required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
}

fn compare(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolve(document, schema);
    if let Some(one_of) = schema["oneOf"].as_array() {
        let fits = one_of.iter().any(|schema| {
            let mut faults = Vec::new();
            compare(document, schema, value, at, &mut faults);
            faults.is_empty()
        });
        if !fits {
            faults.push(format!("{at}: fits none of its schemas"));
        }
        return;
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = kinds.contains(&kind) || (kind == "integer" && kinds.contains(&"number"));
    if !kinds.is_empty() && !fits {
        faults.push(format!("{at}: is {kind}, documented as {kinds:?}"));
    }
    if let (Some(known), Value::String(text)) = (schema["enum"].as_array(), value)
        && !known.iter().any(|known| known == text)
    {
        faults.push(format!("{at}: `{text}` is not documented"));
    }
    match value {
        Value::Array(items) if schema["items"].is_object() => {
            for (index, item) in items.iter().enumerate() {
                compare(document, &schema["items"], item, &format!("{at}[{index}]"), faults);
            }
        }
        Value::Object(object) => {
            let (mut properties, mut required) = (BTreeMap::new(), BTreeSet::new());
            fields(document, schema, &mut properties, &mut required);
            let values = &schema["additionalProperties"];
            for (name, value) in object {
                let at = format!("{at}.{name}");
                match properties.get(name.as_str()) {
                    Some(schema) => compare(document, schema, value, &at, faults),
                    None if values.is_object() => compare(document, values, value, &at, faults),
                    // An object without named properties is free.
                    None if properties.is_empty() => {}
                    None => faults.push(format!("{at}: is not documented")),
                }
            }
            for name in required.into_iter().filter(|name| !object.contains_key(*name)) {
                faults.push(format!("{at}.{name}: is documented and not there"));
            }
        }
        _ => {}
    }
}
