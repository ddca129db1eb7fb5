//! Rows to files: Parquet and Arrow IPC of one class, lines of JSON of any.

use super::{Batches, Class, Mapping, schema};
use crate::columnar::Error;
use crate::columnar::parquet::{Codec, base};
use arrow::ipc::writer::FileWriter;
use daybook_engine::block::Record;
use daybook_engine::session::SessionState;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::io::Write;

/// Amazon Security Lake wants pages of a megabyte at most, before compression.
const PAGE_BYTES: usize = 1_000_000;

/// Texts that differ from row to row: without a dictionary, and without statistics, which would put excerpts of them
/// into the footer.
const PROSE: [&[&str]; 8] = [
    &["message"],
    &["query_info", "query_string"],
    &["query_info", "data"],
    &["process", "cmd_line"],
    &["api", "request", "data"],
    &["api", "response", "data"],
    &["finding_info", "desc"],
    &["unmapped"],
];

/// Writes the rows of one class to a file of columns.
pub struct Writer<W: Write + Send> {
    batches: Batches,
    out: Out<W>,
}

enum Out<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<FileWriter<W>>),
}

impl<W: Write + Send> Writer<W> {
    /// Starts a Parquet file.
    ///
    /// # Errors
    /// Parquet's.
    pub fn parquet(
        out: W,
        mapping: Mapping,
        class: Class,
        codec: Codec,
    ) -> Result<Writer<W>, Error> {
        let schema = schema(class, mapping.version);
        let properties = properties(mapping, class, codec)?;
        let writer = ArrowWriter::try_new(out, schema, Some(properties))?;
        Ok(Writer {
            batches: Batches::new(mapping, Some(class)),
            out: Out::Parquet(Box::new(writer)),
        })
    }

    /// Starts an Arrow IPC file.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn arrow(out: W, mapping: Mapping, class: Class) -> Result<Writer<W>, Error> {
        let mut writer = FileWriter::try_new(out, &schema(class, mapping.version))?;
        writer.write_metadata("ocsf.version", mapping.version.name());
        writer.write_metadata("ocsf.class", class.name());
        let batches = Batches::new(mapping, Some(class));
        Ok(Writer { batches, out: Out::Arrow(Box::new(writer)) })
    }

    /// Adds what an event of the session named `session`, whose state is `state`, has of the class.
    ///
    /// # Errors
    /// An event that can't be decoded, or an output that can't be written.
    pub fn push(
        &mut self,
        record: &Record<'_>,
        session: &str,
        state: &SessionState,
    ) -> Result<(), Error> {
        let Writer { batches, out } = self;
        batches.push(record, session, state, &mut |_, batch| out.write(&batch))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn finish(self) -> Result<(), Error> {
        let Writer { batches, mut out } = self;
        batches.finish(&mut |_, batch| out.write(&batch))?;
        match out {
            Out::Parquet(writer) => drop(writer.into_inner()?),
            Out::Arrow(mut writer) => writer.finish()?,
        }
        Ok(())
    }
}

/// How a Parquet file of a class is written.
///
/// # Errors
/// None: the level of compression is one that there is.
pub(crate) fn properties(
    mapping: Mapping,
    class: Class,
    codec: Codec,
) -> Result<WriterProperties, Error> {
    let version = KeyValue::new("ocsf.version".to_owned(), mapping.version.name().to_owned());
    let name = KeyValue::new("ocsf.class".to_owned(), class.name().to_owned());
    let mut builder = base(codec)?
        .set_key_value_metadata(Some(vec![version, name]))
        .set_data_page_size_limit(PAGE_BYTES);
    for path in PROSE {
        let path = ColumnPath::new(path.iter().map(|part| (*part).to_owned()).collect());
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    Ok(builder.build())
}

impl<W: Write + Send> Out<W> {
    fn write(&mut self, batch: &arrow::array::RecordBatch) -> Result<(), Error> {
        match self {
            Out::Parquet(writer) => writer.write(batch)?,
            Out::Arrow(writer) => writer.write(batch)?,
        }
        Ok(())
    }
}
