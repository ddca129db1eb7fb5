//! Other people's readers take the files: `tests/interop/run.sh`.

use super::log::Log;
use daybook_query::columnar::parquet::{Codec, Options};
use daybook_query::export::{ExportRequest, Format, export};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Runs a check of `tests/interop`; skips, with a line that says so, where there is no Python with the packages.
pub fn check<S: AsRef<std::ffi::OsStr>>(script: &str, arguments: &[S]) {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/run.sh");
    let output = Command::new(run).arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success() || output.status.code() == Some(77), "{said}");
}

fn readers_agree(parquet: &[u8], expected: &Value) {
    let directory = tempfile::tempdir().unwrap();
    let [file, json] = ["events.parquet", "expected.json"].map(|name| directory.path().join(name));
    std::fs::write(&file, parquet).unwrap();
    std::fs::write(&json, expected.to_string()).unwrap();
    check("check.py", &[&file, &json]);
}

/// Sessions of two users whose events alternate, one with an output that is not UTF-8.
fn log() -> Log {
    let mut lines = Vec::new();
    for seq in 0..3000 {
        for (session, user) in [("one", "alice@example.com"), ("two", "bob@example.com")] {
            let mut event = match seq {
                0 => json!({"kind": "session.start", "user": user, "tags": ["a", "b"]}),
                1 => json!({"kind": "output", "data": "/wD+"}),
                n if n % 3 == 0 => json!({"kind": "command", "input": format!("SELECT {n} -- é")}),
                n => json!({"kind": "command.end", "command": n / 3 * 3, "duration_ms": n % 7}),
            };
            event["session"] = json!(session);
            event["seq"] = json!(seq);
            event["time"] = json!(format!("2026-03-01T00:00:00.{seq:06}Z"));
            lines.push(event.to_string());
        }
    }
    Log::of(lines.iter().map(String::as_bytes))
}

fn expected(event_data: bool) -> Value {
    json!({
        "events": 6000,
        "sessions": {"one": 3000, "two": 3000, "three": 0},
        "users": {"alice@example.com": 3000, "carol@example.com": 0},
        "event_data": event_data,
    })
}

#[test]
fn duckdb_pyarrow_and_polars_read_a_segments_parquet() {
    for codec in [Codec::Zstd, Codec::Snappy] {
        let bytes = log().parquet(Options { codec, event_data: false, by_time: true }).unwrap();
        readers_agree(&bytes, &expected(false));
    }
}

#[test]
fn duckdb_pyarrow_and_polars_read_an_export() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = log().sealed(directory.path());
    let request = ExportRequest::new(None, Format::Parquet);
    let mut bytes = Vec::new();
    export(&snapshot, &request, &mut bytes).unwrap();
    readers_agree(&bytes, &expected(true));
}
