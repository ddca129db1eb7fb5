//! asciicast recordings (v1, v2 and v3) to a session's events.
//!
//! A recording becomes one session: `session.start`, its terminal events, `session.end`. Its id comes
//! from a hash of the file, so importing a file twice stores nothing twice.
//!
//! | code | event |
//! |---|---|
//! | `o` | `terminal.output` |
//! | `i` | `terminal.input` |
//! | `r` | `terminal.resize` |
//! | `m` | `terminal.marker` |
//! | `x` | the exit code of `session.end` |
//!
//! Other codes are skipped, as players do. A line that can't be read is reported and skipped: a
//! recorder that was cut off leaves half a line at the end.

mod decode;
mod events;

pub use decode::{Recording, Skipped, Term, decode, is_asciicast};
pub use events::{Labels, events};
