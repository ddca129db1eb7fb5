//! A journal: block by block, each against its leaf.

use super::Check;
use super::blocks::{Piece, short, walk};
use super::log::Log;
use super::report::{Lost, Mend, Problem};
use super::tree::Tree;
use crate::block::{BlockFile, FILE_HEADER_LEN, FileKind, Records};
use crate::error::Error;
use crate::event::Offset;
use crate::journal::file;
use crate::merkle::{Leaf, Secret};
use std::ops::Range;
use std::path::Path;

impl Check<'_> {
    /// Checks a journal; answers the offset after its last event, or `None` if that is not known.
    pub(super) fn journal(
        &mut self,
        dir: &Path,
        base: Offset,
        newest: bool,
        tree: &mut Tree,
        log: &mut Log,
    ) -> Result<Option<Offset>, Error> {
        let path = file::path(dir, base);
        let signed_end = tree.leaves.as_mut().map_or(Ok(Offset(0)), |leaves| leaves.end())?;
        let blocks = match BlockFile::open(&**self.disk, &path, FileKind::Journal) {
            Ok(blocks) => blocks,
            Err(error) if self.vanished(&path, &error) => return Err(error),
            Err(error) => {
                self.header(&path, error, base, signed_end);
                return Ok((signed_end > base).then_some(signed_end));
            }
        };
        self.mended(&path, &blocks);
        if blocks.header().base != base {
            let what = "the file's name and its header name different offsets";
            self.found(&path, 16..24, Problem::Altered, what, Vec::new(), Mend::Ask);
        }
        // What is written behind this while we read is not looked at.
        let end = blocks.file_len()?;
        self.count_file(end);
        let secret = Secret(blocks.secret()?);
        let mut next = base;
        let mut bad: Vec<(Range<u64>, Offset, String)> = Vec::new();
        let mut place = match &mut tree.leaves {
            Some(leaves) => leaves.place_of(base)?,
            None => 0,
        };
        walk(&blocks, end, &mut |piece| {
            let whole = match piece {
                Piece::Bad(piece) => {
                    bad.push((piece.bytes, next, piece.what));
                    if let Some(header) = piece.header {
                        next = Offset(header.base + u64::from(header.count)).max(next);
                    }
                    return Ok(());
                }
                Piece::Whole(whole) => whole,
            };
            let first = Offset(whole.header.base);
            if let Err(what) = follows(&whole.payload, first) {
                bad.push((whole.bytes, next, what.to_owned()));
                next = Offset(first.0 + u64::from(whole.header.count)).max(next);
                return Ok(());
            }
            self.settle(&path, &mut bad, first);
            next = Offset(first.0 + u64::from(whole.header.count));
            self.report.events += u64::from(whole.header.count);
            log.deletions(&whole.payload);
            let Some(leaves) = &mut tree.leaves else { return Ok(()) };
            // Leaves of blocks that could not be read are passed over.
            while let Some(leaf) = leaves.leaf(place)?
                && leaf.base < first
            {
                place += 1;
            }
            if let Some(leaf) = leaves.leaf(place)? {
                let right = Leaf::of_block(&secret, &whole.payload)
                    .is_ok_and(|of_events| of_events == leaf);
                if right {
                    self.report.leaves += 1;
                } else if !tree.doubtful.contains(&place) {
                    let what = format!(
                        "the events {first} to {} are not the ones that were signed: at least one was changed, taken out or moved",
                        Offset(next.0 - 1)
                    );
                    let lost = vec![Lost {
                        first,
                        last: Offset(next.0 - 1),
                        sessions: log.sessions_of(&whole.payload),
                    }];
                    self.found(&path, whole.bytes, Problem::Altered, what, lost, Mend::Ask);
                }
                place += 1;
            }
            Ok(())
        })?;
        if bad.is_empty() {
            return Ok(Some(next));
        }
        // Nothing whole stands behind: what was signed was there, the rest may never have been.
        let torn = newest && bad.iter().all(|(_, first, _)| *first >= signed_end);
        if torn {
            let (from, first) =
                bad.first().map_or((end, next), |(bytes, first, _)| (bytes.start, *first));
            if !self.running {
                let what = format!(
                    "what was being written when the process stopped; from event {first} on, never acknowledged"
                );
                self.found(&path, from..end, Problem::Torn, what, Vec::new(), Mend::Nothing);
            }
            return Ok(Some(first));
        }
        let after = signed_end.max(next);
        self.settle(&path, &mut bad, after);
        Ok(Some(after))
    }

    /// Reports a header of which one byte rotted: nothing is lost with it.
    pub(super) fn mended(&mut self, path: &Path, blocks: &BlockFile) {
        if let Some(what) = blocks.mended() {
            let bytes = 0..FILE_HEADER_LEN as u64;
            self.found(path, bytes, Problem::Damaged, what, Vec::new(), Mend::Repair);
        }
    }

    /// Reports bad places, the last of which ends where the event `after` starts.
    fn settle(&mut self, path: &Path, bad: &mut Vec<(Range<u64>, Offset, String)>, after: Offset) {
        let mut ends: Vec<Offset> = bad.iter().skip(1).map(|(_, first, _)| *first).collect();
        ends.push(after);
        for ((bytes, first, what), end) in bad.drain(..).zip(ends) {
            let lost = (end > first).then(|| Lost {
                first,
                last: Offset(end.0 - 1),
                sessions: Vec::new(),
            });
            let lost = lost.into_iter().collect();
            self.found(path, bytes, Problem::Damaged, what, lost, Mend::Restore);
        }
    }

    /// A journal whose header can't be believed: nothing in it can.
    fn header(&mut self, path: &Path, error: Error, base: Offset, signed_end: Offset) {
        let len = self.disk.stat(path).ok().flatten().map_or(0, |meta| meta.len);
        self.count_file(len);
        if len < FILE_HEADER_LEN as u64 && signed_end <= base {
            let what = "it was being created when the process stopped; it holds nothing";
            self.found(path, 0..len, Problem::Torn, what, Vec::new(), Mend::Nothing);
            return;
        }
        let lost = (signed_end > base).then(|| Lost {
            first: base,
            last: Offset(signed_end.0 - 1),
            sessions: Vec::new(),
        });
        let what = format!("{}; without it nothing in the file can be read", short(error));
        let end = (FILE_HEADER_LEN as u64).min(len);
        let lost = lost.into_iter().collect();
        self.found(path, 0..end, Problem::Damaged, what, lost, Mend::Restore);
    }
}

/// Do a block's events have the offsets from `first` on?
fn follows(payload: &[u8], first: Offset) -> Result<(), &'static str> {
    for (number, record) in (first.0..).zip(Records::new(payload)) {
        if record?.offset.0 != number {
            return Err("an event's offset does not follow the one before it");
        }
    }
    Ok(())
}
