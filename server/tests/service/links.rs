//! Links and shares: what they grant, to whom, until when, and that nothing more is to be had with one.

use super::support::{Service, config, name, ndjson, start};
use daybook_engine::Options;
use daybook_engine::merkle::bundle::Bundle;
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Two commands, each with its secret.
fn events() -> Vec<Value> {
    let event = |seq: u32, kind: &str, more: Value| {
        let mut event = json!({"session": "s", "seq": seq, "time": format!("2026-03-01T09:00:{seq:02}Z"), "kind": kind});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    vec![
        start("s"),
        event(2, "command", json!({"input": "FIRST-INPUT", "verdict": "passed"})),
        event(3, "output", json!({"command": 2, "stream": "stdout", "text": "SECRET-ONE"})),
        event(4, "command.end", json!({"command": 2, "exit_code": 0})),
        event(
            5,
            "command",
            json!({"input": "SECOND-INPUT", "verdict": "passed", "output": "SECRET-TWO"}),
        ),
        event(6, "terminal.output", json!({"text": "SECRET-SCREEN"})),
        event(7, "session.end", json!({"status": "done"})),
    ]
}

async fn stored(config: Config) -> Service {
    let service = Service::with(config).await;
    assert_eq!(service.post(ndjson(&events())).await.1["accepted"], 7);
    service
}

async fn make(service: &Service, what: &str, body: Value) -> Value {
    let path = format!("/v1/sessions/s/{what}");
    let (status, link) = service.send(Method::POST, &path, &body.to_string()).await;
    assert_eq!(status, 200, "{link}");
    link
}

fn url(link: &Value) -> String {
    link["url"].as_str().unwrap().to_owned()
}

/// Where the share's answers are.
fn api(link: &Value) -> String {
    format!("/v1{}", url(link))
}

async fn text(service: &Service, path: &str) -> (u16, String) {
    let response = service.raw(path).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

/// What daybook's own session has.
async fn told(service: &Service, session: &str) -> Vec<Value> {
    let page =
        service.get(&format!("/v1/sessions/{session}/timeline?fold=false&limit=1000")).await.1;
    page["items"].as_array().map_or_else(Vec::new, |items| {
        items.iter().filter(|item| item["kind"] == "access").cloned().collect()
    })
}

#[tokio::test]
async fn a_link_gives_its_file_any_number_of_times_until_it_is_revoked() {
    let service = stored(config()).await;
    let link =
        make(&service, "links", json!({"format": "ndjson", "by": "ann@example.com", "note": "n"}))
            .await;
    assert_eq!(
        (&link["kind"], &link["by"], &link["format"]),
        (&json!("download"), &json!("ann@example.com"), &json!("ndjson"))
    );
    let whole = text(&service, "/v1/sessions/s/download?format=ndjson").await;
    assert_eq!(whole.0, 200);
    for _ in 0..3 {
        assert_eq!(text(&service, &url(&link)).await, whole);
    }
    // As a download that is gone on with.
    let range =
        service.http.get(format!("{}{}", service.url, url(&link))).header("range", "bytes=5-8");
    let part = range.send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.text().await.unwrap()),
        (206, whole.1[5..9].to_owned())
    );
    let listed = service.get("/v1/links?session=s").await.1;
    assert_eq!((&listed["count"], &listed["items"][0]["uses"]), (&json!(1), &json!(4)));
    assert_eq!(listed["items"][0]["url"], link["url"]);
    assert_eq!(service.get("/v1/links?session=other").await.1["count"], 0);
    let path = format!("/v1/links/{}", link["id"].as_str().unwrap());
    assert_eq!(service.send(Method::DELETE, &path, "").await.1["revoked"], true);
    assert_eq!(service.send(Method::DELETE, &path, "").await.0, 200);
    assert_eq!(text(&service, &url(&link)).await.0, 410);
    let acts: Vec<String> = told(&service, "daybook.links")
        .await
        .iter()
        .map(|act| {
            format!(
                "{} {} {}",
                act["by"].as_str().unwrap(),
                act["action"].as_str().unwrap(),
                act["target"].as_str().unwrap()
            )
        })
        .collect();
    let uses = vec!["link link.use s"; 4];
    let mut expected = vec!["ann@example.com link.create s"];
    expected.extend(uses);
    expected.push("local link.revoke s");
    assert_eq!(acts, expected);
    for (body, parameter) in [
        (json!({"format": "ndjson", "expires_in": "400d"}), "expires_in"),
        (json!({"format": "ndjson", "expires_in": "soon"}), "expires_in"),
        (json!({"format": "ndjson", "part": "command:3"}), "part"),
        (json!({"format": "ndjson", "part": "2020-01-01T00:00:00Z..2020-01-02T00:00:00Z"}), "part"),
        (json!({"format": "ndjson", "note": "x".repeat(1_001)}), "note"),
    ] {
        let (status, problem) =
            service.send(Method::POST, "/v1/sessions/s/links", &body.to_string()).await;
        assert_eq!((status.as_u16(), &problem["parameter"]), (400, &json!(parameter)), "{body}");
    }
    for body in
        ["{", r#"{"format":"exe"}"#, r#"{"format":"txt","part":"x"}"#, r#"{"format":"txt","x":1}"#]
    {
        let (status, problem) = service.send(Method::POST, "/v1/sessions/s/links", body).await;
        assert_eq!((status.as_u16(), name(&problem)), (400, "body"), "{body}");
    }
    let none = service.send(Method::POST, "/v1/sessions/none/links", r#"{"format":"txt"}"#).await;
    assert_eq!(none.0, 404);
    assert_eq!(service.send(Method::DELETE, "/v1/links/none", "").await.0, 404);
}

#[tokio::test]
async fn a_link_can_not_be_forged_widened_or_used_for_something_else() {
    let service = stored(config()).await;
    let link = make(&service, "links", json!({"format": "txt", "part": "command:2"})).await;
    let share = make(&service, "share", json!({"to": "anyone", "outputs": "hidden"})).await;
    let token = |link: &Value| url(link).rsplit_once('/').unwrap().1.to_owned();
    let (file, page) = (token(&link), token(&share));
    // Every character of it matters.
    for at in (0..file.len()).step_by(7) {
        let mut forged = file.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(text(&service, &format!("/v1/linked/{forged}")).await.0, 403, "at {at}");
    }
    // The words of one with the signature of the other, and nothing at all.
    let (words, _) = page.split_once('.').unwrap();
    let (_, signature) = file.split_once('.').unwrap();
    for token in [format!("{words}.{signature}"), "x".into(), "x.x".into(), "x".repeat(9_000)] {
        for path in ["/v1/linked/", "/v1/shared/"] {
            assert_eq!(text(&service, &format!("{path}{token}")).await.0, 403);
        }
    }
    // A link to a file shows no page, and a share gives no file but what it shows.
    assert_eq!(text(&service, &format!("/v1/shared/{file}")).await.0, 403);
    assert_eq!(text(&service, &format!("/v1/shared/{file}/timeline")).await.0, 403);
    assert_eq!(text(&service, &format!("/v1/linked/{page}")).await.0, 403);
    // Parameters widen nothing.
    for more in ["?format=ndjson", "?part=whole", "?session=other"] {
        assert_eq!(text(&service, &format!("/v1/linked/{file}{more}")).await.0, 400);
    }
    let shown = text(&service, &format!("/v1/linked/{file}")).await.1;
    assert!(shown.contains("SECRET-ONE") && !shown.contains("SECOND-INPUT"), "{shown}");
}

#[tokio::test]
async fn a_link_is_good_until_it_expires_and_a_start_forgets_no_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let kept = tempfile::tempdir().unwrap();
    let service = Service::on(dir, &data, Options::default(), config()).await;
    assert_eq!(service.post(ndjson(&events())).await.1["accepted"], 7);
    let short = make(&service, "links", json!({"format": "txt", "expires_in": "2s"})).await;
    let long = make(&service, "links", json!({"format": "txt"})).await;
    let gone = make(&service, "share", json!({"to": "anyone"})).await;
    assert_eq!(text(&service, &url(&short)).await.0, 200);
    let path = format!("/v1/links/{}", gone["id"].as_str().unwrap());
    assert_eq!(service.send(Method::DELETE, &path, "").await.0, 200);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let (status, said) = text(&service, &url(&short)).await;
    assert!(status == 410 && said.contains("expired"), "{status} {said}");
    // Without the file that says what came of it, the log does.
    service.engine.backup(&kept.path().join("copy")).unwrap();
    let again = kept.path().join("copy");
    let restored = kept.path().join("restored");
    daybook_engine::Engine::restore(&again, &restored, Options::default()).unwrap();
    let other =
        Service::on(tempfile::tempdir().unwrap(), &restored, Options::default(), config()).await;
    assert_eq!(text(&other, &url(&long)).await.0, 200);
    assert_eq!(text(&other, &url(&short)).await.0, 410);
    assert_eq!(text(&other, &api(&gone)).await.0, 410);
}

#[tokio::test]
async fn a_link_works_at_every_node_with_the_key_and_at_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
    let shared = || Config { link_key_file: Some(file.clone()), ..config() };
    let (one, two, three) =
        (stored(shared()).await, stored(shared()).await, stored(config()).await);
    let link = make(&one, "links", json!({"format": "cast"})).await;
    let share = make(&one, "share", json!({"to": "anyone"})).await;
    for path in [url(&link), api(&share)] {
        let found = [&one, &two, &three].map(|service| text(service, &path));
        let [one, two, three] = found;
        assert_eq!((one.await.0, two.await.0, three.await.0), (200, 200, 403), "{path}");
    }
    // A node that has not the session.
    let empty = Service::with(shared()).await;
    assert_eq!(text(&empty, &url(&link)).await.0, 404);
    // A key that could be guessed stops the start.
    std::fs::write(&file, "short").unwrap();
    let engine =
        daybook_engine::Engine::open(&dir.path().join("data"), Options::default()).unwrap();
    let error = daybook_server::Server::bind(shared(), engine).await.unwrap_err();
    assert!(error.to_string().contains("at least 32"), "{error}");
}

