//! Colours: on a terminal only, and never with `NO_COLOR`.

use anstyle::{AnsiColor, Style};
use std::io::IsTerminal as _;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    Plain,
    /// A heading, or what a line is found by.
    Bold,
    /// What matters less.
    Dim,
    /// What a search found.
    Found,
    /// It went wrong, or was stopped.
    Bad,
    /// It waits for somebody.
    Waits,
    /// It was let through, or goes on.
    Good,
}

impl Look {
    /// The look of a verdict or a status.
    #[must_use]
    pub fn of(word: &str) -> Look {
        match word {
            "blocked" | "rejected" | "failed" | "killed" | "error" => Look::Bad,
            "pending" | "pending_review" => Look::Waits,
            "approved" | "open" => Look::Good,
            _ => Look::Plain,
        }
    }

    fn style(self) -> Option<Style> {
        Some(match self {
            Look::Plain => return None,
            Look::Bold => Style::new().bold(),
            Look::Dim => Style::new().dimmed(),
            Look::Found => Style::new().bold().underline(),
            Look::Bad => AnsiColor::Red.on_default(),
            Look::Waits => AnsiColor::Yellow.on_default(),
            Look::Good => AnsiColor::Green.on_default(),
        })
    }
}

/// Paints text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output.
    #[must_use]
    pub fn stdout() -> Paint {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint { on: std::io::stdout().is_terminal() && !refused }
    }

    /// Paints nothing.
    #[must_use]
    pub const fn plain() -> Paint {
        Paint { on: false }
    }

    /// Does it paint?
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }

    /// The text in a look.
    #[must_use]
    pub fn show(self, look: Look, text: &str) -> String {
        match look.style().filter(|_| self.on && !text.is_empty()) {
            Some(style) => format!("{style}{text}{style:#}"),
            None => text.to_owned(),
        }
    }

    /// A heading.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.show(Look::Bold, text)
    }

    /// What matters less.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.show(Look::Dim, text)
    }

    /// A verdict or a status, in its colour.
    #[must_use]
    pub fn state(self, word: &str, text: &str) -> String {
        self.show(Look::of(word), text)
    }
}
