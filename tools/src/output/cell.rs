//! A piece of text on one line, as wide as a terminal shows it.

use super::{Align, Look, Paint, clean};
use unicode_width::UnicodeWidthChar as _;

/// How many columns of a terminal a text takes, character by character, as terminals count: two for
/// a wide one, none for one that stands on another.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A text on one line, in pieces that look different.
///
/// **Invariant: nothing in it drives a terminal.** Whatever is put into it is made harmless, and its
/// line breaks, tabs and runs of blanks become one blank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pieces: Vec<(Look, String)>,
    /// There is a blank before what comes next, if anything does.
    blank: bool,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::new(Look::Plain, &text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::new(Look::Plain, text)
    }
}

impl Cell {
    /// A text in one look.
    #[must_use]
    pub fn new(look: Look, raw: &str) -> Cell {
        let mut cell = Cell::default();
        cell.push(look, raw);
        cell
    }

    /// Adds a piece.
    pub fn push(&mut self, look: Look, raw: &str) {
        let mut piece = String::with_capacity(raw.len());
        for c in clean::text(raw).chars() {
            if c.is_whitespace() {
                self.blank = !(self.pieces.is_empty() && piece.is_empty());
                continue;
            }
            if std::mem::take(&mut self.blank) {
                // Between two pieces it belongs to the one that is not underlined.
                let before = self.pieces.last_mut().filter(|_| piece.is_empty());
                match before.filter(|(look, _)| *look != Look::Found) {
                    Some((_, before)) => before.push(' '),
                    None => piece.push(' '),
                }
            }
            piece.push(c);
        }
        if !piece.is_empty() {
            self.pieces.push((look, piece));
        }
    }

    /// How many columns it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| width(text)).sum()
    }

    /// In so many columns, cut or filled up.
    #[must_use]
    pub fn fit(&self, columns: usize, align: Align, paint: Paint) -> String {
        let cut = self.cut(columns);
        let blanks = " ".repeat(columns.saturating_sub(cut.width()));
        let text = cut.paint(paint);
        match align {
            Align::Left => text + &blanks,
            Align::Right => blanks + &text,
        }
    }

    /// Painted.
    #[must_use]
    pub fn paint(&self, paint: Paint) -> String {
        self.pieces.iter().map(|(look, text)| paint.show(*look, text)).collect()
    }

    /// In at most so many columns; where something is left out stands `…`.
    #[must_use]
    pub fn cut(&self, columns: usize) -> Cell {
        if self.width() <= columns {
            return self.clone();
        }
        let mut left = columns.saturating_sub(1);
        let mut cut = Cell::default();
        for (look, text) in &self.pieces {
            let end = end_of(text, left);
            let (kept, rest) = text.split_at_checked(end).unwrap_or((text, ""));
            left -= width(kept);
            cut.pieces.push((*look, kept.to_owned()));
            if !rest.is_empty() {
                break;
            }
        }
        cut.mark_end();
        cut
    }

    /// As [`Cell::cut`], but where the first thing that a search found would be left out, the text
    /// before it goes instead.
    #[must_use]
    pub fn cut_around_found(&self, columns: usize) -> Cell {
        let found = self.pieces.iter().position(|(look, _)| *look == Look::Found);
        let Some(found) = found.filter(|_| self.width() > columns) else {
            return self.cut(columns);
        };
        let (before, rest) = self.pieces.split_at_checked(found).unwrap_or((&[], &self.pieces));
        let before: String = before.iter().map(|(_, text)| text.as_str()).collect();
        let found = rest.first().map_or(0, |(_, text)| width(text));
        if width(&before) + found < columns {
            return self.cut(columns);
        }
        // What stands before it is there to be understood by: a quarter is for that.
        let skipped = end_of(&before, width(&before).saturating_sub(columns / 4));
        let mut moved = Cell::default();
        moved.pieces.push((Look::Dim, "…".to_owned()));
        moved.pieces.push((Look::Plain, before.get(skipped..).unwrap_or_default().to_owned()));
        moved.pieces.extend_from_slice(rest);
        moved.cut(columns)
    }

    fn mark_end(&mut self) {
        match self.pieces.last_mut() {
            Some((_, text)) => text.push('…'),
            None => self.pieces.push((Look::Plain, "…".to_owned())),
        }
    }
}

/// Where a text ends that is cut to so many columns. What stands on a character stays with it.
fn end_of(text: &str, columns: usize) -> usize {
    let mut left = columns;
    for (at, c) in text.char_indices() {
        let wide = c.width().unwrap_or(0);
        if wide > left {
            return at;
        }
        left -= wide;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(cell: &Cell) -> String {
        cell.paint(Paint::plain())
    }

    #[test]
    fn wide_characters_take_two_columns_and_accents_none() {
        assert_eq!(width("日本"), 4);
        assert_eq!(width("e\u{301}te\u{301}"), 3);
        assert_eq!(Cell::from("日本語").fit(5, Align::Left, Paint::plain()), "日本…");
        assert_eq!(Cell::from("日本語").fit(4, Align::Left, Paint::plain()), "日… ");
        assert_eq!(Cell::from("日本").fit(6, Align::Right, Paint::plain()), "  日本");
    }

    #[test]
    fn a_cell_is_one_harmless_line() {
        let mut cell = Cell::new(Look::Plain, "\nSELECT *\n\t");
        cell.push(Look::Found, " FROM\u{1b}[2J cards\r\n");
        cell.push(Look::Plain, " ;");
        assert_eq!(shown(&cell), "SELECT * FROM cards ;");
        assert_eq!(cell.pieces.last(), Some(&(Look::Plain, " ;".to_owned())));
    }

    #[test]
    fn what_was_found_is_seen_though_the_text_is_cut() {
        let mut cell = Cell::new(Look::Plain, "a long way before it; then ");
        cell.push(Look::Found, "DROP TABLE");
        cell.push(Look::Plain, " customers and much more");
        assert_eq!(shown(&cell.cut_around_found(24)), "… then DROP TABLE custo…");
        assert_eq!(
            shown(&cell.cut_around_found(44)),
            "a long way before it; then DROP TABLE custo…"
        );
        assert_eq!(shown(&cell.cut_around_found(99)), shown(&cell));
    }

    proptest! {
        #[test]
        fn a_cell_is_as_wide_as_it_is_told(raw in "[a日e\u{301}\\x1b ]{0,30}", columns in 1usize..20) {
            let text = Cell::from(raw.as_str()).fit(columns, Align::Left, Paint::plain());
            prop_assert_eq!(width(&text), columns);
        }
    }
}
