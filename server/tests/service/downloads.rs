//! A session as a file: formats, ranges, and what a session that grows makes of them.

use super::support::{Service, command, end, name, ndjson, start};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

const TABLE: &str = " id | name \n----+------\n  1 | Ann\n(1 row)\n";

async fn fetch(
    service: &Service,
    path: &str,
    headers: &[(&'static str, &str)],
) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = service.http.get(format!("{}{path}", service.url));
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_str(value).unwrap());
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap().to_vec())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn with_output(seq: u32, text: &str) -> Value {
    json!({"session": "s/1 \"x\"", "seq": seq, "time": "2026-03-01T09:00:02Z", "kind": "output",
        "command": 2, "stream": "result", "text": text})
}

async fn store(service: &Service) {
    let mut events = vec![start("s/1 \"x\""), command("s/1 \"x\"", 2, "select * from t")];
    events.push(with_output(3, TABLE));
    events.extend((4..400).map(|seq| {
        json!({"session": "s/1 \"x\"", "seq": seq, "time": "2026-03-01T09:00:03Z", "kind": "terminal.output",
            "text": format!("line {seq} </script><img src=x onerror=alert(1)>\r\n")})
    }));
    events.push(end("s/1 \"x\"", 400));
    assert_eq!(service.post(ndjson(&events)).await.1["accepted"], events.len());
}

const PATH: &str = "/v1/sessions/s%2F1%20%22x%22/download?format=";

#[tokio::test]
async fn every_format_comes_whole_and_in_ranges() {
    let service = Service::start().await;
    store(&service).await;
    for (format, ending, media_type) in [
        ("txt", "txt", "text/plain; charset=utf-8"),
        ("ndjson", "ndjson", "application/x-ndjson"),
        ("csv", "csv", "text/csv"),
        ("cast", "cast", "application/x-asciicast"),
        ("asciicast", "cast", "application/x-asciicast"),
        ("cast3", "cast", "application/x-asciicast"),
        ("parquet", "parquet", "application/vnd.apache.parquet"),
        ("html", "html", "text/html; charset=utf-8"),
    ] {
        let path = format!("{PATH}{format}");
        // A range before the whole: how long the file is, is not known yet.
        let (status, headers, first) = fetch(&service, &path, &[("range", "bytes=0-9")]).await;
        assert_eq!((status, first.len()), (206, 10), "{format}");
        let etag = header(&headers, "etag").to_owned();
        let total: usize =
            header(&headers, "content-range").rsplit_once('/').unwrap().1.parse().unwrap();
        let (status, headers, whole) = fetch(&service, &path, &[("accept-encoding", "gzip")]).await;
        assert_eq!((status, whole.len()), (200, total), "{format}");
        assert_eq!(header(&headers, "content-type"), media_type);
        assert_eq!(header(&headers, "content-encoding"), "");
        assert_eq!(header(&headers, "etag"), etag);
        assert_eq!(header(&headers, "accept-ranges"), "bytes");
        let name = format!("attachment; filename=\"s_1__x_.{ending}\"");
        assert_eq!(header(&headers, "content-disposition"), name);
        assert_eq!(whole[..10], first[..]);
        // In pieces, as a download that breaks off again and again is gone on with.
        let mut pieces = Vec::new();
        while pieces.len() < total {
            let range = format!("bytes={}-{}", pieces.len(), pieces.len() + total / 3);
            let asked = [("range", range.as_str()), ("if-range", &etag)];
            let (status, headers, piece) = fetch(&service, &path, &asked).await;
            assert_eq!(status, 206, "{format}");
            assert_eq!(header(&headers, "content-length"), piece.len().to_string());
            pieces.extend(piece);
            service.engine.seal_now().unwrap();
        }
        assert!(pieces == whole, "{format} is not the same in pieces");
        let (status, _, tail) = fetch(&service, &path, &[("range", "bytes=-5")]).await;
        assert_eq!((status, &tail[..]), (206, &whole[total - 5..]));
        let (status, headers, _) = fetch(&service, &path, &[("range", "bytes=99999999-")]).await;
        assert_eq!(
            (status, header(&headers, "content-range")),
            (416, &*format!("bytes */{total}"))
        );
        let (status, _, nothing) = fetch(&service, &path, &[("if-none-match", &etag)]).await;
        assert_eq!((status, nothing.len()), (304, 0));
        let head = service.http.head(format!("{}{path}", service.url)).send().await.unwrap();
        assert_eq!(header(head.headers(), "content-length"), total.to_string(), "{format}");
    }
}

#[tokio::test]
async fn a_session_that_grows_comes_as_a_whole_again() {
    let service = Service::start().await;
    store(&service).await;
    let path = format!("{PATH}ndjson");
    let (_, headers, old) = fetch(&service, &path, &[]).await;
    let etag = header(&headers, "etag").to_owned();
    let more = json!({"session": "s/1 \"x\"", "seq": 401, "time": "2026-03-01T09:09:00Z", "kind": "note",
        "by": "ann@example.com", "text": "later"});
    assert_eq!(service.post(ndjson(&[more])).await.1["accepted"], 1);
    let asked = [("range", "bytes=10-"), ("if-range", etag.as_str())];
    let (status, headers, new) = fetch(&service, &path, &asked).await;
    assert_eq!(status, 200);
    assert_ne!(header(&headers, "etag"), etag);
    assert!(new.starts_with(&old) && new.len() > old.len());
    assert_eq!(fetch(&service, &path, &[("if-none-match", &etag)]).await.0, 200);
}

#[tokio::test]
async fn what_can_not_be_downloaded_says_why() {
    let service = Service::start().await;
    store(&service).await;
    let bare = [command("bare", 1, "select 1")];
    assert_eq!(service.post(ndjson(&bare)).await.1["accepted"], 1);
    for (path, status, problem) in [
        ("/v1/sessions/none/download?format=txt", 404, "not-found"),
        ("/v1/sessions/bare/download?format=csv", 404, "not-found"),
        ("/v1/sessions/bare/download?format=exe", 400, "parameter"),
        ("/v1/sessions/bare/download", 400, "parameter"),
        ("/v1/sessions/bare/download?format=txt&x=1", 400, "parameter"),
    ] {
        let (found, said) = service.get(path).await;
        assert_eq!((found.as_u16(), name(&said)), (status, problem), "{path}");
    }
}

#[tokio::test]
async fn the_page_is_one_file_in_which_nothing_recorded_is_markup() {
    let service = Service::start().await;
    store(&service).await;
    let (_, _, bytes) = fetch(&service, &format!("{PATH}html"), &[]).await;
    let page = String::from_utf8(bytes).unwrap();
    assert!(page.contains("default-src 'none'; script-src 'sha256-"));
    assert!(!page.contains("<img") && page.contains("&lt;img src=x"));
    // Its own script, and blocks of frames, in which no tag is ended either.
    assert_eq!(page.matches("</script").count(), page.matches("<script").count());
    let frames = page.split("class=\"frames\" data-from=\"").nth(1).unwrap();
    let json = frames.split_once('>').unwrap().1.split_once("</script>").unwrap().0;
    let frames: Value = serde_json::from_str(json).unwrap();
    assert!(frames[1].to_string().contains("</script><img src=x onerror"), "{}", frames[1]);
}
