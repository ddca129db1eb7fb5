//! Exports: every event that a query matches, as a stream in one of four formats.
//!
//! | format | what is in it |
//! |---|---|
//! | Parquet, Arrow | the [columns](crate::columnar::schema), `event_data` too |
//! | CSV | the columns, without those that repeat others |
//! | NDJSON | each line as it was sent, with its `offset` (and its `seq`, if it was assigned) |
//!
//! In the schema of [OCSF](crate::ocsf) Parquet and Arrow files have the rows of one class, NDJSON those of any; CSV,
//! whose cells have no objects, has none.
//!
//! Events come in the order of [`scan`](crate::scan): not in that of offsets, but an export of a stretch of offsets is
//! always the same, as long as nothing of it is erased or merged. Nothing but the current batch (for Parquet: the
//! current row group) is in memory. An output that fails, or a reader that goes away, ends the export
//! with an error; a Parquet or Arrow file cut short has no footer, so no reader takes it for whole.

use crate::QueryError;
use crate::columnar::parquet::Codec;
use crate::columnar::{Error, arrow_file, csv, parquet};
use crate::lang::Query;
use crate::ocsf::{self, Class, Mapping};
use crate::scan::{Match, for_each_match};
use crate::timeline::render;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::view::Snapshot;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::ops::{ControlFlow, Range};

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// An Apache Arrow IPC file.
    Arrow,
    /// A JSON object a line.
    Ndjson,
    /// RFC 4180, with a header line.
    Csv,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [Format::Parquet, Format::Arrow, Format::Ndjson, Format::Csv];

    /// Its name, which is also the ending of its files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
        }
    }

    /// The media type of its files.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Arrow => "application/vnd.apache.arrow.file",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// The format of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// The schema of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schema {
    /// daybook's own: one row an event.
    #[default]
    Native,
    /// OCSF's.
    Ocsf {
        /// How events become rows.
        mapping: Mapping,
        /// Only rows of this class.
        class: Option<Class>,
    },
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportSummary {
    /// Events.
    pub events: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// What is asked for. [`ExportRequest::new`] leaves out no session.
#[derive(Clone, Debug)]
pub struct ExportRequest<'a> {
    /// Which events; all of them if unsaid.
    pub query: Option<&'a Query>,
    /// Only events of these sessions: what the asker may see.
    pub scope: SessionFilter,
    /// Only events of these offsets: an export in slices can be gone on with after a break.
    pub offsets: Range<u64>,
    /// In which format.
    pub format: Format,
    /// In which schema.
    pub schema: Schema,
}

impl<'a> ExportRequest<'a> {
    /// Everything that matches, in a format.
    #[must_use]
    pub fn new(query: Option<&'a Query>, format: Format) -> ExportRequest<'a> {
        ExportRequest {
            query,
            scope: SessionFilter::All,
            offsets: 0..u64::MAX,
            format,
            schema: Schema::Native,
        }
    }
}

/// Writes every event that matches to `out`.
///
/// # Errors
/// A format that has no room for the schema, the log's, or an output that can't be written.
pub fn export(
    snapshot: &Snapshot,
    request: &ExportRequest<'_>,
    out: &mut (dyn Write + Send),
) -> Result<ExportSummary, QueryError> {
    let mut summary = ExportSummary::default();
    let mut sink =
        Sink::new(request.format, request.schema, Counted { out, bytes: &mut summary.bytes })?;
    for_each_match(snapshot, request.query, &request.scope, &request.offsets, &mut |found| {
        sink.push(found)?;
        summary.events += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    sink.finish()?;
    Ok(summary)
}

/// An output of one of the formats.
enum Sink<W: Write + Send> {
    Parquet(Box<parquet::Writer<W>>),
    Arrow(Box<arrow_file::Writer<W>>),
    Ndjson(W, Vec<u8>),
    Csv(Box<csv::Writer<W>>),
    /// OCSF, in columns.
    Rows(Box<ocsf::Writer<W>>),
    /// OCSF, in lines.
    RowLines(W, Vec<u8>, Mapping, Option<Class>),
}

impl<W: Write + Send> Sink<W> {
    fn new(format: Format, schema: Schema, out: W) -> Result<Sink<W>, QueryError> {
        if let Schema::Ocsf { mapping, class } = schema {
            return Sink::ocsf(format, mapping, class, out);
        }
        Ok(match format {
            Format::Parquet => {
                let options = parquet::Options { event_data: true, ..parquet::Options::default() };
                Sink::Parquet(Box::new(parquet::Writer::new(out, options)?))
            }
            Format::Arrow => Sink::Arrow(Box::new(arrow_file::Writer::new(out)?)),
            Format::Ndjson => Sink::Ndjson(out, Vec::new()),
            Format::Csv => Sink::Csv(Box::new(csv::Writer::new(out)?)),
        })
    }

    fn ocsf(
        format: Format,
        mapping: Mapping,
        class: Option<Class>,
        out: W,
    ) -> Result<Sink<W>, QueryError> {
        let one = || {
            class.ok_or_else(|| {
                let names = Class::ALL.map(Class::name).join(", ");
                let what = format!("a file of columns has rows of one class of OCSF: {names}");
                QueryError::Request(what)
            })
        };
        let writer = match format {
            Format::Ndjson => return Ok(Sink::RowLines(out, Vec::new(), mapping, class)),
            Format::Csv => {
                let what =
                    "CSV has no objects in its cells; for OCSF there are ndjson, parquet and arrow";
                return Err(QueryError::Request(what.to_owned()));
            }
            Format::Parquet => ocsf::Writer::parquet(out, mapping, one()?, Codec::Zstd)?,
            Format::Arrow => ocsf::Writer::arrow(out, mapping, one()?)?,
        };
        Ok(Sink::Rows(Box::new(writer)))
    }

    fn push(&mut self, found: Match<'_>) -> Result<(), Error> {
        let Match { record, session, .. } = found;
        match self {
            Sink::Parquet(writer) => writer.push(&record, &session.id, &session.state),
            Sink::Arrow(writer) => writer.push(&record, &session.id, &session.state),
            Sink::Csv(writer) => writer.push(&record, &session.id, &session.state),
            Sink::Rows(writer) => writer.push(&record, &session.id, &session.state),
            Sink::RowLines(out, lines, mapping, class) => {
                for (of, row) in mapping.json(&record, &session.id, &session.state)? {
                    if class.is_none_or(|class| class == of) {
                        lines.extend_from_slice(row.as_bytes());
                        lines.push(b'\n');
                    }
                }
                if lines.len() >= NDJSON_CHUNK {
                    out.write_all(lines)?;
                    lines.clear();
                }
                Ok(())
            }
            Sink::Ndjson(out, line) => {
                // The very line that a timeline gives.
                line.extend_from_slice(render::event(&record)?.as_bytes());
                line.push(b'\n');
                if line.len() >= NDJSON_CHUNK {
                    out.write_all(line)?;
                    line.clear();
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self {
            Sink::Parquet(writer) => writer.finish().map(|_| ()),
            Sink::Arrow(writer) => writer.finish(),
            Sink::Csv(writer) => writer.finish(),
            Sink::Rows(writer) => writer.finish(),
            Sink::Ndjson(mut out, line) | Sink::RowLines(mut out, line, ..) => {
                Ok(out.write_all(&line)?)
            }
        }
    }
}

/// Lines are collected up to this many bytes before they are written.
const NDJSON_CHUNK: usize = 64 << 10;

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut (dyn Write + Send),
    bytes: &'a mut u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(buffer)?;
        *self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
