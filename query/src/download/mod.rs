//! Downloads: one session as a file.
//!
//! | format | what is in it | module |
//! |---|---|---|
//! | text | what happened, a line or more an event, without escape sequences | `text`, `tell` |
//! | NDJSON | each line as it was sent, with its `offset` | here |
//! | CSV | each tabular result as a file of its own (RFC 4180); several as a ZIP | `tables` |
//! | asciicast v2, v3 | the terminal; where there is none, the commands and what came back | `cast` |
//! | Parquet | the [columns](crate::columnar::schema) of an export | here |
//!
//! **The same session gives the same bytes.** Events come in the order of `seq`, wherever they are stored, and nothing
//! but they and what follows from them is written: so a download that broke off is gone on with at any byte, on any
//! node that has the session. [`Download::fingerprint`] tells one length of a session from another.
//!
//! Memory does not depend on how long a session is.

mod cast;
mod grid;
mod plain;
mod tables;
mod tell;
mod text;

pub use tell::Passage;

use crate::columnar::parquet;
use crate::error::QueryError;
use crate::excerpt::{self, Excerpt};
use crate::timeline::render;
use crate::timeline::runs::{Entry, Runs};
use daybook_engine::block::Record;
use daybook_engine::event::{Kind, Offset};
use daybook_engine::view::{Session, Snapshot};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;

/// The format of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Plain text.
    Text,
    /// A JSON object a line.
    Ndjson,
    /// The result tables, as RFC 4180 has them.
    Csv,
    /// asciicast v2.
    Cast,
    /// asciicast v3.
    Cast3,
    /// Apache Parquet.
    Parquet,
}

/// What kind of file a download is: its ending and its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// The ending of its name.
    pub ending: &'static str,
    /// Its media type.
    pub media_type: &'static str,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 6] =
        [Format::Text, Format::Ndjson, Format::Csv, Format::Cast, Format::Cast3, Format::Parquet];

    /// Its name in requests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Text => "txt",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Cast => "cast",
            Format::Cast3 => "cast3",
            Format::Parquet => "parquet",
        }
    }
}

/// How many events are read in one go,
const READ_MAX: usize = 256;
/// as long as they are together not longer than this, in bytes.
const READ_BYTES_MAX: usize = 4 << 20;

/// A session, or an excerpt of it, as it was at one moment.
pub struct Download<'a> {
    snapshot: &'a Snapshot,
    session: Session,
    runs: Runs<'a>,
    excerpt: Excerpt,
}

impl<'a> Download<'a> {
    /// The session of an id; `None` if there is none.
    ///
    /// # Errors
    /// The log's.
    pub fn open(
        snapshot: &'a Snapshot,
        id: &str,
        excerpt: Excerpt,
    ) -> Result<Option<Download<'a>>, QueryError> {
        let Some(session) = snapshot.sessions.get(id)? else { return Ok(None) };
        let runs = Runs::shown(snapshot, session.key, &excerpt)?;
        Ok(Some(Download { snapshot, session, runs, excerpt }))
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What of it is shown.
    #[must_use]
    pub fn excerpt(&self) -> &Excerpt {
        &self.excerpt
    }

