//! The files of a log of sudo's, of any bytes: what they say, or a reason, never a panic.
#![no_main]

use daybook_tools::foreign::{SudoLog, Timing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for log in [SudoLog::from_json(bytes), SudoLog::from_text(bytes)] {
        if let Err(reason) = log {
            assert!(!reason.is_empty());
        }
    }
    for line in String::from_utf8_lossy(bytes).lines() {
        match Timing::read(line) {
            Ok((nanos, _)) => assert!(nanos >= 0),
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
});
