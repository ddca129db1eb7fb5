//! The real binary with TLS: its own commands as clients, and a new certificate on SIGHUP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // What is named as its issuer is taken to have signed itself.
    params.distinguished_name.push(DnType::CommonName, "a test's root");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Puts a new certificate and its key in their place.
fn issue(ca: &CertifiedIssuer<'static, KeyPair>, dir: &Path) {
    let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let key = KeyPair::generate().unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), params.signed_by(&key, ca).unwrap().pem()).unwrap();
}

/// Is the server's certificate one of this root's?
fn trusted(server: &Server, ca: &Path) -> bool {
    let args = ["--silent", "--max-time", "5", "--cacert", ca.to_str().unwrap()];
    Command::new("curl").args(args).arg(&server.address).output().unwrap().status.success()
}

#[test]
fn commands_speak_https_and_a_new_certificate_comes_with_sighup() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (ca(), ca());
    std::fs::write(path("first"), first.pem()).unwrap();
    std::fs::write(path("second"), second.pem()).unwrap();
    issue(&first, dir.path());
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let flags = ["--tls-cert", &cert, "--tls-key", &key, "--set", "tls_reload_interval=1h"];
    let server = Server::start(&dir.path().join("data"), &flags);
    assert!(server.address.starts_with("https://"), "{}", server.address);

    let events = path("events.ndjson");
    let line = r#"{"session":"s","seq":0,"time":"2026-03-01T10:00:00Z","kind":"note","by":"a@example.com","text":"hello"}"#;
    std::fs::write(&events, line).unwrap();
    let ca = path("first");
    assert!(trusted(&server, ca.as_ref()));
    run(0, &["import", "--server", &server.address, "--ca", &ca, &events]);
    let shown = daybook()
        .args(["show", "--json", "--server", &server.address, "s"])
        .env("DAYBOOK_CA", &ca)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("hello"), "{shown:?}");
    let untrusted = daybook().args(["show", "--server", &server.address, "s"]).output().unwrap();
    assert!(!untrusted.status.success());
    let none = daybook()
        .args(["show", "--server", &server.address, "--ca", &path("events.ndjson"), "s"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&none.stderr).contains("no certificates in PEM"), "{none:?}");

    issue(&second, dir.path());
    let second = path("second");
    assert!(!trusted(&server, second.as_ref()));
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let mut left = 100;
    while !trusted(&server, second.as_ref()) {
        left -= 1;
        assert!(left > 0, "the new certificate was not taken up");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.stop();
}

#[test]
fn a_certificate_without_its_key_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let output = daybook()
        .args(["serve", "--listen", "127.0.0.1:0", "--tls-cert", "/nonexistent", "--data"])
        .arg(data)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--tls-key"), "{said}");
}
