//! Sets of the documents of one tantivy segment, as bits.
//!
//! A million documents are 125 kB, so that AND, OR and NOT cost microseconds whatever the lists are,
//! and nothing is allocated for a single document.

use crate::disk::DiskDirectory;
use crate::error::Error;
use std::fmt::Debug;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tantivy::columnar::Column;
use tantivy::index::InvertedIndexReader;
use tantivy::postings::TermInfo;
use tantivy::schema::IndexRecordOption;

/// A set of document numbers below a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Docs {
    words: Vec<u64>,
    bound: u32,
}

impl Docs {
    /// No document of `bound`.
    pub(crate) fn none(bound: u32) -> Docs {
        Docs { words: vec![0; bound.div_ceil(64) as usize], bound }
    }

    /// Every document below `bound`.
    pub(crate) fn all(bound: u32) -> Docs {
        let mut docs = Docs::none(bound);
        docs.invert();
        docs
    }

    /// Adds a document; one that is out of bounds is no document.
    #[inline]
    pub(crate) fn insert(&mut self, doc: u32) {
        if doc < self.bound
            && let Some(word) = self.words.get_mut((doc / 64) as usize)
        {
            *word |= 1 << (doc % 64);
        }
    }

    /// Adds documents that ascend. Neighbours are put together first: a word in memory that is written and read again for
    /// each of them has to wait for itself.
    fn insert_all(&mut self, docs: &[u32]) {
        let (mut at, mut bits) = (0, 0);
        for &doc in docs.iter().take_while(|doc| **doc < self.bound) {
            let place = (doc / 64) as usize;
            if place != at {
                if let Some(word) = self.words.get_mut(at) {
                    *word |= bits;
                }
                (at, bits) = (place, 0);
            }
            bits |= 1 << (doc % 64);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= bits;
        }
    }

    /// Keeps what is also in `other`.
    pub(crate) fn intersect(&mut self, other: &Docs) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Is it one of them?
    pub(crate) fn contains(&self, doc: u32) -> bool {
        let word = self.words.get((doc / 64) as usize);
        word.is_some_and(|word| word >> (doc % 64) & 1 == 1)
    }

    /// Adds what is in `other`.
    pub(crate) fn unite(&mut self, other: &Docs) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Removes what is in `other`.
    pub(crate) fn subtract(&mut self, other: &Docs) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Exactly the documents that were not in it.
    pub(crate) fn invert(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        let used = self.bound % 64;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }

    /// What documents are below.
    pub(crate) fn bound(&self) -> u32 {
        self.bound
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(self.words.as_slice())
    }

    /// How many.
    pub(crate) fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Calls `visit` with every document, ascending, at most 64 at a time.
    pub(crate) fn blocks(&self, visit: impl FnMut(&[u32])) {
        self.blocks_in(0..self.bound, visit);
    }

    /// As [`Docs::blocks`], for the documents of a range, which begins and ends at multiples of 64 or at the bound.
    pub(crate) fn blocks_in(&self, range: Range<u32>, mut visit: impl FnMut(&[u32])) {
        let (from, to) = (range.start / 64, range.end.div_ceil(64));
        let words = self.words.get(from as usize..to as usize).unwrap_or_default();
        let mut block = [0u32; 64];
        for (base, &word) in (from * 64..).step_by(64).zip(words) {
            let (mut word, mut filled) = (word, 0);
            for slot in &mut block {
                if word == 0 {
                    break;
                }
                *slot = base + word.trailing_zeros();
                word &= word - 1;
                filled += 1;
            }
            if let Some(block) = block.get(..filled)
                && filled > 0
            {
                visit(block);
            }
        }
    }

    /// Calls `visit` with every document, ascending, and its value in a column.
    pub(crate) fn each_value<T: PartialOrd + Copy + Debug + Send + Sync + 'static>(
        &self,
        column: &Column<T>,
        mut visit: impl FnMut(u32, Option<T>),
    ) {
        self.blocks(|block| each_value_of(block, column, &mut visit));
    }

    /// As [`Docs::each_value`], for the documents of a range; see [`Docs::blocks_in`].
    pub(crate) fn each_value_in<T: PartialOrd + Copy + Debug + Send + Sync + 'static>(
        &self,
        range: Range<u32>,
        column: &Column<T>,
        mut visit: impl FnMut(u32, Option<T>),
    ) {
        self.blocks_in(range, |block| each_value_of(block, column, &mut visit));
    }

    /// Adds the documents of a term.
    pub(crate) fn add_postings(
        &mut self,
        index: &InvertedIndexReader,
        term: &TermInfo,
    ) -> std::io::Result<()> {
        let mut postings =
            index.read_block_postings_from_terminfo(term, IndexRecordOption::Basic)?;
        while !postings.docs().is_empty() {
            self.insert_all(postings.docs());
            postings.advance();
        }
        Ok(())
    }
}

/// Calls `visit` with each of at most 64 documents, and its value in a column.
pub(crate) fn each_value_of<T: PartialOrd + Copy + Debug + Send + Sync + 'static>(
    block: &[u32],
    column: &Column<T>,
    mut visit: impl FnMut(u32, Option<T>),
) {
    let mut values = [None; 64];
    if let Some(values) = values.get_mut(..block.len()) {
        column.first_vals(block, values);
        for (&doc, &value) in block.iter().zip(values.iter()) {
            visit(doc, value);
        }
    }
}

/// As [`guarded`], for a read of files that are mapped: what shrank meanwhile was read as zeroes.
pub(crate) fn guarded_in<T>(
    directory: &DiskDirectory,
    error: fn(String) -> Error,
    read: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let answer = guarded(error, read);
    if directory.faulted() {
        return Err(error(format!("a file in {directory:?} shrank under its reader")));
    }
    answer
}

/// Runs a read of an index. tantivy trusts its files: where a damaged one makes it panic, that is an
/// error here.
pub(crate) fn guarded<T>(
    error: fn(String) -> Error,
    read: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        Err(error(format!("it is damaged ({what}); remove its directory to have it built again")))
    })
}
