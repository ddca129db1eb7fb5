//! The messages of sudo's log server protocol.
//!
//! ```text
//! ┌──────────────────────┬───────────────────────────────┐
//! │ length: u32, big end │ ClientMessage / ServerMessage │   at most 2 MiB
//! └──────────────────────┴───────────────────────────────┘
//! ```
//!
//! The messages are protobuf (proto3); the tags are those of sudo 1.9's `log_server.proto`. A field that is
//! not named here is passed over, as newer versions have more.

use prost::{Message, Oneof};

/// The longest message, as sudo has it.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// A time, or how long something took.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct TimeSpec {
    /// Seconds.
    #[prost(int64, tag = "1")]
    pub tv_sec: i64,
    /// Nanoseconds.
    #[prost(int32, tag = "2")]
    pub tv_nsec: i32,
}

/// What a client says.
#[derive(Clone, PartialEq, Message)]
pub struct ClientMessage {
    /// One of these.
    #[prost(oneof = "Said", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    pub said: Option<Said>,
}

/// What a client says.
#[derive(Clone, PartialEq, Oneof)]
pub enum Said {
    /// A command was let through.
    #[prost(message, tag = "1")]
    Accept(Accept),
    /// A command was refused.
    #[prost(message, tag = "2")]
    Reject(Reject),
    /// The command ended.
    #[prost(message, tag = "3")]
    Exit(Exit),
    /// The client goes on with a session.
    #[prost(message, tag = "4")]
    Restart(Restart),
    /// Something is wrong.
    #[prost(message, tag = "5")]
    Alert(Alert),
    /// Typed in the terminal.
    #[prost(message, tag = "6")]
    TtyIn(IoBuffer),
    /// Shown by the terminal.
    #[prost(message, tag = "7")]
    TtyOut(IoBuffer),
    /// Read by the command, where that is no terminal.
    #[prost(message, tag = "8")]
    Stdin(IoBuffer),
    /// Written by it.
    #[prost(message, tag = "9")]
    Stdout(IoBuffer),
    /// Written by it as errors.
    #[prost(message, tag = "10")]
    Stderr(IoBuffer),
    /// The terminal has another size.
    #[prost(message, tag = "11")]
    Resize(Resize),
    /// The command was stopped, or goes on.
    #[prost(message, tag = "12")]
    Suspend(Suspend),
    /// Who the client is.
    #[prost(message, tag = "13")]
    Hello(ClientHello),
}

/// Who the client is.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ClientHello {
    /// Its program and version.
    #[prost(string, tag = "1")]
    pub client_id: String,
}

/// A command was let through.
#[derive(Clone, PartialEq, Message)]
pub struct Accept {
    /// When.
    #[prost(message, optional, tag = "1")]
    pub submit_time: Option<TimeSpec>,
    /// Who, what, where.
    #[prost(message, repeated, tag = "2")]
    pub info: Vec<Info>,
    /// Will its input and output follow?
    #[prost(bool, tag = "3")]
    pub expect_iobufs: bool,
}

/// A command was refused.
#[derive(Clone, PartialEq, Message)]
pub struct Reject {
    /// When.
    #[prost(message, optional, tag = "1")]
    pub submit_time: Option<TimeSpec>,
    /// Why.
    #[prost(string, tag = "2")]
    pub reason: String,
    /// Who, what, where.
    #[prost(message, repeated, tag = "3")]
    pub info: Vec<Info>,
}

/// Something is wrong.
#[derive(Clone, PartialEq, Message)]
pub struct Alert {
    /// When.
    #[prost(message, optional, tag = "1")]
    pub alert_time: Option<TimeSpec>,
    /// What.
    #[prost(string, tag = "2")]
    pub reason: String,
    /// Who, what, where.
    #[prost(message, repeated, tag = "3")]
    pub info: Vec<Info>,
}

