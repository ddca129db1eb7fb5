//! TLS, as clients of other makes see it, with certificates that are made here.

use crate::support::{Service, command, config, ndjson};
use daybook_server::{ClientAuth, Config, Server, TlsError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub type Ca = CertifiedIssuer<'static, KeyPair>;

pub fn ca() -> Ca {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "a test's root");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate and its key, and says where.
pub fn issue(ca: &Ca, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, ca).unwrap();
    let (cert_file, key_file) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    (cert_file, key_file)
}

/// A directory with a root and a certificate for the server, and the settings for them.
pub fn secured(dir: &Path) -> (Ca, Config) {
    let ca = ca();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    let (cert, key) = issue(&ca, dir, "server");
    (ca, Config { tls_cert: Some(cert), tls_key: Some(key), ..config() })
}

fn curl(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "5", "--cacert"])
        .arg(dir.join("ca.pem"))
        .args(args)
        .output()
        .unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(said).unwrap())
}

pub async fn connect(
    service: &Service,
    ca: &Ca,
    identity: Option<&(PathBuf, PathBuf)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots);
    let client = match identity {
        None => client.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
            client.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    let socket = TcpStream::connect(service.url.trim_start_matches("https://")).await?;
    TlsConnector::from(Arc::new(client)).connect("localhost".try_into().unwrap(), socket).await
}

/// Asks over a connection that stays open; answers the status line.
async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut bytes = vec![0; 4096];
    let read = stream.read(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_python_are_served_over_http_2_and_1() {
    let dir = tempfile::tempdir().unwrap();
    let (_ca, config) = secured(dir.path());
    let service = Service::with(config).await;
    let url = service.url.replace("127.0.0.1", "localhost");
    let lines = ndjson(&[command("s", 1, "select 1"), command("s", 2, "select 2")]);
    let events = format!("{url}/v1/events");
    for (version, shown) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let args = [version, "--write-out", " %{http_version}", "--data-binary", &lines, &events];
        let (well, said) = curl(dir.path(), &args);
        assert!(well && said.ends_with(shown), "{said}");
    }
    assert_eq!(service.engine.snapshot().events(), 2);
    let script = "import ssl, sys, urllib.request as r\n\
        context = ssl.create_default_context(cafile=sys.argv[1])\n\
        print(r.urlopen(sys.argv[2] + '/healthz', context=context).read().decode())";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(dir.path().join("ca.pem"))
        .arg(&url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ok"), "{said} {}", String::from_utf8_lossy(&output.stderr));
    // Who does not know the root is not deceived.
    assert!(!Command::new("curl").args(["--silent", &url]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_up_and_what_is_open_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, config) = secured(dir.path());
    let (cert, key) = (config.tls_cert.clone().unwrap(), config.tls_key.clone().unwrap());
    // Only when it is told to.
    let service =
        Service::with(Config { tls_reload_interval: Duration::from_secs(3_600), ..config }).await;
    let mut open = connect(&service, &ca, None).await.unwrap();
    assert_eq!(ask(&mut open).await.unwrap(), "HTTP/1.1 200 OK");
    let first = shown(&open);

    let (new_cert, new_key) = issue(&ca, dir.path(), "renewed");
    std::fs::copy(&new_cert, &cert).unwrap();
    service.reload.now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Half of a change does not fit together.
    assert_eq!(shown(&connect(&service, &ca, None).await.unwrap()), first);
    std::fs::copy(&new_key, &key).unwrap();
    service.reload.now();
    let second = changed(&service, &ca, &first).await;
    assert_eq!(second, CertificateDer::from_pem_file(&new_cert).unwrap());
    assert_eq!(ask(&mut open).await.unwrap(), "HTTP/1.1 200 OK");

    for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&cert, broken).unwrap();
        service.reload.now();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut fresh = connect(&service, &ca, None).await.unwrap();
        assert_eq!(shown(&fresh), second);
        assert_eq!(ask(&mut fresh).await.unwrap(), "HTTP/1.1 200 OK");
    }
    std::fs::remove_file(&cert).unwrap();
    service.reload.now();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shown(&connect(&service, &ca, None).await.unwrap()), second);
    assert_eq!(ask(&mut open).await.unwrap(), "HTTP/1.1 200 OK");
}

