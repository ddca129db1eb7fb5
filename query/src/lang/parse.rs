//! The parser: tokens to a tree.
//!
//! ```text
//! query    = [ or ]
//! or       = and { "OR" and }
//! and      = unary { [ "AND" ] unary }
//! unary    = { "NOT" | "-" } primary
//! primary  = "(" or ")" | "session(" ( or | or "then" or { "then" or } ) ")" | field ":" value | value
//! ```
//!
//! `session(A B)` asks for each part of the AND on its own, and `session(A -B)` for sessions that have
//! an A and no B; parentheses inside keep what belongs to one event together: `session((A B) C)`.

use super::ast::{Expr, Query, SessionTerm, Term, Text};
use super::error::ParseError;
use super::field::{FieldName, filter, within};
use super::lexer::{Form, Spanned, Token, Value, tokens};
use super::regex::check;
use daybook_engine::event::Micros;
use daybook_engine::event::text::TextField;

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 8 << 10;
/// How deep parentheses, `session(...)` and NOTs may nest.
pub const DEPTH_MAX: usize = 64;
/// How many terms, ANDs, ORs and NOTs a query may have.
pub const NODES_MAX: usize = 1_000;
/// How many regular expressions a query may have.
pub const REGEXES_MAX: usize = 16;

/// Reads a query. `now` is what `since:24h` counts from.
///
/// # Errors
/// What is wrong, at which bytes of the text, and what would work.
pub fn parse(text: &str, now: Micros) -> Result<Query, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        let mut at = QUERY_BYTES_MAX;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let message = format!("the query is over the limit of {QUERY_BYTES_MAX} bytes");
        return Err(ParseError::new(message, at, text.len()).hint("split it into several"));
    }
    let tokens = tokens(text)?;
    let end = text.trim_end().len();
    let mut parser = Parser { tokens: &tokens, at: 0, end, now, depth: 0, nodes: 0, regexes: 0 };
    if tokens.is_empty() {
        return Ok(Query::all());
    }
    let expr = parser.or(false)?;
    match parser.peek() {
        None => Ok(Query { expr }),
        Some(token) => Err(ParseError::new("no `(` is open here", token.start, token.end)
            .hint("remove this `)`, or put a text that holds it in quotes")),
    }
}

