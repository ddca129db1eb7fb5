//! Which files of a table are of which offsets of whose log: in the files' tags.

use super::Error;
use super::delta::{Add, Remove, Stats};
use super::files::Made;
use super::state::{Gone, State};
use super::table::{Table, now_ms};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

const NODE: &str = "daybook.node";
const FROM: &str = "daybook.from";
const TO: &str = "daybook.to";
const EVENTS: &str = "daybook.events";
const GENERATION: &str = "daybook.generation";
const ROWS: &str = "daybook.rows";
const SHA256: &str = "daybook.sha256";
const TIMES: &str = "daybook.times";
const WHY: &str = "daybook.why";

/// Why a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A larger one has its rows.
    Merged,
    /// Events of it were erased; the one in its place, if there is one, has the others.
    Erased,
}

impl Why {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Why::Merged => "merged",
            Why::Erased => "erased",
        }
    }
}

/// What is known of a file of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the table.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many rows it has.
    pub rows: u64,
    /// The earliest and the latest time of its rows, in microseconds since 1970.
    pub times: (i64, i64),
    /// When it was committed, in milliseconds since 1970.
    pub written: i64,
}

/// The files of a stretch of offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The offsets.
    pub offsets: Range<u64>,
    /// How many events the log had of them.
    pub events: u64,
    /// How often they were rewritten.
    pub generation: u32,
    /// The files, by path.
    pub files: Vec<File>,
}

impl Unit {
    /// Bytes of its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Rows of its files.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

/// What a file's tags say.
struct Tags {
    offsets: Range<u64>,
    events: u64,
    generation: u32,
    file: File,
}

/// The tags of a file, if it is of this node's, or of any node's without one.
fn read<'a>(
    node: impl Into<Option<&'a str>>,
    path: &str,
    size: i64,
    written: i64,
    tags: Option<&BTreeMap<String, String>>,
) -> Option<Tags> {
    let tags = tags?;
    let text = |name: &str| tags.get(name).map(String::as_str);
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    let of = text(NODE)?;
    if node.into().is_some_and(|node| node != of) {
        return None;
    }
    let (first, last) = text(TIMES)?.split_once("..")?;
    Some(Tags {
        offsets: number(FROM)?..number(TO)?,
        events: number(EVENTS)?,
        generation: u32::try_from(number(GENERATION)?).ok()?,
        file: File {
            path: path.to_owned(),
            size: u64::try_from(size).ok()?,
            sha256: text(SHA256)?.to_owned(),
            rows: number(ROWS)?,
            times: (first.parse().ok()?, last.parse().ok()?),
            written,
        },
    })
}

/// The action that adds a file.
pub(super) fn add(
    made: &Made,
    node: &str,
    offsets: &Range<u64>,
    (events, generation): (u64, u32),
    data_change: bool,
) -> Add {
    let tags = [
        (NODE, node.to_owned()),
        (FROM, offsets.start.to_string()),
        (TO, offsets.end.to_string()),
        (EVENTS, events.to_string()),
        (GENERATION, generation.to_string()),
        (ROWS, made.rows.to_string()),
        (SHA256, made.sha256.clone()),
        (TIMES, format!("{}..{}", made.times.0, made.times.1)),
    ];
    let partition = made.partition.iter();
    Add {
        path: made.path.clone(),
        partition_values: partition
            .map(|(name, value)| ((*name).to_owned(), Some(value.clone())))
            .collect(),
        size: i64::try_from(made.size).unwrap_or(i64::MAX),
        modification_time: now_ms(),
        data_change,
        stats: serde_json::to_string(&stats(made)).ok(),
        tags: Some(tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
    }
}

/// A file's statistics: of the time alone, which is what a log is asked for. Those of daybook's own columns are
/// timestamps, which have milliseconds there, so the last is rounded up; OCSF's are numbers of milliseconds.
fn stats(made: &Made) -> Stats {
    let (first, last) = (made.times.0.div_euclid(1000), made.times.1.div_euclid(1000));
    let value = |millis: i64, up: i64| match made.class {
        Some(_) => Value::from(millis),
        None => {
            let micros = daybook_engine::event::Micros((millis + up) * 1000).to_string();
            // `2026-03-01T09:30:02.000000Z`: the protocol has three digits.
            Value::from(micros.replacen("000Z", "Z", 1))
        }
    };
    let only = |value: Value| BTreeMap::from([("time".to_owned(), value)]);
    Stats {
        num_records: made.rows,
        min_values: only(value(first, 0)),
        max_values: only(value(last, 1)),
        null_count: only(Value::from(0)).into_keys().map(|name| (name, 0)).collect(),
    }
}

/// When what goes now goes, in milliseconds since 1970: later than all that went before, also within a millisecond and
/// where the clock was set back, as readers are told by it what is new.
pub(super) fn going(state: &State) -> i64 {
    let gone = state.gone.values().filter_map(|gone| gone.remove.deletion_timestamp);
    gone.max().map_or(i64::MIN, |last| last.saturating_add(1)).max(now_ms())
}

/// The action that takes a file away.
pub(super) fn remove(add: &Add, why: Why, at: i64, data_change: bool) -> Remove {
    let mut tags = add.tags.clone().unwrap_or_default();
    tags.insert(WHY.to_owned(), why.name().to_owned());
    Remove {
        path: add.path.clone(),
        deletion_timestamp: Some(at),
        data_change,
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values.clone()),
        size: Some(add.size),
        tags: Some(tags),
    }
}

/// The units of a node in a table, by their offsets.
#[must_use]
pub fn live(state: &State, node: &str) -> Vec<Unit> {
    let adds = state.live.values().map(|live| &live.add);
    gather(adds.filter_map(|add| {
        read(node, &add.path, add.size, add.modification_time, add.tags.as_ref())
    }))
}

