//! A segment's events against the leaves that were made of them when they were in their journals.

use super::Check;
use super::blocks::short;
use super::report::{Lost, Mend, Problem};
use super::tree::Tree;
use crate::block::Records;
use crate::error::Error;
use crate::event::Offset;
use crate::merkle::Hash;
use crate::merkle::hash::root_of;
use crate::segment::{LEAVES_FILE, Leaves};
use std::path::Path;

/// The hashes of a segment's events, by offset.
pub(super) struct Hashes {
    leaves: Option<Leaves>,
    base: Offset,
    /// `None` where no event has been seen.
    of: Vec<Option<Hash>>,
}

impl Hashes {
    /// For the events of a segment, if it says what their blocks were.
    pub(super) fn open(check: &mut Check<'_>, dir: &Path, named: bool) -> Result<Hashes, Error> {
        let path = dir.join(LEAVES_FILE);
        let mut hashes = Hashes { leaves: None, base: Offset(0), of: Vec::new() };
        if !check.disk.exists(&path)? {
            return Ok(hashes);
        }
        match Leaves::of_segment(&**check.disk, dir) {
            Ok(leaves) => {
                let ends = leaves.runs.first().zip(leaves.runs.last());
                if let Some((first, last)) = ends {
                    hashes.base = first.base;
                    let len = last.end().0.saturating_sub(first.base.0);
                    hashes.of = vec![None; usize::try_from(len).unwrap_or(0)];
                }
                hashes.leaves = Some(leaves);
            }
            // With a manifest it has been reported.
            Err(error) if !named => {
                let len = check.disk.stat(&path).ok().flatten().map_or(0, |meta| meta.len);
                let what = short(error);
                check.found(&path, 0..len, Problem::Damaged, what, Vec::new(), Mend::Repair);
            }
            Err(_) => {}
        }
        Ok(hashes)
    }

    /// Hashes a block's events.
    pub(super) fn block(&mut self, payload: &[u8]) {
        let Some(leaves) = &self.leaves else { return };
        let mut rest = payload;
        for record in Records::new(payload).map_while(Result::ok) {
            let len = record.encoded_len();
            let Some((bytes, after)) = rest.split_at_checked(len) else { return };
            rest = after;
            let at = record.offset.0.checked_sub(self.base.0).map(|at| at as usize);
            if let Some(place) = at.and_then(|at| self.of.get_mut(at)) {
                let run = leaves.run_of(record.offset);
                *place = run.and_then(|run| run.hash(record.offset, Some(bytes)));
            }
        }
    }

    /// The events that should be here and were not read: first and last.
    pub(super) fn missing(&self) -> Vec<(Offset, Offset)> {
        let Some(leaves) = &self.leaves else { return Vec::new() };
        let mut missing: Vec<(Offset, Offset)> = Vec::new();
        for run in &leaves.runs {
            for offset in (run.base.0..run.end().0).map(Offset) {
                if self.get(leaves, offset).is_some() {
                    continue;
                }
                match missing.last_mut() {
                    Some((_, last)) if last.0 + 1 == offset.0 => *last = offset,
                    _ => missing.push((offset, offset)),
                }
            }
        }
        missing
    }

    /// The hash of an event: of what was read, or what is kept of one that was erased.
    fn get(&self, leaves: &Leaves, offset: Offset) -> Option<Hash> {
        let at = offset.0.checked_sub(self.base.0)?;
        let read = self.of.get(usize::try_from(at).ok()?).copied().flatten();
        read.or_else(|| leaves.run_of(offset)?.hash(offset, None))
    }
}

impl Check<'_> {
    /// Compares a segment's events with their leaves; `whole` says that all of it could be read.
    pub(super) fn leaves(
        &mut self,
        path: &Path,
        hashes: &Hashes,
        whole: bool,
        tree: &mut Tree,
    ) -> Result<(), Error> {
        let Some(of_segment) = &hashes.leaves else { return Ok(()) };
        let Some(leaves) = &mut tree.leaves else { return Ok(()) };
        for (place, base, count) in of_segment.blocks() {
            let last = Offset(base.0.saturating_add(u64::from(count) - 1));
            let leaf = leaves.leaf(place)?;
            if tree.doubtful.contains(&place) {
                continue;
            }
            let Some(leaf) = leaf else {
                let what = format!("the Merkle log has no leaf for the events {base} to {last}");
                self.found(path, 0..0, Problem::Altered, what, Vec::new(), Mend::Ask);
                continue;
            };
            let of_block: Option<Vec<Hash>> =
                (base.0..=last.0).map(|offset| hashes.get(of_segment, Offset(offset))).collect();
            let what = match of_block {
                Some(of_block) if root_of(&of_block) == leaf.root && leaf.base == base => {
                    self.report.leaves += 1;
                    continue;
                }
                Some(_) => "are not the ones that were signed: at least one was changed or moved",
                None if whole => "are not the ones that were signed: at least one was taken out",
                // What could not be read has been reported.
                None => continue,
            };
            let what = format!("the events {base} to {last} {what}");
            let lost = vec![Lost { first: base, last, sessions: Vec::new() }];
            self.found(path, 0..0, Problem::Altered, what, lost, Mend::Ask);
        }
        Ok(())
    }
}
