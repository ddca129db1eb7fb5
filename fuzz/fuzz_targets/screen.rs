//! A terminal that is sent any bytes: lines and pictures, never a panic, and the same picture by a keyframe.
#![no_main]

use daybook_engine::event::wire::Event;
use daybook_engine::screen::{Context, Emulator, Size};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, u32, Vec<(bool, String)>)| {
    let (cols, rows, parts) = input;
    let mut context = Context::default();
    let mut emulator = Emulator::new(Size { cols, rows });
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
        if !typed {
            emulator.show(&text);
            assert_eq!(Emulator::at(&emulator.keyframe()).look(), emulator.look());
        }
    }
});
