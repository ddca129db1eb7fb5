//! Events that a search or a tail found, and sessions that have some.

use super::{cell, field, number, sessions};
use crate::output::{self, Align, Cell, Column, Look, Table};
use serde_json::Value;

/// The columns of CSV for a hit. `input`, `output`, `text`, `screen` and `typed` are the pieces of the texts around
/// what matched, as in `snippets`, and empty where nothing did; `cut` names those that are not the whole
/// text, joined by `;`. Whole texts are in what `daybook export` writes.
pub const COLUMNS: &[&str] = &[
    "offset",
    "session",
    "seq",
    "time",
    "kind",
    "verdict",
    "user",
    "role",
    "type",
    "input",
    "output",
    "text",
    "screen",
    "typed",
    "cut",
    "replay_ms",
];

/// The columns of CSV for a session with hits: the session's, how many of its events match, and the latest
/// of these.
pub const GROUP_COLUMNS: &[&str] = &{
    let mut columns = [""; sessions::COLUMNS.len() + OF_GROUP.len()];
    let (session, mine) = columns.split_at_mut(sessions::COLUMNS.len());
    session.copy_from_slice(sessions::COLUMNS);
    mine.copy_from_slice(&OF_GROUP);
    columns
};

const OF_GROUP: [&str; 12] = [
    "matches",
    "latest_offset",
    "latest_seq",
    "latest_time",
    "latest_kind",
    "latest_verdict",
    "latest_input",
    "latest_output",
    "latest_text",
    "latest_screen",
    "latest_typed",
    "latest_cut",
];

/// How wide the columns of a tail are from its first row on: what most events need.
const TAIL_WIDTHS: [usize; 5] = [19, 24, 14, 15, 20];

/// A hit as a record of CSV.
#[must_use]
pub fn record(hit: &Value) -> Vec<String> {
    COLUMNS.iter().map(|name| hit_cell(hit, name)).collect()
}

/// A session with hits as a record of CSV.
#[must_use]
pub fn group_record(group: &Value) -> Vec<String> {
    let latest = group.get("latest").unwrap_or(&Value::Null);
    let mut record = sessions::record(group.get("session").unwrap_or(&Value::Null));
    record.extend(OF_GROUP.iter().map(|name| match name.strip_prefix("latest_") {
        Some(name) => hit_cell(latest, name),
        None => cell(group, name),
    }));
    record
}

fn hit_cell(hit: &Value, name: &str) -> String {
    match name {
        "input" | "output" | "text" | "screen" | "typed" => snippets(hit)
            .filter(|snippet| field(snippet, "field") == name)
            .map(|snippet| field(snippet, "text"))
            .collect::<Vec<_>>()
            .join("\n"),
        "cut" => snippets(hit)
            .filter(|snippet| is(snippet, "more_before") || is(snippet, "more_after"))
            .map(|snippet| field(snippet, "field"))
            .collect::<Vec<_>>()
            .join(";"),
        _ => cell(hit, name),
    }
}

fn snippets(hit: &Value) -> impl Iterator<Item = &Value> {
    hit.get("snippets").and_then(Value::as_array).into_iter().flatten()
}

