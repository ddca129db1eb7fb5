//! What the columns of a file of events cost, in bytes and in CPU:
//! `DAYBOOK_CORPUS=events.ndjson cargo nextest run --workspace --run-ignored only -E 'test(measure)' --no-capture`

use super::log::Log;
use daybook_query::columnar::parquet::{Codec, Options, Writer};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::collections::BTreeMap;

/// CPU time of this thread, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
#[ignore = "measures a file of events that DAYBOOK_CORPUS names"]
fn measure_the_columns_of_a_file_of_events() {
    let raw = std::fs::read(std::env::var("DAYBOOK_CORPUS").unwrap()).unwrap();
    let log = Log::of(raw.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()));
    let records: Vec<_> = log
        .lines
        .iter()
        .map(|line| (line.record(), line.session.as_str(), &log.sessions[&line.session]))
        .collect();
    println!("{} events, {} sessions, {} bytes raw", records.len(), log.sessions.len(), raw.len());
    for (name, codec, event_data) in [
        ("segment (zstd)", Codec::Zstd, false),
        ("segment (snappy)", Codec::Snappy, false),
        ("export (zstd)", Codec::Zstd, true),
    ] {
        let start = cpu_seconds();
        let options = Options { codec, event_data, by_time: true };
        let mut writer = Writer::new(Vec::new(), options).unwrap();
        for (record, session, state) in &records {
            writer.push(record, session, state).unwrap();
        }
        let (bytes, _) = writer.finish().unwrap();
        let seconds = cpu_seconds() - start;
        let ratio = bytes.len() as f64 / raw.len() as f64;
        println!("{name}: {} bytes, {ratio:.3} of raw, {seconds:.2} CPU s", bytes.len());
        if let Ok(directory) = std::env::var("DAYBOOK_MEASURE_OUT") {
            std::fs::write(format!("{directory}/{name}.parquet"), &bytes).unwrap();
        }
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        let mut columns: BTreeMap<String, i64> = BTreeMap::new();
        for group in reader.metadata().row_groups() {
            for column in group.columns() {
                let size = column.compressed_size()
                    + i64::from(column.bloom_filter_length().unwrap_or_default());
                *columns.entry(column.column_path().string()).or_default() += size;
            }
        }
        let mut columns: Vec<_> = columns.into_iter().collect();
        columns.sort_by_key(|(_, size)| -size);
        for (column, size) in columns {
            println!("  {size:>10} {column}");
        }
    }
}
