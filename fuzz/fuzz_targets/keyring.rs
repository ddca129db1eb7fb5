//! Any text as a file of encryption keys: keys or a reason, never a panic, and no line of it is shown.
#![no_main]

use daybook_engine::crypt::Keyring;
use libfuzzer_sys::fuzz_target;

/// A key among whatever else is in the file. (The fuzzer learns what errors say, and writes that itself.)
const KEY: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for text in [format!("{text}{KEY}{text}"), format!("{text}\n1:{KEY}=\n{text}")] {
        if let Err(error) = Keyring::parse(&text) {
            assert!(!error.to_string().contains(KEY));
        }
    }
    match Keyring::parse(text) {
        Ok(keys) => {
            let ids: Vec<u32> = keys.ids().collect();
            assert_eq!(keys.first(), ids.first().copied());
            assert_eq!(format!("{keys:?}"), format!("Keyring {{ ids: {ids:?} }}"));
        }
        Err(error) => assert!(!error.to_string().contains(KEY)),
    }
});
