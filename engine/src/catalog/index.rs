//! The catalog's index on disk.
//!
//! | field | holds |
//! |---|---|
//! | `key` | the session's number: a term and a column |
//! | `id`, `user`, `role`, `type`, `subtype`, `agent`, `tag`, `status`, `review`, ... | raw terms, and but for `id` a column |
//! | `started`, `ended`, ... | a column of `i64` for each [`NumberFact`] |
//! | `stored` | the id and the state as JSON |

use super::filter::{NumberFact, SessionFilter, TextFact};
use super::kept::KeptSets;
use super::zones::Zones;
use crate::disk::{DiskDirectory, SharedDisk};
use crate::error::Error;
use crate::event::{Offset, SessionKey};
use crate::session::SessionState;
use crate::text::docs::{Docs, guarded, guarded_in};
use crate::view::{Session, SessionSet};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tantivy::columnar::{Column, StrColumn};
use tantivy::index::{SegmentId, SegmentMeta};
use tantivy::indexer::{IndexWriterOptions, NoMergePolicy};
use tantivy::schema::{FAST, Field, INDEXED, STORED, STRING, Schema, TantivyDocument, Value};
use tantivy::store::{Compressor, StoreReader, ZstdCompressor};
use tantivy::{Index, IndexSettings, IndexWriter, SegmentReader, Term};

/// More segments than this make lists slow.
const SEGMENTS_MAX: usize = 8;

/// So many blocks of states (of 16 KiB, some dozens of sessions) are kept decompressed of each tantivy segment: the hits of
/// many searches are in the same sessions, the newest.
const STORE_BLOCKS: usize = 256;

/// The numbers of the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) key: Field,
    texts: [Field; TextFact::ALL.len()],
    numbers: [Field; NumberFact::ALL.len()],
    stored: Field,
}

/// The name of the column of session numbers.
const KEY: &str = "key";

impl Fields {
    fn build() -> (Schema, Fields) {
        let mut builder = Schema::builder();
        let key = builder.add_u64_field(KEY, INDEXED | FAST);
        let texts = TextFact::ALL.map(|fact| match fact {
            TextFact::Id => builder.add_text_field(fact.name(), STRING),
            _ => builder.add_text_field(fact.name(), STRING | FAST),
        });
        let numbers = NumberFact::ALL.map(|fact| builder.add_i64_field(fact.name(), FAST));
        let stored = builder.add_text_field("stored", STORED);
        (builder.build(), Fields { key, texts, numbers, stored })
    }

    /// The field of a text.
    pub(super) fn text(self, fact: TextFact) -> Field {
        let at = TextFact::ALL.iter().position(|f| *f == fact).unwrap_or(0);
        self.texts.get(at).copied().unwrap_or(self.key)
    }

    fn document(self, session: &Session) -> Result<TantivyDocument, Error> {
        let doc = RefCell::new(TantivyDocument::new());
        doc.borrow_mut().add_u64(self.key, session.key.0);
        for (fact, field) in TextFact::ALL.into_iter().zip(self.texts) {
            fact.any(&session.id, &session.state, |value| {
                doc.borrow_mut().add_text(field, value);
                false
            });
        }
        let mut doc = doc.into_inner();
        for (fact, field) in NumberFact::ALL.into_iter().zip(self.numbers) {
            if let Some(number) = fact.of(&session.state) {
                doc.add_i64(field, number);
            }
        }
        let stored = serde_json::to_string(&(&*session.id, session.key, &*session.state))
            .map_err(Error::catalog)?;
        doc.add_text(self.stored, stored);
        Ok(doc)
    }
}

/// A place in a view of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: usize,
    pub(super) doc: u32,
}

/// A commit of the index, to be read.
pub(super) struct View {
    /// Where its files are; `None` if it has none.
    directory: Option<DiskDirectory>,
    pub(super) segments: Vec<ViewSegment>,
    pub(super) fields: Fields,
    pub(super) through: Offset,
    kept: KeptSets,
}

/// A tantivy segment of a view.
pub(super) struct ViewSegment {
    pub(super) reader: SegmentReader,
    /// The documents that are not deleted, if some are.
    pub(super) alive: Option<Docs>,
    store: StoreReader,
    /// The next commit's view of this segment has them, too.
    pub(super) zones: Arc<Zones>,
}

