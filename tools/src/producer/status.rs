//! What the courier tells the handle.

use super::NotTaken;
use parking_lot::Mutex;

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
