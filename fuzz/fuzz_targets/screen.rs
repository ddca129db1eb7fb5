//! A terminal that is sent any bytes: lines, never a panic.
#![no_main]

use daybook_engine::event::wire::Event;
use daybook_engine::screen::{Context, Size};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, u32, Vec<(bool, String)>)| {
    let (cols, rows, parts) = input;
    let mut context = Context::default();
    for (typed, text) in parts {
        let kind = if typed { "terminal.input" } else { "terminal.output" };
        let line = serde_json::json!({
            "session": "s", "time": "2026-03-01T00:00:00Z", "kind": kind, "text": text
        });
        let line = line.to_string();
        let event = Event::decode(line.as_bytes()).expect("any text is one");
        let seen = context.seen(&event, Size { cols, rows });
        for line in seen.lines.iter().chain(&seen.typed) {
            assert!(!line.text.is_empty() && !line.text.contains('\n'));
        }
        context.push(&event);
    }
});
