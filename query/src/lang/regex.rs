//! Regular expressions: what is accepted, and which literals each match must hold.

use super::error::ParseError;
use super::literal::{Literal, Needs};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

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

/// The literals that each match of an expression holds.
pub(super) fn needs(pattern: &str) -> Needs {
    match regex_syntax::ParserBuilder::new().nest_limit(NEST_MAX).build().parse(pattern) {
        Ok(hir) => needs_of(&hir),
        Err(_) => Needs::Nothing,
    }
}

fn needs_of(hir: &Hir) -> Needs {
    let mut run = Run::default();
    run.walk(hir);
    run.end(false);
    match run.found.len() {
        0 => Needs::Nothing,
        1 => run.found.swap_remove(0),
        _ => Needs::All(run.found),
    }
}

/// A walk through a concatenation that joins neighbouring characters to literals.
#[derive(Default)]
struct Run {
    found: Vec<Needs>,
    text: String,
    /// The literal that is being joined stands at the start of a line.
    left_whole: bool,
}

impl Run {
    fn end(&mut self, right_whole: bool) {
        if !self.text.is_empty() {
            let literal = Literal::new(&self.text, self.left_whole, right_whole);
            self.found.push(Needs::Literal(literal));
        }
        self.text.clear();
        self.left_whole = false;
    }

    fn walk(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => self.text.push_str(text),
                Err(_) => self.end(false),
            },
            HirKind::Class(class) => match one_letter(class) {
                Some(letter) => self.text.push(letter),
                None => self.end(false),
            },
            // Zero width: the literal goes on behind it.
            HirKind::Look(look) => match look {
                Look::Start | Look::StartLF | Look::StartCRLF if self.text.is_empty() => {
                    self.left_whole = true;
                }
                Look::End | Look::EndLF | Look::EndCRLF => self.end(true),
                _ => {}
            },
            HirKind::Capture(capture) => self.walk(&capture.sub),
            HirKind::Concat(subs) => subs.iter().for_each(|sub| self.walk(sub)),
            HirKind::Repetition(repetition) => {
                self.end(false);
                if repetition.min > 0 {
                    self.push(needs_of(&repetition.sub));
                }
            }
            HirKind::Alternation(subs) => {
                self.end(false);
                let needs: Vec<Needs> = subs.iter().map(needs_of).collect();
                if !needs.contains(&Needs::Nothing) {
                    self.push(Needs::One(needs));
                }
            }
        }
    }

    fn push(&mut self, needs: Needs) {
        if needs != Needs::Nothing {
            self.found.push(needs);
        }
    }
}

/// The letter of a class that holds it in both cases and nothing else. `(?i)k` is not such a class:
/// the Kelvin sign folds to it too.
fn one_letter(class: &Class) -> Option<char> {
    let mut letters = ['\0'; 2];
    let mut count = 0;
    let mut add = |c: char| {
        if let Some(slot) = letters.get_mut(count) {
            *slot = c.to_ascii_lowercase();
        }
        count += 1;
    };
    match class {
        Class::Unicode(class) => {
            for range in class.ranges().iter().take(3) {
                add(range.start());
                if range.start() != range.end() {
                    return None;
                }
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges().iter().take(3) {
                add(char::from(range.start()));
                if range.start() != range.end() {
                    return None;
                }
            }
        }
    }
    let [one, other] = letters;
    (count == 2 && one == other && one.is_ascii()).then_some(one)
}
