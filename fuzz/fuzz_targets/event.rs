//! A line of any bytes: an event or a reason, never a panic.
#![no_main]

use daybook_engine::Batch;
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    match Event::decode(line) {
        Ok(event) => {
            for (_, text) in Texts::of(&event).iter() {
                for word in daybook_engine::text::words::words(text) {
                    assert!(text.get(word).is_some_and(|word| !word.is_empty()));
                }
            }
            Batch::new().push(1, line).expect("a batch takes what decodes");
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
});
