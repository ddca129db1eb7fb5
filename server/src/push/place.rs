//! How far a sink has come: what `push.json` in the data directory has of it.
//!
//! ```text
//! {"sha256":...,"version":1,"places":{"siem":{"through":120,"pending":187,"again":80,"sent":112,...,
//!     "refused":[{"offset":77,"session":"s-1","seq":4,"at":…,"why":"…"}]}}}
//! ```
//!
//! A sink is done with everything before `through`: the receiver took it, or it stands in `refused`. What is sent next
//! over HTTP ends before `pending`, noted down before it is sent for the first time, so that it is the same batch
//! after a restart. A new connection of syslog begins at `again`.

use serde::{Deserialize, Serialize};

/// How far a sink has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Everything before this offset was looked at, and what matched was taken or noted as refused.
    pub through: u64,
    /// Where the batch ends that is being sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u64>,
    /// Where the next connection begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
    /// Events that were taken; one that was sent twice counts twice.
    #[serde(default)]
    pub sent: u64,
    /// Bytes of their lines.
    #[serde(default)]
    pub sent_bytes: u64,
    /// When something was taken last, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent: Option<i64>,
    /// Events that were erased before the sink came to them.
    #[serde(default)]
    pub gone: u64,
    /// Events that may match, but can't be read.
    #[serde(default)]
    pub unreadable: u64,
    /// Events that the receiver refused, ever.
    #[serde(default)]
    pub refused_ever: u64,
    /// Those of them that it has not taken since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// An event that the receiver refused for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The event.
    pub offset: u64,
    /// Its session.
    pub session: Box<str>,
    /// Its number in the session.
    pub seq: u32,
    /// When it was refused, in microseconds since 1970.
    pub at: i64,
    /// Why.
    pub why: Box<str>,
}
