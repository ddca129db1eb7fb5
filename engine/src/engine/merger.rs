//! The merger: one thread that makes a few large segments of many small ones.
//!
//! A quiet log is sealed by age, four times an hour, and every segment costs open files and a look at
//! its indexes in every search. Neighbours are rewritten into one (see [`crate::segment::rewrite`]):
//!
//! | rule | because |
//! |---|---|
//! | only segments that were sealed on the same day | retention deletes by that day |
//! | together at most `merge_bytes_max` of lines | memory while merging is about that much |
//! | a segment of half of that stays as it is | rewriting it gains nothing |
//! | while the day lasts: none has more than a third of all their bytes | an event's segment grows threefold each time that it is rewritten, so that is done O(log n) times |
//! | when the day is over: all that fit together | one more time, and few segments stay |
//!
//! Readers are switched from the sources to the result in one step. The sources lose their names at once,
//! and are deleted when the last snapshot that holds them is gone, or at the next start. A failure leaves
//! the sources as they are.

use super::shared::Shared;
use super::space::Said;
use crate::cpu::thread_cpu_us;
use crate::error::Error;
use crate::event::Micros;
use crate::segment::{self, Rewrite, Segment};
use crate::view::{Part as _, Sessions as _};
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What retention deletes at once.
const DAY_US: i64 = 86_400 * 1_000_000;

/// At most this many segments become one in one step.
const SOURCES_MAX: usize = 64;

/// How long after a failure the merger tries again.
const RETRY: Duration = Duration::from_secs(60);

/// What the merger remembers.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    /// The names of segments that are damaged: they stay as they are.
    left: HashSet<String>,
    /// Segments that another one stands for, until nobody reads them any more.
    retired: Vec<Arc<Segment>>,
}

pub(super) fn run(shared: &Shared) {
    let (mut seen, mut last) = (0, None);
    let said = Said::default();
    loop {
        if shared.closing() {
            return;
        }
        let now = (shared.segments_version(), day(Micros::now()));
        if last != Some(now) && shared.read_only_reason().is_none() {
            match step(shared) {
                Ok(true) => {
                    said.worked("segments are merged again");
                    continue;
                }
                Ok(false) => last = Some(now),
                Err(Error::Closed) => return,
                Err(error) => {
                    said.failed(&error, "merging segments failed; they are kept as they are");
                    seen = shared.rest(RETRY);
                    continue;
                }
            }
        }
        shared.merger.lock().sweep();
        seen = shared.wait(seen, Duration::from_secs(1));
    }
}

/// Merges until nothing is left to be merged; answers how often.
pub(super) fn merge_now(shared: &Shared) -> Result<u64, Error> {
    let mut merges = 0;
    while step(shared)? {
        merges += 1;
    }
    shared.merger.lock().sweep();
    Ok(merges)
}

/// Makes one segment of those that belong together most; `false` if none do.
fn step(shared: &Shared) -> Result<bool, Error> {
    let _alone = shared.background.lock();
    if shared.retention.erasing() {
        return Ok(false);
    }
    let mut merger = shared.merger.lock();
    let segments = shared.segments();
    let candidates: Vec<Candidate> =
        segments.iter().map(|segment| merger.candidate(segment)).collect();
    let today = day(Micros::now());
    let Some(picked) = pick(&candidates, shared.options.merge_bytes_max, today) else {
        return Ok(false);
    };
    let sources = segments.get(picked).unwrap_or_default();
    if let Err(error) = merge(shared, sources) {
        let Error::Corrupt { path, .. } = &error else { return Err(error) };
        tracing::warn!(%error, "a segment is damaged: it is not merged with others");
        merger.leave(sources, path);
        return Ok(true);
    }
    merger.retire(sources);
    Ok(true)
}

/// Writes a segment anew as it is, for another encryption key; `false` if it is not there any more.
pub(super) fn rewrite_one(shared: &Shared, segment: &Arc<Segment>) -> Result<bool, Error> {
    let _alone = shared.background.lock();
    if !shared.segments().iter().any(|other| Arc::ptr_eq(other, segment)) {
        return Ok(false);
    }
    if shared.retention.erasing() {
        let what = "retention has not finished a deletion that it began; try again after it";
        return Err(Error::Refused { what: what.to_owned() });
    }
    let sources = std::slice::from_ref(segment);
    merge(shared, sources)?;
    let mut merger = shared.merger.lock();
    merger.retire(sources);
    Ok(true)
}

/// Deletes the segments that another one stands for and that nobody reads any more.
pub(super) fn sweep(shared: &Shared) {
    shared.merger.lock().sweep();
}

