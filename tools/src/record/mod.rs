//! A terminal session, recorded while it goes on.
//!
//! | module | what is there |
//! |---|---|
//! | `pty` | a command behind a pseudo terminal: what it shows, what is typed, how it ends |
//! | `screen` | the terminal of the person in front of it: raw while it lasts, then as it was |
//! | `utf8` | bytes to texts, without cutting a character in two |
//! | `script` | a session's events, numbered and timed |

mod pty;
mod screen;
mod script;
mod utf8;

pub use pty::{Ended, Said, Terminal};
pub use screen::{Raw, size};
pub use script::{Facts, Script};
pub use utf8::{Piece, Utf8};
