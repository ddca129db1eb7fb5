//! A session as plain text.
//!
//! ```text
//! session  ses_k3v9…
//! user     Maya Lindqvist <maya.lindqvist@example.com>
//! role     prod-us-east (database/postgres)
//! started  2026-03-01T09:30:00.000000Z
//!
//! 2026-03-01T09:30:05.000000Z  #7  command  passed
//!     SELECT id FROM customers
//! 2026-03-01T09:30:05.012000Z  #8  output of #7  result
//!      id
//!     ----
//! ```
//!
//! What a terminal shows goes on from event to event under one head.

use super::Download;
use super::tell::{Passage, line};
use crate::columnar::Error;
use crate::error::QueryError;
use daybook_engine::block::Record;
use std::fmt::Write as _;
use std::io::Write;

pub(super) fn write(
    download: &Download<'_>,
    out: &mut (dyn Write + Send),
) -> Result<(), QueryError> {
    out.write_all(head(download).as_bytes()).map_err(Error::from)?;
    // Is a line of a terminal's open?
    let mut open = false;
    download.tell(&mut |passage| {
        let mut text = String::new();
        if open && !matches!(passage, Passage::Shown(_)) {
            text.push('\n');
            open = false;
        }
        match passage {
            Passage::Event { record, what, text: told } => {
                text.push_str(&title(record, what));
                block(told, &mut text);
            }
            Passage::Screen(record) => text.push_str(&title(record, "terminal")),
            Passage::Shown(shown) => {
                for character in shown.chars() {
                    if !open && character != '\n' {
                        text.push_str("    ");
                    }
                    open = character != '\n';
                    text.push(character);
                }
            }
        }
        Ok(out.write_all(text.as_bytes()).map_err(Error::from)?)
    })?;
    let end = if open { "\n" } else { "" };
    Ok(out.write_all(end.as_bytes()).map_err(Error::from)?)
}

fn head(download: &Download<'_>) -> String {
    let state = &download.session().state;
    let facts = state.facts().cloned().unwrap_or_default();
    let word = |word: &Option<Box<str>>| word.as_deref().map(line).unwrap_or_default();
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<8} {value}");
        }
    };
    row("session", &line(&download.session().id));
    row(
        "user",
        &match (word(&facts.user_name), word(&facts.user)) {
            (name, user) if name.is_empty() => user,
            (name, user) => format!("{name} <{user}>"),
        },
    );
    row("agent", &word(&facts.agent));
    row(
        "role",
        &match (word(&facts.kind), word(&facts.subtype)) {
            (kind, _) if kind.is_empty() => word(&facts.role),
            (kind, subtype) if subtype.is_empty() => format!("{} ({kind})", word(&facts.role)),
            (kind, subtype) => format!("{} ({kind}/{subtype})", word(&facts.role)),
        },
    );
    row("started", &state.started_at().map(|time| time.to_string()).unwrap_or_default());
    let excerpt = download.excerpt();
    if excerpt.is_all() {
        row("ended", &state.ended_at().map(|time| time.to_string()).unwrap_or_default());
        row("status", state.status().name());
        row("summary", &line(&state.summary()));
    } else {
        let outputs = if excerpt.hides_outputs { ", outputs hidden" } else { "" };
        row("part", &format!("{}{outputs}", excerpt.part));
    }
    text.push('\n');
    text
}

fn title(record: &Record<'_>, what: &str) -> String {
    format!("{}  #{}  {what}\n", record.time, record.seq)
}

/// A text in lines of its own, set in.
fn block(text: &str, out: &mut String) {
    if text.is_empty() {
        return;
    }
    for line in text.trim_end_matches('\n').split('\n') {
        let _ = writeln!(out, "{}", format!("    {line}").trim_end());
    }
}
