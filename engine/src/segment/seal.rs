//! Sealing: from a closed journal to a segment's directory, whole or not at all.
//!
//! | step | a crash after it leaves |
//! |---|---|
//! | directory `.tmp-BASE` | an unfinished directory, which [`clean`] removes |
//! | `events.blk`, `index.bin`, `text/`, `events.parquet` | the same |
//! | every file hashed and fsynced, `segment.json` written and fsynced, directories fsynced | the same |
//! | rename to `BASE` | either name, both whole or removable |
//! | fsync of `segments/` | the segment; only now may the journal be deleted |

use super::build::Plan;
use super::manifest::{self, FileEntry, Manifest};
use super::{
    Columnar, ColumnarEvent, EVENTS_FILE, INDEX_FILE, LEAVES_COPY_FILE, LEAVES_FILE, MANIFEST_FILE,
    PARQUET_FILE, RETRIES_FILE, Retries, SealInput, TEXT_DIR, events,
};
use crate::cpu::thread_cpu_us;
use crate::disk::{Disk, FileWriter, Open, SharedDisk};
use crate::error::Error;
use crate::event::{Micros, Offset};
use crate::text::merge_into;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TMP_PREFIX: &str = ".tmp-";
const GONE_PREFIX: &str = ".gone-";

/// A sealed segment, and the CPU seconds that it took by stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SealReport {
    /// Where the segment is.
    pub path: PathBuf,
    /// Ordering the events and writing `events.blk`.
    pub events_s: f64,
    /// Writing `index.bin`.
    pub index_s: f64,
    /// Merging the text index.
    pub text_s: f64,
    /// Writing `events.parquet`.
    pub columnar_s: f64,
    /// Hashing and fsyncing all of it.
    pub files_s: f64,
}

