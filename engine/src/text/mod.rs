//! The text index: which events may hold a word.
//!
//! One tantivy index for each journal, merged to a single tantivy segment when the journal is
//! sealed. It stores no text: it answers a [`narrow::Narrow`] with offsets, and whoever asks verifies
//! each on the log. Each commit carries as its payload the offset below which everything is indexed,
//! so that indexing resumes there after a crash; what came after the last commit is simply gone.
//!
//! | module | what is there |
//! |---|---|
//! | [`words`] | what a word is |
//! | [`narrow`] | what can be asked |
//! | `schema`, `tokens` | the fields of the index and its tokenizer |
//! | `numbers` | numbers as terms |
//! | [`TextWriter`] | adds events and commits |
//! | [`TextReader`] | answers narrowings |
//! | [`Narrowed`] | what they leave |
//! | `word_list` | all words of a sealed segment, to be searched for parts |
//! | [`merge_into`] | makes a sealed segment's index from a journal's |
//! | `docs` | sets of documents, also the catalog's |

pub(crate) mod docs;
mod lookup;
mod merge;
pub mod narrow;
mod narrowed;
mod numbers;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod tokens;
mod word_list;
pub mod words;
mod writer;

pub use merge::{TextSource, merge_into};
pub use narrowed::Narrowed;
pub use reader::{Satisfying, TextReader};
pub use word_list::is_word_list;
pub use writer::TextWriter;
