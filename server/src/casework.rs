//! What investigators and reviewers have made of sessions: cases, marks, and what chance there is to be looked at.

use crate::Error;
use crate::cases::{self, Cases};
use crate::ledger::Ledger;
use crate::queue::{Marks, Seed};
use daybook_engine::Engine;
use std::sync::Arc;

/// All of it.
#[derive(Debug)]
pub struct Casework {
    /// Sets of sessions.
    pub cases: Ledger<Cases>,
    /// Sessions that were looked at.
    pub marks: Ledger<Marks>,
    /// What samples of sessions are drawn with.
    pub seed: Seed,
}

impl Casework {
    /// Reads what was done, and brings the holds of cases in step with it.
    ///
    /// # Errors
    /// A file or a part of the log that can't be read.
    pub async fn open(engine: &Arc<Engine>) -> Result<Casework, Error> {
        let casework = Casework {
            cases: Ledger::open(engine).map_err(Error::Ledger)?,
            marks: Ledger::open(engine).map_err(Error::Ledger)?,
            seed: Seed::open(engine).map_err(Error::Ledger)?,
        };
        let (ledger, engine) = (casework.cases.clone(), Arc::clone(engine));
        // It waits for the log.
        let resumed = tokio::task::spawn_blocking(move || cases::resume(&ledger, &engine)).await;
        if let Err(error) = resumed {
            tracing::error!(%error, "the holds of cases are not in step with them");
        }
        Ok(casework)
    }
}
