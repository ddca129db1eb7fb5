//! What an event does to the terminal that is played.

use daybook_engine::event::wire::{Body, Command, Event};
use daybook_engine::event::{Kind, Stream, Verdict};
use daybook_engine::screen::Size;
use serde::Serialize;

/// What is played of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What its terminal showed.
    Terminal,
    /// It has no terminal: its commands and what came back.
    Commands,
}

impl Source {
    /// May an event of a kind do something?
    pub(crate) fn plays(self, kind: Kind) -> bool {
        match kind {
            Kind::SessionStart | Kind::TerminalResize => true,
            Kind::TerminalOutput => self == Source::Terminal,
            Kind::Command | Kind::Output | Kind::CommandEnd => self == Source::Commands,
            _ => false,
        }
    }
}

/// What an event does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Shows a text.
    Show(String),
    /// Shows a text on a line of its own.
    Line(String),
    /// Changes the size.
    Resize(Size),
}

impl Piece {
    /// What an event does; the kind is one that the source plays.
    pub(crate) fn of(event: &Event<'_>) -> Option<Piece> {
        match &event.body {
            Body::TerminalOutput(content) => Some(Piece::Show(content.as_text().into_owned())),
            Body::Command(command) => Some(Piece::Line(entered(command))),
            Body::Output { content, stream, .. } => {
                let text = content.as_text().into_owned();
                Some(Piece::Show(if *stream == Some(Stream::Stderr) { red(&text) } else { text }))
            }
            Body::CommandEnd(end) => end.error.as_ref().map(|error| Piece::Line(red(error) + "\n")),
            _ => Size::of(event).map(Piece::Resize),
        }
    }

    /// Its length, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Show(text) | Piece::Line(text) => text.len(),
            Piece::Resize(_) => 0,
        }
    }
}

/// A command behind a prompt, as its shell or database would have it.
fn entered(command: &Command<'_>) -> String {
    let prompt = match command.language.as_deref() {
        Some("sql") => "sql>",
        Some("http") => "http>",
        _ => "$",
    };
    let mut text = format!("\u{1b}[1;34m{prompt}\u{1b}[0m {}\n", visible(&command.input));
    if command.verdict == Some(Verdict::Blocked) {
        let rule = command.rule.as_deref().map(visible);
        let by = rule.map(|rule| format!(" by the rule {rule}")).unwrap_or_default();
        text.push_str(&red(&format!("blocked{by}\n")));
    }
    text.push_str(command.output.as_deref().unwrap_or_default());
    text
}

fn red(text: &str) -> String {
    format!("\u{1b}[31m{text}\u{1b}[0m")
}

/// A text of which no control character does anything: nobody's screen was driven by it.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(character),
            '\r' => {}
            '\0'..='\u{1f}' => out.extend(['^', char::from(character as u8 + 0x40)]),
            '\u{7f}'..='\u{9f}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}
