//! Recorded text made safe to show: what a session printed must not drive the terminal of the person
//! who reads it.

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
            // Characters that reorder or hide what is around them.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            _ => out.push(c),
        }
    }
    out
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
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
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
    }

    proptest! {
        #[test]
        fn nothing_that_drives_a_terminal_is_left(raw in "[\\x00-\\x7f\\u{80}-\\u{9f}\\u{202e}]{0,60}") {
            let shown = text(&raw);
            prop_assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
