//! Terminals as a person saw them, and lines as they were typed.
//!
//! A terminal's output comes in pieces: a command is echoed key by key, a word is coloured, a progress line is
//! drawn over and over. No single event has the text that stood on the screen. So beside an event's own texts
//! (see [`crate::event::text`]) there is what was [`Seen`] with it:
//!
//! ```text
//! … "$ "  in "l"  "l"  in "s"  "s"  in "\r"          "\r\n"
//!                                    └ typed: "ls"     └ screen: "$ ls"
//! ```
//!
//! - A **line of the screen** is seen with the `terminal.output` that completes it: by a line break, or by moving
//!   the cursor to another line. Escape sequences are resolved by a terminal emulator, a line that was drawn over
//!   is seen once, as it stood in the end, and a line that was wrapped is one line.
//! - A **typed line** is seen with the `terminal.input` that has its line break: as it was echoed behind the
//!   prompt, so with backspaces, completion and history resolved; without an echo as the keys say.
//!
//! What is seen follows from the event and its [`Context`]: the events of its session since the last line break
//! on the screen, at most [`EVENTS_MAX`] events and [`BYTES_MAX`] bytes of them, in the order of their arrival;
//! and from the terminal's [`Size`] at that time. Nothing of it is stored. The text index has the words, so that
//! they are found; whoever verifies asks a [`Lookback`], which reads the context from the log.
//!
//! | module | what is there |
//! |---|---|
//! | `chars` | which characters can't have been seen |
//! | `context` | what came to a terminal since the last line break |
//! | `draw` | the emulator: which lines were completed |
//! | `keys` | a line from its keys alone |
//! | [`Feed`] | what is seen, event after event, for the indexer |
//! | [`Drawn`] | what the indexer has drawn and not committed |
//! | [`Lookback`] | what is seen with any event, for readers |
//! | [`Emulator`] | a whole screen at a moment, for replays |

mod chars;
mod context;
mod draw;
mod drawn;
mod emulator;
mod feed;
mod keys;
mod lookback;
#[cfg(test)]
mod tests;

pub use chars::Chars;
pub use context::{Context, Size};
pub use drawn::Drawn;
pub use emulator::{Color, Cursor, Emulator, Keyframe, Look, Run};
pub use feed::{Feed, Glimpse};
pub use lookback::Lookback;

/// The context of an event goes back so many events of its session at most.
pub const EVENTS_MAX: usize = 512;

/// And so many bytes of what was shown and typed.
pub const BYTES_MAX: usize = 16 << 10;

/// What was seen with an event, beside its own text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The lines of the screen that it completed.
    pub lines: Vec<Line>,
    /// The line that it ended by a line break.
    pub typed: Option<Line>,
    /// What the events of its context, each by itself, have shown or typed: a text that stands in one of
    /// them as it is was found there.
    pub before: Vec<String>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its text, without what is blank at its end.
    pub text: String,
    /// Were events before this one needed for it?
    pub joined: bool,
}

impl Seen {
    /// Is there nothing beside the event's own text?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.typed.is_none()
    }

    /// What it holds in memory, about, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let lines =
            self.lines.iter().chain(&self.typed).map(|line| line.text.len() + size_of::<Line>());
        let before = self.before.iter().map(|text| text.len() + size_of::<String>());
        size_of::<Seen>() + lines.chain(before).sum::<usize>()
    }

    /// Does a line have what `found` looks for, that no event before this one had by itself?
    pub fn any(&self, typed: bool, found: impl Fn(&str) -> bool) -> bool {
        let lines = if typed { self.typed.as_slice() } else { self.lines.as_slice() };
        lines.iter().any(|line| {
            found(&line.text) && !(line.joined && self.before.iter().any(|before| found(before)))
        })
    }
}
