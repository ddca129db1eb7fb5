//! The terminal of the person in front of it.

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::stdin;

/// Standard input in raw mode: what is typed goes to the recorded command as it is, also `^C`. As it was
/// when this is dropped.
#[derive(Debug)]
pub struct Raw(Option<Termios>);

impl Raw {
    /// Switches to raw mode, if standard input is a terminal.
    ///
    /// # Errors
    /// The system's.
    pub fn enter() -> std::io::Result<Raw> {
        if !isatty(stdin()) {
            return Ok(Raw(None));
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nothing better can be done if the terminal is gone.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

/// Columns and rows of the terminal; 80 and 24 without one.
#[must_use]
pub fn size() -> (u16, u16) {
    let sizes = [tcgetwinsize(stdin()), tcgetwinsize(std::io::stdout())];
    let size = sizes.into_iter().flatten().find(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (size.ws_col, size.ws_row))
}
