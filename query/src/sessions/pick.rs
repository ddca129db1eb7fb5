//! Pages of a list of sessions of which only some are wanted, for reasons that the catalog does not know.

use super::{decode, encode};
use crate::error::QueryError;
use crate::item::SessionItem;
use daybook_engine::catalog::filter::{NumberFact, SessionFilter};
use daybook_engine::catalog::sort::{Sort, SortFact, SortValue};
use daybook_engine::view::{ListPlace, ListRequest, Session, Snapshot};
use serde::Serialize;

/// How many sessions are looked at in one go.
const STRIDE: usize = 500;

/// Which page is asked for.
#[derive(Clone, Debug)]
pub struct PickParams<'a> {
    /// Only these sessions.
    pub filter: SessionFilter,
    /// Where the page before ended.
    pub cursor: Option<&'a str>,
    /// At most this many.
    pub limit: usize,
    /// How many sessions are looked at, at most.
    pub looks_max: usize,
}

/// A page of sessions that are wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PickPage {
    /// The sessions.
    pub items: Vec<SessionItem>,
    /// Where the next page starts, if there may be more.
    pub next_cursor: Option<String>,
}

/// A page of the sessions that are wanted, the one that ended first first.
///
/// # Errors
/// A cursor of another list, or what the engine says.
pub fn pick(
    snapshot: &Snapshot,
    params: &PickParams<'_>,
    wanted: &dyn Fn(&Session) -> bool,
) -> Result<PickPage, QueryError> {
    let sort = Sort { by: SortFact::Number(NumberFact::Ended), descending: false };
    let mut after = params.cursor.map(|text| decode(sort, text)).transpose()?;
    let mut items = Vec::new();
    let mut looks = 0;
    loop {
        let page = snapshot.sessions.list(&ListRequest {
            filter: params.filter.clone(),
            sort,
            after,
            limit: STRIDE,
        })?;
        for (at, session) in page.items.iter().enumerate() {
            if wanted(session) {
                items.push(SessionItem::of(session));
            }
            let more = page.next.is_some() || at + 1 < page.items.len();
            if items.len() >= params.limit && more {
                let value = session.state.ended_at().map(|ended| SortValue::Number(ended.0));
                let place = ListPlace { value, key: session.key };
                return Ok(PickPage { items, next_cursor: Some(encode(sort, &place)) });
            }
        }
        looks += page.items.len();
        match page.next {
            None => return Ok(PickPage { items, next_cursor: None }),
            Some(place) if looks >= params.looks_max => {
                return Ok(PickPage { items, next_cursor: Some(encode(sort, &place)) });
            }
            Some(place) => after = Some(place),
        }
    }
}
