//! Which file is what, and what the files without blocks say of themselves.

use super::{Report, blocks};
use anyhow::{Context as _, bail};
use daybook_engine::Error;
use daybook_engine::block::FileKind;
use daybook_engine::disk::{Disk, DiskFile, checked, read_exact_at};
use daybook_engine::segment::leaves::Run;
use daybook_engine::segment::{Index, Leaves, Manifest};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Reports on a file, or on each file of a directory.
///
/// # Errors
/// A path that is not there or can't be read, or a file that is not daybook's.
pub fn inspect(disk: &dyn Disk, path: &Path) -> anyhow::Result<Vec<Report>> {
    let meta = std::fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?;
    if !meta.is_dir() {
        return Ok(vec![file(disk, path)?]);
    }
    if path.join("meta.json").exists() {
        return Ok(vec![index(disk, path)?]);
    }
    let mut reports = Vec::new();
    for entry in entries(path)? {
        if entry.is_dir() {
            reports.extend(inspect(disk, &entry)?);
        } else if is_ours(&entry) {
            reports.push(file(disk, &entry)?);
        }
    }
    Ok(reports)
}

fn entries(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(path).with_context(|| format!("can't list {}", path.display()))?;
    let mut entries = read
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("can't list {}", path.display()))?;
    entries.sort();
    Ok(entries)
}

/// Is it a file that [`file`] knows, by its name?
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    matches!(
        name,
        "events.blk"
            | "index.bin"
            | "leaves.bin"
            | "leaves.copy"
            | "segment.json"
            | "events.parquet"
    ) || name.ends_with(".journal")
}

fn file(disk: &dyn Disk, path: &Path) -> anyhow::Result<Report> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let length = std::fs::metadata(path).map(|meta| meta.len()).unwrap_or_default();
    let open = match disk.open_read(path) {
        Ok(open) => open,
        Err(error @ (Error::Corrupt { .. } | Error::NoKey { .. })) => {
            let mut report = Report::new(path, "encrypted file", length);
            match error {
                Error::NoKey { why, .. } => report.say("encryption", why.to_string()),
                Error::Corrupt { at, what, .. } => report.damaged(at, what),
                _ => {}
            }
            return Ok(report);
        }
        Err(error) => return Err(error.into()),
    };
    let mut start = [0; 8];
    let failed = || format!("can't read {}", path.display());
    let read = open.read_at(&mut start, 0).with_context(failed)?;
    let start = start.get(..read).unwrap_or_default();
    if start == b"DAYBKJNL" || name.ends_with(".journal") {
        return blocks::report(disk, path, FileKind::Journal);
    }
    if start == b"DAYBKSEG" || name == "events.blk" {
        return blocks::report(disk, path, FileKind::Segment);
    }
    let report = if start.starts_with(b"PAR1") || name == "events.parquet" {
        parquet(path, &*open, start).with_context(failed)?
    } else if name == "segment.json" {
        manifest(disk, path, length)?
    } else if name == "index.bin" {
        segment_index(disk, path, length)
    } else if start == b"DAYBKLVS" || name == "leaves.bin" {
        leaves(disk, path, length)
    } else {
        bail!("{} is not a journal, a segment's file or an index of daybook's", path.display())
    };
    Ok(encrypted(disk, report))
}

/// Says which key a file is under.
fn encrypted(disk: &dyn Disk, mut report: Report) -> Report {
    if let Ok(Some(key)) = disk.key_of(&report.path) {
        report.say("encryption", format!("key {key}"));
    }
    report
}

/// A Parquet file starts and ends with its magic; its own readers check the rest.
fn parquet(path: &Path, open: &dyn DiskFile, start: &[u8]) -> std::io::Result<Report> {
    let length = open.len()?;
    let mut report = Report::new(path, "Parquet", length);
    let mut end = [0; 8];
    let whole = length >= 12 && read_exact_at(open, &mut end, length - 8).is_ok();
    let [a, b, c, d, magic @ ..] = end;
    if !start.starts_with(b"PAR1") {
        report.damaged(0, "the file does not start as Parquet does");
    }
    if !whole || &magic != b"PAR1" {
        report.damaged(length, "the file does not end as Parquet does: it was cut short");
    } else {
        report.say("footer_bytes", u32::from_le_bytes([a, b, c, d]));
    }
    Ok(report)
}

/// A segment's index: what it covers, and whether every section has its checksum.
fn segment_index(disk: &dyn Disk, path: &Path, length: u64) -> Report {
    let mut report = Report::new(path, "index of a segment", length);
    let checked = Index::open(disk, path).and_then(|index| {
        report.say("first_offset", index.base().0);
        report.say("end_offset", index.end().0);
        report.say("events", index.events());
        report.say("sessions", index.sessions());
        let (from, to) = index.times();
        report.say("from", from.to_string());
        report.say("to", to.to_string());
        index.verify()
    });
    say_damage(&mut report, checked);
    report
}