#[tokio::test]
async fn a_share_shows_its_part_and_nothing_else_at_every_path() {
    let service = stored(config()).await;
    let before =
        ["/timeline", "/timeline?fold=false", "/timeline?direction=backward", "/replay", "/proof"];
    let formats = ["txt", "ndjson", "csv", "cast", "cast3", "html"];
    let files = formats.map(|format| format!("/download?format={format}"));
    let paths: Vec<String> =
        std::iter::once(String::new()).chain(before.map(str::to_owned)).chain(files).collect();
    for (body, hidden) in [
        (json!({"to": "anyone"}), vec![]),
        (json!({"to": "anyone", "outputs": "hidden"}), vec!["SECRET"]),
        (
            json!({"to": "anyone", "part": "command:2"}),
            vec!["SECOND-INPUT", "SECRET-TWO", "SECRET-SCREEN", "\"done\""],
        ),
        (
            json!({"to": "anyone", "part": "command:5", "outputs": "hidden"}),
            vec!["FIRST-INPUT", "SECRET"],
        ),
        (
            json!({"to": "anyone", "part": "2026-03-01T09:00:05Z..2026-03-01T09:00:06Z"}),
            vec!["FIRST-INPUT", "SECRET-ONE", "SECRET-SCREEN"],
        ),
    ] {
        let share = make(&service, "share", body.clone()).await;
        for path in &paths {
            let (status, shown) = text(&service, &format!("{}{path}", api(&share))).await;
            assert!([200, 400, 404].contains(&status), "{body} {path}: {status} {shown}");
            for secret in &hidden {
                // The details of a whole session have its status.
                let details = path.is_empty() && *secret == "\"done\"";
                assert!(
                    details || !shown.contains(secret),
                    "{body} {path} shows {secret}: {shown}"
                );
            }
        }
        let timeline = service.get(&format!("{}/timeline", api(&share))).await.1;
        assert!(timeline["count"].as_u64().unwrap() > 0, "{body}");
        // A query could ask for what is hidden.
        let (status, _) = text(&service, &format!("{}/timeline?q=SECRET", api(&share))).await;
        assert_eq!(status, if hidden.is_empty() { 200 } else { 400 }, "{body}");
        let details = service.get(&api(&share)).await.1;
        assert_eq!(details["session"]["user"], "alice@example.com");
        let whole = body.get("part").is_none();
        assert_eq!(details["session"].get("commands").is_some(), whole, "{body}");
        // The proof of just these events.
        let (status, proof) = service.get(&format!("{}/proof", api(&share))).await;
        if body["part"] == "command:5" && body["outputs"] == "hidden" {
            // The command was stored with its output, so it can't be shown as it was stored.
            assert_eq!((status.as_u16(), name(&proof)), (404, "not-found"));
            continue;
        }
        let bundle = Bundle::parse(proof.to_string().as_bytes()).unwrap();
        let key = service.engine.verifier_key().unwrap().parse_key();
        let proved = bundle.check(Some(&key)).unwrap();
        assert_eq!(proved.excerpt, !hidden.is_empty());
        assert!(proved.events > 0);
    }
}

