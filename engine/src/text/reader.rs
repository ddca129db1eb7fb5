//! Asking the text index.

use super::docs::{Docs, guarded, guarded_in};
use super::lookup::{Lookup, is_dear};
use super::narrow::Narrow;
use super::narrowed::Narrowed;
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
    /// Those among them, ascending, whose words the index does not know or has from more than the event, or whose
    /// numbers it knows too roughly: they only may satisfy it.
    pub loose: Vec<u64>,
}

/// A commit.
struct View {
    directory: DiskDirectory,
    segments: Vec<(SegmentReader, Offsets)>,
    fields: TextSchema,
    events: u64,
    through: Offset,
    /// The words of the only segment of a finished index, read by the first who asks.
    words: OnceLock<Option<WordList>>,
}

/// The offsets of a segment's documents.
struct Offsets {
    column: Column<u64>,
    documents: u32,
    /// The first, where the others follow one after the other, as those of a log of which nothing was erased: then
    /// the column need not be read. The first who asks looks; `None` inside where it is not so.
    in_a_row: OnceLock<Option<u64>>,
}

impl Offsets {
    fn of(segment: &SegmentReader, finished: bool) -> Result<Offsets, Error> {
        let column = segment.fast_fields().u64(OFFSET).map_err(Error::text)?;
        let in_a_row = OnceLock::new();
        if !finished {
            // It is asked too seldom until the next commit.
            let _ = in_a_row.set(None);
        }
        Ok(Offsets { column, documents: segment.max_doc(), in_a_row })
    }

    fn in_a_row(&self) -> Option<u64> {
        *self.in_a_row.get_or_init(|| self.find_in_a_row())
    }

    fn find_in_a_row(&self) -> Option<u64> {
        let first = self.column.min_value();
        let last = first.checked_add(u64::from(self.documents))?.checked_sub(1)?;
        if self.column.max_value() != last {
            return None;
        }
        let mut are = true;
        Docs::all(self.documents).each_value(&self.column, |doc, offset| {
            are &= offset == Some(first + u64::from(doc));
        });
        are.then_some(first)
    }

    /// Adds those of some documents.
    fn append(&self, docs: &Docs, offsets: &mut Vec<u64>) {
        match self.in_a_row() {
            Some(first) => docs.blocks(|block| {
                offsets.extend(block.iter().map(|doc| first + u64::from(*doc)));
            }),
            None => docs.each_value(&self.column, |_, offset| offsets.extend(offset)),
        }
    }
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
        guarded(Error::text, || TextReader::new(&schema::open(&directory)?, &directory, true))
    }

    /// Of an index that is being written.
    pub(super) fn of(index: &Index, directory: &DiskDirectory) -> Result<TextReader, Error> {
        TextReader::new(index, directory, false)
    }

    fn new(index: &Index, directory: &DiskDirectory, finished: bool) -> Result<TextReader, Error> {
        let view = View::open(index, directory, finished)?;
        Ok(TextReader { view: Arc::new(RwLock::new(Arc::new(view))) })
    }

    /// Turns to the latest commit.
    pub(super) fn reload(&self, index: &Index) -> Result<(), Error> {
        let directory = self.view.read().directory.clone();
        let view = Arc::new(View::open(index, &directory, false)?);
        *self.view.write() = view;
        Ok(())
    }

    /// Every event with an offset below this, from the index's first on, is indexed.
    #[must_use]
    pub fn indexed_through(&self) -> Offset {
        self.view.read().through
    }

    /// The events that may satisfy `narrow`, or `None` when the index can't help: all of them may, or too many to be
    /// worth a look at each.
    ///
    /// # Errors
    /// A damaged index.
    pub fn narrow(&self, narrow: &Narrow) -> Result<Option<Narrowed>, Error> {
        let view = Arc::clone(&self.view.read());
        let narrowed = guarded_in(&view.directory, Error::text, || view.narrow(narrow))?;
        Ok(narrowed.filter(|found| found.count() * 100 <= view.events * HELPFUL_PERCENT_MAX))
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

    /// How many events of a finished index, which has each once, satisfy `narrow` for sure, and the offsets of others
    /// that only may, ascending; see [`TextReader::offsets_exactly`].
    ///
    /// # Errors
    /// A damaged index.
    pub fn count_exactly(
        &self,
        narrow: &Narrow,
        seen_too: bool,
    ) -> Result<Option<(u64, Vec<u64>)>, Error> {
        let view = Arc::clone(&self.view.read());
        guarded_in(&view.directory, Error::text, || view.count_exactly(narrow, seen_too))
    }

    /// As [`TextReader::narrow`], whatever share of the events it is: their offsets, ascending.
    #[cfg(test)]
    pub(super) fn all_offsets(&self, narrow: &Narrow) -> Result<Option<Vec<u64>>, Error> {
        let view = Arc::clone(&self.view.read());
        Ok(view.narrow(narrow)?.map(Narrowed::all))
    }

    /// How many tantivy segments there are.
    #[cfg(test)]
    pub(super) fn segments(&self) -> usize {
        self.view.read().segments.len()
    }
}

