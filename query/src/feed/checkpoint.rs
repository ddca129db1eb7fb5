//! Checkpoints of a Delta Lake table's log: its actions as rows of one Parquet file.
//!
//! Each row has one of the columns `txn`, `add`, `remove`, `metaData` and `protocol`, a struct with the action's
//! fields. Arrow's JSON readers and writers turn actions into rows and back.

use super::Error;
use super::delta::{self, Action};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::{Arc, LazyLock};

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, true);
    let map = |name: &str| {
        let entry = Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
        ]);
        let entries = Arc::new(Field::new("key_value", DataType::Struct(entry), false));
        Field::new(name, DataType::Map(entries, false), true)
    };
    let of = |name: &str, fields: Vec<Field>| {
        Field::new(name, DataType::Struct(Fields::from(fields)), true)
    };
    let texts = Arc::new(Field::new("element", DataType::Utf8, true));
    Arc::new(Schema::new(vec![
        of("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        of(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                text("stats"),
                map("tags"),
            ],
        ),
        of(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                flag("dataChange"),
                flag("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
                map("tags"),
            ],
        ),
        of(
            "metaData",
            vec![
                text("id"),
                text("name"),
                text("description"),
                of("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                Field::new("partitionColumns", DataType::List(texts), true),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        of("protocol", vec![int("minReaderVersion"), int("minWriterVersion")]),
    ]))
});

/// The bytes of a checkpoint.
///
/// # Errors
/// Arrow's or Parquet's; none for actions of a table.
pub(super) fn encode(actions: &[Action]) -> Result<Vec<u8>, Error> {
    let mut decoder = ReaderBuilder::new(Arc::clone(&SCHEMA)).build_decoder()?;
    decoder.serialize(actions)?;
    let properties = WriterProperties::builder()
        .set_created_by("daybook".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&SCHEMA), Some(properties))?;
    if let Some(batch) = decoder.flush()? {
        writer.write(&batch)?;
    }
    Ok(writer.into_inner()?)
}

/// The actions of a checkpoint, also of one that another writer made.
///
/// # Errors
/// Bytes that are no checkpoint.
pub(super) fn decode(bytes: Vec<u8>) -> Result<Vec<Action>, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?.build()?;
    let mut lines = LineDelimitedWriter::new(Vec::new());
    for batch in reader {
        lines.write(&batch?)?;
    }
    lines.finish()?;
    delta::decode(&lines.into_inner()).map_err(Error::Table)
}
