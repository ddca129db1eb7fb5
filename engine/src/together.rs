//! Work on several threads at once, for who waits for its answer.
//!
//! The pieces are numbered. Each thread takes the next one that nobody has, and adds it to a state of its own; the states
//! are put together by who asked.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More threads than this have little to add to one question, and are wanted by others.
const THREADS_MAX: usize = 8;

/// How many threads are worth it for pieces of which each takes a while: as many as there are processors, up to eight.
#[must_use]
pub fn threads() -> usize {
    // The system is asked through several files.
    static THREADS: LazyLock<usize> = LazyLock::new(|| {
        std::thread::available_parallelism()
            .map_or(1, |processors| processors.get().min(THREADS_MAX))
    });
    *THREADS
}

/// Adds `pieces` pieces to states, on at most `threads` threads, the caller's among them. The states come in no order, nor do
/// the pieces of one but that they ascend.
///
/// # Errors
/// The first that a step has answered; other threads have come to their ends before.
///
/// # Panics
/// As its steps do.
pub fn fold<S: Send, E: Send>(
    pieces: usize,
    threads: usize,
    start: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, usize) -> Result<(), E> + Sync,
) -> Result<Vec<S>, E> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut state = start();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return Ok(state);
            }
            step(&mut state, piece)?;
        }
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(pieces)).map(|_| scope.spawn(run)).collect();
        let mut states = vec![run()];
        for helper in helpers {
            states.push(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        states.into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_piece_is_in_one_state_and_an_error_comes_through() {
        for (pieces, threads) in [(0, 4), (1, 4), (7, 1), (1_000, 3), (3, 0)] {
            let push = |state: &mut Vec<usize>, piece| {
                state.push(piece);
                Ok::<_, ()>(())
            };
            let states = fold(pieces, threads, Vec::new, push).unwrap();
            assert!(states.len() <= threads.max(1));
            assert!(states.iter().all(|state| state.is_sorted()));
            let mut all: Vec<usize> = states.concat();
            all.sort_unstable();
            assert_eq!(all, (0..pieces).collect::<Vec<_>>());
        }
        let fails = |(): &mut (), piece| if piece == 5 { Err(piece) } else { Ok(()) };
        assert_eq!(fold(10, 2, || (), fails), Err(5));
    }
}
