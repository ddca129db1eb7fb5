//! What is written is what is read: a property against a model that knows only JSON.

use super::log::Log;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
};
use base64::Engine as _;
use daybook_query::columnar::parquet::{Codec, Options};
use daybook_query::columnar::rows::BATCH_ROWS;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub type Row = BTreeMap<String, Value>;

/// A cell as JSON; times as numbers.
pub fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) if &**zone == "UTC" => {
            json!(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            (0..list.len()).map(|i| cell(&list, i)).collect()
        }
        other => panic!("a column has the type {other}"),
    }
}

pub fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    (0..batch.num_rows())
        .map(|row| {
            let columns = schema.fields().iter().zip(batch.columns());
            columns.map(|(field, array)| (field.name().clone(), cell(array, row))).collect()
        })
        .collect()
}

pub fn read(bytes: Vec<u8>) -> Vec<Row> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build();
    reader.unwrap().flat_map(|batch| rows_of(&batch.unwrap())).collect()
}

/// The row of a line, from nothing but its JSON.
fn model(log: &Log, at: usize, event_data: bool) -> Row {
    let line = &log.lines[at];
    let mut rest: Map<String, Value> = serde_json::from_slice(&line.json).unwrap();
    let kind = rest["kind"].as_str().unwrap().to_owned();
    let mut row = Row::new();
    for column in daybook_query::columnar::schema::COLUMNS {
        row.insert(column.name.to_owned(), Value::Null);
    }
    let mut set = |name: &str, value: Value| row.insert(name.to_owned(), value);
    set("offset", json!(line.offset));
    set("bytes", json!(line.json.len()));
    set("time", json!(line.time.0));
    set("event_time", json!(line.time.0 / 1000));
    set("received", json!(line.record().received.0));
    if !line.record().producer.is_empty() {
        set("producer", json!(line.record().producer));
    }
    set("event_type", json!(kind));
    set("session_id", json!(line.session));
    set("uid", json!(format!("{}:{}", line.session, line.seq)));
    if event_data {
        set("event_data", json!(String::from_utf8(line.json.clone()).unwrap()));
    }
    if let Some(data) = rest.get("data").and_then(Value::as_str) {
        let data = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        let text = String::from_utf8_lossy(&data).into_owned();
        if String::from_utf8(data).is_ok() {
            rest.remove("data");
        }
        rest.insert("text".to_owned(), json!(text));
    }
    rest.remove("time");
    let mut moves = vec!["session", "seq", "kind", "review", "decision", "by", "action", "target"];
    moves.extend(["verdict", "rule", "language", "input", "output", "error", "stream"]);
    moves.extend(["command", "exit_code", "duration_ms"]);
    if kind.starts_with("command") {
        moves.extend(["rows", "masked"]);
        set("masked", json!(0));
    }
    if kind == "session.start" {
        for fact in ["user", "user_name", "role", "type", "subtype", "agent", "client_ip", "tags"] {
            rest.remove(fact);
        }
    }
    for name in moves {
        if let Some(value) = rest.remove(name) {
            set(name, value);
        }
    }
    for (from, to) in [("text", "text"), ("reason", "text"), ("comment", "text")] {
        if let Some(value) = rest.remove(from) {
            set(
                match kind.as_str() {
                    "output" | "terminal.output" => "output",
                    "terminal.input" => "input",
                    _ => to,
                },
                value,
            );
        }
    }
    // The earliest start, by seq, tells of the session.
    let lines = log.lines.iter().filter(|other| other.session == line.session);
    let starts = lines.map(|other| serde_json::from_slice::<Value>(&other.json).unwrap());
    let start = starts
        .filter(|event| event["kind"] == "session.start")
        .min_by_key(|event| event["seq"].as_u64());
    let start = start.unwrap_or_default();
    for fact in ["user", "user_name", "role", "type", "subtype", "agent", "client_ip"] {
        set(fact, start[fact].clone());
    }
    set("tags", if start["tags"].is_null() { json!([]) } else { start["tags"].clone() });
    set("status", json!(log.sessions[&line.session].status().name()));
    if !rest.is_empty() {
        set("details", Value::Object(rest));
    }
    row
}

fn field(
    name: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Map<String, Value>> {
    prop::option::of(value)
        .prop_map(move |value| value.map(|v| (name.to_owned(), v)).into_iter().collect())
        .boxed()
}

fn fields(parts: Vec<BoxedStrategy<Map<String, Value>>>) -> BoxedStrategy<Map<String, Value>> {
    parts.prop_map(|parts| parts.into_iter().flatten().collect()).boxed()
}

fn always(
    name: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Map<String, Value>> {
    value.prop_map(move |value| Map::from_iter([(name.to_owned(), value)])).boxed()
}

fn text() -> impl Strategy<Value = Value> {
    ".{0,12}|[ -~\\n\\t\"\\\\]{0,40}".prop_map(Value::from)
}

fn word() -> impl Strategy<Value = Value> {
    "[a-z]{1,4}".prop_map(Value::from)
}

fn words() -> impl Strategy<Value = Value> {
    prop::collection::vec("[a-z;]{1,4}", 1..3).prop_map(Value::from)
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![0u64..4, 0..=i64::MAX as u64].prop_map(Value::from)
}

fn small() -> impl Strategy<Value = Value> {
    (0u32..200).prop_map(Value::from)
}

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::select(names).prop_map(Value::from)
}

fn counts() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[A-Z]{1,3}", 1u64..9, 1..3).prop_map(|map| json!(map))
}

