//! Random queries, as text, and random events, from a vocabulary so small that they meet.

use proptest::prelude::*;
use serde_json::{Value, json};

/// What texts and terms are made of: edges of words, dotted digits, escapes, folding.
const PIECES: [&str; 24] = [
    "a", "B", "ab", "Drop", "table", "1", "10", "0.3", "10.0.3.7", ".", "/", "-", "_", " ", "  ",
    "é", "É", "\"", "\\", "\n", "k", "\u{212a}", "ſ", "%",
];

/// A text of a few pieces.
pub fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12).prop_map(|all| all.concat())
}

fn word() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "B", "ab", "drop", "TABLE", "1", "10", "0.3", "10.0.3.7", ".", "/", "-", "_", "é",
        "k", "*", "*", "%", "then", "\\", ":", "=", "~", ">", "0.3.1", "v1.10.0",
    ]);
    prop::collection::vec(piece, 1..4).prop_map(|all| all.concat())
}

fn quoted() -> impl Strategy<Value = String> {
    text()
        .prop_filter("an empty text is refused", |t| !t.is_empty())
        .prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn regex() -> impl Strategy<Value = String> {
    let pattern = prop::sample::select(vec![
        "a",
        "ab|k",
        "(?i)drop",
        "(?i)k\\b",
        "^a",
        "a$",
        "(a|b)+",
        "drop ?table",
        "10\\.0",
        "10\\.0\\.3\\.7\\b",
        "\\b0\\.3\\.7",
        "(?:10|1)\\.0\\.3\\.",
        "\\\\",
        "[ab]",
        "(?i)(drop|É) *",
        "(?m)^ab",
        "a.*b",
        "(?:ab){2}",
        "\\\"",
        "\\d+\\.\\d",
        "a\\b.",
        "\\z",
        "(?i-u)k",
        "(a|Drop) +table",
        "[-.]10",
        "k[ /]+a",
        "(?i)(drop|ab)[ _]+(table|B)",
    ]);
    pattern.prop_map(|pattern| format!("~\"{pattern}\""))
}

fn term() -> impl Strategy<Value = String> {
    let field =
        prop::sample::select(vec!["", "", "", "input:", "output:", "text:", "screen:", "typed:"]);
    let filter = prop::sample::select(vec![
        "user:alice@example.com",
        "user:*bob*",
        "user:\"a b\"",
        "role:prod-*,stage",
        "type:database",
        "status:open",
        "status:done,failed",
        "review.status:pending",
        "review.status:approved,executed",
        "approver:*",
        "review:r1",
        "tag:pii",
        "session:s1",
        "agent:*",
        "kind:command",
        "kind:terminal.*,note",
        "kind:output",
        "verdict:blocked,approved",
        "verdict:passed",
        "after:2026-03-01",
        "before:2026-03-01T12:00Z",
        "since:24h",
        "masked:>0",
        "masked:0",
        "masked:!=2",
        "duration:>5s",
        "duration:<=250ms",
        "exit:!=0",
        "exit:0",
        "exit:<0",
        "rows:>=3",
        "rows:!=5000",
        "rows:<5001",
        "blocked:>0",
        "commands:<2",
        "pending:0",
        "approved:0",
        "*",
    ]);
    prop_oneof![
        3 => (field.clone(), word()).prop_map(|(field, word)| format!("{field}{word}")),
        2 => (field.clone(), prop::sample::select(vec!["", "="]), quoted())
            .prop_map(|(field, sign, text)| format!("{field}{sign}{text}")),
        1 => (field, regex()).prop_map(|(field, regex)| format!("{field}{regex}")),
        3 => filter.prop_map(str::to_owned),
    ]
}

/// A query's text; most of them parse.
pub fn query() -> impl Strategy<Value = String> {
    term().prop_recursive(4, 24, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            3 => many.clone().prop_map(|all| all.join(" ")),
            2 => many.clone().prop_map(|all| format!("({})", all.join(" OR "))),
            1 => many.clone().prop_map(|all| all.join(" AND ")),
            2 => inner.clone().prop_map(|one| format!("NOT ({one})")),
            1 => inner.clone().prop_map(|one| format!("-({one})")),
            1 => many.clone().prop_map(|all| format!("session({})", all.join(" "))),
            1 => (many, prop::sample::select(vec!["", " within:0s", " within:2s", " within:1500ms"]))
                .prop_map(|(all, within)| format!("session({}{within})", all.join(" then "))),
        ]
    })
}

