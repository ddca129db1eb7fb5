//! A segment whose index or manifest is damaged: what they say is made again from its events, in memory.
//!
//! So its sessions can be read, and a rewrite ([`super::rewrite`]) can put new files in its place. What
//! can't be made again is what nothing else knows: events in blocks that are damaged.

use super::index::{Index, NewBlock, NewSession, Tables, code};
use super::manifest::{self, FileEntry, Manifest};
use super::{EVENTS_FILE, INDEX_FILE, Leaves, Segment};
use crate::block::{BlockCache, BlockFile, FILE_HEADER_LEN, FileKind, Records};
use crate::disk::{Disk, Map, SharedDisk};
use crate::error::Error;
use crate::event::{Offset, SessionKey};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Answers a session's number by its id, from elsewhere: the catalog, other segments.
pub type KeyOf<'a> = &'a dyn Fn(&str) -> Result<Option<SessionKey>, Error>;

/// The events of a segment, read from its blocks alone.
#[derive(Default)]
struct Found {
    ids: Vec<String>,
    /// By session, in the order of ordinals: first ordinal and count.
    runs: Vec<(u32, u32)>,
    blocks: Vec<NewBlock>,
    offsets: Vec<Offset>,
    times: Vec<i64>,
    seqs: Vec<u32>,
    codes: Vec<u8>,
    raw_bytes: u64,
}

impl Segment {
    /// Opens a segment that [`Segment::open`] refused for `why`.
    ///
    /// # Errors
    /// Events that can't be read: then the segment is of no use without a backup.
    pub fn mend(
        disk: &SharedDisk,
        dir: &Path,
        cache: Arc<BlockCache>,
        why: Error,
        key_of: KeyOf<'_>,
    ) -> Result<Segment, Error> {
        let events = BlockFile::open(&**disk, &dir.join(EVENTS_FILE), FileKind::Segment)?;
        let base = events.header().base;
        let sealed = Manifest::read(&**disk, dir).ok().filter(|sealed| sealed.base == base);
        let index_path = dir.join(INDEX_FILE);
        let index = Index::open(&**disk, &index_path).ok();
        let right = |index: &Index| {
            let fits = sealed.as_ref().is_none_or(|sealed| {
                u64::from(index.events()) == sealed.events && index.end() == sealed.end
            });
            index.base() == base && fits && index.verify().is_ok()
        };
        let index = index.filter(right);
        let (index, raw_bytes) = match (index, &sealed) {
            (Some(index), Some(_)) => (index, 0),
            (index, sealed) => {
                let found = read(&events)?;
                let last = found.offsets.iter().max().map_or(base.0, |last| last.0 + 1);
                let known = Leaves::of_segment(&**disk, dir).ok();
                let known = known.and_then(|leaves| Some(leaves.runs.last()?.end().0));
                let end = Offset(known.unwrap_or(last).max(last));
                let end = sealed.as_ref().map_or(end, |sealed| sealed.end);
                let index = match index {
                    Some(index) => index,
                    None => Index::of(Map::held(encode(&found, base, end, key_of)?), &index_path)?,
                };
                (index, found.raw_bytes)
            }
        };
        let manifest = match sealed {
            Some(sealed) => sealed,
            None => Manifest {
                version: manifest::VERSION,
                base,
                end: index.end(),
                events: u64::from(index.events()),
                sessions: u64::from(index.sessions()),
                raw_bytes,
                min_time: index.times().0,
                max_time: index.times().1,
                created: events.header().created,
                generation: generation(dir),
                replaces: Vec::new(),
                files: files(&**disk, dir)?,
                self_sha256: String::new(),
            },
        };
        Ok(Segment::mended(disk, dir, (manifest, index, events), cache, why))
    }
}

