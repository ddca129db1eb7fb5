//! How far an alert has come: what `alerts.json` in the data directory has of it.
//!
//! ```text
//! {"sha256":...,"version":1,"places":{"search-…":{"began":…,"through":120,
//!     "pending":{"through":187,"offsets":[130,154]},"delivered":12,...}}}
//! ```
//!
//! An alert is done with everything before `through`. What it found behind that, up to `pending.through`, is noted
//! down before it is sent for the first time: after a restart it is the same delivery, of the same events.
//!
//! A place is that of the alert that began at the same time; any other one is out of date, and the alert begins
//! where `searches.json` says. So whichever of the two files a crash leaves behind, nothing is skipped.

use serde::{Deserialize, Serialize};

/// How far an alert has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the alert began, in microseconds since 1970.
    pub began: i64,
    /// Everything before this offset was looked at, and what matched was delivered.
    pub through: u64,
    /// What is to be delivered next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Events that were delivered.
    #[serde(default)]
    pub delivered: u64,
    /// Events that were erased before the alert came to them.
    #[serde(default)]
    pub gone: u64,
    /// Events that may match, but can't be read.
    #[serde(default)]
    pub unreadable: u64,
    /// When something was delivered last, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery: Option<i64>,
    /// Why nothing is sent any more, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
}

/// A delivery that was noted down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Where the alert is once it is delivered.
    pub through: u64,
    /// The events that matched.
    pub offsets: Vec<u64>,
}

/// An alert that stands still until somebody changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Since when, in microseconds since 1970.
    pub at: i64,
    /// Why.
    pub why: Box<str>,
}
