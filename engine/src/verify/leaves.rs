//! A segment's events against the leaves that were made of them when they were in their journals.

use super::Check;
use super::report::{Lost, Mend, Problem};
use super::tree::Tree;
use crate::block::{RECORD_HEADER_LEN, Records};
use crate::error::Error;
use crate::event::Offset;
use crate::merkle::Hash;
use std::path::Path;

/// The hashes of a segment's events, by offset.
pub(super) struct Hashes {
    base: Offset,
    /// `None` where no event has been seen.
    of: Vec<Option<Hash>>,
}

impl Hashes {
    pub(super) fn open(
        _check: &mut Check<'_>,
        _dir: &Path,
        base: Offset,
        _end: Offset,
    ) -> Result<Hashes, Error> {
        Ok(Hashes { base, of: Vec::new() })
    }

    /// Hashes a block's events.
    pub(super) fn block(&mut self, payload: &[u8]) {
        let mut rest = payload;
        for record in Records::new(payload) {
            let Ok(record) = record else { return };
            let Some((_bytes, after)) =
                rest.split_at_checked(RECORD_HEADER_LEN + record.json.len())
            else {
                return;
            };
            rest = after;
        }
    }
}

impl Check<'_> {
    /// Compares a segment's events with their leaves.
    pub(super) fn leaves(
        &mut self,
        path: &Path,
        hashes: &Hashes,
        base: Offset,
        end: Offset,
        tree: &mut Tree,
    ) -> Result<(), Error> {
        if hashes.of.is_empty() {
            return Ok(());
        }
        let Some(leaves) = &mut tree.leaves else { return Ok(()) };
        let mut place = leaves.place_of(base)?;
        while let Some(leaf) = leaves.leaf(place)?
            && leaf.base < end
        {
            let from = leaf.base.0.saturating_sub(hashes.base.0) as usize;
            let of = hashes.of.get(from..from + leaf.count as usize).unwrap_or_default();
            let known: Option<Vec<Hash>> = of.iter().copied().collect();
            let root = known.filter(|known| !known.is_empty());
            let root = root.map(|hashes| crate::merkle::hash::root_of(&hashes));
            if root == Some(leaf.root) {
                self.report.leaves += 1;
            } else if root.is_some() && !tree.doubtful.contains(&place) {
                let last = Offset(leaf.end().0 - 1);
                let what = format!(
                    "the events {} to {last} are not the ones that were signed: at least one was changed, taken out or moved",
                    leaf.base
                );
                let lost = vec![Lost { first: leaf.base, last, sessions: Vec::new() }];
                self.found(path, 0..0, Problem::Altered, what, lost, Mend::Ask);
            }
            place += 1;
        }
        Ok(())
    }
}
