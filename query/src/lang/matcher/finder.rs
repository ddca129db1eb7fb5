//! Finding one text term in one text.
//!
//! A word is found where the characters beside it are no word characters. A word with a dot between
//! digits (`10.0.3.7`, `v2.3.1`) also ends only where the digits end: a digit at its edge may not be
//! continued by a dot and a digit, so that `0.3.7` is not found in `10.0.3.7`.

use super::super::ast::Text;
use super::super::literal::{Literal, Needs};
use super::super::regex;
use ::regex::bytes;
use daybook_engine::text::words::{WORD_BYTES_MAX, is_word_char};
use memchr::memmem;
use std::ops::Range;

/// A term, ready to be looked for.
#[derive(Debug)]
pub(super) enum Finder {
    /// Every text will do.
    Present,
    /// No text will do: an expression that does not compile, which the parser refuses.
    Never,
    Literal(Searcher),
    Word(Word),
    Regex(::regex::Regex),
}

impl Finder {
    pub(super) fn new(text: &Text) -> Finder {
        match text {
            Text::Word(word) => Word::new(word).map_or(Finder::Present, Finder::Word),
            Text::Exact(text) => Finder::Literal(Searcher::folded(text)),
            Text::ExactCase(text) => Finder::Literal(Searcher::exact(text)),
            Text::Regex(pattern) => regex::compile(pattern).map_or(Finder::Never, Finder::Regex),
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match self {
            Finder::Present => true,
            Finder::Never => false,
            Finder::Literal(searcher) => searcher.find(text, 0).is_some(),
            Finder::Word(word) => word.find(text, 0).is_some(),
            Finder::Regex(regex) => regex.is_match(text),
        }
    }

    /// The places of matches, at most `limit`; none that is empty.
    pub(super) fn ranges(&self, text: &str, limit: usize, out: &mut Vec<Range<usize>>) {
        let mut at = 0;
        let next = |from: usize| match self {
            Finder::Present | Finder::Never => None,
            Finder::Literal(searcher) => searcher.find(text, from),
            Finder::Word(word) => word.find(text, from),
            Finder::Regex(regex) => regex.find_at(text, from).map(|found| found.range()),
        };
        let mut count = 0;
        while count < limit && at <= text.len() {
            let Some(range) = next(at) else { break };
            at = if range.is_empty() { after_char(text, range.end) } else { range.end };
            if !range.is_empty() {
                out.push(range);
                count += 1;
            }
        }
    }
}

/// What a text must hold for a term to be found in it.
pub(super) fn needs(text: &Text) -> Needs {
    match text {
        Text::Word(word) => {
            let pieces: Vec<&str> = word.split('*').collect();
            let last = pieces.len() - 1;
            let literals = pieces
                .iter()
                .enumerate()
                .filter(|(_, piece)| !piece.is_empty())
                .map(|(i, piece)| Needs::Literal(Literal::of_word(piece, i == 0, i == last)));
            Needs::All(literals.collect())
        }
        Text::Exact(text) | Text::ExactCase(text) => {
            Needs::Literal(Literal::new(text, false, false))
        }
        Text::Regex(pattern) => regex::needs(pattern),
    }
}

/// How a word of the index ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Whole,
    Anyhow,
}

/// Is a term found just where the words of a text have the shape that [`needs`] asks the index for?
pub(super) fn index_word(text: &Text) -> Option<Ends> {
    let Text::Word(whole) = text else { return None };
    let (word, ends) = match whole.strip_suffix('*') {
        Some(start) => (start, Ends::Anyhow),
        None => (whole.as_str(), Ends::Whole),
    };
    // One that is as long as the index cuts longer ones may be one of these, cut.
    let fits = (1..=WORD_BYTES_MAX - 4).contains(&word.len());
    (fits && word.chars().all(is_word_char)).then_some(ends)
}

fn after_char(text: &str, at: usize) -> usize {
    at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}

/// Finds a literal.
#[derive(Debug)]
pub(super) enum Searcher {
    Exact(Box<memmem::Finder<'static>>),
    /// ASCII letters in any case.
    Folded(bytes::Regex),
    /// The same, should a literal be too long for an expression.
    Scan(Box<[u8]>),
}

impl Searcher {
    fn exact(text: &str) -> Searcher {
        Searcher::Exact(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()))
    }

    fn folded(text: &str) -> Searcher {
        if !text.bytes().any(|b| b.is_ascii_alphabetic()) {
            return Searcher::exact(text);
        }
        match folded_any(std::slice::from_ref(&text)) {
            Some(regex) => Searcher::Folded(regex),
            None => Searcher::Scan(text.as_bytes().into()),
        }
    }

