//! Record batches to CSV (RFC 4180, with a header line).
//!
//! Columns are those of the schema but for [`TELEPORT`]'s, which repeat others. Times are RFC 3339
//! with microseconds, tags are joined by `;`, and null is the empty field.
//!
//! Data is written as it is. A program that takes a field that starts with `=`, `+`, `-` or `@` for
//! a formula (spreadsheets do) has to be told to import text: changing the field here would alter
//! evidence.
//!
//! [`lines`] is the dialect, also for what others write; [`item`] has a timeline's event in the cells
//! that an export has it in.

use super::Error;
use super::cells::Cells;
use super::outputs::Outputs;
use super::rows::Rows;
use super::schema::{COLUMNS, TELEPORT};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use daybook_engine::block::Record;
use daybook_engine::event::Micros;
use daybook_engine::event::wire::Event;
use daybook_engine::screen::Seen;
use daybook_engine::session::SessionState;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;

/// What writes lines of CSV.
pub type Lines<W> = ::csv::Writer<W>;

/// Lines of CSV as RFC 4180 has them.
pub fn lines<W: Write>(out: W) -> Lines<W> {
    ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out)
}

/// What [`item`] fills: the columns of an export that an event itself has, and `received` and `producer`,
/// where it is known who sent it.
pub const ITEM_COLUMNS: [&str; 26] = [
    "offset",
    "session",
    "seq",
    "time",
    "kind",
    "verdict",
    "rule",
    "language",
    "input",
    "output",
    "text",
    "error",
    "stream",
    "command",
    "exit_code",
    "duration_ms",
    "rows",
    "masked",
    "review",
    "decision",
    "by",
    "action",
    "target",
    "details",
    "received",
    "producer",
];

/// The cells of an item of a timeline that is not folded, in the order of [`ITEM_COLUMNS`].
///
/// # Errors
/// An item that is no event: a sentence that says what is wrong with it.
pub fn item(item: &Value) -> Result<[String; ITEM_COLUMNS.len()], String> {
    let mut sent = item.as_object().cloned().unwrap_or_default();
    let mut added = |name| match sent.remove(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    let (offset, received, producer) = (added("offset"), added("received"), added("producer"));
    let line = Value::Object(sent).to_string();
    let event = Event::decode(line.as_bytes())?;
    let kind = event.body.kind().name().to_owned();
    let cells = Cells::of(event.body, Outputs::Text, &Seen::default());
    let text = |cell: Option<Cow<'_, str>>| cell.map(Cow::into_owned).unwrap_or_default();
    let word = |cell: Option<&str>| cell.unwrap_or_default().to_owned();
    let count = |cell: Option<u64>| cell.map(|n| n.to_string()).unwrap_or_default();
    Ok([
        offset,
        event.session.into_owned(),
        event.seq.map(|seq| seq.to_string()).unwrap_or_default(),
        event.time.to_string(),
        kind,
        word(cells.verdict),
        text(cells.rule),
        text(cells.language),
        text(cells.input),
        text(cells.output),
        text(cells.text),
        text(cells.error),
        word(cells.stream),
        cells.command.map(|seq| seq.to_string()).unwrap_or_default(),
        cells.exit_code.map(|code| code.to_string()).unwrap_or_default(),
        count(cells.duration_ms),
        count(cells.rows),
        count(cells.masked),
        word(cells.review.as_deref()),
        word(cells.decision),
        text(cells.by),
        text(cells.action),
        text(cells.target),
        if cells.details.is_empty() {
            String::new()
        } else {
            Value::Object(cells.details).to_string()
        },
        received,
        producer,
    ])
}

/// Writes events to CSV.
pub struct Writer<W: Write> {
    rows: Rows,
    writer: Lines<W>,
}

impl<W: Write> Writer<W> {
    /// Starts the output with the header line.
    ///
    /// # Errors
    /// An output that can't be written.
    pub fn new(out: W) -> Result<Writer<W>, Error> {
        let mut writer = lines(out);
        let names = COLUMNS.iter().map(|column| column.name);
        writer
            .write_record(names.filter(|name| !TELEPORT.contains(name)))
            .map_err(std::io::Error::from)?;
        Ok(Writer { rows: Rows::new(false, Outputs::Text), writer })
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
