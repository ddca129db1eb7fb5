//! Result tables as psql and mysql print them, read back into rows, a line at a time.
//!
//! ```text
//!  id | name        +----+------+
//! ----+------       | id | name |
//!   1 | Ann         +----+------+
//! (1 row)           |  1 | Ann  |
//!                   +----+------+
//! ```

/// A longer line is of no table.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Reads the tables of a text that comes in pieces. There may be other lines before, between and after them.
#[derive(Debug, Default)]
pub(super) struct Grid {
    state: State,
    line: String,
    /// The line is too long, and its rest is left out.
    skips: bool,
    /// How many tables began.
    begun: usize,
    /// Which of them are whole, ascending.
    whole: Vec<usize>,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing came yet.
    #[default]
    Start,
    /// Nothing that could be the beginning of a table came just now.
    Between,
    /// What may be psql's names of columns; is it the first line?
    Head(String, bool),
    /// mysql's upper rule, with its edges.
    Rule(Vec<usize>),
    /// mysql's names of columns.
    Names(Vec<usize>, Vec<String>),
    Psql(Psql),
    Mysql(Vec<usize>),
}

#[derive(Debug)]
struct Psql {
    edges: Vec<usize>,
    /// It is a table whatever ends it. A line of dashes below another line may be a heading.
    sure: bool,
}

/// What is called with a table's place among those that began, and the cells of one of its lines: first the names of
/// its columns.
pub(super) type OnRow<'a, E> = dyn FnMut(usize, &[String]) -> Result<(), E> + 'a;

impl Grid {
    /// Takes a piece.
    pub(super) fn push<E>(&mut self, piece: &str, row: &mut OnRow<'_, E>) -> Result<(), E> {
        let mut rest = piece;
        while let Some((line, after)) = rest.split_once('\n') {
            rest = after;
            self.add(line);
            let whole = std::mem::take(&mut self.line);
            if std::mem::take(&mut self.skips) {
                self.state = State::Between;
            } else {
                self.take(whole.trim_end_matches('\r'), row)?;
            }
        }
        self.add(rest);
        Ok(())
    }

    fn add(&mut self, piece: &str) {
        self.skips |= self.line.len() + piece.len() > LINE_BYTES_MAX;
        if self.skips {
            self.line = String::new();
        } else {
            self.line.push_str(piece);
        }
    }

    /// Takes the last line, if it had no end. Answers which of the tables that began are whole, ascending.
    pub(super) fn end<E>(mut self, row: &mut OnRow<'_, E>) -> Result<Vec<usize>, E> {
        if !self.line.is_empty() || self.skips {
            self.push("\n", row)?;
        }
        if matches!(self.state, State::Psql(Psql { sure: true, .. }) | State::Mysql(_)) {
            self.is_whole();
        }
        Ok(self.whole)
    }

    fn is_whole(&mut self) -> State {
        self.whole.extend(self.begun.checked_sub(1));
        State::Between
    }

    fn begin<E>(&mut self, names: &[String], row: &mut OnRow<'_, E>) -> Result<(), E> {
        self.begun += 1;
        row(self.begun - 1, names)
    }

    fn take<E>(&mut self, line: &str, row: &mut OnRow<'_, E>) -> Result<(), E> {
        let at = self.begun.saturating_sub(1);
        self.state = match std::mem::take(&mut self.state) {
            State::Head(head, first) if is_psql_rule(line) => {
                let edges = edges(line);
                match cells(&head, &edges) {
                    Some(names) => {
                        self.begin(&names, row)?;
                        State::Psql(Psql { sure: first || !edges.is_empty(), edges })
                    }
                    None => other(line, false),
                }
            }
            State::Names(edges, names) if is_mysql_rule(line) => {
                self.begin(&names, row)?;
                State::Mysql(edges)
            }
            State::Rule(edges) => match mysql_cells(line, &edges) {
                Some(names) => State::Names(edges, names),
                None => other(line, false),
            },
            State::Psql(_) if is_psql_end(line) => self.is_whole(),
            State::Psql(psql) if line.is_empty() => match psql.sure {
                true => self.is_whole(),
                false => State::Between,
            },
            State::Psql(psql) => match cells(line, &psql.edges) {
                Some(values) => {
                    row(at, &values)?;
                    State::Psql(psql)
                }
                // A value with a line break: the text is clearer as it is.
                None => other(line, false),
            },
            State::Mysql(_) if is_mysql_rule(line) => self.is_whole(),
            State::Mysql(edges) => match mysql_cells(line, &edges) {
                Some(values) => {
                    row(at, &values)?;
                    State::Mysql(edges)
                }
                None => other(line, false),
            },
            State::Start => other(line, true),
            State::Between | State::Head(..) | State::Names(..) => other(line, false),
        };
        Ok(())
    }
}

/// What a line is that is of no table yet.
fn other(line: &str, first: bool) -> State {
    if is_mysql_rule(line) {
        State::Rule(edges(line))
    } else if line.is_empty() {
        State::Between
    } else {
        State::Head(line.to_owned(), first)
    }
}

fn is_psql_rule(line: &str) -> bool {
    let line = line.trim_end();
    !line.is_empty() && line.split('+').all(|dashes| !dashes.is_empty() && is_dashes(dashes))
}

fn is_mysql_rule(line: &str) -> bool {
    let inner = line.trim_end().strip_prefix('+').and_then(|line| line.strip_suffix('+'));
    inner.is_some_and(is_psql_rule)
}

