//! What a client of sudo's port may say, in any order: events or a reason, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| daybook_server::decoders::sudo(bytes));
