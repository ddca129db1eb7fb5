//! What a Delta Lake table is made with, and whether one that is there can become that.

use super::Error;
use super::delta::{self, Format, Metadata};
use super::state::State;
use super::table::now_ms;
use arrow::datatypes::Schema;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a table is made with.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its columns.
    pub schema: Arc<Schema>,
    /// Those that are in the files' paths, with the types of their values.
    pub partition_columns: Vec<&'static str>,
}

/// The table's description, if it is not what it should be.
pub(super) fn wanted(shape: &Shape, state: &State) -> Result<Option<Metadata>, Error> {
    let schema_string = delta::schema_string(&shape.schema);
    let partition_columns: Vec<String> =
        shape.partition_columns.iter().map(|name| (*name).to_owned()).collect();
    let Some(metadata) = &state.metadata else {
        return Ok(Some(Metadata {
            id: new_id()?,
            name: Some(shape.name.clone()),
            description: Some(shape.description.clone()),
            format: Format::default(),
            schema_string,
            partition_columns,
            configuration: BTreeMap::new(),
            created_time: Some(now_ms()),
        }));
    };
    if metadata.partition_columns != partition_columns {
        let by = |columns: &[String]| match columns {
            [] => "in no directories".to_owned(),
            columns => format!("in directories by {}", columns.join(", ")),
        };
        return Err(Error::Table(format!(
            "its files are {}, and would be {}: set the feed's `partition` back, or give the feed another name",
            by(&metadata.partition_columns),
            by(&partition_columns)
        )));
    }
    let columns = |text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|error| Error::Table(format!("its columns can't be read: {error}")))
    };
    if let Some(column) = lost(&columns(&metadata.schema_string)?, &columns(&schema_string)?) {
        return Err(Error::Table(format!(
            "its column `{column}` would go, or be of another type: set the feed's `version` back, or give the feed another name"
        )));
    }
    Ok((metadata.schema_string != schema_string)
        .then(|| Metadata { schema_string, ..metadata.clone() }))
}

/// The first column of a schema that another one has not, or has with another type: files that are there can't be read
/// by such a one.
fn lost(old: &Value, new: &Value) -> Option<String> {
    let fields = |schema: &Value| schema.get("fields").and_then(Value::as_array).cloned();
    let (Some(old), Some(new)) = (fields(old), fields(new)) else {
        return match (old.get("elementType"), new.get("elementType")) {
            (Some(old), Some(new)) => lost(old, new),
            _ => (old != new).then(String::new),
        };
    };
    old.iter().find_map(|field| {
        let name = field.get("name")?.as_str()?;
        let same = new.iter().find(|other| other.get("name") == field.get("name"));
        let inner = match same {
            None => String::new(),
            Some(same) => lost(field.get("type")?, same.get("type")?)?,
        };
        Some(if inner.is_empty() { name.to_owned() } else { format!("{name}.{inner}") })
    })
}

/// A random id in the form of a UUID (version 4).
fn new_id() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Table(error.to_string()))?;
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf << 76) | 4 << 76;
    let number = number & !(0b11 << 62) | 0b10 << 62;
    let digits = format!("{number:032x}");
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}
