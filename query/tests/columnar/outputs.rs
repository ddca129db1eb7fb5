//! Rows that have less of outputs than their text: nothing else differs, and nothing of an output is left.

use super::log::Log;
use super::round_trip::{Row, lines, rows_of};
use base64::Engine as _;
use daybook_query::columnar::outputs::Outputs;
use daybook_query::columnar::rows::Rows;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

fn rows(log: &Log, event_data: bool, outputs: Outputs) -> Vec<Row> {
    let mut rows = Rows::new(event_data, outputs);
    for line in &log.lines {
        rows.push(&line.record(), &line.session, &log.sessions[&line.session]).unwrap();
    }
    rows_of(&rows.take().unwrap())
}

/// The bytes of a line's output.
fn output(line: &[u8]) -> Option<Vec<u8>> {
    let event: Value = serde_json::from_slice(line).unwrap();
    match event["kind"].as_str().unwrap() {
        "command" => event["output"].as_str().map(|text| text.as_bytes().to_vec()),
        "output" | "terminal.output" => Some(match event["text"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => base64::engine::general_purpose::STANDARD
                .decode(event["data"].as_str().unwrap())
                .unwrap(),
        }),
        _ => None,
    }
}

fn details(row: &Row) -> Map<String, Value> {
    row["details"].as_str().map_or_else(Map::new, |text| serde_json::from_str(text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn rows_without_outputs_have_all_else_and_at_most_a_hash_of_them(
        lines in lines(),
        event_data in any::<bool>(),
        outputs in prop::sample::select(&[Outputs::Hash, Outputs::None]),
    ) {
        let log = Log::of(lines.iter().map(Vec::as_slice));
        let texts = rows(&log, false, Outputs::Text);
        let found = rows(&log, event_data, outputs);
        prop_assert_eq!(found.len(), texts.len());
        for ((mut text, mut found), line) in texts.into_iter().zip(found).zip(&log.lines) {
            let (mut expected, got) = (details(&text), details(&found));
            if let Some(output) = output(&line.json) {
                expected.remove("data");
                if outputs == Outputs::Hash {
                    let hash = Sha256::digest(&output);
                    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                    expected.insert("output".to_owned(), json!({"sha256": hash, "bytes": output.len()}));
                }
                text.insert("output".to_owned(), Value::Null);
            }
            prop_assert_eq!(found["details"] == Value::Null, expected.is_empty());
            prop_assert_eq!(got, expected);
            text.remove("details");
            found.remove("details");
            prop_assert_eq!(found, text);
        }
    }
}
