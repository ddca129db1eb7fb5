//! What a word is, for the index and for the query language alike.
//!
//! A word is a longest run of letters, digits and `_` (Unicode alphanumerics). Words are folded:
//! ASCII letters to lower case, everything else as it is. A word of more than [`WORD_BYTES_MAX`]
//! bytes is indexed by its first [`WORD_BYTES_MAX`] bytes (at a character boundary); a narrowing cuts
//! what it looks for in the same way, so nothing becomes unsearchable for being long. What is inside of it, and its
//! end, is indexed in [`pieces`] that overlap, up to [`LONG_BYTES_MAX`].
//!
//! The words of an address or a version (`10.0.3.7`, `v2.3.1`) are short and stand everywhere, so such a
//! [`dotted`] number is indexed as one more word.

use std::ops::Range;

/// The longest word that is indexed whole, in bytes.
pub const WORD_BYTES_MAX: usize = 128;

/// A longer word than this is not indexed in pieces, in bytes: whoever looks for the end or the inside of a word
/// has to look at it.
pub const LONG_BYTES_MAX: usize = 8 << 10;

/// How long a piece is, and how far it is from the next, in bytes.
const PIECE_BYTES: usize = 512;
const STEP: usize = 448;

/// Whatever part of a word is no longer than this, in bytes, is whole in one of its pieces.
pub const PART_BYTES_MAX: usize = PIECE_BYTES - STEP - 8;

/// Is `c` part of a word?
#[must_use]
pub fn is_word_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { c.is_alphanumeric() }
}

/// The words of a text as byte ranges, not folded and not cut.
#[must_use]
pub fn words(text: &str) -> Words<'_> {
    Words { text, at: 0 }
}

/// Iterates over the words of a text; see [`words`].
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        while self.at < self.text.len() {
            let (inside, width) = self.step();
            if inside {
                let start = self.at;
                self.at += width;
                while self.at < self.text.len() {
                    let (inside, width) = self.step();
                    if !inside {
                        break;
                    }
                    self.at += width;
                }
                return Some(start..self.at);
            }
            self.at += width;
        }
        None
    }
}

impl Words<'_> {
    /// Is the character at the current place part of a word, and how wide is it?
    #[inline]
    fn step(&self) -> (bool, usize) {
        match self.text.as_bytes().get(self.at) {
            Some(&byte) if byte < 0x80 => (ASCII_WORD[usize::from(byte & 0x7f)], 1),
            _ => self.step_wide(),
        }
    }

    #[cold]
    fn step_wide(&self) -> (bool, usize) {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(c) => (c.is_alphanumeric(), c.len_utf8()),
            None => (false, 1),
        }
    }
}

/// The dotted numbers of a text as byte ranges: the longest runs of three words or more that are joined by dots, each
/// dot between two ASCII digits.
pub fn dotted(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut joiner = Joiner::default();
    // The last word is followed by none that it could be joined to.
    let ends = words(text).map(Some).chain([None]);
    ends.filter_map(move |word| match word {
        Some(word) => joiner.join(text, &word),
        None => joiner.finish(),
    })
}

/// Joins words to [`dotted`] numbers.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    start: usize,
    end: usize,
    words: usize,
}

impl Joiner {
    /// Takes the next word of a text. Answers the dotted number that ended with the word before, if one did.
    #[inline]
    pub fn join(&mut self, text: &str, word: &Range<usize>) -> Option<Range<usize>> {
        if word.start == self.end + 1 && self.words > 0 && is_joined(text, self.end) {
            self.end = word.end;
            self.words += 1;
            return None;
        }
        let ended = self.finish();
        (self.start, self.end, self.words) = (word.start, word.end, 1);
        ended
    }

    /// There are no more words. Answers the dotted number that ended with the last one, if one did.
    #[inline]
    pub fn finish(&mut self) -> Option<Range<usize>> {
        let words = std::mem::take(&mut self.words);
        (words >= 3).then_some(self.start..self.end)
    }
}

/// Is there a dot between two digits?
fn is_joined(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    bytes.get(at) == Some(&b'.') && at > 0 && digit(at - 1) && digit(at + 1)
}

