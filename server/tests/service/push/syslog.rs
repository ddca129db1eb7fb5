//! Sinks of syslog, over TLS and without.

use super::{offset, on, once, selects, sink, status, stored, with};
use crate::clients::until;
use crate::support::{Service, command, end, ndjson, start};
use crate::tls::{Ca, ca, issue};
use daybook_server::push::Sink;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A message that came, and on which connection.
#[derive(Clone, Debug)]
pub struct Message {
    connection: usize,
    pub text: String,
}

impl Message {
    /// What stands behind the header.
    pub fn event(&self) -> Value {
        let (_, json) = self.text.split_once('\u{feff}').expect("a BOM");
        serde_json::from_str(json).unwrap()
    }
}

/// A receiver of syslog.
struct Receiver {
    address: String,
    messages: Arc<Mutex<Vec<Message>>>,
    accepting: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// Who a receiver is, and whom it lets in.
fn acceptor(dir: &Path, ca: &Ca, asks: bool) -> TlsAcceptor {
    let (cert, key) = issue(ca, dir, "receiver");
    let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let config = ServerConfig::builder();
    let config = if asks {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        config.with_client_cert_verifier(verifier)
    } else {
        config.with_no_client_auth()
    };
    Arc::new(config.with_single_cert(chain, key).unwrap()).into()
}

impl Receiver {
    /// One that takes everything, or only so many messages on each connection and then says nothing.
    async fn start(address: &str, tls: Option<TlsAcceptor>, most: usize) -> Receiver {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let messages: Arc<Mutex<Vec<Message>>> = Arc::default();
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let (all, tasks) = (Arc::clone(&messages), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, all) = (tls.clone(), Arc::clone(&all));
                let task = tokio::spawn(async move {
                    match tls {
                        None => read(stream, connection, &all, most).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => read(stream, connection, &all, most).await,
                            Err(_) => return,
                        },
                    };
                });
                tasks.lock().unwrap().push(task);
            }
        });
        Receiver { address, messages, accepting, connections }
    }

    /// Ends it as a process is ended that is killed: what it has not read is lost.
    async fn kill(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        for task in connections {
            task.abort();
            let _ = task.await;
        }
    }

    fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    fn events(&self) -> Vec<Value> {
        self.messages().iter().map(Message::event).collect()
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address.replace("127.0.0.1", "localhost"))
    }

    async fn has(&self, count: usize) {
        until("the messages are there", async || once(self.events()).len() >= count).await;
    }
}

