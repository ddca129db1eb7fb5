//! The searchable texts of an event.
//!
//! | field | from |
//! |---|---|
//! | `input` | `command.input`, `terminal.input` |
//! | `output` | `command.output`, `output`, `terminal.output`, `command.end.error` |
//! | `text` | notes, terminal markers, a review's reason and comment, why a session ended, why something was held or deleted |
//! | `screen`, `typed` | not from the event alone: see [`crate::screen`] |
//!
//! Base64 `data` is searched as the text that it decodes to.

use super::wire::{Body, Event};
use std::borrow::Cow;

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextField {
    /// What was sent or typed.
    Input,
    /// What came back or was shown.
    Output,
    /// What people wrote about it.
    Text,
    /// A line of a terminal's screen, as a person saw it.
    Screen,
    /// A line that was typed, as it was entered.
    Typed,
}

impl TextField {
    /// Every field.
    pub const ALL: [TextField; 5] =
        [TextField::Input, TextField::Output, TextField::Text, TextField::Screen, TextField::Typed];

    /// Its name in queries and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TextField::Input => "input",
            TextField::Output => "output",
            TextField::Text => "text",
            TextField::Screen => "screen",
            TextField::Typed => "typed",
        }
    }

    /// Is it of a terminal's screen, and not of an event alone?
    #[must_use]
    pub const fn is_seen(self) -> bool {
        matches!(self, TextField::Screen | TextField::Typed)
    }
}

/// The texts of an event: at most one a field but for `command`, which has an input and an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts<'a> {
    items: [Option<(TextField, Cow<'a, str>)>; 2],
}

impl<'a> Texts<'a> {
    /// The texts of an event; nothing is copied but base64 that is not UTF-8.
    #[must_use]
    pub fn of(event: &'a Event<'_>) -> Texts<'a> {
        use TextField::{Input, Output, Text};
        let one = |field, text: &'a str| Some((field, Cow::Borrowed(text)));
        let first = match &event.body {
            Body::Command(command) => one(Input, &command.input),
            Body::Output { content: c, .. } | Body::TerminalOutput(c) => {
                Some((Output, c.as_text()))
            }
            Body::TerminalInput(c) => Some((Input, c.as_text())),
            Body::TerminalMarker(c) => Some((Text, c.as_text())),
            Body::CommandEnd(end) => end.error.as_deref().and_then(|text| one(Output, text)),
            Body::ReviewRequest { request, .. } => {
                request.reason.as_deref().and_then(|text| one(Text, text))
            }
            Body::ReviewDecision { decision, .. } => {
                decision.comment.as_deref().and_then(|text| one(Text, text))
            }
            Body::SessionEnd(end) => end.reason.as_deref().and_then(|text| one(Text, text)),
            Body::Note { text, .. } => one(Text, text),
            Body::Retention(told) => told.reason.as_deref().and_then(|text| one(Text, text)),
            Body::SessionStart(_) | Body::TerminalResize { .. } | Body::Access(_) => None,
        };
        let second = match &event.body {
            Body::Command(command) => command.output.as_deref().and_then(|text| one(Output, text)),
            _ => None,
        };
        Texts { items: [first, second] }
    }

    /// Two texts at most, for tests.
    #[cfg(test)]
    pub(crate) fn new(texts: impl IntoIterator<Item = (TextField, Cow<'a, str>)>) -> Texts<'a> {
        let mut texts = texts.into_iter();
        Texts { items: [texts.next(), texts.next()] }
    }

    /// Each text with its field; never one that [`TextField::is_seen`].
    pub fn iter(&self) -> impl Iterator<Item = (TextField, &str)> {
        self.items.iter().flatten().map(|(field, text)| (*field, text.as_ref()))
    }
}
