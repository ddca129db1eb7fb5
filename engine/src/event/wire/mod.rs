//! The wire form of an event: one JSON object, checked field by field.
//!
//! [`Event::decode`] is the only door: what it accepts is stored, what it refuses is answered with a
//! message that names the field and says how to mend it. It borrows from the line wherever JSON
//! escapes allow. A field that the kind does not name is refused, except inside `metadata`.
//!
//! Bounds: a line [`LINE_BYTES_MAX`], a session id [`SESSION_BYTES_MAX`], a name (user, role, tag,
//! ...) [`NAME_BYTES_MAX`], lists [`LIST_LEN_MAX`]. Texts (`input`, `output`, `text`, `data`) are
//! bounded by the line alone and never cut.
//!
//! | module | what is there |
//! |---|---|
//! | `body` | the kinds of events and their fields |
//! | `json` | JSON to fields, and fields to a kind |
//! | `values` | the values of fields, bounded while they are read |

mod body;
mod json;
mod values;

pub use body::{
    Access, Body, Command, CommandEnd, Content, End, Retention, ReviewDecision, ReviewRequest,
    Start, fields_of,
};

use super::time::excerpt;
use super::{Micros, Seq};
use std::borrow::Cow;

/// The longest line that can be stored, in bytes.
pub const LINE_BYTES_MAX: usize = 64 << 20;
/// The longest line that is accepted unless it is set otherwise, in bytes.
pub const LINE_BYTES_DEFAULT: usize = 16 << 20;
/// The longest session id, in bytes.
pub const SESSION_BYTES_MAX: usize = 256;
/// The longest name (user, role, tag, rule, review id, ...), in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// The longest list or map (tags, groups, metadata, masked types).
pub const LIST_LEN_MAX: usize = 256;

/// An event as it was sent, checked; borrowed from its line where that is possible.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// The session's id.
    pub session: Cow<'a, str>,
    /// The event's number in its session; `None` asks the node to assign one.
    pub seq: Option<Seq>,
    /// What the producer itself calls the event. The doors for other producers' protocols, which know
    /// no numbers, tell repetitions by it.
    pub id: Option<Cow<'a, str>>,
    /// When it happened.
    pub time: Micros,
    /// What happened.
    pub body: Body<'a>,
}

impl<'a> Event<'a> {
    /// Decodes and checks one line.
    ///
    /// # Errors
    /// A sentence without a full stop that says what is wrong, where, and what would be right.
    pub fn decode(line: &'a [u8]) -> Result<Event<'a>, String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!(
                "line of {} bytes is over the limit of {LINE_BYTES_MAX}; send long outputs as several `output` events",
                line.len()
            ));
        }
        let line = std::str::from_utf8(line).map_err(|error| {
            format!(
                "invalid UTF-8 at byte {}; send bytes that are not text as base64 in `data`",
                error.valid_up_to()
            )
        })?;
        // A derived struct would also take an array of its fields in order.
        if !line.trim_start().starts_with('{') {
            return Err(if line.trim().is_empty() {
                "line is empty".to_owned()
            } else {
                format!("`{}` is not a JSON object", excerpt(line))
            });
        }
        json::event(line)
    }
}
