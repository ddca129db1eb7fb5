//! A saved search, what may be saved, and the file that they are in: `searches.json` in the data directory.
//!
//! ```text
//! {"sha256":...,"version":1,"searches":[{"id","name","query","by","limits","created","updated",
//!     "alert":{"url","secret","from","began"}},...]}
//! ```

use crate::alerts::Secret;
use crate::auth::Limits;
use crate::outbound::moves;
use crate::problem::Problem;
use axum::http::StatusCode;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The longest address of a webhook, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// A saved search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Its id.
    pub id: Box<str>,
    /// Its name, which no other has.
    pub name: Box<str>,
    /// What it searches for.
    pub query: Box<str>,
    /// Whose token saved it; `None` where no token was asked for.
    pub by: Option<Box<str>>,
    /// What that token was limited to; its alert is, for ever.
    #[serde(default)]
    pub limits: Limits,
    /// When it was saved first, in microseconds since 1970.
    pub created: i64,
    /// When it was changed last.
    pub updated: i64,
    /// Where what matches is posted.
    #[serde(default)]
    pub alert: Option<Alert>,
}

/// Where what matches is posted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The webhook's address.
    pub url: Box<str>,
    /// What deliveries are signed with.
    pub secret: Secret,
    /// The offset that it begins at.
    pub from: u64,
    /// When it began there, in microseconds since 1970: names its place and its deliveries.
    pub began: i64,
}

/// The file of all of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct File {
    /// [`VERSION`].
    pub version: u32,
    /// In the order in which they were saved.
    pub searches: Vec<Saved>,
}

/// The version of the file that this code reads and writes.
pub const VERSION: u32 = 1;

/// Looks whether a name may be one.
///
/// # Errors
/// What would be right.
pub fn check_name(name: &str) -> Result<(), Problem> {
    let well = !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX;
    if well && !name.contains(char::is_control) {
        return Ok(());
    }
    let what = format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
    Err(bad("name", what))
}

/// Looks whether a query can be read; that of an alert also whether it means the same at any time.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_query(query: &str, has_alert: bool) -> Result<(), Problem> {
    let moves = moves(query).map_err(|error| Problem::from(error).about("query"))?;
    if has_alert && moves {
        let what = "the query of an alert has no time that moves with the clock, such as `since:24h`: an alert begins where it is made, or at `from`";
        return Err(bad("query", what));
    }
    Ok(())
}

/// Reads the address of a webhook.
///
/// # Errors
/// What would be right.
pub fn check_url(text: &str) -> Result<Box<str>, Problem> {
    let refused = |what: &str| Err(bad("alert.url", what));
    if text.len() > URL_BYTES_MAX {
        return refused(&format!("a webhook's address has at most {URL_BYTES_MAX} bytes"));
    }
    let Ok(url) = Url::parse(text) else {
        return refused("a webhook's address is a URL such as `https://hooks.example.com/daybook`");
    };
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return refused("a webhook's address starts with `https://` or `http://`");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return refused(
            "a webhook's address has no user, no password and no `#`: the signature says who sends",
        );
    }
    Ok(url.as_str().into())
}

/// The part of a webhook's address that is no secret: where it is, but not what stands behind.
#[must_use]
pub fn origin(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// A field of the body that can't be used.
pub fn bad(field: &str, what: impl Into<String>) -> Problem {
    Problem::new("body", StatusCode::BAD_REQUEST, "Bad request body", what).about(field)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_can_be_posted_to_is_an_address_without_secrets_of_its_own_kind() {
        assert_eq!(&*check_url("https://Example.com/a?b=c").unwrap(), "https://example.com/a?b=c");
        assert_eq!(&*check_url("http://127.0.0.1:80").unwrap(), "http://127.0.0.1/");
        for wrong in [
            "",
            "example.com",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://",
            "https://ann:secret@example.com/",
            "https://example.com/#a",
            "data:text/plain,a",
        ] {
            assert!(check_url(wrong).is_err(), "{wrong}");
        }
        assert!(check_url(&format!("https://example.com/{}", "a".repeat(3_000))).is_err());
        assert_eq!(
            origin("https://hooks.example.com/services/T0/secret"),
            "https://hooks.example.com"
        );
    }

    #[test]
    fn an_alert_asks_the_same_at_any_time() {
        assert!(check_query("verdict:blocked after:2026-03-01", true).is_ok());
        assert!(check_query("verdict:blocked since:24h", false).is_ok());
        let said = check_query("verdict:blocked since:24h", true).unwrap_err();
        assert!(said.detail().contains("since:24h"), "{}", said.detail());
        assert!(check_query("user:", false).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_searches_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<File>(&bytes);
        }

        #[test]
        fn any_secret_url_and_name_is_taken_or_refused(text in ".{0,80}") {
            let _ = (check_url(&text), check_name(&text), check_query(&text, true), Secret::parse(&text));
        }
    }
}
