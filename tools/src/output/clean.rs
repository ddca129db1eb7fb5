//! Recorded text made safe to show: what a session printed must not drive the terminal of the person
//! who reads it.

use std::borrow::Cow;

/// Text without escape sequences, and with other control characters made visible. Line breaks and
/// tabs stay; `\r\n` becomes `\n`.
#[must_use]
pub fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\u{1b}' => skip_escape(&mut chars),
            '\u{0}'..='\u{1f}' => out.extend(char::from_u32(0x2400 + c as u32)),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}' => out.push('\u{fffd}'),
            c if reorders(c) => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

/// Does it reorder or hide what is around it?
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON with the same value, in which characters that could drive a terminal are escaped also where
/// JSON does not ask for it.
#[must_use]
pub fn json(line: &str) -> Cow<'_, str> {
    let escaped = |c: char| matches!(c, '\u{7f}'..='\u{9f}') || reorders(c);
    if !line.contains(escaped) {
        return Cow::Borrowed(line);
    }
    // They stand only in strings, and none of them takes two units of UTF-16.
    let escape = |c: char| if escaped(c) { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
    Cow::Owned(line.chars().map(escape).collect())
}

/// The same on one line: breaks and tabs become spaces.
#[must_use]
pub fn line(raw: &str) -> String {
    text(raw).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Skips what follows an escape character: a control sequence, a string, or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            // Parameters and intermediates, then one final byte.
            while let Some(c) = chars.next_if(|c| matches!(c, ' '..='?')) {
                let _ = c;
            }
            chars.next_if(|c| matches!(c, '@'..='~'));
        }
        Some(']' | 'P' | '_' | '^') => {
            let mut rest = chars.clone();
            while let Some(c) = rest.next() {
                if c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                    *chars = rest;
                    break;
                }
            }
            // One without an end hides nothing.
        }
        Some('(' | ')' | '#' | '%') => {
            chars.next();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_and_titles_go_and_text_stays() {
        assert_eq!(text("\u{1b}[1;31mred\u{1b}[0m\r\n\u{1b}]0;title\u{7}ok"), "red\nok");
        assert_eq!(line("SELECT 1\n  FROM\tt"), "SELECT 1 FROM t");
        assert_eq!(text("\u{1b}]0;a title without an end"), "0;a title without an end");
    }

    #[test]
    fn json_means_the_same_and_does_not_drive_a_terminal_either() {
        let value = serde_json::json!("\u{9b}31m \u{7f}\u{202e} żółć");
        let line = value.to_string();
        let shown = json(&line);
        assert_eq!(shown, r#""\u009b31m \u007f\u202e żółć""#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    proptest! {
        #[test]
        fn nothing_that_drives_a_terminal_is_left(raw in "[\\x00-\\x7f\\u{80}-\\u{9f}\\u{202e}]{0,60}") {
            let shown = text(&raw);
            prop_assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