fn merge(shared: &Shared, sources: &[Arc<Segment>]) -> Result<(), Error> {
    let started = thread_cpu_us();
    let (disk, segments_dir) = (&shared.options.disk, shared.segments_dir());
    for source in sources {
        segment::check_events(disk, source.path())?;
    }
    // Sources and result are there together for a while, and so is what is made between them.
    let stored: u64 = sources.iter().map(|source| source.manifest().stored_bytes()).sum();
    let needed = shared.space.floor().saturating_add(stored.saturating_mul(2));
    let free = disk.free_bytes(&segments_dir).unwrap_or(u64::MAX);
    if free < needed {
        let what = format!("merging segments takes {needed} free bytes for a while, {free} are");
        return Err(Error::Full { what: what.into() });
    }
    let asked = Rewrite {
        disk,
        segments_dir: &segments_dir,
        sources,
        keep: &|_| true,
        state: &|id| Ok(shared.catalog.get(id)?.map(|session| session.state).unwrap_or_default()),
        columnar: shared.options.columnar.as_deref(),
        text_heap_bytes: shared.options.text_index.then_some(shared.options.index_heap_bytes),
        index_again: false,
    };
    let rewritten = segment::rewrite_unless(&asked, &|| shared.closing())?;
    let Some(report) = rewritten else { return Ok(()) };
    let merged = Segment::open(disk, &report.path, Arc::clone(&shared.cache))?;
    let cpu_s = (thread_cpu_us() - started) as f64 / 1e6;
    tracing::info!(
        segment = %report.path.display(), sources = sources.len(), events = merged.len(), cpu_s, "merged"
    );
    shared.replace_segments(sources, Some(Arc::new(merged)));
    shared.counters.merges.fetch_add(1, Ordering::Relaxed);
    shared.counters.sealed.lock().rewrite += cpu_s;
    shared.progressed();
    Ok(())
}

impl Merger {
    fn candidate(&self, segment: &Segment) -> Candidate {
        let manifest = segment.manifest();
        let damaged = !self.left.is_empty() && self.left.contains(&segment.name());
        Candidate {
            bytes: if damaged { u64::MAX } else { manifest.raw_bytes },
            day: day(manifest.created),
            from: segment.base().0,
            to: segment.end().0,
        }
    }

    /// Leaves those of the sources alone that a damaged file belongs to, or all if none is to blame.
    fn leave(&mut self, sources: &[Arc<Segment>], damaged: &Path) {
        let to_blame = |source: &&Arc<Segment>| damaged.starts_with(source.path());
        let known = sources.iter().any(|source| to_blame(&source));
        let left = sources.iter().filter(|source| !known || to_blame(source));
        self.left.extend(left.map(|source| source.name()));
    }

    /// Takes the names of segments that another one stands for.
    fn retire(&mut self, sources: &[Arc<Segment>]) {
        for source in sources {
            // One that keeps its name does not count any more all the same.
            if let Err(error) = source.retire() {
                tracing::warn!(%error, "a segment that was merged is deleted at the next start");
            }
            self.retired.push(Arc::clone(source));
        }
    }

    /// Deletes the segments that nobody reads any more.
    fn sweep(&mut self) {
        self.retired.retain(|segment| {
            if Arc::strong_count(segment) > 1 {
                return true;
            }
            if let Err(error) = segment.delete() {
                tracing::warn!(%error, "a segment that was merged is deleted at the next start");
            }
            false
        });
    }
}

/// What choosing has to know of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    /// Bytes of its lines.
    bytes: u64,
    day: i64,
    from: u64,
    to: u64,
}

fn day(time: Micros) -> i64 {
    time.0.div_euclid(DAY_US)
}

/// The neighbours that are merged next, by the rules above.
fn pick(segments: &[Candidate], bytes_max: u64, today: i64) -> Option<Range<usize>> {
    let small = |segment: &Candidate| segment.bytes < bytes_max / 2;
    let mut start = 0;
    for run in segments.chunk_by(|a, b| a.day == b.day && small(a) && small(b)) {
        let picked = match run.first() {
            Some(first) if run.len() > 1 && first.day < today => fitting(run, bytes_max),
            Some(_) if run.len() > 1 => growing(run, bytes_max),
            _ => None,
        };
        if let Some(picked) = picked {
            return Some(start + picked.start..start + picked.end);
        }
        start += run.len();
    }
    None
}

/// How many of the first segments fit into one.
fn fit(run: &[Candidate], bytes_max: u64) -> usize {
    let mut sum = 0u64;
    let from = run.first().map_or(0, |first| first.from);
    run.iter()
        .take(SOURCES_MAX)
        .take_while(|segment| {
            sum = sum.saturating_add(segment.bytes);
            sum <= bytes_max && segment.to - from <= u64::from(u32::MAX)
        })
        .count()
}

/// The first neighbours that fit together.
fn fitting(run: &[Candidate], bytes_max: u64) -> Option<Range<usize>> {
    let mut start = 0;
    while let Some(rest) = run.get(start..).filter(|rest| !rest.is_empty()) {
        let count = fit(rest, bytes_max).max(1);
        if count > 1 {
            return Some(start..start + count);
        }
        start += count;
    }
    None
}

/// The neighbours whose largest is least, and no more than a third of all.
fn growing(run: &[Candidate], bytes_max: u64) -> Option<Range<usize>> {
    let mut best: Option<(u64, Range<usize>)> = None;
    for start in 0..run.len() {
        let rest = run.get(start..).unwrap_or_default();
        let (mut sum, mut most) = (0u64, 0);
        for (at, segment) in rest.iter().take(fit(rest, bytes_max)).enumerate() {
            sum = sum.saturating_add(segment.bytes);
            most = segment.bytes.max(most);
            let better = best.as_ref().is_none_or(|(least, range)| {
                most < *least || (most == *least && at + 1 > range.len())
            });
            if most.saturating_mul(3) <= sum && better {
                best = Some((most, start..start + at + 1));
            }
        }
    }
    best.map(|(_, range)| range)
}

#[cfg(test)]
#[path = "merger_tests.rs"]
mod tests;
