//! What a word is, for the index and for the query language alike.
//!
//! A word is a longest run of letters, digits and `_` (Unicode alphanumerics). Words are folded:
//! ASCII letters to lower case, everything else as it is. A word of more than [`WORD_BYTES_MAX`]
//! bytes is indexed by its first [`WORD_BYTES_MAX`] bytes (at a character boundary); a narrowing cuts
//! what it looks for in the same way, so nothing becomes unsearchable for being long.

use std::ops::Range;

/// The longest word that is indexed whole, in bytes.
pub const WORD_BYTES_MAX: usize = 128;

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

/// Folds a text as the index does: ASCII letters to lower case.
#[must_use]
pub fn fold(text: &str) -> String {
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
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
    }
}
