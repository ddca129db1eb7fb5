//! Feeds over HTTP: what is sealed is pulled once, by links that are good for what they say, and Delta Sharing says the
//! same. (Other people's clients read them in the interop tests.)

use super::support::{Service, command, config, end, name, ndjson, start};
use daybook_engine::Options;
use daybook_query::feed::location::Location;
use daybook_query::feed::{Columns, Spec};
use daybook_query::ocsf::Mapping;
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn seal(service: &Service) {
    let engine = Arc::clone(&service.engine);
    tokio::task::spawn_blocking(move || engine.seal_now()).await.unwrap().unwrap();
}

/// What is new behind a cursor, once there is something.
async fn pull(service: &Service, query: &str, cursor: Option<&str>) -> Value {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let (status, page) = service.get(&format!("/v1/parquet?wait=20s&{query}{cursor}")).await;
    assert_eq!(status, 200, "{page}");
    page
}

async fn sessions(service: &Service, ids: &[&str]) {
    for id in ids {
        let events = [start(id), command(id, 2, &format!("select '{id}'")), end(id, 3)];
        assert_eq!(service.post(ndjson(&events)).await.0, 200);
    }
}

#[tokio::test]
async fn what_is_sealed_is_in_the_feed_soon_and_comes_once() {
    let service = Service::start().await;
    sessions(&service, &["a", "b"]).await;
    seal(&service).await;
    let first = pull(&service, "feed=native", None).await;
    let items = first["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["rows"], json!(6));
    // Nobody asked for a token, but the link is the whole address.
    let url = items[0]["url"].as_str().unwrap();
    assert!(url.starts_with(&service.url), "{url}");
    let file = service.http.get(url).send().await.unwrap();
    assert_eq!(file.headers()["etag"], format!("\"{}\"", items[0]["sha256"].as_str().unwrap()));
    assert_eq!(file.bytes().await.unwrap().len() as u64, items[0]["bytes"].as_u64().unwrap());

    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, nothing) = service.get(&format!("/v1/parquet?cursor={cursor}")).await;
    assert_eq!(nothing["items"], json!([]));
    sessions(&service, &["c"]).await;
    seal(&service).await;
    let second = pull(&service, "feed=native", nothing["next_cursor"].as_str()).await;
    assert_eq!(second["items"][0]["rows"], json!(3));
    assert_eq!(second["items"][0]["offsets"][0], items[0]["offsets"][1]);
    let (_, feeds) = service.get("/v1/feeds").await;
    assert_eq!(feeds["items"][0]["behind"], json!(0), "{feeds}");
    assert_eq!(feeds["items"][0]["tables"][0]["rows"], json!(9), "{feeds}");
    // A look at the newest has the same files, and a cursor that goes on behind them.
    let (_, newest) = service.get("/v1/parquet?newest=true&limit=1").await;
    assert_eq!(newest["items"].as_array().unwrap().len(), 1);
    assert_eq!(newest["items"][0]["file"], second["items"][0]["file"]);
    assert_eq!(newest["next_cursor"], second["next_cursor"]);
    let (status, _) = service.get(&format!("/v1/parquet?newest=true&cursor={cursor}")).await;
    assert_eq!(status, 400);
    let metrics = service.raw("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("daybook_feed_rows_total{feed=\"native\"} 9\n"), "{metrics}");

    // Erased: told, and gone at once.
    let policy = json!({"policy": {"bytes_max": 1}, "by": "eve@example.com"}).to_string();
    service.send(Method::PUT, "/v1/admin/retention", &policy).await;
    seal(&service).await;
    service.send(Method::POST, "/v1/admin/retention/run?by=eve@example.com", "").await;
    let mut cursor = second["next_cursor"].as_str().unwrap().to_owned();
    let until = Instant::now() + Duration::from_secs(30);
    let mut removed = Vec::new();
    while removed.len() < 2 {
        assert!(Instant::now() < until, "{removed:?}");
        let page = pull(&service, "feed=native", Some(&cursor)).await;
        removed.extend(page["removed"].as_array().unwrap().iter().map(|gone| gone["file"].clone()));
        page["next_cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
    assert_eq!(removed[0], items[0]["file"]);
    let gone = service.http.get(url).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::GONE);
    let problem: Value = gone.json().await.unwrap();
    assert_eq!(name(&problem), "gone");
}

#[tokio::test]
async fn a_link_to_a_small_file_is_over_when_something_is_erased_of_the_large_one() {
    let feed = Spec { merge_fewest: 2, ..Spec::native() };
    let service = Service::with(Config { feeds: vec![feed], ..config() }).await;
    let (mut cursor, mut links, mut names) = (None, Vec::new(), Vec::new());
    for id in ["a", "b"] {
        sessions(&service, &[id]).await;
        seal(&service).await;
        let page = pull(&service, "feed=native", cursor.as_deref()).await;
        links.push(page["items"][0]["url"].as_str().unwrap().to_owned());
        names.push(page["items"][0]["file"].clone());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
    }
    let until = Instant::now() + Duration::from_secs(30);
    let files = async || service.get("/v1/feeds").await.1["items"][0]["tables"][0]["files"].clone();
    while files().await != json!(1) {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = async |url: &str| service.http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(&links[0]).await, 200, "small files are kept");
    let policy = json!({"policy": {"bytes_max": 1}, "by": "eve@example.com"}).to_string();
    service.send(Method::PUT, "/v1/admin/retention", &policy).await;
    service.send(Method::POST, "/v1/admin/retention/run?by=eve@example.com", "").await;
    let page = pull(&service, "feed=native", cursor.as_deref()).await;
    let removed: Vec<&Value> =
        page["removed"].as_array().unwrap().iter().map(|gone| &gone["file"]).collect();
    assert!(names.iter().all(|name| removed.contains(&name)), "{page}");
    assert_eq!((status(&links[0]).await, status(&links[1]).await), (410, 410));
}

#[tokio::test]
async fn a_file_is_read_in_any_pieces() {
    let service = Service::start().await;
    sessions(&service, &["a"]).await;
    seal(&service).await;
    let page = pull(&service, "feed=native", None).await;
    let url = page["items"][0]["url"].as_str().unwrap();
    let whole = service.http.get(url).send().await.unwrap().bytes().await.unwrap();
    let len = whole.len();
    for (range, expected) in [
        ("bytes=0-3", 0..4),
        ("bytes=-8", len - 8..len),
        ("bytes=4-", 4..len),
        ("bytes=0-999999999", 0..len),
    ] {
        let response = service.http.get(url).header("range", range).send().await.unwrap();
        assert_eq!(response.status(), 206);
        let said = format!("bytes {}-{}/{len}", expected.start, expected.end - 1);
        assert_eq!(response.headers()["content-range"], said);
        assert_eq!(response.bytes().await.unwrap(), whole[expected]);
    }
    let outside = service.http.get(url).header("range", "bytes=99999999-").send().await.unwrap();
    assert_eq!(outside.status(), 416);
    assert_eq!(outside.headers()["content-range"], format!("bytes */{len}"));
    let head = service.http.head(url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], len.to_string());
    assert_eq!(head.headers()["accept-ranges"], "bytes");
    let etag = head.headers()["etag"].clone();
    let known = service.http.get(url).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let other = service.http.get(url).header("if-match", "\"x\"").send().await.unwrap();
    assert_eq!(other.status(), 412);
    let stale = service.http.get(url).header("range", "bytes=0-3").header("if-range", "\"x\"");
    assert_eq!(stale.send().await.unwrap().bytes().await.unwrap(), whole);
}

