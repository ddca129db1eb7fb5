//! The body of a bulk request to actions.
//!
//! ```text
//! {"index":{"_index":"a","_id":"1"}}     an action,
//! {"field":...}                          its document, but for `delete`
//! {"create":{}}
//! {"field":...}
//! ```
//!
//! A line that is no action where one has to be is refused by itself, together with the line that would be
//! its document; the next action is found again.

use memchr::memchr;
use serde_json::Value;

/// What is to be done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Stored, if it is not there.
    Create,
    /// Stored.
    Index,
    /// Changed.
    Update,
    /// Taken away.
    Delete,
}

impl Verb {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Index => "index",
            Verb::Update => "update",
            Verb::Delete => "delete",
        }
    }
}

/// An action with its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// What is to be done.
    pub verb: Verb,
    /// In which index; daybook has none, and only says it again.
    pub index: Option<String>,
    /// The document's id.
    pub id: Option<String>,
    /// The document's line, or why there is none.
    pub document: Result<&'a [u8], String>,
}

/// Walks over the actions of a body.
#[derive(Debug)]
pub struct Actions<'a> {
    rest: &'a [u8],
}

impl<'a> Actions<'a> {
    /// The actions of a body.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Actions<'a> {
        Actions { rest: body }
    }

    /// The next line that is not blank.
    fn line(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let at = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at(at);
            self.rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

impl<'a> Iterator for Actions<'a> {
    type Item = Action<'a>;

    fn next(&mut self) -> Option<Action<'a>> {
        let line = self.line()?;
        let Some((verb, index, id)) = action(line) else {
            // Its document is passed over, unless it is an action.
            let mut ahead = Actions { rest: self.rest };
            if ahead.line().is_some_and(|line| action(line).is_none()) {
                self.rest = ahead.rest;
            }
            let reason = "malformed action: write {\"create\":{\"_id\":\"...\"}} on a line and the document on the next";
            return Some(Action {
                verb: Verb::Index,
                index: None,
                id: None,
                document: Err(reason.to_owned()),
            });
        };
        let document = match verb {
            Verb::Delete => Ok(&[][..]),
            _ => self.line().ok_or_else(|| "the body ends before the document".to_owned()),
        };
        Some(Action { verb, index, id, document })
    }
}

/// Reads a line as an action.
fn action(line: &[u8]) -> Option<(Verb, Option<String>, Option<String>)> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (name, about) = fields.iter().next()?;
    let verb = match name.as_str() {
        "create" => Verb::Create,
        "index" => Verb::Index,
        "update" => Verb::Update,
        "delete" => Verb::Delete,
        _ => return None,
    };
    let about = about.as_object()?;
    let text = |name: &str| match about.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some((verb, text("_index"), text("_id")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Vec<(Verb, Option<String>, Result<String, String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Actions::new(body.as_bytes()).map(|a| (a.verb, a.id, a.document.map(text))).collect()
    }

    #[test]
    fn actions_come_with_their_documents_and_delete_has_none() {
        let body = "{\"index\":{\"_id\":\"1\"}}\n{\"a\":1}\n\n{\"delete\":{\"_id\":2}}\r\n{\"create\":{}}\n{\"b\":2}";
        let found = read(body);
        assert_eq!(found[0], (Verb::Index, Some("1".into()), Ok("{\"a\":1}".into())));
        assert_eq!(found[1], (Verb::Delete, Some("2".into()), Ok(String::new())));
        assert_eq!(found[2], (Verb::Create, None, Ok("{\"b\":2}".into())));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn after_a_line_that_is_no_action_the_next_action_is_found() {
        for bad in ["{\"indx\":{}}\n{\"a\":1}", "nonsense\n{\"a\":1}", "{\"a\":1}", "[]"] {
            let found = read(&format!("{bad}\n{{\"create\":{{\"_id\":\"x\"}}}}\n{{\"b\":2}}\n"));
            assert!(found[0].2.is_err(), "{bad}");
            assert_eq!(found[1], (Verb::Create, Some("x".into()), Ok("{\"b\":2}".into())), "{bad}");
            assert_eq!(found.len(), 2, "{bad}");
        }
        assert!(read("{\"index\":{}}\n")[0].2.is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_actions_or_refusals_and_come_to_an_end(
            pieces in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..20),
                Just(b"\n{\"index\":{}}\n".to_vec()),
                Just(b"{\"a\":1}\n".to_vec()),
            ], 0..20),
        ) {
            let body = pieces.concat();
            let lines = body.split(|byte| *byte == b'\n').count();
            prop_assert!(Actions::new(&body).count() <= lines);
        }
    }
}
