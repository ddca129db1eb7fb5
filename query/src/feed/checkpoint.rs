//! Checkpoints of a Delta Lake table's log: its actions as rows of one Parquet file.
//!
//! Each row has one of the columns `txn`, `add`, `remove`, `metaData` and `protocol`, a struct with the action's
//! fields. Arrow's JSON readers and writers turn actions into rows and back.

use super::Error;
use super::delta::{self, Action};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::ReaderBuilder;
use arrow::json::writer::{LineDelimited, WriterBuilder};
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
    // Readers of Parquet have been known to panic on damaged bytes.
    let read = std::panic::catch_unwind(move || read(bytes));
    read.unwrap_or_else(|_| Err(Error::Table("it is damaged".to_owned())))
}

fn read(bytes: Vec<u8>) -> Result<Vec<Action>, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?.build()?;
    // A partition's value may be null.
    let mut lines =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    for batch in reader {
        lines.write(&batch?)?;
    }
    lines.finish()?;
    delta::decode(&lines.into_inner()).map_err(Error::Table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::delta::{Add, Format, Metadata, Protocol, Remove, Txn};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map("\\PC{0,6}", "\\PC{0,6}", 0..3)
    }

    fn partition() -> impl Strategy<Value = BTreeMap<String, Option<String>>> {
        prop::collection::btree_map("[a-z]{1,5}", prop::option::of("\\PC{0,6}"), 0..3)
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            Just(Action::Protocol(Protocol::OURS)),
            ("\\PC{0,9}", any::<i64>(), any::<Option<i64>>()).prop_map(
                |(app_id, version, last_updated)| {
                    Action::Txn(Txn { app_id, version, last_updated })
                }
            ),
            (
                "\\PC{1,9}",
                any::<i64>(),
                any::<bool>(),
                any::<Option<String>>(),
                texts(),
                partition()
            )
                .prop_map(
                    |(path, size, data_change, stats, tags, partition_values)| {
                        let (modification_time, tags) = (size / 3, Some(tags));
                        Action::Add(Add {
                            path,
                            partition_values,
                            size,
                            modification_time,
                            data_change,
                            stats,
                            tags,
                        })
                    }
                ),
            ("\\PC{1,9}", any::<Option<i64>>(), any::<bool>(), texts(), partition()).prop_map(
                |(path, size, data_change, tags, partition)| {
                    Action::Remove(Remove {
                        path,
                        deletion_timestamp: size,
                        data_change,
                        extended_file_metadata: Some(true),
                        partition_values: Some(partition),
                        size,
                        tags: Some(tags),
                    })
                }
            ),
            ("\\PC{1,9}", texts(), prop::collection::vec("\\PC{0,5}", 0..3)).prop_map(
                |(id, configuration, partition_columns)| {
                    Action::MetaData(Metadata {
                        schema_string: id.clone(),
                        id,
                        name: None,
                        description: None,
                        format: Format::default(),
                        partition_columns,
                        configuration,
                        created_time: Some(7),
                    })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_checkpoint_gives_back_its_actions_and_other_bytes_are_refused(
            actions in prop::collection::vec(action(), 1..20),
            flip in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let bytes = encode(&actions).unwrap();
            prop_assert_eq!(decode(bytes.clone()).unwrap(), actions);
            let mut other = bytes.clone();
            other[flip.index(bytes.len())] ^= 1u8 << bit;
            // Parquet has no checksums: it may be read otherwise, but nothing breaks.
            let _ = decode(other);
            prop_assert!(decode(bytes[..flip.index(bytes.len())].to_vec()).is_err());
        }
    }
}
