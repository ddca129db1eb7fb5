//! A query's text as tokens, each with its place.
//!
//! | text | token |
//! |---|---|
//! | `(` `)` | [`Token::Open`], [`Token::Close`] |
//! | `session(` | [`Token::Session`] |
//! | `AND` `OR` `NOT`, `-` before a term | [`Token::And`], [`Token::Or`], [`Token::Not`] |
//! | `then` | [`Token::Then`]; a word everywhere but at the top of a `session(...)` |
//! | `"..."` `="..."` `~"..."` | [`Token::Value`] with a [`Value`] in quotes |
//! | `name:value` with a known name | [`Token::Field`] |
//! | anything else up to white space, a quote or a parenthesis | [`Token::Value`] with a bare word |

use super::ast::bare;
use super::error::{ParseError, nearest};
use super::field::{FieldName, explain};

/// A token and its place in the text, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned<'a> {
    pub(super) token: Token<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    Session,
    And,
    Or,
    Not,
    Then(&'a str),
    Value(Value<'a>),
    Field(FieldName, Value<'a>),
}

/// What follows a field's colon, or stands alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value<'a> {
    pub(super) form: Form<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form<'a> {
    Bare(&'a str),
    Exact(String),
    ExactCase(String),
    /// The expression, and the place in the query of each of its bytes and of its end.
    Regex(String, Vec<usize>),
}

/// Reads all tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned<'_>>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    while let Some(token) = lexer.next()? {
        out.push(token);
    }
    Ok(out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn next(&mut self) -> Result<Option<Spanned<'a>>, ParseError> {
        self.at = self.text.len() - self.rest().trim_start().len();
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let token = match first {
            '(' => self.take(1, Token::Open),
            ')' => self.take(1, Token::Close),
            '-' if negates(rest) => self.take(1, Token::Not),
            _ if quote_form(rest).is_some() => Token::Value(self.value("")?),
            _ => self.word()?,
        };
        Ok(Some(Spanned { token, start, end: self.at }))
    }

    fn take(&mut self, bytes: usize, token: Token<'a>) -> Token<'a> {
        self.at += bytes;
        token
    }

    fn word(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.at;
        let word = self.bare();
        if word == "session" && self.rest().starts_with('(') {
            return Ok(self.take(1, Token::Session));
        }
        if let Some((name, after)) = word.split_once(':') {
            if let Some(field) = FieldName::of(name) {
                self.at = start + name.len() + 1;
                let value = self.value(name)?;
                return Ok(Token::Field(field, value));
            }
            misspelt(name, after, self.rest().starts_with('"'), start)?;
        }
        Ok(match word {
            "AND" => Token::And,
            "OR" => Token::Or,
            "NOT" => Token::Not,
            "then" | "THEN" => Token::Then(word),
            _ => Token::Value(Value { form: Form::Bare(word), start, end: self.at }),
        })
    }

    /// Takes what can stand in a bare word.
    fn bare(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !bare(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or("")
    }

    /// A quoted or bare value, right here.
    fn value(&mut self, field: &str) -> Result<Value<'a>, ParseError> {
        let start = self.at;
        let Some((prefix, regex)) = quote_form(self.rest()) else {
            let word = self.bare();
            if word.is_empty() {
                let near = self.rest().chars().next();
                let hint = match near {
                    Some('(') => {
                        format!("write the field before each term: {field}:one {field}:two")
                    }
                    _ => format!("write it right after the colon, such as {}", explain(field)),
                };
                let message = format!("`{field}:` has no value");
                let from = start.saturating_sub(field.len() + 1);
                return Err(ParseError::new(message, from, start).hint(hint));
            }
            return Ok(Value { form: Form::Bare(word), start, end: self.at });
        };
        self.at += prefix;
        let (content, places) = self.quoted(regex, start)?;
        let form = match (regex, prefix) {
            (true, _) => Form::Regex(content, places),
            (false, 2) => Form::ExactCase(content),
            (false, _) => Form::Exact(content),
        };
        Ok(Value { form, start, end: self.at })
    }

    /// The inside of quotes, unescaped, with the place of each byte; the opening quote is behind.
    fn quoted(&mut self, regex: bool, start: usize) -> Result<(String, Vec<usize>), ParseError> {
        let mut content = String::new();
        let mut places = Vec::new();
        let mut push = |c: char, at: usize| {
            content.push(c);
            places.extend((0..c.len_utf8()).map(|i| at + i));
        };
        let open = self.at;
        let mut chars = self.rest().char_indices().map(|(i, c)| (open + i, c)).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = at + 1;
                    places.push(at);
                    return Ok((content, places));
                }
                '\\' => match chars.peek().copied() {
                    Some((next, '"')) => {
                        push('"', next);
                        chars.next();
                    }
                    Some((next, escaped)) if regex => {
                        push('\\', at);
                        push(escaped, next);
                        chars.next();
                    }
                    Some((_, '\\')) => {
                        push('\\', at);
                        chars.next();
                    }
                    // Windows paths are pasted as they are.
                    _ => push('\\', at),
                },
                c => push(c, at),
            }
        }
        Err(ParseError::new("this quote is not closed", start, open)
            .hint("close it with `\"`; inside quotes a quote is written `\\\"`"))
    }
}

/// Does a `-` make what follows it negative? In `--force`, `->` and a lone `-` it is text.
fn negates(rest: &str) -> bool {
    let after = rest.get(1..).unwrap_or("");
    quote_form(after).is_some()
        || after.starts_with('(')
        || after.chars().next().is_some_and(|c| bare(c) && !matches!(c, '-' | '>' | '='))
}

/// The bytes of the prefix of a quoted text, and whether it is an expression.
fn quote_form(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with('"') {
        Some((1, false))
    } else if rest.starts_with("=\"") {
        Some((2, false))
    } else if rest.starts_with("~\"") {
        Some((2, true))
    } else {
        None
    }
}

/// Refuses a name that is nearly a field's, which as a word would find nothing and say nothing.
fn misspelt(name: &str, after: &str, quote: bool, start: usize) -> Result<(), ParseError> {
    // Words that stand before a colon in commands and logs.
    const WORDS: [&str; 8] = ["test", "rule", "row", "raw", "tab", "use", "next", "time"];
    let plain = name.len() >= 3 && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    if !plain || WORDS.contains(&name) || after.starts_with("//") || (after.is_empty() && !quote) {
        return Ok(());
    }
    let alias = match name {
        "until" => Some("before"),
        "exit_code" => Some("exit"),
        "duration_ms" => Some("duration"),
        "user_name" | "username" => Some("user"),
        _ => None,
    };
    let names = FieldName::ALL.iter().map(|(name, _)| *name);
    let Some(meant) = alias.or_else(|| nearest(name, names, 1)) else { return Ok(()) };
    Err(ParseError::new(format!("there is no field `{name}`"), start, start + name.len()).hint(
        format!(
            "did you mean `{meant}:`? to find the text itself, put it in quotes: \"{name}:...\""
        ),
    ))
}
