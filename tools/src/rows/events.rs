//! A session's events, one a record of CSV: the columns of `daybook export` (but for `bytes`), with
//! `received` and `producer`.

use super::cell;
use anyhow::anyhow;
use daybook_query::columnar::csv;
use serde_json::Value;

/// What each event has of its session.
const OF_SESSION: [&str; 9] =
    ["user", "user_name", "role", "type", "subtype", "agent", "client_ip", "tags", "status"];

/// The columns of CSV.
pub const COLUMNS: &[&str] = &{
    let mut columns = [""; csv::ITEM_COLUMNS.len() + OF_SESSION.len()];
    let (mine, of_session) = columns.split_at_mut(csv::ITEM_COLUMNS.len());
    mine.copy_from_slice(&csv::ITEM_COLUMNS);
    of_session.copy_from_slice(&OF_SESSION);
    columns
};

/// What of its session stands beside each event, from the session's details.
#[must_use]
pub fn of_session(details: &Value) -> Vec<String> {
    OF_SESSION.iter().map(|name| cell(details, name)).collect()
}

/// An item of a timeline that is not folded as a record of CSV.
///
/// # Errors
/// An item that is no event.
pub fn record(item: &Value, of_session: &[String]) -> anyhow::Result<Vec<String>> {
    let mine =
        csv::item(item).map_err(|what| anyhow!("the server sent what is no event: {what}"))?;
    Ok(mine.iter().chain(of_session).cloned().collect())
}
