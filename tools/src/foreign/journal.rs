//! journald's two formats, as far as tlog's messages need them: `MESSAGE` and the time.
//!
//! ```text
//! journalctl -o json     {"__REALTIME_TIMESTAMP":"1772357427653000","MESSAGE":"...", ...}   one a line
//! journalctl -o export   NAME=value           one a line; a blank line ends an entry
//!                        NAME                 and, if the value has line breaks or is no text:
//!                        8 bytes, little endian: its length; the value; a line break
//! ```
//!
//! In the JSON format a value that is no text is a list of bytes.

use super::{Found, values};
use daybook_engine::event::Micros;
use serde_json::Value;

/// An entry's message, where it was in the file, and its time.
pub type Message = (u64, Vec<u8>, Option<Micros>);

/// The messages of entries in the JSON format; entries that can't be read are noted in `found`.
#[must_use]
pub fn from_json(bytes: &[u8], found: &mut Found) -> Vec<Message> {
    let mut messages = Vec::new();
    for (line, entry) in values(bytes) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(what) => {
                found.skip(line, what);
                continue;
            }
        };
        let message = match entry.get("MESSAGE") {
            Some(Value::String(text)) => text.clone().into_bytes(),
            Some(Value::Array(bytes)) => bytes
                .iter()
                .filter_map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect(),
            // journald leaves out a value that is too long for it, unless it is asked not to (--all).
            Some(Value::Null) if entry.get("TLOG_REC").is_some() => {
                found.skip(line, "the MESSAGE was left out; export with `journalctl --all`");
                continue;
            }
            _ => continue,
        };
        let time = entry.get("__REALTIME_TIMESTAMP").and_then(Value::as_str);
        messages.push((line, message, time.and_then(micros)));
    }
    messages
}

/// The messages of entries in the export format. The number is that of the entry.
#[must_use]
pub fn from_export(bytes: &[u8], found: &mut Found) -> Vec<Message> {
    let mut messages = Vec::new();
    let (mut rest, mut entry) = (bytes, 1u64);
    let (mut message, mut time) = (None, None);
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        let after = after.get(1..).unwrap_or_default();
        rest = after;
        if line.is_empty() {
            messages.extend(message.take().map(|message| (entry, message, time.take())));
            entry += 1;
            continue;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (line.get(..at), line.get(at + 1..).map(<[u8]>::to_vec)),
            None => {
                let length = after.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
                let length = length.and_then(|length| usize::try_from(length).ok());
                let end = length.and_then(|length| length.checked_add(8));
                let value = end.and_then(|end| after.get(8..end));
                let Some((value, end)) = value.zip(end) else {
                    found.skip(entry, "the journal's export ends in the middle of an entry");
                    return messages;
                };
                rest = after.get(end + 1..).unwrap_or_default();
                (Some(line), Some(value.to_vec()))
            }
        };
        match name {
            Some(b"MESSAGE") => message = value,
            Some(b"__REALTIME_TIMESTAMP") => {
                time = value.and_then(|v| micros(&String::from_utf8_lossy(&v)));
            }
            _ => {}
        }
    }
    messages.extend(message.map(|message| (entry, message, time)));
    messages
}

fn micros(text: &str) -> Option<Micros> {
    text.trim().parse().ok().map(Micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_formats_give_messages_and_times() {
        let mut found = Found::default();
        let json = b"{\"__REALTIME_TIMESTAMP\":\"17\",\"MESSAGE\":\"a\\nb\"}\n{\"MESSAGE\":[255,97]}\n{\"X\":1}\n{\"MESSAGE\":null,\"TLOG_REC\":\"r\"}\n";
        let messages = from_json(json, &mut found);
        assert_eq!(messages, [(1, b"a\nb".to_vec(), Some(Micros(17))), (2, vec![255, 97], None)]);
        assert_eq!(found.skipped.len(), 1);
        let export = b"__CURSOR=x\n__REALTIME_TIMESTAMP=17\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nP=1\n\nMESSAGE=c=d\n";
        let messages = from_export(export, &mut found);
        assert_eq!(messages, [(1, b"a\nb".to_vec(), Some(Micros(17))), (2, b"c=d".to_vec(), None)]);
        assert!(from_export(b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffx", &mut found).is_empty());
        assert_eq!(found.skipped.len(), 2);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "(MESSAGE(=.{0,4})?\n|.{0,9}\n){0,6}") {
            let mut found = Found::default();
            let _ = (from_json(&bytes, &mut found), from_export(&bytes, &mut found));
            let _ = (from_json(text.as_bytes(), &mut found), from_export(text.as_bytes(), &mut found));
        }
    }
}
