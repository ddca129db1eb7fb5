//! Which file is what, and what the files without blocks say of themselves.

use super::{Report, blocks};
use anyhow::{Context as _, bail};
use daybook_engine::Error;
use daybook_engine::block::FileKind;
use daybook_engine::disk::{RealDisk, checked};
use daybook_engine::segment::{Index, Manifest};
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Reports on a file, or on each file of a directory.
///
/// # Errors
/// A path that is not there or can't be read, or a file that is not daybook's.
pub fn inspect(path: &Path) -> anyhow::Result<Vec<Report>> {
    let meta = std::fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?;
    if !meta.is_dir() {
        return Ok(vec![file(path)?]);
    }
    if path.join("meta.json").exists() {
        return Ok(vec![index(path)?]);
    }
    let mut reports = Vec::new();
    for entry in entries(path)? {
        if entry.is_dir() {
            reports.extend(inspect(&entry)?);
        } else if is_ours(&entry) {
            reports.push(file(&entry)?);
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
    matches!(name, "events.blk" | "index.bin" | "segment.json" | "events.parquet")
        || name.ends_with(".journal")
}

fn file(path: &Path) -> anyhow::Result<Report> {
    let mut start = [0; 8];
    let mut open =
        std::fs::File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    let read = open.read(&mut start).with_context(|| format!("can't read {}", path.display()))?;
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let length = open.metadata().map(|m| m.len()).unwrap_or_default();
    let start = start.get(..read).unwrap_or_default();
    if start == b"DAYBKJNL" || name.ends_with(".journal") {
        return blocks::report(path, FileKind::Journal);
    }
    if start == b"DAYBKSEG" || name == "events.blk" {
        return blocks::report(path, FileKind::Segment);
    }
    if start.starts_with(b"PAR1") || name == "events.parquet" {
        return parquet(path, length, start);
    }
    if name == "segment.json" {
        return manifest(path, length);
    }
    if name == "index.bin" {
        return Ok(segment_index(path, length));
    }
    bail!("{} is not a journal, a segment's file or an index of daybook's", path.display())
}

/// A Parquet file starts and ends with its magic; its own readers check the rest.
fn parquet(path: &Path, length: u64, start: &[u8]) -> anyhow::Result<Report> {
    use std::os::unix::fs::FileExt as _;
    let mut report = Report::new(path, "Parquet", length);
    let open =
        std::fs::File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    let mut end = [0; 8];
    let whole = length >= 12 && open.read_exact_at(&mut end, length - 8).is_ok();
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
fn segment_index(path: &Path, length: u64) -> Report {
    let mut report = Report::new(path, "index of a segment", length);
    let checked = Index::open(&RealDisk, path).and_then(|index| {
        report.say("first_offset", index.base().0);
        report.say("events", index.events());
        report.say("sessions", index.sessions());
        let (from, to) = index.times();
        report.say("from", from.to_string());
        report.say("to", to.to_string());
        index.verify()
    });
    match checked {
        Ok(()) => {}
        Err(Error::Corrupt { at, what, .. }) => report.damaged(at, what),
        Err(error) => report.damaged(0, error.to_string()),
    }
    report
}

/// A manifest: what it says, and whether the files beside it are what was sealed.
fn manifest(path: &Path, length: u64) -> anyhow::Result<Report> {
    let mut report = Report::new(path, "manifest of a segment", length);
    let text = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    match serde_json::from_slice::<Value>(&text) {
        Ok(Value::Object(fields)) => report.fields = fields,
        Ok(_) => report.damaged(0, "the manifest is not a JSON object"),
        Err(error) => report.damaged(0, error.to_string()),
    }
    if let Some(dir) = path.parent()
        && !report.is_damaged()
        && let Err(error) =
            Manifest::read(&RealDisk, dir).and_then(|manifest| manifest.verify(&RealDisk, dir))
    {
        report.damaged(0, error.to_string());
    }
    Ok(report)
}

/// A tantivy index: what its `meta.json` lists, and whether the files are there.
fn index(path: &Path) -> anyhow::Result<Report> {
    let mut bytes = 0;
    let mut names = Vec::new();
    for entry in entries(path)? {
        bytes += std::fs::metadata(&entry).map(|m| m.len()).unwrap_or_default();
        names.extend(entry.file_name().map(|n| n.to_string_lossy().into_owned()));
    }
    let mut report = Report::new(path, "text index or catalog", bytes);
    let meta = path.join("meta.json");
    let text = std::fs::read(&meta).with_context(|| format!("can't read {}", meta.display()))?;
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
