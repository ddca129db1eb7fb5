//! What a file is, told by its content: by the names of the fields of its first object.

use crate::asciicast::is_asciicast;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// daybook's own events.
    Events,
    /// An asciicast recording.
    Asciicast,
    /// tlog's messages.
    Tlog,
    /// journald's entries, as `journalctl -o json` has them.
    JournalJson,
    /// journald's entries, as `journalctl -o export` has them.
    JournalExport,
    /// hoop's sessions.
    Hoop,
    /// The stream of one of hoop's sessions, without the session.
    HoopStream,
    /// Teleport's audit events.
    Teleport,
    /// None of these; what it seems to be.
    Unknown(String),
}

/// Tells what a file is by its start, which need not hold a whole object.
#[must_use]
pub fn shape(start: &[u8]) -> Shape {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    if start.is_empty() {
        return Shape::Events;
    }
    if start.starts_with(b"__CURSOR=") || start.starts_with(b"__REALTIME_TIMESTAMP=") {
        return Shape::JournalExport;
    }
    let first = first(start);
    let has = |name: &str| first.keys.iter().any(|key| key == name);
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    if first.is_nested_list {
        return Shape::HoopStream;
    }
    if all(&["rec", "timing"]) {
        return Shape::Tlog;
    }
    if all(&["session", "kind"]) {
        return Shape::Events;
    }
    if has("MESSAGE") && (has("__REALTIME_TIMESTAMP") || has("__CURSOR") || has("TLOG_REC")) {
        return Shape::JournalJson;
    }
    if has("event_stream")
        || all(&["org_id", "connection"])
        || all(&["org_id", "script"])
        || all(&["data", "has_next_page"])
    {
        return Shape::Hoop;
    }
    if all(&["event", "time"]) && (has("code") || has("uid") || has("ei")) {
        return Shape::Teleport;
    }
    if is_asciicast(start) {
        return Shape::Asciicast;
    }
    // A bad first line does not make a file of events another.
    if start.windows(9).any(|window| window == b"\"session\"") {
        return Shape::Events;
    }
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.get(..60).unwrap_or(line);
    Shape::Unknown(match first.keys.is_empty() {
        true => format!("it starts with `{}`", String::from_utf8_lossy(line).escape_debug()),
        false => format!("its first object has the fields {}", first.keys.join(", ")),
    })
}

/// What is seen of the first object.
#[derive(Debug, Default)]
struct First {
    /// Its keys, as far as they are there.
    keys: Vec<String>,
    /// A list whose first item is a list.
    is_nested_list: bool,
}

/// The most keys that are looked at.
const KEYS_MAX: usize = 64;

/// Reads the keys of the first object, which may be the first of a list, and may be cut off.
fn first(start: &[u8]) -> First {
    let mut first = First::default();
    let mut depth = 0u32;
    let mut lists = 0u32;
    let mut last_text: Option<(usize, usize)> = None;
    let mut at = 0;
    while let Some(byte) = start.get(at) {
        match byte {
            b'"' => {
                let text = at + 1;
                at = text;
                while let Some(byte) = start.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                last_text = Some((text, at));
            }
            b':' if depth == lists + 1 => {
                let key = last_text.and_then(|(from, to)| start.get(from..to)).unwrap_or_default();
                first.keys.push(String::from_utf8_lossy(key).into_owned());
                if first.keys.len() == KEYS_MAX {
                    return first;
                }
            }
            b'[' if depth == lists => {
                lists += 1;
                depth += 1;
                if lists == 2 {
                    first.is_nested_list = true;
                    return first;
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth <= lists {
                    return first;
                }
            }
            byte if depth == 0 && !byte.is_ascii_whitespace() => return first,
            _ => {}
        }
        at += 1;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_is_known_by_its_first_object_also_when_that_is_cut_off() {
        let known: &[(&str, Shape)] = &[
            ("", Shape::Events),
            (
                "{\"session\":\"s\",\"seq\":0,\"kind\":\"note\",\"text\":\"\\\"event_stream\\\": []\"}",
                Shape::Events,
            ),
            ("\n\n{\"sesion\":1}\n{\"session\":\"s\",\"kind\":\"note\"}", Shape::Events),
            ("{\"version\":2,\"width\":80,\"height\":24}\n[0.1,\"o\",\"a\"]", Shape::Asciicast),
            ("{\n  \"version\": 1,\n", Shape::Asciicast),
            (
                "{\"ver\":\"2.3\",\"host\":\"h\",\"rec\":\"r\",\"session\":1,\"timing\":\"=80x",
                Shape::Tlog,
            ),
            ("{\"__CURSOR\":\"s\",\"MESSAGE\":\"{}\",\"_PID\":\"1\"}", Shape::JournalJson),
            ("__CURSOR=s=1\nMESSAGE=x\n", Shape::JournalExport),
            ("{\"id\":\"1\",\"org_id\":\"2\",\"script\":{\"data\":\"sel", Shape::Hoop),
            ("[\n {\"id\":\"1\",\"event_stream\":[[0.1,\"o\",\"\"]]}]", Shape::Hoop),
            ("{\"data\":[{\"id\":\"1\"}],\"total\":1,\"has_next_page\":false}", Shape::Hoop),
            ("[[0.1,\"o\",\"aGk=\"]]", Shape::HoopStream),
            ("[{\"event\":\"user.login\",\"code\":\"T1000I\",\"time\":\"2026", Shape::Teleport),
        ];
        for (start, expected) in known {
            assert_eq!(&shape(start.as_bytes()), expected, "{start}");
        }
        assert_eq!(shape(b"PK\x03\x04"), Shape::Unknown("it starts with `PK\\u{3}\\u{4}`".into()));
        let fields = shape(b"{\"a\":{\"x\":1},\"b\":[{\"y\":2}]}");
        assert_eq!(fields, Shape::Unknown("its first object has the fields a, b".into()));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_shape(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = shape(&bytes);
        }

        #[test]
        fn anything_like_json_has_a_shape(text in "[\\[\\]{}\":, \\\\a\n]{0,60}") {
            let _ = shape(text.as_bytes());
        }
    }
}