fn is(item: &Value, name: &str) -> bool {
    item.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// An empty table for hits.
#[must_use]
pub fn table() -> Table {
    Table::new(&columns()).with_text("TEXT")
}

/// The same for hits that come one by one.
#[must_use]
pub fn tail_table() -> Table {
    table().from_widths(&TAIL_WIDTHS)
}

/// The same for sessions with hits.
#[must_use]
pub fn group_table() -> Table {
    let matches = Column { name: "EVENTS", align: Align::Right, least: 0 };
    let mut columns = columns().to_vec();
    columns.insert(columns.len() - 1, matches);
    Table::new(&columns).with_text("TEXT")
}

fn columns() -> [Column; 5] {
    let column = |name, least| Column { name, align: Align::Left, least };
    [
        column("TIME (UTC)", 0),
        column("USER", 12),
        column("ROLE", 10),
        column("KIND", 0),
        column("SESSION", 0),
    ]
}

/// Adds a hit to its table.
pub fn add(table: &mut Table, hit: &Value) {
    table.row_with_text(cells(hit).into(), snippets(hit).map(snippet).collect());
}

/// Adds a session with hits to its table.
pub fn add_group(table: &mut Table, group: &Value) {
    let latest = group.get("latest").unwrap_or(&Value::Null);
    let mut cells = Vec::from(cells(latest));
    cells.insert(cells.len() - 1, output::count(number(group, "matches")).into());
    let summary = group.get("session").map_or("", |session| field(session, "summary"));
    let text = snippets(latest).map(snippet).chain([Cell::new(Look::Dim, summary)]);
    table.row_with_text(cells, text.collect());
}

fn cells(hit: &Value) -> [Cell; 5] {
    let kind = match field(hit, "verdict") {
        "" => Cell::new(Look::Dim, field(hit, "kind")),
        verdict => Cell::new(Look::of(verdict), verdict),
    };
    [
        Cell::new(Look::Bold, &output::moment(field(hit, "time"))),
        field(hit, "user").into(),
        field(hit, "role").into(),
        kind,
        Cell::new(Look::Dim, &format!("{} #{}", field(hit, "session"), number(hit, "seq"))),
    ]
}

/// A snippet with what matched marked. Highlights are in bytes of UTF-8.
fn snippet(snippet: &Value) -> Cell {
    let raw = field(snippet, "text");
    let dots = |name| if is(snippet, name) { "…" } else { "" };
    let mut cell = Cell::new(Look::Plain, dots("more_before"));
    let mut at = 0;
    let highlights = snippet.get("highlights").and_then(Value::as_array);
    for range in highlights.into_iter().flatten() {
        let bound = |index| range.get(index).and_then(Value::as_u64).unwrap_or(0) as usize;
        let (start, end) = (bound(0), bound(1));
        let pieces = raw.get(at..start).zip(raw.get(start..end));
        let Some((between, found)) = pieces else { break };
        cell.push(Look::Plain, between);
        cell.push(Look::Found, found);
        at = end;
    }
    cell.push(Look::Plain, raw.get(at..).unwrap_or_default());
    cell.push(Look::Plain, dots("more_after"));
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Paint;
    use serde_json::json;

    fn hit() -> Value {
        json!({
            "session": "s-1", "seq": 4, "offset": 57, "time": "2026-03-01T09:30:02.000000Z", "kind": "command",
            "verdict": "blocked", "user": "ana\u{1b}]0;x\u{7}@example.com", "role": "pg", "type": "database",
            "replay_ms": 2500,
            "snippets": [
                {"field": "input", "text": "DROP\n TABLE t", "highlights": [[0, 4]], "more_before": false, "more_after": true},
                {"field": "output", "text": "ERROR", "highlights": [], "more_before": false, "more_after": false},
            ],
        })
    }

    #[test]
    fn a_hit_is_a_row_and_each_of_its_texts_a_line() {
        let mut table = table();
        add(&mut table, &hit());
        let shown = table.render(Paint::plain(), None);
        let row = "2026-03-01 09:30:02  ana@example.com  pg    blocked  s-1 #4   DROP TABLE t…";
        assert_eq!(shown.lines().nth(1), Some(row));
        assert_eq!(shown.lines().nth(2).map(|line| line.find("ERROR")), Some(row.find("DROP")));
    }

    #[test]
    fn a_hit_is_a_record_with_its_texts_as_they_are() {
        let record = record(&hit());
        assert_eq!(record.first().map(String::as_str), Some("57"));
        assert_eq!(record.get(6).map(String::as_str), Some("ana\u{1b}]0;x\u{7}@example.com"));
        assert_eq!(
            record.get(9..),
            Some(&["DROP\n TABLE t", "ERROR", "", "", "", "input", "2500"].map(String::from)[..])
        );
    }
}
