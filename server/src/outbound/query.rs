//! Queries of senders: they mean the same at any time.

use daybook_engine::event::Micros;
use daybook_query::lang::{ParseError, parse};

/// Further apart than two times of a query that are the same are.
const LATER_US: i64 = 86_400_000_000;

/// Does a query say something else at another time (`since:24h`)? One that does would pass over events while the
/// receiver is away.
///
/// # Errors
/// What is wrong with it, and where.
pub fn moves(text: &str) -> Result<bool, ParseError> {
    let now = Micros::now();
    let (today, later) = (parse(text, now)?, parse(text, Micros(now.0 + LATER_US))?);
    Ok(today.to_string() != later.to_string())
}