impl View {
    /// `zones` are those of the segments of the last commit, and then of this one.
    fn open(
        index: &Index,
        directory: &DiskDirectory,
        zones: &mut HashMap<SegmentId, Arc<Zones>>,
    ) -> Result<View, Error> {
        let metas = index.load_metas().map_err(Error::catalog)?;
        let mut segments = Vec::with_capacity(metas.segments.len());
        let mut before = std::mem::take(zones);
        for meta in metas.segments {
            let id = meta.id();
            let reader = SegmentReader::open(&index.segment(meta)).map_err(Error::catalog)?;
            let store = reader.get_store_reader(STORE_BLOCKS).map_err(Error::catalog)?;
            let alive = reader.alive_bitset().map(|alive| {
                let mut docs = Docs::none(reader.max_doc());
                alive.iter_alive().for_each(|doc| docs.insert(doc));
                docs
            });
            let of_segment = before.remove(&id).unwrap_or_default();
            zones.insert(id, Arc::clone(&of_segment));
            segments.push(ViewSegment { reader, alive, store, zones: of_segment });
        }
        let through =
            match metas.payload {
                None => Offset(0),
                Some(payload) => Offset(payload.parse().map_err(|_| {
                    Error::catalog(format!("its payload is no offset: {payload:?}"))
                })?),
            };
        let directory = Some(directory.clone());
        let fields = Fields::build().1;
        Ok(View { directory, segments, fields, through, kept: KeptSets::default() })
    }

    /// Runs a read of this view; files that shrink meanwhile and damage are errors.
    pub(super) fn guarded<T>(&self, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        match &self.directory {
            Some(directory) => guarded_in(directory, Error::catalog, read),
            None => guarded(Error::catalog, read),
        }
    }

    /// Nothing at all, for a directory without an index.
    fn empty() -> View {
        View {
            directory: None,
            segments: Vec::new(),
            fields: Fields::build().1,
            through: Offset(0),
            kept: KeptSets::default(),
        }
    }

    /// The sessions that match, hidden ones among them.
    pub(super) fn keys(&self, filter: &SessionFilter) -> Result<Arc<SessionSet>, Error> {
        if let Some(kept) = self.kept.get(filter) {
            return Ok(kept);
        }
        let mut keys = SessionSet::default();
        for segment in &self.segments {
            let none = Docs::none(segment.reader.max_doc());
            let docs = segment.matching(self.fields, filter, &none)?;
            docs.each_value(&segment.keys()?, |_, key| keys.extend(key.map(SessionKey)));
        }
        let keys = Arc::new(keys);
        self.kept.put(filter, &keys);
        Ok(keys)
    }

    /// Where a session is, by its number.
    pub(super) fn place_of(&self, key: SessionKey) -> Result<Option<Place>, Error> {
        self.find(&Term::from_field_u64(self.fields.key, key.0))
    }

    /// Where a session is, by its id.
    pub(super) fn place_of_id(&self, id: &str) -> Result<Option<Place>, Error> {
        self.find(&Term::from_field_text(self.fields.text(TextFact::Id), id))
    }

    fn find(&self, term: &Term) -> Result<Option<Place>, Error> {
        for (at, segment) in self.segments.iter().enumerate() {
            let doc = segment.find(term).map_err(Error::catalog)?;
            if let Some(doc) = doc {
                return Ok(Some(Place { segment: at, doc }));
            }
        }
        Ok(None)
    }

    /// Where sessions are, of those that are here, in the order of their places.
    pub(super) fn places(&self, keys: &SessionSet) -> Result<Vec<Place>, Error> {
        // Looking one up in each segment costs as much as going past some hundred in a column.
        const LOOK_UP: u64 = 256;
        if keys.len() as u64 * LOOK_UP < self.len() {
            return self.places_by_terms(keys);
        }
        self.places_by_columns(keys)
    }

    pub(super) fn places_by_terms(&self, keys: &SessionSet) -> Result<Vec<Place>, Error> {
        let mut places = Vec::with_capacity(keys.len());
        for key in keys.iter() {
            places.extend(self.place_of(key)?);
        }
        places.sort_unstable();
        Ok(places)
    }

