//! The tokenizer: folded words and dotted numbers, and a mark for those that were cut.

use super::words::{Joiner, LONG_BYTES_MAX, WORD_BYTES_MAX, Words, indexed_part, pieces, words};
use std::ops::Range;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// The term that marks a document with a word of more than [`LONG_BYTES_MAX`] bytes: its end is not
/// in the index, so whatever looks for the end or the inside of a word must see the document. No word
/// has this character.
pub(super) const CUT: &str = "\u{1}";

/// What a piece of a long word begins with, so that it is not taken for a word.
const PIECE: &str = "\u{2}";

/// Splits a text into its [`words`] and [`dotted`](super::words::dotted) numbers, folded and cut.
#[derive(Clone, Default)]
pub(super) struct WordTokenizer {
    token: Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream {
            token: &mut self.token,
            text,
            words: words(text),
            joiner: Joiner::default(),
            waiting: None,
            pieces: Vec::new(),
            cut: Cut::No,
        }
    }
}

/// Has a word been cut, and has that been said?
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    No,
    Yes,
    Said,
}

/// The tokens of one text.
pub(super) struct WordStream<'a> {
    token: &'a mut Token,
    text: &'a str,
    words: Words<'a>,
    joiner: Joiner,
    /// The word after a dotted number that was just answered.
    waiting: Option<Range<usize>>,
    /// The pieces that are left of a long word, the next one last.
    pieces: Vec<Range<usize>>,
    cut: Cut,
}

impl WordStream<'_> {
    /// The next word or dotted number.
    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        if let Some(word) = self.waiting.take() {
            return Some(word);
        }
        let Some(word) = self.words.next() else { return self.joiner.finish() };
        match self.joiner.join(self.text, &word) {
            None => Some(word),
            dotted => {
                self.waiting = Some(word);
                dotted
            }
        }
    }
}

impl TokenStream for WordStream<'_> {
    #[inline]
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        self.token.position = 0;
        if let Some(piece) = self.pieces.pop() {
            self.token.text.push_str(PIECE);
            self.token.text.push_str(self.text.get(piece).unwrap_or_default());
            self.token.text.make_ascii_lowercase();
            return true;
        }
        let range = self.next();
        let word = range.clone().and_then(|range| self.text.get(range));
        match word {
            Some(word) if word.len() <= WORD_BYTES_MAX => self.token.text.push_str(word),
            Some(word) => {
                self.token.text.push_str(indexed_part(word));
                self.pieces.extend(range.into_iter().flat_map(|range| pieces(self.text, range)));
                if word.len() > LONG_BYTES_MAX && self.cut == Cut::No {
                    self.cut = Cut::Yes;
                }
            }
            None if self.cut == Cut::Yes => {
                self.token.text.push_str(CUT);
                self.cut = Cut::Said;
            }
            None => return false,
        }
        self.token.text.make_ascii_lowercase();
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
