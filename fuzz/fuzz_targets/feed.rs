//! A commit of a table, a cursor of a feed, a range of a file and a predicate of Delta Sharing, of any bytes: what they
//! say, or a reason, never a panic. What a commit says it says again when it is written.
#![no_main]

use daybook_query::feed::{delta, pull};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match delta::decode(bytes) {
        Ok(mut actions) => {
            // It may have fractions, which JSON does not keep to the last digit.
            actions.retain(|action| !matches!(action, delta::Action::CommitInfo(_)));
            let again = delta::encode(&actions).unwrap();
            assert_eq!(delta::decode(&again).unwrap(), actions);
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = pull::is_cursor("9fe940da-9849-40f4-a3ab-ba46ef951c77", text);
        daybook_server::decoders::feed(text);
    }
});