/// Events of three sessions; the place in the list gives the `seq`.
pub fn events() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(event(), 1..12).prop_map(|mut events| {
        for (seq, event) in events.iter_mut().enumerate() {
            event["seq"] = json!(seq);
        }
        events
    })
}

/// What a terminal shows or is sent: mostly few keys, with all that makes the screen differ from them.
pub fn terminal() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "B",
        "b",
        "Drop",
        "dr",
        "op",
        "table",
        " tab",
        "le",
        "1",
        "10.0",
        ".3.7",
        ".",
        "/",
        "-",
        " ",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "\u{8}",
        "\u{7f}",
        "\t",
        "\u{1b}[31m",
        "\u{1b}[0m",
        "\u{1b}[K",
        "\u{1b}[2J",
        "\u{1b}[1;5H",
        "\u{1b}[A",
        "\u{1b}[3D",
        "\u{1b}",
        "[",
        "é",
        "日",
    ]);
    prop::collection::vec(piece, 0..5).prop_map(|all| all.concat())
}

fn event() -> impl Strategy<Value = Value> {
    let session = prop::sample::select(vec!["s1", "s2", "s3"]);
    let time = prop::sample::select(vec![
        "2026-02-27T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2026-03-01T11:59:59.999999Z",
        "2026-03-01T12:00:00Z",
        "2026-03-02T00:00:00Z",
    ]);
    let verdict = prop::sample::select(vec!["passed", "blocked", "pending", "approved"]);
    let number = prop::sample::select(vec![0, 1, 2, 3, 250, 5000, 5001]);
    let body = prop_oneof![
        (text(), text(), verdict.clone(), number.clone()).prop_map(|(input, output, verdict, n)| json!({
            "kind": "command", "input": input, "output": output, "verdict": verdict, "masked": n,
            "duration_ms": n, "rows": n, "exit_code": n - 1
        })),
        (text(), verdict).prop_map(|(input, verdict)| json!({
            "kind": "command", "input": input, "verdict": verdict
        })),
        text().prop_map(|text| json!({"kind": "output", "text": text})),
        terminal().prop_map(|text| json!({"kind": "terminal.output", "data": base64(&text)})),
        terminal().prop_map(|text| json!({"kind": "terminal.output", "text": text})),
        terminal().prop_map(|text| json!({"kind": "terminal.input", "text": text})),
        (text(), number).prop_map(|(text, n)| json!({
            "kind": "command.end", "error": text, "duration_ms": n, "masked": n, "exit_code": n
        })),
        text().prop_map(|text| json!({"kind": "note", "by": "carol@example.com", "text": text})),
        prop::sample::select(vec!["alice@example.com", "bob@example.com", "a b"]).prop_map(|user| json!({
            "kind": "session.start", "user": user, "role": "prod-eu", "type": "database", "tags": ["pii"]
        })),
        text().prop_map(|text| json!({"kind": "session.end", "status": "done", "reason": text})),
        text().prop_map(|text| json!({
            "kind": "review.request", "review": "r1", "scope": "command", "reason": text
        })),
        prop::sample::select(vec!["approved", "executed", "rejected"]).prop_map(|decision| json!({
            "kind": "review.decision", "review": "r1", "decision": decision, "by": "alice@example.com"
        })),
    ];
    (session, time, body).prop_map(|(session, time, mut event)| {
        event["session"] = json!(session);
        event["time"] = json!(time);
        event
    })
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}
