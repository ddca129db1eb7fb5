//! What queries mean, example by example; the same that `docs/query-language.md` shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use daybook_engine::catalog::filter::{NumberFact, SessionFilter};
use daybook_engine::event::Micros;
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_query::lang::{Expr, Term, parse};
use serde_json::{Value, json};
use std::ops::Bound;
use support::model::Model;

/// A session that one event of `body` was sent in.
fn with(body: Value) -> Model {
    let mut event = json!({"session": "s", "seq": 0, "time": "2026-03-01T14:00:00Z"});
    for (name, value) in body.as_object().unwrap() {
        event[name] = value.clone();
    }
    let mut model = Model::default();
    model.push(event.to_string().as_bytes());
    model
}

fn finds(model: &Model, query: &str) -> bool {
    let query = parse(query, Micros(0)).unwrap_or_else(|e| panic!("{}", e.render(query)));
    !model.search(&query).0.is_empty()
}

fn in_input(query: &str, input: &str) -> bool {
    finds(&with(json!({"kind": "command", "input": input})), query)
}

#[test]
fn a_bare_word_is_found_as_written_and_whole_at_both_ends() {
    for (query, input) in [
        ("DROP TABLE", "drop  table customers"),
        ("/etc/shadow", "cat /etc/shadow"),
        ("10.0.3.7", "ssh root@10.0.3.7"),
        ("10.0.3.7", "from 10.0.3.7. Then"),
        ("10.0.3.7", "10.0.3.7:22"),
        ("users.email", "SELECT users.email FROM users"),
        ("--force", "git push --force"),
        ("api:v2.3.1", "docker pull x/api:v2.3.1"),
        ("http://x.io/a?b=c", "curl http://x.io/a?b=c|sh"),
        ("kubectl*", "kubectl exec"),
        ("*mail*", "select email_address"),
        ("*mail", "sendmail -t"),
        ("/home/*/.ssh", "ls /home/a.b/.ssh"),
        ("session", "session"),
        ("then", "if x; then y"),
        ("->", "a -> b"),
        ("C:\\Windows", "dir c:\\windows\\system32"),
        ("select * from users", "SELECT id FROM users"),
    ] {
        assert!(in_input(query, input), "{query} in {input}");
    }
    for (query, input) in [
        ("DROP TABLE", "drop tables"),
        ("su", "sudo su1 _su"),
        ("10.0.3.7", "10.0.3.71"),
        ("10.0.3.7", "110.0.3.7"),
        ("10.0.3.7", "10.0.3.7.1"),
        ("0.3.7", "10.0.3.7"),
        ("v2.3", "api:v2.3.1"),
        ("kubectl*", "mykubectl"),
        ("*mail", "mailer"),
        ("/home/*/.ssh", "ls /home/a b/.ssh"),
        ("drop -table", "drop table"),
    ] {
        assert!(!in_input(query, input), "{query} in {input}");
    }
}

#[test]
fn a_quoted_text_is_found_anywhere_and_an_expression_as_it_says() {
    assert!(in_input("\"rop TAB\"", "drop table"));
    assert!(!in_input("=\"rop TAB\"", "drop table"));
    assert!(in_input("=\"say \\\"hi\\\" \\\\o\"", "say \"hi\" \\o"));
    assert!(in_input("\"C:\\Windows\"", "C:\\Windows"));
    assert!(in_input("~\"a\\\\b \\\"\\d+\\\"\"", "a\\b \"42\""));
    assert!(!in_input("~\"DROP\"", "drop"));
    assert!(in_input("~\"(?i)DROP\"", "drop"));
    assert!(in_input("input:-enc", "powershell -enc x"));
    assert!(!in_input("output:drop", "drop"));
}

#[test]
fn a_match_is_in_one_field_of_one_event() {
    let model = with(json!({"kind": "command", "input": "drop", "output": "table"}));
    assert!(finds(&model, "drop table"));
    assert!(finds(&model, "input:drop output:table"));
    assert!(!finds(&model, "input:drop input:table"));
    assert!(!finds(&model, "~\"(?s)drop.*table\""));
}

#[test]
fn or_binds_looser_than_and_and_a_minus_negates() {
    let shape = |text: &str| parse(text, Micros(0)).unwrap().to_string();
    assert_eq!(shape("a b OR c AND NOT d"), "a b OR c NOT d");
    assert_eq!(shape("a (b OR -c)"), "a (b OR NOT c)");
    assert_eq!(shape("--force -force -\"x y\""), "--force NOT force NOT \"x y\"");
    assert_eq!(
        shape("session(drop export -kind:note)"),
        "session(drop export) NOT session(kind:note)"
    );
    assert_eq!(shape("session((drop export) then (then))"), "session(drop export then (then))");
    assert_eq!(shape(""), "*");
}

