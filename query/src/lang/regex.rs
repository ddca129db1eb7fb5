//! Regular expressions: what is accepted, and which literals each match must hold.

use super::error::ParseError;
use super::literal::{Literal, Needs};
use daybook_engine::text::words::is_word_char;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind, Look};

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
        Ok(hir) => needs_of(&hir, false, false),
        Err(_) => Needs::Nothing,
    }
}

/// What an expression needs, between whole neighbours or any.
fn needs_of(hir: &Hir, left_whole: bool, right_whole: bool) -> Needs {
    let mut run = Run { left_whole, ..Run::default() };
    run.walk(hir, right_whole);
    run.end(right_whole);
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
    /// No word character stands before the literal that is being joined.
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

    /// Takes what comes next; `right_whole`, if no word character stands behind it.
    fn walk(&mut self, hir: &Hir, right_whole: bool) {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => self.text.push_str(text),
                Err(_) => self.end(false),
            },
            HirKind::Class(class) => match one_letter(class) {
                Some(letter) => self.text.push(letter),
                None => self.pass(hir),
            },
            // Zero width: the literal goes on behind it.
            HirKind::Look(look) => match look {
                Look::Start | Look::StartLF | Look::StartCRLF if self.text.is_empty() => {
                    self.left_whole = true;
                }
                Look::End | Look::EndLF | Look::EndCRLF => self.end(true),
                _ => {}
            },
            HirKind::Capture(capture) => self.walk(&capture.sub, right_whole),
            HirKind::Concat(subs) => {
                for (at, sub) in subs.iter().enumerate() {
                    self.walk(sub, subs.get(at + 1).map_or(right_whole, parts_words));
                }
            }
            HirKind::Repetition(repetition) => {
                self.pass(hir);
                if repetition.min > 0 {
                    self.push(needs_of(&repetition.sub, false, false));
                }
            }
            HirKind::Alternation(subs) => {
                let left_whole = self.text.is_empty() && self.left_whole;
                self.end(false);
                let needs = subs.iter().map(|sub| needs_of(sub, left_whole, right_whole));
                let needs: Vec<Needs> = needs.collect();
                if !needs.contains(&Needs::Nothing) {
                    self.push(Needs::One(needs));
                }
            }
        }
    }

    /// Something that is no literal ends the one before and stands before the next one.
    fn pass(&mut self, hir: &Hir) {
        let parts = parts_words(hir);
        self.end(parts);
        self.left_whole = parts;
    }

    fn push(&mut self, needs: Needs) {
        if needs != Needs::Nothing {
            self.found.push(needs);
        }
    }
}

/// Is there something wherever this matches, and no word character in it?
fn parts_words(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0)
            .is_ok_and(|text| !text.is_empty() && !text.contains(is_word_char)),
        HirKind::Class(Class::Unicode(class)) => {
            let few =
                |range: &ClassUnicodeRange| range.start().is_ascii() && range.end().is_ascii();
            let mut ranges = class.ranges().iter();
            ranges.all(|range| few(range) && !(range.start()..=range.end()).any(is_word_char))
        }
        HirKind::Capture(capture) => parts_words(&capture.sub),
        HirKind::Repetition(repetition) => repetition.min > 0 && parts_words(&repetition.sub),
        HirKind::Concat(subs) => !subs.is_empty() && subs.iter().all(parts_words),
        HirKind::Alternation(subs) => !subs.is_empty() && subs.iter().all(parts_words),
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => false,
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
