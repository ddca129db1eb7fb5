//! A case as one file: everything in it, and what proves it. Whoever gets it checks it without the server.
//!
//! ```text
//! case.zip
//!   case.json                    the case: its name, its sessions, its notes, its hold
//!   checkpoint.txt               the log's last signed checkpoint
//!   sessions/0001/events.ndjson  a session's events in the order of `seq`, each line as a timeline gives it
//!   sessions/0001/proof.json     the proof bundle that these lines are made of (engine::merkle::bundle)
//!   ...
//!   manifest.json                the last: every file with its length and SHA-256, every session with its files
//! ```
//!
//! | what [`check`] holds against what | so that |
//! |---|---|
//! | the archive's names against the manifest's | no file is missing, and none was added |
//! | each file's length and SHA-256 | no file was changed without the manifest |
//! | `case.json`'s sessions against the manifest's | no session was taken out with its files |
//! | each bundle, by [`Bundle::check`], all of one key and log | the events are the log's, and none between is missing |
//! | the lines of `events.ndjson` against the bundle's | what is read is what is proved |
//!
//! The manifest itself is not signed: that no session was taken out of all three places is for who hands it over to
//! say, and for the log's session `daybook.cases`, which has every change of the case.
//!
//! [`Bundle::check`]: daybook_engine::merkle::bundle::Bundle::check

mod check;
mod write;

pub use check::{Checked, CheckedSession, check};
pub use write::{Contents, Written, write};

use crate::error::QueryError;
use crate::timeline::render;
use daybook_engine::merkle::bundle::Bundle;
use serde::{Deserialize, Serialize};

/// What `format` of a manifest says.
pub const FORMAT: &str = "daybook-case-1";

/// The name of the manifest.
const MANIFEST: &str = "manifest.json";
/// The name of the case's description.
const CASE: &str = "case.json";
/// The name of the checkpoint.
const CHECKPOINT: &str = "checkpoint.txt";

/// What is in the archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    case: String,
    exported_at: String,
    /// The log's verifier key; empty where the log has none.
    key: String,
    sessions: Vec<SessionFiles>,
    files: Vec<FileEntry>,
}

/// The files of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionFiles {
    id: String,
    /// None if the log has the session no more.
    events: Option<String>,
    /// None if it can't be proved in one piece.
    proof: Option<String>,
    /// Why one of them is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    name: String,
    bytes: u64,
    sha256: String,
}

/// The part of `case.json` that is checked; the rest is for people.
#[derive(Deserialize)]
struct CaseSessions {
    id: String,
    sessions: Vec<CaseSession>,
}

#[derive(Deserialize)]
struct CaseSession {
    id: String,
}

/// Calls `line` with each line of the events that a bundle proves, in the order of `seq`.
fn lines(
    bundle: &Bundle,
    line: &mut dyn FnMut(&[u8]) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut events: Vec<_> = bundle.blocks.iter().flat_map(|block| &block.events).collect();
    events.sort_by_key(|event| event.seq);
    for event in events {
        let mut text = render::event(&event.record())?;
        text.push('\n');
        line(text.as_bytes())?;
    }
    Ok(())
}
