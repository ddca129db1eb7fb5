//! Aligned columns that fit the terminal.

use super::Paint;

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// To the left.
    Left,
    /// To the right: numbers.
    Right,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// How its cells stand.
    pub align: Align,
    /// The width that it may be cut down to on a narrow terminal; 0 for a column that is never cut.
    pub least: usize,
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<(String, String)>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(columns: &[Column]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. Each cell is its text and the word that its colour is for (see [`Paint::state`]).
    pub fn row(&mut self, cells: Vec<(String, String)>) {
        self.rows.push(cells);
    }

    /// Has it no rows?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, at most `width` wide where its columns allow that.
    #[must_use]
    pub fn render(&self, paint: Paint, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut out = String::new();
        let headings: Vec<String> = self
            .columns
            .iter()
            .zip(&widths)
            .map(|(column, width)| fit(column.name, *width, column.align))
            .collect();
        out.push_str(&paint.bold(headings.join("  ").trim_end()));
        out.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(self.columns.iter().zip(&widths))
                .map(|((text, word), (column, width))| {
                    paint.state(word, &fit(text, *width, column.align))
                })
                .collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        out
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|c| c.name.chars().count()).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        let Some(limit) = limit else { return widths };
        let gaps = 2 * widths.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
        // The widest column that may be cut gives first.
        while over > 0 {
            let widest = widths
                .iter_mut()
                .zip(&self.columns)
                .filter(|(width, column)| column.least > 0 && **width > column.least)
                .max_by_key(|(width, _)| **width);
            let Some((width, _)) = widest else { break };
            *width -= 1;
            over -= 1;
        }
        widths
    }
}

fn fit(text: &str, width: usize, align: Align) -> String {
    let length = text.chars().count();
    if length > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{kept}…");
    }
    match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    }
}

/// The width of the terminal that standard output is, if it is one.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column_that_may_be_cut() {
        let mut table = Table::new(&[
            Column { name: "ID", align: Align::Left, least: 0 },
            Column { name: "N", align: Align::Right, least: 0 },
            Column { name: "TEXT", align: Align::Left, least: 4 },
        ]);
        table.row(vec![
            ("abc".into(), String::new()),
            ("12".into(), String::new()),
            ("a long sentence".into(), String::new()),
        ]);
        assert_eq!(table.render(Paint::plain(), Some(18)), "ID    N  TEXT\nabc  12  a long s…\n");
        assert_eq!(table.render(Paint::plain(), None), "ID    N  TEXT\nabc  12  a long sentence\n");
    }
}
