//! Sessions in a list.

use super::{cell, field, number};
use crate::output::{self, Align, Cell, Column, Look, Table};
use serde_json::Value;

/// The columns of CSV.
pub const COLUMNS: &[&str] = &[
    "session",
    "user",
    "user_name",
    "role",
    "type",
    "subtype",
    "agent",
    "tags",
    "started_at",
    "ended_at",
    "duration_ms",
    "status",
    "events",
    "commands",
    "blocked",
    "approved",
    "pending",
    "masked",
    "bytes",
    "summary",
];

/// A session as a record of CSV.
#[must_use]
pub fn record(session: &Value) -> Vec<String> {
    let named = |name: &&str| cell(session, if *name == "session" { "id" } else { name });
    COLUMNS.iter().map(named).collect()
}

/// Sessions as a table.
#[must_use]
pub fn table(sessions: &[Value]) -> Table {
    let column = |name, align, least| Column { name, align, least };
    let mut table = Table::new(&[
        column("STARTED (UTC)", Align::Left, 0),
        column("USER", Align::Left, 12),
        column("ROLE", Align::Left, 10),
        column("TYPE", Align::Left, 0),
        column("STATUS", Align::Left, 0),
        column("TOOK", Align::Right, 0),
        column("SUMMARY", Align::Left, 10),
        column("SESSION", Align::Left, 0),
    ]);
    for session in sessions {
        let text = |name| field(session, name);
        let status = text("status");
        let user = match text("agent") {
            "" => text("user").to_owned(),
            agent => format!("{} ({agent})", text("user")),
        };
        table.row(vec![
            output::moment(text("started_at")).into(),
            user.into(),
            text("role").into(),
            text("type").into(),
            Cell::new(Look::of(status), &status.replace('_', " ")),
            output::duration_ms(number(session, "duration_ms")).into(),
            text("summary").into(),
            text("id").into(),
        ]);
    }
    table
}
