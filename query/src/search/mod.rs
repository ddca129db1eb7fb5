//! Search: the events that match a query, newest first.
//!
//! | module | what is there |
//! |---|---|
//! | `plan` | which events are candidates, and which of these match |
//! | `fronts` | the newest matches after a place, from the newest on |
//! | `page` | a page of them |
//! | `ranked` | a page by relevance |
//! | `tally` | the totals of all matches |
//! | `groups` | the sessions that have matches |
//! | `follow` | the matches as they arrive |
//! | `lines` | the same as lines, for who wants the events themselves |
//! | `limits` | how much it may take |
//! | `sets` | which sessions have matches |
//! | `snippet`, `histogram` | what is shown of them |

mod follow;
mod fronts;
mod groups;
mod histogram;
mod limits;
mod lines;
mod page;
pub(crate) mod plan;
mod ranked;
pub(crate) mod sets;
mod snippet;
pub(crate) mod tally;

use crate::error::QueryError;
use crate::item::{FacetCount, Hit};
use crate::lang::Query;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::view::Snapshot;
use serde::Serialize;
use std::collections::BTreeMap;

pub use follow::{Again, Followed, at, follow};
pub use groups::{Group, GroupPage, by_session};
pub use histogram::{Bucket, Histogram};
pub(crate) use limits::Spent;
pub use limits::{Abandoned, SearchLimits};
pub use lines::{Bounds, Form, Lines, Told, lines};

/// The most hits of a page.
pub const LIMIT_MAX: usize = 1000;

/// What is asked for. [`SearchRequest::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct SearchRequest<'a> {
    /// Which events.
    pub query: &'a Query,
    /// Only events of these sessions: what the asker may see.
    pub scope: SessionFilter,
    /// Where the page before ended.
    pub cursor: Option<&'a str>,
    /// At most this many hits, up to [`LIMIT_MAX`].
    pub limit: usize,
    /// Whether all matches are counted.
    pub count: CountMode,
    /// In which order hits come.
    pub order: Order,
    /// Also how often each user, role, ... occurs among all matches.
    pub facets: bool,
    /// Also how the matches are spread over time.
    pub histogram: bool,
    /// How much may be read for it.
    pub limits: SearchLimits,
}

impl<'a> SearchRequest<'a> {
    /// A page of 50 of everything that matches.
    #[must_use]
    pub fn new(query: &'a Query) -> SearchRequest<'a> {
        SearchRequest {
            query,
            scope: SessionFilter::All,
            cursor: None,
            limit: 50,
            count: CountMode::None,
            order: Order::Newest,
            facets: false,
            histogram: false,
            limits: SearchLimits::default(),
        }
    }
}

/// In which order hits come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest first; of the same time, the one that arrived later first.
    #[default]
    Newest,
    /// Those that say most of what is looked for first; of these the latest.
    Relevance,
}

/// Whether matches are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountMode {
    /// They are not.
    #[default]
    None,
    /// All of them, whatever page is asked for.
    Exact,
    /// Also in how many sessions they are, which takes a look at each of them.
    Sessions,
}

/// A page of hits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchPage {
    /// The hits in their order.
    pub items: Vec<Hit>,
    /// Where the next page starts, if there may be one.
    pub next_cursor: Option<String>,
    /// What was counted, if that was asked for.
    #[serde(flatten)]
    pub totals: Option<Totals>,
    /// `false` when the search stopped at its limits, or met events that can't be read: the page may be
    /// short (the cursor, if there is one, goes on), and the totals are floors.
    pub complete: bool,
    /// So many events may match, but are in parts of the log that are damaged.
    #[serde(skip_serializing_if = "is_zero")]
    pub unreadable: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What all matches come to. Where a search stopped at its limits, the exact numbers are `null` and
/// floors stand beside them; facets and histogram are then of the newest matches.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// How many events match.
    pub count: Option<u64>,
    /// At least so many do, when that is all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_at_least: Option<u64>,
    /// In how many sessions, if that was asked for or follows from facets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// In at least so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions_at_least: Option<u64>,
    /// For `user`, `role`, `type`, `status`, `tag`, `agent`, `kind` and `verdict`: in how many
    /// matches the most frequent values occur, most first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facets: Option<BTreeMap<&'static str, Vec<FacetCount>>>,
    /// How the matches are spread over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
}

/// Finds the events that match.
///
/// # Errors
/// A cursor of another list, a query whose sets of sessions cost too much, or what the engine says.
pub fn search(snapshot: &Snapshot, request: &SearchRequest<'_>) -> Result<SearchPage, QueryError> {
    let limits = &request.limits;
    let scope = sets::scope(snapshot, &request.scope)?;
    let plan = plan::Plan::new(snapshot, request.query, scope.as_ref(), limits)?;
    let limit = request.limit.clamp(1, LIMIT_MAX);
    let page = match request.order {
        Order::Newest => page::page(&plan, request.cursor, limit, limits)?,
        Order::Relevance => ranked::page(&plan, request.cursor, limit, limits)?,
    };
    let mut unreadable = page.unreadable + tally::lost_before(&plan);
    let (totals, counted) =
        if request.count != CountMode::None || request.facets || request.histogram {
            let (totals, counted, of_all) = tally::tally(&plan, request)?;
            unreadable = unreadable.max(of_all);
            (Some(totals), counted)
        } else {
            (None, true)
        };
    Ok(SearchPage {
        items: page.items,
        next_cursor: page.next_cursor,
        totals,
        complete: page.complete && counted && unreadable == 0,
        unreadable,
    })
}
