//! What an upload came to, added up chunk by chunk.

use crate::problem::Stored;
use daybook_engine::{Ack, Rejection};
use serde::Serialize;
use utoipa::ToSchema;

/// At most this many rejected lines are listed; all are counted.
pub const LISTED_MAX: usize = 1_000;

/// What became of an upload. Everything that is counted as accepted is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Ingested)]
pub struct Tally {
    /// Events that were stored.
    pub accepted: u64,
    /// Events that had been stored before, with the same content.
    pub duplicates: u64,
    /// The first 1,000 lines that were refused.
    pub rejected: Vec<Rejected>,
    /// How many lines were refused.
    pub rejected_count: u64,
    /// The lowest offset that was given to an event; null if nothing was stored.
    #[schema(required = true)]
    pub first_offset: Option<u64>,
    /// The highest.
    #[schema(required = true)]
    pub last_offset: Option<u64>,
    /// Every line up to this one was answered for.
    #[serde(skip)]
    pub through: u64,
}

/// A line that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rejected {
    /// Its number in the upload, from 1; blank lines count.
    pub line: u64,
    /// What is wrong with it, and what would be right.
    pub error: String,
}

impl Tally {
    /// Adds a chunk: the lines that were no events, and what the log said of those that were.
    pub fn add(&mut self, through: u64, refused: Vec<Rejection>, ack: Ack) {
        self.accepted += ack.accepted;
        self.duplicates += ack.duplicates;
        self.rejected_count += (refused.len() + ack.rejected.len()) as u64;
        self.through = self.through.max(through);
        let first = ack.first_offset.map(|offset| offset.0);
        let last = ack.last_offset.map(|offset| offset.0);
        self.first_offset = self.first_offset.into_iter().chain(first).min();
        self.last_offset = self.last_offset.max(last);
        let room = LISTED_MAX.saturating_sub(self.rejected.len());
        if room > 0 {
            let mut both: Vec<Rejected> = refused
                .into_iter()
                .chain(ack.rejected)
                .map(|Rejection { line, error }| Rejected { line, error })
                .collect();
            both.sort_by_key(|rejected| rejected.line);
            both.truncate(room);
            self.rejected.append(&mut both);
        }
    }

    /// The counts, for a problem.
    #[must_use]
    pub fn stored(&self) -> Stored {
        Stored {
            accepted: self.accepted,
            duplicates: self.duplicates,
            rejected_count: self.rejected_count,
            lines: self.through,
        }
    }
}