fn content() -> BoxedStrategy<Map<String, Value>> {
    let data = prop::collection::vec(any::<u8>(), 0..12)
        .prop_map(|bytes| Value::from(base64::engine::general_purpose::STANDARD.encode(bytes)));
    prop_oneof![always("text", text()), always("data", data)].boxed()
}

fn body() -> impl Strategy<Value = (&'static str, Map<String, Value>)> {
    let verdict = || one_of(&["passed", "blocked", "pending", "approved", "rejected"]);
    let kinds = vec![
        (
            "session.start",
            fields(vec![
                field("user", word()),
                field("user_name", text()),
                field("groups", words()),
                field("role", word()),
                field("type", word()),
                field("subtype", word()),
                field("agent", word()),
                field("origin", word()),
                field("client_ip", word()),
                field("tags", words()),
                field("correlation_id", word()),
                field("cols", small()),
                field("rows", small()),
                field("metadata", Just(json!({"k": "v\u{0}\"é"}))),
            ]),
        ),
        (
            "command",
            fields(vec![
                always("input", text()),
                field("language", word()),
                field("verdict", verdict()),
                field("rule", word()),
                field("rerun_of", word()),
                field("output", text()),
                field("rows", number()),
                field("exit_code", (-9i64..300).prop_map(Value::from)),
                field("duration_ms", number()),
                field("masked", small()),
                field("masked_types", counts()),
            ]),
        ),
        (
            "output",
            fields(vec![
                field("command", small()),
                field("stream", one_of(&["stdout", "stderr", "result"])),
                content(),
                field("truncated", Just(json!(true))),
            ]),
        ),
        (
            "command.end",
            fields(vec![
                field("command", small()),
                field("duration_ms", number()),
                field("rows", number()),
                field("exit_code", small()),
                field("masked", small()),
                field("error", text()),
                field("masked_types", counts()),
            ]),
        ),
        ("terminal.output", content()),
        ("terminal.input", content()),
        ("terminal.marker", content()),
        ("terminal.resize", fields(vec![always("cols", small()), always("rows", small())])),
        (
            "review.request",
            fields(vec![
                always("review", word()),
                always("scope", one_of(&["session", "command"])),
                field("command", small()),
                field("groups", words()),
                field("min_approvals", small()),
                field("expires_at", Just(json!("2026-05-01T10:00:00.000001Z"))),
                field("reason", text()),
            ]),
        ),
        (
            "review.decision",
            fields(vec![
                always("review", word()),
                always("decision", one_of(&["approved", "rejected", "expired"])),
                field("by", word()),
                field("comment", text()),
            ]),
        ),
        (
            "session.end",
            fields(vec![
                always("status", one_of(&["done", "failed", "killed"])),
                field("exit_code", small()),
                field("reason", text()),
            ]),
        ),
        ("note", fields(vec![always("by", word()), always("text", text())])),
        (
            "access",
            fields(vec![always("by", word()), always("action", word()), field("target", word())]),
        ),
        (
            "retention",
            fields(vec![
                always("by", word()),
                always("action", one_of(&["hold", "release", "delete", "policy", "loss"])),
                field("target", word()),
                field("case", word()),
                field("reason", text()),
                field("metadata", Just(json!({"segment": "00000000000000000000"}))),
            ]),
        ),
    ];
    let kinds = kinds.into_iter().map(|(kind, body)| body.prop_map(move |b| (kind, b)).boxed());
    prop::strategy::Union::new(kinds)
}

pub fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let event = (0u32..4, 0i64..7_258_118_399_000_000, body());
    prop::collection::vec(event, 0..40).prop_map(|events| {
        let lines =
            events.into_iter().enumerate().map(|(seq, (session, time, (kind, mut body)))| {
                body.insert("session".to_owned(), json!(format!("s{session}")));
                body.insert("seq".to_owned(), json!(seq));
                body.insert(
                    "time".to_owned(),
                    json!(daybook_engine::event::Micros(time).to_string()),
                );
                body.insert("kind".to_owned(), json!(kind));
                Value::Object(body).to_string().into_bytes()
            });
        lines.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_parquet_file_gives_back_the_rows_of_its_events(
        lines in lines(),
        snappy in any::<bool>(),
        event_data in any::<bool>(),
    ) {
        let log = Log::of(lines.iter().map(Vec::as_slice));
        let codec = if snappy { Codec::Snappy } else { Codec::Zstd };
        let bytes = log.parquet(Options { codec, event_data, by_time: true }).unwrap();
        let mut rows = read(bytes);
        for row in &mut rows {
            // The order of keys in an object says nothing.
            if let Some(details) = row["details"].as_str() {
                let details = serde_json::from_str(details).unwrap();
                row.insert("details".to_owned(), details);
            }
        }
        let expected: Vec<Row> =
            (0..log.lines.len()).map(|at| model(&log, at, event_data)).collect();
        prop_assert_eq!(rows, expected);
    }
}

#[test]
fn a_file_of_many_batches_has_every_event_once_in_order() {
    let count = BATCH_ROWS * 2 + 17;
    let lines: Vec<String> = (0..count)
        .map(|i| {
            format!(
                r#"{{"session":"s{}","seq":{i},"time":"2026-03-01T00:00:00.{:06}Z","kind":"note","by":"x","text":"t"}}"#,
                i % 7,
                i
            )
        })
        .collect();
    let log = Log::of(lines.iter().map(String::as_bytes));
    let bytes =
        log.parquet(Options { codec: Codec::Zstd, event_data: true, by_time: true }).unwrap();
    let offsets: Vec<Value> = read(bytes).iter().map(|row| row["offset"].clone()).collect();
    assert_eq!(offsets, (0..count).map(|i| json!(i)).collect::<Vec<_>>());
}
