//! The pages, and what protects them.

use crate::support::{Service, config, name};
use daybook_server::{Config, Error, Server};
use reqwest::header::{ACCEPT, HOST, ORIGIN};
use std::sync::Arc;

#[tokio::test]
async fn every_file_that_the_page_names_is_there() {
    let service = Service::start().await;
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/ui");
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name().into_string().unwrap();
        let response = service.raw(&format!("/ui/{file}")).await;
        assert_eq!(response.status(), 200, "{file} is not in the table of files");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let expected = match file.rsplit('.').next().unwrap() {
            "html" => "text/html",
            "css" => "text/css",
            "js" => "text/javascript",
            _ => "image/svg+xml",
        };
        assert!(kind.starts_with(expected), "{file}: {kind}");
        // As it is there, but for lines that are comments only.
        let (served, source) =
            (response.bytes().await.unwrap(), std::fs::read(entry.path()).unwrap());
        let mut lines = source.split(|byte| *byte == b'\n');
        for line in served.split(|byte| *byte == b'\n') {
            let line = &unversioned(line);
            assert!(lines.any(|other| other == line), "{file}: {}", String::from_utf8_lossy(line));
        }
    }
    let views = [
        "/",
        "/search",
        "/sessions",
        "/reviews",
        "/exports",
        "/status",
        "/cases",
        "/queue",
        "/report",
    ];
    for path in views.into_iter().chain(["/sessions/abc", "/sessions/a%2Fb"]) {
        let request = service.http.get(format!("{}{path}", service.url));
        let response = request.header(ACCEPT, "text/html,*/*;q=0.8").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.text().await.unwrap().starts_with("<!doctype html>"), "{path}");
    }
}

/// A line of the page without the version in the names of its files.
fn unversioned(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    match text.split_once("=\"/ui/") {
        Some((before, after)) if text.trim_start().starts_with('<') => {
            let name = after.split_once('/').map_or(after, |(_, name)| name);
            format!("{before}=\"/ui/{name}").into_bytes()
        }
        _ => line.to_vec(),
    }
}

#[tokio::test]
async fn a_browser_keeps_the_files_of_a_version_and_asks_for_the_page() {
    let service = Service::start().await;
    let response = service.raw("/sessions").await;
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let page = response.text().await.unwrap();
    let names: Vec<&str> = page.split('"').filter(|text| text.starts_with("/ui/")).collect();
    assert!(names.len() > 10, "{page}");
    for name in names {
        let response = service.raw(name).await;
        assert_eq!(response.status(), 200, "{name}");
        let kept = response.headers()["cache-control"].to_str().unwrap();
        assert!(kept.contains("immutable"), "{name}: {kept}");
    }
    // One that another version's page asks for is as it is now, and is not kept under that name.
    let response = service.raw("/ui/0123456789abcdef/app.js").await;
    assert_eq!(
        (response.status().as_u16(), response.headers()["cache-control"].to_str().unwrap()),
        (200, "no-cache")
    );
    assert_eq!(service.raw("/ui/0123456789abcdef/none.js").await.status(), 404);
}

#[tokio::test]
async fn a_file_that_did_not_change_is_not_sent_again() {
    let service = Service::start().await;
    let url = format!("{}/ui/app.js", service.url);
    let first = service.http.get(&url).send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let again = service.http.get(&url).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.content_length()), (304, Some(0)));
    let other = service.http.get(&url).header("if-none-match", "\"0\"").send().await.unwrap();
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_browsers_obey() {
    let service = Service::start().await;
    for path in [
        "/",
        "/ui/app.js",
        "/v1/sessions",
        "/v1/sessions/none",
        "/nothing",
        "/metrics",
        "/openapi.json",
    ] {
        let response = service.raw(path).await;
        let headers = response.headers();
        assert!(
            headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'")
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["x-frame-options"], "DENY");
    }
    let response = service.raw("/v1/sessions").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_asks() {
    let service = Service::start().await;
    for (path, compressed) in
        [("/openapi.json", true), ("/healthz", false), ("/v1/export?format=csv", false)]
    {
        let url = format!("{}{path}", service.url);
        let response =
            service.http.get(url).header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!(response.headers().contains_key("content-encoding"), compressed, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let service = Service::start().await;
    let get = |host: &'static str| {
        service.http.get(format!("{}/v1/sessions", service.url)).header(HOST, host).send()
    };
    for host in ["evil.example.com", "evil.example.com:7330", "127.0.0.1.example.com", "10.0.0.1"] {
        let response = get(host).await.unwrap();
        assert_eq!(response.status(), 421, "{host}");
        assert_eq!(name(&response.json().await.unwrap()), "host");
    }
    for host in ["localhost", "localhost:7330", "127.0.0.1:1", "[::1]:7330"] {
        assert_eq!(get(host).await.unwrap().status(), 200, "{host}");
    }
    let post = service.http.post(format!("{}/v1/events", service.url)).body("");
    let response = post.header(ORIGIN, "https://evil.example.com").send().await.unwrap();
    assert_eq!(response.status(), 403);
    let post = service.http.post(format!("{}/v1/events", service.url)).body("");
    let response = post.header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(response.status(), 403);
    let post = service.http.post(format!("{}/v1/events", service.url)).body("");
    assert_eq!(post.header(ORIGIN, &service.url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_tokens_only_loopback_is_listened_on() {
    let service = Service::start().await;
    let wide = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config() };
    let refused = Server::bind(wide, Arc::clone(&service.engine)).await.unwrap_err();
    assert!(matches!(refused, Error::NotLoopback(_)), "{refused}");
}
