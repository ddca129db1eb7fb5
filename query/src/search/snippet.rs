//! Hits and their snippets: the pieces of an event's texts around what matched.

use super::plan::{Found, Plan};
use super::{SearchLimits, Spent};
use crate::error::QueryError;
use crate::item::{Hit, Snippet, Time};
use daybook_engine::event::text::{TextField, Texts};
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Micros, Offset, SessionKey};
use daybook_engine::screen::Seen;
use daybook_engine::view::Session;
use std::collections::HashMap;
use std::ops::Range;

/// How long a snippet is, in bytes; longer only where one match is.
const SNIPPET_BYTES: usize = 160;

/// How much of it stands before the first match.
const BEFORE_BYTES: usize = 48;

/// The longest piece of one match that is shown.
const MATCH_BYTES_MAX: usize = 512;

/// At most so many pieces are shown of one event.
const LINES_MAX: usize = 5;

/// Makes hits, and remembers the sessions that they are in.
pub(super) struct Hits<'a, 'b> {
    plan: &'a Plan<'b>,
    sessions: HashMap<SessionKey, Option<Session>>,
}

impl<'a, 'b> Hits<'a, 'b> {
    /// None yet.
    pub(super) fn new(plan: &'a Plan<'b>) -> Hits<'a, 'b> {
        Hits { plan, sessions: HashMap::new() }
    }

    /// The hit of the event at an offset; `None` if it does not match (any more), or can't be read.
    pub(super) fn read(&mut self, offset: Offset) -> Result<Option<Hit>, QueryError> {
        let Some((part, ordinal)) = self.plan.snapshot.find(offset) else { return Ok(None) };
        // Read a moment ago: what it takes is no part of the limits.
        let mut spent = Spent::new(&SearchLimits::NONE);
        let (plan, mut hit) = (self.plan, None);
        plan.verify(
            part.as_ref(),
            vec![ordinal],
            &mut spent,
            |_| true,
            |found, _| hit = Some(self.make(found)),
        )?;
        hit.transpose()
    }

    /// The hit of an event that matches.
    pub(super) fn make(&mut self, found: &Found<'_>) -> Result<Hit, QueryError> {
        let Found { facts, event, seen } = found;
        let session = match self.sessions.entry(facts.session) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(self.plan.snapshot.sessions.by_key(facts.session)?)
            }
        };
        let start = session.as_ref().and_then(|session| session.state.facts());
        let began = session.as_ref().and_then(|session| session.state.started_at());
        Ok(Hit {
            session: event.session.as_ref().into(),
            seq: facts.seq,
            offset: facts.offset,
            time: Time(facts.time),
            kind: facts.kind,
            verdict: facts.verdict,
            user: start.and_then(|s| s.user.clone()),
            role: start.and_then(|s| s.role.clone()),
            role_type: start.and_then(|s| s.kind.clone()),
            replay_ms: began
                .map(|Micros(began)| facts.time.0.saturating_sub(began).max(0) as u64 / 1000),
            score: None,
            snippets: self.snippets(event, seen),
        })
    }

    fn snippets(&self, event: &Event<'_>, seen: &Seen) -> Vec<Snippet> {
        let texts = Texts::of(event);
        let mut snippets: Vec<Snippet> = texts
            .iter()
            .filter_map(|(field, text)| {
                let found = self.plan.matcher.highlights(field, text);
                (!found.is_empty()).then(|| cut(field.name(), text, &found))
            })
            .collect();
        let lines = seen.lines.iter().map(|line| (TextField::Screen, &line.text));
        let typed = seen.typed.iter().map(|line| (TextField::Typed, &line.text));
        let marked = lines.chain(typed).filter_map(|(field, text)| {
            let found = self.plan.matcher.highlights(field, text);
            (!found.is_empty()).then(|| cut(field.name(), text, &found))
        });
        // Where the event's own text has it, what was seen says it once more.
        let room = LINES_MAX.saturating_sub(snippets.len());
        snippets.extend(marked.take(room));
        if snippets.is_empty() {
            snippets.extend(texts.iter().take(1).map(|(field, text)| cut(field.name(), text, &[])));
        }
        snippets
    }
}

/// Cuts a snippet out of a text, around the first of `found`.
fn cut(field: &'static str, text: &str, found: &[Range<usize>]) -> Snippet {
    let first = found.first().cloned().unwrap_or(0..0);
    let start = floor(text, first.start.saturating_sub(BEFORE_BYTES));
    let match_end = first.end.min(first.start + MATCH_BYTES_MAX);
    let end = floor(text, (start + SNIPPET_BYTES).max(match_end).min(text.len()));
    let highlights = found
        .iter()
        .filter(|range| range.start < end)
        .map(|range| [range.start - start, range.end.min(end) - start])
        .filter(|[from, to]| from < to)
        .collect();
    Snippet {
        field,
        text: text.get(start..end).unwrap_or_default().to_owned(),
        highlights,
        more_before: start > 0,
        more_after: end < text.len(),
    }
}

/// The character boundary at or before a place.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
