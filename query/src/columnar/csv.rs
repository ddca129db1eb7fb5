//! Record batches to CSV (RFC 4180, with a header line).
//!
//! Columns are those of the schema but for [`TELEPORT`]'s, which repeat others. Times are RFC 3339
//! with microseconds, tags are joined by `;`, and null is the empty field.
//!
//! Data is written as it is. A program that takes a field that starts with `=`, `+`, `-` or `@` for
//! a formula (spreadsheets do) has to be told to import text: changing the field here would alter
//! evidence.

use super::Error;
use super::rows::Rows;
use super::schema::{COLUMNS, TELEPORT};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use daybook_engine::block::Record;
use daybook_engine::event::Micros;
use daybook_engine::session::SessionState;
use std::fmt::Write as _;
use std::io::Write;

/// Writes events to CSV.
pub struct Writer<W: Write> {
    rows: Rows,
    writer: ::csv::Writer<W>,
}

impl<W: Write> Writer<W> {
    /// Starts the output with the header line.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn new(out: W) -> Result<Writer<W>, Error> {
        let terminator = ::csv::Terminator::CRLF;
        let mut writer = ::csv::WriterBuilder::new().terminator(terminator).from_writer(out);
        let names = COLUMNS.iter().map(|column| column.name);
        writer
            .write_record(names.filter(|name| !TELEPORT.contains(name)))
            .map_err(std::io::Error::from)?;
        Ok(Writer { rows: Rows::new(false), writer })
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
        if self.rows.is_full() { self.write_batch() } else { Ok(()) }
    }

    /// Ends the output.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn finish(mut self) -> Result<(), Error> {
        self.write_batch()?;
        Ok(self.writer.flush()?)
    }

    fn write_batch(&mut self) -> Result<(), Error> {
        let batch: RecordBatch = self.rows.take()?;
        let columns: Vec<&dyn Array> = COLUMNS
            .iter()
            .zip(batch.columns())
            .filter(|(column, _)| !TELEPORT.contains(&column.name))
            .map(|(_, array)| array.as_ref())
            .collect();
        let mut scratch = String::new();
        for row in 0..batch.num_rows() {
            for array in &columns {
                let field = cell(*array, row, &mut scratch);
                self.writer.write_field(field).map_err(std::io::Error::from)?;
            }
            // No fields: this ends the record.
            self.writer.write_record(None::<&[u8]>).map_err(std::io::Error::from)?;
        }
        Ok(())
    }
}

fn cell<'a>(array: &'a dyn Array, row: usize, scratch: &'a mut String) -> &'a str {
    scratch.clear();
    if array.is_null(row) {
        return "";
    }
    // Writing to a string can't fail.
    match array.data_type() {
        DataType::Utf8 => return array.as_string::<i32>().value(row),
        DataType::Int64 => {
            let _ = write!(scratch, "{}", array.as_primitive::<Int64Type>().value(row));
        }
        DataType::Timestamp(..) => {
            let time = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let _ = write!(scratch, "{}", Micros(time));
        }
        DataType::List(_) => {
            let tags = array.as_list::<i32>().value(row);
            for (index, tag) in tags.as_string::<i32>().iter().enumerate() {
                if index > 0 {
                    scratch.push(';');
                }
                scratch.push_str(tag.unwrap_or_default());
            }
        }
        _ => {}
    }
    scratch
}