/// Called after each step with its name; an error stops the work there.
pub(super) type Step<'a> = &'a mut dyn FnMut(&'static str) -> Result<(), Error>;

/// Writes a segment from a closed journal. After it answers, the segment is durable.
///
/// # Errors
/// The system's, the text index's, the columnar writer's; an input that contradicts itself; a
/// segment that is already there. The segment is not there then, unless only the last fsync failed:
/// then it is whole, but may not outlast a crash, so the journal must be kept all the same.
pub fn seal(
    disk: &SharedDisk,
    segments_dir: &Path,
    input: &SealInput<'_>,
    columnar: Option<&dyn Columnar>,
) -> Result<SealReport, Error> {
    let result = seal_in_steps(disk, segments_dir, input, columnar, &mut |_| Ok(()));
    if result.is_err() {
        // What fails here is removed when daybook starts again.
        let _ = disk.remove_tree(&tmp_path(segments_dir, input.base, input.generation));
    }
    result
}

/// Removes the directories of segments that were not finished or were being deleted; answers how many
/// there were.
///
/// # Errors
/// The system's.
pub fn clean(disk: &dyn Disk, segments_dir: &Path) -> Result<usize, Error> {
    let mut removed = 0;
    for (name, path) in entries(disk, segments_dir)? {
        if name.starts_with(TMP_PREFIX) || name.starts_with(GONE_PREFIX) {
            disk.remove_tree(&path)?;
            removed += 1;
        }
    }
    if removed > 0 {
        disk.sync_dir(segments_dir).map_err(Error::io("sync", segments_dir))?;
    }
    Ok(removed)
}

/// Deletes a segment's directory. From the moment that it has lost its name, a crash only delays the rest.
/// One that is not there is no error.
///
/// # Errors
/// The system's.
pub fn delete(disk: &dyn Disk, segments_dir: &Path, name: &str) -> Result<(), Error> {
    if let Some(gone) = set_aside(disk, segments_dir, name)? {
        disk.remove_tree(&gone)?;
        disk.sync_dir(segments_dir).map_err(Error::io("sync", segments_dir))?;
    }
    Ok(())
}

/// Takes a segment's name away, durably: from then on it does not count. Answers where it is now, if it was
/// there.
pub(super) fn set_aside(
    disk: &dyn Disk,
    segments_dir: &Path,
    name: &str,
) -> Result<Option<PathBuf>, Error> {
    let (path, gone) = (segments_dir.join(name), segments_dir.join(format!("{GONE_PREFIX}{name}")));
    if !disk.exists(&path)? {
        return Ok(None);
    }
    disk.remove_tree(&gone)?;
    disk.rename(&path, &gone).map_err(Error::io("rename", &path))?;
    disk.sync_dir(segments_dir).map_err(Error::io("sync", segments_dir))?;
    Ok(Some(gone))
}

/// A segment's name: its base, and behind a dash how often its events were rewritten.
pub(super) fn name(base: Offset, generation: u32) -> String {
    match generation {
        0 => format!("{:020}", base.0),
        _ => format!("{:020}-{generation}", base.0),
    }
}

/// Is it the name of a segment?
fn is_name(name: &str) -> bool {
    let (base, generation) = name.split_once('-').unwrap_or((name, "1"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    base.len() == 20 && digits(base) && digits(generation)
}

/// The directories of the segments, oldest first.
///
/// # Errors
/// The system's.
pub fn list(disk: &dyn Disk, segments_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut dirs: Vec<PathBuf> = entries(disk, segments_dir)?
        .into_iter()
        .filter(|(name, _)| is_name(name))
        .map(|(_, path)| path)
        .collect();
    dirs.sort_unstable();
    Ok(dirs)
}

/// Names and paths in a directory; none if it is not there.
fn entries(disk: &dyn Disk, dir: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    if !disk.exists(dir)? {
        return Ok(Vec::new());
    }
    let listing = disk.list(dir).map_err(Error::io("list", dir))?;
    Ok(listing.into_iter().map(|entry| (entry.name.clone(), dir.join(entry.name))).collect())
}

pub(super) fn tmp_path(segments_dir: &Path, base: Offset, generation: u32) -> PathBuf {
    segments_dir.join(format!("{TMP_PREFIX}{}", name(base, generation)))
}

/// [`seal`], with a word after each step.
pub(super) fn seal_in_steps(
    disk: &SharedDisk,
    segments_dir: &Path,
    input: &SealInput<'_>,
    columnar: Option<&dyn Columnar>,
    step: Step<'_>,
) -> Result<SealReport, Error> {
    let path = segments_dir.join(name(input.base, input.generation));
    if disk.exists(&path)? {
        return Err(Error::Unusable { path, what: "this segment is already sealed".to_owned() });
    }
    if !disk.exists(segments_dir)? {
        disk.create_dir(segments_dir).map_err(Error::io("create", segments_dir))?;
        let parent = segments_dir.parent().filter(|p| *p != Path::new(""));
        let parent = parent.unwrap_or(Path::new("."));
        disk.sync_dir(parent).map_err(Error::io("sync", parent))?;
    }
    let tmp = tmp_path(segments_dir, input.base, input.generation);
    disk.remove_tree(&tmp)?;
    disk.create_dir(&tmp).map_err(Error::io("create", &tmp))?;
    step("directory")?;

    let mut report = SealReport { path, ..SealReport::default() };
    let clock = Clock::start();
    let mut plan = Plan::new(input, segments_dir)?;
    plan.tables.blocks = events::write(&**disk, &plan, &tmp.join(EVENTS_FILE))?;
    report.events_s = clock.seconds();
    step("events")?;

    let clock = Clock::start();
    disk.write_new(&tmp.join(INDEX_FILE), &plan.tables.encode()?)?;
    let leaves = input.leaves.encode();
    disk.write_new(&tmp.join(LEAVES_FILE), &leaves)?;
    disk.write_new(&tmp.join(LEAVES_COPY_FILE), &leaves)?;
    let retries = Retries::of(input.payloads);
    if !retries.is_empty() {
        disk.write_new(&tmp.join(RETRIES_FILE), &retries.encode())?;
    }
    report.index_s = clock.seconds();
    step("index")?;

    let clock = Clock::start();
    if !input.texts.is_empty() {
        merge_into(disk, input.texts, input.end, &tmp.join(TEXT_DIR))?;
    }
    report.text_s = clock.seconds();
    step("text")?;

    let clock = Clock::start();
    if let Some(columnar) = columnar {
        write_columnar(&**disk, &plan, input, columnar, &tmp.join(PARQUET_FILE))?;
    }
    report.columnar_s = clock.seconds();
    step("columnar")?;

    let clock = Clock::start();
    let manifest = Manifest {
        version: manifest::VERSION,
        base: input.base,
        end: input.end,
        events: plan.tables.offsets.len() as u64,
        sessions: plan.tables.sessions.len() as u64,
        raw_bytes: plan.raw_json_bytes,
        min_time: Micros(plan.tables.times.iter().min().copied().unwrap_or(0)),
        max_time: Micros(plan.tables.times.iter().max().copied().unwrap_or(0)),
        created: input.created,
        generation: input.generation,
        replaces: input.replaces.to_vec(),
        files: settle(&**disk, &tmp)?,
        self_sha256: String::new(),
    };
    step("files")?;
    let manifest_path = tmp.join(MANIFEST_FILE);
    disk.write_new(&manifest_path, &manifest.encode(&manifest_path)?)?;
    disk.sync_dir(&tmp).map_err(Error::io("sync", &tmp))?;
    report.files_s = clock.seconds();
    step("manifest")?;

    disk.rename(&tmp, &report.path).map_err(Error::io("rename", &tmp))?;
    step("rename")?;
    disk.sync_dir(segments_dir).map_err(Error::io("sync", segments_dir))?;
    step("done")?;
    Ok(report)
}

fn write_columnar(
    disk: &dyn Disk,
    plan: &Plan<'_>,
    input: &SealInput<'_>,
    columnar: &dyn Columnar,
    path: &Path,
) -> Result<(), Error> {
    let order = plan.by_time();
    let mut events = order.into_iter().filter_map(|at| {
        let session = input.sessions.get(plan.session_of(at)? as usize)?;
        let record = plan.record(at)?.0;
        Some(ColumnarEvent { record, session: &session.id, state: &session.state })
    });
    let file = disk.open(path, Open::CreateNew).map_err(Error::io("create", path))?;
    let mut out = FileWriter::new(file);
    columnar.write(&mut events, &mut out)?;
    out.finish().map_err(Error::io("sync", path))
}

/// Measures every file below `dir`, all of which are durable, and syncs the directories.
fn settle(disk: &dyn Disk, dir: &Path) -> Result<BTreeMap<String, FileEntry>, Error> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![String::new()];
    while let Some(prefix) = waiting.pop() {
        let path = dir.join(&prefix);
        for entry in disk.list(&path).map_err(Error::io("list", &path))? {
            let at = path.join(&entry.name);
            let name = match prefix.is_empty() {
                true => entry.name,
                false => format!("{prefix}/{}", entry.name),
            };
            if entry.meta.is_dir {
                waiting.push(name);
            } else {
                files.insert(name, FileEntry::of(disk, &at)?);
            }
        }
        disk.sync_dir(&path).map_err(Error::io("sync", &path))?;
    }
    Ok(files)
}

/// Counts the CPU seconds of this thread.
struct Clock(u64);

impl Clock {
    fn start() -> Clock {
        Clock(thread_cpu_us())
    }

    fn seconds(&self) -> f64 {
        (thread_cpu_us() - self.0) as f64 / 1e6
    }
}
