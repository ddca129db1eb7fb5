//! Legal holds: what must not be deleted, whatever its age, until somebody releases it.

use super::policy::Names;
use crate::event::time::excerpt;
use crate::event::wire::{NAME_BYTES_MAX, SESSION_BYTES_MAX};
use crate::event::{Micros, SessionKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::{BTreeMap, BTreeSet};

/// The most names of a hold.
pub const NAMES_MAX: usize = 1_000;
/// The longest query of a hold, and the longest reason, in bytes.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// The most holds at a time.
pub const HOLDS_MAX: usize = 10_000;

/// What a hold covers: every session that any of these names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Sessions, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Box<str>>,
    /// The sessions of these users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Names>,
    /// The sessions of these resource roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Names>,
    /// The sessions with an event that matches this query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<str>>,
}

/// A hold that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHold {
    /// What it covers.
    pub scope: Scope,
    /// The legal case.
    pub case: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// Who asks for it.
    pub by: Box<str>,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: Box<str>,
    /// What it covers.
    pub scope: Scope,
    /// The legal case.
    pub case: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// Who placed it.
    pub by: Box<str>,
    /// When.
    pub placed: Micros,
    /// The sessions that its query has matched so far. What a hold has covered once stays covered,
    /// also when the session changes and the query does not match it any more.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub matched: Keys,
}

impl NewHold {
    /// Is it within its bounds?
    ///
    /// # Errors
    /// What is not, and how to mend it.
    pub fn check(&self) -> Result<(), String> {
        let Scope { sessions, users, roles, query } = &self.scope;
        let names = sessions.len() + users.len() + roles.len();
        if names == 0 && query.is_none() {
            return Err("a hold covers nothing: name sessions, users, roles or a query".to_owned());
        }
        if names > NAMES_MAX {
            return Err(format!(
                "a hold with {names} names is over the limit of {NAMES_MAX}; place several, or use a query"
            ));
        }
        for names in users.iter().chain(roles) {
            names.check()?;
        }
        for id in sessions {
            bounded("a session's id", id, SESSION_BYTES_MAX)?;
        }
        if let Some(query) = query {
            bounded("a query", query, TEXT_BYTES_MAX)?;
        }
        bounded("the field `case`", &self.case, NAME_BYTES_MAX)?;
        bounded("the field `by`", &self.by, NAME_BYTES_MAX)?;
        bounded("the field `reason`", &self.reason, TEXT_BYTES_MAX)
    }
}

impl NewHold {
    /// The hold, once it is placed.
    pub(super) fn placed(self, id: Box<str>, placed: Micros) -> Hold {
        let NewHold { scope, case, reason, by } = self;
        Hold { id, scope, case, reason, by, placed, matched: Keys::default() }
    }
}

/// A text that is not empty and not too long.
pub(super) fn bounded(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.len() > limit {
        return Err(format!(
            "{what} `{}` has {} bytes, over the limit of {limit}",
            excerpt(text),
            text.len()
        ));
    }
    Ok(())
}

impl Hold {
    /// Does it cover a session?
    #[must_use]
    pub fn covers(
        &self,
        key: SessionKey,
        id: &str,
        user: Option<&str>,
        role: Option<&str>,
    ) -> bool {
        self.scope.sessions.iter().any(|held| **held == *id)
            || self.scope.users.iter().any(|names| names.have(user))
            || self.scope.roles.iter().any(|names| names.have(role))
            || self.matched.0.contains(&key)
    }

    /// What it covers, for its events.
    pub(super) fn metadata(&self) -> BTreeMap<Box<str>, Box<str>> {
        let join = |names: Vec<String>| (!names.is_empty()).then(|| names.join(" ").into());
        let Scope { sessions, users, roles, query } = &self.scope;
        let parts: [(&str, Option<Box<str>>); 4] = [
            ("sessions", join(sessions.iter().map(ToString::to_string).collect())),
            ("users", join(users.iter().map(ToString::to_string).collect())),
            ("roles", join(roles.iter().map(ToString::to_string).collect())),
            ("query", query.clone()),
        ];
        parts.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
    }
}

/// A set of sessions, small when written: ascending, each as its distance from the one before, seven
/// bits a byte, in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(pub BTreeSet<SessionKey>);

impl Keys {
    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn decode(bytes: &[u8]) -> Option<Keys> {
        let (mut keys, mut last, mut at) = (BTreeSet::new(), 0u64, 0);
        while at < bytes.len() {
            let (mut step, mut shift) = (0u64, 0);
            loop {
                let byte = *bytes.get(at)?;
                at += 1;
                step |= u64::from(byte & 0x7f).checked_shl(shift)?;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            last = last.checked_add(step)?;
            keys.insert(SessionKey(last));
        }
        Some(Keys(keys))
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut bytes, mut last) = (Vec::new(), 0);
        for key in &self.0 {
            let mut step = key.0 - last;
            last = key.0;
            while step >= 0x80 {
                bytes.push(step as u8 | 0x80);
                step >>= 7;
            }
            bytes.push(step as u8);
        }
        serializer.serialize_str(&BASE64.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(de::Error::custom)?;
        Keys::decode(&bytes).ok_or_else(|| de::Error::custom("a set of sessions is cut short"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_of_sessions_is_read_as_it_is_written(
            keys in prop::collection::btree_set(prop_oneof![0u64..500, any::<u64>()], 0..50)
        ) {
            let keys = Keys(keys.into_iter().map(SessionKey).collect());
            let json = serde_json::to_string(&keys).unwrap();
            prop_assert_eq!(serde_json::from_str::<Keys>(&json).unwrap(), keys);
        }
    }

    #[test]
    fn a_hold_that_covers_nothing_or_says_no_reason_is_refused() {
        let scope = Scope { users: vec![Names::new("ann@*")], ..Scope::default() };
        let hold = NewHold { scope, case: "c".into(), reason: "r".into(), by: "b".into() };
        assert_eq!(hold.check(), Ok(()));
        assert!(NewHold { scope: Scope::default(), ..hold.clone() }.check().is_err());
        assert!(NewHold { reason: " ".into(), ..hold.clone() }.check().is_err());
        assert!(NewHold { by: "".into(), ..hold.clone() }.check().is_err());
        assert!(NewHold { case: "x".repeat(2000).into(), ..hold }.check().is_err());
    }
}
