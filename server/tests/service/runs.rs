//! Commands that are run again: asked for, approved, taken by a small proxy, and told of.

use super::clients::until;
use super::support::{Service, command, config, end, name, ndjson, start};
use daybook_engine::Options;
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

async fn service() -> Service {
    with(config()).await
}

async fn with(config: Config) -> Service {
    let service = Service::with(config).await;
    store(&service).await;
    service
}

/// A session with a command of each verdict.
async fn store(service: &Service) {
    let verdict = |seq, input: &str, verdict: &str| {
        let mut command = command("s", seq, input);
        command["verdict"] = json!(verdict);
        command
    };
    let mut masked = command("s", 7, "select ***");
    masked["masked"] = json!(1);
    let events = [
        start("s"),
        command("s", 2, "select count(*) from orders"),
        json!({"session": "s", "seq": 3, "time": "2026-03-01T09:00:02Z", "kind": "output", "command": 2,
            "stream": "result", "text": " count \n-------\n    41\n(1 row)\n"}),
        verdict(4, "drop table orders", "blocked"),
        verdict(5, "delete from orders", "pending"),
        verdict(6, "delete from cards", "pending"),
        masked,
        json!({"session": "s", "seq": 8, "time": "2026-03-01T09:01:00Z", "kind": "review.request",
            "review": "r", "scope": "command", "command": 6}),
        json!({"session": "s", "seq": 9, "time": "2026-03-01T09:02:00Z", "kind": "review.decision",
            "review": "r", "decision": "approved", "by": "bob@example.com"}),
        verdict(10, "delete from users", "rejected"),
        end("s", 11),
    ];
    let (status, answer) = service.post(ndjson(&events)).await;
    assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(11)), "{answer}");
}

