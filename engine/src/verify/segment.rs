//! A segment: its manifest, each of its files, and its events against their leaves.

use super::Check;
use super::blocks::{Piece, short, walk};
use super::leaves::Hashes;
use super::log::Log;
use super::report::{Finding, Lost, Mend, Problem};
use super::tree::Tree;
use crate::block::{BlockFile, FILE_HEADER_LEN, FileKind, Records};
use crate::disk::read_exact_at;
use crate::error::Error;
use crate::event::Offset;
use crate::segment::{EVENTS_FILE, INDEX_FILE, Index, MANIFEST_FILE, Manifest};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

/// How many sessions a sentence names.
const NAMED_MAX: usize = 10;

/// What is known of a segment when its events are looked at.
struct Known {
    base: Offset,
    end: Offset,
    /// The index, if all of it can be believed.
    index: Option<Index>,
    /// Its events' file is not what the manifest says.
    differs: bool,
    /// There is a manifest.
    named: bool,
}

impl Check<'_> {
    /// Checks a segment; answers the offsets that it stands for, or `None` if it is not there any more.
    pub(super) fn segment(
        &mut self,
        dir: &Path,
        tree: &mut Tree,
        log: &mut Log,
    ) -> Result<Option<(Offset, Offset)>, Error> {
        let path = dir.join(MANIFEST_FILE);
        let manifest = match Manifest::read(&**self.disk, dir) {
            Ok(manifest) => Some(manifest),
            Err(error) if self.vanished(dir, &error) => return Ok(None),
            Err(error) => {
                let missing = !self.disk.exists(&path)?;
                let end = self.disk.stat(&path).ok().flatten().map_or(0, |meta| meta.len);
                let problem = if missing { Problem::Missing } else { Problem::Damaged };
                self.found(&path, 0..end, problem, short(error), Vec::new(), Mend::Repair);
                None
            }
        };
        self.count_file(self.disk.stat(&path).ok().flatten().map_or(0, |meta| meta.len));
        let differ = self.files(dir, manifest.as_ref())?;
        let index = self.index(dir, differ.as_ref())?;
        let named = dir.file_name().and_then(|name| name.to_str()?.get(..20)?.parse().ok());
        let base = match (&manifest, &index, named) {
            (Some(manifest), ..) => manifest.base,
            (None, Some(index), _) => index.base(),
            (None, None, named) => Offset(named.unwrap_or(0)),
        };
        let end = match (&manifest, &index) {
            (Some(manifest), _) => manifest.end,
            (None, Some(index)) => index.end(),
            (None, None) => base,
        };
        let events_differ = differ.as_ref().is_none_or(|differ| differ.contains_key(EVENTS_FILE));
        let known = Known { base, end, index, differs: events_differ, named: manifest.is_some() };
        let last = self.events(dir, &known, tree, log)?;
        Ok(Some((base, end.max(last))))
    }

    /// Compares every file with the manifest. Answers the files that differ, with their lengths;
    /// `None` without a manifest, when every file has to speak for itself.
    fn files(
        &mut self,
        dir: &Path,
        manifest: Option<&Manifest>,
    ) -> Result<Option<BTreeMap<String, u64>>, Error> {
        let Some(manifest) = manifest else {
            self.note(format!(
                "{}: without its manifest the Parquet copy can't be checked",
                self.named(dir).display()
            ));
            let text = dir.join(crate::segment::TEXT_DIR);
            if self.disk.exists(&text)? {
                self.tantivy(&text)?;
            }
            return Ok(None);
        };
        let mut differ = BTreeMap::new();
        for (name, sealed) in &manifest.files {
            let path = dir.join(name);
            let (len, problem, what) = match self.hashed(&path) {
                Ok((len, sha256)) if len == sealed.bytes && sha256 == sealed.sha256 => continue,
                Ok((len, _)) if len != sealed.bytes => {
                    let what = format!("it has {len} bytes, but was sealed with {}", sealed.bytes);
                    (len, Problem::Damaged, what)
                }
                Ok((len, _)) => {
                    (len, Problem::Damaged, "it is not the file that was sealed".to_owned())
                }
                Err(error) if self.vanished(dir, &error) => continue,
                Err(error) => {
                    let missing = !self.disk.exists(&path)?;
                    let problem = if missing { Problem::Missing } else { Problem::Damaged };
                    (0, problem, short(error))
                }
            };
            differ.insert(name.clone(), len);
            // These two are looked into, to say where.
            let inside = [EVENTS_FILE, INDEX_FILE].contains(&name.as_str());
            if !inside || problem == Problem::Missing || len != sealed.bytes {
                let lost = name == EVENTS_FILE;
                let mend = if lost { Mend::Restore } else { Mend::Repair };
                let bytes = if len < sealed.bytes { len..sealed.bytes } else { 0..len };
                self.found(&path, bytes, problem, what, Vec::new(), mend);
            }
        }
        self.unnamed(dir, "", manifest)?;
        Ok(Some(differ))
    }

    /// Reports files that the manifest does not name.
    fn unnamed(&mut self, dir: &Path, prefix: &str, manifest: &Manifest) -> Result<(), Error> {
        let here = dir.join(prefix);
        let entries = match self.disk.list(&here).map_err(Error::io("list", &here)) {
            Err(error) if self.vanished(&here, &error) => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let name = match prefix {
                "" => entry.name,
                prefix => format!("{prefix}/{}", entry.name),
            };
            if entry.meta.is_dir {
                self.unnamed(dir, &name, manifest)?;
            } else if name != MANIFEST_FILE && !manifest.files.contains_key(&name) {
                self.leftover(&dir.join(&name), entry.meta.len);
            }
        }
        Ok(())
    }

    /// Checks the index, section by section if the file is not what was sealed; answers it if all of
    /// it can be believed.
    fn index(
        &mut self,
        dir: &Path,
        differ: Option<&BTreeMap<String, u64>>,
    ) -> Result<Option<Index>, Error> {
        let path = dir.join(INDEX_FILE);
        let differs = differ.is_none_or(|differ| differ.contains_key(INDEX_FILE));
        let len = self.disk.stat(&path).ok().flatten().map_or(0, |meta| meta.len);
        match Index::open(&**self.disk, &path) {
            Ok(index) if !differs => Ok(Some(index)),
            Ok(index) => {
                let damage = index.damage();
                for (bytes, what) in &damage {
                    self.found(
                        &path,
                        bytes.clone(),
                        Problem::Damaged,
                        what,
                        Vec::new(),
                        Mend::Repair,
                    );
                }
                if damage.is_empty() && differ.is_some() {
                    let what = "it is not the file that was sealed, though its checksums match: it was changed on purpose";
                    self.found(&path, 0..len, Problem::Altered, what, Vec::new(), Mend::Repair);
                    return Ok(None);
                }
                Ok(damage.is_empty().then_some(index))
            }
            Err(Error::Corrupt { at, what, .. }) => {
                let bytes = Index::part_at(at, len);
                self.found(&path, bytes, Problem::Damaged, what, Vec::new(), Mend::Repair);
                Ok(None)
            }
            // What is missing or can't be read has been reported, if there is a manifest.
            Err(error) => {
                if differ.is_none() {
                    self.found(
                        &path,
                        0..len,
                        Problem::Missing,
                        short(error),
                        Vec::new(),
                        Mend::Repair,
                    );
                }
                Ok(None)
            }
        }
    }

    /// Walks the events; answers the offset after the last one.
    fn events(
        &mut self,
        dir: &Path,
        known: &Known,
        tree: &mut Tree,
        log: &mut Log,
    ) -> Result<Offset, Error> {
        let Known { base, end, differs, named, .. } = *known;
        let index = known.index.as_ref();
        let path = dir.join(EVENTS_FILE);
        let blocks = match BlockFile::open(&**self.disk, &path, FileKind::Segment) {
            Ok(blocks) => blocks,
            Err(error) if self.vanished(dir, &error) => return Ok(end),
            Err(error) => {
                let len = self.disk.stat(&path).ok().flatten().map_or(0, |meta| meta.len);
                let lost = (end > base).then(|| Lost {
                    first: base,
                    last: Offset(end.0 - 1),
                    sessions: index
                        .map(|index| sessions(index, 0..index.events()))
                        .unwrap_or_default(),
                });
                let what = format!("{}; without it nothing in the file can be read", short(error));
                let bytes = 0..(FILE_HEADER_LEN as u64).min(len);
                let lost = lost.into_iter().collect();
                self.found(&path, bytes, Problem::Damaged, what, lost, Mend::Restore);
                return Ok(end);
            }
        };
        self.mended(&path, &blocks);
        let file_len = blocks.file_len()?;
        let mut hashes = Hashes::open(self, dir, named)?;
        let mut last = base;
        let mut bad = 0;
        let mut misplaced = BTreeSet::new();
        walk(&blocks, file_len, &mut |piece| {
            let whole = match piece {
                Piece::Bad(piece) => {
                    bad += 1;
                    let (lost, named) = match (index, &piece.header) {
                        (Some(index), _) => gone(index, &piece.bytes),
                        (None, Some(header)) => (Vec::new(), format!(", {} events", header.count)),
                        (None, None) => (Vec::new(), String::new()),
                    };
                    let what = format!("{}{named}", piece.what);
                    self.found(&path, piece.bytes, Problem::Damaged, what, lost, Mend::Restore);
                    return Ok(());
                }
                Piece::Whole(whole) => whole,
            };
            self.report.events += u64::from(whole.header.count);
            log.deletions(&whole.payload);
            hashes.block(&whole.payload);
            for (ordinal, record) in (whole.header.base..).zip(Records::new(&whole.payload)) {
                let Ok(record) = record else { break };
                last = last.max(Offset(record.offset.0.saturating_add(1)));
                let right = index.is_none_or(|index| {
                    u32::try_from(ordinal).is_ok_and(|o| index.offset(o) == Some(record.offset))
                });
                if !right {
                    misplaced.insert((whole.bytes.start, whole.bytes.end));
                }
            }
            Ok(())
        })?;
        for (from, to) in &misplaced {
            let what = "events here are not the ones that the index names: blocks were changed, dropped or swapped";
            self.found(&path, *from..*to, Problem::Altered, what, Vec::new(), Mend::Ask);
        }
        if bad > 0 && index.is_none() {
            self.name_missing(&path, &hashes);
        }
        let before = self.report.findings.len();
        self.leaves(&path, &hashes, bad == 0, tree)?;
        if differs
            && named
            && bad == 0
            && blocks.mended().is_none()
            && misplaced.is_empty()
            && before == self.report.findings.len()
        {
            let what = "it is not the file that was sealed, though its checksums match: it was changed on purpose";
            self.found(&path, 0..file_len, Problem::Altered, what, Vec::new(), Mend::Ask);
        }
        Ok(last)
    }

    /// Without the index it is the leaves that say which events the bad blocks had.
    fn name_missing(&mut self, path: &Path, hashes: &Hashes) {
        let file = self.named(path);
        let of_file = |found: &&mut Finding| found.file == file && found.mend == Mend::Restore;
        if let Some(found) = self.report.findings.iter_mut().find(of_file) {
            let lost = |(first, last)| Lost { first, last, sessions: Vec::new() };
            found.events.extend(hashes.missing().into_iter().map(lost));
        }
    }

    /// A file's length and SHA-256.
    fn hashed(&mut self, path: &Path) -> Result<(u64, String), Error> {
        let file = self.disk.open_read(path)?;
        let len = file.len().map_err(Error::io("read the length of", path))?;
        self.report.files += 1;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut at = 0;
        while at < len {
            let piece = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
            let piece = buffer.get_mut(..piece).unwrap_or_default();
            read_exact_at(&*file, piece, at).map_err(Error::io("read", path))?;
            hash.update(&*piece);
            at += piece.len() as u64;
            self.count_bytes(piece.len() as u64);
        }
        Ok((len, hex::encode(hash.finalize())))
    }
}

