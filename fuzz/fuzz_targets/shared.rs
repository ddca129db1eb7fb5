//! A link's token and what it grants, a case's file, and a result that may have tables, of any bytes: what they say, or a
//! reason, never a panic.
#![no_main]

use daybook_query::{case_file, download};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    if let Err(reason) = case_file::check(Cursor::new(bytes), None) {
        assert!(!reason.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(daybook_server::decoders::link(text));
        assert!(download::count_tables(text) <= text.len() / 3);
    }
});
