//! A file of any bytes, as each of the formats that are imported: events or a reason, never a panic.
#![no_main]

use daybook_tools::asciicast::Labels;
use daybook_tools::foreign::{self, Found};
use daybook_tools::record::{Piece, Utf8};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let labels = Labels::default();
    let _ = foreign::shape(bytes);
    let mut noted = Found::default();
    let json = foreign::from_json(bytes, &mut noted);
    let export = foreign::from_export(bytes, &mut noted);
    let all = [
        foreign::tlog(bytes, &labels),
        foreign::tlog_messages(json, Found::default(), &labels),
        foreign::tlog_messages(export, Found::default(), &labels),
        foreign::hoop(bytes, &labels),
        foreign::hoop_stream(bytes, &labels),
        foreign::teleport(bytes, &labels),
    ];
    for result in all {
        match result {
            // An empty page holds no session, and nothing is wrong with it.
            Ok(found) => assert!(found.skipped.iter().all(|skipped| !skipped.what.is_empty())),
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    let mut utf8 = Utf8::default();
    let mut out = Vec::new();
    for piece in bytes
        .chunks(3)
        .map(|cut| utf8.push(cut))
        .collect::<Vec<_>>()
        .into_iter()
        .chain([utf8.end()])
    {
        match piece {
            Some(Piece::Text(text)) => out.extend_from_slice(text.as_bytes()),
            Some(Piece::Bytes(bytes)) => out.extend_from_slice(&bytes),
            None => {}
        }
    }
    assert_eq!(out, bytes);
});
