//! rsyslog as the receiver, over TLS: it verifies who sends, and writes down what it took.

use super::{offset, once, selects, sink, status, stored, with};
use crate::clients::{debian, until};
use crate::support::Service;
use crate::tls::{ca, issue};
use daybook_server::push::Sink;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command};

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts rsyslog on a port, with a file for what comes.
fn rsyslog(dir: &Path, port: u16) -> Running {
    let at = |name: &str| dir.join(name).display().to_string();
    let conf = format!(
        r#"global(workDirectory="{dir}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off"
    defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca}"
    defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name"
    permittedPeer=["pusher"])
template(name="line" type="string" string="%app-name%|%msgid%|%syslogfacility%.%syslogseverity%|%structured-data%|%msg%\n")
input(type="imtcp" port="{port}")
action(type="omfile" file="{out}" template="line" flushOnTXEnd="on")
"#,
        dir = dir.display(),
        ca = at("ca.pem"),
        cert = at("receiver.pem"),
        key = at("receiver.key"),
        out = at("out"),
    );
    std::fs::write(dir.join("rsyslog.conf"), conf).unwrap();
    let mut command = Command::new("/usr/sbin/rsyslogd");
    command.args(["-n", "-iNONE", "-f", &at("rsyslog.conf")]);
    Running(command.spawn().unwrap())
}

/// What it wrote down, line by line.
fn lines(dir: &Path) -> Vec<String> {
    let text = std::fs::read(dir.join("out")).unwrap_or_default();
    let text = String::from_utf8(text).unwrap();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter(|line| line.starts_with("daybook|")).map(str::to_owned).collect()
}

fn event(line: &str) -> Value {
    let json = &line[line.find('{').unwrap()..];
    serde_json::from_str(json).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_takes_everything_over_tls_also_when_it_is_killed_and_comes_back() {
    let driver = "/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so";
    if !debian(driver, &["rsyslog", "rsyslog-gnutls"]) {
        return;
    }
    let (dir, ca) = (tempfile::tempdir().unwrap(), ca());
    std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
    issue(&ca, dir.path(), "receiver");
    let (cert, key) = issue(&ca, dir.path(), "pusher");
    // Free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sink = Sink {
        ca_file: Some(dir.path().join("ca.pem")),
        client_cert_file: Some(cert),
        client_key_file: Some(key),
        batch_events_max: 100,
        ..sink("siem", &format!("syslog+tls://localhost:{port}"))
    };
    let service = Service::with(with(&[sink])).await;
    let mut first = rsyslog(dir.path(), port);
    selects(&service, "s", 0..500).await;
    until("rsyslog has some", async || lines(dir.path()).len() >= 100).await;
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    selects(&service, "s", 500..700).await;
    let _second = rsyslog(dir.path(), port);
    let all = async || {
        let events: Vec<Value> = lines(dir.path()).iter().map(|line| event(line)).collect();
        once(events).len() == 700
    };
    until("rsyslog has everything", all).await;
    let lines = lines(dir.path());
    let mut events = once(lines.iter().map(|line| event(line)).collect());
    events.sort_by_key(offset);
    assert_eq!(events, stored(&service, &["s"]).await);
    let head = "daybook|command|13.6|[daybook@32473 session=\"s\" seq=\"0\" offset=\"0\"]|";
    assert!(lines[0].starts_with(head), "{}", lines[0]);
    assert_eq!(status(&service, "siem").await["refused_ever"], 0);
}