/// Reads messages by their lengths until the connection ends.
async fn read(
    mut stream: impl AsyncRead + Unpin,
    connection: usize,
    all: &Mutex<Vec<Message>>,
    most: usize,
) -> Option<()> {
    for _ in 0..most {
        let mut length = 0;
        loop {
            match stream.read_u8().await.ok()? {
                b' ' => break,
                digit => length = length * 10 + usize::from(digit.checked_sub(b'0').unwrap()),
            }
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.ok()?;
        let text = String::from_utf8(bytes).unwrap();
        all.lock().unwrap().push(Message { connection, text });
    }
    // Still there, with its ears closed.
    std::future::pending().await
}

/// On each connection events come in order, and what is there is what was stored.
fn check(lives: &[Vec<Message>], stored: &[Value]) {
    let mut all = Vec::new();
    for messages in lives {
        for connection in messages.iter().map(|m| m.connection).collect::<BTreeSet<_>>() {
            let of = messages.iter().filter(|message| message.connection == connection);
            let offsets: Vec<u64> = of.map(|message| offset(&message.event())).collect();
            assert!(offsets.is_sorted(), "{offsets:?}");
        }
        all.extend(messages.iter().map(Message::event));
    }
    let mut all = once(all);
    all.sort_by_key(offset);
    assert_eq!(all.len(), stored.len());
    assert_eq!(all, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_over_tls_have_the_header_of_rfc_5424_and_the_event() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), ca());
    std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
    let receiver =
        Receiver::start("127.0.0.1:0", Some(acceptor(dir.path(), &ca, false)), usize::MAX).await;
    let mut sink = Sink {
        ca_file: Some(dir.path().join("ca.pem")),
        facility: 16,
        ..sink("siem", &receiver.url("syslog+tls"))
    };
    sink.set_hostname("pam-1").unwrap();
    sink.set_enterprise("99.1").unwrap();
    let service = Service::with(with(&[sink])).await;
    let mut first = start("s]\"\\");
    (first["user"], first["role"]) = (json!("al\u{1}ice\"]\\"), json!("r\nx"));
    let mut blocked = command("s]\"\\", 2, "drop");
    blocked["verdict"] = json!("blocked");
    service.post(ndjson(&[first, blocked])).await;
    receiver.has(2).await;
    let stored = service.raw("/v1/export?format=ndjson&q=kind:command").await.text().await.unwrap();
    let text = receiver.messages()[1].text.clone();
    let head =
        format!("<132>1 2026-03-01T09:00:01.500000Z pam-1 daybook {} command ", std::process::id());
    let data = "[daybook@99.1 session=\"s\\]\\\"\\\\\" seq=\"2\" offset=\"1\" user=\"al\u{1}ice\\\"\\]\\\\\" role=\"r\nx\"]";
    assert_eq!(text, format!("{head}{data} \u{feff}{}", stored.trim_end()));
    assert!(receiver.messages()[0].text.starts_with("<134>1 "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_killed_again_and_again_has_everything_in_the_end() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), ca());
    std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
    let tls = acceptor(dir.path(), &ca, false);
    let mut receiver = Receiver::start("127.0.0.1:0", Some(tls.clone()), usize::MAX).await;
    let sink = Sink {
        ca_file: Some(dir.path().join("ca.pem")),
        batch_events_max: 50,
        ..sink("siem", &receiver.url("syslog+tls"))
    };
    let service = Service::with(with(&[sink])).await;
    let mut lives = Vec::new();
    let address = receiver.address.clone();
    for life in 0..4 {
        // The last life but one reads a little and then nothing: its machine has taken more than it has.
        let most = if life == 2 { 60 } else { usize::MAX };
        receiver.kill().await;
        selects(&service, "s", life * 400..life * 400 + 200).await;
        receiver = Receiver::start(&address, Some(tls.clone()), most).await;
        selects(&service, "s", life * 400 + 200..life * 400 + 400).await;
        let some = if life == 2 { 60 } else { 300 };
        until("some came", async || receiver.messages().len() >= some).await;
        if life < 3 {
            lives.push(receiver.messages());
        }
    }
    let sent = stored(&service, &["s"]).await;
    until("the last came", async || {
        receiver.events().iter().any(|event| offset(event) == sent.len() as u64 - 1)
    })
    .await;
    lives.push(receiver.messages());
    check(&lives, &sent);
}