    /// What it is made of.
    #[must_use]
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.runs.len()
    }

    /// Is anything shown on a terminal?
    #[must_use]
    pub fn has_terminal(&self) -> bool {
        let mut found = false;
        self.runs.each_facts(|facts| found |= facts.kind == Kind::TerminalOutput);
        found
    }

    /// Differs if the events differ: their numbers and their places in the log are all that it is made of, for what
    /// stands at a place never changes.
    ///
    /// # Errors
    /// Facts that can't be read.
    pub fn fingerprint(&self) -> Result<[u8; 16], QueryError> {
        // In no order, which is quick: a sum of hashes.
        let mut sum = 0u128;
        let mut count = 0u64;
        self.runs.each_facts(|facts| {
            let mut hash = Sha256::new();
            hash.update(facts.offset.0.to_le_bytes());
            hash.update(facts.seq.0.to_le_bytes());
            sum = sum.wrapping_add(first_bytes(hash));
            count += 1;
        });
        self.runs.check()?;
        let mut hash = Sha256::new();
        hash.update(self.session.id.as_bytes());
        hash.update([0]);
        hash.update(format!("{} {}", self.excerpt.part, self.excerpt.hides_outputs));
        hash.update(count.to_le_bytes());
        hash.update(sum.to_le_bytes());
        Ok(first_bytes(hash).to_le_bytes())
    }

    /// The kind of file that a format gives; `None` for CSV of a session without results in tables.
    ///
    /// # Errors
    /// What can't be read.
    pub fn kind(&self, format: Format) -> Result<Option<FileKind>, QueryError> {
        let kind = |ending, media_type| FileKind { ending, media_type };
        Ok(Some(match format {
            Format::Text => kind("txt", "text/plain; charset=utf-8"),
            Format::Ndjson => kind("ndjson", "application/x-ndjson"),
            Format::Cast | Format::Cast3 => kind("cast", "application/x-asciicast"),
            Format::Parquet => kind("parquet", "application/vnd.apache.parquet"),
            Format::Csv => match tables::count(self)? {
                0 => return Ok(None),
                1 => kind("csv", "text/csv"),
                _ => kind("zip", "application/zip"),
            },
        }))
    }

    /// Writes it in a format.
    ///
    /// # Errors
    /// An output that can't be written; what can't be read.
    pub fn write(&self, format: Format, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
        match format {
            Format::Text => text::write(self, out),
            Format::Csv => tables::write(self, out),
            Format::Cast => cast::write(self, cast::Version::V2, out),
            Format::Cast3 => cast::write(self, cast::Version::V3, out),
            Format::Ndjson => self.each(&mut |record| {
                let mut line = render::event(&record)?;
                line.push('\n');
                Ok(out.write_all(line.as_bytes()).map_err(crate::columnar::Error::from)?)
            }),
            Format::Parquet => {
                let options = parquet::Options { event_data: true, ..parquet::Options::default() };
                let mut writer = parquet::Writer::new(out, options)?;
                self.each(&mut |record| {
                    Ok(writer.push(&record, &self.session.id, &self.session.state)?)
                })?;
                writer.finish()?;
                Ok(())
            }
        }
    }

    /// Calls `visit` with each event, in the order of `seq`.
    ///
    /// # Errors
    /// What can't be read, or what `visit` answers.
    pub fn each(
        &self,
        visit: &mut dyn FnMut(Record<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        self.each_of(self.runs.forwards(0), visit)
    }

    /// Calls `visit` with what happened, in words and in order; nothing of it drives a terminal.
    ///
    /// # Errors
    /// What can't be read, or what `visit` answers.
    pub fn tell(
        &self,
        visit: &mut dyn FnMut(Passage<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        tell::tell(self, visit)
    }

    /// The places of the events that are shown just as they are stored: those that can be proved.
    ///
    /// # Errors
    /// What can't be read.
    pub fn as_stored(&self) -> Result<HashSet<Offset>, QueryError> {
        let mut places = HashSet::new();
        let mut asked = Vec::new();
        for entry in self.runs.forwards(0) {
            let may_hide = matches!(entry.facts.kind, Kind::Command | Kind::CommandEnd);
            if self.excerpt.hides_outputs && may_hide {
                asked.push(entry);
            } else {
                places.insert(entry.facts.offset);
            }
        }
        self.runs.read(&asked, |_, record| {
            if excerpt::redacted(&record)?.is_none() {
                places.insert(record.offset);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.runs.check()?;
        Ok(places)
    }

    /// Calls `visit` with some events, in their order.
    fn each_of(
        &self,
        entries: impl Iterator<Item = Entry>,
        visit: &mut dyn FnMut(Record<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let mut entries = entries.peekable();
        let mut count = READ_MAX;
        while entries.peek().is_some() {
            let some: Vec<Entry> = entries.by_ref().take(count).collect();
            // Where events are long, fewer are tried the next time.
            let parts = self.read(&some, visit)?;
            count = if parts > 1 { (count / 2).max(1) } else { (count * 2).min(READ_MAX) };
        }
        self.runs.check()
    }

    /// Reads some events together, or in halves where that is too much; answers in how many parts it took.
    fn read(
        &self,
        some: &[Entry],
        visit: &mut dyn FnMut(Record<'_>) -> Result<(), QueryError>,
    ) -> Result<usize, QueryError> {
        let mut held: Vec<Option<Held>> = Vec::new();
        held.resize_with(some.len(), || None);
        let mut bytes = 0;
        self.runs.read(some, |place, record| {
            bytes += record.json.len();
            if bytes > READ_BYTES_MAX && some.len() > 1 {
                return Ok(ControlFlow::Break(()));
            }
            let hidden = match self.excerpt.hides_outputs {
                true => excerpt::redacted(&record)?,
                false => None,
            };
            if let Some(held) = held.get_mut(place) {
                *held = Some(Held::of(&record, hidden));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if bytes > READ_BYTES_MAX && some.len() > 1 {
            drop(held);
            let (first, second) = some.split_at(some.len() / 2);
            return Ok(self.read(first, visit)? + self.read(second, visit)?);
        }
        for held in held.iter().flatten() {
            visit(held.record())?;
        }
        Ok(1)
    }
}

fn first_bytes(hash: Sha256) -> u128 {
    let digest = hash.finalize();
    digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// A record with its own bytes.
struct Held {
    record: Record<'static>,
    producer: Box<str>,
    json: Box<[u8]>,
}

impl Held {
    fn of(record: &Record<'_>, hidden: Option<Vec<u8>>) -> Held {
        let json = hidden.unwrap_or_else(|| record.json.to_vec()).into();
        let Record { offset, previous, seq, time, kind, verdict, received, retry, .. } = *record;
        let bare = Record {
            offset,
            previous,
            seq,
            time,
            kind,
            verdict,
            received,
            retry,
            producer: "",
            json: &[],
        };
        Held { record: bare, producer: record.producer.into(), json }
    }

    fn record(&self) -> Record<'_> {
        Record { producer: &self.producer, json: &self.json, ..self.record }
    }
}

/// How many tables are in a text; for fuzzing, and no part of the interface.
#[doc(hidden)]
#[must_use]
pub fn count_tables(text: &str) -> usize {
    let ignore = &mut |_: usize, _: &[String]| Ok::<(), std::convert::Infallible>(());
    let mut grid = grid::Grid::default();
    let Ok(()) = grid.push(text, ignore);
    let Ok(whole) = grid.end(ignore);
    whole.len()
}

#[cfg(test)]
mod tests;