/// The certificate once it is another one.
async fn changed(
    service: &Service,
    ca: &Ca,
    before: &CertificateDer<'_>,
) -> CertificateDer<'static> {
    for _ in 0..100 {
        let now = shown(&connect(service, ca, None).await.unwrap());
        if now != *before {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the new certificate was not taken up")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_without_being_told() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, config) = secured(dir.path());
    let (cert, key) = (config.tls_cert.clone().unwrap(), config.tls_key.clone().unwrap());
    let service =
        Service::with(Config { tls_reload_interval: Duration::from_millis(50), ..config }).await;
    let first = shown(&connect(&service, &ca, None).await.unwrap());
    let (new_cert, new_key) = issue(&ca, dir.path(), "renewed");
    std::fs::rename(new_key, key).unwrap();
    std::fs::rename(new_cert, cert).unwrap();
    changed(&service, &ca, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_a_certificate_where_they_have_to() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, config) = secured(dir.path());
    let (good, other) =
        (issue(&ca, dir.path(), "proxy-7"), issue(&self::ca(), dir.path(), "stranger"));
    let tls_client_ca = Some(dir.path().join("ca.pem"));
    for tls_client_auth in [ClientAuth::Required, ClientAuth::Optional] {
        let config =
            Config { tls_client_ca: tls_client_ca.clone(), tls_client_auth, ..config.clone() };
        let service = Service::with(config).await;
        let url = format!("{}/healthz", service.url);
        for (identity, admitted) in [
            (Some(&good), true),
            (Some(&other), false),
            (None, tls_client_auth == ClientAuth::Optional),
        ] {
            let name = identity.map(|(cert, key)| (cert.to_str().unwrap(), key.to_str().unwrap()));
            let mut args = vec![url.as_str()];
            if let Some((cert, key)) = name {
                args.extend(["--cert", cert, "--key", key]);
            }
            let (well, said) = curl(dir.path(), &args);
            assert_eq!(well, admitted, "{tls_client_auth} {name:?}: {said}");
            // In TLS 1.3 a client may think itself connected before it is refused.
            let asked = match connect(&service, &ca, identity).await {
                Ok(mut stream) => ask(&mut stream).await,
                Err(error) => Err(error),
            };
            assert_eq!(asked.is_ok_and(|line| line == "HTTP/1.1 200 OK"), admitted);
        }
        let identity = [good.0.to_str().unwrap(), good.1.to_str().unwrap()];
        let args =
            [&format!("{}/metrics", service.url), "--cert", identity[0], "--key", identity[1]];
        let (_, metrics) = curl(dir.path(), &args);
        let failed = if tls_client_auth == ClientAuth::Required { 4 } else { 2 };
        assert!(
            metrics.contains(&format!("daybook_tls_handshakes_failed_total {failed}")),
            "{metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_tls_or_nothing_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, config) = secured(dir.path());
    let limit = Duration::from_millis(400);
    let service = Service::with(Config { tls_handshake_time_max: limit, ..config }).await;
    let started = Instant::now();
    let plain = service.url.replace("https://", "http://");
    let response = service.http.get(format!("{plain}/healthz")).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let problem = response.text().await.unwrap();
    assert!(problem.contains("https://"), "{problem}");

    // Silent ones, and one that begins well and goes no further.
    let address = service.url.trim_start_matches("https://");
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    silent[0].write_all(&[0x16, 3, 1]).await.unwrap();
    let mut open = connect(&service, &ca, None).await.unwrap();
    assert_eq!(ask(&mut open).await.unwrap(), "HTTP/1.1 200 OK");
    assert!(started.elapsed() < Duration::from_secs(5));
    for mut stream in silent {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
        let _ = closed.await.expect("it is closed after the limit");
    }
    assert_eq!(ask(&mut open).await.unwrap(), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, good) = secured(dir.path());
    let (other, _) = issue(&ca, dir.path(), "other");
    let engine = Service::start().await.engine.clone();
    let half = Config { tls_key: None, ..good.clone() };
    let no_tls = Config { tls_client_ca: good.tls_cert.clone(), ..config() };
    let missing = Config { tls_cert: Some(dir.path().join("none")), ..good.clone() };
    let mixed = Config { tls_cert: Some(other), ..good.clone() };
    let no_roots = Config { tls_client_ca: good.tls_key.clone(), ..good };
    for (config, expected) in [
        (half, "go together"),
        (no_tls, "there is none"),
        (missing, "can't read"),
        (mixed, "with the key in"),
        (no_roots, "no certificate in PEM"),
    ] {
        let error = Server::bind(config, Arc::clone(&engine)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(
            error,
            daybook_server::Error::Tls(
                TlsError::Half | TlsError::NoTls | TlsError::Read { .. } | TlsError::Bad { .. }
            )
        ));
    }
}