    pub(super) fn places_by_columns(&self, keys: &SessionSet) -> Result<Vec<Place>, Error> {
        let mut places = Vec::with_capacity(keys.len());
        for (at, segment) in self.segments.iter().enumerate() {
            let alive = segment.alive.clone();
            let alive = alive.unwrap_or_else(|| Docs::all(segment.reader.max_doc()));
            alive.each_value(&segment.keys()?, |doc, key| {
                if key.is_some_and(|key| keys.contains(SessionKey(key))) {
                    places.push(Place { segment: at, doc });
                }
            });
        }
        Ok(places)
    }

    /// The session at a place.
    pub(super) fn load(&self, place: Place) -> Result<Session, Error> {
        let damaged = || Error::catalog("a session can't be read; remove the catalog's directory");
        let segment = self.segments.get(place.segment).ok_or_else(damaged)?;
        let doc: TantivyDocument = segment.store.get(place.doc).map_err(Error::catalog)?;
        let stored = doc.get_first(self.fields.stored);
        let json = stored.as_ref().and_then(|value| value.as_str()).ok_or_else(damaged)?;
        let (id, key, state): (String, SessionKey, SessionState) =
            serde_json::from_str(json).map_err(Error::catalog)?;
        Ok(Session { id: id.into(), key, state: Arc::new(state) })
    }

    /// The number of the session at a place, without reading its state.
    pub(super) fn number(&self, place: Place) -> Result<Option<SessionKey>, Error> {
        let Some(segment) = self.segments.get(place.segment) else { return Ok(None) };
        Ok(segment.keys()?.first(place.doc).map(SessionKey))
    }

    /// How many sessions are in it.
    pub(super) fn len(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.reader.num_docs())).sum()
    }
}

impl ViewSegment {
    /// The column of sessions' numbers.
    pub(super) fn keys(&self) -> Result<Column<u64>, Error> {
        self.reader.fast_fields().u64(KEY).map_err(Error::catalog)
    }

    /// The column of a number; one that no session here has is empty.
    pub(super) fn numbers(&self, fact: NumberFact) -> Result<Column<i64>, Error> {
        let column = self.reader.fast_fields().column_opt(fact.name()).map_err(Error::catalog)?;
        Ok(column.unwrap_or_else(|| Column::build_empty_column(self.reader.max_doc())))
    }

    /// The column of a text, if a session here has it.
    pub(super) fn texts(&self, fact: TextFact) -> Result<Option<StrColumn>, Error> {
        self.reader.fast_fields().str(fact.name()).map_err(Error::catalog)
    }

    fn find(&self, term: &Term) -> tantivy::Result<Option<u32>> {
        let index = self.reader.inverted_index(term.field())?;
        let Some(info) = index.get_term_info(term)? else { return Ok(None) };
        let option = tantivy::schema::IndexRecordOption::Basic;
        let mut postings = index.read_block_postings_from_terminfo(&info, option)?;
        while !postings.docs().is_empty() {
            if let Some(&doc) = postings.docs().iter().find(|&&doc| !self.reader.is_deleted(doc)) {
                return Ok(Some(doc));
            }
            postings.advance();
        }
        Ok(None)
    }
}

/// The index's writer; it alone merges, at commits, so that a view never loses its files.
pub(super) struct Writer {
    index: Index,
    directory: DiskDirectory,
    /// Made for the first commit, and again after one that failed: it takes threads and memory.
    writer: Option<IndexWriter>,
    fields: Fields,
    /// Of the last commit's segments.
    zones: HashMap<SegmentId, Arc<Zones>>,
}

/// Opens the index in `dir`, or makes it. Without a writer nothing is changed.
pub(super) fn open(
    disk: &SharedDisk,
    dir: &Path,
    read_only: bool,
) -> Result<(Option<Writer>, View), Error> {
    let there = disk.exists(&dir.join("meta.json"))?;
    if read_only && !there {
        return Ok((None, View::empty()));
    }
    guarded(Error::catalog, || {
        let directory = DiskDirectory::new(disk, dir);
        let index = if there {
            Index::open(directory.clone()).map_err(Error::catalog)?
        } else {
            create(disk, dir, &directory)?
        };
        let (schema, fields) = Fields::build();
        if index.schema() != schema {
            return Err(Error::catalog(format!(
                "{} was written by another version; remove it to have it built again",
                dir.display()
            )));
        }
        if read_only {
            return Ok((None, View::open(&index, &directory, &mut HashMap::new())?));
        }
        let mut zones = HashMap::new();
        let view = View::open(&index, &directory, &mut zones)?;
        Ok((Some(Writer { index, directory, writer: None, fields, zones }), view))
    })
}

