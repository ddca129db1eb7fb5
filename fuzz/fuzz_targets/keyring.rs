//! Any text as a file of encryption keys: keys or a reason, never a panic, and no line of it is shown.
#![no_main]

use daybook_engine::crypt::Keyring;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Keyring::parse(text) {
        Ok(keys) => {
            let ids: Vec<u32> = keys.ids().collect();
            assert_eq!(keys.first(), ids.first().copied());
            assert_eq!(format!("{keys:?}"), format!("Keyring {{ ids: {ids:?} }}"));
        }
        Err(error) => {
            let said = error.to_string();
            for line in text.lines().map(str::trim).filter(|line| line.len() > 40) {
                assert!(!said.contains(line));
            }
        }
    }
});
