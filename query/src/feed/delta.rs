//! The actions of a Delta Lake table, as its log has them.
//!
//! Of the [protocol](https://github.com/delta-io/delta/blob/master/PROTOCOL.md) (reader version 1, writer version 2)
//! this is what an append-only feed takes: files that come, files that go, and how far each writer has come. A
//! commit is a file of lines, each an object with the action's name as its only key; actions that daybook does not
//! know are passed over.
//!
//! ```text
//! {"commitInfo":{"timestamp":…,"operation":"WRITE","engineInfo":"daybook/…"}}
//! {"txn":{"appId":"daybook/…/native","version":1024}}          the writer's feed has all events before this offset
//! {"add":{"path":"…parquet","size":…,"stats":"{…}","tags":{"daybook.base":"0","daybook.end":"1024",…}}}
//! ```

use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a commit does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Who committed, when and what for; readers need none of it.
    CommitInfo(Value),
    /// What readers and writers have to know.
    Protocol(Protocol),
    /// The table's columns.
    MetaData(Metadata),
    /// How far a writer has come.
    Txn(Txn),
    /// A file belongs to the table.
    Add(Add),
    /// A file does not belong to it any more.
    Remove(Remove),
}

/// The versions of the protocol that a table asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protocol {
    /// Of readers.
    pub min_reader_version: i32,
    /// Of writers.
    pub min_writer_version: i32,
}

impl Protocol {
    /// That of daybook's tables.
    pub const OURS: Protocol = Protocol { min_reader_version: 1, min_writer_version: 2 };
}

/// What a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its id, which never changes.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The format of its files.
    pub format: Format,
    /// Its columns: JSON, as Spark writes it.
    pub schema_string: String,
    /// The columns that are in the files' paths.
    pub partition_columns: Vec<String>,
    /// Its settings.
    #[serde(default, deserialize_with = "or_none")]
    pub configuration: BTreeMap<String, String>,
    /// When it was made, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
}

/// The format of a table's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// `parquet`.
    pub provider: String,
    /// None.
    #[serde(default, deserialize_with = "or_none")]
    pub options: BTreeMap<String, String>,
}

impl Default for Format {
    fn default() -> Format {
        Format { provider: "parquet".to_owned(), options: BTreeMap::new() }
    }
}

/// How far a writer has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Txn {
    /// The writer.
    pub app_id: String,
    /// Where it is.
    pub version: i64,
    /// When it came there, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// A file that comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Add {
    /// Its path in the table.
    pub path: String,
    /// The values of the partition columns.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Its length in bytes.
    pub size: i64,
    /// When it was written, in milliseconds since 1970.
    pub modification_time: i64,
    /// Are its rows new to the table?
    pub data_change: bool,
    /// How many rows it has and what is in them, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<String>,
    /// What daybook notes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

/// A file that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remove {
    /// Its path in the table.
    pub path: String,
    /// When it went, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<i64>,
    /// Are its rows gone from the table?
    pub data_change: bool,
    /// Are the next three there?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_file_metadata: Option<bool>,
    /// The values of the partition columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_values: Option<BTreeMap<String, Option<String>>>,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// What daybook noted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

/// A map that may be null.
fn or_none<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// What a file's rows are, as readers pass files over by it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// How many there are.
    pub num_records: u64,
    /// The least value of columns.
    #[serde(default)]
    pub min_values: BTreeMap<String, Value>,
    /// The greatest value of columns.
    #[serde(default)]
    pub max_values: BTreeMap<String, Value>,
    /// How often columns have no value.
    #[serde(default)]
    pub null_count: BTreeMap<String, u64>,
}

/// The bytes of a commit.
///
/// # Errors
/// None that can happen.
pub fn encode(actions: &[Action]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut bytes, action)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// The actions of a commit that daybook knows.
///
/// # Errors
/// The number of a line that is no action, and why.
pub fn decode(bytes: &[u8]) -> Result<Vec<Action>, String> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut actions = Vec::new();
    for (at, line) in lines {
        let failed = |error: serde_json::Error| format!("line {}: {error}", at + 1);
        let one: BTreeMap<String, Value> = serde_json::from_slice(line).map_err(failed)?;
        for (name, value) in one {
            if KNOWN.contains(&name.as_str()) && !value.is_null() {
                let action = Value::Object([(name, value)].into_iter().collect());
                actions.push(serde_json::from_value(action).map_err(failed)?);
            }
        }
    }
    Ok(actions)
}

const KNOWN: [&str; 6] = ["commitInfo", "protocol", "metaData", "txn", "add", "remove"];

/// A schema as Spark writes it. Every column may be without a value: a later one is missing in earlier files.
#[must_use]
pub fn schema_string(schema: &Schema) -> String {
    let fields: Vec<Value> = schema.fields().iter().map(|field| column(field)).collect();
    json!({"type": "struct", "fields": fields}).to_string()
}

fn column(field: &arrow::datatypes::Field) -> Value {
    json!({"name": field.name(), "type": spark_type(field.data_type()), "nullable": true, "metadata": {}})
}

fn spark_type(of: &DataType) -> Value {
    match of {
        DataType::Boolean => json!("boolean"),
        DataType::Int32 => json!("integer"),
        DataType::Int64 => json!("long"),
        DataType::Float64 => json!("double"),
        DataType::Timestamp(..) => json!("timestamp"),
        DataType::Date32 => json!("date"),
        DataType::List(element) => {
            json!({"type": "array", "elementType": spark_type(element.data_type()), "containsNull": true})
        }
        DataType::Struct(fields) => {
            let fields: Vec<Value> = fields.iter().map(|field| column(field)).collect();
            json!({"type": "struct", "fields": fields})
        }
        _ => json!("string"),
    }
}
