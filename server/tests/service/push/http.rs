//! Sinks over HTTP.

use super::{offset, on, once, selects, sink, status, stored, with};
use crate::clients::until;
use crate::support::{Service, command, config, end, name, ndjson, start};
use crate::tls::{issue, secured};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use daybook_query::ocsf::Outputs;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use daybook_server::push::{Begin, Compression, Format, Sink};
use daybook_server::{Config, Server};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(u16),
    Asks(u16, &'static str),
    Hang,
}

/// A request.
#[derive(Clone, Debug)]
struct Post {
    key: String,
    headers: HeaderMap,
    lines: Vec<Value>,
    at: Instant,
}

impl Post {
    fn offsets(&self) -> Vec<u64> {
        self.lines.iter().map(offset).collect()
    }
}

/// What a receiver wants of a batch, by its body's bytes and its lines.
type Wants = Arc<dyn Fn(usize, &[Value]) -> u16 + Send + Sync>;

#[derive(Clone)]
struct Mind {
    /// What it does with the next requests; then it does what it wants.
    plan: Arc<Mutex<VecDeque<Does>>>,
    wants: Arc<Mutex<Wants>>,
    posts: Arc<Mutex<Vec<Post>>>,
    taken: Arc<Mutex<Vec<Post>>>,
}

/// A receiver of requests.
struct Receiver {
    url: String,
    mind: Mind,
}

impl Receiver {
    async fn start(plan: &[Does]) -> Receiver {
        let wants: Wants = Arc::new(|_, _| 204);
        let mind = Mind {
            plan: Arc::new(Mutex::new(plan.iter().copied().collect())),
            wants: Arc::new(Mutex::new(wants)),
            posts: Arc::default(),
            taken: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in?key=secret", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(mind.clone());
        let router = router.layer(DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { url, mind }
    }

    fn wants(&self, wants: impl Fn(usize, &[Value]) -> u16 + Send + Sync + 'static) {
        *self.mind.wants.lock().unwrap() = Arc::new(wants);
    }

    fn posts(&self) -> Vec<Post> {
        self.mind.posts.lock().unwrap().clone()
    }

    /// What it has taken, in the order in which it came.
    fn taken(&self) -> Vec<Value> {
        self.mind.taken.lock().unwrap().iter().flat_map(|post| post.lines.clone()).collect()
    }

    async fn has_taken(&self, count: usize) {
        until("the events are taken", async || once(self.taken()).len() >= count).await;
    }
}

async fn receive(State(mind): State<Mind>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let body = match headers.get("content-encoding").map(|value| value.to_str().unwrap()) {
        None => body.to_vec(),
        Some("gzip") => {
            let mut out = Vec::new();
            let mut reader = flate2::read::GzDecoder::new(&*body);
            std::io::Read::read_to_end(&mut reader, &mut out).unwrap();
            out
        }
        Some("zstd") => zstd::decode_all(&*body).unwrap(),
        Some(other) => panic!("{other}"),
    };
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let post = Post { key, headers, lines, at: Instant::now() };
    mind.posts.lock().unwrap().push(post.clone());
    let planned = mind.plan.lock().unwrap().pop_front();
    let wants = Arc::clone(&mind.wants.lock().unwrap());
    match planned.unwrap_or_else(|| Does::Answer(wants(body.len(), &post.lines))) {
        Does::Answer(status) => {
            if (200..300).contains(&status) {
                mind.taken.lock().unwrap().push(post);
            }
            (StatusCode::from_u16(status).unwrap(), "said the receiver").into_response()
        }
        Does::Asks(status, seconds) => {
            (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, seconds)])
                .into_response()
        }
        Does::Hang => std::future::pending().await,
    }
}

