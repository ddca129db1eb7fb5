//! The files after a cursor: each row once, whatever became of the files meanwhile.
//!
//! A cursor says up to which offset its reader has the table's rows, and up to when it was told what went. The answer
//! are the units behind that offset, in order. Where small units have become a larger one that begins before it, the
//! small ones are given as long as they are kept; after that the larger one, with the offset from which its rows are
//! new ([`Entry::skip_before`]).
//!
//! ```text
//! cursor  "feed" | table's id | node | offset | time of the latest removal (ms) | check     base64
//! ```

use super::Error;
use super::state::State;
use super::table::{Table, now_ms};
use super::units::{self, File, Unit, Went, Why};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::cmp::Reverse;
use std::ops::Range;

/// A file that is new to the reader.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The file.
    pub file: File,
    /// The offsets that it and the others of its unit are of.
    pub offsets: Range<u64>,
    /// The reader has its rows with smaller offsets than this; it can't have any if it is `offsets.start`.
    pub skip_before: u64,
}

/// What is behind a cursor.
#[derive(Clone, Debug)]
pub struct Page {
    /// Files that went since, because events of them were erased, with the smaller ones that they had replaced.
    pub went: Vec<Went>,
    /// The files that have what is left of their rows: for readers that keep files. Those that keep rows have them.
    pub remaining: Vec<Entry>,
    /// Files that are new.
    pub entries: Vec<Entry>,
    /// Where the next page begins; the same where nothing is new.
    pub next: String,
    /// Is there more already?
    pub more: bool,
}

/// A reader's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    offset: u64,
    told: i64,
}

/// The page behind a cursor (the first, without one), of about `limit` files: a unit's are never torn apart.
///
/// # Errors
/// A cursor that is not of this table, with what is wrong; or the store's.
pub fn page(
    table: &Table,
    node: &str,
    kept_ms: i64,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Result<Page, &'static str>, Error> {
    let state = table.state();
    let of = &log_of(&state, node);
    let from = match cursor.map(|text| decode(of, text)).transpose() {
        Ok(cursor) => cursor,
        Err(what) => return Ok(Err(what)),
    };
    // Who begins has had nothing that could have gone.
    let last_gone = units::went(&state, node).map(|went| went.at).max().unwrap_or(0);
    let Cursor { offset, told } = from.unwrap_or(Cursor { offset: 0, told: last_gone });
    let mut went: Vec<Went> = units::went(&state, node)
        .filter(|went| went.at > told && went.why == Why::Erased && went.offsets.start < offset)
        .collect();
    // The small files that one of them had replaced have the same rows, and may be what the reader has.
    let small: Vec<Went> = units::went(&state, node)
        .filter(|small| small.why == Why::Merged && small.offsets.start < offset)
        .filter_map(|small| {
            let of =
                went.iter().filter(|went| small.at <= went.at && overlap(went, &small.offsets));
            let at = of.map(|went| went.at).max()?;
            Some(Went { why: Why::Erased, at, ..small })
        })
        .collect();
    went.extend(small);
    went.sort_by(|a, b| (a.at, &a.file.path).cmp(&(b.at, &b.file.path)));
    let mut entries = Vec::new();
    let (mut place, mut more) = (offset, false);
    let mut live = units::live(&state, node);
    live.sort_by_key(|unit| unit.offsets.start);
    for unit in live.iter().filter(|unit| unit.offsets.end > offset) {
        if entries.len() >= limit {
            more = true;
            break;
        }
        let kept = match unit.offsets.start < place {
            true => kept(table, node, kept_ms, unit, place)?,
            false => None,
        };
        let parts = kept.unwrap_or_else(|| vec![unit.clone()]);
        for part in &parts {
            let skip_before = place.max(part.offsets.start);
            entries.extend(part.files.iter().map(|file| Entry {
                file: file.clone(),
                offsets: part.offsets.clone(),
                skip_before,
            }));
        }
        place = unit.offsets.end;
    }
    let touched = |unit: &&Unit| went.iter().any(|went| overlap(went, &unit.offsets));
    let remaining = live.iter().filter(touched).flat_map(|unit| {
        unit.files.iter().map(|file| Entry {
            file: file.clone(),
            offsets: unit.offsets.clone(),
            skip_before: offset.min(unit.offsets.end),
        })
    });
    let remaining = remaining.collect();
    let next = encode(of, Cursor { offset: place, told: last_gone.max(told) });
    Ok(Ok(Page { went, remaining, entries, next, more }))
}

