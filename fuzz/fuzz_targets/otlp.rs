//! An OTLP request of any bytes, as protobuf and JSON: records or a reason, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| daybook_server::decoders::otlp(bytes));
