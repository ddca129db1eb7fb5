//! What is wrong with a query, where, and what would work.

use std::fmt;

/// A query that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Where it starts in the query's text, in bytes; at a character boundary.
    pub start: usize,
    /// Where it ends; equal to `start` when something is missing there.
    pub end: usize,
    /// What would work.
    pub hint: Option<String>,
}

impl ParseError {
    pub(super) fn new(message: impl Into<String>, start: usize, end: usize) -> ParseError {
        ParseError { message: message.into(), start, end: end.max(start), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> ParseError {
        self.hint = Some(hint.into());
        self
    }

    /// The query with the place marked under it, the message and the hint: for a terminal.
    ///
    /// ```text
    /// DROP verdict:bloked
    ///              ^^^^^^ `bloked` is no verdict
    ///                     did you mean `blocked`? there are passed, blocked, ...
    /// ```
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let start = boundary(text, self.start);
        let end = boundary(text, self.end.max(self.start));
        let (before, rest) = text.split_at(start);
        let marked = rest.get(..end.saturating_sub(start)).unwrap_or("");
        // The line that the place is on, and the columns before it; each character is one column.
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = rest.find('\n').map_or(text.len(), |at| start + at);
        let line = text.get(line_start..line_end).unwrap_or("");
        let indent = before.get(line_start..).map_or(0, |b| b.chars().count());
        let carets = marked.lines().next().map_or(0, |m| m.chars().count()).max(1);
        let visible: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut out =
            format!("{visible}\n{}{} {}", " ".repeat(indent), "^".repeat(carets), self.message);
        if let Some(hint) = &self.hint {
            out.push_str(&format!("\n{}{hint}", " ".repeat(indent + carets + 1)));
        }
        out
    }
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.start)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// The name nearest to what was written, if one is near enough to have been meant.
pub(super) fn nearest<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
    distance_max: usize,
) -> Option<&'a str> {
    let written: String = written.chars().take(32).collect::<String>().to_ascii_lowercase();
    names
        .into_iter()
        .map(|name| (distance(&written, name), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, name)| name)
}

/// How many letters to change, add, leave out or swap with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut best = at(&last, j) + usize::from(x != y);
            best = best.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}
