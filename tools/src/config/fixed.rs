//! The bounds that are part of the format or of the interface, and can't be set.

use daybook_engine::event::wire::{LIST_LEN_MAX, NAME_BYTES_MAX};
use daybook_query::lang::{DEPTH_MAX, NODES_MAX, QUERY_BYTES_MAX, REGEXES_MAX};
use daybook_query::search::SearchLimits;

/// A bound that can't be set.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    /// What is bounded.
    pub what: &'static str,
    /// The bound.
    pub value: u64,
    /// What happens at it.
    pub at: &'static str,
}

const REJECTED: &str = "the line is rejected, with the bound; the others are stored";
const CUT: &str =
    "what was found so far, `complete: false` and a cursor; a set of sessions: 400 `too-costly`";
const PAGED: &str = "the page ends there, with a cursor that goes on";
const REFUSED: &str = "400 that names the parameter and the bound";

/// The bounds that can't be set.
pub const FIXED: &[Fixed] = &[
    Fixed {
        what: "bytes of a user, role, type, tag, group, rule or review id",
        value: NAME_BYTES_MAX as u64,
        at: REJECTED,
    },
    Fixed {
        what: "tags, groups, metadata or masked types of an event",
        value: LIST_LEN_MAX as u64,
        at: REJECTED,
    },
    Fixed {
        what: "rejected lines that an answer lists",
        value: daybook_server::REJECTED_LISTED_MAX as u64,
        at: "all are counted in `rejected_count`",
    },
    Fixed {
        what: "sessions that a stream asks after",
        value: daybook_server::STREAM_SESSIONS_MAX as u64,
        at: REFUSED,
    },
    Fixed {
        what: "sinks",
        value: daybook_server::push::SINKS_MAX as u64,
        at: "one more stops the start, with the bound",
    },
    Fixed {
        what: "queues of sessions to look at",
        value: daybook_server::queue::RULES_MAX as u64,
        at: "one more stops the start, with the bound",
    },
    Fixed {
        what: "feeds that have a table",
        value: daybook_query::feed::FEEDS_MAX as u64,
        at: "one more stops the start, with the bound",
    },
    Fixed { what: "bytes of a query", value: QUERY_BYTES_MAX as u64, at: REFUSED },
    Fixed { what: "parentheses in parentheses of a query", value: DEPTH_MAX as u64, at: REFUSED },
    Fixed { what: "terms of a query", value: NODES_MAX as u64, at: REFUSED },
    Fixed { what: "regular expressions of a query", value: REGEXES_MAX as u64, at: REFUSED },
    Fixed {
        what: "items of a page of search results",
        value: daybook_query::search::LIMIT_MAX as u64,
        at: REFUSED,
    },
    Fixed {
        what: "events that a search reads",
        value: SearchLimits::USUAL.events_read_max,
        at: CUT,
    },
    Fixed {
        what: "bytes that a search reads, decompressed",
        value: SearchLimits::USUAL.bytes_read_max,
        at: CUT,
    },
    Fixed {
        what: "bytes of memory that a search fills with candidates and sessions",
        value: SearchLimits::USUAL.memory_max,
        at: CUT,
    },
    Fixed {
        what: "items of a page of a timeline",
        value: daybook_query::timeline::LIMIT_MAX as u64,
        at: REFUSED,
    },
    Fixed {
        what: "frames of a page of a replay, after the first",
        value: daybook_query::replay::LIMIT_MAX as u64,
        at: REFUSED,
    },
    Fixed {
        what: "bytes of frames in a page of a replay, about",
        value: daybook_query::replay::FRAMES_BYTES_MAX as u64,
        at: PAGED,
    },
    Fixed {
        what: "bytes of a terminal that a request plays",
        value: daybook_query::replay::PLAYED_BYTES_MAX as u64,
        at: PAGED,
    },
    Fixed {
        what: "events that a request plays",
        value: daybook_query::replay::PLAYED_EVENTS_MAX as u64,
        at: PAGED,
    },
    Fixed {
        what: "bytes of memory that keyframes of replays take",
        value: daybook_query::replay::MEMORY_MAX as u64,
        at: "those that were not looked at for longest go, and are played again when they are asked for",
    },
    Fixed {
        what: "items of a page of sessions",
        value: daybook_query::sessions::LIMIT_MAX as u64,
        at: REFUSED,
    },
];
