//! A bulk request of any bytes: each document is an event or a reason, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| daybook_server::decoders::bulk(bytes));