/// The events of the blocks in a range of `events.blk`, and a sentence's end that names them.
fn gone(index: &Index, bytes: &Range<u64>) -> (Vec<Lost>, String) {
    let mut ordinals: Option<Range<u32>> = None;
    let mut at = 0;
    while at < index.events() {
        let Ok(row) = index.block_of(at) else { break };
        at = row.ordinals.end;
        if bytes.contains(&row.pos) {
            let first = ordinals.map_or(row.ordinals.start, |o| o.start);
            ordinals = Some(first..row.ordinals.end);
        }
    }
    let Some(ordinals) = ordinals else { return (Vec::new(), String::new()) };
    let mut offsets: Vec<(u64, u32)> =
        ordinals.clone().filter_map(|ordinal| Some((index.offset(ordinal)?.0, ordinal))).collect();
    offsets.sort_unstable();
    let lost = offsets
        .chunk_by(|a, b| a.0 + 1 == b.0)
        .filter_map(|run| {
            let of: BTreeSet<String> =
                run.iter().flat_map(|(_, o)| sessions(index, *o..*o + 1)).collect();
            Some(Lost {
                first: Offset(run.first()?.0),
                last: Offset(run.last()?.0),
                sessions: of.into_iter().collect(),
            })
        })
        .collect();
    let mut named = String::new();
    let ids = sessions(index, ordinals.clone());
    for id in ids.iter().take(NAMED_MAX) {
        let Ok(Some(row)) = index.session(id) else { continue };
        let first = row.ordinals.start.max(ordinals.start);
        let last = row.ordinals.end.min(ordinals.end).saturating_sub(1);
        if let (Some(first), Some(last)) = (index.facts(first), index.facts(last)) {
            let _ = write!(named, "; session {id}: events {} to {}", first.seq, last.seq);
        }
    }
    if ids.len() > NAMED_MAX {
        let _ = write!(named, "; and {} more sessions", ids.len() - NAMED_MAX);
    }
    (lost, named)
}

/// The ids of the sessions that have events in a range of ordinals.
fn sessions(index: &Index, ordinals: Range<u32>) -> Vec<String> {
    // Sessions are in the order of their ordinals.
    let (mut low, mut high) = (0, index.sessions());
    while low < high {
        let middle = low + (high - low) / 2;
        match index.session_at(middle) {
            Ok(row) if row.ordinals.end <= ordinals.start => low = middle + 1,
            _ => high = middle,
        }
    }
    (low..index.sessions())
        .map_while(|at| index.session_at(at).ok())
        .take_while(|row| row.ordinals.start < ordinals.end)
        .map(|row| row.id.to_owned())
        .collect()
}