/// The command ended.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Exit {
    /// How long it ran.
    #[prost(message, optional, tag = "1")]
    pub run_time: Option<TimeSpec>,
    /// Its exit code.
    #[prost(int32, tag = "2")]
    pub exit_value: i32,
    /// It left a core.
    #[prost(bool, tag = "3")]
    pub dumped_core: bool,
    /// The signal that ended it, without `SIG`.
    #[prost(string, tag = "4")]
    pub signal: String,
    /// Why it could not be run.
    #[prost(string, tag = "5")]
    pub error: String,
}

/// The client goes on with a session.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Restart {
    /// Which, as the server named it.
    #[prost(string, tag = "1")]
    pub log_id: String,
    /// After what.
    #[prost(message, optional, tag = "2")]
    pub resume_point: Option<TimeSpec>,
}

/// Some bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IoBuffer {
    /// How long after the record before.
    #[prost(message, optional, tag = "1")]
    pub delay: Option<TimeSpec>,
    /// The bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
}

/// The terminal has another size.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Resize {
    /// How long after the record before.
    #[prost(message, optional, tag = "1")]
    pub delay: Option<TimeSpec>,
    /// Rows.
    #[prost(int32, tag = "2")]
    pub rows: i32,
    /// Columns.
    #[prost(int32, tag = "3")]
    pub cols: i32,
}

/// The command was stopped, or goes on.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Suspend {
    /// How long after the record before.
    #[prost(message, optional, tag = "1")]
    pub delay: Option<TimeSpec>,
    /// By which signal, without `SIG`.
    #[prost(string, tag = "2")]
    pub signal: String,
}

/// A fact of a command.
#[derive(Clone, PartialEq, Message)]
pub struct Info {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(oneof = "InfoValue", tags = "2, 3, 4, 5")]
    pub value: Option<InfoValue>,
}

/// The value of a fact.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum InfoValue {
    /// A number.
    #[prost(int64, tag = "2")]
    Number(i64),
    /// A text.
    #[prost(string, tag = "3")]
    Text(String),
    /// Texts.
    #[prost(message, tag = "4")]
    Texts(Texts),
    /// Numbers.
    #[prost(message, tag = "5")]
    Numbers(Numbers),
}

/// Texts.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Texts {
    /// The texts.
    #[prost(string, repeated, tag = "1")]
    pub strings: Vec<String>,
}

/// Numbers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Numbers {
    /// The numbers.
    #[prost(int64, repeated, tag = "1")]
    pub numbers: Vec<i64>,
}

/// What the server says.
#[derive(Clone, PartialEq, Message)]
pub struct ServerMessage {
    /// One of these.
    #[prost(oneof = "Reply", tags = "1, 2, 3, 4, 5")]
    pub said: Option<Reply>,
}

/// What the server says.
#[derive(Clone, PartialEq, Oneof)]
pub enum Reply {
    /// Who it is.
    #[prost(message, tag = "1")]
    Hello(ServerHello),
    /// All records up to this time since the start are on disk.
    #[prost(message, tag = "2")]
    CommitPoint(TimeSpec),
    /// The session's name, for a restart.
    #[prost(string, tag = "3")]
    LogId(String),
    /// It can't go on; the client decides what that means for the command.
    #[prost(string, tag = "4")]
    Error(String),
    /// The command is to be ended.
    #[prost(string, tag = "5")]
    Abort(String),
}

/// Who the server is, and what it can do.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ServerHello {
    /// Its program and version.
    #[prost(string, tag = "1")]
    pub server_id: String,
    /// Go there instead.
    #[prost(string, tag = "2")]
    pub redirect: String,
    /// Others that would do.
    #[prost(string, repeated, tag = "3")]
    pub servers: Vec<String>,
    /// It takes the commands that a command runs.
    #[prost(bool, tag = "4")]
    pub subcommands: bool,
}

/// A message with its length before it.
#[must_use]
pub fn framed(message: &impl Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    let mut frame = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = ClientMessage::decode(&*bytes) {
                prop_assert_eq!(ClientMessage::decode(&*message.encode_to_vec()).unwrap(), message);
            }
        }
    }
}
