//! The numbers of an event that a search can ask for.

use super::wire::{Body, Event};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventNumber {
    /// Fields masked; what the event does not say is 0.
    Masked,
    /// How long a command took, in milliseconds.
    Duration,
    /// An exit code.
    Exit,
    /// Rows returned or changed.
    Rows,
}

impl EventNumber {
    /// Every one.
    pub const ALL: [EventNumber; 4] =
        [EventNumber::Masked, EventNumber::Duration, EventNumber::Exit, EventNumber::Rows];

    /// The number of an event; `None` where it does not say. Counts beyond `i64::MAX` read as that.
    #[must_use]
    pub fn of(self, event: &Event<'_>) -> Option<i64> {
        let count = |n: Option<u64>| n.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        match (self, &event.body) {
            (EventNumber::Masked, body) => count(Some(body.masked())),
            (EventNumber::Duration, Body::Command(command)) => count(command.duration_ms),
            (EventNumber::Duration, Body::CommandEnd(end)) => count(end.duration_ms),
            (EventNumber::Exit, Body::Command(command)) => command.exit_code,
            (EventNumber::Exit, Body::CommandEnd(end)) => end.exit_code,
            (EventNumber::Exit, Body::SessionEnd(end)) => end.exit_code,
            (EventNumber::Rows, Body::Command(command)) => count(command.rows),
            (EventNumber::Rows, Body::CommandEnd(end)) => count(end.rows),
            _ => None,
        }
    }
}

/// All numbers of an event, in the order of [`EventNumber::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers(pub [Option<i64>; EventNumber::ALL.len()]);

impl Numbers {
    /// Those of an event.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Numbers {
        Numbers(EventNumber::ALL.map(|number| number.of(event)))
    }

    /// Each that is there.
    pub fn iter(self) -> impl Iterator<Item = (EventNumber, i64)> {
        EventNumber::ALL
            .into_iter()
            .zip(self.0)
            .filter_map(|(number, value)| Some((number, value?)))
    }
}
