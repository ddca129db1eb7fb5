//! What came of sending a batch.

use std::time::Duration;

/// What came of sending a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Taken,
    /// The receiver does not want this batch, whenever it is sent; why. It is sent in parts, down to the one event.
    Refused(String),
    /// It may be taken another time; why not now, and what the receiver asks to wait.
    Failed(String, Option<Duration>),
}