trait ParseKey {
    fn parse_key(&self) -> daybook_engine::merkle::Verifier;
}

impl ParseKey for String {
    fn parse_key(&self) -> daybook_engine::merkle::Verifier {
        daybook_engine::merkle::Verifier::parse(self).unwrap()
    }
}

#[tokio::test]
async fn a_share_for_reviewers_is_for_tokens_of_their_names() {
    let service = stored(config()).await;
    // Without tokens nobody's name is known.
    let (status, problem) =
        service.send(Method::POST, "/v1/sessions/s/share", r#"{"to":["ann"]}"#).await;
    assert_eq!((status.as_u16(), &problem["parameter"]), (400, &json!("to")));
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let make = |name: &str, scopes: &[Scope], roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let new = NewToken {
            name: Some(name.into()),
            scopes: scopes.to_vec(),
            roles,
            ..NewToken::default()
        };
        tokens.create(new).unwrap().1
    };
    let maker = make("maker", &[Scope::Read], &[]);
    let ann = make("ann", &[Scope::Review], &[]);
    let eve = make("eve", &[Scope::Read, Scope::Ingest], &["other-*"]);
    let ops = make("ops", &[Scope::Admin], &[]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ask = async |token: Option<&str>, method: Method, path: &str, body: &str| {
        let mut request =
            service.http.request(method, format!("{}{path}", service.url)).body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let status: StatusCode = response.status();
        (status.as_u16(), response.json::<Value>().await.unwrap_or_default())
    };
    let named = r#"{"to":["ann","bob"]}"#;
    let path = "/v1/sessions/s/share";
    assert_eq!(ask(None, Method::POST, path, named).await.0, 401);
    assert_eq!(ask(Some(&ann), Method::POST, path, named).await.0, 403);
    // What a token may not see it can't share.
    assert_eq!(ask(Some(&eve), Method::POST, path, named).await.0, 404);
    let (status, share) = ask(Some(&maker), Method::POST, path, named).await;
    assert_eq!((status, &share["by"]), (200, &json!("maker")));
    let forged = r#"{"to":"anyone","by":"somebody"}"#;
    assert_eq!(ask(Some(&maker), Method::POST, path, forged).await.0, 400);
    for path in ["", "/timeline", "/replay", "/proof", "/download?format=txt"] {
        let at = format!("{}{path}", api(&share));
        assert_eq!(ask(None, Method::GET, &at, "").await.0, 401, "{path}");
        assert_eq!(ask(Some("daybook_x_y"), Method::GET, &at, "").await.0, 401, "{path}");
        assert_eq!(ask(Some(&eve), Method::GET, &at, "").await.0, 403, "{path}");
        // Ann may read no session but this one.
        assert_eq!(ask(Some(&ann), Method::GET, &at, "").await.0, 200, "{path}");
    }
    assert_eq!(ask(Some(&ann), Method::GET, "/v1/sessions/s", "").await.0, 403);
    // One for anyone takes no token, where everything else does.
    let (_, open) = ask(Some(&maker), Method::POST, path, r#"{"to":"anyone"}"#).await;
    assert_eq!(ask(None, Method::GET, &api(&open), "").await.0, 200);
    assert_eq!(ask(None, Method::GET, "/v1/sessions/s", "").await.0, 401);
    // Lists are for who may see the session, addresses for who made the link, and so is the end.
    assert_eq!(ask(Some(&eve), Method::GET, "/v1/links", "").await.1["count"], 0);
    let listed = ask(Some(&maker), Method::GET, "/v1/links", "").await.1;
    assert_eq!((&listed["count"], listed["items"][0]["url"].is_string()), (&json!(2), true));
    let reader = make("reader", &[Scope::Read], &[]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let listed = ask(Some(&reader), Method::GET, "/v1/links", "").await.1;
    assert_eq!((&listed["count"], listed["items"][0].get("url")), (&json!(2), None));
    let end = format!("/v1/links/{}", share["id"].as_str().unwrap());
    assert_eq!(ask(Some(&reader), Method::DELETE, &end, "").await.0, 403);
    assert_eq!(ask(Some(&maker), Method::DELETE, &end, "").await.0, 200);
    assert_eq!(ask(Some(&ann), Method::GET, &api(&share), "").await.0, 410);
    let _ = ops;
    // Each use is told once a minute, by the reviewer's name.
    let uses: Vec<(String, String)> = {
        let page =
            ask(Some(&maker), Method::GET, "/v1/sessions/daybook.links/timeline?fold=false", "")
                .await
                .1;
        let items = page["items"].as_array().unwrap().clone();
        let uses = items.iter().filter(|item| item["action"] == "link.use");
        uses.map(|act| {
            (act["by"].as_str().unwrap().into(), act["metadata"]["what"].as_str().unwrap().into())
        })
        .collect()
    };
    let expected = ["details", "timeline", "replay", "proof", "download"]
        .map(|what| ("ann".to_owned(), what.to_owned()));
    let anyone = ("anyone".to_owned(), "details".to_owned());
    assert_eq!(uses, [expected.to_vec(), vec![anyone]].concat());
}