fn is_dashes(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'-')
}

/// `(12 rows)`
fn is_psql_end(line: &str) -> bool {
    let inner = line.strip_prefix('(').and_then(|line| line.strip_suffix(')'));
    let count =
        inner.and_then(|inner| inner.strip_suffix(" rows").or_else(|| inner.strip_suffix(" row")));
    count.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Where a rule's columns meet, in characters.
fn edges(rule: &str) -> Vec<usize> {
    rule.trim_end().char_indices().filter(|(_, c)| *c == '+').map(|(at, _)| at).collect()
}

/// The cells of a line, which has a bar at each edge; where wide characters move the bars, just as many bars.
fn cells(line: &str, edges: &[usize]) -> Option<Vec<String>> {
    let bars = line.chars().enumerate().filter(|(at, c)| *c == '|' && edges.contains(at)).count();
    if bars == edges.len() {
        let mut cells = vec![String::new()];
        for (at, character) in line.chars().enumerate() {
            if edges.contains(&at) {
                cells.push(String::new());
            } else if let Some(cell) = cells.last_mut() {
                cell.push(character);
            }
        }
        return Some(cells.into_iter().map(|cell| cell.trim().to_owned()).collect());
    }
    let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
    (!line.is_ascii() && cells.len() == edges.len() + 1).then_some(cells)
}

fn mysql_cells(line: &str, edges: &[usize]) -> Option<Vec<String>> {
    let inner = line.trim_end().strip_prefix('|')?.strip_suffix('|')?;
    let inside = edges.get(1..edges.len().checked_sub(1)?)?;
    let inside: Vec<usize> = inside.iter().map(|edge| edge - 1).collect();
    cells(inner, &inside)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn tables(pieces: &[&str]) -> Vec<Vec<Vec<String>>> {
        let mut rows: Vec<Vec<Vec<String>>> = Vec::new();
        let mut keep = |at: usize, row: &[String]| {
            assert!(at == rows.len() || at + 1 == rows.len());
            rows.resize_with(at + 1, Vec::new);
            rows[at].push(row.to_vec());
            Ok::<(), Infallible>(())
        };
        let mut grid = Grid::default();
        for piece in pieces {
            grid.push(piece, &mut keep).unwrap();
        }
        let whole = grid.end(&mut keep).unwrap();
        whole.into_iter().map(|at| rows[at].clone()).collect()
    }

    fn read(pieces: &[&str]) -> Option<Vec<Vec<String>>> {
        let mut tables = tables(pieces);
        assert!(tables.len() < 2);
        tables.pop()
    }

    const PSQL: &str = " id |  name  \n----+--------\n  1 | Ann    \n  2 | a|b, c \n(2 rows)\n\n";
    const MYSQL: &str =
        "+----+------+\n| id | name |\n+----+------+\n|  1 | Ann  |\n+----+------+\n1 row in set";

    #[test]
    fn tables_of_psql_and_mysql_are_read() {
        let rows = read(&[PSQL]).unwrap();
        assert_eq!(rows, [["id", "name"], ["1", "Ann"], ["2", "a|b, c"]]);
        assert_eq!(read(&[MYSQL]).unwrap(), [["id", "name"], ["1", "Ann"]]);
        assert_eq!(read(&[" n \n---\n 1"]).unwrap(), [["n"], ["1"]]);
        let wide = " name | n\n------+---\n 漢字 | 1\n";
        assert_eq!(read(&[wide]).unwrap(), [["name", "n"], ["漢字", "1"]]);
    }

    #[test]
    fn several_tables_are_found_among_other_lines() {
        let text = format!(
            "NOTICE:  hello\n{PSQL}SET\nTitle\n-----\nof a text\n\n{MYSQL}\n{PSQL} a | b \n"
        );
        let found = tables(&[&text]);
        let names: Vec<_> = found.iter().map(|table| table[1][1].as_str()).collect();
        assert_eq!(names, ["Ann", "Ann", "Ann"]);
        // One that breaks off in a row is none, and the next one is.
        let broken = " a | b\n---+---\n 1 | 2\nx\n";
        assert_eq!(tables(&[broken, PSQL]).len(), 1);
        // A heading is none, but where it has a count of rows below it.
        assert_eq!(tables(&["x\n n\n---\n 1\n"]).len(), 0);
        assert_eq!(tables(&["x\n n\n---\n 1\n(1 row)\n"]), [[["n"], ["1"]]]);
        let long = "y".repeat(LINE_BYTES_MAX);
        assert_eq!(tables(&[PSQL, &long, "z", "\n", PSQL]).len(), 2);
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "hello", "a\nb\nc", " a | b\n---+---\n x\n", "+--+\nx\n", "UPDATE 3\n"] {
            assert_eq!(read(&[text]), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_read_as_the_whole(at in 0usize..60, more in 0usize..60) {
            for text in [PSQL, MYSQL] {
                let (low, high) = (at.min(more).min(text.len()), at.max(more).min(text.len()));
                let text = format!("{text}\nx\n{text}");
                let pieces = [&text[..low], &text[low..high], &text[high..]];
                prop_assert_eq!(tables(&pieces), tables(&[&text]));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+| a\n\r(1 rows)é]{0,60}") {
            let _ = tables(&[&text]);
        }
    }
}
