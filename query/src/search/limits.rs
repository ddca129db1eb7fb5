//! How much a search may take.

use crate::error::QueryError;
use std::time::{Duration, Instant};

/// How much a search may take. A page that stops there goes on at its cursor; totals become floors; a set of
/// sessions can't be answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchLimits {
    /// How many events the page, the totals, and each set of sessions may read and test.
    pub events_read_max: u64,
    /// How many bytes of blocks and lines each of them may look at, after decompression.
    pub bytes_read_max: u64,
    /// How many bytes of memory each of them may fill with what it has to remember: candidates, sessions.
    pub memory_max: u64,
    /// When they have to be done.
    pub until: Option<Instant>,
}

impl Default for SearchLimits {
    fn default() -> Self {
        SearchLimits::USUAL
    }
}

impl SearchLimits {
    /// The usual ones, without a time.
    pub const USUAL: SearchLimits = SearchLimits {
        events_read_max: 5_000_000,
        bytes_read_max: 8 << 30,
        memory_max: 256 << 20,
        until: None,
    };

    /// No limits: for what has to be whole, however much it reads.
    pub const NONE: SearchLimits = SearchLimits {
        events_read_max: u64::MAX,
        bytes_read_max: u64::MAX,
        memory_max: u64::MAX,
        until: None,
    };

    /// The usual ones, and a time.
    #[must_use]
    pub fn within(time: Duration) -> SearchLimits {
        SearchLimits { until: Instant::now().checked_add(time), ..SearchLimits::default() }
    }
}

/// What a search has taken of its limits.
#[derive(Debug)]
pub(crate) struct Spent {
    limits: SearchLimits,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// What it holds now.
    pub(crate) memory: u64,
}

impl Spent {
    /// Nothing yet.
    pub(crate) fn new(limits: SearchLimits) -> Spent {
        Spent { limits, events: 0, bytes: 0, memory: 0 }
    }

    /// Which limit is reached, if one is.
    pub(crate) fn limit(&self) -> Option<String> {
        let SearchLimits { events_read_max, bytes_read_max, memory_max, until } = self.limits;
        if self.events >= events_read_max {
            return Some(format!("read more than {events_read_max} events"));
        }
        if self.bytes >= bytes_read_max {
            return Some(format!("look at more than {bytes_read_max} bytes"));
        }
        if self.memory > memory_max {
            return Some(format!("hold more than {memory_max} bytes in memory"));
        }
        until.filter(|until| Instant::now() >= *until).map(|_| "take too long".to_owned())
    }

    /// Goes on only below the limits.
    ///
    /// # Errors
    /// [`QueryError::TooCostly`].
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        match self.limit() {
            None => Ok(()),
            Some(what) => Err(QueryError::TooCostly { what }),
        }
    }
}