impl Service {
    async fn say(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, &body.to_string()).await
    }

    async fn rerun(&self, more: Value) -> Value {
        let mut body = json!({"command": 2, "by": "ann@example.com", "reason": "is it still 41?"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, run) = self.say("/v1/sessions/s/rerun", body).await;
        assert_eq!(status, 201, "{run}");
        run
    }

    async fn take(&self, wait: &str) -> Value {
        let body = json!({"roles": ["prod-eu", "lab"], "languages": ["sql"], "wait": wait});
        let (status, taken) = self.say("/v1/runs/take", body).await;
        assert_eq!(status, 200, "{taken}");
        taken["run"].clone()
    }

    /// What a taker says of its run.
    async fn tell(&self, run: &Value, what: &str, more: Value) -> (u16, Value) {
        let mut body = json!({"lease": run["lease"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = format!("/v1/runs/{}/{what}", run["id"].as_str().unwrap());
        let (status, answer) = self.say(&path, body).await;
        (status.as_u16(), answer)
    }

    async fn run(&self, run: &Value) -> Value {
        self.get(&format!("/v1/runs/{}", run["id"].as_str().unwrap())).await.1
    }

    async fn until_state(&self, run: &Value, state: &str) -> Value {
        until(state, async || self.run(run).await["state"] == state).await;
        self.run(run).await
    }
}

/// The events of a result.
fn result(session: &str, run: &Value, text: &str) -> [Value; 4] {
    let mut started = start(session);
    started["user"] = run["by"].clone();
    let mut again = command(session, 2, run["input"].as_str().unwrap());
    again["rerun_of"] = run["rerun_of"].clone();
    let output = json!({"session": session, "seq": 3, "time": "2026-03-01T09:00:02Z", "kind": "output",
        "command": 2, "stream": "result", "text": text});
    [started, again, output, end(session, 4)]
}

fn quick() -> Config {
    Config { run_lease: Duration::from_millis(700), ..config() }
}

#[tokio::test]
async fn a_run_is_asked_for_taken_and_done_and_the_book_tells_of_it() {
    let service = service().await;
    let nothing = service.take("0s").await;
    assert!(nothing.is_null());
    // Taken while it is waited for.
    let (taken, asked) = tokio::join!(service.take("20s"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        service.rerun(json!({})).await
    });
    assert_eq!((&asked["state"], &asked["role"]), (&json!("requested"), &json!("prod-eu")));
    assert_eq!(taken["input"], "select count(*) from orders");
    assert_eq!(taken["rerun_of"], "s:2");
    assert_eq!((&taken["by"], &taken["type"]), (&json!("ann@example.com"), &json!("database")));
    assert!(service.take("0s").await.is_null(), "two have it");

    let session = json!({"session": "again-1"});
    assert_eq!(service.tell(&taken, "done", json!({})).await.0, 409, "it has not begun");
    assert_eq!(service.tell(&taken, "start", session.clone()).await.0, 200);
    assert_eq!(service.tell(&taken, "start", session).await.0, 200, "said again");
    assert_eq!(service.tell(&taken, "return", json!({"why": "no"})).await.0, 409);
    let (status, renewed) = service.tell(&taken, "renew", json!({})).await;
    assert_eq!((status, &renewed["cancelled"]), (200, &json!(false)));

    // It is done once its result is in the log, and not before.
    let events = result("again-1", &taken, " count \n-------\n    42\n(1 row)\n");
    for some in [0, 2, 3] {
        service.post(ndjson(&events[..some])).await;
        let (status, problem) = service.tell(&taken, "done", json!({})).await;
        assert_eq!((status, name(&problem)), (409, "not-recorded"), "{problem}");
    }
    service.post(ndjson(&events)).await;
    let waiting = format!("/v1/runs/{}?wait=20s", asked["id"].as_str().unwrap());
    let (seen, done) = tokio::join!(service.get(&waiting), service.tell(&taken, "done", json!({})));
    assert_eq!((done.0, &seen.1["state"]), (200, &json!("done")));
    assert_eq!(service.tell(&taken, "done", json!({})).await.0, 200, "said again");
    assert_eq!(service.tell(&taken, "fail", json!({"why": "no"})).await.0, 409);
    assert_eq!(seen.1["result"], "again-1");
    assert_eq!(service.send(Method::DELETE, &waiting[..33], "").await.0, 409, "it has ended");
    let list = service.get("/v1/runs?session=s&state=done").await.1;
    assert_eq!((&list["count"], &list["items"][0]["id"]), (&json!(1), &asked["id"]));

    let acts = service.get("/v1/sessions/daybook.runs/timeline").await.1;
    let acts: Vec<_> = acts["items"].as_array().unwrap()[1..].iter().collect();
    let said: Vec<_> = acts.iter().map(|act| act["action"].as_str().unwrap()).collect();
    assert_eq!(said, ["run.request", "run.take", "run.start", "run.done"]);
    assert_eq!(acts[0]["by"], "ann@example.com");
    assert_eq!(acts[0]["metadata"]["reason"], "is it still 41?");
}

#[tokio::test]
async fn what_was_blocked_rejected_waits_or_is_masked_is_not_run_again() {
    let service = service().await;
    for (seq, status, said) in [
        (3, 404, "no command"),
        (11, 409, "only a `command`"),
        (4, 409, "blocked"),
        (5, 409, "waits for a review"),
        (7, 409, "masked"),
        (10, 409, "rejected"),
        (99, 404, "no command"),
        (6, 201, ""),
    ] {
        let (got, problem) = service.say("/v1/sessions/s/rerun", json!({"command": seq})).await;
        assert_eq!(got, status, "{seq}: {problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(said), "{seq}: {detail}");
    }
    for session in ["none", "daybook.runs"] {
        let path = format!("/v1/sessions/{session}/rerun");
        assert_eq!(service.say(&path, json!({"command": 1})).await.0, 404, "{session}");
    }
    // Asked for twice with the same id it is one; another with that id is none.
    let id = "0123456789abcdef";
    let one = service.rerun(json!({"id": id})).await;
    assert_eq!(service.rerun(json!({"id": id})).await, one);
    let (status, _) =
        service.say("/v1/sessions/s/rerun", json!({"command": 2, "id": id, "role": "lab"})).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_taker_that_dies_before_it_begins_is_followed_by_another() {
    let service = with(quick()).await;
    let run = service.rerun(json!({})).await;
    let mut before = Value::Null;
    for attempt in 1..=3 {
        let taken = service.take("20s").await;
        assert_eq!(taken["attempt"], attempt);
        if !before.is_null() {
            for what in ["renew", "done"] {
                assert_eq!(service.tell(&before, what, json!({})).await.0, 409, "{what}");
            }
            let begun = service.tell(&before, "start", json!({"session": "x"})).await;
            assert_eq!((begun.0, name(&begun.1)), (409, "lease"));
        }
        before = taken;
    }
    let failed = service.until_state(&run, "failed").await;
    assert!(failed["why"].as_str().unwrap().contains("not heard of"), "{failed}");
    assert!(service.take("0s").await.is_null());
}

#[tokio::test]
async fn a_taker_that_dies_while_it_runs_leaves_a_run_that_is_lost_and_not_begun_again() {
    let service = with(quick()).await;
    let run = service.rerun(json!({})).await;
    let taken = service.take("1s").await;
    assert_eq!(service.tell(&taken, "start", json!({"session": "again"})).await.0, 200);
    // As long as it is renewed it is held.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(service.tell(&taken, "renew", json!({})).await.0, 200);
    }
    service.until_state(&run, "lost").await;
    assert!(service.take("0s").await.is_null());
    assert_eq!(service.tell(&taken, "renew", json!({})).await.0, 409);
    // It was only away: what it did is in the log.
    service.post(ndjson(&result("again", &taken, "x"))).await;
    assert_eq!(service.tell(&taken, "done", json!({})).await.0, 200);
    assert_eq!(service.run(&run).await["state"], "done");

    let run = service.rerun(json!({"repeat": true})).await;
    let first = service.take("1s").await;
    assert_eq!(service.tell(&first, "start", json!({"session": "one"})).await.0, 200);
    let second = service.take("20s").await;
    assert_eq!(second["attempt"], 2);
    service.post(ndjson(&result("one", &first, "x"))).await;
    assert_eq!(service.tell(&first, "done", json!({})).await.0, 409);
    assert_eq!(service.run(&run).await["state"], "leased");
}

#[tokio::test]
async fn a_run_that_takes_an_approval_is_offered_once_somebody_else_approved_it() {
    let approval = vec!["prod-*".into(), "type:ssh".into()];
    let service = with(Config { run_approval: approval, ..config() }).await;
    let decide = async |run: &Value, decision: &str, by: &str| {
        let event = json!({"session": "s", "time": "2026-03-01T10:00:00Z", "kind": "review.decision",
            "review": run["review"], "decision": decision, "by": by});
        assert_eq!(service.post(ndjson(&[event])).await.1["accepted"], 1);
    };
    let asked = async |run: &Value| {
        let review = run["review"].clone();
        let there = async || {
            let session = service.get("/v1/sessions/s").await.1;
            session["reviews"].as_array().unwrap().iter().any(|one| one["id"] == review)
        };
        until("the review is asked for", there).await;
    };
    let status = async |run: &Value| {
        let session = service.get("/v1/sessions/s").await.1;
        let all = session["reviews"].as_array().unwrap().clone();
        all.iter().find(|one| one["id"] == run["review"]).unwrap()["status"].clone()
    };

    let run = service.rerun(json!({})).await;
    assert_eq!(run["state"], "waiting");
    asked(&run).await;
    assert!(service.take("0s").await.is_null());
    decide(&run, "approved", "bob@example.com").await;
    let taken = service.take("20s").await;
    assert_eq!(taken["id"], run["id"]);
    assert_eq!(service.run(&run).await["decided_by"], "bob@example.com");
    service.tell(&taken, "start", json!({"session": "again"})).await;
    until("the review is executed", async || status(&run).await == "executed").await;

    // By the door for reviewers, too; that the session ended is nothing to it, also once it was looked for such ones.
    let answered = service.rerun(json!({})).await;
    asked(&answered).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let path = format!("/v1/reviews/{}/decision", answered["review"].as_str().unwrap());
    let said = service.say(&path, json!({"decision": "approved", "by": "bob@example.com"})).await;
    assert_eq!(said.0, 200, "{}", said.1);
    service.until_state(&answered, "requested").await;
    let path = format!("/v1/runs/{}?by=ann@example.com", answered["id"].as_str().unwrap());
    assert_eq!(service.send(Method::DELETE, &path, "").await.1["state"], "cancelled");

    let alone = service.rerun(json!({})).await;
    asked(&alone).await;
    decide(&alone, "approved", "ann@example.com").await;
    let alone = service.until_state(&alone, "rejected").await;
    assert!(alone["why"].as_str().unwrap().contains("nobody but who asked"), "{alone}");

    let refused = service.rerun(json!({})).await;
    asked(&refused).await;
    decide(&refused, "rejected", "bob@example.com").await;
    assert_eq!(service.until_state(&refused, "rejected").await["decided_by"], "bob@example.com");

    let taken_back = service.rerun(json!({})).await;
    asked(&taken_back).await;
    decide(&taken_back, "approved", "bob@example.com").await;
    service.until_state(&taken_back, "requested").await;
    decide(&taken_back, "revoked", "bob@example.com").await;
    service.until_state(&taken_back, "rejected").await;

    let off = service.rerun(json!({})).await;
    asked(&off).await;
    let path = format!("/v1/runs/{}?by=ann@example.com", off["id"].as_str().unwrap());
    assert_eq!(service.send(Method::DELETE, &path, "").await.1["state"], "cancelled");
    until("its review is ended", async || status(&off).await == "revoked").await;

    // Elsewhere none is asked for.
    assert_eq!(service.rerun(json!({"role": "lab"})).await["state"], "requested");
}

#[tokio::test]
async fn what_is_not_taken_expires_and_what_is_called_off_is_ended_by_its_taker() {
    let service = with(Config { run_wait_max: Duration::from_millis(300), ..config() }).await;
    let run = service.rerun(json!({})).await;
    service.until_state(&run, "expired").await;
    assert!(service.take("0s").await.is_null());

    let service = with(Config { runs_max: 1, ..config() }).await;
    let run = service.rerun(json!({})).await;
    let (status, problem) = service.say("/v1/sessions/s/rerun", json!({"command": 2})).await;
    assert_eq!((status.as_u16(), name(&problem)), (409, "too-many"));
    let taken = service.take("0s").await;
    service.tell(&taken, "start", json!({"session": "again"})).await;
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(service.send(Method::DELETE, &path, "").await.1["state"], "running");
    assert_eq!(service.tell(&taken, "renew", json!({})).await.1["cancelled"], true);
    assert_eq!(service.tell(&taken, "fail", json!({"why": "as asked"})).await.0, 200);
    let ended = service.run(&run).await;
    assert_eq!((&ended["state"], &ended["cancelled_by"]), (&json!("cancelled"), &json!("local")));
}

#[tokio::test]
async fn taking_is_tried_again_and_gives_the_same_run() {
    let service = service().await;
    service.rerun(json!({})).await;
    service.rerun(json!({})).await;
    let wanted = json!({"roles": ["prod-eu"], "lease": "a-lease-of-my-own"});
    let one = service.say("/v1/runs/take", wanted.clone()).await.1;
    assert_eq!(service.say("/v1/runs/take", wanted).await.1, one);
    assert_ne!(service.take("0s").await["id"], one["run"]["id"]);
    let other = json!({"roles": ["other"]});
    assert!(service.say("/v1/runs/take", other).await.1["run"].is_null());
    for bad in [
        json!({"roles": []}),
        json!({"roles": ["x"], "wait": "x"}),
        json!({"roles": ["x"], "lease": "x"}),
    ] {
        assert_eq!(service.say("/v1/runs/take", bad).await.0, 400);
    }
}

/// A server that is killed in each state knows after its start what it knew before.
#[tokio::test]
async fn a_start_goes_on_where_the_server_was() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let options = || Options { index_heap_bytes: 16 << 20, ..Options::default() };
    let on = async || {
        let below = tempfile::tempdir().unwrap();
        Service::on(below, &data, options(), quick()).await
    };
    let service = on().await;
    store(&service).await;
    let [asked, leased, begun] = [
        service.rerun(json!({})).await,
        service.rerun(json!({"role": "lab"})).await,
        service.rerun(json!({"role": "lab"})).await,
    ];
    let lab = json!({"roles": ["lab"]});
    let held = service.say("/v1/runs/take", lab.clone()).await.1["run"].clone();
    let runs = service.say("/v1/runs/take", lab).await.1["run"].clone();
    assert_eq!((&held["id"], &runs["id"]), (&leased["id"], &begun["id"]));
    service.tell(&runs, "start", json!({"session": "again"})).await;
    service.end().await;

    let service = on().await;
    assert_eq!(service.run(&asked).await["state"], "requested");
    assert_eq!(service.run(&leased).await["state"], "leased");
    assert_eq!(service.run(&begun).await["state"], "running");
    // The takers were not at fault: they have their time again, and go on.
    assert_eq!(service.tell(&held, "renew", json!({})).await.0, 200);
    service.post(ndjson(&result("again", &runs, "x"))).await;
    assert_eq!(service.tell(&runs, "done", json!({})).await.0, 200);
    service.until_state(&leased, "requested").await;
    service.end().await;

    // The same from the log alone.
    std::fs::remove_file(data.join("runs.json")).ok();
    let service = on().await;
    assert_eq!(service.run(&begun).await["state"], "done");
    assert_eq!(service.run(&begun).await["result"], "again");
    assert_eq!(service.run(&leased).await["attempts"], 1);
    service.end().await;
}

#[tokio::test]
async fn a_token_asks_takes_and_sees_within_its_scopes_roles_and_users() {
    let service = service().await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let make = |name: &str, scopes: &[Scope], roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).into()).collect();
        let name = Some(name.to_owned());
        tokens
            .create(NewToken { name, scopes: scopes.to_vec(), roles, ..NewToken::default() })
            .unwrap()
            .1
    };
    let reviewer = make("rita", &[Scope::Review], &[]);
    let reader = make("ray", &[Scope::Read], &[]);
    let lab = make("lars", &[Scope::Review], &["lab"]);
    let eu = make("eve", &[Scope::Review], &["prod-eu"]);
    let (proxy, other) =
        (make("proxy", &[Scope::Ingest], &["prod-*"]), make("other", &[Scope::Ingest], &[]));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ask = async |token: &str, method: Method, path: &str, body: Value| {
        let request = service.http.request(method, format!("{}{path}", service.url));
        let response = request.bearer_auth(token).body(body.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    let rerun = "/v1/sessions/s/rerun";
    let two = json!({"command": 2});
    for (token, status) in [(&reader, 403), (&proxy, 403), (&lab, 404), (&reviewer, 201)] {
        assert_eq!(ask(token, Method::POST, rerun, two.clone()).await.0, status);
    }
    let elsewhere = json!({"command": 2, "role": "prod-us"});
    assert_eq!(ask(&eu, Method::POST, rerun, elsewhere).await.0, 403);
    let as_other = json!({"command": 2, "by": "someone"});
    assert_eq!(ask(&eu, Method::POST, rerun, as_other).await.0, 400);

    let wanted = json!({"roles": ["prod-eu"]});
    assert_eq!(ask(&reader, Method::POST, "/v1/runs/take", wanted.clone()).await.0, 403);
    assert_eq!(ask(&proxy, Method::POST, "/v1/runs/take", json!({"roles": ["lab"]})).await.0, 403);
    let run = ask(&proxy, Method::POST, "/v1/runs/take", wanted).await.1["run"].clone();
    assert_eq!(run["by"], "rita");
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    for (token, status) in [(&reader, 200), (&lab, 404), (&proxy, 403)] {
        assert_eq!(ask(token, Method::GET, &path, json!({})).await.0, status);
    }
    assert_eq!(ask(&lab, Method::GET, "/v1/runs", json!({})).await.1["count"], 0);
    let list = ask(&reader, Method::GET, "/v1/runs", json!({})).await.1;
    assert_eq!((&list["count"], &list["may_request"]), (&json!(1), &json!(false)));
    // A lease is its taker's alone, also when another one knows it.
    let held = json!({"lease": run["lease"], "session": "again"});
    let start_at = format!("{path}/start");
    assert_eq!(ask(&other, Method::POST, &start_at, held.clone()).await.0, 409);
    assert_eq!(ask(&proxy, Method::POST, &start_at, held).await.0, 200);
    // And so is its result.
    let events = ndjson(&result("again", &run, "x"));
    let request = service.http.post(format!("{}/v1/events", service.url));
    request.bearer_auth(&other).body(events).send().await.unwrap();
    let done =
        ask(&proxy, Method::POST, &format!("{path}/done"), json!({"lease": run["lease"]})).await;
    assert_eq!((done.0, name(&done.1)), (409, "not-recorded"));
    assert_eq!(ask(&reader, Method::DELETE, &path, json!({})).await.0, 403);
}