    /// The first occurrence from `at` on.
    fn find(&self, text: &str, at: usize) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        match self {
            Searcher::Exact(finder) => {
                let from = at + finder.find(bytes.get(at..)?)?;
                Some(from..from + finder.needle().len())
            }
            Searcher::Folded(regex) => {
                if at > bytes.len() {
                    return None;
                }
                regex.find_at(bytes, at).map(|found| found.range())
            }
            Searcher::Scan(needle) => {
                let mut windows = bytes.get(at..)?.windows(needle.len().max(1));
                let from = at + windows.position(|window| window.eq_ignore_ascii_case(needle))?;
                Some(from..from + needle.len())
            }
        }
    }
}

/// An expression for any of some literals, with ASCII letters in any case.
pub(super) fn folded_any<T: AsRef<str>>(literals: &[T]) -> Option<bytes::Regex> {
    let mut pattern = String::from("(?i-u)");
    for (i, literal) in literals.iter().enumerate() {
        pattern.push_str(if i == 0 { "" } else { "|" });
        for byte in literal.as_ref().bytes() {
            if byte.is_ascii_alphanumeric() {
                pattern.push(char::from(byte));
            } else {
                pattern.push_str(&format!("\\x{byte:02x}"));
            }
        }
    }
    bytes::Regex::new(&pattern).ok()
}

/// A bare word, with its `*`.
#[derive(Debug)]
pub(super) struct Word {
    first: Searcher,
    /// What follows in the same run of anything but white space.
    rest: Vec<Searcher>,
    left: Edge,
    right: Edge,
}

/// What an end of a word demands of its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// Nothing: there is a `*`.
    Open,
    /// No word character.
    Whole { word_char: bool, dotted_digit: bool },
}

impl Word {
    /// `None` for a word of stars only.
    fn new(text: &str) -> Option<Word> {
        let mut pieces = text.split('*').filter(|piece| !piece.is_empty()).map(Searcher::folded);
        let bytes = text.as_bytes();
        let dotted = bytes
            .windows(3)
            .any(|w| matches!(w, [a, b'.', c] if a.is_ascii_digit() && c.is_ascii_digit()));
        let edge = |c: Option<char>| match c {
            None | Some('*') => Edge::Open,
            Some(c) => Edge::Whole {
                word_char: is_word_char(c),
                dotted_digit: dotted && c.is_ascii_digit(),
            },
        };
        Some(Word {
            first: pieces.next()?,
            rest: pieces.collect(),
            left: edge(text.chars().next()),
            right: edge(text.chars().next_back()),
        })
    }

    fn find(&self, text: &str, mut at: usize) -> Option<Range<usize>> {
        loop {
            let found = self.first.find(text, at)?;
            if !self.left.allows(text.get(..found.start)?.chars().rev()) {
                at = match self.left {
                    // Inside a run of word characters nothing is whole on the left.
                    Edge::Whole { word_char: true, .. } => after_word(text, found.start),
                    _ => after_char(text, found.start),
                };
                continue;
            }
            if self.rest.is_empty() {
                if self.right.allows(text.get(found.end..)?.chars()) {
                    return Some(found);
                }
                at = match self.left {
                    Edge::Whole { word_char: true, .. } => after_word(text, found.start),
                    _ => after_char(text, found.start),
                };
                continue;
            }
            // The earliest start leaves the most room, so in this run no later one does better.
            let after = text.get(found.end..)?;
            let run_end = found.end + after.find(char::is_whitespace).unwrap_or(after.len());
            match self.rest_in(text, found.end, run_end) {
                Some(end) => return Some(found.start..end),
                None => at = run_end.max(after_char(text, found.start)),
            }
        }
    }

    /// Where the other pieces end, if they follow between `at` and `run_end`.
    fn rest_in(&self, text: &str, mut at: usize, run_end: usize) -> Option<usize> {
        let run = text.get(..run_end)?;
        let (last, middle) = self.rest.split_last()?;
        for piece in middle {
            at = piece.find(run, at)?.end;
        }
        loop {
            let found = last.find(run, at)?;
            if self.right.allows(text.get(found.end..)?.chars()) {
                return Some(found.end);
            }
            at = after_char(text, found.start);
        }
    }
}

impl Edge {
    /// `neighbours`: the characters beside this end, the nearest first.
    fn allows(self, mut neighbours: impl Iterator<Item = char>) -> bool {
        let Edge::Whole { dotted_digit, .. } = self else { return true };
        match neighbours.next() {
            None => true,
            Some(c) if is_word_char(c) => false,
            Some('.') if dotted_digit => !neighbours.next().is_some_and(|c| c.is_ascii_digit()),
            Some(_) => true,
        }
    }
}

/// The end of the run of word characters that a place is in.
fn after_word(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or("");
    at + rest.find(|c| !is_word_char(c)).unwrap_or(rest.len())
}
