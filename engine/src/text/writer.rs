//! Adding events to the text index.

use super::TextReader;
use super::docs::guarded;
use super::numbers;
use super::schema::{self, SEEN_TERM, TextSchema, UNKNOWN_TERM, kind_term, verdict_term};
use super::words::{dotted, fold, words};
use crate::disk::{DiskDirectory, SharedDisk};
use crate::error::Error;
use crate::event::number::{EventNumber, Numbers};
use crate::event::text::{TextField, Texts};
use crate::event::{Kind, Offset, Verdict};
use crate::screen::{Glimpse, Seen};
use std::collections::HashSet;
use std::path::Path;
use tantivy::indexer::{IndexWriterOptions, NoMergePolicy, UserOperation};
use tantivy::schema::Field;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};
use tantivy::{Index, IndexWriter};

/// What goes to the indexing thread at once: it waits on a channel for each.
const BATCH_EVENTS: usize = 128;

/// How many texts a document has at most, and which of its values are the first of them and of its numbers.
const TEXTS: usize = 3;
const FIRST_TEXT: usize = FIRST_NUMBER + EventNumber::ALL.len();
const FIRST_NUMBER: usize = 4;

/// tantivy takes no less memory than this for its indexing thread, in bytes.
const HEAP_BYTES_MIN: usize = 16 << 20;

/// Writes a journal's text index. Each event of the journal is added once, in order.
pub struct TextWriter {
    index: Index,
    writer: IndexWriter<EventDoc>,
    fields: TextSchema,
    batch: Vec<UserOperation<EventDoc>>,
    reader: TextReader,
}

impl TextWriter {
    /// Opens the index in `dir` or makes it. `heap_bytes` is what the postings of one tantivy segment
    /// may take in memory. Indexing resumes at the reader's [`TextReader::indexed_through`].
    ///
    /// # Errors
    /// A directory that can't be written, or an index that is damaged or in use.
    pub fn open(
        disk: &SharedDisk,
        dir: &Path,
        heap_bytes: usize,
    ) -> Result<(TextWriter, TextReader), Error> {
        disk.create_dir(dir).map_err(Error::io("create", dir))?;
        let directory = DiskDirectory::new(disk, dir);
        let index = if disk.exists(&dir.join("meta.json"))? {
            guarded(Error::text, || {
                let index = schema::open(&directory)?;
                let damaged = index.validate_checksum().map_err(Error::text)?;
                match damaged.iter().next() {
                    None => Ok(index),
                    Some(file) => Err(Error::text(format!(
                        "{} is damaged; remove {} to have it built again",
                        file.display(),
                        dir.display()
                    ))),
                }
            })?
        } else {
            schema::create(&directory)?
        };
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(heap_bytes.max(HEAP_BYTES_MIN))
            .build();
        let writer = index.writer_with_options(options).map_err(Error::text)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        // What a run that failed has left: on a full disk it would pile up.
        writer.garbage_collect_files().wait().map_err(Error::text)?;
        let reader = TextReader::of(&index, &directory)?;
        let (_, fields) = TextSchema::build();
        let batch = Vec::with_capacity(BATCH_EVENTS);
        Ok((TextWriter { index, writer, fields, batch, reader: reader.clone() }, reader))
    }

    /// Adds an event, with what was seen with it. An event without texts is added too: it can be found by its
    /// kind and its numbers.
    ///
    /// # Errors
    /// The indexing thread died, from an error on the disk.
    pub fn add(
        &mut self,
        offset: Offset,
        kind: Kind,
        verdict: Option<Verdict>,
        numbers: Numbers,
        texts: &Texts<'_>,
        glimpse: &Glimpse,
    ) -> Result<(), Error> {
        let mut text = String::with_capacity(texts.iter().map(|(_, text)| text.len()).sum());
        let mut ends = [None; TEXTS];
        for (end, (field, one)) in ends.iter_mut().zip(texts.iter()) {
            text.push_str(one);
            *end = Some((self.fields.text(field), text.len()));
        }
        // Events of terminals have one text of their own.
        if let Glimpse::Seen(seen) = glimpse
            && !seen.is_empty()
            && let [Some(_), seen_end @ None, again_end] = &mut ends
        {
            let field = if seen.typed.is_some() { TextField::Typed } else { TextField::Screen };
            let again = push_seen(seen, &mut text);
            *seen_end = Some((self.fields.text(field), text.len()));
            text.push_str(&again);
            *again_end = Some((self.fields.again(), text.len()));
        }
        let doc = EventDoc {
            fields: self.fields,
            offset: offset.0,
            kind: kind_term(kind),
            verdict: verdict.map(verdict_term),
            numbers: numbers::terms(numbers),
            text,
            ends,
            mark: match glimpse {
                Glimpse::Unknown => Some(UNKNOWN_TERM),
                Glimpse::Seen(seen) => (!seen.is_empty()).then_some(SEEN_TERM),
            },
        };
        self.batch.push(UserOperation::Add(doc));
        if self.batch.len() >= BATCH_EVENTS { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Error> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_EVENTS));
        self.writer.run(batch).map_err(Error::text)?;
        Ok(())
    }

    /// Makes what was added durable and visible: every event below `through` is now indexed.
    ///
    /// # Errors
    /// The disk's. The index then is as after the last commit once it is opened again.
    pub fn commit(&mut self, through: Offset) -> Result<(), Error> {
        self.send()?;
        let mut commit = self.writer.prepare_commit().map_err(Error::text)?;
        commit.set_payload(&through.to_string());
        commit.commit().map_err(Error::text)?;
        self.reader.reload(&self.index)
    }
}

