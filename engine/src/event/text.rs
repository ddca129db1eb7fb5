//! The searchable texts of an event.
//!
//! | field | from |
//! |---|---|
//! | `input` | `command.input`, `terminal.input` |
//! | `output` | `command.output`, `output`, `terminal.output`, `command.end.error` |
//! | `text` | notes, terminal markers, a review's reason and comment, why a session ended |
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
}

impl TextField {
    /// Every field.
    pub const ALL: [TextField; 3] = [TextField::Input, TextField::Output, TextField::Text];

    /// Its name in queries and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TextField::Input => "input",
            TextField::Output => "output",
            TextField::Text => "text",
        }
    }
}

/// The texts of an event: at most one a field but for `command`, which has an input and an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts<'a> {
    items: [Option<(TextField, Cow<'a, str>)>; 2],
}

impl<'a> Texts<'a> {
    /// The texts of an event.
    #[must_use]
    pub fn of(event: Event<'a>) -> Texts<'a> {
        use TextField::{Input, Output, Text};
        let one = |field, text| [Some((field, text)), None];
        let maybe = |field, text: Option<Cow<'a, str>>| [text.map(|t| (field, t)), None];
        let items = match event.body {
            Body::Command(command) => {
                [Some((Input, command.input)), command.output.map(|text| (Output, text))]
            }
            Body::Output { content, .. } | Body::TerminalOutput(content) => {
                one(Output, content.into_text())
            }
            Body::TerminalInput(content) => one(Input, content.into_text()),
            Body::TerminalMarker(content) => one(Text, content.into_text()),
            Body::CommandEnd(end) => maybe(Output, end.error),
            Body::ReviewRequest { request, .. } => {
                maybe(Text, request.reason.map(|r| Cow::Owned(r.into_string())))
            }
            Body::ReviewDecision { decision, .. } => {
                maybe(Text, decision.comment.map(|c| Cow::Owned(c.into_string())))
            }
            Body::SessionEnd(end) => maybe(Text, end.reason.map(|r| Cow::Owned(r.into_string()))),
            Body::Note { text, .. } => one(Text, text),
            Body::SessionStart(_) | Body::TerminalResize { .. } | Body::Access { .. } => {
                [None, None]
            }
        };
        Texts { items }
    }

    /// Two texts at most, for tests.
    #[cfg(test)]
    pub(crate) fn new(texts: impl IntoIterator<Item = (TextField, Cow<'a, str>)>) -> Texts<'a> {
        let mut texts = texts.into_iter();
        Texts { items: [texts.next(), texts.next()] }
    }

    /// Each text with its field.
    pub fn iter(&self) -> impl Iterator<Item = (TextField, &str)> {
        self.items.iter().flatten().map(|(field, text)| (*field, text.as_ref()))
    }
}
