//! Every format of an export says the same of the same events.

use super::log::Log;
use super::round_trip::{Row, lines, read, rows_of};
use daybook_engine::event::Micros;
use daybook_engine::view::Snapshot;
use daybook_query::export::{ExportRequest, ExportSummary, Format, export};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn exported(snapshot: &Snapshot, format: Format) -> (Vec<u8>, ExportSummary) {
    let mut out = Vec::new();
    let summary = export(snapshot, &ExportRequest::new(None, format), &mut out).unwrap();
    assert_eq!(summary.bytes, out.len() as u64);
    (out, summary)
}

fn by_offset(rows: Vec<Row>) -> BTreeMap<u64, Row> {
    rows.into_iter().map(|row| (row["offset"].as_u64().unwrap(), row)).collect()
}

/// A cell as CSV has it.
fn flat(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(tags) => {
            tags.iter().map(|tag| tag.as_str().unwrap()).collect::<Vec<_>>().join(";")
        }
        number if ["time", "received"].contains(&name) => {
            Micros(number.as_i64().unwrap()).to_string()
        }
        number => number.to_string(),
    }
}

fn check(lines: &[Vec<u8>]) {
    let log = Log::of(lines.iter().map(Vec::as_slice));
    let directory = tempfile::tempdir().unwrap();
    let snapshot = log.sealed(directory.path());

    let (parquet, summary) = exported(&snapshot, Format::Parquet);
    assert_eq!(summary.events, lines.len() as u64);
    let rows = by_offset(read(parquet));
    let offsets: Vec<u64> = rows.keys().copied().collect();
    assert_eq!(offsets, (0..lines.len() as u64).collect::<Vec<_>>());
    for (row, line) in rows.values().zip(lines) {
        assert_eq!(row["event_data"], json!(std::str::from_utf8(line).unwrap()));
    }

    let (arrow, _) = exported(&snapshot, Format::Arrow);
    let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(arrow), None);
    let batches = reader.unwrap().flat_map(|batch| rows_of(&batch.unwrap()));
    assert_eq!(by_offset(batches.collect()), rows);

    let (ndjson, _) = exported(&snapshot, Format::Ndjson);
    let mut seen = 0;
    for line in ndjson.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_slice(line).unwrap();
        let offset = event["offset"].as_u64().unwrap();
        let mut sent: Value = serde_json::from_slice(&lines[offset as usize]).unwrap();
        sent["offset"] = json!(offset);
        if sent["seq"].is_null() {
            sent["seq"] = rows[&offset]["seq"].clone();
        }
        // Where somebody was asked who sends, the line says who did, and when.
        if !rows[&offset]["producer"].is_null() {
            sent["producer"] = rows[&offset]["producer"].clone();
            let received = Micros(rows[&offset]["received"].as_i64().unwrap());
            sent["received"] = json!(received.to_string());
        }
        assert_eq!(event, sent);
        seen += 1;
    }
    assert_eq!(seen, lines.len());
    // In slices it is the same.
    let mut slices = Vec::new();
    for from in (0..lines.len() as u64).step_by(7) {
        let request = ExportRequest::new(None, Format::Ndjson);
        let request = ExportRequest { offsets: from..from + 7, ..request };
        export(&snapshot, &request, &mut slices).unwrap();
    }
    let sorted = |bytes: &[u8]| {
        let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(Vec::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&slices), sorted(&ndjson));

    let (csv, _) = exported(&snapshot, Format::Csv);
    let mut reader = csv::Reader::from_reader(csv.as_slice());
    let header = reader.headers().unwrap().clone();
    assert_eq!((header.get(0), header.len()), (Some("offset"), 36));
    let mut seen = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let row = &rows[&record[0].parse::<u64>().unwrap()];
        for (name, field) in header.iter().zip(&record) {
            assert_eq!(field, flat(name, &row[name]), "{name}");
        }
        seen += 1;
    }
    assert_eq!(seen, lines.len());

    // The copies that sealing wrote: the same rows in the order of time, without the lines.
    let mut copied = Vec::new();
    for part in &snapshot.parts {
        let path = directory.path().join(format!("{:020}/events.parquet", part.base().0));
        let rows = read(std::fs::read(path).unwrap());
        let time = |row: &Row| (row["time"].as_i64().unwrap(), row["offset"].as_u64().unwrap());
        assert!(rows.is_sorted_by_key(time));
        copied.extend(rows);
    }
    let mut rows = rows;
    for row in rows.values_mut() {
        row.insert("event_data".to_owned(), Value::Null);
    }
    assert_eq!(by_offset(copied), rows);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn all_formats_of_an_export_say_the_same_as_the_lines_that_were_sent(lines in lines()) {
        check(&lines);
    }
}

#[test]
fn a_seq_that_was_assigned_is_in_the_line_of_an_ndjson_export() {
    let line = |text: &str| {
        format!(
            r#" {{"session":"a","time":"2026-03-01T00:00:00Z","kind":"note","by":"x","text":"{text}"}} "#
        )
        .into_bytes()
    };
    check(&[line("1"), line("\\\"seq\\\":7")]);
}

/// An output that takes some bytes, then no more: a full disk, a reader that went away.
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        if self.0 < buffer.len() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0 -= buffer.len();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_export_whose_output_is_full_fails_in_every_format() {
    let line = br#"{"session":"a","seq":1,"time":"2026-03-01T00:00:00Z","kind":"note","by":"x","text":"t"}"#;
    let log = Log::of([line.as_slice()].into_iter());
    let directory = tempfile::tempdir().unwrap();
    let snapshot = log.sealed(directory.path());
    for format in Format::ALL {
        let request = ExportRequest::new(None, format);
        let whole = export(&snapshot, &request, &mut Vec::new()).unwrap().bytes as usize;
        for room in [0, whole / 2, whole - 1] {
            assert!(export(&snapshot, &request, &mut Full(room)).is_err(), "{format:?} {room}");
        }
    }
}
