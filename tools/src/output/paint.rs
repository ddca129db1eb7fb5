//! Colours: on a terminal only, and never with `NO_COLOR`.

use anstyle::{AnsiColor, Style};
use std::io::IsTerminal as _;

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

    fn with(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A heading.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What matters less.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// What a search found.
    #[must_use]
    pub fn found(self, text: &str) -> String {
        self.with(Style::new().bold().underline(), text)
    }

    /// A verdict or a status, in its colour.
    #[must_use]
    pub fn state(self, word: &str, text: &str) -> String {
        let colour = match word {
            "blocked" | "rejected" | "failed" | "killed" | "error" => AnsiColor::Red,
            "pending" | "pending_review" => AnsiColor::Yellow,
            "approved" | "open" => AnsiColor::Green,
            _ => return text.to_owned(),
        };
        self.with(colour.on_default(), text)
    }
}
