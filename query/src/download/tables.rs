//! The tabular results of a session as CSV.
//!
//! A result is what stands in a command's own `output`, or in its `output` events of the stream `result`, put together;
//! what psql or mysql would print so in it is a table ([`super::grid`]). One table is a CSV file; several are a ZIP of
//! files that are named after the numbers of their commands, `command-7.csv`, in this order; where a command has several,
//! `command-7-1.csv`, `command-7-2.csv`. What else is in results is in the other formats.
//!
//! The log is gone through twice: to find the tables, and to write them. What is kept of each is its command and where
//! its outputs are.

use super::Download;
use super::grid::Grid;
use crate::columnar::{Error, csv};
use crate::error::QueryError;
use crate::timeline::runs::Position;
use daybook_engine::event::wire::{Body, Event};
use daybook_engine::event::{Kind, Seq, Stream};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::ops::RangeInclusive;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A result that has tables: its command, the stretches of numbers that have it, and which of what began as a table
/// is one.
pub(super) struct Tables {
    command: Seq,
    stretches: Vec<RangeInclusive<Seq>>,
    whole: Vec<usize>,
}

/// A result that is looked through.
#[derive(Default)]
struct Candidate {
    grid: Grid,
    stretches: Vec<RangeInclusive<Seq>>,
}

/// How many tables there are.
pub(super) fn count(download: &Download<'_>) -> Result<usize, QueryError> {
    Ok(find(download)?.iter().map(|tables| tables.whole.len()).sum())
}

/// The tables, in the order of their commands.
fn find(download: &Download<'_>) -> Result<Vec<Tables>, QueryError> {
    let mut found: BTreeMap<Seq, Candidate> = BTreeMap::new();
    let mut last = None;
    let ignore = &mut |_: usize, _: &[String]| Ok::<(), QueryError>(());
    results(download, None, &mut |seq, command, text| {
        let here = match found.entry(command) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(Candidate::default()),
        };
        match here.stretches.last_mut().filter(|_| last == Some(command)) {
            Some(stretch) => *stretch = *stretch.start()..=seq,
            None => here.stretches.push(seq..=seq),
        }
        last = Some(command);
        here.grid.push(text, ignore)
    })?;
    let mut all = Vec::new();
    for (command, Candidate { grid, stretches }) in found {
        let whole = grid.end(ignore)?;
        if !whole.is_empty() {
            all.push(Tables { command, stretches, whole });
        }
    }
    Ok(all)
}

/// Calls `visit` with the pieces of results: their numbers, their commands, their texts.
fn results(
    download: &Download<'_>,
    of: Option<&RangeInclusive<Seq>>,
    visit: &mut dyn FnMut(Seq, Seq, &str) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let from = of.map_or(0, |range| Position::from(range.start().0));
    let entries = download
        .runs
        .forwards(from)
        .take_while(|entry| of.is_none_or(|range| entry.facts.seq <= *range.end()))
        .filter(|entry| matches!(entry.facts.kind, Kind::Command | Kind::Output));
    download.each_of(entries, &mut |record| {
        let event: Event<'_> = record.event()?;
        let text = match &event.body {
            Body::Command(command) => command.output.as_deref().map(Cow::Borrowed),
            Body::Output { stream: Some(Stream::Result), content, .. } => Some(content.as_text()),
            _ => None,
        };
        let command = event.body.command().unwrap_or(record.seq);
        match text.filter(|text| !text.is_empty()) {
            Some(text) => visit(record.seq, command, &text),
            None => Ok(()),
        }
    })
}

pub(super) fn write(
    download: &Download<'_>,
    out: &mut (dyn Write + Send),
) -> Result<(), QueryError> {
    let all = find(download)?;
    if let [tables @ Tables { whole, .. }] = all.as_slice()
        && whole.len() == 1
    {
        return tables.write(download, &mut |_, bytes| Ok(out.write_all(bytes)?));
    }
    let failed = |error: zip::result::ZipError| Error::from(std::io::Error::other(error));
    // Nothing of the clock, so that it is the same at any time.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(true);
    let mut archive = ZipWriter::new_stream(out);
    for tables in &all {
        let (command, several) = (tables.command, tables.whole.len() > 1);
        let mut of = None;
        tables.write(download, &mut |number, bytes| {
            if of.replace(number) != Some(number) {
                let number = if several { format!("-{number}") } else { String::new() };
                archive
                    .start_file(format!("command-{command}{number}.csv"), options)
                    .map_err(failed)?;
            }
            Ok(archive.write_all(bytes)?)
        })?;
    }
    archive.finish().map_err(failed)?;
    Ok(())
}

/// So many bytes of a table are written at once.
const PIECE_BYTES: usize = 64 << 10;

/// Takes a table's number, and more of its bytes.
type OnBytes<'a> = dyn FnMut(usize, &[u8]) -> Result<(), Error> + 'a;

impl Tables {
    /// Writes them, one after the other; each has a number, from one on.
    fn write(&self, download: &Download<'_>, out: &mut OnBytes<'_>) -> Result<(), QueryError> {
        let mut lines = csv::lines(Vec::new());
        let mut number = 0;
        let mut row = |at: usize, cells: &[String]| -> Result<(), QueryError> {
            let Ok(place) = self.whole.binary_search(&at) else { return Ok(()) };
            if number != place + 1 || lines.get_ref().len() > PIECE_BYTES {
                let before = std::mem::replace(&mut lines, csv::lines(Vec::new()));
                give(number, before, out)?;
                number = place + 1;
            }
            let written = lines.write_record(cells).map_err(std::io::Error::from);
            written.map_err(|error| QueryError::from(Error::from(error)))
        };
        let mut grid = Grid::default();
        for stretch in &self.stretches {
            results(
                download,
                Some(stretch),
                &mut |_, command, text| match command == self.command {
                    true => grid.push(text, &mut row),
                    false => Ok(()),
                },
            )?;
        }
        grid.end(&mut row)?;
        give(number, lines, out)
    }
}

fn give(
    number: usize,
    lines: csv::Lines<Vec<u8>>,
    out: &mut OnBytes<'_>,
) -> Result<(), QueryError> {
    let bytes = lines.into_inner().map_err(|error| Error::from(error.into_error()))?;
    // Before the first row there is none.
    if !bytes.is_empty() {
        out(number, &bytes)?;
    }
    Ok(())
}
