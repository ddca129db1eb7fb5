//! Events to files: one after the other, or one for each class of OCSF, in bounded memory.
//!
//! Files are written beside the table, on the engine's disk; they are put into it when all of a unit are whole. A
//! file's name begins with the time of its first row, in microseconds, so that names sort by time:
//!
//! ```text
//! 00001772357402000000-00000000000000001024-00000000000000002048-5f0c7b1e-0-0-9f86d081.parquet
//!   first row's time      offsets from            to               node   │ │ └ begin of its SHA-256
//!                                                                         │ └ number in its unit
//!                                                                         └ how often it was rewritten
//! ```
//!
//! The hash is there so that an attempt can't change what another one wrote: the first one's commit may arrive after the
//! second one's files.

use super::{Columns, Error, Spec, by_time};
use crate::columnar::outputs::Outputs;
use crate::columnar::parquet::{Options, properties};
use crate::columnar::rows::Rows;
use crate::ocsf::{self, Batches, Class};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use daybook_engine::block::Record;
use daybook_engine::disk::{FileWriter, Open, SharedDisk};
use daybook_engine::event::Micros;
use daybook_engine::screen::{Chars, Lookback, Seen};
use daybook_engine::view::{Session, Snapshot};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Row groups that are not written yet have at most this many bytes together.
const UNWRITTEN_BYTES: usize = 96 << 20;
const DAY: i64 = 86_400_000_000;
/// So many digits of its hash are in a file's name.
const HASH_DIGITS: usize = 8;

/// A file that is whole.
#[derive(Debug)]
pub(super) struct Made {
    /// The class of its rows.
    pub class: Option<Class>,
    /// Where it belongs in its table.
    pub path: String,
    /// Where it is.
    pub file: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many rows it has.
    pub rows: u64,
    /// The earliest and the latest time of its rows, in microseconds since 1970.
    pub times: (i64, i64),
    /// What is in its path.
    pub partition: Vec<(&'static str, String)>,
}

/// What files are made of, and where.
pub(super) struct Job<'a> {
    pub spec: &'a Spec,
    pub disk: &'a SharedDisk,
    /// The directory for files that are not whole yet.
    pub scratch: &'a Path,
    /// The node's name, for the names of files.
    pub node: &'a str,
    /// How often these offsets were rewritten.
    pub generation: u32,
    /// Only rows of this table.
    pub only: Option<Option<Class>>,
}

/// What became of a stretch.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// The files.
    pub files: Vec<Made>,
    /// How many events the log has of these offsets.
    pub events: u64,
    /// Events of sessions that have not said who they are, which the feed therefore leaves out.
    pub unknown: u64,
}

/// Is it the path of a file of a node's?
pub(super) fn is_of(path: &str, node: &str) -> bool {
    super::mirror::Name::of(path).is_some_and(|name| name.node == node)
}

/// Makes the files of a stretch of the log. What fails leaves files in the scratch directory.
///
/// # Errors
/// The log's, or the disk's.
pub(super) fn make(
    job: &Job<'_>,
    snapshot: &Snapshot,
    offsets: Range<u64>,
) -> Result<Stretch, Error> {
    let mut sheets = Sheets::new(job, offsets.clone());
    let mut unknown = 0;
    let sessions = &job.spec.sessions;
    let renders = matches!(job.spec.columns, Columns::Native { outputs: Outputs::Rendered, .. });
    let mut lookback = renders.then(|| Lookback::new(snapshot));
    let events = by_time::each(snapshot, offsets, &mut |record, session| {
        if !sessions.matches(&session.id, session.key, &session.state) {
            unknown += u64::from(session.state.facts().is_none());
            return Ok(());
        }
        let seen = match &mut lookback {
            Some(lookback) => {
                let all = std::iter::once(Chars::default());
                lookback.seen(session.key, record, &record.event()?, all)?
            }
            None => Arc::default(),
        };
        sheets.push(record, session, &seen)
    })?;
    Ok(Stretch { files: sheets.finish()?, events, unknown })
}

