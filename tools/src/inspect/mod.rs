//! Reads the log's files one by one, without the engine: what they say of themselves, and what is
//! wrong with them. Nothing is changed, and damage is a finding, not an error.
//!
//! | module | what is there |
//! |---|---|
//! | `blocks` | journals and `events.blk` |
//! | `files` | segments' other files, indexes, directories |

mod blocks;
mod files;

pub use files::inspect;

use crate::output::{self, Align, Cell, Column, Paint, Table};
use daybook_engine::event::Micros;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What a file holds.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Which file.
    pub path: PathBuf,
    /// What it is.
    pub kind: &'static str,
    /// Its length.
    pub bytes: u64,
    /// What it says of itself.
    pub fields: Map<String, Value>,
    /// Its blocks, if it is a file of blocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// What is wrong with it.
    pub damage: Vec<Damage>,
}

/// A block.
#[derive(Debug, Serialize)]
pub struct Block {
    /// Where it starts in the file.
    pub at: u64,
    /// The offset (journal) or ordinal (segment) of its first event.
    pub base: u64,
    /// Events in it.
    pub count: u32,
    /// Its length before compression, in bytes.
    pub raw: u32,
    /// Its length in the file, in bytes.
    pub stored: u32,
    /// No line in it has base64 or escaped letters.
    pub plain: bool,
    /// The earliest time of its events.
    pub from: String,
    /// The latest.
    pub to: String,
}

/// Something wrong in a file.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// Where.
    pub at: u64,
    /// What.
    pub what: String,
}

/// How many blocks are shown from each end, unless all are asked for.
const SHOWN: usize = 8;

impl Report {
    fn new(path: &Path, kind: &'static str, bytes: u64) -> Report {
        let path = path.to_owned();
        Report { path, kind, bytes, fields: Map::new(), blocks: Vec::new(), damage: Vec::new() }
    }

    fn say(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn damaged(&mut self, at: u64, what: impl Into<String>) {
        self.damage.push(Damage { at, what: what.into() });
    }

    /// Is anything wrong with it?
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }

    /// Its blocks as a table.
    #[must_use]
    pub fn blocks_table(&self, paint: Paint, all: bool) -> String {
        let right = |name| Column { name, align: Align::Right, least: 0 };
        let left = |name| Column { name, align: Align::Left, least: 0 };
        let mut table = Table::new(&[
            right("AT"),
            right("BASE"),
            right("EVENTS"),
            right("RAW"),
            right("STORED"),
            right("RATIO"),
            left("PLAIN"),
            left("FROM"),
            left("TO"),
        ]);
        let hidden = if all { 0 } else { self.blocks.len().saturating_sub(2 * SHOWN) };
        for (index, block) in self.blocks.iter().enumerate() {
            if hidden > 0 && (SHOWN..SHOWN + hidden).contains(&index) {
                continue;
            }
            let ratio = f64::from(block.raw) / f64::from(block.stored.max(1));
            let cells = [
                block.at.to_string(),
                block.base.to_string(),
                block.count.to_string(),
                block.raw.to_string(),
                block.stored.to_string(),
                format!("{ratio:.2}"),
                if block.plain { "yes" } else { "no" }.to_owned(),
                output::moment(&block.from),
                output::moment(&block.to),
            ];
            table.row(cells.into_iter().map(Cell::from).collect());
        }
        let mut text = table.render(paint, None);
        if hidden > 0 {
            text.push_str(&format!("({hidden} blocks between are not shown; --all shows them)\n"));
        }
        text
    }
}

/// A time for a report.
fn time(micros: Micros) -> String {
    micros.to_string()
}
