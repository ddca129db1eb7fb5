//! Events: what a producer sends, decoded, checked and named.
//!
//! The wire form of an event is one JSON object (a line of NDJSON). daybook keeps *the bytes that
//! were sent*: what comes back from a timeline is what the proxy wrote, and its hash is over those
//! bytes. Beside them a record carries the few facts that readers need without parsing JSON.
//!
//! | module | what is there |
//! |---|---|
//! | [`wire`] | JSON to [`wire::Event`], with every check and every error message |
//! | [`time`] | RFC 3339 to microseconds and back |
//! | [`text`] | the searchable texts of an event: `input`, `output`, `text` |
//! | [`number`] | its searchable numbers: `masked`, `duration`, `exit`, `rows` |

pub mod number;
pub mod text;
pub mod time;
pub mod wire;

use serde::{Deserialize, Serialize};
use std::fmt;

pub use time::Micros;

/// The place of an event in its node's log: dense, from 0, in the order of acknowledgement.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of an event in its session, as the producer numbered it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u32);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A session's number on this node: the offset of the first of its events that arrived.
///
/// Unique without a counter, stable for ever, and known wherever an event of the session is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SessionKey(pub u64);

/// Declares a fieldless enum with its one-byte code and its name on the wire.
macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal, $wire:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $wire)] $variant = $code,)*
        }

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The byte that stands for it in records and indexes.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value of a byte, or `None` for a byte that stands for nothing.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<$name> {
                match code {
                    $($code => Some($name::$variant),)*
                    _ => None,
                }
            }

            /// Its name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $wire,)*
                }
            }

            /// The value of a name on the wire.
            #[must_use]
            pub fn from_name(name: &str) -> Option<$name> {
                match name {
                    $($wire => Some($name::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

coded! {
    /// What happened.
    Kind {
        /// A session began.
        SessionStart = 1, "session.start";
        /// A query or a command was sent, with its verdict.
        Command = 2, "command";
        /// Something came back from a command.
        Output = 3, "output";
        /// A command ended.
        CommandEnd = 4, "command.end";
        /// Bytes that a terminal showed.
        TerminalOutput = 5, "terminal.output";
        /// Bytes that were typed.
        TerminalInput = 6, "terminal.input";
        /// A terminal changed its size.
        TerminalResize = 7, "terminal.resize";
        /// A named moment of a recording.
        TerminalMarker = 8, "terminal.marker";
        /// A review was asked for.
        ReviewRequest = 9, "review.request";
        /// A review was decided.
        ReviewDecision = 10, "review.decision";
        /// A session ended.
        SessionEnd = 11, "session.end";
        /// An investigator's annotation.
        Note = 12, "note";
        /// Somebody read, searched, exported or shared; written by the server itself.
        Access = 13, "access";
        /// Something was held, released or deleted, or found lost; written by daybook itself.
        Retention = 14, "retention";
    }
}

coded! {
    /// What the proxy decided about a command.
    Verdict {
        /// It ran.
        Passed = 1, "passed";
        /// A rule stopped it.
        Blocked = 2, "blocked";
        /// It waits for a review.
        Pending = 3, "pending";
        /// A reviewer let it run.
        Approved = 4, "approved";
        /// A reviewer stopped it.
        Rejected = 5, "rejected";
    }
}

coded! {
    /// How a session ended, as its proxy says.
    EndStatus {
        /// It ended by itself.
        Done = 1, "done";
        /// It ended with an error.
        Failed = 2, "failed";
        /// It was cut off.
        Killed = 3, "killed";
    }
}

coded! {
    /// Where an output came from.
    Stream {
        /// Standard output.
        Stdout = 1, "stdout";
        /// Standard error.
        Stderr = 2, "stderr";
        /// A query's result.
        Result = 3, "result";
    }
}

coded! {
    /// What a review is about.
    Scope {
        /// May this session start.
        Session = 1, "session";
        /// May this command run.
        Command = 2, "command";
    }
}

coded! {
    /// What a reviewer (or the clock, or the proxy) said of a review.
    Decision {
        /// Go ahead.
        Approved = 1, "approved";
        /// No.
        Rejected = 2, "rejected";
        /// An approval was taken back.
        Revoked = 3, "revoked";
        /// Nobody answered in time.
        Expired = 4, "expired";
        /// What was approved has been done.
        Executed = 5, "executed";
    }
}

coded! {
    /// What a `retention` event tells of.
    RetentionAction {
        /// A legal hold was placed.
        Hold = 1, "hold";
        /// A legal hold was released.
        Release = 2, "release";
        /// Events were deleted, because they had been kept as long as the policy says.
        Delete = 3, "delete";
        /// The policy was changed.
        Policy = 4, "policy";
        /// Events were found lost, to damage.
        Loss = 5, "loss";
    }
}
