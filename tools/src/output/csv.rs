//! CSV for programs: RFC 4180, with a header line; written record by record, so that a reader in a pipe
//! has each at once.
//!
//! Cells are the data as it is, whole, with its line breaks and control characters. A program that takes a
//! field that starts with `=`, `+`, `-` or `@` for a formula (spreadsheets do) has to be told to import
//! text: changing the field here would alter evidence. Only where a person would see it, on a terminal,
//! control characters are made harmless as everywhere.

use super::{clean, written};
use daybook_query::columnar::csv;
use std::io::{IsTerminal as _, Stdout};

/// Writes records to standard output.
pub struct Csv {
    writer: csv::Lines<Stdout>,
    columns: &'static [&'static str],
    begun: bool,
    clean: bool,
}

impl std::fmt::Debug for Csv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csv").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Csv {
    /// A writer of records with these columns; nothing is written yet.
    #[must_use]
    pub fn new(columns: &'static [&'static str]) -> Csv {
        let out = std::io::stdout();
        let clean = out.is_terminal();
        Csv { writer: csv::lines(out), columns, begun: false, clean }
    }

    /// Writes the header line, if that is not done yet. Answers whether more is wanted, as
    /// [`print()`](super::print()) does.
    ///
    /// # Errors
    /// The system's.
    pub fn header(&mut self) -> anyhow::Result<bool> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(true);
        }
        self.write(self.columns)
    }

    /// Writes a record, and the header line before the first.
    ///
    /// # Errors
    /// As [`Csv::header`].
    pub fn record(&mut self, cells: &[String]) -> anyhow::Result<bool> {
        if !self.header()? {
            return Ok(false);
        }
        match self.clean {
            false => self.write(cells),
            true => self.write(&cells.iter().map(|cell| clean::text(cell)).collect::<Vec<_>>()),
        }
    }

    fn write(&mut self, cells: &[impl AsRef<[u8]>]) -> anyhow::Result<bool> {
        let record = self.writer.write_record(cells).map_err(std::io::Error::from);
        written(record.and_then(|()| self.writer.flush()))
    }
}
