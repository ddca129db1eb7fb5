//! A query of any text: an expression or an error inside the text, never a panic.
#![no_main]

use daybook_engine::event::Micros;
use daybook_query::lang::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let now = Micros(1_772_000_000_000_000);
    match parse(text, now) {
        Ok(query) => {
            let again = parse(&query.to_string(), now).expect("what is printed can be read");
            assert_eq!(query.to_string(), again.to_string());
        }
        Err(error) => {
            assert!(error.start <= error.end && error.end <= text.len());
            assert!(text.is_char_boundary(error.start) && text.is_char_boundary(error.end));
        }
    }
});
