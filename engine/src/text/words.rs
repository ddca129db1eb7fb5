//! What a word is, for the index and for the query language alike.
//!
//! A word is a longest run of letters, digits and `_` (Unicode alphanumerics). Words are folded:
//! ASCII letters to lower case, everything else as it is. A word of more than [`WORD_BYTES_MAX`]
//! bytes is indexed by its first [`WORD_BYTES_MAX`] bytes (at a character boundary); a narrowing cuts
//! what it looks for in the same way, so nothing becomes unsearchable for being long.

/// The longest word that is indexed whole, in bytes.
pub const WORD_BYTES_MAX: usize = 128;

/// Is `c` part of a word?
#[must_use]
pub fn is_word_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { c.is_alphanumeric() }
}

/// The words of a text as byte ranges, not folded and not cut.
pub fn words(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut start = None;
        while let Some(&byte) = bytes.get(at) {
            let (inside, width) = if byte < 0x80 {
                (ASCII_WORD[byte as usize & 0x7f], 1)
            } else {
                let c = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('\u{fffd}');
                (c.is_alphanumeric(), c.len_utf8())
            };
            match (inside, start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    let range = from..at;
                    at += width;
                    return Some(range);
                }
                _ => {}
            }
            at += width;
        }
        start.map(|from| from..bytes.len())
    })
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