async fn resend(service: &Service, name: &str) -> Value {
    let (code, answer) = service.send(Method::POST, &format!("/v1/push/{name}/resend"), "").await;
    assert_eq!(code, 200, "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_arrives_is_posted_in_order_as_it_is_stored() {
    let receiver = Receiver::start(&[]).await;
    let service = Service::with(with(&[sink("siem", &receiver.url)])).await;
    let odd = json!({"session": "s", "time": "2026-03-01T09:01:00Z", "kind": "note", "by": "a\u{1}\"\\]",
        "text": "line\nline\u{2028}"});
    service.post(ndjson(&[start("s"), command("s", 2, "select 1"), odd, end("s", 9)])).await;
    selects(&service, "t", 0..2_500).await;
    receiver.has_taken(2_504).await;
    assert_eq!(receiver.taken(), stored(&service, &["s", "t"]).await);
    let posts = receiver.posts();
    assert!(posts.len() >= 3 && posts.iter().all(|post| post.lines.len() <= 1_000));
    let keys: BTreeSet<&str> = posts.iter().map(|post| &*post.key).collect();
    assert_eq!(keys.len(), posts.len());
    assert!(keys.iter().all(|key| key.starts_with("siem-")), "{keys:?}");
    until("it is noted", async || status(&service, "siem").await["behind"] == 0).await;
    let said = status(&service, "siem").await;
    let expected = json!({"format": "native", "version": null, "query": "", "through": 2504, "behind": 0,
        "behind_seconds": 0, "sent_events": 2504, "gone": 0, "unreadable": 0, "failures": 0, "refused": [],
        "refused_ever": 0, "failing_since": null, "last_error": null, "next_attempt_at": null});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(said[field], *value, "{field}: {said}");
    }
    assert!(said["url"].as_str().unwrap().ends_with("/in") && !said.to_string().contains("secret"));
    let metrics = service.raw("/metrics").await.text().await.unwrap();
    for line in [
        "daybook_push_sent_events_total{sink=\"siem\"} 2504\n",
        "daybook_push_behind_events{sink=\"siem\"} 0\n",
        "daybook_push_refused{sink=\"siem\"} 0\n",
        "daybook_push_failures_total{sink=\"siem\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_sent_again_as_the_same_batch_until_it_is_taken() {
    let fails = [
        Does::Answer(500),
        Does::Answer(401),
        Does::Answer(404),
        Does::Answer(302),
        Does::Asks(429, "0"),
        Does::Hang,
    ];
    let receiver = Receiver::start(&fails).await;
    let sink = Sink { timeout: Duration::from_millis(300), ..sink("siem", &receiver.url) };
    let service = Service::with(with(&[sink])).await;
    selects(&service, "s", 0..3).await;
    until("it was tried", async || !receiver.posts().is_empty()).await;
    // What comes meanwhile is not put into a batch that may have arrived.
    selects(&service, "s", 3..5).await;
    let mut errors = BTreeSet::new();
    until("it is taken", async || {
        errors.extend(status(&service, "siem").await["last_error"].as_str().map(str::to_owned));
        once(receiver.taken()).len() == 5
    })
    .await;
    let posts = receiver.posts();
    let (failed, rest) = posts.split_at(6);
    assert!(failed.iter().chain(&rest[..1]).all(|post| post.key == posts[0].key));
    assert!(failed.iter().all(|post| post.lines == posts[0].lines), "{posts:?}");
    assert_eq!(receiver.taken(), stored(&service, &["s"]).await);
    let errors = errors.into_iter().collect::<Vec<_>>().join("\n");
    assert!(errors.contains("said the receiver"), "{errors}");
    until("it goes on", async || status(&service, "siem").await["failing_since"].is_null()).await;
    assert_eq!(status(&service, "siem").await["failures"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_asks_for_is_waited() {
    let receiver = Receiver::start(&[Does::Asks(503, "1"), Does::Asks(429, "soon")]).await;
    let service = Service::with(with(&[sink("siem", &receiver.url)])).await;
    selects(&service, "s", 0..1).await;
    receiver.has_taken(1).await;
    let posts = receiver.posts();
    assert!(posts[1].at - posts[0].at >= Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_is_halved_and_an_event_that_is_too_large_is_noted_and_passed() {
    let receiver = Receiver::start(&[]).await;
    receiver.wants(|bytes, _| if bytes > 5_000 { 413 } else { 200 });
    let service = Service::with(with(&[sink("siem", &receiver.url)])).await;
    let mut events: Vec<Value> = (0..200).map(|seq| command("s", seq, "select 1")).collect();
    events[77]["input"] = json!("x".repeat(9_000));
    service.post(ndjson(&events)).await;
    receiver.has_taken(199).await;
    let all = stored(&service, &["s"]).await;
    let without: Vec<Value> = all.iter().filter(|event| event["seq"] != 77).cloned().collect();
    assert_eq!(receiver.taken(), without);
    until("it is noted", async || status(&service, "siem").await["behind"] == 0).await;
    let said = status(&service, "siem").await;
    let noted = &said["refused"][0];
    assert_eq!(
        (&noted["offset"], &noted["session"], &noted["seq"]),
        (&json!(77), &json!("s"), &json!(77))
    );
    assert!(noted["why"].as_str().unwrap().contains("413"), "{said}");
    assert_eq!((&said["refused_ever"], said["refused"].as_array().unwrap().len()), (&json!(1), 1));
    // Still refused, it stays; once it is taken, it is listed no longer.
    let before = receiver.posts().len();
    resend(&service, "siem").await;
    until("it was tried", async || receiver.posts().len() > before).await;
    receiver.wants(|_, _| 200);
    resend(&service, "siem").await;
    until("it is taken", async || receiver.taken().len() == 200).await;
    assert_eq!(receiver.taken()[199], all[77]);
    until("it is noted", async || status(&service, "siem").await["refused"] == json!([])).await;
    assert_eq!(status(&service, "siem").await["refused_ever"], 1);
    let (code, problem) = service.send(Method::POST, "/v1/push/none/resend", "").await;
    assert_eq!((code.as_u16(), name(&problem)), (404, "not-found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_more_can_be_noted_as_refused_it_stands_and_says_so_and_nothing_is_dropped() {
    let receiver = Receiver::start(&[]).await;
    let bad = |event: &Value| event["input"] == "bad";
    receiver.wants(move |_, lines| if lines.iter().any(bad) { 422 } else { 200 });
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let sinks = [Sink { refused_max: 2, ..sink("siem", &receiver.url) }];
    let service = on(&data, &sinks).await;
    let text = |seq| if seq % 5 == 4 { "bad" } else { "good" };
    let events: Vec<Value> = (0..20).map(|seq| command("s", seq, text(seq))).collect();
    service.post(ndjson(&events)).await;
    let stands = async |service: &Service| {
        let said = status(service, "siem").await;
        said["last_error"].as_str().is_some_and(|error| error.contains("refused_max"))
    };
    until("it stands", async || stands(&service).await).await;
    let said = status(&service, "siem").await;
    assert_eq!((&said["through"], &said["behind"]), (&json!(14), &json!(6)), "{said}");
    assert!(said["last_error"].as_str().unwrap().contains("/v1/push/siem/resend"), "{said}");
    // What is noted is there after a restart, and it stands still.
    service.end().await;
    let service = on(&data, &sinks).await;
    until("it stands", async || stands(&service).await).await;
    let offsets = |said: &Value| -> Vec<u64> {
        said["refused"].as_array().unwrap().iter().map(offset).collect()
    };
    assert_eq!(offsets(&status(&service, "siem").await), [4, 9]);
    receiver.wants(|_, _| 200);
    resend(&service, "siem").await;
    receiver.has_taken(20).await;
    until("it is done", async || {
        let said = status(&service, "siem").await;
        said["refused"] == json!([]) && said["behind"] == 0
    })
    .await;
    let mut taken = once(receiver.taken());
    taken.sort_by_key(offset);
    assert_eq!(taken, stored(&service, &["s"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was_and_a_sink_that_comes_back_too() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let receiver = Receiver::start(&[Does::Answer(500); 2]).await;
    let sinks = [sink("siem", &receiver.url)];
    let service = on(&data, &sinks).await;
    selects(&service, "s", 0..3).await;
    until("it was tried", async || !receiver.posts().is_empty()).await;
    service.end().await;
    // Without it, events come all the same.
    let service = on(&data, &[]).await;
    selects(&service, "s", 3..6).await;
    service.end().await;
    let service = on(&data, &sinks).await;
    receiver.has_taken(6).await;
    let posts = receiver.posts();
    // What may have arrived is the same batch after the restart, though there is more by then.
    assert!(
        posts.iter().filter(|post| post.offsets()[0] == 0).all(|post| post.key == posts[0].key)
    );
    assert_eq!(receiver.taken(), stored(&service, &["s"]).await);
    until("it is noted", async || status(&service, "siem").await["behind"] == 0).await;
    service.end().await;
    let service = on(&data, &sinks).await;
    selects(&service, "s", 6..7).await;
    receiver.has_taken(7).await;
    assert_eq!(receiver.taken(), stored(&service, &["s"]).await);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(data.join("push.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_begins_with_what_arrives_or_at_the_start_and_moves_where_little_matches() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let receiver = Receiver::start(&[]).await;
    let service = on(&data, &[]).await;
    selects(&service, "old", 0..5).await;
    service.end().await;
    let mut rare = Sink { from: Begin::Start, ..sink("rare", &receiver.url) };
    rare.set_query("verdict:blocked user:alice@example.com").unwrap();
    let other = Receiver::start(&[]).await;
    let all = sink("all", &other.url);
    let service = on(&data, &[rare, all]).await;
    let mut blocked = command("new", 2, "drop");
    blocked["verdict"] = json!("blocked");
    service.post(ndjson(&[start("new"), blocked])).await;
    selects(&service, "new", 10..3_000).await;
    receiver.has_taken(1).await;
    other.has_taken(2_992).await;
    assert_eq!(other.taken(), stored(&service, &["new"]).await);
    for name in ["rare", "all"] {
        until("it is at the end", async || status(&service, name).await["behind"] == 0).await;
    }
    assert_eq!(receiver.taken()[0]["input"], "drop");
    service.end().await;
    // Noted down at the stop: nothing is looked at twice.
    let text = std::fs::read_to_string(data.join("push.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["places"]["rare"]["through"], 2_997, "{text}");
    assert_eq!(receiver.posts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_events_go_alone_and_none_is_cut() {
    let receiver = Receiver::start(&[]).await;
    let sink = Sink { batch_bytes_max: 64 << 10, ..sink("siem", &receiver.url) };
    let service = Service::with(with(&[sink])).await;
    let sizes = [100, 300_000, 10, 40_000, 40_000, 3_000_000, 5, 5];
    let events =
        sizes.iter().enumerate().map(|(seq, size)| command("s", seq as u32, &"é".repeat(*size)));
    service.post(ndjson(&events.collect::<Vec<_>>())).await;
    receiver.has_taken(sizes.len()).await;
    assert_eq!(receiver.taken(), stored(&service, &["s"]).await);
    for post in receiver.posts() {
        let bytes: usize = post.lines.iter().map(|line| line.to_string().len()).sum();
        assert!(bytes <= 64 << 10 || post.lines.len() == 1, "{:?}", post.offsets());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_before_it_was_sent_is_counted() {
    let receiver = Receiver::start(&[Does::Answer(500); 1_000]).await;
    let service = Service::with(with(&[sink("siem", &receiver.url)])).await;
    selects(&service, "s", 0..5).await;
    service.post(ndjson(&[end("s", 9)])).await;
    until("it was tried", async || !receiver.posts().is_empty()).await;
    service.engine.seal_now().unwrap();
    let policy = json!({"policy": {"bytes_max": 1}, "by": "eve"}).to_string();
    service.send(Method::PUT, "/v1/admin/retention", &policy).await;
    service.send(Method::POST, "/v1/admin/retention/run?by=eve", "").await;
    selects(&service, "t", 0..1).await;
    receiver.mind.plan.lock().unwrap().clear();
    let of_t = async || receiver.taken().iter().any(|event| event["session"] == "t");
    until("it goes on", of_t).await;
    let said = status(&service, "siem").await;
    assert_eq!((&said["gone"], &said["unreadable"]), (&json!(6), &json!(0)), "{said}");
    assert!(receiver.taken().iter().all(|event| event["session"] != "s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_a_token_and_headers_compressed_and_a_new_token_is_taken_up() {
    for (compression, encoding) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "hunter2\n").unwrap();
        let receiver = Receiver::start(&[Does::Answer(401), Does::Answer(403)]).await;
        let mut sink =
            Sink { compression, token_file: Some(file.clone()), ..sink("siem", &receiver.url) };
        sink.set_header("X-Scope", "hunter3").unwrap();
        let service = Service::with(with(&[sink])).await;
        selects(&service, "s", 0..1).await;
        until("it was tried", async || !receiver.posts().is_empty()).await;
        let said = status(&service, "siem").await.to_string();
        assert!(!said.contains("hunter"), "{said}");
        std::fs::write(&file, "Splunk hunter4").unwrap();
        receiver.has_taken(1).await;
        let posts = receiver.posts();
        let last = &posts[posts.len() - 1].headers;
        assert_eq!(posts[0].headers["authorization"], "Bearer hunter2");
        assert_eq!(last["content-encoding"], encoding);
        assert_eq!(last["x-scope"], "hunter3");
        // Written a moment after the first attempt: a later one has it.
        selects(&service, "s", 1..2).await;
        receiver.has_taken(2).await;
        let posts = receiver.posts();
        assert_eq!(posts[posts.len() - 1].headers["authorization"], "Splunk hunter4");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_ocsf_are_those_of_an_export() {
    let receiver = Receiver::start(&[]).await;
    let (format, outputs) = (Format::Ocsf, Outputs::Text);
    let sink = Sink { format, outputs, findings: true, ..sink("siem", &receiver.url) };
    let service = Service::with(with(&[sink])).await;
    let mut blocked = command("s", 2, "drop table cards");
    (blocked["verdict"], blocked["output"]) = (json!("blocked"), json!("no"));
    let shown = json!({"session": "s", "seq": 3, "time": "2026-03-01T09:01:00Z", "kind": "output",
        "command": 2, "stream": "stdout", "text": "no"});
    // One after the other: a row says what is known of its session when it is made.
    service.post(ndjson(&[start("s"), blocked, shown, end("s", 4)])).await;
    until("they are taken", async || receiver.taken().len() >= 4).await;
    let path = "/v1/export?format=ndjson&schema=ocsf&outputs=text&findings=true";
    let text = service.raw(path).await.text().await.unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(receiver.taken(), rows);
    assert_eq!(rows.len(), 4);
    until("it is at the end", async || status(&service, "siem").await["behind"] == 0).await;
    let said = status(&service, "siem").await;
    assert_eq!((&said["version"], &said["sent_events"]), (&json!("1.8.0"), &json!(3)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_spoken_with_who_the_roots_vouch_for_and_a_certificate_is_shown() {
    // The receiver is another daybook, which refuses the lines and takes the request.
    let dir = tempfile::tempdir().unwrap();
    let (ca, secured) = secured(dir.path());
    let (cert, key) = issue(&ca, dir.path(), "pusher");
    let root = dir.path().join("ca.pem");
    let receiver = Service::with(Config { tls_client_ca: Some(root.clone()), ..secured }).await;
    let url = format!("{}/v1/events", receiver.url.replace("127.0.0.1", "localhost"));
    let good = Sink {
        ca_file: Some(root),
        client_cert_file: Some(cert),
        client_key_file: Some(key),
        ..sink("good", &url)
    };
    let bare =
        Sink { client_cert_file: None, client_key_file: None, name: "bare".into(), ..good.clone() };
    let deceived = sink("deceived", &url);
    let service = Service::with(with(&[good, bare, deceived])).await;
    selects(&service, "s", 0..3).await;
    until("it is taken", async || status(&service, "good").await["sent_events"] == 3).await;
    for name in ["bare", "deceived"] {
        until("it fails", async || status(&service, name).await["failures"] != 0).await;
        assert_eq!(status(&service, name).await["sent_events"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admin_sees_the_sinks() {
    let service = Service::with(with(&[sink("siem", "http://127.0.0.1:1/")])).await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let new = |scope: Scope| {
        let name = Some(scope.name().to_owned());
        tokens.create(NewToken { name, scopes: vec![scope], ..NewToken::default() }).unwrap().1
    };
    let (read, admin) = (new(Scope::Read), new(Scope::Admin));
    let ask = async |token: &str, method: Method, path: &str| {
        let request = service.http.request(method, format!("{}{path}", service.url));
        request.bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    until("the tokens count", async || ask(&read, Method::GET, "/v1/push").await == 403).await;
    assert_eq!(ask(&admin, Method::GET, "/v1/push").await, 200);
    assert_eq!(ask(&read, Method::POST, "/v1/push/siem/resend").await, 403);
    assert_eq!(ask(&admin, Method::POST, "/v1/push/siem/resend").await, 200);
}

#[tokio::test]
async fn a_sink_that_can_not_be_used_stops_the_start_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (_ca, _) = secured(dir.path());
    let file = |name: &str, text: &str| -> Option<PathBuf> {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let https = sink("siem", "https://127.0.0.1:1/");
    let none = Some(dir.path().join("none"));
    let cases: BTreeMap<&str, Vec<Sink>> = BTreeMap::from([
        ("`url` is missing", vec![Sink::new("siem").unwrap()]),
        ("another sink has this name", vec![https.clone(), https.clone()]),
        ("can't read", vec![Sink { ca_file: none.clone(), ..https.clone() }]),
        ("no certificate in PEM", vec![Sink { ca_file: file("empty", ""), ..https.clone() }]),
        ("none: No such file", vec![Sink { token_file: none, ..https.clone() }]),
        ("holds no token", vec![Sink { token_file: file("blank", " \n"), ..https.clone() }]),
        ("goes with", vec![Sink { resend: 1, ..https.clone() }]),
        (
            "no private key in PEM",
            vec![Sink {
                client_cert_file: Some(dir.path().join("server.pem")),
                client_key_file: file("key", "x"),
                ..https
            }],
        ),
    ]);
    for (expected, sinks) in cases {
        let data = tempfile::tempdir().unwrap();
        let engine = daybook_engine::Engine::open(data.path(), Default::default()).unwrap();
        let failed = Server::bind(with(&sinks), engine).await.unwrap_err().to_string();
        assert!(
            failed.contains("[push.siem]") && failed.contains(expected),
            "{expected}: {failed}"
        );
    }
    let data = tempfile::tempdir().unwrap();
    let engine = daybook_engine::Engine::open(data.path(), Default::default()).unwrap();
    std::fs::write(data.path().join("push.json"), b"{}").unwrap();
    let failed = Server::bind(config(), engine).await.unwrap_err().to_string();
    assert!(failed.contains("push.json") && failed.contains("backup"), "{failed}");
}
