//! Text without what drives a terminal: escape sequences go, also those that are cut between two events, and control
//! characters that are left are shown as signs.

/// Takes escape sequences out of a text that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plain {
    state: State,
    /// A carriage return came, and it is not known yet whether a line feed follows.
    returned: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After the escape character.
    Escape,
    /// In a control sequence, up to its final character.
    Control,
    /// In a string (a title, say), up to BEL or ST.
    Quoted,
    /// In a string after an escape character, which ST begins with.
    QuotedEscape,
    /// One more character belongs to it.
    One,
}

impl Plain {
    /// Adds what is left of a piece.
    pub(super) fn push(&mut self, piece: &str, out: &mut String) {
        for character in piece.chars() {
            self.next(character, out);
        }
    }

    fn next(&mut self, character: char, out: &mut String) {
        self.state = match (self.state, character) {
            (State::Text, '\u{1b}') => State::Escape,
            (State::Text, character) => {
                self.show(character, out);
                State::Text
            }
            (State::Escape, '[') => State::Control,
            (State::Escape, ']' | 'P' | '_' | '^') => State::Quoted,
            (State::Escape, '(' | ')' | '#' | '%') => State::One,
            (State::Control, '\u{20}'..='\u{3f}') => State::Control,
            (State::Quoted, '\u{7}') => State::Text,
            (State::Quoted, '\u{1b}') => State::QuotedEscape,
            // One without an end hides nothing behind its line.
            (State::Quoted, '\n') => {
                self.show('\n', out);
                State::Text
            }
            (State::Quoted, _) => State::Quoted,
            (State::QuotedEscape, '[') => State::Control,
            (State::Escape | State::Control | State::QuotedEscape | State::One, _) => State::Text,
        };
    }

    fn show(&mut self, character: char, out: &mut String) {
        if std::mem::take(&mut self.returned) && character != '\n' {
            out.push('\u{240d}');
        }
        match character {
            '\n' | '\t' => out.push(character),
            '\r' => self.returned = true,
            '\0'..='\u{1f}' => out.extend(char::from_u32(0x2400 + character as u32)),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}' => out.push('\u{fffd}'),
            // They reorder or hide what is around them.
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            _ => out.push(character),
        }
    }
}

/// A whole text without them.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    Plain::default().push(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_and_titles_go_and_text_stays() {
        assert_eq!(plain("\u{1b}[1;31mred\u{1b}[0m\r\n\u{1b}]0;title\u{7}ok"), "red\nok");
        assert_eq!(plain("a\rb\u{8}"), "a\u{240d}b\u{2408}");
    }

    proptest! {
        #[test]
        fn pieces_are_as_the_whole_and_nothing_drives_a_terminal(
            text in "[\\x00-\\x7f\\u{80}-\\u{9f}\\u{202e}\\x1b\\[\\]]{0,60}", at in 0usize..60,
        ) {
            let cut = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
            let (first, second) = text.split_at(cut);
            let mut pieces = String::new();
            let mut state = Plain::default();
            state.push(first, &mut pieces);
            state.push(second, &mut pieces);
            prop_assert_eq!(&pieces, &plain(&text));
            prop_assert!(pieces.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
