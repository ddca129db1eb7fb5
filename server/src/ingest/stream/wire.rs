//! What a stream sends down: texts with JSON in them, and the code and reason of its end.
//!
//! | `type` | when | what is in it |
//! |---|---|---|
//! | `hello` | first | the bounds, the credit, where sessions stand |
//! | `ack` | once for each frame, in their order | `frame`, the `credit` that comes back, and what `POST` answers |
//! | `error` | last, if a frame could not be stored | `frame` and its `problem`; this frame and all after it have to be sent again |
//!
//! | code | why |
//! |---|---|
//! | 1001 | the server stops; what it read has been acknowledged |
//! | 1002 | this is not WebSocket |
//! | 1007 | a frame can't be decompressed |
//! | 1008 | sent past the credit, or nothing was heard for too long |
//! | 1009 | a frame is too large |
//! | 1011 | the server failed, or takes no more events |
//! | 1013 | come again later: the disk is full, or too much waits |

use super::resume::Place;
use crate::ingest::tally::Tally;
use crate::problem::{Document, Problem};
use axum::extract::ws::{CloseFrame, Message, close_code};
use axum::http::StatusCode;
use serde::Serialize;

/// The version of all this.
pub const VERSION: u32 = 1;
/// The reason of a close may have no more bytes.
const REASON_BYTES_MAX: usize = 123;

/// A message of the server's.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Down<'a> {
    /// The first one.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// Bytes of frames that may be on their way.
        credit: u64,
        /// Bytes of one frame.
        frame_bytes_max: u64,
        /// Bytes of one frame after decompression.
        unpacked_bytes_max: u64,
        /// Seconds after which a connection that says nothing is closed; the server pings before.
        idle_seconds: f64,
        /// The sessions that were asked after, in that order.
        sessions: &'a [Place],
    },
    /// A frame is durable.
    Ack {
        /// Its number.
        frame: u64,
        /// The bytes that may be sent again.
        credit: u64,
        /// What became of its lines.
        #[serde(flatten)]
        tally: &'a Tally,
    },
    /// A frame could not be stored as a whole; the connection ends.
    Error {
        /// Its number.
        frame: u64,
        /// Why, and what of it was stored.
        problem: &'a Document,
    },
}

impl Down<'_> {
    /// As it is sent.
    ///
    /// # Errors
    /// None in fact: it is plain data.
    pub fn message(&self) -> Result<Message, Problem> {
        serde_json::to_string(self).map(Message::text).map_err(Problem::internal)
    }
}

/// The end of a stream.
pub fn close(code: u16, reason: &str) -> Message {
    let mut len = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    let reason = reason.get(..len).unwrap_or_default();
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// The code of an end that a problem brings about.
pub fn code(problem: &Problem) -> u16 {
    match problem.status() {
        StatusCode::PAYLOAD_TOO_LARGE => close_code::SIZE,
        StatusCode::INSUFFICIENT_STORAGE => close_code::AGAIN,
        // Without a time to come back at, it does not pass by itself.
        StatusCode::SERVICE_UNAVAILABLE if problem.retries_after().is_some() => close_code::AGAIN,
        status if status.is_client_error() => close_code::INVALID,
        _ => close_code::ERROR,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn a_reason_fits_into_its_frame_and_is_cut_between_letters() {
        for reason in ["", "short", &"ä".repeat(200), &"x".repeat(200)] {
            let Message::Close(Some(frame)) = close(1000, reason) else { panic!() };
            assert!(frame.reason.as_str().len() <= REASON_BYTES_MAX);
            assert!(reason.starts_with(frame.reason.as_str()));
        }
    }

    #[test]
    fn an_ack_has_the_fields_of_an_uploads_answer() {
        let tally = Tally { accepted: 2, first_offset: Some(5), ..Tally::default() };
        let ack = Down::Ack { frame: 7, credit: 80, tally: &tally }.message().unwrap();
        let ack: serde_json::Value = serde_json::from_str(ack.to_text().unwrap()).unwrap();
        let upload = serde_json::to_value(&tally).unwrap();
        for (name, value) in upload.as_object().unwrap() {
            assert_eq!(&ack[name], value, "{name}");
        }
        assert_eq!(
            (&ack["type"], &ack["frame"], &ack["credit"]),
            (&"ack".into(), &7.into(), &80.into())
        );
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let full = Problem::from(daybook_engine::Error::Full { what: "x".into() });
        let dead = Problem::from(daybook_engine::Error::ReadOnly { reason: "x".into() });
        let busy = Problem::busy("x");
        assert_eq!([full, dead, busy].map(|p| code(&p)), [1013, 1011, 1013]);
    }
}
