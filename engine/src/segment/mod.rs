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
//!     retries.bin      which events came with an idempotency key (see `retries`); if some did
//!     leaves.bin       what reproduces the leaves of the log's tree (see `leaves`); leaves.copy, too
//!     segment.json     what is here, with lengths and SHA-256 (see `Manifest`)
//! segments/00000000000000000000-1/    the same events (or what is kept of them) and those of its
//!                                     neighbours, rewritten: see `rewrite`
//! segments/.tmp-00000000000000000000/     a segment while it is being written
//! segments/.gone-00000000000000000000/    a segment while it is being deleted
//! ```
//!
//! All is written and fsynced under the temporary name, then renamed; a directory without a prefix
//! is whole. After a crash [`clean`] removes what was not finished, and the journal (or the segments that
//! were to be rewritten) are still there. A segment that names others in `replaces` stands for them from
//! the moment it has its name: they do not count any more, and are deleted.

mod build;
mod events;
mod index;
pub mod leaves;
mod live;
mod manifest;
mod mend;
mod read;
mod retries;
mod rewrite;
mod seal;
#[cfg(test)]
mod tests;

pub use index::{Index, SessionRow};
pub use leaves::Leaves;
pub use live::{Live, delete_replaced};
pub use manifest::{FileEntry, Manifest};
pub use mend::{KeyOf, check_events};
pub use read::Segment;
pub use retries::Retries;
pub(crate) use rewrite::rewrite_unless;
pub use rewrite::{Rewrite, rewrite};
pub use seal::{SealReport, clean, delete, list, seal};

use crate::block::{Payload, Record};
use crate::error::Error;
use crate::event::{Micros, Offset};
use crate::session::SessionState;
use crate::text::TextSource;
use crate::view::Session;
use std::io::Write;
use std::sync::Arc;

/// The blocks of events, in a segment's directory.
pub const EVENTS_FILE: &str = "events.blk";
/// The index, in a segment's directory.
pub const INDEX_FILE: &str = "index.bin";
/// What reproduces the leaves of the log's tree, in a segment's directory.
pub const LEAVES_FILE: &str = "leaves.bin";
/// The name of its copy: what is in it can be made again from nothing else.
pub const LEAVES_COPY_FILE: &str = "leaves.copy";
/// The name of the file of events that came with an idempotency key.
pub const RETRIES_FILE: &str = "retries.bin";
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

/// What a segment is made from: a closed journal, or what is kept of segments, in memory.
#[derive(Clone, Copy, Debug)]
pub struct SealInput<'a> {
    /// The offset that the segment starts at.
    pub base: Offset,
    /// The offset after the last that it stands for.
    pub end: Offset,
    /// Raw payloads of blocks: together they hold every event once, in any order.
    pub payloads: &'a [Arc<Payload>],
    /// For each payload, whether its block is plain (see [`crate::block::Flags`]).
    pub plain: &'a [bool],
    /// For each event, in the order of the payloads, its place in `sessions`.
    pub session_of: &'a [u32],
    /// The sessions, each once, in any order.
    pub sessions: &'a [Session],
    /// The finished text indexes of these events; none makes a segment without one.
    pub texts: &'a [TextSource<'a>],
    /// The journal blocks that the events were in.
    pub leaves: &'a Leaves,
    /// When the latest of its journals was sealed.
    pub created: Micros,
    /// How often its events were rewritten.
    pub generation: u32,
    /// The names of the segments that it replaces.
    pub replaces: &'a [String],
}
