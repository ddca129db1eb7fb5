//! A recording of any bytes: a session's events that the log takes, or a reason, never a panic.
#![no_main]

use daybook_engine::event::wire::Event;
use daybook_tools::asciicast::{self, Labels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = asciicast::is_asciicast(bytes);
    match asciicast::decode(bytes) {
        Ok(recording) => {
            for line in asciicast::events(bytes, &recording, &Labels::default()) {
                // Its times are its own: the log refuses those that are out of range.
                if let Err(reason) = Event::decode(line.as_bytes()) {
                    assert!(!reason.is_empty());
                }
            }
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
});
