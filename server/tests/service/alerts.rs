//! Saved searches and their alerts: what matches is posted, signed, in order, and again until it is taken.

use crate::clients;
use crate::support::{Service, command, config, end, name, ndjson, start};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// What a receiver does with a delivery.
#[derive(Clone, Copy)]
enum Does {
    Answer(u16),
    /// Asks to wait, in seconds.
    Asks(u16, &'static str),
    Hang,
    Redirect,
}

/// A delivery.
#[derive(Clone, Debug)]
struct Post {
    id: String,
    at: Instant,
    body: Value,
}

impl Post {
    fn offsets(&self) -> Vec<u64> {
        let hits = self.body["hits"].as_array().unwrap();
        hits.iter().map(|hit| hit["offset"].as_u64().unwrap()).collect()
    }
}

#[derive(Clone, Default)]
struct Mind {
    /// What it does with the next deliveries; then it takes them.
    plan: Arc<Mutex<VecDeque<Does>>>,
    posts: Arc<Mutex<Vec<Post>>>,
    taken: Arc<Mutex<Vec<Post>>>,
}

/// A receiver of webhooks.
struct Receiver {
    url: String,
    mind: Mind,
}

impl Receiver {
    async fn start(plan: &[Does]) -> Receiver {
        Receiver::at("127.0.0.1:0", plan).await
    }

    async fn at(address: &str, plan: &[Does]) -> Receiver {
        let mind = Mind::default();
        mind.plan.lock().unwrap().extend(plan);
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/hooks/path-that-is-secret", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(mind.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { url, mind }
    }

    fn posts(&self) -> Vec<Post> {
        self.mind.posts.lock().unwrap().clone()
    }

    /// The offsets that it has taken, in the order in which they came.
    fn taken(&self) -> Vec<u64> {
        self.mind.taken.lock().unwrap().iter().flat_map(Post::offsets).collect()
    }

