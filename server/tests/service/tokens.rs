//! Tokens: who may send, who may see what, and how much.

use super::support::{Service, config};
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Token, Tokens};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server, and the tokens of its data directory as another process has them.
async fn guarded(config: Config) -> (Service, Tokens) {
    let service = Service::with(config).await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    (service, tokens)
}

fn make(tokens: &Tokens, name: &str, scopes: &[Scope]) -> (Arc<Token>, String) {
    let name = Some(name.to_owned());
    tokens.create(NewToken { name, scopes: scopes.to_vec(), ..NewToken::default() }).unwrap()
}

async fn ask(
    service: &Service,
    token: &str,
    method: Method,
    path: &str,
    body: String,
) -> (StatusCode, Value) {
    let request = service.http.request(method, format!("{}{path}", service.url));
    let response = request.bearer_auth(token).body(body).send().await.unwrap();
    let status = response.status();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

async fn post(service: &Service, token: &str, body: String) -> (StatusCode, Value) {
    ask(service, token, Method::POST, "/v1/events", body).await
}

async fn status(service: &Service, token: &str, path: &str) -> u16 {
    ask(service, token, Method::GET, path, String::new()).await.0.as_u16()
}

fn start(session: &str, user: &str, role: &str) -> String {
    format!(
        r#"{{"session":"{session}","seq":0,"time":"2026-03-01T09:30:00Z","kind":"session.start","user":"{user}","role":"{role}","type":"database"}}"#
    )
}

fn command(session: &str, seq: u32) -> String {
    format!(
        r#"{{"session":"{session}","seq":{seq},"time":"2026-03-01T09:30:02Z","kind":"command","input":"select {seq}"}}"#
    )
}

/// The server looks a few times a second whether the tokens have changed.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn with_a_token_every_request_needs_one_with_the_right_scope() {
    let (service, tokens) = guarded(config()).await;
    assert_eq!(service.get("/v1/sessions").await.0, 200);
    let (_, ingest) = make(&tokens, "proxy", &[Scope::Ingest]);
    let (reader, read) = make(&tokens, "ann", &[Scope::Read]);
    let (_, export) = make(&tokens, "siem", &[Scope::Export]);
    let (_, admin) = make(&tokens, "ops", &[Scope::Admin]);
    settle().await;
    let (status_without, problem) = service.get("/v1/sessions").await;
    assert_eq!((status_without.as_u16(), problem["type"].as_str().is_some()), (401, true));
    assert_eq!(service.raw("/healthz").await.status(), 200);
    assert_eq!(service.raw("/ui/app.css").await.status(), 200);
    for (path, allowed) in [
        ("/v1/sessions", [403, 200, 403, 403]),
        ("/v1/search?q=a", [403, 200, 403, 403]),
        ("/v1/export?format=ndjson", [403, 403, 200, 403]),
        ("/v1/stats", [403, 200, 403, 200]),
        ("/v1/admin/holds", [403, 403, 403, 200]),
        ("/v1/tile/0/000", [404, 404, 404, 404]),
    ] {
        let mut found = Vec::new();
        for token in [&ingest, &read, &export, &admin] {
            found.push(status(&service, token, path).await);
        }
        assert_eq!(found, allowed, "{path}");
    }
    assert_eq!(post(&service, &ingest, command("s", 1)).await.0, 200);
    assert_eq!(post(&service, &read, command("s", 2)).await.0, 403);
    // A secret of another token's id, one letter off, and nothing at all.
    let forged = format!("{}x", &ingest[..ingest.len() - 1]);
    let mixed = ingest.replacen(ingest.split('_').nth(1).unwrap(), &reader.id, 1);
    for wrong in [forged.as_str(), mixed.as_str(), "", "daybook_", "daybook__"] {
        assert_eq!(status(&service, wrong, "/v1/sessions").await, 401, "{wrong}");
    }
    // As shippers send it.
    let basic = service.http.get(format!("{}/v1/sessions", service.url));
    assert_eq!(basic.basic_auth("any", Some(&read)).send().await.unwrap().status(), 200);
    let key = service.http.get(format!("{}/v1/sessions", service.url));
    let key = key.header("authorization", format!("ApiKey {read}"));
    assert_eq!(key.send().await.unwrap().status(), 200);
    // Nothing of a secret is in the file.
    let file = std::fs::read_to_string(service.engine.dir().join("tokens.json")).unwrap();
    assert!(!file.contains(read.split_at(read.len() - 43).1) && file.contains(&*reader.id));
}

