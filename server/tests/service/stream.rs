//! Streams of events over a WebSocket: in order, never lost, and bounded.

use crate::support::{Service, command, config, hanging, name, ndjson};
use crate::tls;
use daybook_server::Config;
use daybook_server::auth::tokens::{NewToken, Scope, Tokens};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// A producer that streams.
struct Producer<S> {
    socket: WebSocketStream<S>,
    hello: Value,
}

async fn connect(service: &Service, query: &str) -> Producer<TcpStream> {
    let address = service.url.trim_start_matches("http://");
    let socket = TcpStream::connect(address).await.unwrap();
    open(socket, &format!("ws://{address}/v1/events{query}")).await.unwrap()
}

async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    url: &str,
) -> Result<Producer<S>, Error> {
    let (socket, _) = client_async(url, socket).await?;
    let mut producer = Producer { socket, hello: Value::Null };
    producer.hello = producer.next().await;
    assert_eq!((&producer.hello["type"], &producer.hello["version"]), (&json!("hello"), &json!(1)));
    Ok(producer)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Producer<S> {
    async fn send(&mut self, events: &[Value]) {
        self.socket.send(Message::text(ndjson(events))).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.socket.next());
            match next.await.expect("an answer in time").expect("an answer").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// The next answer.
    async fn next(&mut self) -> Value {
        let message = self.message().await;
        serde_json::from_str(message.to_text().unwrap()).unwrap_or_else(|_| panic!("{message:?}"))
    }

    /// The ack of a frame.
    async fn ack(&mut self, frame: u64) -> Value {
        let ack = self.next().await;
        assert_eq!((&ack["type"], &ack["frame"]), (&json!("ack"), &json!(frame)), "{ack}");
        ack
    }

    /// Why the connection was closed.
    async fn end(&mut self) -> (u16, String) {
        match self.message().await {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

fn commands(session: &str, seqs: impl IntoIterator<Item = u32>) -> Vec<Value> {
    seqs.into_iter().map(|seq| command(session, seq, "select 1")).collect()
}

/// Takes the memory for uploads until it is dropped, so that frames wait.
struct Hold(Vec<tokio::task::JoinHandle<()>>);

impl Hold {
    async fn on(service: &Service) -> Hold {
        let hang = || {
            let url = format!("{}/v1/events", service.url);
            let request = service.http.post(url).body(hanging());
            tokio::spawn(async move { _ = request.send().await })
        };
        let hold = Hold(vec![hang(), hang()]);
        tokio::time::sleep(Duration::from_millis(300)).await;
        hold
    }

    fn release(self) {
        for upload in self.0 {
            upload.abort();
        }
    }
}

fn little_memory() -> Config {
    Config { uploads_bytes_max: 8 << 20, ..config() }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_frames_on_their_way_are_acknowledged_in_order() {
    let service = Service::start().await;
    let mut producer = connect(&service, "").await;
    let credit = producer.hello["credit"].as_u64().unwrap();
    let mut sent = 0;
    for frame in 0..200 {
        let events = commands("s", frame * 10..frame * 10 + 10);
        sent += ndjson(&events).len() as u64;
        producer.send(&events).await;
    }
    assert!(sent < credit);
    let (mut back, mut next) = (0, 0);
    for frame in 1..=200 {
        let ack = producer.ack(frame).await;
        assert_eq!((&ack["accepted"], &ack["rejected_count"]), (&json!(10), &json!(0)), "{ack}");
        // The log has them in the order in which they were sent.
        assert_eq!((&ack["first_offset"], &ack["last_offset"]), (&json!(next), &json!(next + 9)));
        next += 10;
        back += ack["credit"].as_u64().unwrap();
    }
    assert_eq!(back, sent);
    assert_eq!(service.engine.snapshot().events(), 2_000);
    let metrics = service.raw("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("daybook_streams 1\n"), "{metrics}");
    assert!(metrics.contains("daybook_ingest_lines_total{outcome=\"accepted\"} 2000"), "{metrics}");
    producer.socket.close(None).await.unwrap();
    while producer.socket.next().await.is_some_and(|message| message.is_ok()) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_keeps_to_its_credit_sends_any_amount() {
    let service = Service::with(Config {
        stream_credit_bytes: 20_000,
        stream_frame_bytes_max: 10_000,
        ..config()
    })
    .await;
    let mut producer = connect(&service, "").await;
    assert_eq!(
        (&producer.hello["credit"], &producer.hello["frame_bytes_max"]),
        (&json!(20_000), &json!(10_000))
    );
    let (mut credit, mut acked) = (20_000, 0);
    for frame in 0..300 {
        let events = ndjson(&commands("s", frame * 10..frame * 10 + 10));
        while credit < events.len() as u64 {
            acked += 1;
            credit += producer.ack(acked).await["credit"].as_u64().unwrap();
        }
        credit -= events.len() as u64;
        producer.socket.send(Message::text(events)).await.unwrap();
    }
    while acked < 300 {
        acked += 1;
        producer.ack(acked).await;
    }
    assert_eq!(service.engine.snapshot().events(), 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_past_the_credit_ends_it_after_what_was_sent_before() {
    let service = Service::with(Config {
        stream_credit_bytes: 4_000,
        stream_frame_bytes_max: 4_000,
        ..little_memory()
    })
    .await;
    let mut producer = connect(&service, "").await;
    let hold = Hold::on(&service).await;
    producer.send(&commands("s", 0..20)).await;
    producer.send(&commands("s", 20..40)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    hold.release();
    assert_eq!(producer.ack(1).await["accepted"], 20);
    let (code, reason) = producer.end().await;
    assert_eq!(code, 1008);
    assert!(reason.contains("frame 2") && reason.contains("credit"), "{reason}");
    assert_eq!(service.engine.snapshot().events(), 20);

    let mut producer = connect(&service, "").await;
    producer.send(&commands("t", 0..40)).await;
    let (code, reason) = producer.end().await;
    assert_eq!(code, 1009);
    assert!(reason.contains("stream_frame_bytes_max"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_goes_on_where_its_session_is_stored() {
    let service = Service::start().await;
    let mut acked = 0;
    let mut connections = 0;
    let mut from = 1;
    while acked < 3_000 {
        let mut producer = connect(&service, "?session=s&session=none%2C%20with%20commas").await;
        connections += 1;
        let place = &producer.hello["sessions"][0];
        if connections > 1 {
            let through = u32::try_from(place["through"].as_u64().unwrap()).unwrap();
            assert_eq!(place["first"], 1);
            assert!(through >= acked, "acknowledged through {acked}, but stored through {through}");
            // What the server says to have needs no ack any more.
            (from, acked) = (through + 1, through);
        } else {
            assert_eq!(place, &json!({"session": "s", "first": null, "through": null}));
        }
        assert_eq!(producer.hello["sessions"][1]["session"], "none, with commas");
        // Then the connection breaks, with frames on their way.
        let mut frames = Vec::new();
        while from <= 3_000 && frames.len() < 20 {
            let until = (from + 37).min(3_001);
            producer.send(&commands("s", from..until)).await;
            frames.push(until - 1);
            from = until;
        }
        let listened = if connections % 2 == 0 { frames.len() } else { frames.len() / 2 };
        for (number, last) in (1..).zip(frames).take(listened) {
            let ack = producer.ack(number).await;
            assert_eq!(ack["rejected_count"], 0, "{ack}");
            acked = last;
        }
    }
    assert!(connections > 2);
    assert_eq!(service.engine.snapshot().events(), 3_000);

    // A gap is where it stops, whatever came after it; also in what is sealed.
    service.post(ndjson(&commands("gap", [7, 8, 9, 11, 12, 40]))).await;
    for _ in 0..2 {
        let producer = connect(&service, "?session=gap").await;
        let expected = json!([{"session": "gap", "first": 7, "through": 9}]);
        assert_eq!(producer.hello["sessions"], expected);
        service.engine.seal_now().unwrap();
    }
    service.post(ndjson(&commands("gap", [10]))).await;
    let producer = connect(&service, "?session=gap").await;
    assert_eq!(producer.hello["sessions"][0]["through"], 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_told_in_its_ack_and_stops_nothing() {
    let service = Service::start().await;
    let mut producer = connect(&service, "").await;
    let good = command("s", 1, "select 1").to_string();
    producer.socket.send(Message::text(format!("{good}\nnonsense\n\n{{}}"))).await.unwrap();
    let ack = producer.ack(1).await;
    assert_eq!((&ack["accepted"], &ack["rejected_count"]), (&json!(1), &json!(2)));
    assert_eq!((&ack["rejected"][0]["line"], &ack["rejected"][1]["line"]), (&json!(2), &json!(4)));
    // What is not UTF-8 is a bad line too, where the frame is binary.
    producer.socket.send(Message::binary([b"\xff\xfe\n", good.as_bytes()].concat())).await.unwrap();
    let ack = producer.ack(2).await;
    assert_eq!((&ack["duplicates"], &ack["rejected_count"]), (&json!(1), &json!(1)));
    producer.socket.send(Message::text("")).await.unwrap();
    assert_eq!(producer.ack(3).await["accepted"], 0);
    let packed = zstd::encode_all(ndjson(&commands("s", 2..500)).as_bytes(), 1).unwrap();
    assert!(packed.len() < 10_000);
    producer.socket.send(Message::binary(packed)).await.unwrap();
    assert_eq!(producer.ack(4).await["accepted"], 498);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_can_not_be_stored_ends_it_and_nothing_after_it_is_acknowledged() {
    let service = Service::start().await;
    let mut producer = connect(&service, "").await;
    producer.send(&commands("s", 1..10)).await;
    let mut packed = zstd::encode_all(ndjson(&commands("s", 10..200)).as_bytes(), 1).unwrap();
    packed.truncate(packed.len() / 2);
    producer.socket.send(Message::binary(packed)).await.unwrap();
    producer.send(&commands("s", 200..300)).await;
    producer.ack(1).await;
    let error = producer.next().await;
    assert_eq!(
        (&error["type"], &error["frame"], name(&error["problem"])),
        (&json!("error"), &json!(2), "encoding")
    );
    assert_eq!(producer.end().await.0, 1007);

    // A bomb is not unpacked.
    let mut producer = connect(&service, "").await;
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 1).unwrap();
    producer.socket.send(Message::binary(bomb)).await.unwrap();
    assert_eq!(name(&producer.next().await["problem"]), "too-large");
    assert_eq!(producer.end().await.0, 1009);

    service.engine.close().unwrap();
    let mut producer = connect(&service, "").await;
    producer.send(&commands("t", 0..1)).await;
    assert_eq!(name(&producer.next().await["problem"]), "shutting-down");
    assert_eq!(producer.end().await.0, 1013);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_websocket_harm_nobody() {
    let service = Service::start().await;
    let address = service.url.trim_start_matches("http://");
    let mut well = connect(&service, "").await;
    let mut seed = 7_u64;
    for round in 0..50 {
        let mut raw = TcpStream::connect(address).await.unwrap();
        let ask = format!(
            "GET /v1/events HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        raw.write_all(ask.as_bytes()).await.unwrap();
        let garbage: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        })
        .take(300)
        .collect();
        // It may be closed before all of it is taken.
        let _ = raw.write_all(&garbage).await;
        if round % 2 == 0 {
            let _ = raw.shutdown().await;
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(10), raw.read_to_end(&mut rest))
                .await
                .unwrap();
            assert!(rest.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&rest));
        }
    }
    well.send(&commands("s", 0..5)).await;
    assert_eq!(well.ack(1).await["accepted"], 5);
    assert_eq!(service.engine.snapshot().events(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_acknowledges_what_was_read_and_says_goodbye() {
    let mut service = Service::with(little_memory()).await;
    let (mut producer, mut quiet) = (connect(&service, "").await, connect(&service, "").await);
    let hold = Hold::on(&service).await;
    for frame in 0..5 {
        producer.send(&commands("s", frame * 10..frame * 10 + 10)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    service.stop.take().unwrap().send(()).unwrap();
    let (code, reason) = quiet.end().await;
    assert_eq!(code, 1001, "{reason}");
    assert!(!service.running.is_finished());
    // Read, but not taken in yet.
    hold.release();
    for frame in 1..=5 {
        assert_eq!(producer.ack(frame).await["accepted"], 10);
    }
    assert_eq!(producer.end().await.0, 1001);
    drop((producer, quiet));
    let stopped = tokio::time::timeout(Duration::from_secs(5), &mut service.running).await;
    stopped.expect("it stops").unwrap();
    assert_eq!(service.engine.snapshot().events(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_asked_and_then_let_go() {
    let service = Service::with(Config { idle_max: Duration::from_millis(600), ..config() }).await;
    let mut producer = connect(&service, "").await;
    let started = Instant::now();
    // One that answers pings stays.
    let idle = tokio::time::timeout(Duration::from_millis(2_000), producer.message()).await;
    assert!(idle.is_err(), "{idle:?}");
    producer.send(&commands("s", 0..1)).await;
    producer.ack(1).await;
    // One that does not is let go.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (code, reason) = producer.end().await;
    assert_eq!(code, 1008, "{reason}");
    assert!(reason.contains("idle_max") && started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_no_answers_holds_up_nobody() {
    let limits = Config { idle_max: Duration::from_millis(800), ..little_memory() };
    let service = Service::with(limits).await;
    let mut deaf = connect(&service, "").await;
    // Refusals are long; it never reads them.
    let lines = "nonsense\n".repeat(900);
    let shouting = tokio::spawn(async move {
        while deaf.socket.send(Message::text(lines.clone())).await.is_ok() {}
        deaf
    });
    let mut producer = connect(&service, "").await;
    for frame in 1..=30 {
        producer.send(&commands("s", [frame])).await;
        producer.ack(u64::from(frame)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = tokio::time::timeout(Duration::from_secs(20), shouting).await;
    drop(ended.expect("it is let go").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_producer_gets_no_stream() {
    let service = Service::with(Config { streams_max: 1, ..config() }).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let url = format!("ws://{address}/v1/events");
    let attempt = async |url: &str, origin: Option<&str>| {
        let mut request = url.into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let socket = TcpStream::connect(&address).await.unwrap();
        match client_async(request, socket).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    };
    let refused = async |url: &str, origin| attempt(url, origin).await.err();
    assert_eq!(refused(&url, Some("https://evil.example")).await, Some(403));
    assert_eq!(refused(&format!("{url}?sesion=s"), None).await, Some(400));
    let many: String = (0..101).map(|n| format!("session={n}&")).collect();
    assert_eq!(refused(&format!("{url}?{many}"), None).await, Some(400));
    let first = attempt(&url, Some(&service.url)).await.unwrap();
    assert_eq!(refused(&url, None).await, Some(503));
    drop(first);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(attempt(&url, None).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_through_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, config) = tls::secured(dir.path());
    let service = Service::with(config).await;
    let socket = tls::connect(&service, &ca, None).await.unwrap();
    let mut producer = open(socket, "wss://localhost/v1/events?session=s").await.unwrap();
    producer.send(&commands("s", 0..100)).await;
    assert_eq!(producer.ack(1).await["accepted"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_takes_a_token_is_stamped_with_it_and_ends_with_it() {
    let service = Service::with(Config { idle_max: Duration::from_millis(600), ..config() }).await;
    let tokens = Tokens::open(service.engine.dir()).unwrap();
    let make = |name: &str| {
        let (name, scopes) = (Some(name.to_owned()), vec![Scope::Ingest]);
        tokens.create(NewToken { name, scopes, ..NewToken::default() }).unwrap()
    };
    let ((token, secret), (_, other)) = (make("proxy"), make("another"));
    tokio::time::sleep(Duration::from_millis(400)).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    let url = format!("ws://{address}/v1/events?session=s");
    let with = async |secret: &str| {
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
        let socket = TcpStream::connect(&address).await.unwrap();
        let (socket, _) = client_async(request, socket).await?;
        let mut producer = Producer { socket, hello: Value::Null };
        producer.hello = producer.next().await;
        Ok::<_, Error>(producer)
    };
    let Err(Error::Http(response)) = with("none").await else { panic!("it takes a token") };
    assert_eq!(response.status().as_u16(), 401);
    let mut producer = with(&secret).await.unwrap();
    producer.send(&commands("s", 0..3)).await;
    assert_eq!(producer.ack(1).await["accepted"], 3);
    let mut stranger = with(&other).await.unwrap();
    stranger.send(&commands("s", 3..5)).await;
    let ack = stranger.ack(1).await;
    assert_eq!((&ack["accepted"], &ack["rejected_count"]), (&json!(0), &json!(2)), "{ack}");
    // Nor is it told how far the session has come.
    for (secret, through) in [(&secret, json!(2)), (&other, Value::Null)] {
        assert_eq!(with(secret).await.unwrap().hello["sessions"][0]["through"], through);
    }
    tokens.revoke(&token.id).unwrap();
    let (code, reason) = producer.end().await;
    assert!(code == 1008 && reason.contains("token"), "{code} {reason}");
}