/// Its machine confirms everything; the program reads nothing, and ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_receivers_machine_took_and_nobody_read_is_sent_again_though_nothing_new_comes() {
    let receiver = Receiver::start("127.0.0.1:0", None, 0).await;
    let service = Service::with(with(&[sink("siem", &receiver.url("syslog+tcp"))])).await;
    selects(&service, "s", 0..20).await;
    until("it counts as taken", async || status(&service, "siem").await["sent_events"] == 20).await;
    assert!(receiver.messages().is_empty());
    let address = receiver.address.clone();
    receiver.kill().await;
    let receiver = Receiver::start(&address, None, usize::MAX).await;
    receiver.has(20).await;
    check(&[receiver.messages()], &stored(&service, &["s"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_begins_as_many_events_earlier_as_is_said_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let receiver = Receiver::start("127.0.0.1:0", None, usize::MAX).await;
    for resend in [0, 3] {
        let sinks = [Sink { resend, ..sink("siem", &receiver.url("syslog+tcp")) }];
        let service = on(&data, &sinks).await;
        let (from, before) = (if resend == 0 { 0 } else { 10 }, receiver.messages().len());
        selects(&service, "s", from..from + 10).await;
        let last = u64::from(from + 9);
        until("it is noted", async || status(&service, "siem").await["through"] == last + 1).await;
        until("it is there", async || receiver.events().iter().any(|event| offset(event) == last))
            .await;
        service.end().await;
        assert_eq!(receiver.messages().len(), before + 10);
    }
    let sinks = [Sink { resend: 3, ..sink("siem", &receiver.url("syslog+tcp")) }];
    let service = on(&data, &sinks).await;
    until("three come again", async || receiver.messages().len() == 23).await;
    let offsets: Vec<u64> = receiver.events().iter().map(offset).collect();
    assert_eq!(offsets, (0..20).chain(17..20).collect::<Vec<_>>());
    assert_eq!(status(&service, "siem").await["through"], 20);
    selects(&service, "s", 20..21).await;
    receiver.has(21).await;
    assert_eq!(receiver.messages().len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_nothing_is_given_up_in_time_and_gets_everything_later() {
    let receiver = Receiver::start("127.0.0.1:0", None, 0).await;
    let sink = Sink {
        timeout: Duration::from_millis(300),
        batch_bytes_max: 64 << 20,
        ..sink("siem", &receiver.url("syslog+tcp"))
    };
    let service = Service::with(with(&[sink])).await;
    // Far more than fits into the buffers of both machines.
    let text = "x".repeat(4 << 20);
    let events: Vec<Value> = (0..8).map(|seq| command("s", seq, &text)).collect();
    service.post(ndjson(&events)).await;
    until("it fails", async || {
        let said = status(&service, "siem").await;
        said["last_error"].as_str().is_some_and(|error| error.contains("(timeout)"))
    })
    .await;
    assert_eq!(status(&service, "siem").await["through"], 0);
    let address = receiver.address.clone();
    receiver.kill().await;
    let receiver = Receiver::start(&address, None, usize::MAX).await;
    receiver.has(8).await;
    let events = once(receiver.events());
    assert!(events.iter().all(|event| event["input"].as_str().unwrap().len() == text.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_not_be_reached_is_named_with_how_long_what_waits_has_waited() {
    let away = [sink("http", "http://127.0.0.1:1/"), sink("old", "syslog+tcp://127.0.0.1:1")];
    let service = Service::with(with(&away)).await;
    selects(&service, "s", 0..2).await;
    for name in ["http", "old"] {
        until("it waits", async || {
            let said = status(&service, name).await;
            said["behind_seconds"].as_u64().unwrap() >= 1
        })
        .await;
        let said = status(&service, name).await;
        assert_eq!(said["behind"], 2);
        assert!(said["last_error"].as_str().unwrap().contains("can't be reached"), "{said}");
        assert!(said["failing_since"].is_string() && said["next_attempt_at"].is_string(), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_noted_and_never_cut() {
    let receiver = Receiver::start("127.0.0.1:0", None, usize::MAX).await;
    let sink = Sink { message_bytes_max: 2_000, ..sink("siem", &receiver.url("syslog+tcp")) };
    let service = Service::with(with(&[sink])).await;
    let long = "x".repeat(5_000);
    service.post(ndjson(&[start("s"), command("s", 2, &long), end("s", 3)])).await;
    receiver.has(2).await;
    until("it is noted", async || status(&service, "siem").await["behind"] == 0).await;
    let said = status(&service, "siem").await;
    let noted = &said["refused"][0];
    assert_eq!((&noted["offset"], &noted["seq"]), (&json!(1), &json!(2)), "{said}");
    assert!(noted["why"].as_str().unwrap().contains("message_bytes_max (2000)"), "{said}");
    assert_eq!(receiver.events().iter().map(offset).collect::<Vec<_>>(), [0, 2]);
    let (code, _) = service.send(Method::POST, "/v1/push/siem/resend", "").await;
    assert_eq!(code, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_ends_know_each_other_or_nothing_is_sent() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), ca());
    let root = dir.path().join("ca.pem");
    std::fs::write(&root, ca.pem()).unwrap();
    let stranger = dir.path().join("stranger.pem");
    std::fs::write(&stranger, self::ca().pem()).unwrap();
    let receiver =
        Receiver::start("127.0.0.1:0", Some(acceptor(dir.path(), &ca, true)), usize::MAX).await;
    let url = receiver.url("syslog+tls");
    let (cert, key) = issue(&ca, dir.path(), "pusher");
    let good = Sink {
        ca_file: Some(root),
        client_cert_file: Some(cert),
        client_key_file: Some(key),
        ..sink("good", &url)
    };
    let bare =
        Sink { client_cert_file: None, client_key_file: None, name: "bare".into(), ..good.clone() };
    let deceived = Sink { ca_file: Some(stranger), name: "deceived".into(), ..good.clone() };
    let service = Service::with(with(&[good, bare, deceived])).await;
    selects(&service, "s", 0..3).await;
    receiver.has(3).await;
    for name in ["bare", "deceived"] {
        until("it fails", async || status(&service, name).await["failures"] != 0).await;
        assert_eq!(status(&service, name).await["sent_events"], 0);
    }
    let said = status(&service, "deceived").await;
    assert!(said["last_error"].as_str().unwrap().contains("TLS with localhost"), "{said}");
    assert_eq!(receiver.messages().len(), 3);
}