impl View {
    fn open(index: &Index, directory: &DiskDirectory, finished: bool) -> Result<View, Error> {
        let metas = index.load_metas().map_err(Error::text)?;
        let mut segments = Vec::with_capacity(metas.segments.len());
        for meta in metas.segments {
            let segment = SegmentReader::open(&index.segment(meta)).map_err(Error::text)?;
            let offsets = Offsets::of(&segment, finished)?;
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

    fn narrow(&self, narrow: &Narrow) -> Result<Option<Narrowed>, Error> {
        if let [(segment, places)] = self.segments.as_slice()
            && let Some(first) = places.in_a_row()
        {
            let docs = self.lookup(segment, narrow, true).docs(narrow, false)?;
            return Ok(docs.map(|docs| Narrowed::in_a_row(first, docs)));
        }
        let mut offsets = Vec::new();
        for (segment, places) in &self.segments {
            let lookup = self.lookup(segment, narrow, true);
            let Some(docs) = lookup.docs(narrow, false)? else { return Ok(None) };
            places.append(&docs, &mut offsets);
        }
        // Segments of an index are in no order, nor are the documents of one that was made again.
        offsets.sort_unstable();
        offsets.dedup();
        Ok(Some(offsets.into()))
    }

    fn offsets_exactly(
        &self,
        narrow: &Narrow,
        seen_too: bool,
    ) -> Result<Option<Satisfying>, Error> {
        let Satisfying { mut offsets, mut loose } = Satisfying::default();
        for (segment, places) in &self.segments {
            let lookup = self.lookup(segment, narrow, !seen_too);
            let Some(docs) = lookup.docs(narrow, true)? else { return Ok(None) };
            places.append(&docs, &mut offsets);
            let mut marked = lookup.marked(narrow, seen_too)?;
            marked.intersect(&docs);
            places.append(&marked, &mut loose);
        }
        offsets.sort_unstable();
        offsets.dedup();
        loose.sort_unstable();
        Ok(Some(Satisfying { offsets, loose }))
    }

    fn count_exactly(
        &self,
        narrow: &Narrow,
        seen_too: bool,
    ) -> Result<Option<(u64, Vec<u64>)>, Error> {
        let (mut sure, mut loose) = (0, Vec::new());
        for (segment, places) in &self.segments {
            let lookup = self.lookup(segment, narrow, !seen_too);
            let Some(docs) = lookup.docs(narrow, true)? else { return Ok(None) };
            let mut marked = lookup.marked(narrow, seen_too)?;
            marked.intersect(&docs);
            sure += docs.len() - marked.len();
            places.append(&marked, &mut loose);
        }
        loose.sort_unstable();
        Ok(Some((sure, loose)))
    }
}
