//! Record batches to an Arrow IPC file, uncompressed: a reader maps it and reads in place.

use super::Error;
use super::outputs::Outputs;
use super::rows::Rows;
use super::schema::{VERSION, schema};
use arrow::ipc::writer::FileWriter;
use daybook_engine::block::Record;
use daybook_engine::session::SessionState;
use std::io::Write;

/// Writes events to an Arrow IPC file.
pub struct Writer<W: Write> {
    rows: Rows,
    writer: FileWriter<W>,
}

impl<W: Write> Writer<W> {
    /// Starts a file.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn new(out: W) -> Result<Writer<W>, Error> {
        let mut writer = FileWriter::try_new(out, &schema())?;
        writer.write_metadata("daybook.schema_version", VERSION.to_string());
        Ok(Writer { rows: Rows::new(true, Outputs::Text), writer })
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
        if self.rows.is_full() {
            self.writer.write(&self.rows.take()?)?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn finish(mut self) -> Result<(), Error> {
        if !self.rows.is_empty() {
            self.writer.write(&self.rows.take()?)?;
        }
        self.writer.finish()?;
        Ok(())
    }
}