/// The files that are being written.
struct Sheets<'a> {
    job: &'a Job<'a>,
    offsets: Range<u64>,
    rows: Maker,
    open: BTreeMap<Option<Class>, Sheet>,
    made: Vec<Made>,
    /// Days since 1970.
    day: Option<i64>,
}

/// Events to batches of rows.
enum Maker {
    Native(Box<Rows>),
    Ocsf(Batches),
}

impl Maker {
    fn new(job: &Job<'_>) -> Maker {
        match job.spec.columns {
            Columns::Native { event_data, outputs } => {
                Maker::Native(Box::new(Rows::new(event_data, outputs)))
            }
            Columns::Ocsf(mapping) => Maker::Ocsf(Batches::new(mapping, job.only.flatten())),
        }
    }
}

struct Sheet {
    writer: ArrowWriter<Hashing>,
    file: PathBuf,
    path: String,
    rows: u64,
    times: (i64, i64),
    /// The least and the greatest offset of its rows, where they have one.
    offsets: Option<(i64, i64)>,
    partition: Vec<(&'static str, String)>,
}

impl<'a> Sheets<'a> {
    fn new(job: &'a Job<'a>, offsets: Range<u64>) -> Sheets<'a> {
        let rows = Maker::new(job);
        Sheets { job, offsets, rows, open: BTreeMap::new(), made: Vec::new(), day: None }
    }

    fn push(&mut self, record: &Record<'_>, session: &Session, seen: &Seen) -> Result<(), Error> {
        let day = record.time.0.div_euclid(DAY);
        if self.day != Some(day) && !self.job.spec.partition.columns().is_empty() {
            self.close_all()?;
        }
        self.day = Some(day);
        let mut full = Vec::new();
        match &mut self.rows {
            Maker::Native(rows) => {
                rows.push_seen(record, &session.id, &session.state, seen)?;
                if rows.is_full() {
                    full.push((None, rows.take()?));
                }
            }
            Maker::Ocsf(batches) => {
                batches.push(record, &session.id, &session.state, &mut |class, batch| {
                    full.push((Some(class), batch));
                    Ok(())
                })?;
            }
        }
        full.into_iter().try_for_each(|(class, batch)| self.write(class, &batch))
    }

    fn write(&mut self, class: Option<Class>, batch: &RecordBatch) -> Result<(), Error> {
        let Some((first, last)) = times(batch) else { return Ok(()) };
        if !self.open.contains_key(&class) {
            let sheet = self.sheet(class, first)?;
            self.open.insert(class, sheet);
        }
        let Some(sheet) = self.open.get_mut(&class) else { return Ok(()) };
        sheet.writer.write(batch)?;
        sheet.rows += batch.num_rows() as u64;
        sheet.times = (sheet.times.0.min(first), sheet.times.1.max(last));
        sheet.offsets = match (sheet.offsets, offsets(batch)) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        let size = sheet.writer.bytes_written() + sheet.writer.in_progress_size();
        if size as u64 >= self.job.spec.file_bytes_max {
            self.close(class)?;
        }
        let unwritten = |sheet: &Sheet| sheet.writer.memory_size();
        if self.open.values().map(unwritten).sum::<usize>() > UNWRITTEN_BYTES
            && let Some(largest) = self.open.values_mut().max_by_key(|sheet| unwritten(sheet))
        {
            largest.writer.flush()?;
        }
        Ok(())
    }

    /// Begins a file.
    fn sheet(&self, class: Option<Class>, first: i64) -> Result<Sheet, Error> {
        let Job { spec, disk, scratch, node, generation, .. } = self.job;
        let partition = spec.partition.values(&day_name(self.day.unwrap_or_default()));
        let number = self.made.iter().filter(|made| made.class == class).count();
        let Range { start, end } = self.offsets;
        let first = first.max(0);
        let name = format!("{first:020}-{start:020}-{end:020}-{node}-{generation}-{number}");
        let dirs = partition.iter().map(|(column, value)| format!("{column}={value}/"));
        let path = dirs.collect::<String>() + &name;
        let file = scratch.join(format!("{}-{name}", super::table_name(class)));
        let failed = daybook_engine::Error::io("create", &file);
        let out = Hashing::new(disk.open(&file, Open::Create).map_err(failed)?);
        let properties = match (spec.columns, class) {
            (Columns::Ocsf(mapping), Some(class)) => ocsf::properties(mapping, class, spec.codec)?,
            (Columns::Native { event_data, .. }, _) => {
                properties(Options { codec: spec.codec, event_data, by_time: true })?
            }
            (Columns::Ocsf(_), None) => return Err(Error::Table("rows have no class".to_owned())),
        };
        let writer = ArrowWriter::try_new(out, spec.columns.schema(class), Some(properties))?;
        let times = (i64::MAX, i64::MIN);
        Ok(Sheet { writer, file, path, rows: 0, times, offsets: None, partition })
    }

