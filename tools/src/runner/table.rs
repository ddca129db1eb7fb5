//! A result as psql prints it, within bounds: the page and the download read such tables back.
//!
//! ```text
//!  id |  name
//! ----+--------
//!   1 | Ann
//! (1 row)
//! ```
//!
//! A column is set to the right if all its values are numbers: PostgreSQL's simple protocol says no types.

use crate::output::width;

/// A result that comes in row by row.
#[derive(Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    bytes: usize,
    /// Rows that came and were not kept.
    left_out: u64,
    bytes_max: usize,
    rows_max: usize,
}

impl Table {
    pub fn new(columns: Vec<String>, bytes_max: usize, rows_max: usize) -> Table {
        Table { columns, rows: Vec::new(), bytes: 0, left_out: 0, bytes_max, rows_max }
    }

    /// Keeps a row, if it and all before it were kept.
    pub fn push<'a>(&mut self, row: impl Iterator<Item = Option<&'a str>> + Clone) {
        let bytes: usize = row.clone().map(|cell| cell.map_or(0, str::len) + 3).sum();
        let fits = self.bytes + bytes <= self.bytes_max && self.rows.len() < self.rows_max;
        if self.left_out > 0 || !fits {
            self.left_out += 1;
            return;
        }
        self.bytes += bytes;
        self.rows.push(row.map(|cell| cell.map(str::to_owned)).collect());
    }

    /// How many rows came.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64 + self.left_out
    }

    /// Were some of them left out?
    pub fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    /// Its text.
    pub fn render(&self) -> String {
        let lines_of = |text: &str| text.lines().map(width).max().unwrap_or(0);
        let mut widths: Vec<usize> = self.columns.iter().map(|name| lines_of(name)).collect();
        let mut numbers = vec![true; self.columns.len()];
        for row in &self.rows {
            for ((cell, widest), numeric) in row.iter().zip(&mut widths).zip(&mut numbers) {
                let cell = cell.as_deref().unwrap_or_default();
                *widest = (*widest).max(lines_of(cell));
                *numeric &= cell.is_empty() || is_number(cell);
            }
        }
        let mut out = String::new();
        let head: Vec<String> = self
            .columns
            .iter()
            .zip(&widths)
            .map(|(name, widest)| format!("{}{name}", " ".repeat((widest - lines_of(name)) / 2)))
            .collect();
        line(&mut out, &head, &widths, &vec![false; widths.len()]);
        let rule: Vec<String> = widths.iter().map(|widest| "-".repeat(widest + 2)).collect();
        out.push_str(&rule.join("+"));
        out.push('\n');
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap_or("")).collect();
            line(&mut out, &cells, &widths, &numbers);
        }
        let count = self.len();
        out.push_str(&format!("({count} row{})\n", if count == 1 { "" } else { "s" }));
        if self.is_cut() {
            out.push_str(&format!("the first {} of them are shown\n", self.rows.len()));
        }
        out
    }
}

/// One row, on as many lines as its longest value has; `+` stands where a value goes on.
fn line<T: AsRef<str>>(out: &mut String, cells: &[T], widths: &[usize], right: &[bool]) {
    let split: Vec<Vec<&str>> =
        cells.iter().map(|cell| cell.as_ref().split('\n').collect()).collect();
    let lines = split.iter().map(Vec::len).max().unwrap_or(1);
    for at in 0..lines {
        for (column, ((cell, widest), right)) in split.iter().zip(widths).zip(right).enumerate() {
            let text = cell.get(at).copied().unwrap_or_default().trim_end_matches('\r');
            let pad = " ".repeat(widest.saturating_sub(width(text)));
            let (before, after) = if *right { (&*pad, "") } else { ("", &*pad) };
            let (bar, goes_on) = (if column > 0 { "|" } else { "" }, at + 1 < cell.len());
            let last = column + 1 == split.len();
            let (after, end) = match (goes_on, last) {
                (true, _) => (after, "+"),
                (false, true) => ("", ""),
                (false, false) => (after, " "),
            };
            out.push_str(&format!("{bar} {before}{text}{after}{end}"));
        }
        out.push('\n');
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[[Option<&str>; 2]], bytes_max: usize, rows_max: usize) -> Table {
        let columns = vec!["id".to_owned(), "full_name".to_owned()];
        let mut table = Table::new(columns, bytes_max, rows_max);
        for row in rows {
            table.push(row.iter().copied());
        }
        table
    }

    #[test]
    fn a_result_is_printed_as_psql_does() {
        let rows = [[Some("1"), Some("Ann")], [Some("-22"), None], [None, Some("two\nlines")]];
        let text = table(&rows, 1_000, 10).render();
        // As psql 15 prints it, but for a space behind the last name.
        let psql = [
            " id  | full_name",
            "-----+-----------",
            "   1 | Ann",
            " -22 | ",
            "     | two      +",
            "     | lines",
            "(3 rows)\n",
        ];
        assert_eq!(text, psql.join("\n"));
    }

    #[test]
    fn what_is_past_a_bound_is_counted_and_said() {
        let rows = [[Some("1"), Some("Ann")]; 5];
        for bounded in [table(&rows, 22, 10), table(&rows, 1_000, 2)] {
            assert_eq!((bounded.len(), bounded.is_cut()), (5, true));
            let text = bounded.render();
            assert_eq!(text.matches("Ann").count(), 2, "{text}");
            assert!(text.ends_with("(5 rows)\nthe first 2 of them are shown\n"), "{text}");
        }
    }
}