/// Are a segment's events the ones that were sealed? What was changed since must not be sealed again as
/// if it was right. A header that was put right counts as it is now.
///
/// # Errors
/// The system's, and [`Error::Corrupt`] if they are others.
pub fn check_events(disk: &SharedDisk, dir: &Path) -> Result<(), Error> {
    let path = dir.join(EVENTS_FILE);
    // Without a manifest it is the blocks' checksums alone that tell.
    let Ok(sealed) = Manifest::read(&**disk, dir) else { return Ok(()) };
    let Some(sealed) = sealed.files.get(EVENTS_FILE) else { return Ok(()) };
    let header = BlockFile::open(&**disk, &path, FileKind::Segment)?.header().encode();
    if FileEntry::with_start(&**disk, &path, &header)? != *sealed {
        let what = "the events are not the ones that were sealed";
        return Err(Error::corrupt(&path, 0, what));
    }
    Ok(())
}

/// How often the segment was rewritten, by its name.
fn generation(dir: &Path) -> u32 {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once('-').and_then(|(_, generation)| generation.parse().ok()).unwrap_or(0)
}

/// The files that are there, with lengths and without hashes.
fn files(disk: &dyn Disk, dir: &Path) -> Result<BTreeMap<String, FileEntry>, Error> {
    let entries = disk.list(dir).map_err(Error::io("list", dir))?;
    let files = entries.into_iter().filter(|entry| !entry.meta.is_dir);
    Ok(files
        .map(|entry| (entry.name, FileEntry { bytes: entry.meta.len, sha256: String::new() }))
        .collect())
}

fn read(events: &BlockFile) -> Result<Found, Error> {
    let mut found = Found::default();
    let (mut at, end) = (FILE_HEADER_LEN as u64, events.file_len()?);
    while at < end {
        let (header, payload) = events.read(at)?;
        let first = found.offsets.len() as u32;
        for record in Records::new(&payload) {
            let record = record.map_err(|what| Error::corrupt(events.path(), at, what))?;
            let id = record.event()?.session;
            let ordinal = found.offsets.len() as u32;
            if found.ids.last().is_none_or(|last| *last != *id) {
                found.ids.push(id.into_owned());
                found.runs.push((ordinal, 0));
            }
            if let Some((_, count)) = found.runs.last_mut() {
                *count += 1;
            }
            found.offsets.push(record.offset);
            found.times.push(record.time.0);
            found.seqs.push(record.seq.0);
            found.codes.push(code(record.kind, record.verdict));
            found.raw_bytes += record.json.len() as u64;
        }
        found.blocks.push(NewBlock {
            pos: at,
            first,
            count: header.count,
            times: (header.min_time, header.max_time),
            stored_len: header.stored_len,
            plain: header.flags.plain,
        });
        at += header.len_in_file();
    }
    Ok(found)
}

fn encode(found: &Found, base: Offset, end: Offset, key_of: KeyOf<'_>) -> Result<Vec<u8>, Error> {
    let wide = |number: u64| {
        u32::try_from(number)
            .map_err(|_| Error::TooLarge { what: "a segment", limit: u64::from(u32::MAX) })
    };
    let mut sessions = Vec::with_capacity(found.ids.len());
    for (id, (first, count)) in found.ids.iter().zip(&found.runs) {
        let range = *first as usize..(*first + *count) as usize;
        let offsets = found.offsets.get(range.clone()).unwrap_or_default();
        let times = found.times.get(range.clone()).unwrap_or_default();
        let seqs = found.seqs.get(range).unwrap_or_default();
        let ends = |values: &[i64]| {
            (values.iter().min().copied().unwrap_or(0), values.iter().max().copied().unwrap_or(0))
        };
        // A session's number is the offset of its first event, if that is here.
        let own = offsets.iter().min().copied().unwrap_or(base);
        let key = key_of(id)?.unwrap_or(SessionKey(own.0));
        let seqs = (seqs.first().copied().unwrap_or(0), seqs.last().copied().unwrap_or(0));
        let (first, count) = (*first, *count);
        sessions.push(NewSession { id, key, first, count, times: ends(times), seqs });
    }
    let from_base = |offset: &Offset| wide(offset.0.saturating_sub(base.0));
    Tables {
        base,
        span: wide(end.0.saturating_sub(base.0))?,
        sessions,
        blocks: found.blocks.clone(),
        offsets: found.offsets.iter().map(from_base).collect::<Result<_, _>>()?,
        times: found.times.clone(),
        seqs: found.seqs.clone(),
        codes: found.codes.clone(),
    }
    .encode()
}
