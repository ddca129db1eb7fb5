//! Log records to documents.
//!
//! ```text
//! resource.attributes   {"service.name": "gateway", "host.name": "web-1",
//! scope.name             "otel.scope.name": "audit",
//! attributes             "session.id": "s-1", "user.name": "alice", "db.query.text": "select 1",
//! timeUnixNano           "@timestamp": "2026-03-01T09:30:00.000000001Z",
//! body, severityText     "body": "...", "severity_text": "INFO",
//! traceId, eventName     "trace_id": "5b8e...", "event.name": "..."}
//! ```
//!
//! What is nearer to the record is over what is farther; a body of fields is read as fields, too. The
//! protocol has no ids, and allows duplicates: a record's id is its own `log.record.uid`, or a hash of all
//! that it says with its resource and scope and, among records of a request that say the same, its place.
//! A record without any time gets no id: two that say the same may be two.

use crate::doors::mapping::Mapping;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// The documents of a request's records, with their ids.
pub fn documents<'a>(
    mapping: &'a Mapping,
    request: &'a ExportLogsServiceRequest,
) -> impl Iterator<Item = (Value, Option<String>)> {
    let mut met: HashMap<[u8; 32], u32> = HashMap::new();
    let scopes = request.resource_logs.iter().flat_map(|resource_logs| {
        let mut fields = Map::new();
        let mut said = Sha256::new();
        if let Some(resource) = &resource_logs.resource {
            put(&mut fields, &resource.attributes);
            said.update(resource.encode_to_vec());
        }
        resource_logs.scope_logs.iter().flat_map(move |scope_logs| {
            let (mut fields, mut said) = (fields.clone(), said.clone());
            if let Some(scope) = &scope_logs.scope {
                if !scope.name.is_empty() {
                    fields.insert("otel.scope.name".to_owned(), json!(scope.name));
                }
                put(&mut fields, &scope.attributes);
                said.update(scope.encode_to_vec());
            }
            scope_logs.log_records.iter().map(move |record| (fields.clone(), said.clone(), record))
        })
    });
    scopes.map(move |(fields, mut said, record)| {
        let document = document(fields, record);
        let timed = record.time_unix_nano != 0 || record.observed_time_unix_nano != 0;
        let id = (timed && mapping.find(&document, "id").is_none()).then(|| {
            said.update(record.encode_to_vec());
            let hash: [u8; 32] = said.finalize().into();
            let place = met.entry(hash).or_default();
            *place += 1;
            let mut id = hex::encode(hash.get(..16).unwrap_or_default());
            if *place > 1 {
                id.push_str(&format!("-{place}"));
            }
            id
        });
        (document, id)
    })
}

fn document(mut fields: Map<String, Value>, record: &LogRecord) -> Value {
    put(&mut fields, &record.attributes);
    if let Some(body) = record.body.as_ref() {
        let body = value(body);
        if let Value::Object(inner) = &body {
            for (key, value) in inner {
                fields.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        fields.insert("body".to_owned(), body);
    }
    let nanos = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        nanos => nanos,
    };
    if nanos != 0
        && let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(nanos))
    {
        fields.insert("@timestamp".to_owned(), json!(time.to_string()));
    }
    for (name, text) in [
        ("severity_text", record.severity_text.clone()),
        ("event.name", record.event_name.clone()),
        ("trace_id", hex::encode(&record.trace_id)),
        ("span_id", hex::encode(&record.span_id)),
    ] {
        if !text.is_empty() {
            fields.insert(name.to_owned(), json!(text));
        }
    }
    Value::Object(fields)
}

fn put(fields: &mut Map<String, Value>, attributes: &[KeyValue]) {
    for KeyValue { key, value: given, .. } in attributes {
        if let Some(given) = given {
            fields.insert(key.clone(), value(given));
        }
    }
}

/// A value as JSON; bytes as base64.
fn value(any: &AnyValue) -> Value {
    match &any.value {
        None => Value::Null,
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(switch)) => json!(switch),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::BytesValue(bytes)) => json!(STANDARD.encode(bytes)),
        Some(Any::ArrayValue(list)) => list.values.iter().map(value).collect(),
        Some(Any::KvlistValue(list)) => {
            let mut fields = Map::new();
            put(&mut fields, &list.values);
            Value::Object(fields)
        }
        // An index into a table that only profiles have.
        #[allow(unreachable_patterns, reason = "newer versions of the protocol have more")]
        Some(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::doors::otlp::Form;
    use proptest::prelude::*;

    const REQUEST: &str = r#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"gateway"}},{"key":"user.name","value":{"stringValue":"nobody"}}]},
        "scopeLogs":[{"scope":{"name":"audit"},"logRecords":[
        {"timeUnixNano":"1772357400000000001","severityNumber":9,"severityText":"INFO","body":{"stringValue":"hello"},
         "traceId":"5B8EFFF798038103D269B633813FC60C","futureField":1,
         "attributes":[{"key":"user.name","value":{"stringValue":"alice"}},{"key":"n","value":{"intValue":7}},
          {"key":"m","value":{"intValue":"8"}}]},
        {"body":{"kvlistValue":{"values":[{"key":"session.id","value":{"stringValue":"s"}}]}}}]}]}]}"#;

    #[test]
    fn a_record_is_a_document_with_what_is_nearer_over_what_is_farther() {
        let request = Form::Json.decode(REQUEST.as_bytes()).unwrap();
        let mapping = Mapping::default();
        let found: Vec<_> = documents(&mapping, &request).collect();
        let (document, id) = &found[0];
        let expected = json!({"service.name": "gateway", "otel.scope.name": "audit",
            "user.name": "alice", "n": 7, "m": 8, "@timestamp": "2026-03-01T09:30:00.000000001Z",
            "body": "hello", "severity_text": "INFO", "trace_id": "5b8efff798038103d269b633813fc60c"});
        assert_eq!(document, &expected);
        assert_eq!(id.as_ref().map(String::len), Some(32));
        assert_eq!((&found[1].0["session.id"], &found[1].1), (&json!("s"), &None));
    }

    #[test]
    fn an_id_is_the_same_for_the_same_request_and_another_for_each_record() {
        let mut request = Form::Json.decode(REQUEST.as_bytes()).unwrap();
        let records = &mut request.resource_logs[0].scope_logs[0].log_records;
        *records = vec![records[0].clone(), records[0].clone()];
        let mapping = Mapping::default();
        let ids = |request: &ExportLogsServiceRequest| -> Vec<_> {
            documents(&mapping, request).map(|(_, id)| id.unwrap()).collect()
        };
        let first = ids(&request);
        assert_eq!(first[1], format!("{}-2", first[0]));
        let protobuf = Form::Protobuf.decode(&request.encode_to_vec()).unwrap();
        assert_eq!(ids(&protobuf), first);
        request.resource_logs[0].resource = None;
        assert_ne!(ids(&request)[0], first[0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for form in [Form::Protobuf, Form::Json] {
                if let Ok(request) = form.decode(&bytes) {
                    let _ = documents(&Mapping::default(), &request).count();
                }
            }
        }

        #[test]
        fn a_request_that_was_changed_somewhere_is_a_request_or_a_reason(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), protobuf in any::<bool>(),
        ) {
            let request = Form::Json.decode(REQUEST.as_bytes()).unwrap();
            let (form, mut bytes) = match protobuf {
                true => (Form::Protobuf, request.encode_to_vec()),
                false => (Form::Json, REQUEST.as_bytes().to_vec()),
            };
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(request) = form.decode(&bytes) {
                let _ = documents(&Mapping::default(), &request).count();
            }
        }
    }
}
