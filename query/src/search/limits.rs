//! How much a search may take.

use crate::error::QueryError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much a search may take. A page that stops there goes on at its cursor; totals become floors; a set of
/// sessions can't be answered at all.
#[derive(Clone, Debug)]
pub struct SearchLimits {
    /// How many events the page, the totals, and each set of sessions may read and test.
    pub events_read_max: u64,
    /// How many bytes of blocks and lines each of them may look at, after decompression.
    pub bytes_read_max: u64,
    /// How many bytes of memory each of them may fill with what it has to remember: candidates, sessions.
    pub memory_max: u64,
    /// When they have to be done.
    pub until: Option<Instant>,
    /// Whether anybody still waits for the answer.
    pub abandoned: Abandoned,
}

/// Says to those who work on an answer that nobody waits for it any more. Clones say the same.
#[derive(Clone, Debug, Default)]
pub struct Abandoned(Option<Arc<AtomicBool>>);

impl Abandoned {
    /// One that can be [set](Abandoned::set).
    #[must_use]
    pub fn not_yet() -> Abandoned {
        Abandoned(Some(Arc::default()))
    }

    /// Nobody waits any more.
    pub fn set(&self) {
        if let Some(set) = &self.0 {
            set.store(true, Ordering::Relaxed);
        }
    }

    /// Does nobody wait any more?
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|set| set.load(Ordering::Relaxed))
    }
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
        abandoned: Abandoned(None),
    };

    /// No limits: for what has to be whole, however much it reads.
    pub const NONE: SearchLimits = SearchLimits {
        events_read_max: u64::MAX,
        bytes_read_max: u64::MAX,
        memory_max: u64::MAX,
        until: None,
        abandoned: Abandoned(None),
    };

    /// The usual ones, and a time, for somebody who may cease to wait.
    #[must_use]
    pub fn within(time: Duration, abandoned: &Abandoned) -> SearchLimits {
        let abandoned = abandoned.clone();
        SearchLimits {
            until: Instant::now().checked_add(time),
            abandoned,
            ..SearchLimits::default()
        }
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
    pub(crate) fn new(limits: &SearchLimits) -> Spent {
        Spent { limits: limits.clone(), events: 0, bytes: 0, memory: 0 }
    }

    /// Which limit is reached, if one is.
    pub(crate) fn limit(&self) -> Option<String> {
        let SearchLimits { events_read_max, bytes_read_max, memory_max, until, .. } = self.limits;
        if self.events >= events_read_max {
            return Some(format!("read more than {events_read_max} events"));
        }
        if self.bytes >= bytes_read_max {
            return Some(format!("look at more than {bytes_read_max} bytes"));
        }
        if self.memory > memory_max {
            return Some(format!("hold more than {memory_max} bytes in memory"));
        }
        if self.limits.abandoned.is_set() {
            return Some("go on: nobody waits for it".to_owned());
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
