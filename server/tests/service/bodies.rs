//! Bodies as a whole: their compression, their size, and what is left when one fails.

use crate::support::{Service, command, config, name, ndjson};
use bytes::Bytes;
use daybook_server::Config;
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::Duration;

/// `count` events with distinct texts.
fn many(session: &str, count: u32) -> String {
    let events: Vec<Value> =
        (1..=count).map(|n| command(session, n, &format!("select word{n} from t"))).collect();
    ndjson(&events)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_encoding_stores_the_same() {
    let service = Service::start().await;
    let (plain, gz, zs) = (many("plain", 10_000), many("gz", 10_000), many("zs", 10_000));
    // Two members and two frames: both formats may be put one behind the other.
    let (first, second) = gz.split_at(gz.len() / 3);
    let gz = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    let (first, second) = zs.split_at(zs.len() / 2 + 7);
    let zs = [zstd(first.as_bytes()), zstd(second.as_bytes())].concat();
    for (encoding, body) in [(None, plain.into_bytes()), (Some("gzip"), gz), (Some("zstd"), zs)] {
        let (status, answer) = service.post_as(encoding, body).await;
        assert_eq!(status, 200, "{encoding:?}: {answer}");
        assert_eq!((&answer["accepted"], &answer["rejected_count"]), (&json!(10_000), &json!(0)));
    }
    assert_eq!(service.found("word9999").await, 3);
    let (_, stats) = service.get("/v1/stats").await;
    assert_eq!(stats["events"], 30_000);
}

#[tokio::test]
async fn pieces_of_any_size_make_the_same_lines() {
    let service = Service::start().await;
    for size in [1_usize, 7, 1_000, 65_536] {
        let count = if size == 1 { 20 } else { 2_000 };
        let body = many(&format!("by-{size}"), count).into_bytes();
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            body.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let body = reqwest::Body::wrap_stream(stream::iter(pieces));
        let (status, answer) = service.post(body).await;
        assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(count)), "{answer}");
        let (_, details) = service.get(&format!("/v1/sessions/by-{size}")).await;
        assert_eq!(details["commands"], count);
    }
}

#[tokio::test]
async fn an_empty_body_is_answered_with_zeros() {
    let service = Service::start().await;
    let zeros = json!({"accepted": 0, "duplicates": 0, "rejected": [], "rejected_count": 0,
        "first_offset": null, "last_offset": null});
    for encoding in [None, Some("identity"), Some("gzip"), Some("zstd")] {
        let (status, answer) = service.post_as(encoding, "").await;
        assert_eq!((status.as_u16(), &answer), (200, &zeros), "{encoding:?}");
    }
    let (status, answer) = service.post("\n \r\n\t\n\n").await;
    assert_eq!((status.as_u16(), &answer), (200, &zeros));
}

#[tokio::test]
async fn an_unknown_encoding_is_refused() {
    let service = Service::start().await;
    for encoding in ["br", "gzip, zstd", "deflate"] {
        let (status, problem) = service.post_as(Some(encoding), "x").await;
        assert_eq!((status.as_u16(), name(&problem)), (415, "content-encoding"));
    }
}

#[tokio::test]
async fn damaged_compression_says_what_was_stored_before_it() {
    let service = Service::start().await;
    let lines = many("s", 20_000);
    for (encoding, whole) in [("gzip", gzip(lines.as_bytes())), ("zstd", zstd(lines.as_bytes()))] {
        let cut = whole[..whole.len() - 100].to_vec();
        let mut turned = whole.clone();
        for byte in &mut turned[whole.len() / 2..whole.len() / 2 + 64] {
            *byte = !*byte;
        }
        for body in [cut, turned, b"not compressed at all".to_vec()] {
            let (status, problem) = service.post_as(Some(encoding), body).await;
            assert_eq!((status.as_u16(), name(&problem)), (400, "encoding"), "{problem}");
            let stored = &problem["stored"];
            let handled =
                stored["accepted"].as_u64().unwrap() + stored["duplicates"].as_u64().unwrap();
            assert!(stored["lines"].as_u64().unwrap() >= handled, "{problem}");
            assert_eq!(service.engine.stats().unwrap().events, stored_events(&service).await);
        }
        let (status, answer) = service.post_as(Some(encoding), whole).await;
        assert_eq!(status, 200);
        assert_eq!(
            answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap(),
            20_000
        );
        assert_eq!(stored_events(&service).await, 20_000);
    }
}

async fn stored_events(service: &Service) -> u64 {
    service.get("/v1/stats").await.1["events"].as_u64().unwrap()
}

/// Zeros without a line break, behind good lines.
fn bomb(encoding: &str, good: &str, zeros_mib: usize) -> Vec<u8> {
    let block = vec![b'0'; 1 << 20];
    if encoding == "gzip" {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(good.as_bytes()).unwrap();
        (0..zeros_mib).for_each(|_| encoder.write_all(&block).unwrap());
        encoder.finish().unwrap()
    } else {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(good.as_bytes()).unwrap();
        (0..zeros_mib).for_each(|_| encoder.write_all(&block).unwrap());
        encoder.finish().unwrap()
    }
}

