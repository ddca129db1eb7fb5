//! What is seen, event after event: for the indexer, which comes by all of them.

use super::{Context, Lookback, Seen, Size};
use crate::block::Record;
use crate::event::wire::Event;
use crate::event::{Kind, Offset, SessionKey};
use crate::view::Snapshot;
use std::collections::HashMap;

/// So many terminals are remembered, and what their contexts take in memory, in bytes; of others the context is read
/// from the log again.
const SESSIONS_MAX: usize = 65_536;
const MEMORY_MAX: usize = 64 << 20;

/// For each event that comes by so many may be read again, up to a reserve for when a feed begins. Past that,
/// contexts are not known: a context can be as dear as some hundred events, and nobody must have to wait for that
/// with each.
const READS_PER_EVENT: usize = 1;
const RESERVE: usize = 1 << 18;

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
#[derive(Debug)]
pub struct Feed {
    sessions: HashMap<SessionKey, Terminal>,
    /// What the contexts take.
    memory: usize,
    /// How much may be read again.
    reads: usize,
}

impl Default for Feed {
    /// No terminal is known.
    fn default() -> Feed {
        Feed { sessions: HashMap::new(), memory: 0, reads: RESERVE }
    }
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
        self.reads = RESERVE.min(self.reads + READS_PER_EVENT);
        let shows = matches!(record.kind, Kind::TerminalOutput | Kind::TerminalInput);
        if !shows && !self.sessions.contains_key(&session) && Size::of(event).is_none() {
            return Glimpse::default();
        }
        let known = self.sessions.get(&session).is_some_and(|t| Some(t.last) == record.previous);
        if !known {
            let before = match record.previous {
                None => Some(<(Context, Size)>::default()),
                // What can't be read now may be mended until somebody looks.
                Some(previous) if self.reads > 0 => log().and_then(|log| {
                    let mut lookback = Lookback::new(&log);
                    let before = lookback.at(session, previous);
                    self.reads = self.reads.saturating_sub(lookback.read());
                    before.ok()
                }),
                Some(_) => None,
            };
            let Some((context, size)) = before else {
                return if shows { Glimpse::Unknown } else { Glimpse::default() };
            };
            self.make_room();
            self.memory += context.memory();
            let known = Terminal { context, size, last: record.offset };
            if let Some(replaced) = self.sessions.insert(session, known) {
                self.memory -= replaced.context.memory();
            }
        }
        let Some(terminal) = self.sessions.get_mut(&session) else { return Glimpse::Unknown };
        terminal.size = Size::of(event).unwrap_or(terminal.size);
        let seen = terminal.context.seen(event, terminal.size);
        let before = terminal.context.memory();
        terminal.context.push(event);
        terminal.last = record.offset;
        self.memory = self.memory + terminal.context.memory() - before;
        Glimpse::Seen(seen)
    }

    /// Forgets the half that has been silent longest.
    fn make_room(&mut self) {
        if self.sessions.len() < SESSIONS_MAX && self.memory < MEMORY_MAX {
            return;
        }
        let mut lasts: Vec<Offset> = self.sessions.values().map(|terminal| terminal.last).collect();
        let half = lasts.len() / 2;
        if half == 0 {
            return;
        }
        let (_, middle, _) = lasts.select_nth_unstable(half);
        let middle = *middle;
        self.sessions.retain(|_, terminal| terminal.last > middle);
        self.memory = self.sessions.values().map(|terminal| terminal.context.memory()).sum();
    }
}