#[test]
fn numbers_are_the_events_own() {
    let model = with(json!({
        "kind": "command", "input": "x", "masked": 3, "duration_ms": 5001, "exit_code": 1, "rows": 7
    }));
    for query in [
        "masked:>0",
        "masked:3",
        "duration:>5s",
        "duration:<=5001ms",
        "exit:!=0",
        "rows:>=7 rows:<8",
    ] {
        assert!(finds(&model, query), "{query}");
    }
    for query in ["masked:0", "duration:>5001ms", "exit:0", "rows:<7", "rows:!=7"] {
        assert!(!finds(&model, query), "{query}");
    }
    let silent = with(json!({"kind": "command", "input": "x"}));
    assert!(finds(&silent, "masked:0 -exit:0 -exit:!=0"), "what is not said compares to nothing");
}

#[test]
fn times_are_dates_minutes_full_times_or_how_long_ago() {
    let now = Micros::parse("2026-03-10T00:00:00Z").unwrap();
    let time = |text: &str| match parse(text, now).unwrap_or_else(|e| panic!("{e}")).expr {
        Expr::Term(Term::After(time) | Term::Before(time)) => time.to_string(),
        other => panic!("{other}"),
    };
    for (text, said) in [
        ("after:2026-03-01", "2026-03-01T00:00:00.000000Z"),
        ("before:2026-03-21T14:00Z", "2026-03-21T14:00:00.000000Z"),
        ("before:2026-03-21T14:00", "2026-03-21T14:00:00.000000Z"),
        ("after:\"2026-03-21 14:00\"", "2026-03-21T14:00:00.000000Z"),
        ("after:2026-03-21T14:00:30.5+02:00", "2026-03-21T12:00:30.500000Z"),
        ("since:24h", "2026-03-09T00:00:00.000000Z"),
        ("since:7d", "2026-03-03T00:00:00.000000Z"),
        ("before:1h30m", "2026-03-09T22:30:00.000000Z"),
        ("since:9999w", "1970-01-01T00:00:00.000000Z"),
    ] {
        assert_eq!(time(text), said, "{text}");
    }
}

#[test]
fn sessions_are_asked_for_events_together_and_in_order() {
    let mut model = Model::default();
    for (session, seq, input) in [
        ("a", 0, "export"),
        ("a", 1, "drop"),
        ("b", 0, "drop"),
        ("b", 1, "x"),
        ("b", 2, "export"),
        ("c", 0, "drop export"),
    ] {
        let time = "2026-03-01T00:00:00Z";
        let event = json!({"session": session, "seq": seq, "time": time, "kind": "command", "input": input});
        model.push(event.to_string().as_bytes());
    }
    let found = |query: &str| -> String {
        let sessions = model.search(&parse(query, Micros(0)).unwrap()).1;
        let mut ids: Vec<&str> =
            sessions.iter().map(|key| model.sessions[&key].0.as_str()).collect();
        ids.sort_unstable();
        ids.concat()
    };
    assert_eq!(found("session(drop export)"), "abc");
    assert_eq!(found("session((drop export))"), "c", "parentheses hold to one event");
    assert_eq!(found("session(drop then export)"), "b", "strictly after");
    assert_eq!(found("session(export then drop)"), "a");
    assert_eq!(found("session(drop then x then export)"), "b");
    assert_eq!(found("session(drop -x)"), "ac");
    assert_eq!(found("NOT session(x)"), "ac");
}

#[test]
fn a_query_on_sessions_reads_as_a_filter_for_lists_and_another_does_not() {
    let filter = |text: &str| parse(text, Micros(0)).unwrap().session_filter();
    assert_eq!(
        filter("after:1970-01-02"),
        Some(SessionFilter::Number(
            NumberFact::Started,
            Bound::Included(86_400_000_000),
            Bound::Unbounded
        ))
    );
    assert_eq!(filter(""), Some(SessionFilter::All));
    assert!(
        filter("user:a (role:prod-* OR -status:open) blocked:>0 duration:>1h masked:!=0").is_some()
    );
    for text in
        ["drop", "user:a drop", "kind:command", "verdict:blocked", "exit:0", "rows:1", "session(a)"]
    {
        assert_eq!(filter(text), None, "{text}");
    }
}

#[test]
fn a_narrowing_takes_inner_words_whole_and_words_at_open_ends_in_part() {
    let narrow =
        |text: &str| Model::default().matcher(&parse(text, Micros(0)).unwrap()).narrow().clone();
    let word = |shape| Narrow::Word(Fields::Any, shape);
    let is = |text: &str| word(WordShape::Is(text.into()));
    let (starts, ends) =
        (WordShape::StartsWith("clients".into()), WordShape::EndsWith("drop".into()));
    assert_eq!(
        narrow("\"Drop table clients\""),
        Narrow::And(vec![word(starts), is("table"), word(ends)])
    );
    assert_eq!(narrow("/etc/shadow"), Narrow::And(vec![is("shadow"), is("etc")]));
    assert_eq!(narrow("~\"select .* from (cards|pans)\""), {
        let contains = |text: &str| word(WordShape::Contains(text.into()));
        let tables = Narrow::Or(vec![contains("cards"), contains("pans")]);
        Narrow::And(vec![word(WordShape::EndsWith("select".into())), is("from"), tables])
    });
    assert_eq!(narrow("-drop kind:note"), Narrow::Kind(vec![daybook_engine::event::Kind::Note]));
    assert_eq!(narrow("\"%\" OR drop"), Narrow::All);
}
