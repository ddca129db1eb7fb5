//! Creating a journal's file, and reading it back after a start or a crash.
//!
//! A crash can leave two things behind the last acknowledged block: whole blocks that nobody was told
//! of (they are kept: producers send again and the log knows them), and a torn one. A block that is
//! not right is a *torn tail* only if no whole block follows it; then the tail is copied to
//! `quarantine/`, cut off and reported. With a whole block behind it, it is *damage*: nothing is cut,
//! the engine opens read-only and names the range, and what stands behind the damage stays readable.
//!
//! One case can't be told apart: a last block that was whole and acknowledged and has rotted since
//! looks like a torn one, unless a signed checkpoint covers it: then it is damage. Otherwise its bytes
//! are in `quarantine/`, and the report names its range.

use super::part::{Facts, Journal, Published};
use crate::block::{
    BlockCache, BlockFile, FILE_HEADER_LEN, FileHeader, FileKind, Record, Records, scan,
};
use crate::disk::{Disk, DiskFile, FileWriter, Open, read_exact_at, write_all_at};
use crate::error::Error;
use crate::event::wire::Event;
use crate::event::{Micros, Offset, SessionKey};
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The path of the journal that starts at an offset.
#[must_use]
pub fn path(dir: &Path, base: Offset) -> PathBuf {
    dir.join(format!("{:020}.journal", base.0))
}

/// The directory of that journal's text index.
#[must_use]
pub fn text_path(dir: &Path, base: Offset) -> PathBuf {
    dir.join(format!("{:020}.text", base.0))
}

/// The journals of a directory, by their first offset, ascending.
///
/// # Errors
/// The system's.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Offset>, Error> {
    let mut bases = Vec::new();
    for entry in disk.list(dir).map_err(Error::io("list", dir))? {
        let base = entry.name.strip_suffix(".journal").and_then(|name| name.parse().ok());
        bases.extend(base.map(Offset));
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Creates an empty journal, durably: header and directory entry are on disk before it is used.
///
/// # Errors
/// The system's.
pub fn create(
    disk: &dyn Disk,
    dir: &Path,
    base: Offset,
    cache: Arc<BlockCache>,
) -> Result<(Journal, Arc<dyn DiskFile>), Error> {
    let path = path(dir, base);
    // A file that is there was never used: it is the rest of a creation that failed.
    let file = disk.open(&path, Open::Create).map_err(Error::io("create", &path))?;
    let keys = disk.keys().map(|keys| &**keys);
    let (header, _) = FileHeader::new(FileKind::Journal, base, &path, keys)?;
    write_all_at(&*file, &header.encode(), 0).map_err(Error::io("write", &path))?;
    file.sync().map_err(Error::io("sync", &path))?;
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    let blocks = BlockFile::with_file(&path, Arc::clone(&file), FileKind::Journal, keys)?;
    Ok((Journal::new(blocks, cache), file))
}

/// What was found behind the last whole block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In which file.
    pub path: PathBuf,
    /// From which byte.
    pub from: u64,
    /// To which byte.
    pub to: u64,
    /// The offset of the first event that is missing or was never acknowledged.
    pub first_offset: Offset,
    /// What is wrong there.
    pub what: String,
    /// Where the bytes were copied to, if they were cut off.
    pub quarantine: Option<PathBuf>,
}

/// A journal that was read back.
#[derive(Debug)]
pub struct Replayed {
    /// The journal, with all that is whole in it published.
    pub journal: Arc<Journal>,
    /// The file, for appending; `None` when it must not be changed.
    pub file: Option<Arc<dyn DiskFile>>,
    /// Where the next block goes.
    pub end: u64,
    /// A torn tail that was cut off (or would be, when nothing may be changed).
    pub torn: Option<Finding>,
    /// A byte of the header that rotted and was put right.
    pub header: Option<Finding>,
    /// Damage with whole blocks behind it.
    pub damage: Vec<Finding>,
}

/// What is done with each event that is read back: it answers the session's shared id and number.
pub type OnEvent<'a> =
    &'a mut dyn FnMut(&Record<'_>, Event<'_>) -> Result<(Arc<str>, SessionKey), Error>;

/// How a journal is read back.
#[derive(Clone, Copy, Debug)]
pub struct ReplayOptions<'a> {
    /// Where torn tails are copied to; `None` changes nothing on disk.
    pub quarantine: Option<&'a Path>,
    /// Is it the newest journal? Only that one can have a torn tail.
    pub newest: bool,
    /// A signed checkpoint covers everything below: it was whole once, and is no torn tail.
    pub signed: Offset,
}

