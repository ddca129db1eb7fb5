//! The wire form of events: what is accepted, what is refused and how it is said; and the fold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::{Body, Event, LINE_BYTES_MAX, SESSION_BYTES_MAX, fields_of};
use daybook_engine::event::{Kind, Micros, Seq};
use daybook_engine::session::{Change, SessionState, Status};
use proptest::prelude::*;

fn event(rest: &str) -> String {
    format!(r#"{{"session":"s","seq":1,"time":"2026-03-01T10:00:00Z",{rest}}}"#)
}

fn error(line: &str) -> String {
    Event::decode(line.as_bytes()).expect_err(line)
}

#[test]
fn every_kind_is_read_with_all_its_fields() {
    let lines = [
        r#""kind":"session.start","user":"a@example.com","user_name":"A","groups":["g"],"role":"pg-prod","type":"database","subtype":"postgres","agent":"bot","origin":"cli","client_ip":"192.0.2.7","tags":["t"],"correlation_id":"c","batch_id":"b","cols":80,"rows":24,"metadata":{"k":"v"}"#,
        r#""kind":"command","input":"select 1","language":"sql","verdict":"blocked","rule":"r","rerun_of":"x:3","output":"1","rows":1,"exit_code":-1,"duration_ms":12,"masked":2,"masked_types":{"email":2}"#,
        r#""kind":"output","command":1,"stream":"stderr","text":"x","truncated":true"#,
        r#""kind":"output","command":1,"stream":"stdout","data":"AAEC/w==""#,
        r#""kind":"command.end","command":1,"duration_ms":3,"exit_code":0,"rows":0,"masked":1,"masked_types":{"email":1},"error":"no""#,
        r#""kind":"terminal.output","text":"\u001b[1m""#,
        r#""kind":"terminal.input","data":"bHM=""#,
        r#""kind":"terminal.resize","cols":100,"rows":50"#,
        r#""kind":"terminal.marker","text":"here""#,
        r#""kind":"review.request","review":"r1","scope":"command","command":1,"groups":["dba"],"min_approvals":2,"expires_at":"2026-03-01T11:00:00Z","duration_ms":3600000,"reason":"why""#,
        r#""kind":"review.decision","review":"r1","decision":"approved","by":"b@example.com","comment":"ok","forced":true"#,
        r#""kind":"session.end","status":"killed","exit_code":137,"reason":"cut off","events":12"#,
        r#""kind":"note","command":1,"by":"c@example.com","text":"look at this""#,
        r#""kind":"access","by":"c@example.com","action":"search","target":"drop""#,
        r#""kind":"retention","by":"c@example.com","action":"hold","target":"h1","case":"2026-17","reason":"subpoena","metadata":{"users":"a@example.com"}"#,
    ];
    let mut seen = Vec::new();
    for rest in lines {
        let line = event(rest);
        let decoded = Event::decode(line.as_bytes()).expect(rest);
        assert_eq!((decoded.session.as_ref(), decoded.seq), ("s", Some(Seq(1))));
        seen.push(decoded.body.kind());
        for name in fields_of(decoded.body.kind()) {
            // `text` and `data` exclude each other; everything else stands in some line above.
            let named = lines.iter().any(|l| l.contains(&format!("\"{name}\":")));
            assert!(named || *name == "data", "{name} is never tried");
        }
    }
    assert!(Kind::ALL.iter().all(|kind| seen.contains(kind)));
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_its_remedy() {
    let cases = [
        ("", "line is empty"),
        ("{", "EOF while parsing an object at column 1"),
        ("[\"s\",1]", "is not a JSON object"),
        (r#"{"session":"s"}"#, "the field `kind` is missing"),
        (r#"{"session":"s","kind":"note","by":"a","text":"b"}"#, "the field `time` is missing"),
        (
            &event(r#""kind":"comand","input":"x""#),
            "`kind` is `comand`, but has to be one of `session.start`, `command`",
        ),
        (&event(r#""kind":"command""#), "`command` needs the field `input`"),
        (
            &event(r#""kind":"command","input":1"#),
            "invalid type: integer `1`, expected a string at column",
        ),
        (
            &event(r#""kind":"command","input":"x","colour":"red""#),
            "unknown field `colour` at column",
        ),
        (
            &event(r#""kind":"command","input":"x","user":"a""#),
            "`user` is not a field of `command`, which has `input`, `language`",
        ),
        (
            &event(r#""kind":"command","input":"x","verdict":"maybe""#),
            "`verdict` is `maybe`, but has to be one of `passed`",
        ),
        (&event(r#""kind":"command","input":"x","duration_ms":-1"#), "invalid value: integer `-1`"),
        (&event(r#""kind":"command","input":"x","input":"y""#), "duplicate field `input`"),
        (
            &event(r#""kind":"output","text":"x","data":"eA==""#),
            "`output` takes `text` or `data`, not both",
        ),
        (&event(r#""kind":"output","command":1"#), "`output` needs the field `text` or `data`"),
        (&event(r#""kind":"output","data":"e"#), "EOF while parsing a string"),
        (&event(r#""kind":"output","data":"e?""#), "`data` is not standard base64"),
        (&event(r#""kind":"session.end","status":"gone""#), "`status` is `gone`"),
        (
            &event(r#""kind":"session.start","metadata":{"a":1}"#),
            "invalid type: integer `1`, expected a string",
        ),
        (r#"{"session":"","kind":"note"}"#, "`session` has 0 bytes"),
        (r#"{"session":"a\nb","kind":"note"}"#, "`session` has a control character"),
        (r#"{"session":"s","seq":-1}"#, "invalid value: integer `-1`, expected u32"),
        (
            r#"{"session":"s","seq":4294967296}"#,
            "invalid value: integer `4294967296`, expected u32",
        ),
        (
            r#"{"session":"s","kind":"note","time":"1969-12-31T23:59:59Z","by":"a","text":"b"}"#,
            "is out of range: events are from 1970",
        ),
        (
            r#"{"session":"s","kind":"note","time":"2026-03-01","by":"a","text":"b"}"#,
            "is not an RFC 3339 time such as",
        ),
        (
            r#"{"session":"s","kind":"note","time":5,"by":"a","text":"b"}"#,
            "invalid type: integer `5`, expected a string",
        ),
    ];
    for (line, expected) in cases {
        let said = error(line);
        assert!(said.contains(expected), "{line}\n  says:     {said}\n  expected: {expected}");
    }
    let long = "x".repeat(SESSION_BYTES_MAX + 1);
    assert!(
        error(&format!(r#"{{"session":"{long}","kind":"note"}}"#)).contains("has to have 1 to 256")
    );
    let invalid = Event::decode(b"{\"session\":\"\xff\"}").unwrap_err();
    assert!(invalid.contains("invalid UTF-8 at byte 12"), "{invalid}");
    assert!(Event::decode(&vec![b' '; LINE_BYTES_MAX + 1]).unwrap_err().contains("over the limit"));
    let tags = vec!["\"t\""; 300].join(",");
    assert!(
        error(&event(&format!(r#""kind":"session.start","tags":[{tags}]"#)))
            .contains("longer than 256")
    );
    let name = "n".repeat(2_000);
    assert!(
        error(&event(&format!(r#""kind":"session.start","user":"{name}""#))).contains("`user`")
    );
}

#[test]
fn texts_are_found_where_they_stand() {
    let text_of = |rest: &str| -> Vec<(String, String)> {
        let line = event(rest);
        let event = Event::decode(line.as_bytes()).unwrap();
        let texts = Texts::of(&event);
        texts.iter().map(|(field, text)| (field.name().to_owned(), text.to_owned())).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let found = text_of(r#""kind":"command","input":"a\n\"b\"","output":"ü""#);
    assert_eq!(found, [pair("input", "a\n\"b\""), pair("output", "ü")]);
    assert_eq!(text_of(r#""kind":"output","data":"aGn/""#), [pair("output", "hi\u{fffd}")]);
    assert_eq!(text_of(r#""kind":"command.end","error":"boom""#), [pair("output", "boom")]);
    assert_eq!(text_of(r#""kind":"note","by":"a","text":"n""#), [pair("text", "n")]);
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_a_reason(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Event::decode(&line);
    }

    #[test]
    fn any_json_near_an_event_is_an_event_or_a_reason(
        fields in prop::collection::vec((field_name(), json_value()), 0..12)
    ) {
        let fields: Vec<String> = fields.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
        let line = format!("{{{}}}", fields.join(","));
        if let Err(reason) = Event::decode(line.as_bytes()) {
            prop_assert!(!reason.is_empty() && !reason.ends_with('.'));
        }
    }

    /// The state does not depend on the order of events, nor on how they are split over segments.
    #[test]
    fn the_fold_commutes(
        events in prop::collection::vec(some_event(), 1..25),
        order in any::<prop::sample::Index>(),
        split in any::<prop::sample::Index>(),
    ) {
        let changes: Vec<Change> = events
            .iter()
            .enumerate()
            .map(|(i, line)| Change::of(Event::decode(line.as_bytes()).unwrap(), Seq(i as u32), line.len() as u64))
            .collect();
        let fold = |changes: &[Change]| {
            let mut state = SessionState::default();
            changes.iter().cloned().for_each(|change| state.apply(change));
            state
        };
        let state = fold(&changes);
        let mut turned = changes.clone();
        turned.rotate_left(order.index(changes.len()));
        turned.reverse();
        prop_assert_eq!(&fold(&turned), &state);
        let (a, b) = turned.split_at(split.index(changes.len()));
        let mut merged = fold(b);
        merged.merge(fold(a));
        prop_assert_eq!(&merged, &state);
        // What is stored in the catalog comes back.
        let stored = serde_json::to_vec(&state).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<SessionState>(&stored).unwrap(), &state);
        prop_assert_eq!(state.events, events.len() as u64);
        prop_assert!(state.pending() + state.approved() + state.blocked() <= state.commands);
    }
}

fn field_name() -> impl Strategy<Value = String> {
    let names: Vec<String> = ["session", "seq", "time", "kind", "x"]
        .into_iter()
        .chain(Kind::ALL.iter().flat_map(|kind| fields_of(*kind).iter().copied()))
        .map(str::to_owned)
        .collect();
    prop::sample::select(names)
}

fn json_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\"s\"".to_owned()),
        Just("\"2026-03-01T10:00:00Z\"".to_owned()),
        prop::sample::select(Kind::ALL).prop_map(|kind| format!("\"{kind}\"")),
        Just("\"\\ud83d\\ude00\\u0000\"".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("[\"a\",1]".to_owned()),
        Just("{\"a\":{\"b\":2}}".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| n.to_string()),
    ]
}

fn some_event() -> impl Strategy<Value = String> {
    let rest = prop_oneof![
        (0u8..3).prop_map(|n| format!(r#""kind":"session.start","user":"u{n}@example.com","type":"ssh""#)),
        prop::sample::select(vec!["passed", "blocked", "pending", "approved", "rejected"])
            .prop_map(|v| format!(r#""kind":"command","input":"x","verdict":"{v}","masked":1"#)),
        (0u8..3, 0u32..25).prop_map(|(r, c)| format!(
            r#""kind":"review.request","review":"r{r}","scope":"command","command":{c},"min_approvals":2"#
        )),
        (0u8..3, prop::sample::select(vec!["approved", "rejected", "revoked", "expired", "executed"]), 0u8..3)
            .prop_map(|(r, d, b)| format!(r#""kind":"review.decision","review":"r{r}","decision":"{d}","by":"b{b}""#)),
        prop::sample::select(vec!["done", "failed", "killed"])
            .prop_map(|s| format!(r#""kind":"session.end","status":"{s}""#)),
        Just(r#""kind":"terminal.output","text":"x""#.to_owned()),
    ];
    (rest, 0u8..60).prop_map(|(rest, second)| {
        format!(r#"{{"session":"s","time":"2026-03-01T10:00:{second:02}Z",{rest}}}"#)
    })
}

#[test]
fn the_summary_says_what_happened() {
    let mut state = SessionState::default();
    let lines = [
        r#""kind":"session.start","user":"a@example.com""#,
        r#""kind":"command","input":"a","verdict":"passed","masked":4"#,
        r#""kind":"command","input":"b","verdict":"blocked","rule":"no drops""#,
        r#""kind":"command","input":"c","verdict":"pending""#,
        r#""kind":"review.request","review":"r","scope":"command","command":3"#,
    ];
    for (i, rest) in lines.iter().enumerate() {
        let line = event(rest);
        state.apply(Change::of(Event::decode(line.as_bytes()).unwrap(), Seq(i as u32), 0));
    }
    assert_eq!(state.summary(), "3 commands · 1 blocked · 1 pending · 4 fields masked");
    assert_eq!(state.status(), Status::PendingReview);
    for (seq, rest) in [
        (5, r#""kind":"review.decision","review":"r","decision":"approved","by":"b@example.com""#),
        (6, r#""kind":"session.end","status":"done""#),
    ] {
        let line = event(rest);
        state.apply(Change::of(Event::decode(line.as_bytes()).unwrap(), Seq(seq), 0));
    }
    assert_eq!(state.summary(), "3 commands · 1 blocked · 1 approved · 4 fields masked");
    assert_eq!((state.status(), state.pending()), (Status::Done, 0));
    assert_eq!(state.started_at(), Some(Micros::parse("2026-03-01T10:00:00Z").unwrap()));
    let Body::Note { .. } =
        Event::decode(event(r#""kind":"note","by":"a","text":"b""#).as_bytes()).unwrap().body
    else {
        panic!("not a note");
    };
}