const ASCII_WORD: [bool; 128] = {
    let mut table = [false; 128];
    let mut i = 0;
    while i < 128 {
        table[i] = (i as u8).is_ascii_alphanumeric() || i as u8 == b'_';
        i += 1;
    }
    table
};

/// The part of a word that is indexed: its first [`WORD_BYTES_MAX`] bytes at most, at a boundary.
#[must_use]
pub fn indexed_part(word: &str) -> &str {
    if word.len() <= WORD_BYTES_MAX {
        return word;
    }
    let mut end = WORD_BYTES_MAX;
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word.get(..end).unwrap_or(word)
}

/// The pieces of a word that is longer than [`WORD_BYTES_MAX`], of about 512 bytes; each begins 448 bytes after
/// the one before, and the last one ends where the word does.
pub fn pieces(text: &str, word: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let floor = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let last = floor(word.end.saturating_sub(PIECE_BYTES).max(word.start));
    let inner = (word.start..last).step_by(STEP);
    let inner = inner.map(move |at| floor(at)..floor(at + PIECE_BYTES));
    let long = word.len() > WORD_BYTES_MAX && word.len() <= LONG_BYTES_MAX;
    inner.chain(std::iter::once(last..word.end)).filter(move |_| long)
}

/// The part of a text that is looked for inside of words: its start of at most [`PART_BYTES_MAX`] bytes.
#[must_use]
pub fn inner_part(part: &str) -> &str {
    let mut end = part.len().min(PART_BYTES_MAX);
    while !part.is_char_boundary(end) {
        end -= 1;
    }
    part.get(..end).unwrap_or(part)
}

/// The part of a text that is looked for at the ends of words: its end of at most [`PART_BYTES_MAX`] bytes.
#[must_use]
pub fn end_part(part: &str) -> &str {
    let mut start = part.len().saturating_sub(PART_BYTES_MAX);
    while !part.is_char_boundary(start) {
        start += 1;
    }
    part.get(start..).unwrap_or(part)
}

/// Folds a text as the index does: ASCII letters to lower case.
#[must_use]
pub fn fold(text: &str) -> String {
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_the_longest_runs_of_word_characters(text in "[a-zA-Z_0-9 .é日-]{0,40}|\\PC{0,40}") {
            let found: Vec<&str> = words(&text).filter_map(|range| text.get(range)).collect();
            let split: Vec<&str> =
                text.split(|c| !is_word_char(c)).filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(found, split);
        }

        #[test]
        fn every_part_of_a_long_word_is_in_one_of_its_pieces(
            word in "[ab]{129,1500}|[aé日]{60,700}",
            from in any::<prop::sample::Index>(),
            len in 1..PART_BYTES_MAX,
        ) {
            prop_assume!(word.len() > WORD_BYTES_MAX);
            let pieces: Vec<&str> =
                pieces(&word, 0..word.len()).map(|range| &word[range]).collect();
            let chars: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
            let start = *from.get(&chars);
            let end = chars.iter().copied().filter(|at| *at <= start + len).max().unwrap();
            prop_assert!(pieces.iter().any(|piece| piece.contains(&word[start..end])));
            prop_assert!(pieces.iter().any(|piece| piece.ends_with(end_part(&word))));
            prop_assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES + 4));
        }

        #[test]
        fn dotted_numbers_are_the_longest_runs_of_words_with_dots_between_digits(
            text in "[a1é.]{0,24}|(v?[0-9]{1,3}[. ]){0,8}",
        ) {
            // Every other dot and everything between words ends a run.
            let bytes = text.as_bytes();
            let inside = |(at, c): (usize, char)| {
                let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
                is_word_char(c) || c == '.' && at > 0 && digit(at - 1) && digit(at + 1)
            };
            let marked: String =
                text.char_indices().map(|of| if inside(of) { of.1 } else { ' ' }).collect();
            let expected: Vec<&str> =
                marked.split(' ').filter(|run| run.matches('.').count() >= 2).collect();
            let found: Vec<&str> = dotted(&text).filter_map(|range| text.get(range)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