#[tokio::test]
async fn a_link_is_good_for_its_file_and_its_time_and_a_token_for_the_rest() {
    let service = Service::start().await;
    sessions(&service, &["a", "b"]).await;
    seal(&service).await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let make = |scopes: &[Scope], roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).into()).collect();
        tokens.create(NewToken { scopes: scopes.to_vec(), roles, ..NewToken::default() }).unwrap().1
    };
    let export = make(&[Scope::Export], &[]);
    let (reader, limited) = (make(&[Scope::Read], &[]), make(&[Scope::Export], &["prod-*"]));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ask = async |token: &str, path: &str| {
        let request = service.http.get(format!("{}{path}", service.url)).bearer_auth(token);
        request.send().await.unwrap()
    };
    assert_eq!(service.raw("/v1/parquet").await.status(), 401);
    assert_eq!(ask(&reader, "/v1/parquet").await.status(), 403);
    assert_eq!(ask(&reader, "/delta-sharing/shares").await.status(), 403);
    let refused = ask(&limited, "/v1/parquet").await;
    assert_eq!(refused.status(), 403);
    assert_eq!(name(&refused.json().await.unwrap()), "limits");
    assert_eq!(ask(&limited, "/delta-sharing/shares").await.status(), 403);
    let page: Value = ask(&export, "/v1/parquet?wait=20s&link=2s").await.json().await.unwrap();
    let url = page["items"][0]["url"].as_str().unwrap().to_owned();
    let status = async |url: &str| service.http.get(url).send().await.unwrap().status().as_u16();
    // Any number of times, without a token.
    assert_eq!((status(&url).await, status(&url).await), (200, 200));
    let (path, fields) = url.split_once('?').unwrap();
    let (expires, signature) = fields.split_once('&').unwrap();
    let later = format!("{path}?expires=9999999999&{signature}");
    let elsewhere = format!("{}x?{fields}", path);
    let nothing = format!("{path}?{expires}&X-Amz-Signature=");
    let unsigned = path.to_owned();
    for (wrong, expected) in [(later, 403), (elsewhere, 403), (nothing, 400), (unsigned, 401)] {
        assert_eq!(status(&wrong).await, expected, "{wrong}");
    }
    let escaped = format!("{}/v1/parquet/native/events/..%2f..%2f..%2fDAYBOOK", service.url);
    let escaped = service.http.get(escaped).bearer_auth(&export).send().await.unwrap();
    assert_eq!(escaped.status(), 404);
    let with_token = service.http.get(path).bearer_auth(&export).send().await.unwrap();
    assert_eq!(with_token.status(), 200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(status(&url).await, 403, "it has expired");
}

