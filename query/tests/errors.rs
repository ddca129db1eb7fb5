//! What is said of a query that can't be read: the place, the message, the hint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use daybook_engine::event::Micros;
use daybook_query::lang::parse;
use daybook_query::lang::parse::{DEPTH_MAX, NODES_MAX, QUERY_BYTES_MAX, REGEXES_MAX};

#[test]
fn an_error_marks_its_place_and_says_what_would_work() {
    // The query, the part of it that is marked, and a part of what is said.
    let cases = [
        ("usr:alice", "usr", "did you mean `user:`"),
        ("drop verdit:blocked", "verdit", "did you mean `verdict:`"),
        ("until:2026-03-01", "until", "did you mean `before:`"),
        ("verdict:bloked", "bloked", "did you mean `blocked`"),
        ("verdict:blocked,nope", "nope", "passed, blocked, pending, approved, rejected"),
        ("kind:terminal.inptu", "terminal.inptu", "did you mean `terminal.input`"),
        ("status:running", "running", "pending_review, open, done, failed, killed, rejected"),
        ("user:a,,b", "", "a value is missing"),
        ("user: alice", "user:", "right after the colon"),
        ("input:(a b)", "input:", "input:one input:two"),
        ("role:~\"prod\"", "~\"prod\"", "role:prod-*"),
        ("drop \"table", "\"", "not closed"),
        ("(drop", "(", "not closed"),
        ("session(drop", "session(", "not closed"),
        ("drop)", ")", "no `(` is open"),
        ("now()", ")", "in quotes"),
        ("\"\"", "\"\"", "an empty text"),
        ("drop AND", "AND", "missing after AND"),
        ("OR drop", "OR", "missing before OR"),
        ("NOT", "NOT", "missing after NOT"),
        ("session(a then)", "then", "missing after then"),
        ("session(a then b within:soon)", "soon", "within:10m"),
        ("drop within:10m", "10m", "session(drop then export within:10m)"),
        ("session(a within:10m)", "10m", "session(drop then export within:10m)"),
        ("session(a then b within:10m c)", "session(", "not closed"),
        ("~\"a(b\"", "(", "unclosed group"),
        ("é ~\"a\\\"[z-a]\"", "z-a", "invalid character class range"),
        ("~\"failed\\Z\"", "\\Z", "`\\z` or `$`"),
        ("~\"(?=x)\"", "(?=", "no look-around"),
        ("~\"(?:\\w{500}){500}\"", "~\"(?:\\w{500}){500}\"", "too large"),
        ("after:yesterday", "yesterday", "2026-03-01T14:00Z"),
        ("after:2026-13-01", "2026-13-01", "not a date"),
        ("after:2026-03-01T25:00", "2026-03-01T25:00", "not a time"),
        ("masked:>many", "many", "not a whole number"),
        ("duration:>5", "5", "needs a unit"),
        ("duration:>5sec", "5sec", "not a duration"),
    ];
    for (text, marked, said) in cases {
        let error = parse(text, Micros(0)).expect_err(text);
        assert_eq!(text.get(error.start..error.end), Some(marked), "{text}: {error}");
        let all = error.to_string();
        assert!(all.contains(said), "{text}: {all}");
    }
}

#[test]
fn a_rendered_error_points_at_the_characters() {
    let text = "é drop verdict:bloked";
    let error = parse(text, Micros(0)).expect_err("no such verdict");
    let lines: Vec<String> = error.render(text).lines().map(str::to_owned).collect();
    assert_eq!(lines[0], text);
    assert_eq!(lines[1], "               ^^^^^^ there is no verdict `bloked`");
    assert!(lines[2].trim_start().starts_with("did you mean `blocked`?"), "{lines:?}");
}

#[test]
fn every_limit_is_an_error_and_not_a_crash() {
    let refused = |text: &str| parse(text, Micros(0)).expect_err("over a limit").message;
    assert!(parse(&"(".repeat(QUERY_BYTES_MAX), Micros(0)).is_err());
    assert!(refused(&"é".repeat(QUERY_BYTES_MAX)).contains("bytes"));
    let nest = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nest(DEPTH_MAX), Micros(0)).is_ok());
    assert!(refused(&nest(DEPTH_MAX + 1)).contains("deeper"));
    assert!(refused(&format!("{}a", "NOT ".repeat(DEPTH_MAX + 1))).contains("deeper"));
    assert!(refused(&"session(".repeat(DEPTH_MAX + 1)).contains("deeper"));
    assert!(parse(&"a ".repeat(NODES_MAX - 1), Micros(0)).is_ok());
    assert!(refused(&"a ".repeat(NODES_MAX + 1)).contains("terms"));
    assert!(refused(&"~\"a\" ".repeat(REGEXES_MAX + 1)).contains("expressions at most"));
}
