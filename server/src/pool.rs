//! Work that would hold up the event loop (it parses, or reads maps and files) runs on threads of
//! its own, with a bound on how much of it runs at once.

use crate::problem::Problem;
use daybook_query::search::Abandoned;
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
        self.run_while_awaited(limit, |_| work()).await
    }

    /// As [`Pool::run_within`], for work that can be given up: it is told when nobody waits for it any more, because it
    /// took too long or who asked has gone away.
    ///
    /// # Errors
    /// As [`Pool::run_within`].
    pub async fn run_while_awaited<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&Abandoned) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let abandoned = Abandoned::not_yet();
        let _awaited = Awaited(abandoned.clone());
        let run = self.run(move || work(&abandoned));
        tokio::time::timeout(limit, run).await.unwrap_or_else(|_| {
            Err(Problem::timeout(format!(
                "no answer after {} s; ask for less: a shorter period, a user or a role, a longer word",
                limit.as_secs()
            )))
        })
    }
}

/// As long as it is there, somebody waits.
struct Awaited(Abandoned);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Work that goes on until it is told that nobody waits.
    fn endless(abandoned: &Abandoned) {
        while !abandoned.is_set() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_gives_its_place_away() {
        let pool = Pool::new(1);
        let hour = Duration::from_secs(3600);
        let (started, starts) = tokio::sync::oneshot::channel();
        let asked = tokio::spawn({
            let pool = pool.clone();
            async move {
                let work = move |abandoned: &Abandoned| {
                    let _ = started.send(());
                    endless(abandoned);
                };
                pool.run_while_awaited(hour, work).await
            }
        });
        starts.await.unwrap();
        asked.abort();
        assert_eq!(pool.run(|| 1).await.unwrap(), 1);
        let late = pool.run_while_awaited(Duration::from_millis(1), endless).await;
        assert_eq!(late.unwrap_err().status(), 503);
        assert_eq!(pool.run(|| 2).await.unwrap(), 2);
    }
}