fn create(disk: &SharedDisk, dir: &Path, directory: &DiskDirectory) -> Result<Index, Error> {
    disk.create_dir(dir).map_err(Error::io("create", dir))?;
    let settings = IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(3) }),
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    Index::create(directory.clone(), Fields::build().0, settings).map_err(Error::catalog)
}

impl Writer {
    /// Replaces and removes sessions and commits; `replace` says for each whether it may be in the
    /// index.
    pub(super) fn commit(
        &mut self,
        sessions: &[(Session, bool)],
        removed: &[SessionKey],
        through: Offset,
    ) -> Result<View, Error> {
        let written = self.write(sessions, removed, through);
        let merged = written.and_then(|()| self.merge());
        if merged.is_err() {
            // What was added must not slip into the next commit; and a writer whose threads have met
            // an error does nothing any more.
            self.stop();
        }
        merged?;
        if self.directory.faulted() {
            // What was merged may be zeroes.
            let what = format!("a file in {:?} shrank while it was merged", self.directory);
            return Err(Error::catalog(what));
        }
        View::open(&self.index, &self.directory, &mut self.zones)
    }

    /// Lets go of the files: until the next commit, nothing is written or deleted.
    pub(super) fn stop(&mut self) {
        self.writer = None;
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, Error> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let options = IndexWriterOptions::builder()
                    .num_worker_threads(1)
                    .num_merge_threads(1)
                    .memory_budget_per_thread(64 << 20)
                    .build();
                let writer = self.index.writer_with_options(options).map_err(Error::catalog)?;
                writer.set_merge_policy(Box::new(NoMergePolicy));
                writer
            }
        };
        Ok(self.writer.insert(writer))
    }

    fn write(
        &mut self,
        sessions: &[(Session, bool)],
        removed: &[SessionKey],
        through: Offset,
    ) -> Result<(), Error> {
        let fields = self.fields;
        let writer = self.writer()?;
        for key in removed {
            writer.delete_term(Term::from_field_u64(fields.key, key.0));
        }
        for (session, replace) in sessions {
            if *replace {
                let key = Term::from_field_u64(fields.key, session.key.0);
                writer.delete_term(key);
            }
            let doc = fields.document(session)?;
            writer.add_document(doc).map_err(Error::catalog)?;
        }
        let mut commit = writer.prepare_commit().map_err(Error::catalog)?;
        commit.set_payload(&through.to_string());
        commit.commit().map_err(Error::catalog)?;
        Ok(())
    }

    fn merge(&mut self) -> Result<(), Error> {
        let segments = self.index.searchable_segment_metas().map_err(Error::catalog)?;
        let ids = worth_merging(segments);
        if !ids.is_empty() {
            self.writer()?.merge(&ids).wait().map_err(Error::catalog)?;
        }
        Ok(())
    }
}

/// Which segments to merge into one: small ones as soon as there are four of a like size, so that
/// each session is rewritten a logarithm of times, and one in which much is deleted.
fn worth_merging(mut segments: Vec<SegmentMeta>) -> Vec<SegmentId> {
    segments.sort_by_key(SegmentMeta::num_docs);
    let (mut sum, mut count) = (0u64, 0);
    for (at, segment) in segments.iter().enumerate() {
        let docs = u64::from(segment.num_docs());
        if at > 0 && docs > sum * 2 && segments.len() <= SEGMENTS_MAX {
            break;
        }
        sum += docs;
        count = at + 1;
    }
    if count < 4 {
        count = 0;
    }
    let holey = |segment: &SegmentMeta| segment.num_deleted_docs() * 3 > segment.max_doc();
    let (small, large) = segments.split_at(count);
    small.iter().chain(large.iter().filter(|s| holey(s))).map(SegmentMeta::id).collect()
}
