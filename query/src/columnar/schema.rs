//! The one schema of daybook's columns, for Parquet, Arrow IPC and CSV alike.
//!
//! One row is one event. Columns are found by name; each also carries a field id that never changes
//! its meaning, so that table formats (Iceberg, Delta column mapping) can follow a column that is
//! renamed. New columns come at the end with new ids, and raise [`VERSION`].
//!
//! | columns | from | null |
//! |---|---|---|
//! | `offset`, `session`, `seq`, `time`, `kind`, `bytes` | the record; `bytes` is its line as sent | never |
//! | `verdict`, `rule`, `language` | `command` | where not said |
//! | `input` | `command`, `terminal.input` | other kinds |
//! | `output` | `command`, `output`, `terminal.output` | other kinds |
//! | `text` | notes, markers, reasons and comments of reviews, the reason of an end, of a hold or a deletion | other kinds |
//! | `error`, `exit_code`, `duration_ms`, `rows`, `masked` | how a command went | where not said |
//! | `stream`, `command` | whose output, end or review it is | where not said |
//! | `review`, `decision`, `by`, `action`, `target` | reviews, notes, accesses, retention | other kinds |
//! | `details` | the fields that have no column, as one JSON object | where there are none |
//! | `user` .. `tags`, `status` | the session, as far as it was known when the file was written | before its `session.start` arrived |
//! | `received`, `producer` | when the server took it in, and the token or certificate that it came with | never; where nobody was asked |
//! | `event_type`, `event_time`, `uid`, `session_id`, `event_data` | `kind`, `time` in milliseconds, `session:seq`, `session`, the line as sent | see below |
//!
//! `event_type` to `event_data`, with `user`, are the columns of Teleport's Athena audit log, so SQL written for it
//! runs. `event_data` repeats the whole event: exports fill it, while feeds leave it null unless they are
//! told otherwise, because it comes near to doubling a file.
//!
//! A [feed](crate::feed) may have terminals as a person saw them: then `output` has the lines that an event completed,
//! and is null where it completed none. It may have less of outputs than their text: then `output` is null, and with `hash`
//! `details` has `"output": {"sha256": …, "bytes": …}` of the bytes that were sent.
//!
//! Base64 `data` is in `input`, `output` or `text` as the text that it decodes to; where it is not
//! UTF-8, `details` also has the base64 itself, so nothing is lost.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The version of the schema, in each file's metadata as `daybook.schema_version`.
pub const VERSION: u32 = 2;

/// The name of the elements of a list, as Parquet's specification wants it.
pub const LIST_ELEMENT: &str = "element";

/// The columns that Teleport's audit log has under other names.
pub const TELEPORT: [&str; 5] = ["event_type", "event_time", "uid", "session_id", "event_data"];

/// The types that columns have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    /// UTF-8.
    Text,
    /// 64-bit signed: readers without unsigned types (Java's) take it.
    Integer,
    /// Microseconds since 1970, UTC.
    Micros,
    /// Milliseconds since 1970, UTC.
    Millis,
    /// A list of UTF-8.
    Texts,
}

/// How many different values a column has, which decides how it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Few: a dictionary.
    Few,
    /// Numbers that mostly rise a little from row to row: deltas.
    Rising,
    /// Mostly different texts that share much with their neighbours: plain, left to the compression,
    /// without statistics (an output's least and greatest value help nobody and may be secret).
    Prose,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// How many different values it has.
    pub values: Values,
    id: u32,
    kind: Type,
    nullable: bool,
}

const fn column(id: u32, name: &'static str, kind: Type, values: Values, nullable: bool) -> Column {
    Column { name, values, id, kind, nullable }
}

/// Every column, in order.
pub const COLUMNS: &[Column] = {
    use Type::{Integer, Micros, Millis, Text, Texts};
    use Values::{Few, Prose, Rising};
    &[
        column(1, "offset", Integer, Rising, false),
        column(2, "session", Text, Few, false),
        column(3, "seq", Integer, Rising, false),
        column(4, "time", Micros, Rising, false),
        column(5, "kind", Text, Few, false),
        column(6, "verdict", Text, Few, true),
        column(7, "rule", Text, Few, true),
        column(8, "language", Text, Few, true),
        column(9, "input", Text, Prose, true),
        column(10, "output", Text, Prose, true),
        column(11, "text", Text, Prose, true),
        column(12, "error", Text, Prose, true),
        column(13, "stream", Text, Few, true),
        column(14, "command", Integer, Rising, true),
        column(15, "exit_code", Integer, Few, true),
        column(16, "duration_ms", Integer, Few, true),
        column(17, "rows", Integer, Few, true),
        column(18, "masked", Integer, Few, true),
        column(19, "review", Text, Few, true),
        column(20, "decision", Text, Few, true),
        column(21, "by", Text, Few, true),
        column(22, "action", Text, Few, true),
        column(23, "target", Text, Few, true),
        column(24, "bytes", Integer, Few, false),
        column(25, "details", Text, Prose, true),
        column(26, "user", Text, Few, true),
        column(27, "user_name", Text, Few, true),
        column(28, "role", Text, Few, true),
        column(29, "type", Text, Few, true),
        column(30, "subtype", Text, Few, true),
        column(31, "agent", Text, Few, true),
        column(32, "client_ip", Text, Few, true),
        column(33, "tags", Texts, Few, false),
        column(35, "status", Text, Few, false),
        column(36, "event_type", Text, Few, false),
        column(37, "event_time", Millis, Rising, false),
        column(38, "uid", Text, Prose, false),
        column(39, "session_id", Text, Few, false),
        column(40, "event_data", Text, Prose, true),
        column(41, "received", Micros, Rising, false),
        column(42, "producer", Text, Few, true),
    ]
};

/// The field id of the elements of `tags`.
const TAG_ELEMENT_ID: u32 = 34;

/// The Arrow schema.
#[must_use]
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>())));
    Arc::clone(&SCHEMA)
}

fn field(column: &Column) -> Field {
    let utc = || Some("UTC".into());
    let data_type = match column.kind {
        Type::Text => DataType::Utf8,
        Type::Integer => DataType::Int64,
        Type::Micros => DataType::Timestamp(TimeUnit::Microsecond, utc()),
        Type::Millis => DataType::Timestamp(TimeUnit::Millisecond, utc()),
        Type::Texts => DataType::List(tag_element()),
    };
    with_id(Field::new(column.name, data_type, column.nullable), column.id)
}

/// The field of the elements of `tags`.
#[must_use]
pub fn tag_element() -> Arc<Field> {
    Arc::new(with_id(Field::new(LIST_ELEMENT, DataType::Utf8, false), TAG_ELEMENT_ID))
}

fn with_id(field: Field, id: u32) -> Field {
    field.with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_field_ids_are_unique() {
        let names: HashSet<&str> = COLUMNS.iter().map(|c| c.name).collect();
        let mut ids: HashSet<u32> = COLUMNS.iter().map(|c| c.id).collect();
        ids.insert(TAG_ELEMENT_ID);
        assert_eq!((names.len(), ids.len()), (COLUMNS.len(), COLUMNS.len() + 1));
    }

    #[test]
    fn the_six_columns_of_teleport_have_their_names_and_types() {
        let type_of = |name: &str| schema().field_with_name(name).map(|f| f.data_type().clone());
        for name in ["event_type", "uid", "session_id", "user", "event_data"] {
            assert_eq!(type_of(name).ok(), Some(DataType::Utf8), "{name}");
        }
        let millis = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        assert_eq!(type_of("event_time").ok(), Some(millis));
    }
}