/// The files of a table, of any node, that daybook wrote.
#[must_use]
pub fn files(state: &State) -> Vec<File> {
    let adds = state.live.values().map(|live| &live.add);
    let tags = adds.filter_map(|add| {
        read(None, &add.path, add.size, add.modification_time, add.tags.as_ref())
    });
    tags.map(|tags| tags.file).collect()
}

/// A file of a node that went.
#[derive(Clone, Debug)]
pub struct Went {
    /// What it was.
    pub file: File,
    /// Its unit's offsets.
    pub offsets: Range<u64>,
    /// Why it went.
    pub why: Why,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// The files of a node that went.
pub fn went<'a>(state: &'a State, node: &'a str) -> impl Iterator<Item = Went> + 'a {
    state.gone.values().filter_map(move |Gone { remove, .. }| {
        let at = remove.deletion_timestamp.unwrap_or_default();
        let tags =
            read(node, &remove.path, remove.size.unwrap_or_default(), at, remove.tags.as_ref())?;
        let why = remove.tags.as_ref()?.get(WHY)?;
        let why = if why == Why::Erased.name() { Why::Erased } else { Why::Merged };
        Some(Went { file: tags.file, offsets: tags.offsets, why, at })
    })
}

/// What a table knows of a file, whichever node's it is.
#[derive(Clone, Debug)]
pub enum Found {
    /// It may be read.
    There(File),
    /// It went.
    Gone(Why),
}

/// Looks up a file by its path; those that larger ones replaced are there for `kept_ms` after that.
#[must_use]
pub fn find(state: &State, path: &str, kept_ms: i64) -> Option<Found> {
    if let Some(live) = state.live.get(path) {
        let add = &live.add;
        let tags = read(None, path, add.size, add.modification_time, add.tags.as_ref())?;
        return Some(Found::There(tags.file));
    }
    let remove = &state.gone.get(path)?.remove;
    let at = remove.deletion_timestamp.unwrap_or_default();
    let tags = read(None, path, remove.size.unwrap_or_default(), at, remove.tags.as_ref())?;
    let why = remove.tags.as_ref()?.get(WHY)?;
    Some(match why == Why::Erased.name() {
        true => Found::Gone(Why::Erased),
        false if at > now_ms() - kept_ms => Found::There(tags.file),
        false => Found::Gone(Why::Merged),
    })
}

/// The units that were replaced by larger ones and are still there for those who have not come so far; by their
/// offsets, those of a stretch by how long it is.
#[must_use]
pub fn replaced(state: &State, node: &str, kept_ms: i64) -> Vec<Unit> {
    let since = now_ms() - kept_ms;
    let gone = state.gone.values().filter_map(|Gone { remove, .. }| {
        let at = remove.deletion_timestamp.filter(|at| *at > since)?;
        let merged = remove.tags.as_ref()?.get(WHY).is_some_and(|why| why == Why::Merged.name());
        merged.then_some(())?;
        read(node, &remove.path, remove.size.unwrap_or_default(), at, remove.tags.as_ref())
    });
    gather(gone)
}

/// The files that there are now in the place of `adds`, which were added once: themselves, those that are kept though
/// a larger one has their rows, or what has their rows now. Rows that were erased are in none of them.
///
/// # Errors
/// The store's. Inside, that some rows are only in files that have others, too, which were not asked for: then nobody
/// can be given the ones without the others.
pub fn resolve(table: &Table, adds: Vec<Add>) -> Result<Result<Vec<Add>, &'static str>, Error> {
    let state = table.state();
    let offsets = |add: &Add| {
        let number = |name: &str| add.tags.as_ref()?.get(name)?.parse::<u64>().ok();
        Some(number(FROM)?..number(TO)?)
    };
    let node = |add: &Add| add.tags.as_ref().and_then(|tags| tags.get(NODE)).cloned();
    let spans: Vec<(Option<String>, Range<u64>)> =
        adds.iter().filter_map(|add| Some((node(add), offsets(add)?))).collect();
    let mut found: BTreeMap<String, Add> = BTreeMap::new();
    for add in adds {
        let gone = state.gone.get(&add.path);
        let kept = gone.and_then(|gone| gone.remove.tags.as_ref()?.get(WHY));
        if state.live.contains_key(&add.path)
            || (kept.is_some_and(|why| why == Why::Merged.name())
                && table.store().exists(&add.path)?)
        {
            found.insert(add.path.clone(), add);
            continue;
        }
        let Some(wanted) = offsets(&add) else { continue };
        let of = node(&add);
        for live in state.live.values().filter(|live| node(&live.add) == of) {
            let Some(has) = offsets(&live.add) else { continue };
            if has.end <= wanted.start || wanted.end <= has.start {
                continue;
            }
            // All of what it has was asked for.
            let covered = |at: u64| spans.iter().any(|(n, span)| *n == of && span.contains(&at));
            if !covered(has.start) || !covered(has.end - 1) {
                return Ok(Err(
                    "its files were made into larger ones, and are not kept any longer; begin again with the latest version",
                ));
            }
            found.insert(live.add.path.clone(), live.add.clone());
        }
    }
    Ok(Ok(found.into_values().collect()))
}

fn gather(tags: impl Iterator<Item = Tags>) -> Vec<Unit> {
    let mut units: BTreeMap<(u64, u64, u32), Unit> = BTreeMap::new();
    for Tags { offsets, events, generation, file } in tags {
        let key = (offsets.start, offsets.end, generation);
        let unit = units.entry(key).or_insert_with(|| Unit {
            offsets,
            events,
            generation,
            files: Vec::new(),
        });
        unit.files.push(file);
    }
    units.into_values().collect()
}
