//! What passes between the handle and the courier.

use super::NotTaken;
use parking_lot::Mutex;
use std::time::Duration;

/// What the handle asks for.
pub enum Command {
    /// An event's line, with its line break.
    Line(String),
    /// Send what is left, for so long.
    Close(Duration),
}

/// What the handle may know.
#[derive(Debug, Default)]
pub struct Status(pub(super) Mutex<Known>);

/// What there is to know.
#[derive(Debug, Default)]
pub struct Known {
    /// What keeps events from the server.
    pub trouble: Option<String>,
    /// Why nothing more is taken.
    pub refuses: Option<NotTaken>,
}

impl Status {
    pub fn refuses(&self) -> Option<NotTaken> {
        self.0.lock().refuses.clone()
    }

    pub fn trouble(&self) -> Option<String> {
        self.0.lock().trouble.clone()
    }
}