#[tokio::test]
async fn a_token_is_revoked_and_expires_without_a_restart() {
    let (service, tokens) = guarded(config()).await;
    let (token, secret) = make(&tokens, "ann", &[Scope::Read]);
    settle().await;
    assert_eq!(status(&service, &secret, "/v1/sessions").await, 200);
    assert!(tokens.revoke(&token.id).unwrap().is_some());
    assert!(tokens.revoke("none").unwrap().is_none());
    settle().await;
    let (code, problem) = ask(&service, &secret, Method::GET, "/v1/sessions", String::new()).await;
    assert_eq!(code, 401);
    assert!(problem["detail"].as_str().unwrap().contains("revoked"));
    let expires = daybook_engine::event::Micros::now();
    let old = NewToken { scopes: vec![Scope::Read], expires: Some(expires), ..NewToken::default() };
    let (_, old) = tokens.create(old).unwrap();
    settle().await;
    let (_, problem) = ask(&service, &old, Method::GET, "/v1/sessions", String::new()).await;
    assert!(problem["detail"].as_str().unwrap().contains("expired"));
    // A file that is gone or broken opens nothing.
    for bytes in [None, Some("{"), Some(r#"{"version":1,"tokens":[]}"#)] {
        let path = service.engine.dir().join("tokens.json");
        match bytes {
            None => std::fs::remove_file(path).unwrap(),
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
        }
        settle().await;
        assert_eq!(service.raw("/v1/sessions").await.status(), 401);
    }
}

#[tokio::test]
async fn a_token_sees_and_sends_only_sessions_of_its_roles_and_users() {
    let (service, tokens) = guarded(config()).await;
    let limited = |roles: &[&str], users: &[&str], scopes: &[Scope]| {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let new = NewToken {
            scopes: scopes.to_vec(),
            roles: strings(roles),
            users: strings(users),
            ..NewToken::default()
        };
        tokens.create(new).unwrap().1
    };
    let all = [Scope::Read, Scope::Export, Scope::Ingest];
    let (_, ops) = make(&tokens, "ops", &all);
    let prod = limited(&["prod-*"], &[], &all);
    let ann = limited(&[], &["ann@*"], &all);
    settle().await;
    for (session, user, role) in [
        ("a", "ann@example.com", "prod-eu"),
        ("b", "bob@example.com", "prod-us"),
        ("c", "ann@example.com", "lab"),
    ] {
        let lines = format!("{}\n{}\n", start(session, user, role), command(session, 1));
        assert_eq!(post(&service, &ops, lines).await.1["accepted"], 2);
    }
    for (token, sees) in [(&ops, "abc"), (&prod, "ab"), (&ann, "ac")] {
        let (_, list) =
            ask(&service, token, Method::GET, "/v1/sessions?sort=started", String::new()).await;
        assert_eq!(list["count"], sees.len(), "{list}");
        let path = "/v1/facets?field=user&find=b";
        let (_, values) = ask(&service, token, Method::GET, path, String::new()).await;
        assert_eq!(
            values["items"][0]["value"] == "bob@example.com",
            sees.contains('b'),
            "{values}"
        );
        let (_, hits) =
            ask(&service, token, Method::GET, "/v1/search?q=select&count=exact", String::new())
                .await;
        assert_eq!(hits["count"], sees.len());
        let exported = service.http.get(format!("{}/v1/export?format=ndjson", service.url));
        let exported = exported.bearer_auth(token).send().await.unwrap().text().await.unwrap();
        assert_eq!(exported.lines().count(), sees.len() * 2);
        for session in ["a", "b", "c"] {
            let wanted = if sees.contains(session) { 200 } else { 404 };
            for path in ["", "/timeline", "/replay", "/proof"] {
                let path = format!("/v1/sessions/{session}{path}");
                assert_eq!(status(&service, token, &path).await, wanted, "{path}");
            }
        }
    }
    let path = "/v1/sessions/a/timeline";
    let (_, page) = ask(&service, &ann, Method::GET, path, String::new()).await;
    assert_eq!(page["items"][0]["producer"], "ops");
    assert!(page["items"][0]["received"].as_str().unwrap() > "2026-03");
    let (_, refused) = post(&service, &prod, start("d", "ann@example.com", "lab")).await;
    assert!(refused["rejected"][0]["error"].as_str().unwrap().contains("role `lab`"), "{refused}");
    // Nor does it write into another producer's session.
    let (_, refused) = post(&service, &prod, command("a", 2)).await;
    assert!(refused["rejected"][0]["error"].as_str().unwrap().contains("another producer"));
}

#[tokio::test]
async fn a_producer_over_its_rate_is_told_when_to_come_again() {
    let (service, tokens) = guarded(config()).await;
    let new = NewToken {
        scopes: vec![Scope::Ingest],
        bytes_per_second: Some(1_000),
        ..NewToken::default()
    };
    let (_, slow) = tokens.create(new).unwrap();
    let (_, free) = make(&tokens, "free", &[Scope::Ingest]);
    settle().await;
    let many = |from: u32, session: &str| {
        (from..from + 20).map(|seq| command(session, seq) + "\n").collect::<String>()
    };
    // What is there is taken as a whole; then it is paid for.
    assert_eq!(post(&service, &slow, many(0, "s")).await.1["accepted"], 20);
    let request = service.http.post(format!("{}/v1/events", service.url)).bearer_auth(&slow);
    let refused = request.body(many(20, "s")).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3).contains(&seconds), "{seconds}");
    assert_eq!(post(&service, &free, many(0, "f")).await.0, 200);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(post(&service, &slow, many(20, "s")).await.1["accepted"], 20);
}

