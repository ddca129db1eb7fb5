//! One event as a line, for everything here that makes events: recordings, files of other systems.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use daybook_engine::event::Micros;
use daybook_engine::event::wire::NAME_BYTES_MAX;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// An event's line, without a line break. Fields that are null are left out.
#[must_use]
pub fn event(session: &str, seq: u32, time: Micros, kind: &str, fields: Value) -> String {
    let mut line = Map::new();
    line.insert("session".into(), json!(session));
    line.insert("seq".into(), json!(seq));
    line.insert("time".into(), json!(time.to_string()));
    line.insert("kind".into(), json!(kind));
    if let Value::Object(fields) = fields {
        line.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(line).to_string()
}

/// A name within the bound that the log has for names; one that is longer ends in `…`.
#[must_use]
pub fn cut(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let end = name.floor_char_boundary(NAME_BYTES_MAX - '…'.len_utf8());
    format!("{}…", name.get(..end).unwrap_or_default())
}

/// Bytes as an event holds them: `text` where they are UTF-8, `data` where not.
#[must_use]
pub fn content(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({"text": text}),
        Err(_) => json!({"data": BASE64_STANDARD.encode(bytes)}),
    }
}

/// A session's id that is the same whenever it is made of the same parts.
#[must_use]
pub fn id(prefix: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps `ab`, `c` apart from `a`, `bc`.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize().first_chunk::<10>().map(hex::encode).unwrap_or_default();
    format!("{prefix}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_cut_says_so_and_fits() {
        assert_eq!(cut("żółć"), "żółć");
        let long = cut(&"ż".repeat(NAME_BYTES_MAX));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with('…'));
    }

    #[test]
    fn an_id_depends_on_where_its_parts_end() {
        assert_eq!(id("a", &[b"x", b"y"]), id("a", &[b"x", b"y"]));
        assert_ne!(id("a", &[b"xy", b""]), id("a", &[b"x", b"y"]));
    }
}
