//! How far somebody has been told: what `notify.json` in the data directory has of it.
//!
//! ```text
//! {"sha256":...,"version":1,"places":{"NAME":{"through":120,"at":{"offset":130,"since":...},"again":[96],
//!     "dead":[{"offset":87,"at":...,"why":"..."}],"delivered":12}}}
//! ```
//!
//! Everything before `through` was told, was not to be, or is a dead letter. What is being told is noted down before it
//! is sent for the first time, with since when, so that it becomes a dead letter in time also over restarts.

use serde::{Deserialize, Serialize};

/// How far somebody has been told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Everything before this offset was looked at.
    pub through: u64,
    /// What is being told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// Dead letters that are to be sent again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<u64>,
    /// What could not be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead: Vec<Dead>,
    /// How many messages were delivered.
    #[serde(default)]
    pub delivered: u64,
    /// When one was delivered last, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery: Option<i64>,
    /// Dead letters that were forgotten, because there were too many.
    #[serde(default)]
    pub forgotten: u64,
}

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// The event that it tells of.
    pub offset: u64,
    /// Since when, in microseconds since 1970.
    pub since: i64,
}

/// A message that could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// The event that it tells of.
    pub offset: u64,
    /// Since when it is dead, in microseconds since 1970.
    pub at: i64,
    /// What the last attempt came to.
    pub why: Box<str>,
    /// The session that it is of.
    pub session: Box<str>,
    /// The review that it is of.
    pub review: Box<str>,
    /// What it tells: `request`, `approved`, ...
    pub event: Box<str>,
}
