//! What a text must hold to match: literals, and from them words for the index and needles for the
//! raw bytes.

use daybook_engine::event::text::TextField;
use daybook_engine::screen::Chars;
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::text::words::{dotted, fold, indexed_part, words};
use std::ops::Range;

/// At most this many words of one literal are looked up: the longest, which are the rarest.
const WORDS_MAX: usize = 8;
/// A test for more alternatives than this costs more than it saves.
const NEEDLES_MAX: usize = 64;
/// At most this many tests of raw bytes.
const CLAUSES_MAX: usize = 4;

/// A necessary condition on one text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Needs {
    /// Nothing is known.
    Nothing,
    /// A literal, in any case.
    Literal(Literal),
    /// All of these.
    All(Vec<Needs>),
    /// One of these.
    One(Vec<Needs>),
}

/// A literal that occurs in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    /// The text, folded.
    text: String,
    /// No word character stands before it.
    left_whole: bool,
    /// No word character stands after it.
    right_whole: bool,
    /// Where it is whole, no dot stands between a digit of its own and another one.
    dots_whole: bool,
}

impl Literal {
    /// A text between any neighbours, but for word characters where it is whole.
    pub(super) fn new(text: &str, left_whole: bool, right_whole: bool) -> Literal {
        Literal { text: fold(text), left_whole, right_whole, dots_whole: false }
    }

    /// A text of which a dotted number at a whole end goes on neither.
    pub(super) fn of_word(text: &str, left_whole: bool, right_whole: bool) -> Literal {
        Literal { dots_whole: true, ..Literal::new(text, left_whole, right_whole) }
    }

    fn narrow(&self, fields: Fields) -> Narrow {
        let text = self.text.as_str();
        let dotted: Vec<Range<usize>> = dotted(text).collect();
        let mut found: Vec<(usize, WordShape)> = Vec::new();
        for range in &dotted {
            // At a dot at the literal's end the number may go on.
            let left = range.start == 0 && !(self.left_whole && self.dots_whole)
                || text.get(..range.start) == Some(".");
            let right = range.end == text.len() && !(self.right_whole && self.dots_whole)
                || text.get(range.end..) == Some(".");
            found.push((range.len(), shape(text.get(range.clone()).unwrap_or(""), left, right)));
        }
        for range in words(text) {
            // A dotted number says more than its words.
            if dotted.iter().any(|whole| whole.start <= range.start && range.end <= whole.end) {
                continue;
            }
            // A word at an open end of the literal may go on in the text.
            let left = range.start == 0 && !self.left_whole;
            let right = range.end == text.len() && !self.right_whole;
            let shape = shape(text.get(range.clone()).unwrap_or(""), left, right);
            if !found.iter().any(|(_, known)| *known == shape) {
                found.push((range.len(), shape));
            }
        }
        found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        found.truncate(WORDS_MAX);
        all(found.into_iter().map(|(_, shape)| Narrow::Word(fields, shape)).collect())
    }

    /// The longest run of characters that JSON writes in one way only.
    fn needle(&self) -> Option<&str> {
        let same = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '/');
        self.text.split(|c| !same(c)).max_by_key(|run| run.len()).filter(|run| !run.is_empty())
    }
}

/// The shape of a word that may go on at an open end.
fn shape(word: &str, left_open: bool, right_open: bool) -> WordShape {
    let cut = indexed_part(word).to_owned();
    match (left_open, right_open) {
        (false, false) => WordShape::Is(cut),
        (false, true) => WordShape::StartsWith(cut),
        // A longer word may be cut before these, and there is no saying where.
        (true, false) => WordShape::EndsWith(word.to_owned()),
        (true, true) => WordShape::Contains(word.to_owned()),
    }
}

/// All of some narrowings, as simply as it can be said.
pub(super) fn all(mut narrows: Vec<Narrow>) -> Narrow {
    narrows.retain(|n| *n != Narrow::All);
    if narrows.contains(&Narrow::None) {
        return Narrow::None;
    }
    match narrows.len() {
        0 => Narrow::All,
        1 => narrows.swap_remove(0),
        _ => Narrow::And(narrows),
    }
}

/// One of some narrowings, as simply as it can be said.
pub(super) fn any(mut narrows: Vec<Narrow>) -> Narrow {
    narrows.retain(|n| *n != Narrow::None);
    if narrows.contains(&Narrow::All) {
        return Narrow::All;
    }
    match narrows.len() {
        0 => Narrow::None,
        1 => narrows.swap_remove(0),
        _ => Narrow::Or(narrows),
    }
}

/// Tests on raw bytes that must all succeed; each looks for one of several needles, in any case.
pub(super) type Clauses = Vec<Vec<String>>;

impl Needs {
    pub(super) fn narrow(&self, field: Option<TextField>) -> Narrow {
        let fields = field.map_or(Fields::Any, Fields::One);
        match self {
            Needs::Nothing => Narrow::All,
            Needs::Literal(literal) => literal.narrow(fields),
            Needs::All(needs) => all(needs.iter().map(|n| n.narrow(field)).collect()),
            Needs::One(needs) => any(needs.iter().map(|n| n.narrow(field)).collect()),
        }
    }

    /// Characters that are in every text which satisfies it.
    pub(super) fn chars(&self) -> Chars {
        match self {
            Needs::Nothing => Chars::default(),
            Needs::Literal(literal) => Chars::of(&literal.text),
            Needs::All(needs) => needs.iter().map(Needs::chars).fold(Chars::default(), Chars::and),
            Needs::One(needs) => {
                needs.iter().map(Needs::chars).reduce(Chars::both).unwrap_or_default()
            }
        }
    }

    pub(super) fn clauses(&self) -> Clauses {
        match self {
            Needs::Nothing => Vec::new(),
            Needs::Literal(literal) => {
                literal.needle().map(|needle| vec![vec![needle.to_owned()]]).unwrap_or_default()
            }
            Needs::All(needs) => all_clauses(needs.iter().map(Needs::clauses)),
            Needs::One(needs) => any_clauses(needs.iter().map(Needs::clauses)),
        }
    }
}

/// The clauses of an AND: those of its parts, the sharpest first.
pub(super) fn all_clauses(parts: impl Iterator<Item = Clauses>) -> Clauses {
    let mut clauses: Clauses = Vec::new();
    for clause in parts.flatten() {
        if !clauses.contains(&clause) {
            clauses.push(clause);
        }
    }
    clauses.sort_by_key(|clause| std::cmp::Reverse(sharpness(clause)));
    clauses.truncate(CLAUSES_MAX);
    clauses
}

/// The clause of an OR: the needles of each part's sharpest clause; none if a part has none.
pub(super) fn any_clauses(parts: impl Iterator<Item = Clauses>) -> Clauses {
    let mut needles: Vec<String> = Vec::new();
    for part in parts {
        let Some(best) = part.into_iter().max_by_key(|clause| sharpness(clause)) else {
            return Vec::new();
        };
        needles.extend(best);
        if needles.len() > NEEDLES_MAX {
            return Vec::new();
        }
    }
    needles.sort();
    needles.dedup();
    if needles.is_empty() { Vec::new() } else { vec![needles] }
}

/// How little a clause lets through: its shortest needle decides.
fn sharpness(clause: &[String]) -> usize {
    clause.iter().map(String::len).min().unwrap_or(0)
}
