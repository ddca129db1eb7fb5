//! Aligned columns that fit the terminal.

use super::cell::width;
use super::{Cell, Look, Paint};

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

/// What stands between two columns.
const GAP: &str = "  ";
/// Where a text stands that is under its row.
const INDENT: &str = "    ";
/// A text stands beside its row if the terminal leaves it so many columns, else under it.
const TEXT_LEAST: usize = 40;

/// Rows under headings. A row may end in a text of some lines, which takes what the columns leave.
///
/// What is rendered is gone; what comes later stands under the same headings, in columns that are never
/// narrower than they were.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    /// The heading of the texts.
    text: Option<&'static str>,
    rows: Vec<Row>,
    widths: Vec<usize>,
    headed: bool,
}

#[derive(Clone, Debug)]
struct Row {
    cells: Vec<Cell>,
    text: Vec<Cell>,
}

/// Where the texts of rows stand.
struct Place {
    beside: bool,
    indent: usize,
    columns_max: usize,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(columns: &[Column]) -> Table {
        let widths = columns.iter().map(|column| width(column.name)).collect();
        Table { columns: columns.to_vec(), text: None, rows: Vec::new(), widths, headed: false }
    }

    /// With texts at the end of its rows.
    #[must_use]
    pub fn with_text(mut self, name: &'static str) -> Table {
        self.text = Some(name);
        self
    }

    /// With columns that are at least so wide from the first row on.
    #[must_use]
    pub fn from_widths(mut self, least: &[usize]) -> Table {
        for (width, least) in self.widths.iter_mut().zip(least) {
            *width = (*width).max(*least);
        }
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.row_with_text(cells, Vec::new());
    }

    /// Adds a row that ends in a text, line by line.
    pub fn row_with_text(&mut self, cells: Vec<Cell>, text: Vec<Cell>) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.width());
        }
        self.rows.push(Row { cells, text });
    }

    /// The rows that were not rendered yet, as text that is at most `columns_max` wide where the columns
    /// allow that.
    #[must_use]
    pub fn render(&mut self, paint: Paint, columns_max: Option<usize>) -> String {
        let (widths, place) = self.layout(columns_max);
        let mut out = String::new();
        if !std::mem::replace(&mut self.headed, true) {
            let headings = self.columns.iter().map(|c| Cell::new(Look::Bold, c.name)).collect();
            let text = self.text.filter(|_| place.beside).map(|name| Cell::new(Look::Bold, name));
            let row = Row { cells: headings, text: text.into_iter().collect() };
            self.line(&row, &widths, &place, paint, &mut out);
        }
        for row in std::mem::take(&mut self.rows) {
            self.line(&row, &widths, &place, paint, &mut out);
        }
        out
    }

    fn line(&self, row: &Row, widths: &[usize], place: &Place, paint: Paint, out: &mut String) {
        let cells: Vec<String> = row
            .cells
            .iter()
            .zip(self.columns.iter().zip(widths))
            .map(|(cell, (column, width))| cell.fit(*width, column.align, paint))
            .collect();
        let mut line = cells.join(GAP);
        let mut texts = row.text.iter().map(|c| c.cut_around_found(place.columns_max).paint(paint));
        if place.beside
            && let Some(first) = texts.next()
        {
            line = line + GAP + &first;
        }
        out.push_str(line.trim_end());
        out.push('\n');
        for text in texts {
            out.push_str(format!("{:1$}{text}", "", place.indent).trim_end());
            out.push('\n');
        }
    }

    /// How wide the columns are, and where the texts stand.
    fn layout(&self, columns_max: Option<usize>) -> (Vec<usize>, Place) {
        let widths = self.widths.clone();
        let gaps = GAP.len() * widths.len();
        let beside = widths.iter().sum::<usize>() + gaps;
        let Some(limit) = columns_max else {
            return (widths, Place { beside: true, indent: beside, columns_max: usize::MAX });
        };
        if self.text.is_some() && beside + TEXT_LEAST <= limit {
            let columns_max = limit - beside;
            return (widths, Place { beside: true, indent: beside, columns_max });
        }
        let indent = INDENT.len();
        let columns_max = limit.saturating_sub(indent);
        let widths = self.narrowed(widths, limit.saturating_sub(gaps - GAP.len().min(gaps)));
        (widths, Place { beside: false, indent, columns_max })
    }

    /// Columns that take no more than `limit` together, where they may be cut so far: the widest gives
    /// first.
    fn narrowed(&self, mut widths: Vec<usize>, limit: usize) -> Vec<usize> {
        let mut over = widths.iter().sum::<usize>().saturating_sub(limit);
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

/// The width of the terminal that standard output is, if it is one.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &'static str, align: Align, least: usize) -> Column {
        Column { name, align, least }
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column_that_may_be_cut() {
        let mut table = Table::new(&[
            column("ID", Align::Left, 0),
            column("N", Align::Right, 0),
            column("TEXT", Align::Left, 4),
        ]);
        table.row(vec!["abc".into(), "12".into(), "a long sentence".into()]);
        let mut same = table.clone();
        let narrow = table.render(Paint::plain(), Some(18));
        assert_eq!(narrow, "ID    N  TEXT\nabc  12  a long s…\n");
        let whole = same.render(Paint::plain(), None);
        assert_eq!(whole, "ID    N  TEXT\nabc  12  a long sentence\n");
    }

    #[test]
    fn a_text_stands_beside_its_row_where_there_is_room_and_under_it_where_not() {
        let mut table = Table::new(&[column("ID", Align::Left, 0), column("USER", Align::Left, 4)])
            .with_text("TEXT");
        table.row_with_text(vec!["7".into(), "zoë 日本".into()], vec!["one".into(), "two".into()]);
        let mut narrow = table.clone();
        let wide = table.render(Paint::plain(), Some(60));
        assert_eq!(wide, "ID  USER      TEXT\n7   zoë 日本  one\n              two\n");
        let narrow = narrow.render(Paint::plain(), Some(10));
        assert_eq!(narrow, "ID  USER\n7   zoë …\n    one\n    two\n");
    }

    #[test]
    fn later_rows_stand_in_columns_that_only_grow() {
        let mut table = Table::new(&[column("A", Align::Left, 0), column("B", Align::Left, 0)])
            .from_widths(&[3]);
        table.row(vec!["1".into(), "x".into()]);
        assert_eq!(table.render(Paint::plain(), None), "A    B\n1    x\n");
        table.row(vec!["12345".into(), "x".into()]);
        assert_eq!(table.render(Paint::plain(), None), "12345  x\n");
        table.row(vec!["1".into(), "x".into()]);
        assert_eq!(table.render(Paint::plain(), None), "1      x\n");
    }
}
