//! The tokenizer: folded words and dotted numbers, and a mark for those that were cut.

use super::words::{Joiner, WORD_BYTES_MAX, Words, indexed_part, words};
use std::ops::Range;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// The term that marks a document with a word of more than [`WORD_BYTES_MAX`] bytes: its end is not
/// in the index, so whatever looks for the end or the inside of a word must see the document. No word
/// has this character.
pub(super) const CUT: &str = "\u{1}";

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
        let word = self.next().and_then(|range| self.text.get(range));
        self.token.text.clear();
        self.token.position = 0;
        match word {
            Some(word) if word.len() <= WORD_BYTES_MAX => self.token.text.push_str(word),
            Some(word) => {
                self.token.text.push_str(indexed_part(word));
                if self.cut == Cut::No {
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
