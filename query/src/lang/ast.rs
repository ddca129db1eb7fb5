//! What a query says: the typed tree that [`super::parse()`] makes, and its text again.
//!
//! ```text
//! Query ─ Expr ┬ All
//!              ├ And [Expr]   Or [Expr]   Not Expr
//!              └ Term ┬ Text      a word, an exact text, an expression; in one field or in any
//!                     ├ Fact      a filter on the session's texts
//!                     ├ Kind  Verdict  After  Before  Number
//!                     └ Session   a condition on all the events of the session
//! ```
//!
//! A tree prints as a query that parses to the same tree. Times are absolute in it: `since:24h` is
//! fixed when it is parsed.

use super::field::FieldName;
use super::number::{Comparison, Number};
use daybook_engine::catalog::filter::{Pattern, TextFact};
use daybook_engine::event::text::TextField;
use daybook_engine::event::{Kind, Micros, Verdict};
use std::fmt::{self, Display as _};

/// A parsed query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What it says of an event.
    pub expr: Expr,
}

/// A condition on an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Every event: `*`, and the empty query.
    All,
    /// One condition.
    Term(Term),
    /// All hold; two at least.
    And(Vec<Expr>),
    /// One holds; two at least.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
}

/// The smallest conditions.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A text, in one field or in any.
    Text(Option<TextField>, Text),
    /// The session's text has one of these shapes: `user:alice@x.io`, `role:prod-*,stage-*`.
    Fact(TextFact, Vec<Pattern>),
    /// The event is of one of these kinds.
    Kind(Vec<Kind>),
    /// The event is a command with one of these verdicts.
    Verdict(Vec<Verdict>),
    /// At this time or later.
    After(Micros),
    /// Earlier than this time.
    Before(Micros),
    /// A number compares; durations are in milliseconds.
    Number(Number, Comparison, i64),
    /// Something holds for the events of the session, whichever event is looked at.
    Session(SessionTerm),
}

/// What is looked for in a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// As written, whole at both ends, any case (ASCII); `*` stands for anything but white space,
    /// and at an end it lifts the demand that the end be whole. `*` alone is any text at all.
    Word(String),
    /// This text anywhere, any case (ASCII).
    Exact(String),
    /// This text anywhere, in this case.
    ExactCase(String),
    /// A regular expression, in Rust's syntax.
    Regex(String),
}

impl Text {
    /// What was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Text::Word(text) | Text::Exact(text) | Text::ExactCase(text) | Text::Regex(text) => {
                text
            }
        }
    }
}

/// A condition on the events of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionTerm {
    /// For each query the session has an event that matches it; any events, in any order.
    Together(Vec<Query>),
    /// The session has events that match the queries one after the other, by `seq`; two at least, and each at
    /// most so many microseconds after the first, if that is said.
    InOrder(Vec<Query>, Option<i64>),
}

impl Query {
    /// The query that every event matches.
    #[must_use]
    pub const fn all() -> Query {
        Query { expr: Expr::All }
    }

    /// The query whose events match both.
    #[must_use]
    pub fn and(self, other: Query) -> Query {
        let expr = match (self.expr, other.expr) {
            (Expr::All, one) | (one, Expr::All) => one,
            (one, other) => Expr::And(vec![one, other]),
        };
        Query { expr }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::All => f.write_str("*"),
            Expr::Term(term) => term.fmt(f),
            Expr::And(all) => joined(f, all, " "),
            Expr::Or(any) => {
                // AND binds tighter, so only an OR inside an OR needs its parentheses.
                for (i, expr) in any.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { " OR " })?;
                    match expr {
                        Expr::Or(_) => write!(f, "({expr})")?,
                        _ => expr.fmt(f)?,
                    }
                }
                Ok(())
            }
            Expr::Not(not) => {
                f.write_str("NOT ")?;
                grouped(f, not)
            }
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, all: &[Expr], between: &str) -> fmt::Result {
    for (i, expr) in all.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { between })?;
        grouped(f, expr)?;
    }
    Ok(())
}

fn grouped(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr {
        Expr::And(_) | Expr::Or(_) => write!(f, "({expr})"),
        _ => expr.fmt(f),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The one word that means something else inside session(...).
            Term::Text(None, Text::Word(word)) if word.eq_ignore_ascii_case("then") => {
                write!(f, "({word})")
            }
            Term::Text(None, text) => text.fmt(f),
            Term::Text(Some(field), text) => write!(f, "{}:{text}", field.name()),
            Term::Fact(fact, patterns) => {
                write!(f, "{}:", FieldName::of_fact(*fact))?;
                commas(f, patterns.iter().map(Shape))
            }
            Term::Kind(kinds) => {
                f.write_str("kind:")?;
                commas(f, kinds)
            }
            Term::Verdict(verdicts) => {
                f.write_str("verdict:")?;
                commas(f, verdicts)
            }
            Term::After(time) => write!(f, "after:{time}"),
            Term::Before(time) => write!(f, "before:{time}"),
            Term::Number(number, comparison, value) => {
                let unit = if *number == Number::Duration { "ms" } else { "" };
                write!(f, "{}:{}{value}{unit}", number.name(), comparison.sign())
            }
            Term::Session(SessionTerm::Together(queries)) => {
                // One conjunct alone would be taken apart again when it is an AND or a NOT.
                f.write_str("session(")?;
                for (i, query) in queries.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { " " })?;
                    match query.expr {
                        Expr::And(_) | Expr::Or(_) | Expr::Not(_) => write!(f, "({query})")?,
                        _ => query.fmt(f)?,
                    }
                }
                f.write_str(")")
            }
            Term::Session(SessionTerm::InOrder(queries, within)) => {
                f.write_str("session(")?;
                for (i, query) in queries.iter().enumerate() {
                    write!(f, "{}{query}", if i == 0 { "" } else { " then " })?;
                }
                match within {
                    Some(micros) if micros % 1_000_000 == 0 => {
                        write!(f, " within:{}s)", micros / 1_000_000)
                    }
                    Some(micros) => write!(f, " within:{micros}us)"),
                    None => f.write_str(")"),
                }
            }
        }
    }
}

fn commas<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = T>,
) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
    }
    Ok(())
}

/// A filter's value: quoted when it is literal and would not come back bare.
struct Shape<'a>(&'a Pattern);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_exact() {
            // None of a list is so: values in a list were bare.
            Some(text)
                if text.is_empty() || text.contains(|c: char| c == '*' || c == ',' || !bare(c)) =>
            {
                quoted(f, text)
            }
            Some(text) => f.write_str(text),
            None => f.write_str(&self.0.literals().join("*")),
        }
    }
}

/// Can a character stand in a bare word?
pub(super) fn bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '"' | '(' | ')')
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text::Word(word) => f.write_str(word),
            Text::Exact(text) => quoted(f, text),
            Text::ExactCase(text) => {
                f.write_str("=")?;
                quoted(f, text)
            }
            Text::Regex(pattern) => {
                // Any other backslash is the expression's own, and a pair stays a pair.
                write!(f, "~\"{}\"", pattern.replace('"', "\\\""))
            }
        }
    }
}

/// Writes a text in quotes.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
