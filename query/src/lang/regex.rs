//! Regular expressions: what is accepted, and which literals each match must hold.

use super::error::ParseError;
use regex::{Regex, RegexBuilder};

/// The largest compiled expression, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// How deep groups may nest inside an expression.
const NEST_MAX: u32 = 64;

/// Compiles an expression within the limits.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NEST_MAX)
        .build()
}

/// Checks an expression that stands in a query; `places` maps its bytes (and its end) to the query.
pub(super) fn check(
    pattern: &str,
    places: &[usize],
    start: usize,
    end: usize,
) -> Result<(), ParseError> {
    let parsed = regex_syntax::ParserBuilder::new().nest_limit(NEST_MAX).build().parse(pattern);
    let (message, span) = match parsed {
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), *error.span()),
        Err(regex_syntax::Error::Translate(error)) => (error.kind().to_string(), *error.span()),
        Err(error) => return Err(ParseError::new(error.to_string(), start, end)),
        Ok(_) => {
            return match compile(pattern) {
                Ok(_) => Ok(()),
                Err(_) => Err(ParseError::new("this expression is too large", start, end)
                    .hint("use smaller repetitions")),
            };
        }
    };
    let place = |at: usize| places.get(at).or(places.last()).copied().unwrap_or(end);
    let (from, to) = (place(span.start.offset), place(span.end.offset));
    let written = pattern.get(span.start.offset..span.end.offset).unwrap_or("");
    let hint = match written {
        "\\Z" => "the end of the text is `\\z` or `$`",
        _ if message.contains("look-around") => {
            "there is no look-around; add a second term, or -~\"...\""
        }
        _ if message.contains("backreference") => "there are no backreferences",
        _ => "expressions are in Rust's syntax; for a text as it is, leave out the `~`",
    };
    Err(ParseError::new(message, from, to).hint(hint))
}
