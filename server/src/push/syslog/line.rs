//! An event as a message of syslog (RFC 5424), in a frame of its own length (RFC 5425, and RFC 6587 without TLS).
//!
//! ```text
//! LENGTH SP <PRI>1 SP time SP hostname SP daybook SP procid SP kind SP
//!     [daybook@32473 session="s-1" seq="4" offset="130" user="alice@example.com" role="pg-prod"] SP BOM line
//! ```
//!
//! The priority is the facility (13, log audit, if nothing is said) and the severity: 4, warning, for what was blocked
//! or rejected; 6, informational, for all else. Inside quotes `"`, `\` and `]` have a backslash before them; everything
//! else stands there as it is, control characters too, as RFC 5424 has it: the length, not a line break, ends a message.

use daybook_engine::event::Verdict;
use daybook_query::search::Told;
use std::fmt::Write as _;

/// Says that what follows is UTF-8.
const BOM: char = '\u{feff}';
const WARNING: u64 = 4;
const INFORMATIONAL: u64 = 6;

/// What all messages of a sink have.
#[derive(Clone, Debug)]
pub struct Head {
    /// The facility, 0 to 23.
    pub facility: u64,
    /// What this machine is called: printable ASCII, or `-`.
    pub hostname: Box<str>,
    /// The process.
    pub process: u32,
    /// The private enterprise number of the structured data.
    pub enterprise: Box<str>,
}

/// A line of an event as a message, without its length.
#[must_use]
pub fn message(head: &Head, told: &Told, line: &str) -> String {
    let Head { facility, hostname, process, enterprise } = head;
    let severity = match told.verdict {
        Some(Verdict::Blocked | Verdict::Rejected) => WARNING,
        _ => INFORMATIONAL,
    };
    let (priority, time, kind) = (facility * 8 + severity, told.time, told.kind.name());
    let mut text = String::with_capacity(line.len() + 256);
    // Writing to a text does not fail.
    let _ = write!(text, "<{priority}>1 {time} {hostname} daybook {process} {kind} ");
    let _ = write!(text, "[daybook@{enterprise}");
    param(&mut text, "session", &told.session);
    let _ = write!(text, " seq=\"{}\" offset=\"{}\"", told.seq, told.offset);
    for (name, value) in [("user", &told.user), ("role", &told.role)] {
        if let Some(value) = value {
            param(&mut text, name, value);
        }
    }
    text.push_str("] ");
    text.push(BOM);
    text.push_str(line);
    text
}

/// Puts a message into a frame.
pub fn frame(out: &mut Vec<u8>, message: &str) {
    out.extend_from_slice(message.len().to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(message.as_bytes());
}

fn param(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, " {name}=\"");
    for c in value.chars() {
        if ['"', '\\', ']'].contains(&c) {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use daybook_engine::event::{Kind, Micros, Offset, Seq};
    use proptest::prelude::*;

    fn head() -> Head {
        Head { facility: 13, hostname: "h".into(), process: 7, enterprise: "32473".into() }
    }

    fn told(session: &str, user: Option<&str>, verdict: Option<Verdict>, line: &str) -> Told {
        Told {
            offset: Offset(130),
            session: session.into(),
            seq: Seq(4),
            time: Micros(1_772_357_402_000_000),
            received: Micros(0),
            kind: Kind::Command,
            verdict,
            user: user.map(Into::into),
            role: Some("pg-prod".into()),
            lines: vec![line.to_owned()],
        }
    }

    #[test]
    fn a_message_is_as_rfc_5424_has_it() {
        let told = told("s-1", Some(r#"a"b\c]d"#), Some(Verdict::Blocked), "{}");
        let text = message(&head(), &told, "{}");
        let expected = "<108>1 2026-03-01T09:30:02.000000Z h daybook 7 command [daybook@32473 session=\"s-1\" \
            seq=\"4\" offset=\"130\" user=\"a\\\"b\\\\c\\]d\" role=\"pg-prod\"] \u{feff}{}";
        assert_eq!(text, expected);
        let mut framed = Vec::new();
        frame(&mut framed, "abc");
        frame(&mut framed, "é");
        assert_eq!(framed, "3 abc2 é".as_bytes());
    }

    /// What a receiver reads: written from RFC 5424's grammar, not from the code above.
    struct Read {
        priority: u64,
        fields: Vec<String>,
        id: String,
        params: Vec<(String, String)>,
        text: String,
    }

    fn read(message: &[u8]) -> Read {
        let mut rest = std::str::from_utf8(message).unwrap().chars();
        let mut until = |end: char| -> String { rest.by_ref().take_while(|c| *c != end).collect() };
        assert_eq!(until('<'), "");
        let priority = until('>').parse().unwrap();
        assert_eq!(until(' '), "1");
        let fields = (0..5).map(|_| until(' ')).collect();
        assert_eq!(rest.next(), Some('['));
        let mut id = String::new();
        let mut params = Vec::new();
        let mut end = loop {
            match rest.next().unwrap() {
                c @ (' ' | ']') => break c,
                c => id.push(c),
            }
        };
        while end == ' ' {
            let name: String = rest.by_ref().take_while(|c| *c != '=').collect();
            assert_eq!(rest.next(), Some('"'));
            let mut value = String::new();
            loop {
                match rest.next().unwrap() {
                    '"' => break,
                    '\\' => match rest.next().unwrap() {
                        c @ ('"' | '\\' | ']') => value.push(c),
                        other => panic!("\\{other} is no escape"),
                    },
                    ']' => panic!("a bare ]"),
                    c => value.push(c),
                }
            }
            params.push((name, value));
            end = rest.next().unwrap();
        }
        assert_eq!((end, rest.next(), rest.next()), (']', Some(' '), Some('\u{feff}')));
        Read { priority, fields, id, params, text: rest.collect() }
    }

    /// Messages out of a stream, by their lengths.
    fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
            let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
            all.push(&bytes[space + 1..space + 1 + length]);
            bytes = &bytes[space + 1 + length..];
        }
        all
    }

    proptest! {
        #[test]
        fn whatever_is_in_an_event_a_receiver_reads_it_back(
            events in prop::collection::vec(
                (
                    any::<String>(),
                    prop::option::of(r#"[\]\\"\x00-\x1f\x7f\u{85}\u{feff}\u{10ffff}a =\[]{0,20}"#),
                    any::<bool>(),
                    any::<String>(),
                ),
                0..5,
            ),
        ) {
            let mut stream = Vec::new();
            for (session, user, blocked, line) in &events {
                let verdict = if *blocked { Verdict::Rejected } else { Verdict::Passed };
                let told = told(session, user.as_deref(), Some(verdict), line);
                frame(&mut stream, &message(&head(), &told, line));
            }
            let frames = frames(&stream);
            prop_assert_eq!(frames.len(), events.len());
            for (frame, (session, user, blocked, line)) in frames.into_iter().zip(events) {
                let got = read(frame);
                prop_assert_eq!(got.priority, if blocked { 108 } else { 110 });
                let fields = ["2026-03-01T09:30:02.000000Z", "h", "daybook", "7", "command"];
                prop_assert_eq!(got.fields, fields);
                prop_assert_eq!(got.id, "daybook@32473");
                let mut params = vec![("session".to_owned(), session)];
                params.extend([("seq".into(), "4".into()), ("offset".into(), "130".into())]);
                params.extend(user.map(|user| ("user".to_owned(), user)));
                params.push(("role".into(), "pg-prod".into()));
                prop_assert_eq!(got.params, params);
                prop_assert_eq!(got.text, line);
            }
        }
    }
}
