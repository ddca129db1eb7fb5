//! What is seen, event after event: for the indexer, which comes by all of them.

use super::{Context, Lookback, Seen, Size};
use crate::block::Record;
use crate::event::wire::Event;
use crate::event::{Kind, Offset, SessionKey};
use crate::view::Snapshot;
use std::collections::HashMap;

/// Terminals that are remembered; of others the context is read from the log again.
const SESSIONS_MAX: usize = 4_096;

/// What is known of what was seen with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glimpse {
    /// All of it.
    Seen(Seen),
    /// Nothing: its context is not at hand. Whoever looks for words has to look at the event.
    Unknown,
}

impl Default for Glimpse {
    /// Nothing was seen.
    fn default() -> Glimpse {
        Glimpse::Seen(Seen::default())
    }
}

/// The terminals of the sessions whose events come by.
#[derive(Debug, Default)]
pub struct Feed {
    sessions: HashMap<SessionKey, Terminal>,
}

#[derive(Debug)]
struct Terminal {
    context: Context,
    size: Size,
    /// The event that it knows last.
    last: Offset,
}

impl Feed {
    /// What is seen with the next event of a session. What the feed does not know it reads from `log`.
    pub fn next(
        &mut self,
        session: SessionKey,
        record: &Record<'_>,
        event: &Event<'_>,
        log: &mut dyn FnMut() -> Option<Snapshot>,
    ) -> Glimpse {
        let shows = matches!(record.kind, Kind::TerminalOutput | Kind::TerminalInput);
        if !shows && !self.sessions.contains_key(&session) && Size::of(event).is_none() {
            return Glimpse::default();
        }
        let known = self.sessions.get(&session).is_some_and(|t| Some(t.last) == record.previous);
        if !known {
            let before = match record.previous {
                None => Some(<(Context, Size)>::default()),
                // What can't be read now may be mended until somebody looks.
                Some(previous) => {
                    log().and_then(|log| Lookback::new(&log).at(session, previous).ok())
                }
            };
            let Some((context, size)) = before else {
                return if shows { Glimpse::Unknown } else { Glimpse::default() };
            };
            self.make_room();
            self.sessions.insert(session, Terminal { context, size, last: record.offset });
        }
        let Some(terminal) = self.sessions.get_mut(&session) else { return Glimpse::Unknown };
        terminal.size = Size::of(event).unwrap_or(terminal.size);
        let seen = terminal.context.seen(event, terminal.size);
        terminal.context.push(event);
        terminal.last = record.offset;
        if record.kind == Kind::SessionEnd {
            self.sessions.remove(&session);
        }
        Glimpse::Seen(seen)
    }

    /// Forgets the half that has been silent longest.
    fn make_room(&mut self) {
        if self.sessions.len() < SESSIONS_MAX {
            return;
        }
        let mut lasts: Vec<Offset> = self.sessions.values().map(|terminal| terminal.last).collect();
        let (_, middle, _) = lasts.select_nth_unstable(SESSIONS_MAX / 2);
        let middle = *middle;
        self.sessions.retain(|_, terminal| terminal.last > middle);
    }
}