fn say_damage(report: &mut Report, checked: Result<(), Error>) {
    match checked {
        Ok(()) => {}
        Err(Error::Corrupt { at, what, .. }) => report.damaged(at, what),
        Err(error) => report.damaged(0, error.to_string()),
    }
}

/// What reproduces the leaves of the Merkle log: which leaves, and how much of their blocks was erased.
fn leaves(disk: &dyn Disk, path: &Path, length: u64) -> Report {
    let mut report = Report::new(path, "leaves of a segment's blocks", length);
    let checked = Leaves::read(disk, path).map(|leaves| {
        let (runs, blocks) = (&leaves.runs, leaves.blocks().count());
        report.say("journals", runs.len());
        report.say("leaves", blocks);
        report.say("first_leaf", runs.first().map(|run| run.first_leaf));
        report.say("first_offset", runs.first().map(|run| run.base.0));
        report.say("end_offset", runs.last().map(|run| run.end().0));
        report.say("events", runs.iter().map(Run::len).sum::<u64>());
        report.say("erased", runs.iter().map(Run::erased).sum::<u64>());
    });
    say_damage(&mut report, checked);
    report
}

/// A manifest: what it says, and whether the files beside it are what was sealed.
fn manifest(disk: &dyn Disk, path: &Path, length: u64) -> anyhow::Result<Report> {
    let mut report = Report::new(path, "manifest of a segment", length);
    let text = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    match serde_json::from_slice::<Value>(&text) {
        Ok(Value::Object(fields)) => report.fields = fields,
        Ok(_) => report.damaged(0, "the manifest is not a JSON object"),
        Err(error) => report.damaged(0, error.to_string()),
    }
    if let Some(dir) = path.parent()
        && !report.is_damaged()
    {
        match Manifest::read(disk, dir).and_then(|manifest| manifest.verify(disk, dir)) {
            Ok(()) => {}
            Err(Error::NoKey { why, .. }) => {
                report.say("encryption", format!("the files are not checked: {why}"));
            }
            Err(error) => report.damaged(0, error.to_string()),
        }
    }
    Ok(report)
}

/// A tantivy index: what its `meta.json` lists, and whether the files are there.
fn index(disk: &dyn Disk, path: &Path) -> anyhow::Result<Report> {
    let mut bytes = 0;
    let mut names = Vec::new();
    for entry in entries(path)? {
        bytes += std::fs::metadata(&entry).map(|m| m.len()).unwrap_or_default();
        names.extend(entry.file_name().map(|n| n.to_string_lossy().into_owned()));
    }
    let mut report = Report::new(path, "text index or catalog", bytes);
    let meta = path.join("meta.json");
    let text = match disk.read(&meta) {
        Ok(text) => text,
        Err(Error::NoKey { why, .. }) => {
            report.say("encryption", why.to_string());
            return Ok(report);
        }
        Err(error) => {
            report.damaged(0, error.to_string());
            return Ok(report);
        }
    };
    if let Ok(Some(key)) = disk.key_of(&meta) {
        report.say("encryption", format!("key {key}"));
    }
    let Some(text) = checked(text) else {
        report.damaged(0, "meta.json: its checksum does not match");
        return Ok(report);
    };
    let meta: Value = match serde_json::from_slice(&text) {
        Ok(meta) => meta,
        Err(error) => {
            report.damaged(0, format!("meta.json: {error}"));
            return Ok(report);
        }
    };
    let none = Vec::new();
    let segments = meta.get("segments").and_then(Value::as_array).unwrap_or(&none);
    let docs: u64 = segments.iter().filter_map(|s| s.get("max_doc").and_then(Value::as_u64)).sum();
    report.say("segments", segments.len());
    report.say("documents", docs);
    for name in ["opstamp", "payload"] {
        if let Some(value) = meta.get(name) {
            report.say(name, value.clone());
        }
    }
    let fields = meta.get("schema").and_then(Value::as_array).unwrap_or(&none);
    let fields: Vec<&str> =
        fields.iter().filter_map(|f| f.get("name").and_then(Value::as_str)).collect();
    report.say("schema", fields.join(", "));
    for segment in segments {
        let id = segment.get("segment_id").and_then(Value::as_str).unwrap_or_default();
        let id = id.replace('-', "");
        if !names.iter().any(|name| name.starts_with(&id)) {
            report.damaged(0, format!("the files of index segment {id} are missing"));
        }
    }
    Ok(report)
}
