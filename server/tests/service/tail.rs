//! Following the log: what arrives and matches, once, in order, whatever breaks.

use crate::support::{Service, command, config, ndjson, start};
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use serde_json::{Value, json};
use std::time::Duration;

/// A reader.
struct Tail {
    response: reqwest::Response,
    text: String,
    /// The last id that was seen.
    id: Option<String>,
}

impl Tail {
    async fn open(service: &Service, query: &str, last: Option<&str>, token: &str) -> Tail {
        let mut request = service.http.get(format!("{}/v1/tail{query}", service.url));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut tail = Tail { response, text: String::new(), id: None };
        // It is connected, and knows where it is.
        assert_eq!(tail.next().await, None);
        assert!(tail.id.is_some());
        tail
    }

    /// The next block: its data, if it has some.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
                self.id = field("id: ").map(str::to_owned).or(self.id.take());
                let data = field("data: ").map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                return data;
            }
            let piece = tokio::time::timeout(Duration::from_secs(30), self.response.chunk());
            let piece = piece.await.expect("something in time").unwrap().expect("it goes on");
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next hit.
    async fn hit(&mut self) -> Value {
        loop {
            if let Some(hit) = self.next().await {
                return hit;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_is_sent_as_it_arrives() {
    let service = Service::start().await;
    let mut all = Tail::open(&service, "", None, "").await;
    let mut some = Tail::open(&service, "?q=user:alice@example.com%20drop", None, "").await;
    service.post(ndjson(&[start("s"), command("s", 2, "select 1")])).await;
    service.post(ndjson(&[command("s", 3, "drop table cards"), command("t", 3, "drop it")])).await;
    for (session, seq) in [("s", 1), ("s", 2), ("s", 3), ("t", 3)] {
        let hit = all.hit().await;
        assert_eq!((&hit["session"], &hit["seq"]), (&json!(session), &json!(seq)), "{hit}");
    }
    // What the start said of the user holds for the command after it.
    let hit = some.hit().await;
    assert_eq!((&hit["seq"], &hit["user"]), (&json!(3), &json!("alice@example.com")));
    assert_eq!(hit["snippets"][0]["highlights"], json!([[0, 4]]), "{hit}");
    // From anywhere in what was.
    let mut past = Tail::open(&service, "?from=2", None, "").await;
    assert_eq!(past.hit().await["offset"], 2);
}

/// Four producers, sealing in between, and a reader whose connection breaks again and again, sometimes long
/// before it has read what was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_and_nothing_comes_twice_whatever_breaks() {
    const EVENTS: u32 = 600;
    let service = Service::start().await;
    let producers: Vec<_> = (0..4)
        .map(|producer| {
            let (http, url) = (service.http.clone(), format!("{}/v1/events", service.url));
            tokio::spawn(async move {
                for seq in (0..EVENTS).step_by(20) {
                    let session = format!("p{producer}-{}", seq / 100);
                    let text = |seq| if seq % 3 == 0 { "drop table cards" } else { "select 1" };
                    let events: Vec<Value> =
                        (seq..seq + 20).map(|seq| command(&session, seq, text(seq))).collect();
                    let sent = http.post(&url).body(ndjson(&events)).send().await.unwrap();
                    assert_eq!(sent.status(), 200);
                }
            })
        })
        .collect();
    let engine = service.engine.clone();
    let sealing = tokio::task::spawn_blocking(move || {
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(60));
            engine.seal_now().unwrap();
        }
    });
    let wanted = 4 * EVENTS.div_ceil(3) as usize;
    let mut seen: Vec<u64> = Vec::new();
    let mut last: Option<String> = Some("start".to_owned());
    let mut connections = 0;
    while seen.len() < wanted {
        let mut tail = Tail::open(&service, "?q=drop", last.as_deref(), "").await;
        connections += 1;
        for _ in 0..(connections * 37 % 100) {
            if seen.len() == wanted {
                break;
            }
            seen.push(tail.hit().await["offset"].as_u64().unwrap());
        }
        last = tail.id;
    }
    for producer in producers {
        producer.await.unwrap();
    }
    sealing.await.unwrap();
    assert!(connections > 5, "{connections}");
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert_eq!(seen.len(), service.found("drop").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_reads_slowly_is_behind_and_misses_nothing() {
    let service = Service::start().await;
    let mut tail = Tail::open(&service, "", None, "").await;
    let text = "x".repeat(2_000);
    for part in 0..20 {
        let events: Vec<Value> =
            (part * 500..part * 500 + 500).map(|seq| command("s", seq, &text)).collect();
        assert_eq!(service.post(ndjson(&events)).await.1["accepted"], 500);
    }
    for seq in 0..10_000 {
        assert_eq!(tail.hit().await["seq"], seq);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_what_its_token_may_see() {
    let service = Service::start().await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let new = |name: &str, scopes, roles: Vec<String>| {
        let name = Some(name.to_owned());
        tokens.create(NewToken { name, scopes, roles, ..NewToken::default() }).unwrap().1
    };
    let send = new("proxy", vec![Scope::Ingest], vec![]);
    let read = new("ann", vec![Scope::Read], vec!["prod-*".into()]);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut tail = Tail::open(&service, "", None, &read).await;
    let (mut mine, mut other) = (start("mine"), start("other"));
    (mine["role"], other["role"]) = (json!("prod-eu"), json!("lab"));
    let body = ndjson(&[other, command("other", 2, "secret"), mine, command("mine", 2, "open")]);
    let request = service.http.post(format!("{}/v1/events", service.url)).bearer_auth(&send);
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    for seq in [1, 2] {
        let hit = tail.hit().await;
        assert_eq!((&hit["session"], &hit["seq"]), (&json!("mine"), &json!(seq)), "{hit}");
    }
    let refused = service.http.get(format!("{}/v1/tail", service.url)).bearer_auth(&send);
    assert_eq!(refused.send().await.unwrap().status(), 403);
}

/// Something arrives all the time, and nothing of it matches: the place is told all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_where_it_is_though_nothing_matches() {
    let service = Service::start().await;
    let mut tail = Tail::open(&service, "?q=zanzibar", None, "").await;
    assert_eq!(tail.id.as_deref(), Some("start"));
    let (http, url) = (service.http.clone(), format!("{}/v1/events", service.url));
    let busy = tokio::spawn(async move {
        for seq in 0.. {
            let body = ndjson(&[command("s", seq, "select 1")]);
            let _ = http.post(&url).body(body).send().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(tail.next().await, None);
    assert!(tail.id.unwrap().parse::<u64>().unwrap() > 10);
    busy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_followed_is_refused() {
    let service = Service::with(Config { tails_max: 1, ..config() }).await;
    for (path, says) in [
        ("/v1/tail?from=-1", "whole number"),
        ("/v1/tail?from=18446744073709551615", "whole number"),
        ("/v1/tail?q=usr:alice", "user"),
        ("/v1/tail?since=1", "since"),
    ] {
        let (status, problem) = service.get(path).await;
        assert_eq!(status, 400, "{path}");
        assert!(problem.to_string().contains(says), "{problem}");
    }
    let tail = Tail::open(&service, "", None, "").await;
    let (status, problem) = service.get("/v1/tail").await;
    assert_eq!(status, 503);
    assert!(problem["detail"].as_str().unwrap().contains("tails_max"), "{problem}");
    drop(tail);
    // Its place is free again.
    for _ in 0..100 {
        if service.raw("/v1/tail").await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a reader that is gone keeps its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_it() {
    let mut service = Service::start().await;
    let mut tail = Tail::open(&service, "", None, "").await;
    service.stop.take().unwrap().send(()).unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(4), &mut service.running).await;
    stopped.expect("it stops").unwrap();
    assert_eq!(tail.response.chunk().await.unwrap(), None);
}