    fn close(&mut self, class: Option<Class>) -> Result<(), Error> {
        let Some(sheet) = self.open.remove(&class) else { return Ok(()) };
        let Sheet { mut writer, file, path, rows, times, offsets, partition } = sheet;
        if let Some((low, high)) = offsets {
            let offsets = KeyValue::new("daybook.offsets".to_owned(), format!("{low}-{high}"));
            writer.append_key_value_metadata(offsets);
        }
        let failed = daybook_engine::Error::io("write", &file);
        let (size, sha256) = writer.into_inner()?.finish().map_err(failed)?;
        let begin = sha256.get(..HASH_DIGITS).unwrap_or_default();
        let path = format!("{path}-{begin}.parquet");
        self.made.push(Made { class, path, file, size, sha256, rows, times, partition });
        Ok(())
    }

    /// Writes what is left, and ends all files.
    fn close_all(&mut self) -> Result<(), Error> {
        let mut last = Vec::new();
        match std::mem::replace(&mut self.rows, Maker::new(self.job)) {
            Maker::Native(mut rows) => {
                if !rows.is_empty() {
                    last.push((None, rows.take()?));
                }
            }
            Maker::Ocsf(batches) => batches.finish(&mut |class, batch| {
                last.push((Some(class), batch));
                Ok(())
            })?,
        }
        for (class, batch) in last {
            self.write(class, &batch)?;
        }
        let open: Vec<Option<Class>> = self.open.keys().copied().collect();
        open.into_iter().try_for_each(|class| self.close(class))
    }

    fn finish(mut self) -> Result<Vec<Made>, Error> {
        self.close_all()?;
        Ok(self.made)
    }
}

/// The earliest and latest time of a batch's rows, in microseconds since 1970; `None` if it has none.
fn times(batch: &RecordBatch) -> Option<(i64, i64)> {
    let column = batch.column_by_name("time")?;
    let micros = column.as_primitive_opt::<TimestampMicrosecondType>().map(|c| (c.values(), 1));
    let millis = || column.as_primitive_opt::<Int64Type>().map(|c| (c.values(), 1000));
    let (values, factor) = micros.or_else(millis)?;
    debug_assert_eq!(column.null_count(), 0);
    let micros = |value: &i64| value.saturating_mul(factor);
    Some((micros(values.iter().min()?), micros(values.iter().max()?)))
}

/// The least and the greatest offset of a batch's rows; `None` where they have none.
fn offsets(batch: &RecordBatch) -> Option<(i64, i64)> {
    let column = batch.column_by_name("offset")?.as_primitive_opt::<Int64Type>()?;
    Some((*column.values().iter().min()?, *column.values().iter().max()?))
}

/// The name of a day, such as `20260301`.
fn day_name(day: i64) -> String {
    let text = Micros(day.saturating_mul(DAY)).to_string();
    text.chars().take(10).filter(|c| *c != '-').collect()
}

/// Writes a file, and hashes it meanwhile.
struct Hashing {
    out: FileWriter,
    hash: Sha256,
    len: u64,
}

impl Hashing {
    fn new(file: Arc<dyn daybook_engine::disk::DiskFile>) -> Hashing {
        Hashing { out: FileWriter::new(file), hash: Sha256::new(), len: 0 }
    }

    /// Makes the file durable; answers its length and its hash.
    fn finish(mut self) -> io::Result<(u64, String)> {
        self.out.finish()?;
        Ok((self.len, hex::encode(self.hash.finalize())))
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