struct Parser<'t> {
    tokens: &'t [Spanned<'t>],
    at: usize,
    end: usize,
    now: Micros,
    depth: usize,
    nodes: usize,
    regexes: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Spanned<'t>> {
        self.tokens.get(self.at)
    }

    fn skip(&mut self, wanted: &Token<'_>) -> bool {
        let found = self.peek().is_some_and(|t| t.token == *wanted);
        self.at += usize::from(found);
        found
    }

    /// At `then` in the place where it is no word?
    fn at_then(&self, steps: bool) -> bool {
        steps && matches!(self.peek().map(|t| &t.token), Some(Token::Then(_)))
    }

    /// At what ends a step of a `session(...)`?
    fn at_step_end(&self, steps: bool) -> bool {
        let within =
            matches!(self.peek().map(|t| &t.token), Some(Token::Field(FieldName::Within, _)));
        self.at_then(steps) || (steps && within)
    }

    fn node(&mut self) -> Result<(), ParseError> {
        self.nodes += 1;
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        let (start, end) = self.peek().map_or((self.end, self.end), |t| (t.start, t.end));
        Err(ParseError::new(format!("the query has more than {NODES_MAX} terms"), start, end)
            .hint("split it into several"))
    }

    fn deeper(&mut self, token: &Spanned<'_>) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("the query nests deeper than {DEPTH_MAX}");
        Err(ParseError::new(message, token.start, token.end).hint("remove parentheses or NOTs"))
    }

    /// `steps`: directly inside `session(...)`, where `then` ends an alternative.
    fn or(&mut self, steps: bool) -> Result<Expr, ParseError> {
        let first = self.and(steps)?;
        if !matches!(self.peek().map(|t| &t.token), Some(Token::Or)) {
            return Ok(first);
        }
        self.node()?;
        let mut any = vec![first];
        while self.skip(&Token::Or) {
            any.push(self.and(steps)?);
        }
        Ok(Expr::Or(any))
    }

    fn and(&mut self, steps: bool) -> Result<Expr, ParseError> {
        let first = self.unary(steps)?;
        let mut all = vec![first];
        loop {
            let explicit = self.skip(&Token::And);
            let over = match self.peek().map(|t| &t.token) {
                None | Some(Token::Close | Token::Or) => true,
                _ => self.at_step_end(steps),
            };
            if over && !explicit {
                break;
            }
            all.push(self.unary(steps)?);
        }
        if all.len() > 1 {
            self.node()?;
            return Ok(Expr::And(all));
        }
        Ok(all.pop().unwrap_or(Expr::All))
    }

    fn unary(&mut self, steps: bool) -> Result<Expr, ParseError> {
        let Some(token) = self.peek() else { return Err(self.missing(steps)) };
        if !self.skip(&Token::Not) {
            return self.primary(steps);
        }
        self.node()?;
        self.deeper(token)?;
        let inner = self.unary(steps)?;
        self.depth -= 1;
        Ok(Expr::Not(Box::new(inner)))
    }

    /// A term was due here: says after what.
    fn missing(&self, steps: bool) -> ParseError {
        let before = self.at.checked_sub(1).and_then(|i| self.tokens.get(i));
        let here = self.peek();
        let name = |token: Option<&Spanned<'_>>| match token.map(|t| &t.token) {
            Some(Token::And) => Some("AND"),
            Some(Token::Or) => Some("OR"),
            Some(Token::Not) => Some("NOT"),
            Some(Token::Then(_)) if steps => Some("then"),
            _ => None,
        };
        let quote = "put it in quotes to find the word itself";
        if let (Some(word), Some(token)) = (name(before), before) {
            return ParseError::new(
                format!("a term is missing after {word}"),
                token.start,
                token.end,
            )
            .hint(quote);
        }
        if let (Some(word), Some(token)) = (name(here), here) {
            return ParseError::new(
                format!("a term is missing before {word}"),
                token.start,
                token.end,
            )
            .hint(quote);
        }
        match (before.map(|t| &t.token), here) {
            (Some(Token::Open | Token::Session), Some(token)) => {
                ParseError::new("nothing stands between these parentheses", token.start, token.end)
                    .hint("put a text with parentheses in quotes: \"now()\"")
            }
            (_, Some(token)) => ParseError::new("no `(` is open here", token.start, token.end)
                .hint("remove this `)`, or put a text that holds it in quotes"),
            (_, None) => ParseError::new("a term is missing here", self.end, self.end),
        }
    }

    fn primary(&mut self, steps: bool) -> Result<Expr, ParseError> {
        let Some(token) = self.peek() else { return Err(self.missing(steps)) };
        match &token.token {
            Token::And | Token::Or | Token::Not | Token::Close => Err(self.missing(steps)),
            Token::Then(_) if steps => Err(self.missing(steps)),
            Token::Open => {
                self.at += 1;
                self.deeper(token)?;
                let expr = self.or(false)?;
                self.close(token)?;
                Ok(expr)
            }
            Token::Session => {
                self.at += 1;
                self.deeper(token)?;
                let expr = self.session()?;
                self.close(token)?;
                Ok(expr)
            }
            Token::Then(word) => {
                self.at += 1;
                self.node()?;
                Ok(Expr::Term(Term::Text(None, Text::Word((*word).to_owned()))))
            }
            Token::Value(value) => {
                self.at += 1;
                self.node()?;
                self.text(None, value)
            }
            Token::Field(FieldName::Text(field), value) => {
                self.at += 1;
                self.node()?;
                self.text(Some(*field), value)
            }
            Token::Field(field, value) => {
                self.at += 1;
                self.node()?;
                filter(*field, value.clone(), self.now).map(Expr::Term)
            }
        }
    }

    fn close(&mut self, open: &Spanned<'_>) -> Result<(), ParseError> {
        self.depth -= 1;
        if self.skip(&Token::Close) {
            return Ok(());
        }
        Err(ParseError::new("this parenthesis is not closed", open.start, open.end)
            .hint("close it with `)`, or put a text that holds it in quotes"))
    }

    fn text(&mut self, field: Option<TextField>, value: &Value<'_>) -> Result<Expr, ParseError> {
        let empty = || {
            ParseError::new("an empty text is in every event", value.start, value.end)
                .hint("put a text between the quotes")
        };
        let text = match &value.form {
            Form::Bare(word) => {
                // Two stars say no more than one.
                let mut text = String::with_capacity(word.len());
                for c in word.chars() {
                    if c != '*' || !text.ends_with('*') {
                        text.push(c);
                    }
                }
                if text == "*" && field.is_none() {
                    return Ok(Expr::All);
                }
                Text::Word(text)
            }
            Form::Exact(text) if text.is_empty() => return Err(empty()),
            Form::ExactCase(text) if text.is_empty() => return Err(empty()),
            Form::Exact(text) => Text::Exact(text.clone()),
            Form::ExactCase(text) => Text::ExactCase(text.clone()),
            Form::Regex(pattern, places) => {
                self.regexes += 1;
                if self.regexes > REGEXES_MAX {
                    let message = format!("a query may have {REGEXES_MAX} expressions at most");
                    return Err(ParseError::new(message, value.start, value.end)
                        .hint("join them with `|`, or use texts"));
                }
                check(pattern, places, value.start, value.end)?;
                Text::Regex(pattern.clone())
            }
        };
        Ok(Expr::Term(Term::Text(field, text)))
    }

    /// The inside of `session(...)`.
    fn session(&mut self) -> Result<Expr, ParseError> {
        let first_at = self.at;
        let first = self.or(true)?;
        if self.at_then(true) {
            let mut steps = vec![Query { expr: first }];
            while self.at_then(true) {
                self.at += 1;
                steps.push(Query { expr: self.or(true)? });
            }
            let within = match self.peek().map(|t| &t.token) {
                Some(Token::Field(FieldName::Within, value)) => Some(within(value)?),
                _ => None,
            };
            self.at += usize::from(within.is_some());
            self.node()?;
            return Ok(Expr::Term(Term::Session(SessionTerm::InOrder(steps, within))));
        }
        if let Some(Token::Field(FieldName::Within, value)) = self.peek().map(|t| &t.token) {
            return filter(FieldName::Within, value.clone(), self.now).map(Expr::Term);
        }
        // The parts of an AND are asked for one by one, unless parentheses hold them together: in
        // `session((a b))` the AND is one part.
        let one_group = self.is_one_group(first_at);
        let parts = match first {
            Expr::And(all) if !one_group => all,
            Expr::Not(not) if !one_group => vec![Expr::Not(not)],
            one => return self.together(vec![one]).map(Expr::Term),
        };
        let mut with = Vec::new();
        let mut out = Vec::new();
        for part in parts {
            match part {
                Expr::Not(not) => {
                    self.node()?;
                    out.push(Expr::Not(Box::new(Expr::Term(self.together(vec![*not])?))));
                }
                part => with.push(part),
            }
        }
        if !with.is_empty() {
            out.insert(0, Expr::Term(self.together(with)?));
        }
        match out.len() {
            1 => Ok(out.remove(0)),
            _ => {
                self.node()?;
                Ok(Expr::And(out))
            }
        }
    }

    fn together(&mut self, parts: Vec<Expr>) -> Result<Term, ParseError> {
        self.node()?;
        let queries = parts.into_iter().map(|expr| Query { expr }).collect();
        Ok(Term::Session(SessionTerm::Together(queries)))
    }

    /// Are the tokens from `from` to here one pair of parentheses?
    fn is_one_group(&self, from: usize) -> bool {
        let tokens = self.tokens.get(from..self.at).unwrap_or(&[]);
        let mut depth = 0usize;
        for (i, token) in tokens.iter().enumerate() {
            match token.token {
                Token::Open | Token::Session => depth += 1,
                Token::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return i > 0 && i + 1 == tokens.len();
            }
        }
        false
    }
}
