//! The tabular results of a session as CSV.
//!
//! A result is what stands in a command's own `output`, or in its `output` events of the stream `result`, put together;
//! it is a table if psql or mysql would print it so ([`super::grid`]). One table is a CSV file; several are a ZIP of
//! files that are named after the numbers of their commands, `command-7.csv`, in this order. Other results are in the
//! other formats.
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

/// A table: its command, and the stretches of numbers that have it.
pub(super) struct Table {
    command: Seq,
    stretches: Vec<RangeInclusive<Seq>>,
}

/// A result that is looked through.
#[derive(Default)]
struct Candidate {
    grid: Grid,
    stretches: Vec<RangeInclusive<Seq>>,
}

/// The tables, in the order of their commands.
pub(super) fn find(download: &Download<'_>) -> Result<Vec<Table>, QueryError> {
    let mut found: BTreeMap<Seq, Candidate> = BTreeMap::new();
    let mut last = None;
    let ignore = &mut |_: &[String]| Ok::<(), QueryError>(());
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
    let mut tables = Vec::new();
    for (command, Candidate { mut grid, stretches }) in found {
        if grid.end(ignore)? {
            tables.push(Table { command, stretches });
        }
    }
    Ok(tables)
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
    let tables = find(download)?;
    if let [table] = tables.as_slice() {
        return write_table(download, table, out);
    }
    let failed = |error: zip::result::ZipError| Error::from(std::io::Error::other(error));
    // Nothing of the clock, so that it is the same at any time.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(true);
    let mut archive = ZipWriter::new_stream(out);
    for table in &tables {
        archive.start_file(format!("command-{}.csv", table.command), options).map_err(failed)?;
        write_table(download, table, &mut archive)?;
    }
    archive.finish().map_err(failed)?;
    Ok(())
}

fn write_table(
    download: &Download<'_>,
    table: &Table,
    out: &mut dyn Write,
) -> Result<(), QueryError> {
    let mut lines = csv::lines(out);
    let mut row = |cells: &[String]| {
        let written = lines.write_record(cells).map_err(std::io::Error::from);
        written.map_err(|error| QueryError::from(Error::from(error)))
    };
    let mut grid = Grid::default();
    for stretch in &table.stretches {
        results(download, Some(stretch), &mut |_, command, text| match command == table.command {
            true => grid.push(text, &mut row),
            false => Ok(()),
        })?;
    }
    grid.end(&mut row)?;
    Ok(lines.flush().map_err(Error::from)?)
}
