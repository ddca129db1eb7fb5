//! Who read what is in the log.

use super::clients::until;
use super::support::{Service, command, config, ndjson, start};
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use std::time::Duration;

/// `by action target` of what the log tells.
async fn told(service: &Service) -> Vec<String> {
    let mut acts = Vec::new();
    service
        .engine
        .acts(daybook_engine::OwnSession::Reads, None, &mut |act| {
            let access = act.access;
            acts.push(format!(
                "{} {} {}",
                access.by,
                access.action,
                access.target.unwrap_or_default()
            ));
        })
        .unwrap();
    acts
}

#[tokio::test]
async fn reads_searches_and_exports_are_told_with_who_asked() {
    let service = Service::with(Config { audit: true, ..config() }).await;
    let events = [start("s"), command("s", 2, "select")];
    assert_eq!(service.post(ndjson(&events)).await.1["accepted"], 2);
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let new = NewToken {
        name: Some("ann".into()),
        scopes: vec![Scope::Read, Scope::Export],
        ..NewToken::default()
    };
    assert_eq!(service.raw("/v1/sessions/s").await.status(), 200);
    let token = tokens.create(new).unwrap().1;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ask = async |path: &str| {
        let request = service.http.get(format!("{}{path}", service.url)).bearer_auth(&token);
        request.send().await.unwrap().status().as_u16()
    };
    for path in [
        "/v1/sessions/s",
        "/v1/sessions/s/timeline",
        "/v1/sessions/s/timeline?limit=1",
        "/v1/sessions/s/replay",
        "/v1/sessions/s/proof",
        "/v1/sessions/s/download?format=txt",
        "/v1/search?q=select",
        "/v1/search?q=select&limit=1",
        "/v1/export?format=ndjson&q=select",
        // Nobody's data.
        "/v1/sessions",
        "/v1/stats",
    ] {
        assert_eq!(ask(path).await, 200, "{path}");
    }
    // What is refused is no read.
    assert_eq!(service.raw("/v1/sessions/s").await.status(), 401);
    assert_eq!(ask("/v1/sessions/none").await, 404);
    let expected = [
        "local session.read s",
        "ann session.read s",
        "ann session.timeline s",
        "ann session.replay s",
        "ann session.proof s",
        "ann session.download s",
        "ann search select",
        "ann export select",
    ];
    until("they are told", async || told(&service).await.len() >= expected.len()).await;
    assert_eq!(told(&service).await, expected);
    // What waits is told before the server ends.
    assert_eq!(ask("/v1/search?q=last").await, 200);
    let Service { mut running, mut stop, engine, .. } = service;
    stop.take().unwrap().send(()).unwrap();
    (&mut running).await.unwrap();
    let mut last = None;
    engine
        .acts(daybook_engine::OwnSession::Reads, None, &mut |act| last = act.access.target)
        .unwrap();
    assert_eq!(last.as_deref(), Some("last"));
}

#[tokio::test]
async fn a_search_does_not_find_what_was_searched_for() {
    let service = Service::with(Config { audit: true, ..config() }).await;
    assert_eq!(service.post(ndjson(&[start("s")])).await.1["accepted"], 1);
    assert_eq!(service.found("needle").await, 0);
    until("it is told", async || told(&service).await.len() == 1).await;
    assert_eq!(service.found("needle").await, 0);
    assert_eq!(service.found("kind:access").await, 1);
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let service = Service::start().await;
    assert_eq!(service.post(ndjson(&[start("s")])).await.1["accepted"], 1);
    assert_eq!(service.raw("/v1/sessions/s").await.status(), 200);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(told(&service).await, Vec::<String>::new());
}
