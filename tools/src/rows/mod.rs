//! What a list holds, as rows of a table for people and as records of CSV for programs.
//!
//! | module | what is there |
//! |---|---|
//! | [`hits`] | events that a search or a tail found, and sessions with such events |
//! | [`sessions`] | sessions |
//! | [`events`] | a session's events, for programs; people get a [story](crate::show) |
//!
//! A column of CSV has one name wherever it is: `session` is the session's id also in the list of
//! sessions, and the columns of an export have the names that they have there. What is not known is empty;
//! lists (`tags`) are joined by `;`.

pub mod events;
pub mod hits;
pub mod sessions;

use serde_json::Value;

/// A field's text, or nothing.
#[must_use]
pub fn field<'a>(item: &'a Value, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A field's number, or zero.
#[must_use]
pub fn number(item: &Value, name: &str) -> u64 {
    item.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// A field as a cell of CSV.
fn cell(item: &Value, name: &str) -> String {
    fn text(value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(";"),
            other => other.to_string(),
        }
    }
    item.get(name).map(text).unwrap_or_default()
}