#[tokio::test]
async fn a_zip_bomb_is_refused_with_what_was_stored_before_it() {
    let limits = Config { upload_bytes_max: 96 << 20, ..config() };
    let service = Service::with(limits).await;
    for encoding in ["gzip", "zstd"] {
        let body = bomb(encoding, &many(encoding, 5_000), 200);
        let before = peak_memory();
        let (status, problem) = service.post_as(Some(encoding), body).await;
        assert_eq!((status.as_u16(), name(&problem)), (413, "too-large"), "{problem}");
        // Whole chunks are stored; what had only been read is not.
        let accepted = problem["stored"]["accepted"].as_u64().unwrap();
        assert!((4_096..5_000).contains(&accepted), "{problem}");
        assert_eq!(problem["stored"]["lines"], accepted);
        let (_, details) = service.get(&format!("/v1/sessions/{encoding}")).await;
        assert_eq!(details["commands"], accepted);
        let grown = peak_memory() - before;
        assert!(grown < 80 << 20, "{encoding}: {grown} bytes more");
    }
}

#[tokio::test]
async fn a_body_that_unpacks_to_far_too_much_for_its_size_is_refused() {
    let service = Service::start().await;
    let (status, problem) = service.post_as(Some("zstd"), bomb("zstd", "", 512)).await;
    assert_eq!((status.as_u16(), name(&problem)), (413, "too-large"), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("times its size"), "{problem}");
}

#[tokio::test]
async fn a_frame_that_asks_for_a_huge_window_is_refused() {
    let service = Service::start().await;
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(many("s", 100).as_bytes()).unwrap();
    let (status, problem) = service.post_as(Some("zstd"), encoder.finish().unwrap()).await;
    assert_eq!((status.as_u16(), name(&problem)), (400, "encoding"), "{problem}");
}

#[tokio::test]
async fn a_plain_body_over_the_limit_is_refused_at_once_or_where_it_passes_it() {
    let service = Service::with(Config { upload_bytes_max: 2 << 20, ..config() }).await;
    let body = many("s", 40_000);
    assert!(body.len() > 4 << 20);
    let (status, problem) = service.post(body.clone()).await;
    assert_eq!((status.as_u16(), &problem["stored"]["accepted"]), (413, &json!(0)));

    let pieces: Vec<Result<Bytes, std::io::Error>> =
        body.as_bytes().chunks(50_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let (status, problem) = service.post(reqwest::Body::wrap_stream(stream::iter(pieces))).await;
    assert_eq!(status, 413);
    let accepted = problem["stored"]["accepted"].as_u64().unwrap();
    assert!(accepted >= 4_096, "{problem}");
    assert_eq!(stored_events(&service).await, accepted);
}

#[tokio::test]
async fn a_line_of_100_mib_is_read_past_and_named() {
    let service = Service::start().await;
    service.post(many("warm", 10)).await;
    let first = Bytes::from(format!("{}\n", command("s", 1, "select before")));
    let filler = Bytes::from(vec![b'a'; 64 << 10]);
    let last = Bytes::from(format!("\n{}\n", command("s", 2, "select behind")));
    let pieces = std::iter::once(first)
        .chain(std::iter::repeat_n(filler, (100 << 20) / (64 << 10)))
        .chain([last])
        .map(Ok::<_, std::io::Error>);
    let before = peak_memory();
    let (status, answer) = service.post(reqwest::Body::wrap_stream(stream::iter(pieces))).await;
    let grown = peak_memory() - before;
    assert_eq!(status, 200);
    assert_eq!((&answer["accepted"], &answer["rejected_count"]), (&json!(2), &json!(1)));
    assert_eq!(answer["rejected"][0]["line"], 2);
    let error = answer["rejected"][0]["error"].as_str().unwrap();
    assert!(error.contains(&(100 << 20).to_string()), "{error}");
    assert_eq!(service.found("before OR behind").await, 2);
    assert!(grown < 80 << 20, "{grown} bytes more");
}

#[tokio::test]
async fn a_line_of_just_16_mib_is_stored() {
    let service = Service::start().await;
    let shell = command("s", 1, "").to_string().len();
    let fits = command("s", 1, &"a".repeat((16 << 20) - shell)).to_string();
    let over = command("s", 2, &"a".repeat((16 << 20) - shell + 1)).to_string();
    let (status, answer) = service.post(format!("{fits}\r\n{over}\r\n")).await;
    assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(1)));
    assert_eq!(answer["rejected"][0]["line"], 2);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let service = Service::with(Config { idle_max: Duration::from_millis(300), ..config() }).await;
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(many("s", 5)))]);
    let body = futures_util::StreamExt::chain(first, stream::pending());
    let (status, problem) = service.post(reqwest::Body::wrap_stream(body)).await;
    assert_eq!((status.as_u16(), name(&problem)), (408, "idle"));
}

/// The most memory that this process has taken, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
