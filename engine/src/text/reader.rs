//! Asking the text index.

use super::docs::{guarded, guarded_in};
use super::lookup::{Lookup, is_dear};
use super::narrow::Narrow;
use super::schema::{self, OFFSET, TextSchema};
use super::word_list::WordList;
use crate::disk::{DiskDirectory, SharedDisk};
use crate::error::Error;
use crate::event::Offset;
use parking_lot::RwLock;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tantivy::columnar::Column;
use tantivy::{Index, SegmentReader};

/// A narrowing that leaves more than this share of the events, in percent, saves nothing: reading
/// them all in order is quicker.
const HELPFUL_PERCENT_MAX: u64 = 60;

/// Answers narrowings from the commits so far. Clones see the same index.
#[derive(Clone)]
pub struct TextReader {
    view: Arc<RwLock<Arc<View>>>,
}

/// Events that satisfy a narrowing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Satisfying {
    /// Their offsets, ascending.
    pub offsets: Vec<u64>,
    /// Those among them, ascending, whose words the index does not know or has from more than the event: they
    /// only may satisfy it.
    pub loose: Vec<u64>,
}

/// A commit.
struct View {
    directory: DiskDirectory,
    segments: Vec<(SegmentReader, Column<u64>)>,
    fields: TextSchema,
    events: u64,
    through: Offset,
    /// The words of the only segment of a finished index, read by the first who asks.
    words: OnceLock<Option<WordList>>,
}

impl std::fmt::Debug for TextReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextReader").field("through", &self.indexed_through()).finish()
    }
}

impl TextReader {
    /// Opens a finished index; nothing in its directory is changed.
    ///
    /// # Errors
    /// No index there, or a damaged one.
    pub fn open(disk: &SharedDisk, dir: &Path) -> Result<TextReader, Error> {
        let directory = DiskDirectory::new(disk, dir);
        guarded(Error::text, || TextReader::of(&schema::open(&directory)?, &directory))
    }

    pub(super) fn of(index: &Index, directory: &DiskDirectory) -> Result<TextReader, Error> {
        let view = View::open(index, directory)?;
        Ok(TextReader { view: Arc::new(RwLock::new(Arc::new(view))) })
    }

    /// Turns to the latest commit.
    pub(super) fn reload(&self, index: &Index) -> Result<(), Error> {
        let directory = self.view.read().directory.clone();
        let view = Arc::new(View::open(index, &directory)?);
        *self.view.write() = view;
        Ok(())
    }

    /// Every event with an offset below this, from the index's first on, is indexed.
    #[must_use]
    pub fn indexed_through(&self) -> Offset {
        self.view.read().through
    }

    /// The offsets of the events that may satisfy `narrow`, ascending, or `None` when the index
    /// can't help: all of them may, or too many to be worth a list.
    ///
    /// # Errors
    /// A damaged index.
    pub fn offsets(&self, narrow: &Narrow) -> Result<Option<Vec<u64>>, Error> {
        let view = Arc::clone(&self.view.read());
        let offsets = guarded_in(&view.directory, Error::text, || view.offsets(narrow))?;
        Ok(offsets.filter(|list| list.len() as u64 * 100 <= view.events * HELPFUL_PERCENT_MAX))
    }

    /// The events that satisfy `narrow`; `None` when the index can't say. If `seen_too`, words that were first seen
    /// with an event are as good as its own, but others that were seen are none.
    ///
    /// # Errors
    /// A damaged index.
    pub fn offsets_exactly(
        &self,
        narrow: &Narrow,
        seen_too: bool,
    ) -> Result<Option<Satisfying>, Error> {
        let view = Arc::clone(&self.view.read());
        guarded_in(&view.directory, Error::text, || view.offsets_exactly(narrow, seen_too))
    }

    /// As [`TextReader::offsets`], whatever share of the events it is.
    #[cfg(test)]
    pub(super) fn all_offsets(&self, narrow: &Narrow) -> Result<Option<Vec<u64>>, Error> {
        let view = Arc::clone(&self.view.read());
        view.offsets(narrow)
    }

    /// How many tantivy segments there are.
    #[cfg(test)]
    pub(super) fn segments(&self) -> usize {
        self.view.read().segments.len()
    }
}

impl View {
    fn open(index: &Index, directory: &DiskDirectory) -> Result<View, Error> {
        let metas = index.load_metas().map_err(Error::text)?;
        let mut segments = Vec::with_capacity(metas.segments.len());
        for meta in metas.segments {
            let segment = SegmentReader::open(&index.segment(meta)).map_err(Error::text)?;
            let offsets = segment.fast_fields().u64(OFFSET).map_err(Error::text)?;
            segments.push((segment, offsets));
        }
        let events = segments.iter().map(|(segment, _)| u64::from(segment.max_doc())).sum();
        let (_, fields) = TextSchema::build();
        let through = schema::through(metas.payload.as_deref())?;
        Ok(View {
            directory: directory.clone(),
            segments,
            fields,
            events,
            through,
            words: OnceLock::new(),
        })
    }

    fn lookup<'a>(
        &'a self,
        segment: &'a SegmentReader,
        narrow: &Narrow,
        again: bool,
    ) -> Lookup<'a> {
        let read = || {
            WordList::open(&self.directory).unwrap_or_else(|error| {
                tracing::warn!(%error, "searching for parts of words without their list");
                None
            })
        };
        let words = match self.segments.len() {
            // To open it takes all of it.
            1 if is_dear(narrow) => self.words.get_or_init(read).as_ref(),
            // Only finished indexes have one.
            _ => None,
        };
        Lookup { segment, fields: self.fields, words, again }
    }

    fn offsets(&self, narrow: &Narrow) -> Result<Option<Vec<u64>>, Error> {
        let mut offsets = Vec::new();
        for (segment, column) in &self.segments {
            let lookup = self.lookup(segment, narrow, true);
            let Some(docs) = lookup.docs(narrow, false)? else { return Ok(None) };
            docs.each_value(column, |_, offset| offsets.extend(offset));
        }
        // Segments of an index are in no order; inside one the documents are.
        offsets.sort_unstable();
        offsets.dedup();
        Ok(Some(offsets))
    }

    fn offsets_exactly(
        &self,
        narrow: &Narrow,
        seen_too: bool,
    ) -> Result<Option<Satisfying>, Error> {
        let Satisfying { mut offsets, mut loose } = Satisfying::default();
        for (segment, column) in &self.segments {
            let lookup = self.lookup(segment, narrow, !seen_too);
            let Some(docs) = lookup.docs(narrow, true)? else { return Ok(None) };
            docs.each_value(column, |_, offset| offsets.extend(offset));
            let mut marked = lookup.marked(seen_too)?;
            marked.intersect(&docs);
            marked.each_value(column, |_, offset| loose.extend(offset));
        }
        offsets.sort_unstable();
        offsets.dedup();
        loose.sort_unstable();
        Ok(Some(Satisfying { offsets, loose }))
    }
}
