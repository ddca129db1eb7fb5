//! What a link grants, in the link itself.
//!
//! ```text
//! TOKEN = base64url(grant as JSON) "." base64url(HMAC-SHA256(key, "daybook grant v1\n" grant as JSON))
//! ```
//!
//! Whoever has the key can check it, so it works on every node that has the same key and the session. Nothing in it can
//! be changed without the key: not the session, the part, the format, who may use it, nor until when.

use crate::download::Format;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_query::excerpt::{Excerpt, Part};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A longer one is none of ours.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// What a link grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its id, by which it is revoked.
    pub id: Box<str>,
    /// The session.
    pub session: Box<str>,
    /// Until when, in seconds since 1970.
    pub expires: i64,
    /// To do what.
    pub to: To,
    /// Which events.
    pub part: Part,
    /// Are outputs left out?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hides_outputs: bool,
}

/// What may be done with a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// Downloading a file.
    Download(Format),
    /// Looking, for reviewers of these names.
    Show(Vec<Box<str>>),
    /// Looking, for whoever has it.
    ShowAnyone,
}

impl Grant {
    /// What of the session it shows.
    #[must_use]
    pub fn excerpt(&self) -> Excerpt {
        Excerpt { part: self.part, hides_outputs: self.hides_outputs }
    }
}

/// Signs grants, and checks them.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It was not signed with this key.
    Forged,
    /// Its time is over.
    Expired,
}

impl Key {
    /// A key of some secret bytes.
    #[must_use]
    pub fn new(secret: &[u8]) -> Key {
        Key(secret.to_owned())
    }

    /// The token of a grant.
    #[must_use]
    pub fn sign(&self, grant: &Grant) -> String {
        let json = serde_json::to_vec(grant).unwrap_or_default();
        let mac = self.mac(&json).finalize().into_bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(json), URL_SAFE_NO_PAD.encode(mac))
    }

    /// What a token grants at a time, in seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(&self, token: &str, now: i64) -> Result<Grant, Wrong> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Wrong::Forged);
        }
        let (json, mac) = token.split_once('.').ok_or(Wrong::Forged)?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Wrong::Forged);
        let (json, mac) = (decode(json)?, decode(mac)?);
        // Nothing of it is looked at before.
        self.mac(&json).verify_slice(&mac).map_err(|_| Wrong::Forged)?;
        let grant: Grant = serde_json::from_slice(&json).map_err(|_| Wrong::Forged)?;
        if now < grant.expires { Ok(grant) } else { Err(Wrong::Expired) }
    }

    fn mac(&self, json: &[u8]) -> Hmac<Sha256> {
        // A key of any length is taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        mac.update(b"daybook grant v1\n");
        mac.update(json);
        mac
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use daybook_engine::event::{Micros, Seq};
    use proptest::prelude::*;

    fn grants() -> impl Strategy<Value = Grant> {
        let to = prop_oneof![
            Just(To::ShowAnyone),
            Just(To::Download(Format::Html)),
            prop::collection::vec("[a-z@.\"]{1,9}", 1..3)
                .prop_map(|names| To::Show(names.into_iter().map(Into::into).collect())),
        ];
        let part = prop_oneof![
            Just(Part::Whole),
            any::<u32>().prop_map(|seq| Part::Command(Seq(seq))),
            (0i64..9, 10i64..99).prop_map(|(from, to)| Part::Time(Micros(from), Micros(to))),
        ];
        (".{1,9}", "[a-z]{4}", 0i64..1000, to, part, any::<bool>()).prop_map(
            |(session, id, expires, to, part, hides_outputs)| Grant {
                id: id.into(),
                session: session.into(),
                expires,
                to,
                part,
                hides_outputs,
            },
        )
    }

    proptest! {
        #[test]
        fn a_link_grants_what_was_signed_until_it_expires_and_nothing_else(
            grant in grants(), other in grants(), now in 0i64..1000, noise in ".{0,80}",
            at in any::<prop::sample::Index>(), byte in 0usize..64,
        ) {
            let key = Key::new(b"one key of thirty-two bytes or so");
            let token = key.sign(&grant);
            let good = if now < grant.expires { Ok(grant.clone()) } else { Err(Wrong::Expired) };
            prop_assert_eq!(key.open(&token, now), good);
            prop_assert_eq!(Key::new(b"another").open(&token, now), Err(Wrong::Forged));
            prop_assert_eq!(key.open(&noise, now), Err(Wrong::Forged));
            // What another grant says, with this one's signature.
            if other != grant {
                let theirs = key.sign(&other);
                let mixed = format!("{}.{}", theirs.split_once('.').unwrap().0, token.split_once('.').unwrap().1);
                prop_assert_eq!(key.open(&mixed, now), Err(Wrong::Forged));
            }
            // Any other character anywhere.
            const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let mut changed = token.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = ALPHABET[byte];
            let changed = String::from_utf8(changed).unwrap();
            if changed != token {
                prop_assert!(key.open(&changed, now).is_err());
                prop_assert_eq!(key.open(&changed, -1), Err(Wrong::Forged));
            }
        }
    }
}