/// The newest files, latest first, about `limit` of them; the next page is what comes after now.
#[must_use]
pub fn newest(table: &Table, node: &str, limit: usize) -> Page {
    let state = table.state();
    let told = units::went(&state, node).map(|went| went.at).max().unwrap_or(0);
    let mut live = units::live(&state, node);
    live.sort_by_key(|unit| Reverse(unit.offsets.start));
    let offset = live.first().map_or(0, |unit| unit.offsets.end);
    let mut entries = Vec::new();
    for unit in live {
        if entries.len() >= limit {
            break;
        }
        let Unit { offsets, files, .. } = unit;
        let entry = |file| Entry { file, offsets: offsets.clone(), skip_before: offsets.start };
        entries.extend(files.into_iter().map(entry));
    }
    let next = encode(&log_of(&state, node), Cursor { offset, told });
    Page { went: Vec::new(), remaining: Vec::new(), entries, next, more: false }
}

/// What a cursor is a place in. Where several nodes write the table, each has its own log, and its own offsets.
fn log_of(state: &State, node: &str) -> String {
    let id = state.metadata.as_ref().map_or("", |metadata| metadata.id.as_str());
    format!("{id}|{node}")
}

fn overlap(went: &Went, offsets: &Range<u64>) -> bool {
    went.offsets.start < offsets.end && offsets.start < went.offsets.end
}

/// The kept units that have exactly the rows of `unit` from `place` on, if they are all still there.
fn kept(
    table: &Table,
    node: &str,
    kept_ms: i64,
    unit: &Unit,
    place: u64,
) -> Result<Option<Vec<Unit>>, Error> {
    let replaced = units::replaced(&table.state(), node, i64::MAX);
    let since = now_ms().saturating_sub(kept_ms);
    let mut found = Vec::new();
    let mut open = vec![unit];
    while let Some(unit) = open.pop() {
        if unit.offsets.start >= place {
            for file in &unit.files {
                if file.written <= since || !table.store().exists(&file.path)? {
                    return Ok(None);
                }
            }
            found.push(unit.clone());
            continue;
        }
        let Some(parts) = parts(unit, &replaced) else { return Ok(None) };
        open.extend(parts.into_iter().rev().filter(|part| part.offsets.end > place));
    }
    Ok(Some(found))
}

/// What a unit was made of, if that is known of all of it: between units there may be offsets without rows, so it is its
/// rows that have to be theirs.
fn parts<'a>(unit: &Unit, replaced: &'a [Unit]) -> Option<Vec<&'a Unit>> {
    let within = |part: &&Unit| {
        part.generation < unit.generation
            && unit.offsets.start <= part.offsets.start
            && part.offsets.end <= unit.offsets.end
    };
    let mut all: Vec<&Unit> = replaced.iter().filter(within).collect();
    // Those that are parts of others come behind them.
    all.sort_by_key(|part| (part.offsets.start, Reverse(part.offsets.end)));
    let mut parts: Vec<&Unit> = Vec::new();
    for part in all {
        if parts.last().is_none_or(|last| last.offsets.end <= part.offsets.start) {
            parts.push(part);
        }
    }
    let rows = parts.iter().map(|part| part.rows()).sum::<u64>();
    let ends = parts.first()?.offsets.start..parts.last()?.offsets.end;
    (ends == unit.offsets && rows == unit.rows()).then_some(parts)
}

fn encode(of: &str, Cursor { offset, told }: Cursor) -> String {
    let text = format!("feed|{of}|{offset}|{told}");
    let check = crc(text.as_bytes());
    URL_SAFE_NO_PAD.encode(format!("{text}|{check:08x}"))
}

/// Is it a cursor of what `of` names? For fuzzing, and no part of the interface.
#[doc(hidden)]
#[must_use]
pub fn is_cursor(of: &str, text: &str) -> bool {
    decode(of, text).is_ok()
}

fn decode(of: &str, text: &str) -> Result<Cursor, &'static str> {
    let garbled = "is not one of a feed's";
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| garbled)?;
    let text = String::from_utf8(bytes).map_err(|_| garbled)?;
    let (text, check) = text.rsplit_once('|').ok_or(garbled)?;
    if check != format!("{:08x}", crc(text.as_bytes())) {
        return Err(garbled);
    }
    let parts: Vec<&str> = text.split('|').collect();
    let ["feed", id, node, offset, told] = parts.as_slice() else { return Err(garbled) };
    if format!("{id}|{node}") != of {
        return Err("is of another table, or of another server's log");
    }
    match (offset.parse(), told.parse()) {
        (Ok(offset), Ok(told)) => Ok(Cursor { offset, told }),
        _ => Err(garbled),
    }
}

/// Tells a garbled cursor; it keeps nobody from making one up, who then gets what he asks for.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
