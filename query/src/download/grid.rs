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

/// Reads a table from a text that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Grid {
    state: State,
    line: String,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing came yet.
    #[default]
    Start,
    /// What may be psql's names of columns.
    Head(String),
    /// mysql's upper rule, with its edges.
    Rule(Vec<usize>),
    /// mysql's names of columns.
    Names(Vec<usize>, Vec<String>),
    Psql(Vec<usize>),
    Mysql(Vec<usize>),
    /// The table is whole; what follows is none of it.
    End,
    /// It is no table.
    Other,
}

impl Grid {
    /// Takes a piece; `row` is called with the names of the columns, and then with each row.
    pub(super) fn push<E>(
        &mut self,
        piece: &str,
        row: &mut dyn FnMut(&[String]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = piece;
        while !matches!(self.state, State::End | State::Other) {
            let Some((line, after)) = rest.split_once('\n') else {
                self.line.push_str(rest);
                if self.line.len() > LINE_BYTES_MAX {
                    self.state = State::Other;
                }
                return Ok(());
            };
            rest = after;
            let mut whole = std::mem::take(&mut self.line);
            whole.push_str(line);
            self.take(whole.trim_end_matches('\r'), row)?;
        }
        self.line = String::new();
        Ok(())
    }

    /// Takes the last line, if it had no end. Was it a table?
    pub(super) fn end<E>(
        &mut self,
        row: &mut dyn FnMut(&[String]) -> Result<(), E>,
    ) -> Result<bool, E> {
        if !self.line.is_empty() {
            self.push("\n", row)?;
        }
        Ok(matches!(self.state, State::Psql(_) | State::Mysql(_) | State::End))
    }

    fn take<E>(
        &mut self,
        line: &str,
        row: &mut dyn FnMut(&[String]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.state = match std::mem::take(&mut self.state) {
            State::Start if is_mysql_rule(line) => State::Rule(edges(line)),
            State::Start => State::Head(line.to_owned()),
            State::Head(head) if is_psql_rule(line) => {
                let edges = edges(line);
                match cells(&head, &edges) {
                    Some(names) => {
                        row(&names)?;
                        State::Psql(edges)
                    }
                    None => State::Other,
                }
            }
            State::Head(_) => State::Other,
            State::Rule(edges) => match mysql_cells(line, &edges) {
                Some(names) => State::Names(edges, names),
                None => State::Other,
            },
            State::Names(edges, names) if is_mysql_rule(line) => {
                row(&names)?;
                State::Mysql(edges)
            }
            State::Names(..) => State::Other,
            State::Psql(_) if line.is_empty() || is_psql_end(line) => State::End,
            State::Psql(edges) => match cells(line, &edges) {
                Some(values) => {
                    row(&values)?;
                    State::Psql(edges)
                }
                // A value with a line break: the text is clearer as it is.
                None => State::Other,
            },
            State::Mysql(_) if is_mysql_rule(line) => State::End,
            State::Mysql(edges) => match mysql_cells(line, &edges) {
                Some(values) => {
                    row(&values)?;
                    State::Mysql(edges)
                }
                None => State::Other,
            },
            State::End => State::End,
            State::Other => State::Other,
        };
        Ok(())
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

    fn read(pieces: &[&str]) -> Option<Vec<Vec<String>>> {
        let mut rows = Vec::new();
        let mut keep = |row: &[String]| {
            rows.push(row.to_vec());
            Ok::<(), Infallible>(())
        };
        let mut grid = Grid::default();
        for piece in pieces {
            grid.push(piece, &mut keep).unwrap();
        }
        grid.end(&mut keep).unwrap().then_some(rows)
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
                let pieces = [&text[..low], &text[low..high], &text[high..]];
                prop_assert_eq!(read(&pieces), read(&[text]));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+| a\n\r(1 rows)é]{0,40}") {
            let _ = read(&[&text]);
        }
    }
}