#[tokio::test]
async fn a_cursor_of_nobodys_or_of_another_table_is_refused() {
    let ocsf =
        Spec { name: "ocsf".into(), columns: Columns::Ocsf(Mapping::default()), ..Spec::native() };
    let service = Service::with(Config { feeds: vec![Spec::native(), ocsf], ..config() }).await;
    sessions(&service, &["a"]).await;
    seal(&service).await;
    let page = pull(&service, "feed=ocsf&table=authentication", None).await;
    assert_eq!(page["items"][0]["rows"], json!(2), "the session's start and its end");
    let cursor = page["next_cursor"].as_str().unwrap();
    for wrong in
        [format!("feed=native&cursor={cursor}"), "cursor=x".into(), format!("cursor={cursor}x")]
    {
        let (status, problem) = service.get(&format!("/v1/parquet?{wrong}")).await;
        assert_eq!((status.as_u16(), name(&problem)), (400, "parameter"), "{problem}");
    }
    for (query, expected) in [("feed=none", 404), ("feed=ocsf", 400), ("feed=ocsf&table=x", 404)] {
        assert_eq!(service.get(&format!("/v1/parquet?{query}")).await.0, expected, "{query}");
    }
}

#[tokio::test]
async fn a_feed_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let options = || Options { index_heap_bytes: 16 << 20, ..Default::default() };
    let first = Service::on(tempfile::tempdir().unwrap(), &data, options(), config()).await;
    sessions(&first, &["a"]).await;
    seal(&first).await;
    let page = pull(&first, "feed=native", None).await;
    let Service { stop, running, engine, .. } = first;
    drop(stop);
    running.await.unwrap();
    tokio::task::spawn_blocking(move || engine.close()).await.unwrap().unwrap();
    let second = Service::on(dir, &data, options(), config()).await;
    sessions(&second, &["b"]).await;
    seal(&second).await;
    let cursor = page["next_cursor"].as_str();
    let new = pull(&second, "feed=native", cursor).await;
    assert_eq!((new["items"].as_array().unwrap().len(), &new["items"][0]["rows"]), (1, &json!(3)));
    let all = pull(&second, "feed=native", None).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn delta_sharing_says_what_there_is_and_what_is_wrong() {
    let service = Service::start().await;
    sessions(&service, &["a"]).await;
    seal(&service).await;
    pull(&service, "feed=native", None).await;
    let table = "/delta-sharing/shares/daybook/schemas/native/tables/events";
    let (_, shares) = service.get("/delta-sharing/shares").await;
    assert_eq!(shares["items"][0]["name"], json!("daybook"));
    let (_, tables) = service.get("/delta-sharing/shares/daybook/all-tables").await;
    assert_eq!(tables["items"][0]["schema"], json!("native"));
    let version = service.raw(&format!("{table}/version")).await;
    assert_eq!(version.headers()["delta-table-version"], "1");
    let lines = async |body: &str| -> Vec<Value> {
        let request = service.http.post(format!("{}{table}/query", service.url));
        let response = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response
            .text()
            .await
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = lines("{}").await;
    assert_eq!(all.len(), 3);
    assert_eq!(all[0], json!({"protocol": {"minReaderVersion": 1}}));
    assert_eq!(lines(r#"{"version":0}"#).await.len(), 2, "before the first file");
    let hint = |op: &str, time: &str| {
        let column = json!({"op": "column", "name": "time", "valueType": "timestamp"});
        let value = json!({"op": "literal", "value": time, "valueType": "timestamp"});
        json!({"jsonPredicateHints": json!({"op": op, "children": [column, value]}).to_string()})
            .to_string()
    };
    assert_eq!(lines(&hint("greaterThan", "2100-01-01T00:00:00Z")).await.len(), 2);
    assert_eq!(lines(&hint("greaterThan", "2000-01-01 00:00:00")).await.len(), 3);
    assert_eq!(lines(&hint("lessThan", "2000-01-01T00:00:00Z")).await.len(), 2);
    assert_eq!(lines(&hint("sounds", "?")).await.len(), 3, "a hint that is not understood is none");
    for (path, expected) in [
        ("/delta-sharing/shares/other/schemas".to_owned(), 404),
        (format!("{table}x/metadata"), 404),
        (format!("{table}/changes"), 400),
        (format!("{table}/changes?startingVersion=7"), 400),
        (format!("{table}/changes?startingVersion=2"), 200),
        (format!("{table}/changes?startingVersion=-1"), 400),
        (format!("{table}/version?startingTimestamp=yesterday"), 400),
    ] {
        let response = service.raw(&path).await;
        assert_eq!(response.status(), expected, "{path}");
        if expected != 200 {
            let body: Value = response.json().await.unwrap();
            assert!(body["errorCode"].is_string() && body["message"].is_string(), "{body}");
        }
    }
}

/// The native feed with its tables in a directory elsewhere.
fn elsewhere(dir: &std::path::Path) -> Spec {
    let location = Location::parse(&format!("file://{}", dir.display()), &BTreeMap::new());
    Spec { location: location.unwrap(), ..Spec::native() }
}

#[tokio::test]
async fn two_servers_write_one_table_and_each_serves_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let feed = elsewhere(dir.path());
    let mut services = Vec::new();
    for id in ["a", "b"] {
        let feeds = vec![feed.clone()];
        let service = Service::with(Config { feeds, ..config() }).await;
        sessions(&service, &[id]).await;
        seal(&service).await;
        services.push(service);
    }
    let mut cursors = Vec::new();
    for service in &services {
        // Of its own log.
        let page = pull(service, "feed=native", None).await;
        assert_eq!(
            (page["items"].as_array().unwrap().len(), &page["items"][0]["rows"]),
            (1, &json!(3))
        );
        cursors.push(page["next_cursor"].as_str().unwrap().to_owned());
    }
    let (status, refused) = services[1].get(&format!("/v1/parquet?cursor={}", cursors[0])).await;
    assert_eq!(status, 400, "{refused}");
    for service in &services {
        let table = "/delta-sharing/shares/daybook/schemas/native/tables/events/query";
        let until = Instant::now() + Duration::from_secs(30);
        let urls = loop {
            let asked = service.http.post(format!("{}{table}", service.url)).body("{}");
            let lines = asked.send().await.unwrap().text().await.unwrap();
            let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let urls = lines.filter_map(|line| Some(line["file"]["url"].as_str()?.to_owned()));
            let urls: Vec<String> = urls.collect();
            if urls.len() == 2 {
                break urls;
            }
            assert!(Instant::now() < until, "{urls:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        for url in urls {
            let file = service.http.get(&url).send().await.unwrap();
            assert_eq!(file.status(), 200, "{url}");
            assert!(file.bytes().await.unwrap().ends_with(b"PAR1"));
        }
        let (_, feeds) = service.get("/v1/feeds").await;
        let location = format!("file://{}", dir.path().display());
        assert_eq!(feeds["items"][0]["location"], json!(location));
    }
}

#[tokio::test]
async fn a_place_that_is_not_there_is_an_error_until_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("mounted");
    let feeds = vec![elsewhere(&place)];
    let service = Service::with(Config { feeds, ..config() }).await;
    sessions(&service, &["a"]).await;
    seal(&service).await;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, feeds) = service.get("/v1/feeds").await;
        let feed = &feeds["items"][0];
        if let Some(error) = feed["last_error"].as_str() {
            assert!(error.contains("there is no such directory"), "{error}");
            assert!(feed["failing_since"].is_string());
            break;
        }
        assert!(Instant::now() < until, "{feed}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::create_dir(&place).unwrap();
    let page = pull(&service, "feed=native", None).await;
    assert_eq!(page["items"][0]["rows"], json!(3));
}

#[tokio::test]
async fn an_older_copy_of_the_data_does_not_write_on_in_the_same_place() {
    let place = tempfile::tempdir().unwrap();
    let feeds = vec![elsewhere(place.path())];
    let service = Service::with(Config { feeds: feeds.clone(), ..config() }).await;
    sessions(&service, &["a"]).await;
    seal(&service).await;
    pull(&service, "feed=native", None).await;
    let copies = tempfile::tempdir().unwrap();
    let (backup, restored) = (copies.path().join("backup"), copies.path().join("restored"));
    let (engine, to) = (Arc::clone(&service.engine), backup.clone());
    tokio::task::spawn_blocking(move || engine.backup(&to)).await.unwrap().unwrap();
    // What comes after the copy goes into the table.
    sessions(&service, &["b"]).await;
    seal(&service).await;
    let first = pull(&service, "feed=native", None).await;
    let until = Instant::now() + Duration::from_secs(30);
    while pull(&service, "feed=native", None).await["items"].as_array().unwrap().len() < 2 {
        assert!(Instant::now() < until, "{first}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    service.end().await;

    let to = restored.clone();
    let restoring = move || daybook_engine::Engine::restore(&backup, &to, Options::default());
    tokio::task::spawn_blocking(restoring).await.unwrap().unwrap();
    let service =
        Service::on(copies, &restored, Options::default(), Config { feeds, ..config() }).await;
    // Its new events get the offsets that others have in the table.
    sessions(&service, &["c", "d", "e"]).await;
    seal(&service).await;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, feeds) = service.get("/v1/feeds").await;
        let feed = &feeds["items"][0];
        if feed["last_error"].as_str().is_some_and(|error| error.contains("is an older copy")) {
            break;
        }
        assert!(Instant::now() < until, "{feed}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nor now that it has grown past where the table is.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, feeds) = service.get("/v1/feeds").await;
    assert_eq!(feeds["items"][0]["rows_written"], json!(0), "{feeds}");
}

#[tokio::test]
async fn a_log_whose_last_segment_was_erased_is_no_older_copy() {
    let (place, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let feeds = vec![elsewhere(place.path())];
    let log = data.path().join("log");
    let of_nobody = tempfile::tempdir().unwrap();
    let with = Config { feeds: feeds.clone(), ..config() };
    let service = Service::on(of_nobody, &log, Options::default(), with).await;
    sessions(&service, &["a"]).await;
    seal(&service).await;
    pull(&service, "feed=native", None).await;
    let policy = json!({"policy": {"bytes_max": 1}, "by": "eve@example.com"}).to_string();
    let (status, _) = service.send(Method::PUT, "/v1/admin/retention", &policy).await;
    assert_eq!(status, 200);
    seal(&service).await;
    let run = "/v1/admin/retention/run?by=eve@example.com";
    let (status, report) = service.send(Method::POST, run, "").await;
    assert_eq!((status.as_u16(), &report["failed"]), (200, &json!([])), "{report}");
    assert_eq!(service.found("session:a").await, 0);
    service.end().await;

    let service = Service::on(data, &log, Options::default(), Config { feeds, ..config() }).await;
    sessions(&service, &["b"]).await;
    seal(&service).await;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, feeds) = service.get("/v1/feeds").await;
        let feed = &feeds["items"][0];
        assert_eq!(feed["last_error"], json!(null), "{feed}");
        if feed["rows_written"].as_u64().is_some_and(|rows| rows >= 3) {
            break;
        }
        assert!(Instant::now() < until, "{feed}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