    async fn has_taken(&self, offsets: &[u64]) {
        until("the events are taken", async || self.taken().len() >= offsets.len()).await;
        assert_eq!(self.taken(), offsets);
    }
}

async fn receive(State(mind): State<Mind>, headers: HeaderMap, body: Bytes) -> Response {
    let of = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, seconds) = (of("webhook-id"), of("webhook-timestamp"));
    assert!(!id.contains('.'), "{id}");
    let now = daybook_engine::event::Micros::now().0 / 1_000_000;
    assert!((now - seconds.parse::<i64>().unwrap()).abs() < 30, "{seconds}");
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(&body);
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(of("webhook-signature"), signature);
    assert_eq!(of("content-type"), "application/json");
    let post = Post { id, at: Instant::now(), body: serde_json::from_slice(&body).unwrap() };
    mind.posts.lock().unwrap().push(post.clone());
    let does = mind.plan.lock().unwrap().pop_front().unwrap_or(Does::Answer(204));
    match does {
        Does::Answer(status) => {
            if (200..300).contains(&status) {
                mind.taken.lock().unwrap().push(post);
            }
            (StatusCode::from_u16(status).unwrap(), "said the receiver").into_response()
        }
        Does::Asks(status, seconds) => {
            let asks = [(header::RETRY_AFTER, HeaderValue::from_static(seconds))];
            (StatusCode::from_u16(status).unwrap(), asks).into_response()
        }
        Does::Hang => std::future::pending().await,
        Does::Redirect => {
            let to = "https://else.example.com/path-that-is-secret";
            (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Settings with which what fails is tried again soon.
fn soon() -> Config {
    Config {
        alert_time_max: Duration::from_millis(500),
        alert_wait_max: Duration::from_millis(100),
        ..config()
    }
}

async fn save(service: &Service, body: Value) -> Value {
    let (status, saved) = service.send(Method::POST, "/v1/searches", &body.to_string()).await;
    assert_eq!(status, 201, "{saved}");
    saved
}

async fn alert(service: &Service, query: &str, receiver: &Receiver) -> String {
    let alert = json!({"url": receiver.url, "secret": SECRET});
    let saved = save(service, json!({"name": query, "query": query, "alert": alert})).await;
    saved["id"].as_str().unwrap().to_owned()
}

async fn status(service: &Service, id: &str) -> Value {
    let (_, saved) = service.get(&format!("/v1/searches/{id}")).await;
    saved["alert"]["status"].clone()
}

async fn put(service: &Service, id: &str, body: Value) -> (StatusCode, Value) {
    service.send(Method::PUT, &format!("/v1/searches/{id}"), &body.to_string()).await
}

async fn drops(service: &Service, session: &str, seqs: std::ops::Range<u32>) {
    let events: Vec<Value> = seqs.map(|seq| command(session, seq, "drop table cards")).collect();
    let (_, answer) = service.post(ndjson(&events)).await;
    assert_eq!(answer["accepted"], events.len(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_and_matches_is_posted_in_order_signed_and_as_a_search_has_it() {
    let service = Service::with(soon()).await;
    let receiver = Receiver::start(&[]).await;
    // What was there before is not sent.
    drops(&service, "old", 1..3).await;
    let id = alert(&service, "drop", &receiver).await;
    let events = [start("s"), command("s", 2, "select 1"), command("s", 3, "drop table cards")];
    service.post(ndjson(&events)).await;
    receiver.has_taken(&[4]).await;
    let (_, page) = service.get("/v1/search?q=drop&limit=1").await;
    let post = receiver.posts().remove(0);
    let search = json!({"id": id, "name": "drop", "query": "drop"});
    let body = json!({"type": "search.hits", "search": search, "hits": page["items"], "from": 2, "through": 5});
    assert_eq!(post.body, body);
    // Far more than one delivery holds.
    drops(&service, "many", 0..350).await;
    receiver.has_taken(&[vec![4], (5..355).collect()].concat()).await;
    let posts = receiver.posts();
    assert!(posts.len() >= 5 && posts.iter().all(|post| post.offsets().len() <= 100));
    let ids: BTreeSet<&str> = posts.iter().map(|post| &*post.id).collect();
    assert_eq!(ids.len(), posts.len());
    until("it is noted", async || status(&service, &id).await["behind"] == 0).await;
    let status = status(&service, &id).await;
    assert_eq!((&status["delivered"], &status["through"]), (&json!(351), &json!(355)), "{status}");
    assert!(status["last_delivery_at"].is_string() && status["failing_since"].is_null());
    let metrics = service.raw("/metrics").await.text().await.unwrap();
    let sent = format!("daybook_alert_deliveries_total{{outcome=\"delivered\"}} {}\n", posts.len());
    assert!(metrics.contains(&sent) && metrics.contains("daybook_alerts 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_of_standard_webhooks_verifies_it() {
    let Some(python) = clients::python() else { return };
    if clients::module(&python, "standardwebhooks", "standardwebhooks==1.1.0") {
        let service = Service::with(soon()).await;
        assert_eq!(clients::script(&python, "webhook.py", &service.url, &[]).await, "verified\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_sent_again_as_the_same_delivery_until_it_is_taken() {
    let service = Service::with(soon()).await;
    let fails = [Does::Answer(500), Does::Hang, Does::Answer(404), Does::Redirect];
    let receiver = Receiver::start(&fails).await;
    let id = alert(&service, "drop", &receiver).await;
    drops(&service, "s", 0..3).await;
    let mut errors = BTreeSet::new();
    until("it is taken", async || {
        errors.extend(status(&service, &id).await["last_error"].as_str().map(str::to_owned));
        receiver.taken() == [0, 1, 2]
    })
    .await;
    let posts = receiver.posts();
    assert_eq!(posts.len(), 5);
    assert!(posts.iter().all(|post| post.id == posts[0].id && post.body == posts[0].body));
    let errors = errors.into_iter().collect::<Vec<_>>().join("\n");
    assert!(errors.contains("500") && errors.contains("alert_time_max"), "{errors}");
    assert!(errors.contains("https://else.example.com, which is not followed"), "{errors}");
    until("it is noted", async || status(&service, &id).await["failing_since"].is_null()).await;
    // A delivery that came while it was away waits for it.
    drops(&service, "s", 3..4).await;
    receiver.has_taken(&[0, 1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_yet_gets_everything_once_it_is() {
    let service = Service::with(soon()).await;
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{address}/");
    let body = json!({"name": "n", "query": "drop", "alert": {"url": url, "secret": SECRET}});
    let id = save(&service, body).await["id"].as_str().unwrap().to_owned();
    drops(&service, "s", 0..120).await;
    until("it fails", async || status(&service, &id).await["failing_since"].is_string()).await;
    let failing = status(&service, &id).await;
    assert!(failing["last_error"].as_str().unwrap().contains("can't be reached"), "{failing}");
    assert!(!failing.to_string().contains("path-that-is-secret"));
    assert!(failing["next_attempt_at"].is_string() && failing["behind"] == 120, "{failing}");
    let receiver = Receiver::at(&address, &[]).await;
    receiver.has_taken(&(0..120).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_asks_for_is_waited() {
    let service = Service::with(soon()).await;
    let receiver = Receiver::start(&[Does::Asks(429, "1"), Does::Asks(503, "no time")]).await;
    alert(&service, "drop", &receiver).await;
    drops(&service, "s", 0..1).await;
    receiver.has_taken(&[0]).await;
    let posts = receiver.posts();
    let waits = [posts[1].at - posts[0].at, posts[2].at - posts[1].at];
    assert!(waits[0] >= Duration::from_secs(1) && waits[1] < Duration::from_secs(1), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_pauses_it_and_a_change_has_it_go_on_with_nothing_skipped() {
    let service = Service::with(soon()).await;
    let receiver = Receiver::start(&[Does::Answer(410)]).await;
    let id = alert(&service, "drop", &receiver).await;
    drops(&service, "s", 0..2).await;
    until("it stands", async || status(&service, &id).await["paused"].is_object()).await;
    let paused = status(&service, &id).await["paused"].clone();
    assert!(paused["why"].as_str().unwrap().contains("410"), "{paused}");
    drops(&service, "s", 2..4).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(receiver.posts().len(), 1);
    let (_, list) = service.get("/v1/searches").await;
    assert_eq!(list["items"][0]["alert"]["status"]["behind"], 4);
    // Another address takes up what this one did not want; the secret is the same.
    let other = Receiver::start(&[]).await;
    let body = json!({"name": "drop", "query": "drop", "alert": {"url": other.url}});
    let (code, changed) = put(&service, &id, body).await;
    assert_eq!((code.as_u16(), &changed["alert"]["secret"]), (200, &Value::Null), "{changed}");
    other.has_taken(&[0, 1, 2, 3]).await;
    assert_eq!(other.posts()[0].id, receiver.posts()[0].id);
}

/// What matched is decided once: though its session has ended when the receiver is there again, the event is sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_matched_is_sent_though_it_would_not_match_any_more() {
    let service = Service::with(soon()).await;
    let receiver = Receiver::start(&[Does::Answer(500); 6]).await;
    let id = alert(&service, "status:open drop", &receiver).await;
    service.post(ndjson(&[start("s"), command("s", 2, "drop table cards")])).await;
    until("it was tried", async || !receiver.posts().is_empty()).await;
    service.post(ndjson(&[end("s", 3)])).await;
    assert_eq!(service.found("status:open drop").await, 0);
    receiver.has_taken(&[1]).await;
    until("it goes on", async || status(&service, &id).await["through"] == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was_with_the_same_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let receiver = Receiver::start(&[Does::Answer(500); 3]).await;
    let mut ids = Vec::new();
    for life in 0..3 {
        let place = tempfile::tempdir().unwrap();
        let service = Service::on(place, &data, Default::default(), soon()).await;
        if life == 0 {
            ids.push(alert(&service, "drop", &receiver).await);
            drops(&service, "s", 0..2).await;
            until("it was tried", async || !receiver.posts().is_empty()).await;
        } else {
            receiver.has_taken(&[0, 1]).await;
            let id = ids[0].clone();
            until("it is noted", async || status(&service, &id).await["delivered"] == 2).await;
        }
        service.end().await;
        receiver.mind.plan.lock().unwrap().clear();
    }
    let posts = receiver.posts();
    assert!(posts.iter().all(|post| post.id == posts[0].id), "{posts:?}");
    // Nothing came twice that was taken, though the server was started three times.
    assert_eq!(receiver.taken(), [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_before_it_came_to_it_is_counted() {
    let service = Service::with(soon()).await;
    drops(&service, "s", 0..5).await;
    service.post(ndjson(&[end("s", 9)])).await;
    service.engine.seal_now().unwrap();
    let policy = json!({"policy": {"bytes_max": 1}, "by": "eve"}).to_string();
    service.send(Method::PUT, "/v1/admin/retention", &policy).await;
    service.send(Method::POST, "/v1/admin/retention/run?by=eve", "").await;
    drops(&service, "t", 0..1).await;
    let receiver = Receiver::start(&[]).await;
    let alert = json!({"url": receiver.url, "secret": SECRET, "from": 0});
    let saved = save(&service, json!({"name": "n", "query": "drop", "alert": alert})).await;
    until("it is there", async || !receiver.taken().is_empty()).await;
    assert_eq!(receiver.posts()[0].body["hits"][0]["session"], "t");
    let status = status(&service, saved["id"].as_str().unwrap()).await;
    assert_eq!((&status["gone"], &status["unreadable"]), (&json!(6), &json!(0)), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_for_what_was_not_delivered_and_a_deletion_ends_it() {
    let service = Service::with(soon()).await;
    let receiver = Receiver::start(&[Does::Answer(500); 3]).await;
    let id = alert(&service, "drop", &receiver).await;
    drops(&service, "s", 0..2).await;
    until("it was tried", async || !receiver.posts().is_empty()).await;
    let (code, changed) = put(&service, &id, json!({"name": "d", "query": "drop -seq"})).await;
    assert_eq!((code.as_u16(), &changed["name"]), (200, &json!("d")), "{changed}");
    receiver.has_taken(&[0, 1]).await;
    let posts = receiver.posts();
    assert_ne!(posts[0].id, posts[posts.len() - 1].id, "another query is another delivery");
    // From an offset on again.
    let from =
        json!({"name": "d", "query": "drop -seq", "alert": {"url": receiver.url, "from": 1}});
    assert_eq!(put(&service, &id, from).await.0, 200);
    receiver.has_taken(&[0, 1, 1]).await;
    // One that has no alert any more stays as a search.
    let none = json!({"name": "d", "query": "drop", "alert": null});
    assert_eq!(put(&service, &id, none).await.1["alert"], Value::Null);
    drops(&service, "s", 2..3).await;
    let again =
        json!({"name": "d", "query": "drop", "alert": {"url": receiver.url, "secret": SECRET}});
    assert_eq!(put(&service, &id, again).await.0, 200);
    drops(&service, "s", 3..4).await;
    receiver.has_taken(&[0, 1, 1, 3]).await;
    let path = format!("/v1/searches/{id}");
    let (code, gone) = service.send(Method::DELETE, &path, "").await;
    assert_eq!((code.as_u16(), &gone["id"]), (200, &json!(id)));
    drops(&service, "s", 4..6).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(receiver.taken(), [0, 1, 1, 3]);
    assert_eq!(service.get(&path).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_the_receiver_said() {
    let service = Service::with(soon()).await;
    let receiver = Receiver::start(&[Does::Answer(200), Does::Answer(403), Does::Hang]).await;
    let id = alert(&service, "drop", &receiver).await;
    let path = format!("/v1/searches/{id}/test");
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(service.send(Method::POST, &path, "").await.1);
    }
    assert_eq!((&said[0]["delivered"], &said[0]["status"]), (&json!(true), &json!(200)));
    assert_eq!(
        (&said[1]["delivered"], &said[1]["answer"]),
        (&json!(false), &json!("said the receiver"))
    );
    assert!(said[1]["error"].as_str().unwrap().contains("403"));
    assert!(
        said[2]["error"].as_str().unwrap().contains("no answer") && said[2]["status"].is_null()
    );
    let body = &receiver.posts()[0].body;
    assert_eq!((&body["type"], &body["hits"]), (&json!("search.test"), &json!([])));
    let plain = save(&service, json!({"name": "p", "query": "drop"})).await;
    let path = format!("/v1/searches/{}/test", plain["id"].as_str().unwrap());
    let (code, problem) = service.send(Method::POST, &path, "").await;
    assert_eq!((code.as_u16(), name(&problem)), (409, "no-alert"));
}

#[tokio::test]
async fn what_can_not_be_saved_is_refused_with_what_would_be_right() {
    let service = Service::with(Config { searches_max: 3, alerts_max: 1, ..soon() }).await;
    let hook = |more: Value| {
        let mut alert = json!({"url": "https://example.com/", "secret": SECRET});
        alert.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"name": "a", "query": "drop", "alert": alert})
    };
    for (body, status, problem, about, says) in [
        (json!({"name": "a", "query": "usr:alice"}), 400, "query", "query", "user"),
        (json!({"name": " ", "query": "drop"}), 400, "body", "name", "control"),
        (json!({"name": "a\n", "query": "drop"}), 400, "body", "name", "control"),
        (json!({"query": "drop"}), 400, "body", "", "name"),
        (json!({"name": "a", "query": "drop", "x": 1}), 400, "body", "", "`x`"),
        (hook(json!({"url": "example.com"})), 400, "body", "alert.url", "URL"),
        (hook(json!({"url": "ftp://example.com"})), 400, "body", "alert.url", "https"),
        (hook(json!({"url": "https://a:b@example.com"})), 400, "body", "alert.url", "password"),
        (hook(json!({"secret": "hunter2"})), 400, "body", "alert.secret", "whsec_"),
        (hook(json!({"from": 9})), 400, "body", "alert.from", "ends at 0"),
        (
            json!({"name": "a", "query": "drop since:1h", "alert": {"url": "https://example.com"}}),
            400,
            "body",
            "query",
            "moves with the clock",
        ),
    ] {
        let (code, answer) = service.send(Method::POST, "/v1/searches", &body.to_string()).await;
        assert_eq!((code.as_u16(), name(&answer)), (status, problem), "{body}: {answer}");
        assert_eq!(answer["parameter"].as_str().unwrap_or_default(), about, "{body}: {answer}");
        assert!(answer.to_string().contains(says), "{body}: {answer}");
        assert!(!answer.to_string().contains("hunter2"));
    }
    let (_, wrong) = service
        .send(
            Method::POST,
            "/v1/searches",
            &json!({"name": "a", "query": "drop usr:x"}).to_string(),
        )
        .await;
    assert_eq!((&wrong["start"], &wrong["end"]), (&json!(5), &json!(8)), "{wrong}");
    save(&service, hook(json!({}))).await;
    for (body, problem) in [
        (hook(json!({})), "name-taken"),
        (
            json!({"name": "b", "query": "drop", "alert": {"url": "https://example.com"}}),
            "too-many",
        ),
    ] {
        let (code, answer) = service.send(Method::POST, "/v1/searches", &body.to_string()).await;
        assert_eq!((code.as_u16(), name(&answer)), (409, problem), "{body}: {answer}");
    }
    save(&service, json!({"name": "b", "query": "drop since:1h"})).await;
    save(&service, json!({"name": "c", "query": "drop"})).await;
    let one_more = json!({"name": "d", "query": "drop"}).to_string();
    let (_, answer) = service.send(Method::POST, "/v1/searches", &one_more).await;
    assert!(answer["detail"].as_str().unwrap().contains("searches_max"), "{answer}");
    let (_, list) = service.get("/v1/searches").await;
    assert_eq!(list["count"], 3);
}

#[tokio::test]
async fn a_secret_is_shown_to_who_had_it_made_and_never_again() {
    let service = Service::with(soon()).await;
    let body = json!({"name": "a", "query": "drop", "alert": {"url": "https://127.0.0.1:1/"}});
    let made = save(&service, body.clone()).await;
    let secret = made["alert"]["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    let id = made["id"].as_str().unwrap();
    let given = json!({"name": "b", "query": "drop", "alert": {"url": "https://127.0.0.1:1/", "secret": SECRET}});
    let given = save(&service, given).await;
    assert_eq!(given["alert"]["secret"], Value::Null);
    let mut answers = vec![put(&service, id, body).await.1];
    for path in ["/v1/searches".to_owned(), format!("/v1/searches/{id}"), "/v1/stats".to_owned()] {
        answers.push(service.get(&path).await.1);
    }
    answers.push(service.send(Method::POST, &format!("/v1/searches/{id}/test"), "").await.1);
    answers.push(service.send(Method::DELETE, &format!("/v1/searches/{id}"), "").await.1);
    for answer in answers {
        let answer = answer.to_string();
        assert!(!answer.contains(&secret[6..]) && !answer.contains(&SECRET[6..]), "{answer}");
    }
    let file = service.engine.dir().join("searches.json");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_what_and_an_alert_sees_what_its_token_sees() {
    let service = Service::with(soon()).await;
    let receiver = Receiver::start(&[]).await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let new = |name: &str, scopes: &[Scope], roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let name = Some(name.to_owned());
        let new = NewToken { name, scopes: scopes.to_vec(), roles, ..NewToken::default() };
        tokens.create(new).unwrap().1
    };
    let (read, both) = (vec![Scope::Read], vec![Scope::Read, Scope::Admin]);
    let send = new("proxy", &[Scope::Ingest], &[]);
    let ann = new("ann", &read, &[]);
    let bob = new("bob", &read, &[]);
    let limited = new("prod", &both, &["prod-*"]);
    let ops = new("ops", &both, &[]);
    let only_admin = new("root", &[Scope::Admin], &[]);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let ask = async |token: &str, method: Method, path: &str, body: Value| {
        let request = service.http.request(method, format!("{}{path}", service.url));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = request.bearer_auth(token).body(body).send().await.unwrap();
        let code = response.status().as_u16();
        (code, response.json::<Value>().await.unwrap_or_default())
    };
    let hook = json!({"url": receiver.url, "secret": SECRET});
    let plain = |name: &str| json!({"name": name, "query": "open"});
    let alerting = |name: &str| json!({"name": name, "query": "open", "alert": hook});
    let at = "/v1/searches";
    for (token, body, code) in [
        (&send, plain("a"), 403),
        (&ann, plain("of ann"), 201),
        (&ann, alerting("b"), 403),
        (&only_admin, alerting("b"), 403),
        (&limited, alerting("of prod"), 201),
        (&ops, plain("of ops"), 201),
    ] {
        let (got, answer) = ask(token, Method::POST, at, body.clone()).await;
        assert_eq!(got, code, "{body}: {answer}");
    }
    let find = async |token: &str, name: &str| {
        let (_, list) = ask(token, Method::GET, at, Value::Null).await;
        let items = list["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["name"] == name)
    };
    let prod = find(&ops, "of prod").await.unwrap();
    assert_eq!((&prod["by"], &prod["roles"]), (&json!("prod"), &json!(["prod-*"])));
    assert_eq!(prod["alert"]["url"], receiver.url);
    // The path of a webhook is for those who may change it.
    let seen = find(&ann, "of prod").await.unwrap();
    assert!(receiver.url.starts_with(seen["alert"]["url"].as_str().unwrap()));
    assert!(!seen.to_string().contains("path-that-is-secret"));
    assert!(find(&limited, "of ann").await.is_none());
    assert!(find(&limited, "of prod").await.is_some());
    let path = |item: &Value| format!("{at}/{}", item["id"].as_str().unwrap());
    let of_ann = path(&find(&ann, "of ann").await.unwrap());
    let of_prod = path(&prod);
    for (token, method, path, body, code) in [
        (&limited, Method::GET, of_ann.clone(), Value::Null, 404),
        (&limited, Method::DELETE, of_ann.clone(), Value::Null, 404),
        (&bob, Method::GET, of_ann.clone(), Value::Null, 200),
        (&bob, Method::PUT, of_ann.clone(), plain("of bob"), 403),
        (&bob, Method::DELETE, of_ann.clone(), Value::Null, 403),
        (&ann, Method::PUT, of_ann.clone(), plain("still of ann"), 200),
        (&ann, Method::PUT, of_ann.clone(), alerting("of ann"), 403),
        (&ann, Method::PUT, of_prod.clone(), plain("of prod"), 403),
        (&ann, Method::DELETE, of_prod.clone(), Value::Null, 403),
        (&ann, Method::POST, format!("{of_prod}/test"), Value::Null, 403),
        (&only_admin, Method::POST, format!("{of_prod}/test"), Value::Null, 200),
        (&only_admin, Method::PUT, of_prod.clone(), alerting("of prod"), 403),
        // Whoever changes it: it keeps to the limits of the token that saved it.
        (&ops, Method::PUT, of_prod.clone(), alerting("of prod"), 200),
        (&ann, Method::DELETE, of_ann.clone(), Value::Null, 200),
    ] {
        let (got, answer) = ask(token, method.clone(), &path, body).await;
        assert_eq!(got, code, "{method} {path}: {answer}");
    }
    let (mut mine, mut other) = (start("mine"), start("other"));
    (mine["role"], other["role"]) = (json!("prod-eu"), json!("lab"));
    let body = ndjson(&[other, command("other", 2, "open"), mine, command("mine", 2, "open")]);
    let request = service.http.post(format!("{}/v1/events", service.url)).bearer_auth(&send);
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    until("it is there", async || !receiver.taken().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(receiver.taken(), [3]);
    let (got, gone) = ask(&only_admin, Method::DELETE, &of_prod, Value::Null).await;
    assert_eq!(got, 200, "{gone}");
}

#[tokio::test]
async fn files_that_were_altered_stop_the_start_with_what_to_do() {
    for file in ["searches.json", "alerts.json"] {
        let dir = tempfile::tempdir().unwrap();
        let engine = daybook_engine::Engine::open(dir.path(), Default::default()).unwrap();
        std::fs::write(dir.path().join(file), b"{}").unwrap();
        let failed = daybook_server::Server::bind(config(), engine).await.unwrap_err().to_string();
        assert!(failed.contains(file) && failed.contains("backup"), "{failed}");
    }
}
