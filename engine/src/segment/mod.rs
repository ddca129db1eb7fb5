//! Segments: sealed, immutable, self-contained runs of the log.
//!
//! A segment is made from one journal by [`seal`]: its events are clustered by session, then `seq`,
//! so that opening a session reads a few neighbouring blocks, however many other sessions were
//! interleaved with it. One directory holds all that reading, searching and exporting them takes:
//!
//! ```text
//! segments/00000000000000000000/      name = base offset
//!     events.blk       blocks of events (see `block`)
//!     index.bin        where everything is, mapped and read in place (see `index`)
//!     text/            the text index, if there is one
//!     events.parquet   the SIEM's copy, if somebody writes it (see `Columnar`)
//!     segment.json     what is here, with lengths and SHA-256 (see `Manifest`)
//! segments/.tmp-00000000000000000000/     the same, while it is being written
//! ```
//!
//! All is written and fsynced under the temporary name, then renamed; a directory without the prefix
//! is whole. After a crash [`clean`] removes what was not finished, and the journal is still there
//! to be sealed again.

mod build;
mod events;
mod index;
mod manifest;
mod read;
mod seal;
#[cfg(test)]
mod tests;

pub use index::{Index, SessionRow};
pub use manifest::{FileEntry, Manifest};
pub use read::Segment;
pub use seal::{SealReport, clean, list, seal};

use crate::block::Record;
use crate::error::Error;
use crate::event::Offset;
use crate::session::SessionState;
use crate::view::Session;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// The blocks of events, in a segment's directory.
pub const EVENTS_FILE: &str = "events.blk";
/// The index, in a segment's directory.
pub const INDEX_FILE: &str = "index.bin";
/// The manifest, in a segment's directory.
pub const MANIFEST_FILE: &str = "segment.json";
/// The Parquet copy, in a segment's directory.
pub const PARQUET_FILE: &str = "events.parquet";
/// The text index, in a segment's directory.
pub const TEXT_DIR: &str = "text";

/// Writes a columnar copy of a segment's events.
pub trait Columnar: Send + Sync {
    /// Writes `events`, which come in the order of time (then offset).
    ///
    /// # Errors
    /// The system's, or what the format can't hold.
    fn write(
        &self,
        events: &mut dyn Iterator<Item = ColumnarEvent<'_>>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error>;
}

/// An event on its way to a columnar file.
#[derive(Clone, Copy, Debug)]
pub struct ColumnarEvent<'a> {
    /// The event.
    pub record: Record<'a>,
    /// Its session's id.
    pub session: &'a str,
    /// Its session's state when the journal closed.
    pub state: &'a SessionState,
}

/// What a segment is made from: a closed journal, in memory.
#[derive(Clone, Copy, Debug)]
pub struct SealInput<'a> {
    /// The offset of the first event.
    pub base: Offset,
    /// The raw payloads of the journal's blocks, in the order of offsets.
    pub payloads: &'a [Arc<Vec<u8>>],
    /// For each payload, whether its block is plain (see [`crate::block::Flags`]).
    pub plain: &'a [bool],
    /// For each event, by offset, its place in `sessions`.
    pub session_of: &'a [u32],
    /// The sessions, each once, in any order.
    pub sessions: &'a [Session],
    /// The journal's finished text index.
    pub text: Option<&'a Path>,
}