/// Adds what was seen to the text; answers what of it was seen again.
fn push_seen(seen: &Seen, text: &mut String) -> String {
    let mut again = String::new();
    let mut before = None;
    for line in seen.lines.iter().chain(&seen.typed) {
        if line.joined {
            let before = before.get_or_insert_with(|| {
                let texts = seen.before.iter().map(|text| fold(text));
                let of = |text: String| {
                    let words = words(&text).filter_map(|word| text.get(word));
                    words.map(str::to_owned).collect::<Vec<String>>()
                };
                texts.flat_map(of).collect::<HashSet<String>>()
            });
            for word in words(&line.text).filter_map(|word| line.text.get(word)) {
                let known = before.contains(&fold(word));
                let out = if known { &mut again } else { &mut *text };
                out.push_str(word);
                out.push('\n');
            }
            for number in dotted(&line.text).filter_map(|number| line.text.get(number)) {
                again.push_str(number);
                again.push('\n');
            }
        } else {
            text.push_str(&line.text);
            text.push('\n');
        }
    }
    again
}

/// An event on its way to the indexing thread; its texts are in one buffer, each with its end.
#[derive(Clone, Debug)]
struct EventDoc {
    fields: TextSchema,
    offset: u64,
    kind: [u8; 2],
    verdict: Option<[u8; 2]>,
    numbers: [Option<[u8; 3]>; EventNumber::ALL.len()],
    text: String,
    ends: [Option<(Field, usize)>; TEXTS],
    /// Its words are not all known, or not all its own.
    mark: Option<[u8; 2]>,
}

impl EventDoc {
    fn facet<'a>(&self, term: &'a [u8]) -> (Field, Leaf<'a>) {
        (self.fields.facet, Leaf::Bytes(term))
    }

    fn value(&self, index: usize) -> Option<(Field, Leaf<'_>)> {
        match index {
            0 => Some((self.fields.offset, Leaf::Number(self.offset))),
            1 => Some(self.facet(&self.kind)),
            2 => self.verdict.as_ref().map(|verdict| self.facet(verdict)),
            3 => self.mark.as_ref().map(|mark| self.facet(mark)),
            FIRST_NUMBER..FIRST_TEXT => {
                let term = self.numbers.get(index - FIRST_NUMBER)?.as_ref();
                term.map(|term| self.facet(term))
            }
            _ => {
                let (field, end) = self.ends.get(index - FIRST_TEXT).copied().flatten()?;
                let before = index.checked_sub(FIRST_TEXT + 1);
                let start = before.and_then(|before| *self.ends.get(before)?);
                let start = start.map_or(0, |(_, end)| end);
                Some((field, Leaf::Text(self.text.get(start..end)?)))
            }
        }
    }
}

impl Document for EventDoc {
    type Value<'a> = Leaf<'a>;
    type FieldsValuesIter<'a> = FieldValues<'a>;

    fn iter_fields_and_values(&self) -> FieldValues<'_> {
        FieldValues { doc: self, next: 0 }
    }
}

struct FieldValues<'a> {
    doc: &'a EventDoc,
    next: usize,
}

impl<'a> Iterator for FieldValues<'a> {
    type Item = (Field, Leaf<'a>);

    fn next(&mut self) -> Option<(Field, Leaf<'a>)> {
        while self.next < FIRST_TEXT + TEXTS {
            let value = self.doc.value(self.next);
            self.next += 1;
            if value.is_some() {
                return value;
            }
        }
        None
    }
}

/// A value of a field.
#[derive(Clone, Copy, Debug)]
enum Leaf<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Number(u64),
}

impl<'a> Value<'a> for Leaf<'a> {
    type ArrayIter = std::iter::Empty<Leaf<'a>>;
    type ObjectIter = std::iter::Empty<(&'a str, Leaf<'a>)>;

    fn as_value(&self) -> ReferenceValue<'a, Leaf<'a>> {
        ReferenceValue::Leaf(match *self {
            Leaf::Text(text) => ReferenceValueLeaf::Str(text),
            Leaf::Bytes(bytes) => ReferenceValueLeaf::Bytes(bytes),
            Leaf::Number(number) => ReferenceValueLeaf::U64(number),
        })
    }
}
