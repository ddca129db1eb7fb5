//! The fields of the text index, and opening one.
//!
//! | field | terms | also |
//! |---|---|---|
//! | `input`, `output`, `text` | folded words and dotted numbers, and [`super::tokens::CUT`] | |
//! | `again` | of lines that were seen: the words that an event before had by itself, and dotted numbers | |
//! | `facet` | `k` and the kind's code, `v` and the verdict's code, [`super::numbers`], [`UNKNOWN_TERM`], [`SEEN_TERM`] | |
//! | `offset` | | a column of `u64` |
//!
//! Postings hold documents only: no frequencies, no positions, no norms. Nothing is stored. What was seen on a
//! screen is in `output`, typed lines are in `input`: most of their words are there anyway. But a word that also
//! stands in one of the events that a line was put together of is in `again`: the line may be found by it
//! together with others, by itself it is not (see [`crate::screen::Seen::any`]).

use super::narrow::Fields;
use super::tokens::WordTokenizer;
use crate::disk::DiskDirectory;
use crate::error::Error;
use crate::event::text::TextField;
use crate::event::{Kind, Offset, Verdict};
use tantivy::schema::{
    BytesOptions, FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{Index, IndexSettings};

/// Named anew whenever what is indexed of an event changes: an index by another one is not opened.
const TOKENIZER: &str = "daybook_words_3";

/// The numbers of the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextSchema {
    texts: [Field; 3],
    again: Field,
    pub(super) facet: Field,
    pub(super) offset: Field,
}

impl TextSchema {
    pub(super) fn build() -> (Schema, TextSchema) {
        let mut builder = Schema::builder();
        let words = TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(TOKENIZER)
                .set_index_option(IndexRecordOption::Basic)
                .set_fieldnorms(false),
        );
        let texts =
            ["input", "output", "text"].map(|field| builder.add_text_field(field, words.clone()));
        let again = builder.add_text_field("again", words);
        // Bytes take no tokenizer, which would cost more than the term.
        let facet = builder.add_bytes_field("facet", BytesOptions::default().set_indexed());
        let offset = builder.add_u64_field("offset", FAST);
        (builder.build(), TextSchema { texts, again, facet, offset })
    }

    /// The field that a text is indexed in.
    pub(super) fn text(self, field: TextField) -> Field {
        let [input, output, text] = self.texts;
        match field {
            TextField::Input | TextField::Typed => input,
            TextField::Output | TextField::Screen => output,
            TextField::Text => text,
        }
    }

    /// The field of what was seen again.
    pub(super) fn again(self) -> Field {
        self.again
    }

    /// The fields of words.
    pub(super) fn of_words(self) -> [Field; 4] {
        let [input, output, text] = self.texts;
        [input, output, text, self.again]
    }

    /// The fields in which a text may be indexed, each with its place among [`TextSchema::of_words`]; that of what
    /// was seen again only if `again`.
    pub(super) fn of(self, fields: Fields, again: bool) -> impl Iterator<Item = (usize, Field)> {
        let one = match fields {
            Fields::Any => None,
            Fields::One(field) => Some(self.text(field)),
        };
        let [_, _, text] = self.texts;
        let wanted = move |(_, field): &(usize, Field)| match *field == self.again {
            true => again && one != Some(text),
            false => one.is_none_or(|one| one == *field),
        };
        self.of_words().into_iter().enumerate().filter(wanted)
    }
}

/// The name of the column of offsets.
pub(super) const OFFSET: &str = "offset";

/// The term of a kind.
pub(super) fn kind_term(kind: Kind) -> [u8; 2] {
    [b'k', kind.code()]
}

/// The term of a verdict.
pub(super) fn verdict_term(verdict: Verdict) -> [u8; 2] {
    [b'v', verdict.code()]
}

/// The term of an event of which not all that was seen with it is indexed.
pub(super) const UNKNOWN_TERM: [u8; 2] = *b"u?";

/// The term of an event with which something was seen: it has words that are not its own.
pub(super) const SEEN_TERM: [u8; 2] = *b"s!";

/// Opens the index in a directory that has one.
pub(super) fn open(directory: &DiskDirectory) -> Result<Index, Error> {
    let index = Index::open(directory.clone()).map_err(Error::text)?;
    if index.schema() != TextSchema::build().0 {
        return Err(Error::text(format!(
            "{directory:?} was written by another version; remove it to have it built again"
        )));
    }
    register(&index);
    Ok(index)
}

/// Makes an empty index in an existing, empty directory.
pub(super) fn create(directory: &DiskDirectory) -> Result<Index, Error> {
    let settings = IndexSettings {
        // tantivy writes five bytes for a document that stores nothing; they compress away.
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(1) }),
        docstore_blocksize: 256 << 10,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let index =
        Index::create(directory.clone(), TextSchema::build().0, settings).map_err(Error::text)?;
    register(&index);
    Ok(index)
}

fn register(index: &Index) {
    let tokenizer = tantivy::tokenizer::TextAnalyzer::from(WordTokenizer::default());
    index.tokenizers().register(TOKENIZER, tokenizer);
}

/// The offset in a commit's payload; an index without a commit covers nothing.
pub(super) fn through(payload: Option<&str>) -> Result<Offset, Error> {
    match payload {
        None => Ok(Offset(0)),
        Some(payload) => payload
            .parse()
            .map(Offset)
            .map_err(|_| Error::text(format!("its payload is no offset: {payload:?}"))),
    }
}