/// A producer that keeps as many uploads open as it can holds up itself, not the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greedy_producer_does_not_starve_the_others() {
    let uploads = Config { uploads_bytes_max: 16 << 20, ..config() };
    let (service, tokens) = guarded(uploads).await;
    let (_, greedy) = make(&tokens, "greedy", &[Scope::Ingest]);
    let (_, modest) = make(&tokens, "modest", &[Scope::Ingest]);
    settle().await;
    // Uploads that say how long they are, and then send nothing.
    let mut open = Vec::new();
    for number in 0..64 {
        let body = futures_util::stream::unfold(0, move |step| async move {
            match step {
                0 => Some((Ok(format!("{}\n", command(&format!("g{number}"), 0))), 1)),
                _ => {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    None::<(Result<String, std::io::Error>, i32)>
                }
            }
        });
        let request = service.http.post(format!("{}/v1/events", service.url)).bearer_auth(&greedy);
        let request = request.body(reqwest::Body::wrap_stream(body));
        open.push(tokio::spawn(request.send()));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut slowest = Duration::ZERO;
    for seq in 0..20 {
        let began = Instant::now();
        assert_eq!(post(&service, &modest, command("m", seq)).await.1["accepted"], 1);
        slowest = slowest.max(began.elapsed());
    }
    // Far less than an upload may wait for room.
    assert!(slowest < config().busy_wait / 2, "{slowest:?}");
    open.iter().for_each(tokio::task::JoinHandle::abort);
}

/// A thousand proxies that stream a little each hold little each, and leave room for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_slow_uploads_of_unknown_length_do_not_hold_all_the_memory() {
    let uploads = Config { uploads_bytes_max: 32 << 20, ..config() };
    let service = Service::with(uploads).await;
    let mut open = Vec::new();
    for number in 0..200 {
        let lines = (0..4).map(move |seq| format!("{}\n", command(&format!("slow{number}"), seq)));
        let body = futures_util::stream::unfold(lines, |mut lines| async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            lines.next().map(|line| (Ok::<_, std::io::Error>(line), lines))
        });
        let request = service.http.post(format!("{}/v1/events", service.url));
        open.push(tokio::spawn(request.body(reqwest::Body::wrap_stream(body)).send()));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    assert_eq!(service.post(command("fast", 1)).await.1["accepted"], 1);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for upload in open {
        let answer = upload.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await.unwrap()["accepted"], 4);
    }
}

