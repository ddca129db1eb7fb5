//! A line from its keys alone, for terminals that do not echo.

/// The line that keys leave: a backspace takes a character back, `^U` the line, `^W` the last word; escape
/// sequences (arrows, brackets around what is pasted) and other control characters leave nothing.
pub(super) fn line(keys: &str) -> String {
    let mut line = String::new();
    let mut keys = keys.chars();
    while let Some(key) = keys.next() {
        match key {
            '\u{8}' | '\u{7f}' => {
                line.pop();
            }
            '\u{15}' | '\u{3}' => line.clear(),
            '\u{17}' => {
                let kept = line.trim_end().rfind(' ').map_or(0, |at| at + 1);
                line.truncate(kept);
            }
            '\u{1b}' => skip(&mut keys),
            key if key.is_control() => {}
            key => line.push(key),
        }
    }
    line.trim().to_owned()
}

/// Passes over the rest of an escape sequence (ECMA-48, 5.4).
fn skip(keys: &mut std::str::Chars<'_>) {
    match keys.next() {
        Some('[') => {
            keys.find(|key| matches!(key, '@'..='~'));
        }
        Some('O') => {
            keys.next();
        }
        _ => {}
    }
}
