//! `daybook review` on a real server: what waits is listed, shown and decided.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use serde_json::Value;
use std::process::Stdio;

fn import(server: &Server, lines: &[&str]) {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.ndjson");
    let mut file = std::fs::File::create(&path).unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    run(0, &["import", "--server", &server.address, path.to_str().unwrap()]);
}

#[test]
fn what_waits_is_listed_shown_and_decided() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    import(
        &server,
        &[
            r#"{"session":"s","seq":0,"time":"2026-03-01T10:00:00Z","kind":"session.start","user":"asks@example.com","role":"prod-db","type":"database"}"#,
            r#"{"session":"s","seq":1,"time":"2026-03-01T10:00:01Z","kind":"command","input":"drop table x; \u001b[31m","verdict":"pending"}"#,
            r#"{"session":"s","seq":2,"time":"2026-03-01T10:00:02Z","kind":"review.request","review":"r","scope":"command","command":1,"min_approvals":2,"reason":"cleanup"}"#,
        ],
    );
    let review = |args: &[&str]| {
        let mut all = vec!["review"];
        all.extend_from_slice(args);
        all.extend_from_slice(&["--server", &server.address]);
        run(0, &all)
    };
    let refused = |args: &[&str]| {
        let output = daybook()
            .arg("review")
            .args(args)
            .args(["--server", &server.address])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let listed = review(&["list"]);
    assert!(listed.contains("asks@example.com") && listed.contains("0/2"), "{listed}");
    assert!(!listed.contains('\u{1b}'), "nothing recorded drives a terminal");
    let shown = review(&["show", "r"]);
    assert!(shown.contains("cleanup") && shown.contains("pending (0 of 2 approvals)"), "{shown}");
    assert!(
        refused(&["approve", "r", "--by", "Asks@example.com"])
            .contains("nobody approves their own request")
    );
    assert!(refused(&["approve", "none"]).contains("there is no review `none`"));
    let said = review(&["approve", "r", "--by", "ann@example.com", "--comment", "go on"]);
    assert_eq!(said, "r is pending: 1 of 2 approvals\n");
    assert_eq!(review(&["approve", "r", "--by", "bea@example.com"]), "r is approved\n");
    assert!(
        refused(&["reject", "r", "--by", "cid@example.com"]).contains("the review is approved")
    );
    assert_eq!(review(&["list"]), "nothing waits\n");
    let all = review(&["list", "--all", "--json"]);
    let one: Value = serde_json::from_str(all.trim()).unwrap();
    assert_eq!(one["approvers"], serde_json::json!(["ann@example.com", "bea@example.com"]));
    assert_eq!(review(&["revoke", "r", "--by", "ann@example.com"]), "r is revoked\n");
    let shown = review(&["show", "r", "--session", "s"]);
    assert!(shown.contains("approved by ann@example.com: go on"), "{shown}");
    server.stop();
}
