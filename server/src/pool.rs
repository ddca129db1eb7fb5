//! Work that would hold up the event loop (it parses, or reads maps and files) runs on threads of
//! its own, with a bound on how much of it runs at once.

use crate::problem::Problem;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bound on one kind of work.
#[derive(Clone, Debug)]
pub struct Pool {
    permits: Arc<Semaphore>,
}

impl Pool {
    /// At most `size` pieces of work at once, at least one.
    #[must_use]
    pub fn new(size: usize) -> Pool {
        Pool { permits: Arc::new(Semaphore::new(size.max(1))) }
    }

    /// A place in the bound, once there is room, for work that is done elsewhere.
    ///
    /// # Errors
    /// None in practice: the bound is never taken away.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(Problem::internal)
    }

    /// Runs `work` on a thread, once there is room.
    ///
    /// # Errors
    /// A panic of `work`, as an internal problem.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.turn().await?;
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            span.in_scope(work)
        })
        .await
        .map_err(Problem::internal)
    }

    /// As [`Pool::run`], but answered after `limit` at the latest. Work that has started goes on to
    /// its end and keeps its place in the bound.
    ///
    /// # Errors
    /// As [`Pool::run`], or that it took too long.
    pub async fn run_within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        tokio::time::timeout(limit, self.run(work)).await.unwrap_or_else(|_| {
            Err(Problem::timeout(format!(
                "no answer after {} s; ask for less: a shorter period, a user or a role, a longer word",
                limit.as_secs()
            )))
        })
    }
}