/// Reads a journal back, cuts off a torn tail and makes the rest durable.
///
/// # Errors
/// The system's, or a file header that is not right (nothing of such a file can be believed).
pub fn replay(
    disk: &dyn Disk,
    dir: &Path,
    base: Offset,
    cache: Arc<BlockCache>,
    options: ReplayOptions<'_>,
    on_event: OnEvent<'_>,
) -> Result<Replayed, Error> {
    let path = path(dir, base);
    let writable = options.quarantine.is_some();
    let how = if writable { Open::Write } else { Open::Read };
    let file = disk.open(&path, how).map_err(Error::io("open", &path))?;
    let keys = disk.keys().map(|keys| &**keys);
    let blocks = BlockFile::with_file(&path, Arc::clone(&file), FileKind::Journal, keys)?;
    // Without its key, or with another one, nothing can be said of it: it must not look torn.
    let encrypted = blocks.cipher()?.is_some();
    let header = blocks.mended().map(|what| Finding {
        path: path.clone(),
        from: 0,
        to: FILE_HEADER_LEN as u64,
        first_offset: base,
        what: format!("{what}: one byte rotted, and was put right by the checksum"),
        quarantine: None,
    });
    if header.is_some() && writable {
        let header = blocks.header().encode();
        write_all_at(&*file, &header, 0).map_err(Error::io("write", &path))?;
        file.sync().map_err(Error::io("sync", &path))?;
    }
    if blocks.header().base != base {
        return Err(Error::corrupt(
            &path,
            16,
            "the file's name and its header name different offsets",
        ));
    }
    let len = blocks.file_len()?;
    let journal = Arc::new(Journal::new(blocks, cache));
    let mut replayed = Replayed {
        journal: Arc::clone(&journal),
        file: None,
        end: len,
        torn: None,
        header,
        damage: Vec::new(),
    };
    let mut at = FILE_HEADER_LEN as u64;
    let mut next = base;
    while at < len {
        let what = match read_block(&journal, at, next, on_event) {
            Ok(published) => {
                next = Offset(published.header.base + u64::from(published.header.count));
                at += published.header.len_in_file();
                journal.publish(vec![published]);
                continue;
            }
            Err(error @ (Error::Corrupt { .. } | Error::Io { .. })) => error.to_string(),
            Err(error) => return Err(error),
        };
        let mut finding = Finding {
            path: path.clone(),
            from: at,
            to: len,
            first_offset: next,
            what,
            quarantine: None,
        };
        // What does not open but is whole was not torn by a crash: it was altered since.
        let altered = encrypted && journal.file().read_stored(at).is_ok();
        // From the next byte on: the length that the bad block claims is not to be believed.
        let behind = scan(journal.file(), at + 1, len)?;
        match behind {
            Some(position) => {
                finding.to = position;
                replayed.damage.push(finding);
                at = position;
                next = Offset(journal.file().read_header(position)?.base.max(next.0));
            }
            None if options.newest && !altered && next >= options.signed => {
                if let Some(quarantine) = options.quarantine {
                    finding.quarantine = Some(cut(disk, &*file, &finding, quarantine)?);
                }
                replayed.end = at;
                replayed.torn = Some(finding);
                break;
            }
            None => {
                replayed.damage.push(finding);
                break;
            }
        }
    }
    if writable {
        // What was read may only be in the page cache: it is served once it is durable.
        file.sync().map_err(Error::io("sync", &path))?;
        replayed.file = Some(file);
    }
    Ok(replayed)
}

fn read_block(
    journal: &Journal,
    at: u64,
    expected: Offset,
    on_event: OnEvent<'_>,
) -> Result<Published, Error> {
    let (header, payload) = journal.file().read(at)?;
    let damaged = |what: &str| Error::corrupt(journal.file().path(), at, what);
    if header.base < expected.0 || header.base - journal.base().0 > u64::from(u32::MAX / 2) {
        return Err(damaged("the block's offset does not follow the block before it"));
    }
    let mut published =
        Published { at, header, payload: None, events: Vec::new(), sessions: Vec::new() };
    // Everything is decoded before anything is told to the caller: a block counts whole or not.
    let mut records = Vec::with_capacity(header.count as usize);
    for (i, record) in Records::new(&payload).enumerate() {
        let record = record.map_err(damaged)?;
        if record.offset.0 != header.base + i as u64 {
            return Err(damaged("an event's offset does not follow the one before it"));
        }
        records.push((record, record.event()?));
    }
    if records.len() != header.count as usize {
        return Err(damaged("the number of events is not what the block's header says"));
    }
    for (record, event) in records {
        let (id, session) = on_event(&record, event)?;
        published.sessions.push(id);
        published.events.push(Facts {
            time: record.time,
            session,
            seq: record.seq,
            kind: record.kind,
            verdict: record.verdict,
        });
    }
    Ok(published)
}

/// Copies a torn tail to the quarantine and cuts it off.
fn cut(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    torn: &Finding,
    quarantine: &Path,
) -> Result<PathBuf, Error> {
    disk.create_dir(quarantine).map_err(Error::io("create", quarantine))?;
    let name = torn.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let copy = quarantine.join(format!("{name}-{}-{}.tail", torn.from, Micros::now().0));
    let mut out =
        FileWriter::new(disk.open(&copy, Open::CreateNew).map_err(Error::io("create", &copy))?);
    let mut buffer = vec![0; 1 << 20];
    let mut at = torn.from;
    while at < torn.to {
        let len = usize::try_from(torn.to - at).unwrap_or(usize::MAX).min(buffer.len());
        let window = buffer.get_mut(..len).unwrap_or_default();
        read_exact_at(file, window, at).map_err(Error::io("read", &torn.path))?;
        out.write_all(window).map_err(Error::io("write", &copy))?;
        at += len as u64;
    }
    out.finish().map_err(Error::io("sync", &copy))?;
    disk.sync_dir(quarantine).map_err(Error::io("sync", quarantine))?;
    file.set_len(torn.from).map_err(Error::io("cut", &torn.path))?;
    file.sync().map_err(Error::io("sync", &torn.path))?;
    Ok(copy)
}
