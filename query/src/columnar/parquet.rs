//! Record batches to Parquet.
//!
//! | choice | why |
//! |---|---|
//! | v1 data pages | some consumers (Snowflake) read no others |
//! | zstd level 1 | level 3 is no smaller on sessions' texts, and costs a third more |
//! | snappy on request | for consumers that read no zstd; such a file also keeps to plain and dictionary encodings |
//! | row groups of 128 Ki rows or 64 MiB | a reader skips by them, and the writer's memory is bounded by one |
//! | page index | a reader skips pages by time inside a row group |
//! | bloom filters on `session` and `user` | one session is found in a file that is sorted by time |
//! | no statistics on texts | they would not help, and would put excerpts of outputs into the footer |
//! | dictionary off for texts | their values do not repeat |
//!
//! Parquet's pages carry no checksums here; who keeps the file also keeps its SHA-256.

use super::Error;
use super::outputs::Outputs;
use super::rows::Rows;
use super::schema::{COLUMNS, VERSION, Values, schema};
use daybook_engine::block::Record;
use daybook_engine::segment::{Columnar, ColumnarEvent, PARQUET_FILE};
use daybook_engine::session::SessionState;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use std::io::Write;
use std::path::Path;

const ROW_GROUP_ROWS: usize = 128 << 10;
const ROW_GROUP_BYTES: usize = 64 << 20;
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// The columns that a file can be asked for without reading it: by bloom filter.
const BLOOM_COLUMNS: [&str; 3] = ["session", "session_id", "user"];

/// How pages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// zstd: the smallest.
    #[default]
    Zstd,
    /// snappy, with plain and dictionary encodings only: the most widely read.
    Snappy,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How pages are compressed.
    pub codec: Codec,
    /// Fill the column `event_data`.
    pub event_data: bool,
    /// The events come in the order of their times, and the file may say so.
    pub by_time: bool,
}

/// Writes events to a Parquet file.
pub struct Writer<W: Write + Send> {
    rows: Rows,
    writer: ArrowWriter<W>,
    offsets: Option<(u64, u64)>,
    events: u64,
}

impl<W: Write + Send> Writer<W> {
    /// Starts a file.
    ///
    /// # Errors
    /// Parquet's.
    pub fn new(out: W, options: Options) -> Result<Writer<W>, Error> {
        let writer = ArrowWriter::try_new(out, schema(), Some(properties(options)?))?;
        Ok(Writer {
            rows: Rows::new(options.event_data, Outputs::Text),
            writer,
            offsets: None,
            events: 0,
        })
    }

    /// Adds an event of the session named `session`, whose state is `state`.
    ///
    /// # Errors
    /// An event that can't be decoded, or an output that can't be written.
    pub fn push(
        &mut self,
        record: &Record<'_>,
        session: &str,
        state: &SessionState,
    ) -> Result<(), Error> {
        self.rows.push(record, session, state)?;
        let offset = record.offset.0;
        let (low, high) = self.offsets.unwrap_or((offset, offset));
        self.offsets = Some((low.min(offset), high.max(offset)));
        self.events += 1;
        if self.rows.is_full() {
            self.writer.write(&self.rows.take()?)?;
        }
        Ok(())
    }

    /// Ends the file; answers its output and how many events are in it.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn finish(mut self) -> Result<(W, u64), Error> {
        if !self.rows.is_empty() {
            self.writer.write(&self.rows.take()?)?;
        }
        if let Some((low, high)) = self.offsets {
            let offsets = KeyValue::new("daybook.offsets".to_owned(), format!("{low}-{high}"));
            self.writer.append_key_value_metadata(offsets);
        }
        Ok((self.writer.into_inner()?, self.events))
    }
}

/// Writes the Parquet copy of a segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct SegmentParquet {
    /// How pages are compressed.
    pub codec: Codec,
}

impl Columnar for SegmentParquet {
    fn write(
        &self,
        events: &mut dyn Iterator<Item = ColumnarEvent<'_>>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), daybook_engine::Error> {
        let failed = |error| match error {
            Error::Engine(error) => error,
            other => {
                let path = Path::new(PARQUET_FILE);
                daybook_engine::Error::io("write", path)(std::io::Error::other(other))
            }
        };
        let options = Options { codec: self.codec, event_data: false, by_time: true };
        let mut writer = Writer::new(out, options).map_err(failed)?;
        for event in events {
            writer.push(&event.record, event.session, event.state).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        Ok(())
    }
}

/// What all files have in common.
///
/// # Errors
/// None: the level of compression is one that there is.
pub(crate) fn base(codec: Codec) -> Result<WriterPropertiesBuilder, Error> {
    let compression = match codec {
        Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(1)?),
        Codec::Snappy => Compression::SNAPPY,
    };
    let builder = WriterProperties::builder()
        .set_created_by("daybook".to_owned())
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    Ok(builder)
}

/// How a file of daybook's own columns is written.
///
/// # Errors
/// None: the level of compression is one that there is.
pub fn properties(options: Options) -> Result<WriterProperties, Error> {
    let path = |name: &str| ColumnPath::from(name);
    let version = KeyValue::new("daybook.schema_version".to_owned(), VERSION.to_string());
    let mut builder = base(options.codec)?.set_key_value_metadata(Some(vec![version]));
    for column in COLUMNS {
        builder = match (column.values, options.codec) {
            (Values::Few, _) => builder,
            (Values::Rising, Codec::Snappy) => {
                builder.set_column_dictionary_enabled(path(column.name), false)
            }
            (Values::Rising, Codec::Zstd) => builder
                .set_column_dictionary_enabled(path(column.name), false)
                .set_column_encoding(path(column.name), Encoding::DELTA_BINARY_PACKED),
            (Values::Prose, _) => builder
                .set_column_dictionary_enabled(path(column.name), false)
                .set_column_statistics_enabled(path(column.name), EnabledStatistics::None),
        };
    }
    for name in BLOOM_COLUMNS {
        builder = builder.set_column_bloom_filter_fpp(path(name), BLOOM_FALSE_POSITIVES);
    }
    if options.by_time {
        let time = COLUMNS.iter().position(|column| column.name == "time").unwrap_or_default();
        builder = builder.set_sorting_columns(Some(vec![SortingColumn {
            column_idx: i32::try_from(time).unwrap_or_default(),
            descending: false,
            nulls_first: false,
        }]));
    }
    Ok(builder.build())
}