#[tokio::test]
async fn a_browser_gets_a_form_and_then_a_cookie_that_scripts_cannot_read() {
    let (service, tokens) = guarded(config()).await;
    let (_, secret) = make(&tokens, "ann", &[Scope::Read]);
    settle().await;
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = http.get(format!("{}/v1/sessions", service.url)).header("accept", "text/html");
    let page = page.send().await.unwrap();
    assert_eq!(page.status(), 401);
    assert!(page.text().await.unwrap().contains("<form"));
    let login = |token: &str, to: &str| {
        let form = format!("token={token}&to={to}");
        let request = http.post(format!("{}/login", service.url)).body(form);
        request.header("content-type", "application/x-www-form-urlencoded").send()
    };
    for (asked, to) in [
        ("?to=%2Fsessions%2Fa%3Ftab%3Dreplay%26at%3D1", "/sessions/a?tab=replay&amp;at=1"),
        ("?to=//example.com", "/"),
        ("?to=%ff%22", "/"),
        ("", "/"),
    ] {
        let page = service.raw(&format!("/login{asked}")).await.text().await.unwrap();
        assert!(page.contains(&format!(r#"name="to" type="hidden" value="{to}""#)), "{page}");
    }
    assert_eq!(login("daybook_no_no", "/").await.unwrap().status(), 401);
    for (to, goes) in
        [("/sessions/a", "/sessions/a"), ("//example.com/", "/"), ("https://example.com", "/")]
    {
        let there = login(&secret, to).await.unwrap();
        assert_eq!(there.status(), 303);
        assert_eq!(there.headers()["location"], goes);
        let cookie = there.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let pair = cookie.split(';').next().unwrap().to_owned();
        let list = http.get(format!("{}/v1/sessions", service.url)).header("cookie", pair);
        assert_eq!(list.send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn notes_marks_and_cases_take_their_scopes() {
    let (service, tokens) = guarded(config()).await;
    let (_, producer) = make(&tokens, "proxy", &[Scope::Ingest]);
    let (_, reader) = make(&tokens, "ann", &[Scope::Read]);
    let (_, reviewer) = make(&tokens, "bob", &[Scope::Read, Scope::Review]);
    let (_, exporter) = make(&tokens, "cat", &[Scope::Export]);
    let (_, admin) = make(&tokens, "eve", &[Scope::Admin]);
    let lab = NewToken {
        name: Some("lab".to_owned()),
        scopes: vec![Scope::Read, Scope::Review],
        roles: vec!["lab".into()],
        ..NewToken::default()
    };
    let (_, lab) = tokens.create(lab).unwrap();
    settle().await;
    assert_eq!(post(&service, &producer, start("s", "u", "prod")).await.0, 200);
    let case = ask(
        &service,
        &reviewer,
        Method::POST,
        "/v1/cases",
        r#"{"name":"n","reason":"r","sessions":["s"]}"#.to_owned(),
    )
    .await
    .1;
    let at = format!("/v1/cases/{}", case["id"].as_str().unwrap());
    assert_eq!(case["opened_by"], "bob");
    let words = r#"{"text":"x"}"#;
    for (token, method, path, body, wanted) in [
        (&reader, Method::POST, "/v1/sessions/s/notes".to_owned(), words, 403),
        (&reader, Method::POST, "/v1/sessions/s/reviewed".to_owned(), "{}", 403),
        (&reader, Method::GET, "/v1/sessions/s/notes".to_owned(), "", 200),
        (&reader, Method::GET, "/v1/cases".to_owned(), "", 403),
        (&reviewer, Method::POST, "/v1/sessions/s/notes".to_owned(), words, 201),
        (
            &reviewer,
            Method::POST,
            "/v1/sessions/s/notes".to_owned(),
            r#"{"text":"x","by":"ann"}"#,
            400,
        ),
        (&reviewer, Method::POST, "/v1/sessions/s/reviewed".to_owned(), "{}", 200),
        (&reviewer, Method::POST, format!("{at}/hold"), words, 403),
        (&reviewer, Method::GET, format!("{at}/export"), "", 403),
        (&admin, Method::POST, format!("{at}/hold"), words, 200),
        (&reviewer, Method::POST, format!("{at}/sessions"), r#"{"remove":["s"]}"#, 403),
        (&reviewer, Method::POST, format!("{at}/release"), words, 403),
        (&exporter, Method::GET, format!("{at}/export"), "", 200),
        (&lab, Method::GET, "/v1/cases".to_owned(), "", 403),
        (&lab, Method::GET, at.clone(), "", 403),
        (&lab, Method::POST, "/v1/sessions/s/notes".to_owned(), words, 404),
        (&lab, Method::GET, "/v1/sessions/s/completeness".to_owned(), "", 404),
        (&lab, Method::GET, "/v1/report?after=2026-01-01".to_owned(), "", 200),
        (&producer, Method::POST, "/v1/producers".to_owned(), r#"{"sent":{"s":1}}"#, 200),
        (
            &producer,
            Method::POST,
            "/v1/producers".to_owned(),
            r#"{"sent":{"s":1},"by":"ann"}"#,
            400,
        ),
        (&producer, Method::GET, "/v1/producers".to_owned(), "", 403),
        (&reader, Method::POST, "/v1/producers".to_owned(), r#"{"sent":{"s":1}}"#, 403),
        (&reader, Method::GET, "/v1/producers".to_owned(), "", 200),
        (&lab, Method::GET, "/v1/producers".to_owned(), "", 403),
    ] {
        let (found, answer) = ask(&service, token, method.clone(), &path, body.to_owned()).await;
        assert_eq!(found, wanted, "{method} {path}: {answer}");
    }
    let report =
        ask(&service, &lab, Method::GET, "/v1/report?after=2026-01-01", String::new()).await.1;
    assert_eq!(report["totals"]["sessions"], 0, "what the token may not see");
}
