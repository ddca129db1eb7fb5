//! The committer: one thread that writes the catalog when many new sessions wait in memory.
//!
//! The sealer commits the catalog before each segment, which is often enough where sessions are long. But a million
//! short ones fit into a journal, and every list, count and facet goes through those that the index does not have.
//! Sessions that only change again do not count: while they are open each commit would write them once more.

use super::refold;
use super::shared::Shared;
use super::space::Said;
use crate::error::Error;
use std::time::{Duration, Instant};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long after a failure it is tried again: the catalog may be in the making.
const RETRY: Duration = Duration::from_secs(5);

pub(super) fn run(shared: &Shared) {
    let (mut seen, said) = (0, Said::default());
    let mut after = Instant::now();
    while !shared.closing() {
        let many = shared.catalog.fresh() >= shared.options.fresh_sessions_max;
        if many && Instant::now() >= after {
            match commit(shared) {
                Ok(()) => said.worked("new sessions are committed again"),
                Err(error) => {
                    after = Instant::now() + RETRY;
                    said.failed(&error, "committing new sessions failed; they stay in memory, and it is tried again");
                    if let Err(error) = refold::look(shared) {
                        tracing::warn!(%error, "can't find out whether the catalog is damaged");
                    }
                }
            }
        }
        seen = shared.wait(seen, INTERVAL);
    }
}

fn commit(shared: &Shared) -> Result<(), Error> {
    let _still = shared.catalog_files.lock();
    shared.catalog.commit().map(|_| ())
}
