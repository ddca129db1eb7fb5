//! Access requests: a proxy asks, waits, runs and reports; reviewers decide; either side may crash in between.

use super::support::{Service, config, ndjson};
use daybook_engine::Options;
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use daybook_server::reviews::rules::Rule;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// Somebody with a token, or with none.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Client {
    fn of(service: &Service, token: Option<String>) -> Client {
        Client { http: service.http.clone(), url: service.url.clone(), token }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    async fn open(&self, body: Value) -> (u16, Value) {
        self.ask(Method::POST, "/v1/reviews", Some(body)).await
    }

    async fn say(&self, review: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, &format!("/v1/reviews/{review}/decision"), Some(body)).await
    }

    async fn send(&self, events: &[Value]) {
        let mut request = self.http.post(format!("{}/v1/events", self.url)).body(ndjson(events));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["rejected"].as_array().map(Vec::len), Some(0), "{answer}");
    }
}

fn approved() -> Value {
    json!({"decision": "approved"})
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// A proxy that numbers its events, as most do: each statement is written down, asked for, and run once it is approved.
struct Proxy {
    client: Client,
    session: String,
    seq: u32,
    /// What it ran.
    ran: Vec<String>,
}

impl Proxy {
    async fn begin(client: Client, session: &str, user: &str, role: &str) -> Proxy {
        let mut proxy = Proxy { client, session: session.to_owned(), seq: 0, ran: Vec::new() };
        proxy.write("session.start", json!({"user": user, "role": role, "type": "database"})).await;
        proxy
    }

    async fn write(&mut self, kind: &str, mut event: Value) -> u32 {
        event["session"] = json!(self.session);
        event["seq"] = json!(self.seq);
        event["time"] = json!(now());
        event["kind"] = json!(kind);
        self.client.send(&[event]).await;
        self.seq += 1;
        self.seq - 1
    }

    /// Writes a statement down and asks whether it may run.
    async fn ask(&mut self, input: &str, more: Value) -> (String, u32) {
        let command = self.write("command", json!({"input": input, "verdict": "pending"})).await;
        let review = format!("{}-{command}", self.session);
        let mut body = json!({"session": self.session, "scope": "command", "command": command,
            "review": review, "reason": "to mend it", "seq": self.seq});
        self.seq += 1;
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.client.open(body).await;
        assert_eq!((status, &answer["status"]), (201, &json!("pending")), "{answer}");
        (review, command)
    }

    /// Waits until somebody decided, runs what was approved, and says so.
    async fn wait_and_run(&mut self, review: &str, command: u32) -> String {
        loop {
            let path = format!("/v1/reviews/{review}?session={}&wait=20s", self.session);
            let (status, answer) = self.client.get(&path).await;
            assert_eq!(status, 200, "{answer}");
            let status = answer["status"].as_str().unwrap().to_owned();
            match status.as_str() {
                "pending" => {}
                "approved" => {
                    self.ran.push(answer["input"].as_str().unwrap().to_owned());
                    self.write("command.end", json!({"command": command, "rows": 1})).await;
                    let said = json!({"decision": "executed"});
                    let (status, answer) = self.client.say(review, said).await;
                    assert_eq!((status, &answer["status"]), (200, &json!("executed")), "{answer}");
                    return "executed".to_owned();
                }
                _ => return status,
            }
        }
    }
}

async fn on(data: &Path, config: Config) -> Service {
    Service::on(tempfile::tempdir().unwrap(), data, Options::default(), config).await
}

/// A server with tokens for a proxy, an asker and reviewers.
async fn guarded(rules: Vec<Rule>) -> (Service, BTreeMap<&'static str, Client>) {
    let service = Service::with(Config { review_rules: rules, ..config() }).await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let mut clients = BTreeMap::new();
    for (name, scope, groups) in [
        ("proxy", Scope::Ingest, &[][..]),
        ("other", Scope::Ingest, &[]),
        ("asks@example.com", Scope::Review, &["dba"]),
        ("ann@example.com", Scope::Review, &["dba"]),
        ("bea@example.com", Scope::Review, &["dba", "oncall"]),
        ("cid@example.com", Scope::Review, &["sre"]),
        ("reads@example.com", Scope::Read, &["dba"]),
    ] {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let new = NewToken {
            name: Some(name.to_owned()),
            scopes: vec![scope],
            groups,
            ..NewToken::default()
        };
        let (_, secret) = tokens.create(new).unwrap();
        clients.insert(name.split('@').next().unwrap(), Client::of(&service, Some(secret)));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    (service, clients)
}

#[tokio::test]
async fn a_command_runs_once_it_is_approved_and_its_session_says_by_whom() {
    let (service, of) = guarded(Vec::new()).await;
    let mut proxy = Proxy::begin(of["proxy"].clone(), "s", "asks@example.com", "prod").await;
    let (review, command) = proxy.ask("delete from cards", json!({"groups": ["dba"]})).await;
    let session = of["reads"].get("/v1/sessions/s").await.1;
    assert_eq!((&session["status"], &session["pending"]), (&json!("pending_review"), &json!(1)));
    let listed = of["ann"].get("/v1/reviews?status=pending").await.1;
    assert_eq!(listed["items"][0]["input"], "delete from cards", "{listed}");
    assert_eq!(listed["items"][0]["may"], json!(["approve", "reject", "revoke"]));

    let waiting = tokio::spawn(async move { (proxy.wait_and_run(&review, command).await, proxy) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    let asked = Instant::now();
    let said = json!({"decision": "approved", "comment": "go on"});
    let (status, answer) = of["ann"].say("s-1", said.clone()).await;
    assert_eq!((status, &answer["status"]), (200, &json!("approved")), "{answer}");
    let (ended, mut proxy) = waiting.await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "it is woken, and not by its own clock");
    assert_eq!(
        (ended.as_str(), proxy.ran.as_slice()),
        ("executed", &["delete from cards".to_owned()][..])
    );
    // Its next number is free, though daybook wrote three events meanwhile.
    proxy.write("session.end", json!({"status": "done"})).await;

    let session = of["reads"].get("/v1/sessions/s").await.1;
    assert_eq!((&session["approved"], &session["pending"]), (&json!(1), &json!(0)));
    let review = &session["reviews"][0];
    assert_eq!(review["approvers"], json!(["ann@example.com"]));
    let said: Vec<_> = review["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["decision"].as_str().unwrap(), one["by"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("approved", "ann@example.com"), ("executed", "proxy")]);
    // In the timeline it all stands under the command.
    let timeline = of["reads"].get("/v1/sessions/s/timeline").await.1;
    let items = timeline["items"].as_array().unwrap();
    let kinds: Vec<_> = items.iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["session.start", "command", "session.end"]);
    assert_eq!(items[1]["review"]["decisions"][0]["comment"], "go on", "{timeline:#}");
    for direction in ["forward", "backward"] {
        let path = format!("/v1/sessions/s/timeline?direction={direction}&q=\"go on\"");
        let found = of["reads"].get(&path).await.1;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found:#}");
        assert_eq!(found["items"][0]["review"]["decisions"].as_array().unwrap().len(), 2);
    }
    for (query, found) in [
        ("review.status:executed", 1),
        ("review.status:pending", 0),
        ("approver:ann@example.com", 1),
        ("approver:bea*", 0),
        ("review:s-1", 1),
        ("approver:ann@example.com kind:command", 1),
        ("-approver:ann@example.com kind:command", 0),
    ] {
        let url = reqwest::Url::parse_with_params("http://x/v1/sessions", [("q", query)]).unwrap();
        let page = of["reads"].get(&format!("/v1/sessions?{}", url.query().unwrap())).await.1;
        assert_eq!(page["count"], found, "{query}: {page}");
    }
    service.end().await;
}

#[tokio::test]
async fn a_session_begins_once_it_is_approved_lasts_and_is_told_that_it_is_revoked() {
    let rule = Rule {
        types: vec!["ssh".to_owned()],
        duration: Some(Duration::from_secs(3_600)),
        ..Rule::new("ssh")
    };
    let (service, of) = guarded(vec![rule]).await;
    let start = json!({"user": "asks@example.com", "role": "bastion", "type": "ssh"});
    let ask = json!({"session": "jit", "scope": "session", "review": "r", "duration": "8h", "start": start});
    let (status, answer) = of["proxy"].open(ask.clone()).await;
    assert_eq!((status, &answer["session_status"]), (201, &json!("pending_review")), "{answer}");
    assert_eq!(
        (&answer["duration_ms"], &answer["user"]),
        (&json!(3_600_000), &json!("asks@example.com"))
    );
    assert_eq!(of["cid"].say("r", approved()).await.0, 200);
    let answer = of["proxy"].get("/v1/reviews/r?wait=30s").await.1;
    assert_eq!(answer["status"], "approved");
    let time = |name: &str| answer[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("valid_until").duration_since(time("since")).as_secs(), 3_600);
    assert_eq!(of["proxy"].say("r", json!({"decision": "executed"})).await.1["status"], "executed");
    let proxy = of["proxy"].clone();
    let told =
        tokio::spawn(async move { proxy.get("/v1/reviews/r?wait=30s&while=executed").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let said = json!({"decision": "revoked", "comment": "too long"});
    assert_eq!(of["ann"].say("r", said.clone()).await.1["status"], "revoked");
    assert_eq!(told.await.unwrap().1["status"], "revoked");
    assert_eq!(of["reads"].get("/v1/sessions/jit").await.1["status"], "rejected");
    // Whoever is turned away may ask again.
    let again = json!({"session": "jit", "scope": "session", "review": "r2"});
    assert_eq!(of["proxy"].open(again).await.1["session_status"], "pending_review");
    // And what was asked for before is answered as it stands.
    let (status, answer) = of["proxy"].open(ask).await;
    assert_eq!((status, &answer["status"]), (200, &json!("revoked")));
    service.end().await;
}

#[tokio::test]
async fn of_reviewers_at_once_each_is_told_what_holds() {
    let (service, of) = guarded(Vec::new()).await;
    let mut proxy = Proxy::begin(of["proxy"].clone(), "s", "asks@example.com", "prod").await;
    for round in 0..20 {
        let (review, _) = proxy.ask(&format!("statement {round}"), json!({})).await;
        let say = |who: &str, what: &str| {
            let (client, review, what) =
                (of[who].clone(), review.clone(), json!({"decision": what}));
            tokio::spawn(async move { client.say(&review, what).await })
        };
        let both = [say("ann", "approved"), say("bea", "rejected")];
        let mut won = Vec::new();
        for one in both {
            let (status, answer) = one.await.unwrap();
            match status {
                200 => won.push(answer["status"].as_str().unwrap().to_owned()),
                _ => assert_eq!(
                    (status, answer["type"].as_str()),
                    (409, Some("urn:daybook:problem:review-state"))
                ),
            }
        }
        let stands = of["ann"].get(&format!("/v1/reviews/{review}")).await.1;
        assert_eq!(won, [stands["status"].as_str().unwrap()], "{stands}");
        assert_eq!(stands["decisions"].as_array().unwrap().len(), 1);
    }
    // Two are needed, and one who says it twice is one.
    let (review, _) = proxy.ask("two", json!({"min_approvals": 2})).await;
    for _ in 0..3 {
        let (status, answer) = of["ann"].say(&review, approved()).await;
        assert_eq!((status, &answer["status"]), (200, &json!("pending")));
        assert_eq!(answer["decisions"].as_array().unwrap().len(), 1);
    }
    assert_eq!(of["bea"].say(&review, approved()).await.1["status"], "approved");
    assert_eq!(of["ann"].say(&review, approved()).await.1["status"], "approved");
    assert_eq!(of["cid"].say(&review, approved()).await.0, 409);
    service.end().await;
}

#[tokio::test]
async fn who_may_not_decide_is_told_why() {
    let rule = Rule {
        roles: vec!["prod*".to_owned()],
        groups: vec!["dba".to_owned()],
        min_approvals: 2,
        force: vec!["oncall".to_owned()],
        ..Rule::new("prod")
    };
    let (service, of) = guarded(vec![rule]).await;
    let mut proxy = Proxy::begin(of["proxy"].clone(), "s", "Asks@Example.com", "prod-eu").await;
    // The rule's groups, whatever the proxy asks for.
    let (review, _) = proxy.ask("x", json!({"groups": ["sre"], "min_approvals": 1})).await;
    let refused = async |who: &str, what: Value, word: &str| {
        let (status, answer) = of[who].say(&review, what).await;
        assert_eq!(status, 403, "{who}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{who}: {answer}");
    };
    refused("asks", approved(), "nobody approves their own request").await;
    refused("asks", json!({"decision": "approved", "force": true}), "their own request").await;
    refused("cid", approved(), "member of `dba`").await;
    refused("cid", json!({"decision": "rejected"}), "member of `dba`").await;
    refused("ann", json!({"decision": "approved", "force": true}), "decide alone").await;
    refused("ann", json!({"decision": "executed"}), "`ingest`").await;
    refused("ann", json!({"decision": "expired"}), "daybook itself").await;
    refused("proxy", approved(), "`review`").await;
    // No scope that decides at all, and a review that is not to be seen.
    assert_eq!(of["reads"].say(&review, approved()).await.0, 403);
    assert_eq!(of["other"].say(&review, json!({"decision": "executed"})).await.0, 404);
    assert_eq!(of["other"].get(&format!("/v1/reviews/{review}")).await.0, 404);
    assert_eq!(
        of["ann"].say(&review, json!({"decision": "approved", "by": "bea@example.com"})).await.0,
        400
    );
    let open = json!({"session": "s", "scope": "session"});
    assert_eq!(of["ann"].open(open.clone()).await.0, 403);
    assert_eq!(of["other"].open(open).await.0, 409, "another producer's session");
    // Not executed before it is approved.
    assert_eq!(of["proxy"].say(&review, json!({"decision": "executed"})).await.0, 409);
    let may = of["bea"].get(&format!("/v1/reviews/{review}")).await.1;
    assert_eq!(
        (&may["may"], &may["approvals_needed"]),
        (&json!(["approve", "force", "reject", "revoke"]), &json!(2))
    );
    let forced = json!({"decision": "approved", "force": true, "comment": "outage"});
    let (status, answer) = of["bea"].say(&review, forced).await;
    assert_eq!((status, &answer["status"]), (200, &json!("approved")), "{answer}");
    assert_eq!(answer["decisions"][0]["forced"], true);
    // A request that its own user takes back.
    let (review, _) = proxy.ask("y", json!({})).await;
    assert_eq!(
        of["asks"].say(&review, json!({"decision": "revoked"})).await.1["status"],
        "revoked"
    );
    service.end().await;
}

#[tokio::test]
async fn what_nobody_decides_expires_also_while_the_server_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let service = on(dir.path(), config()).await;
    let client = Client::of(&service, None);
    let mut proxy = Proxy::begin(client.clone(), "s", "asks@example.com", "prod").await;
    let (soon, command) = proxy.ask("soon", json!({"expires_in": "1s"})).await;
    let (later, _) = proxy.ask("later", json!({"expires_in": "3s"})).await;
    let waited = Instant::now();
    assert_eq!(proxy.wait_and_run(&soon, command).await, "expired");
    assert!(waited.elapsed() < Duration::from_secs(5) && proxy.ran.is_empty());
    let (status, answer) =
        client.say(&soon, json!({"decision": "approved", "by": "ann@example.com"})).await;
    assert_eq!(status, 409);
    assert!(answer["detail"].as_str().unwrap().contains("expired"), "{answer}");
    service.end().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let service = on(dir.path(), config()).await;
    let client = Client::of(&service, None);
    // Before the server has looked itself, or after.
    assert_eq!(
        client.say(&later, json!({"decision": "approved", "by": "ann@example.com"})).await.0,
        409
    );
    let answer = client.get(&format!("/v1/reviews/{later}?wait=10s")).await.1;
    assert_eq!(answer["status"], "expired");
    assert_eq!(answer["decisions"].as_array().unwrap().len(), 1);
    // What nobody waits for any more.
    let mut proxy = Proxy::begin(client.clone(), "t", "asks@example.com", "prod").await;
    let (review, _) = proxy.ask("never", json!({})).await;
    proxy.write("session.end", json!({"status": "killed"})).await;
    assert_eq!(
        client.say(&review, json!({"decision": "approved", "by": "ann@example.com"})).await.0,
        409
    );
    let answer = client.get(&format!("/v1/reviews/{review}?wait=20s")).await.1;
    assert_eq!(
        (&answer["status"], &answer["decisions"][0]["comment"]),
        (&json!("expired"), &json!("its session ended"))
    );
    service.end().await;
}

/// In each state either side goes away and comes back; what was done is known, and done once.
#[tokio::test]
async fn a_crash_of_either_side_in_any_state_loses_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = on(dir.path(), config()).await;
    let mut client = Client::of(&service, None);
    let mut proxy = Proxy::begin(client.clone(), "s", "asks@example.com", "prod").await;
    let (review, command) = proxy.ask("x", json!({"min_approvals": 2})).await;
    let ask = json!({"session": "s", "scope": "command", "command": command, "review": review, "reason": "to mend it"});
    for (says, by, stands) in [
        (None, "", "pending"),
        (Some("approved"), "ann@example.com", "pending"),
        (Some("approved"), "bea@example.com", "approved"),
        (Some("executed"), "proxy", "executed"),
    ] {
        for _ in 0..2 {
            // The server: what it answered, it knows. The proxy: it asks again, and reviewers say it again.
            if let Some(says) = says {
                let said = json!({"decision": says, "by": by});
                let (status, answer) = client.say(&review, said).await;
                assert_eq!((status, &answer["status"]), (200, &json!(stands)), "{answer}");
            }
            service.end().await;
            service = on(dir.path(), config()).await;
            client = Client::of(&service, None);
            let (status, answer) = client.open(ask.clone()).await;
            assert_eq!((status, &answer["status"]), (200, &json!(stands)), "{answer}");
        }
    }
    let answer = client.get(&format!("/v1/reviews/{review}")).await.1;
    assert_eq!(answer["decisions"].as_array().unwrap().len(), 3, "{answer}");
    // Something else under the same id is no repetition.
    let mut other = ask.clone();
    other["command"] = json!(0);
    assert_eq!(client.open(other).await.0, 409);
    // A server that stops answers who waits, with what there is.
    let mut proxy = Proxy::begin(client.clone(), "t", "asks@example.com", "prod").await;
    let (review, _) = proxy.ask("y", json!({})).await;
    let waits =
        tokio::spawn(async move { client.get(&format!("/v1/reviews/{review}?wait=60s")).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopping = Instant::now();
    service.end().await;
    assert_eq!(waits.await.unwrap().1["status"], "pending");
    assert!(stopping.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn reviews_are_listed_what_waits_first_and_no_more_wait_than_may() {
    let service = Service::with(Config { review_waits_max: 2, ..config() }).await;
    let client = Client::of(&service, None);
    let mut wanted = Vec::new();
    for (number, user) in
        (0..6).map(|n| (n, if n % 2 == 0 { "even@example.com" } else { "odd@example.com" }))
    {
        let mut proxy = Proxy::begin(client.clone(), &format!("s{number}"), user, "prod").await;
        for statement in ["a", "b", "c"] {
            wanted.push(proxy.ask(statement, json!({})).await.0);
        }
    }
    for review in [&wanted[4], &wanted[0], &wanted[10]] {
        assert_eq!(
            client.say(review, json!({"decision": "rejected", "by": "ann@example.com"})).await.0,
            200
        );
    }
    for gone in [10, 4, 0] {
        wanted.remove(gone);
    }
    // Decided: by the session whose review changed last.
    wanted.extend(["s3-3", "s0-1", "s1-3"].map(str::to_owned));
    let ids = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for limit in [1, 2, 5, 200] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = client.get(&format!("/v1/reviews?limit={limit}&cursor={cursor}")).await.1;
            all.extend(ids(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(all, wanted, "{limit} a page");
    }
    let page = client.get("/v1/reviews?status=pending&user=odd@*&role=prod").await.1;
    let odd: BTreeSet<_> = ids(&page).iter().map(|id| id[..2].to_owned()).collect();
    assert_eq!(odd, BTreeSet::from(["s1", "s3", "s5"].map(str::to_owned)));
    assert_eq!(ids(&client.get("/v1/reviews?status=rejected&session=s0").await.1), ["s0-1"]);
    assert_eq!(client.get("/v1/reviews?status=odd").await.0, 400);

    let waits = (0..2).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.get("/v1/reviews/s5-5?wait=60s").await })
    });
    let waits: Vec<_> = waits.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (status, answer) = client.get("/v1/reviews/s5-5?wait=60s").await;
    assert_eq!(status, 503);
    assert!(answer["detail"].as_str().unwrap().contains("review_waits_max"), "{answer}");
    assert_eq!(client.get("/v1/reviews/s5-5").await.0, 200);
    assert_eq!(client.get("/v1/reviews/s5-5?wait=61s").await.0, 400);
    assert_eq!(
        client.say("s5-5", json!({"decision": "approved", "by": "ann@example.com"})).await.0,
        200
    );
    for one in waits {
        assert_eq!(one.await.unwrap().1["status"], "approved");
    }
    service.end().await;
}

#[tokio::test]
async fn who_follows_a_review_is_sent_it_whenever_something_is_said() {
    let service = Service::start().await;
    let client = Client::of(&service, None);
    let mut proxy = Proxy::begin(client.clone(), "s", "asks@example.com", "prod").await;
    let (review, _) = proxy.ask("x", json!({"min_approvals": 2})).await;
    let request = client.http.get(format!("{}/v1/reviews/{review}", client.url));
    let response = request.header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.bytes_stream();
    let mut text = String::new();
    let mut next = async || loop {
        if let Some((message, rest)) = text.split_once("\n\n") {
            let data =
                message.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
            text = rest.to_owned();
            if let Some(data) = data {
                return serde_json::from_str::<Value>(&data).unwrap();
            }
        } else {
            let bytes = stream.next().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    };
    assert_eq!(next().await["status"], "pending");
    for (by, stands, approvers) in
        [("ann@example.com", "pending", 1), ("bea@example.com", "approved", 2)]
    {
        client.say(&review, json!({"decision": "approved", "by": by})).await;
        let seen = next().await;
        assert_eq!(
            (seen["status"].as_str(), seen["approvers"].as_array().map(Vec::len)),
            (Some(stands), Some(approvers))
        );
    }
    client.say(&review, json!({"decision": "revoked", "by": "ann@example.com"})).await;
    assert_eq!(next().await["status"], "revoked");
    drop(stream);
    service.end().await;
}

/// Whatever is said in whichever order: the answers are those of a model of a few lines, also after restarts.
#[tokio::test]
async fn decisions_are_those_of_a_simple_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = on(dir.path(), config()).await;
    let mut client = Client::of(&service, None);
    let mut proxy = Proxy::begin(client.clone(), "s", "asks@example.com", "prod").await;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pick = |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    struct Model {
        id: String,
        needed: usize,
        session: bool,
        stands: &'static str,
        approvers: BTreeSet<&'static str>,
        last: Option<(&'static str, &'static str)>,
    }
    let mut models: Vec<Model> = Vec::new();
    for step in 0..250 {
        if step % 80 == 79 {
            service.end().await;
            service = on(dir.path(), config()).await;
            client = Client::of(&service, None);
            proxy.client = client.clone();
        }
        if models.len() < 3 || pick(10) == 0 {
            let needed = 1 + pick(2) as usize;
            let session = pick(2) == 0;
            let id = if session {
                let id = format!("jit-{step}");
                let ask = json!({"session": "s", "scope": "session", "review": id, "min_approvals": needed, "seq": proxy.seq});
                proxy.seq += 1;
                assert_eq!(client.open(ask).await.0, 201);
                id
            } else {
                proxy.ask("x", json!({"min_approvals": needed})).await.0
            };
            models.push(Model {
                id,
                needed,
                session,
                stands: "pending",
                approvers: BTreeSet::new(),
                last: None,
            });
        }
        let last = models.len() - 1;
        let model = &mut models[last - pick(3.min(last as u64 + 1)) as usize];
        let by = ["ann@example.com", "bea@example.com", "asks@example.com"][pick(3) as usize];
        let what = ["approved", "approved", "rejected", "revoked", "executed"][pick(5) as usize];
        let own = by == "asks@example.com" && what == "approved";
        let again = match what {
            "approved" => {
                model.approvers.contains(by)
                    && ["pending", "approved", "executed"].contains(&model.stands)
            }
            "executed" => model.stands == "executed",
            _ => model.last == Some((what, by)) && model.stands == what,
        };
        let wanted = match (model.stands, what) {
            _ if own => 403,
            _ if again => 200,
            ("pending", "approved" | "rejected" | "revoked")
            | ("approved", "revoked" | "executed") => 200,
            ("executed", "revoked") if model.session => 200,
            _ => 409,
        };
        if wanted == 200 && !again {
            if what == "approved" {
                model.approvers.insert(by);
            }
            if what != "approved" || model.approvers.len() >= model.needed {
                model.stands = what;
                model.last = Some((what, by));
            }
        }
        let (status, answer) = client.say(&model.id, json!({"decision": what, "by": by})).await;
        assert_eq!(status, wanted, "step {step}: {what} by {by} where {}: {answer}", model.stands);
        if status == 200 {
            assert_eq!(answer["status"], model.stands);
        }
    }
    for model in &models {
        let answer = client.get(&format!("/v1/reviews/{}", model.id)).await.1;
        let approvers = answer["approvers"].as_array().unwrap().len();
        assert_eq!(
            (answer["status"].as_str(), approvers),
            (Some(model.stands), model.approvers.len())
        );
    }
    service.end().await;
}
