//! Frames of a replay, drawn on the terminal of who watches: characters and colours, and nothing else of what was
//! recorded.

use super::{clean, width};
use serde_json::Value;
use std::fmt::Write as _;

/// What a terminal has been told to show.
#[derive(Debug, Default)]
pub struct Picture {
    size: (u64, u64),
    rows: Vec<Vec<Value>>,
    plain: bool,
}

impl Picture {
    /// Nothing yet; `plain` is without colours.
    #[must_use]
    pub fn new(plain: bool) -> Picture {
        Picture { plain, ..Picture::default() }
    }

    /// What draws a frame over the one before, on a terminal of so many columns and rows: what does not fit is left
    /// out.
    pub fn draw(&mut self, frame: &Value, (cols, rows): (usize, usize)) -> String {
        let mut out = String::new();
        let number = |name: &str| frame.get(name).and_then(Value::as_u64).unwrap_or(0);
        let size = (number("cols"), number("rows"));
        if size != self.size {
            out.push_str("\u{1b}[0m\u{1b}[2J");
            self.size = size;
            self.rows.clear();
        }
        for line in frame.get("lines").and_then(Value::as_array).into_iter().flatten() {
            let row =
                line.get("row").and_then(Value::as_u64).and_then(|row| usize::try_from(row).ok());
            let (Some(row), Some(runs)) = (row, line.get("runs").and_then(Value::as_array)) else {
                continue;
            };
            if row < rows {
                let text = self.line(runs, cols);
                let _ = write!(out, "\u{1b}[{};1H\u{1b}[0m\u{1b}[2K{text}", row + 1);
            }
            if row < ROWS_MAX {
                self.rows.resize(self.rows.len().max(row + 1), Vec::new());
                if let Some(kept) = self.rows.get_mut(row) {
                    kept.clone_from(runs);
                }
            }
        }
        let at = |name: &str| frame.pointer(name).and_then(Value::as_u64);
        match (at("/cursor/row"), at("/cursor/col")) {
            (Some(row), Some(col)) => {
                let _ = write!(out, "\u{1b}[{};{}H\u{1b}[?25h", row + 1, col + 1);
            }
            _ => out.push_str("\u{1b}[?25l"),
        }
        out
    }

    /// What stands there in the end, as lines.
    #[must_use]
    pub fn lines(&self, cols: usize) -> String {
        let last = self.rows.iter().rposition(|runs| !runs.is_empty()).map_or(0, |last| last + 1);
        self.rows.iter().take(last).map(|runs| self.line(runs, cols) + "\n").collect()
    }

    fn line(&self, runs: &[Value], cols: usize) -> String {
        let mut out = String::new();
        let mut left = cols;
        for run in runs {
            let text = clean::text(run.get("text").and_then(Value::as_str).unwrap_or_default());
            let style = if self.plain { String::new() } else { style(run) };
            out.push_str(&style);
            for character in text.chars().filter(|c| !matches!(c, '\n' | '\t')) {
                let takes = width(character.encode_utf8(&mut [0; 4]));
                if takes > left {
                    left = 0;
                    break;
                }
                left -= takes;
                out.push(character);
            }
            if !style.is_empty() {
                out.push_str("\u{1b}[0m");
            }
            if left == 0 {
                break;
            }
        }
        out
    }
}

/// More rows than any terminal that is played has.
const ROWS_MAX: usize = 1_024;

/// What sets a run's style.
fn style(run: &Value) -> String {
    let mut codes: Vec<String> = Vec::new();
    for (name, code) in [
        ("bold", "1"),
        ("faint", "2"),
        ("italic", "3"),
        ("underline", "4"),
        ("blink", "5"),
        ("inverse", "7"),
        ("strikethrough", "9"),
    ] {
        if run.get(name) == Some(&Value::Bool(true)) {
            codes.push(code.to_owned());
        }
    }
    codes.extend(color(run.get("fg"), 38));
    codes.extend(color(run.get("bg"), 48));
    if codes.is_empty() { String::new() } else { format!("\u{1b}[{}m", codes.join(";")) }
}

fn color(value: Option<&Value>, which: u8) -> Option<String> {
    match value? {
        Value::Number(number) => Some(format!("{which};5;{}", number.as_u64()?.min(255))),
        Value::String(hex) => {
            let rgb = u32::from_str_radix(hex.strip_prefix('#')?, 16).ok()?;
            let [_, r, g, b] = rgb.to_be_bytes();
            Some(format!("{which};2;{r};{g};{b}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_frame_is_drawn_row_by_row_and_cut_at_the_edge() {
        let mut picture = Picture::new(false);
        let frame = json!({"cols": 9, "rows": 3, "cursor": {"col": 1, "row": 0}, "lines": [
            {"row": 0, "runs": [{"text": "a", "fg": 1, "bold": true}, {"text": "日本", "bg": "#010203"}]},
            {"row": 2, "runs": [{"text": "out of sight"}]}]});
        let drawn = picture.draw(&frame, (4, 2));
        assert!(
            drawn.contains("\u{1b}[1;38;5;1ma\u{1b}[0m\u{1b}[48;2;1;2;3m日\u{1b}[0m"),
            "{drawn:?}"
        );
        assert!(!drawn.contains("sight") && drawn.ends_with("\u{1b}[1;2H\u{1b}[?25h"));
        assert_eq!(Picture::new(true).draw(&json!({}), (4, 2)), "\u{1b}[?25l");
        assert_eq!(picture.lines(80).lines().nth(2), Some("out of sight"));
    }

    proptest! {
        #[test]
        fn nothing_recorded_drives_the_terminal(
            text in "[\\x00-\\x7f\\u{80}-\\u{9f}\\u{202e}界]{0,40}",
            fg in "[#0-9a-fA-F;m\\x1b]{0,9}",
        ) {
            let frame = json!({"cols": 9, "rows": 1, "cursor": null, "lines": [
                {"row": 0, "runs": [{"text": text, "fg": fg}]}]});
            let drawn = Picture::new(false).draw(&frame, (80, 24));
            // What is left when what is ours is taken away.
            let mut rest = drawn.clone();
            for ours in ["\u{1b}[0m", "\u{1b}[2J", "\u{1b}[2K", "\u{1b}[1;1H", "\u{1b}[?25l"] {
                rest = rest.replace(ours, "");
            }
            let colour = rest.strip_prefix("\u{1b}[38;2;").and_then(|rest| rest.split_once('m'));
            let rest = colour.map_or(&*rest, |(codes, rest)| {
                assert!(codes.chars().all(|c| c.is_ascii_digit() || c == ';'));
                rest
            });
            prop_assert!(!rest.chars().any(char::is_control), "{drawn:?}");
        }
    }
}
