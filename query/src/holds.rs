//! Legal holds: which sessions a query covers, and a hold as it is answered.

use crate::error::QueryError;
use crate::item::Time;
use crate::lang::parse;
use crate::search::{SearchLimits, sets};
use daybook_engine::Error;
use daybook_engine::event::Micros;
use daybook_engine::retention::{Hold, HoldQueries, Names, Scope};
use daybook_engine::view::{SessionSet, Snapshot};
use serde::Serialize;
use std::sync::Arc;

/// Evaluates the queries of holds, for the engine. A hold has to be exact: no bound on what is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryHolds;

impl HoldQueries for QueryHolds {
    fn check(&self, query: &str) -> Result<(), String> {
        if query.trim().is_empty() {
            return Err("the query is empty; a hold on every session names the user `*`".to_owned());
        }
        let parsed = parse(query, Micros::now());
        parsed.map(|_| ()).map_err(|error| format!("the query can't be used: {}", error.message))
    }

    fn sessions(&self, log: &Snapshot, query: &str) -> Result<Arc<SessionSet>, Error> {
        let refused = |what: String| Error::Refused { what };
        let parsed = parse(query, Micros::now())
            .map_err(|error| refused(format!("a hold's query can't be used: {}", error.message)))?;
        if let Some(filter) = parsed.session_filter() {
            return log.sessions.keys(&filter);
        }
        match sets::matching(log, &parsed, None, &SearchLimits::NONE) {
            Ok(keys) => Ok(keys),
            Err(QueryError::Engine(error)) => Err(error),
            Err(other) => Err(refused(format!("a hold's query can't be evaluated: {other}"))),
        }
    }
}

/// A hold as it is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoldItem {
    /// Its id.
    pub id: Box<str>,
    /// Sessions, by id.
    pub sessions: Vec<Box<str>>,
    /// Users.
    pub users: Vec<Names>,
    /// Resource roles.
    pub roles: Vec<Names>,
    /// A query.
    pub query: Option<Box<str>>,
    /// The legal case.
    pub case: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// Who placed it.
    pub by: Box<str>,
    /// When.
    pub placed_at: Time,
    /// How many sessions its query has covered so far; none without a query.
    pub matched: Option<usize>,
}

impl HoldItem {
    /// The item of a hold.
    #[must_use]
    pub fn of(hold: Hold) -> HoldItem {
        let Hold { id, scope, case, reason, by, placed, matched } = hold;
        let Scope { sessions, users, roles, query } = scope;
        let matched = query.is_some().then_some(matched.0.len());
        let placed_at = Time(placed);
        HoldItem { id, sessions, users, roles, query, case, reason, by, placed_at, matched }
    }
}
