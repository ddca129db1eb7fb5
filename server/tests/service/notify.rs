//! Notifications of access requests, against receivers that answer, fail, are away, and are gone.

use super::support::{Service, config, ndjson};
use crate::clients::until;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode as Code};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_engine::Options;
use daybook_server::Config;
use daybook_server::notify::{Form, Target};
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Clone, Default)]
struct Receiver {
    /// What it answers; 200 if nothing is said.
    status: Arc<Mutex<Option<u16>>>,
    got: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Receiver {
    async fn start() -> (Receiver, String) {
        let receiver = Receiver::default();
        let take = async |State(all): State<Receiver>, headers: HeaderMap, body: Bytes| {
            let said: Value = serde_json::from_slice(&body).unwrap();
            if let Some(signed) = headers.get("webhook-signature") {
                let key = STANDARD.decode(&SECRET[6..]).unwrap();
                let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
                let text = |name: &str| headers[name].to_str().unwrap().to_owned();
                mac.update(
                    format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).as_bytes(),
                );
                mac.update(&body);
                let right = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
                assert_eq!(signed.to_str().unwrap(), right);
            }
            let status = all.status.lock().unwrap_or(200);
            all.got.lock().push((headers, said));
            Code::from_u16(status).unwrap()
        };
        let app = axum::Router::new().route("/hook", post(take)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    fn answer(&self, status: u16) {
        *self.status.lock() = Some(status);
    }

    fn bodies(&self) -> Vec<Value> {
        self.got.lock().iter().map(|(_, body)| body.clone()).collect()
    }

    fn ids(&self) -> Vec<String> {
        let got = self.got.lock();
        got.iter().map(|(headers, _)| headers["webhook-id"].to_str().unwrap().to_owned()).collect()
    }
}

fn target(name: &str, url: &str, form: Form, secret: &Path) -> Target {
    let mut target = Target::new(name).unwrap();
    target.set_url(url).unwrap();
    target.form = form;
    target.secret_file = (form == Form::Standard).then(|| secret.to_owned());
    target
}

fn told(targets: Vec<Target>) -> Config {
    Config {
        notify: targets,
        public_url: Some("https://daybook.example.com/".to_owned()),
        alert_wait_max: Duration::from_millis(50),
        ..config()
    }
}

async fn ask(service: &Service, session: &str, role: &str, input: &str) {
    let events = [
        json!({"session": session, "seq": 0, "time": "2026-03-01T09:00:00Z", "kind": "session.start",
            "user": "asks@example.com", "role": role, "type": "database"}),
        json!({"session": session, "seq": 1, "time": "2026-03-01T09:00:01Z", "kind": "command",
            "input": input, "verdict": "pending"}),
    ];
    service.post(ndjson(&events)).await;
    let asked = json!({"session": session, "scope": "command", "command": 1, "review": session,
        "seq": 2, "reason": "<!channel> [x](https://evil.example.com)"});
    let (status, answer) = service.send(Method::POST, "/v1/reviews", &asked.to_string()).await;
    assert_eq!(status, 201, "{answer}");
}

async fn say(service: &Service, review: &str, decision: &str) -> u16 {
    let said = json!({"decision": decision, "by": "ann@example.com", "comment": "fine"});
    let path = format!("/v1/reviews/{review}/decision");
    service.send(Method::POST, &path, &said.to_string()).await.0.as_u16()
}

async fn status(service: &Service) -> Value {
    service.get("/v1/admin/notifications").await.1["items"][0].clone()
}

#[tokio::test]
async fn everybody_is_told_in_their_form_of_what_they_want_to_hear() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let (standard, url) = Receiver::start().await;
    let (slack, slack_url) = Receiver::start().await;
    let (teams, teams_url) = Receiver::start().await;
    let mut quiet = target("teams", &teams_url, Form::Teams, &secret);
    quiet.roles = vec!["prod-*".to_owned()];
    quiet.events.retain(|told| told.name() == "request");
    let service = Service::with(told(vec![
        target("siem", &url, Form::Standard, &secret),
        target("slack", &slack_url, Form::Slack, &secret),
        quiet,
    ]))
    .await;
    let evil = "select '<script>&\u{202e}' -- <https://evil.example.com|x>";
    ask(&service, "s 1", "prod-eu", evil).await;
    ask(&service, "s2", "lab", "select 2").await;
    assert_eq!(say(&service, "s 1", "approved").await, 200);
    assert_eq!(say(&service, "s 1", "executed").await, 200);
    assert_eq!(say(&service, "s2", "rejected").await, 200);
    until("they are told", async || standard.bodies().len() >= 4 && slack.bodies().len() >= 4)
        .await;
    let bodies = standard.bodies();
    let kinds: Vec<_> =
        bodies.iter().map(|body| body["type"].as_str().unwrap().to_owned()).collect();
    // In the order of the log; that something ran is not told unless that is asked for.
    assert_eq!(
        kinds,
        ["review.requested", "review.requested", "review.approved", "review.rejected"]
    );
    assert_eq!(bodies[0]["data"]["url"], "https://daybook.example.com/sessions/s%201?seq=1");
    assert_eq!(bodies[0]["data"]["review"]["input"], evil);
    assert_eq!(bodies[2]["data"]["decision"]["by"], "ann@example.com");
    assert_eq!(bodies[2]["data"]["review"]["role"], "prod-eu");
    assert!(
        standard.got.lock().iter().all(|(headers, _)| headers.contains_key("webhook-signature"))
    );

    let card = &slack.bodies()[0];
    assert_eq!(card["text"], "asks@example.com asks for a command on prod-eu");
    // No text is of a kind in which Slack looks for markup, and what turns text is not there.
    let texts: Vec<&Value> = card["blocks"].as_array().unwrap().iter().collect();
    assert!(texts.iter().all(|block| !block.to_string().contains("mrkdwn")));
    let code = &card["blocks"][1]["elements"][0]["elements"][0];
    assert_eq!(
        (&code["type"], code["text"].as_str().unwrap().contains('\u{202e}')),
        (&json!("text"), false)
    );
    assert_eq!(
        card["blocks"].as_array().unwrap().last().unwrap()["elements"][0]["url"],
        bodies[0]["data"]["url"]
    );

    let cards = teams.bodies();
    assert_eq!(cards.len(), 1, "only requests for prod-*");
    let content = &cards[0]["attachments"][0]["content"];
    assert_eq!((&content["type"], &content["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    // Nothing that Teams reads as Markdown.
    assert!(
        content["body"].as_array().unwrap().iter().all(|block| block["type"] == "RichTextBlock")
    );
    assert_eq!(content["actions"][0]["url"], bodies[0]["data"]["url"]);
    let listed = service.get("/v1/admin/notifications").await.1;
    assert!(!listed.to_string().contains("/hook"), "an address is often a secret: {listed}");
    service.end().await;
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_later_once_and_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start().await;
    receiver.answer(503);
    let targets = || vec![target("chat", &url, Form::Slack, dir.path())];
    let data = dir.path().join("data");
    let on = async || {
        Service::on(tempfile::tempdir().unwrap(), &data, Options::default(), told(targets())).await
    };
    let service = on().await;
    ask(&service, "s", "prod", "select 1").await;
    until("it is tried", async || receiver.bodies().len() >= 3).await;
    assert!(status(&service).await["last_error"].as_str().unwrap().contains("503"));
    service.end().await;
    receiver.got.lock().clear();
    let service = on().await;
    until("it is tried again", async || !receiver.bodies().is_empty()).await;
    receiver.answer(204);
    until("it is delivered", async || status(&service).await["delivered"] == 1).await;
    assert_eq!(say(&service, "s", "approved").await, 200);
    until("the next is delivered", async || status(&service).await["delivered"] == 2).await;
    let (now, ids) = (status(&service).await, receiver.ids());
    assert_eq!(
        (&now["failing_since"], now["dead"].as_array().map(Vec::len)),
        (&Value::Null, Some(0))
    );
    // Each attempt has the message's own id.
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 2, "{ids:?}");
    service.end().await;
    receiver.got.lock().clear();
    let service = on().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.bodies().len(), 0, "what was delivered is not told again");
    service.end().await;
}

#[tokio::test]
async fn what_can_not_be_delivered_is_put_aside_and_sent_again_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start().await;
    receiver.answer(500);
    let mut chat = target("chat", &url, Form::Slack, dir.path());
    chat.give_up_after = Duration::from_millis(300);
    let data = dir.path().join("data");
    let on = async || {
        let config = told(vec![chat.clone()]);
        Service::on(tempfile::tempdir().unwrap(), &data, Options::default(), config).await
    };
    let service = on().await;
    ask(&service, "s", "prod", "select 1").await;
    let dead = async |service: &Service| status(service).await["dead"].as_array().unwrap().len();
    until("it is dead", async || dead(&service).await == 1).await;
    let letter = status(&service).await["dead"][0].clone();
    assert_eq!((&letter["session"], &letter["event"]), (&json!("s"), &json!("request")));
    assert!(letter["why"].as_str().unwrap().contains("500"), "{letter}");
    // It holds up nothing.
    receiver.answer(200);
    assert_eq!(say(&service, "s", "approved").await, 200);
    until("what follows is delivered", async || status(&service).await["delivered"] == 1).await;
    service.end().await;
    let service = on().await;
    assert_eq!(dead(&service).await, 1);
    receiver.got.lock().clear();
    let path = format!("/v1/admin/notifications/{}/resend", letter["id"].as_str().unwrap());
    assert_eq!(service.send(Method::POST, &path, "").await.0, 200);
    until("it is delivered", async || status(&service).await["delivered"] == 2).await;
    assert_eq!(receiver.bodies()[0]["text"], "asks@example.com asks for a command on prod");
    assert_eq!(
        (dead(&service).await, service.send(Method::POST, &path, "").await.0.as_u16()),
        (0, 404)
    );
    // One that wants nothing more is not asked again for this.
    receiver.answer(410);
    ask(&service, "t", "prod", "select 2").await;
    until("it is dead at once", async || dead(&service).await == 1).await;
    service.end().await;
}
