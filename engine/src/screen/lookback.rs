//! What is seen with any event, read from the log.

use super::context::own;
use super::{Chars, Context, EVENTS_MAX, Seen, Size};
use crate::block::Record;
use crate::error::Error;
use crate::event::wire::Event;
use crate::event::{Kind, Offset, SessionKey};
use crate::view::{Ordinals, Part, Snapshot};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// In a segment a session's events are neighbours, so that many are read at once.
const NEIGHBOURS: u32 = 32;

/// So many sessions' contexts are remembered.
const SESSIONS_MAX: usize = 1_024;

/// Reads contexts; remembers the last of each session, so that going through sessions forwards, also through several
/// at once as a journal has them, reads each event once.
#[derive(Debug)]
pub struct Lookback<'a> {
    log: &'a Snapshot,
    /// By session: an event, and the context after it.
    latest: HashMap<SessionKey, (Offset, Context)>,
    /// The sizes that a session's terminal had, and from which event on; in no order.
    sizes: HashMap<SessionKey, Vec<(Offset, Size)>>,
    /// How much was read, in events.
    read: Cell<usize>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

/// An event on the way back.
struct Step {
    previous: Option<Offset>,
    /// What it shows or types.
    own: Option<(bool, String)>,
}

impl<'a> Lookback<'a> {
    /// Reads from a snapshot.
    #[must_use]
    pub fn new(log: &'a Snapshot) -> Lookback<'a> {
        Lookback { log, latest: HashMap::new(), sizes: HashMap::new(), read: Cell::new(0) }
    }

    /// How much it has read so far, in events; of what is only counted, less.
    #[must_use]
    pub fn read(&self) -> usize {
        self.read.get()
    }

    fn has_read(&self, events: usize) {
        self.read.set(self.read.get() + events);
    }

    /// What is seen with an event of a session, for who looks for a text that has one of `wanted` in it.
    ///
    /// # Errors
    /// An event before it that can't be read.
    pub fn seen(
        &mut self,
        session: SessionKey,
        record: &Record<'_>,
        event: &Event<'_>,
        mut wanted: impl Iterator<Item = Chars>,
    ) -> Result<Arc<Seen>, Error> {
        if !matches!(record.kind, Kind::TerminalOutput | Kind::TerminalInput) {
            return Ok(Arc::default());
        }
        let drawn = self.log.find(record.offset).and_then(|(part, _)| part.seen(record.offset));
        if let Some(seen) = drawn {
            return Ok(seen);
        }
        let context = match (record.previous, self.latest.remove(&session)) {
            (None, _) => Context::default(),
            (Some(previous), Some((at, context))) if at == previous => context,
            (Some(previous), _) => self.context(session, previous)?,
        };
        let sent = context.sent(event);
        let seen = match wanted.any(|chars| chars.may_show(sent)) {
            true => Arc::new(context.seen(event, self.size(session, record.offset)?)),
            false => Arc::default(),
        };
        let mut context = context;
        context.push(event);
        if self.latest.len() >= SESSIONS_MAX {
            self.latest.clear();
        }
        self.latest.insert(session, (record.offset, context));
        Ok(seen)
    }

    /// The context and the size after an event of a session.
    ///
    /// # Errors
    /// As [`Lookback::seen`].
    pub fn at(&mut self, session: SessionKey, offset: Offset) -> Result<(Context, Size), Error> {
        Ok((self.context(session, offset)?, self.size(session, Offset(offset.0 + 1))?))
    }

    fn context(&self, session: SessionKey, last: Offset) -> Result<Context, Error> {
        let mut steps: Vec<Option<(bool, String)>> = Vec::new();
        let mut read: HashMap<Offset, Step> = HashMap::new();
        let mut next = Some(last);
        while let Some(offset) = next
            && steps.len() < EVENTS_MAX
        {
            if !read.contains_key(&offset) {
                self.read_to(session, offset, &mut read)?;
            }
            // What was erased shows nothing, and nobody knows what was before it.
            let Some(step) = read.remove(&offset) else { break };
            next = step.previous;
            let breaks = matches!(&step.own, Some((false, text)) if text.contains('\n'));
            steps.push(step.own);
            if breaks {
                break;
            }
        }
        let mut context = Context::default();
        for step in steps.into_iter().rev() {
            match step {
                Some((typed, text)) => context.push_text(typed, &text),
                None => context.pass(),
            }
        }
        Ok(context)
    }

    /// Reads an event, and in a segment some of the same session before it.
    fn read_to(
        &self,
        session: SessionKey,
        offset: Offset,
        read: &mut HashMap<Offset, Step>,
    ) -> Result<(), Error> {
        let Some((part, ordinal)) = self.log.find(offset) else { return Ok(()) };
        let mut from = ordinal;
        if part.sealed() {
            let mine = |o: u32| part.facts(o).is_some_and(|facts| facts.session == session);
            while from > 0 && ordinal - from < NEIGHBOURS && mine(from - 1) {
                from -= 1;
            }
        }
        self.has_read((ordinal + 1 - from) as usize);
        part.read(&Ordinals::Range(from..ordinal + 1), None, &mut |_, record| {
            let event = record.event()?;
            let own = own(&event).map(|(typed, text)| (typed, text.into_owned()));
            read.insert(record.offset, Step { previous: record.previous, own });
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The size that a session's terminal has when an event comes.
    fn size(&mut self, session: SessionKey, at: Offset) -> Result<Size, Error> {
        if !self.sizes.contains_key(&session) {
            let mut sizes = Vec::new();
            for part in &self.log.parts {
                self.has_read(sizes_in(part.as_ref(), session, &mut sizes)?);
            }
            self.sizes.insert(session, sizes);
        }
        let sizes = self.sizes.get(&session).map(Vec::as_slice).unwrap_or_default();
        let before = sizes.iter().filter(|(offset, _)| *offset < at);
        Ok(before.max_by_key(|(offset, _)| *offset).map_or_else(Size::default, |(_, size)| *size))
    }
}

/// Adds the sizes that a part says; answers what that cost, in events that are read.
fn sizes_in(
    part: &dyn Part,
    session: SessionKey,
    sizes: &mut Vec<(Offset, Size)>,
) -> Result<usize, Error> {
    // A session has no events before the one that it is named after.
    if part.end().0 <= session.0 {
        return Ok(1);
    }
    let Some(run) = part.session_by_key(session)? else { return Ok(1) };
    let says = |o: &u32| {
        part.facts(*o)
            .is_some_and(|facts| matches!(facts.kind, Kind::SessionStart | Kind::TerminalResize))
    };
    let mut ordinals: Vec<u32> = run.ordinals.iter().filter(says).collect();
    ordinals.sort_unstable();
    let said = ordinals.len();
    part.read(&Ordinals::List(ordinals), None, &mut |_, record| {
        sizes.extend(Size::of(&record.event()?).map(|size| (record.offset, size)));
        Ok(ControlFlow::Continue(()))
    })?;
    // The facts of many events cost what reading one does.
    Ok(1 + said + run.ordinals.len() / 16)
}
