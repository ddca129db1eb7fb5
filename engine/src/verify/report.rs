//! What a verification found.

use crate::event::Offset;
use serde::Serialize;
use std::path::PathBuf;

/// What a verification looked at and found. It is well if [`Report::is_well`] says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Did another process have the directory open? Then what it was writing is left out.
    pub running: bool,
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sealed segments.
    pub segments: u64,
    /// Journals.
    pub journals: u64,
    /// Events that are whole.
    pub events: u64,
    /// Sessions whose state in the catalog is the fold of their events; `None` if not compared.
    pub sessions: Option<u64>,
    /// Leaves of the Merkle log whose events were hashed again.
    pub leaves: u64,
    /// The signed statement that the log was proved against.
    pub checkpoint: Option<Statement>,
    /// What was deleted on purpose, and who says so.
    pub deleted: Vec<Deleted>,
    /// What is wrong, file by file.
    pub findings: Vec<Finding>,
    /// What could not be checked, or is worth knowing.
    pub notes: Vec<String>,
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The log's name.
    pub origin: String,
    /// How many leaves its tree has.
    pub size: u64,
    /// The tree's root, in base64.
    pub root: String,
    /// The key that signed it.
    pub key: String,
}

/// Events that were deleted on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// The first of them.
    pub first: Offset,
    /// The last of them.
    pub last: Offset,
    /// Who deleted them.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Bytes are not what was written.
    Damaged,
    /// A file is missing.
    Missing,
    /// Events were changed, and their checksums made to fit: the signed tree tells.
    Altered,
    /// Events are not in the log any more, and nobody says that they were deleted.
    Gone,
    /// What is derived from the log is not what the log says.
    Differs,
    /// The log is shorter than it once was.
    RolledBack,
    /// A signature or its key is not right.
    Unsigned,
    /// The end of what was being written when the process stopped; it was never acknowledged.
    Torn,
    /// A file that nobody names.
    Leftover,
}

impl Problem {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Problem::Damaged => "damaged",
            Problem::Missing => "missing",
            Problem::Altered => "altered",
            Problem::Gone => "gone",
            Problem::Differs => "differs",
            Problem::RolledBack => "rolled back",
            Problem::Unsigned => "not signed",
            Problem::Torn => "torn",
            Problem::Leftover => "leftover",
        }
    }

    /// Is the log or its protection hurt by it? What was never acknowledged and what nobody names is
    /// reported, but harms nothing.
    #[must_use]
    pub const fn harms(self) -> bool {
        !matches!(self, Problem::Torn | Problem::Leftover)
    }
}

/// How something is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mend {
    /// It is made again from the log: `daybook repair`.
    Repair,
    /// What was here is nowhere else in the directory: it can only come from a backup.
    Restore,
    /// A feed's: it is written again from the log where it is missing.
    Rewrite,
    /// Nothing on this disk can: somebody has to find out what happened.
    Ask,
    /// Nothing has to be done.
    Nothing,
}

impl Mend {
    /// What to do, as a sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Mend::Repair => "`daybook repair` makes it again from the log",
            Mend::Restore => "put the file back from a backup",
            Mend::Rewrite => {
                "stop the server, delete the feed's directory and start the server: it is written again from the log"
            }
            Mend::Ask => {
                "keep the directory as it is and compare it with a backup: somebody changed it"
            }
            Mend::Nothing => "nothing has to be done",
        }
    }
}

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which file, by its path in the data directory.
    pub file: PathBuf,
    /// From which byte.
    pub from: u64,
    /// To which byte; at least `from`.
    pub to: u64,
    /// What kind of wrong.
    pub problem: Problem,
    /// What exactly.
    pub what: String,
    /// The events that are lost, or that are not to be believed.
    pub events: Vec<Lost>,
    /// How it is mended.
    pub mend: Mend,
}

/// A run of events that are lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The first of them.
    pub first: Offset,
    /// The last of them.
    pub last: Offset,
    /// The sessions that they are of, as far as that is known.
    pub sessions: Vec<String>,
}

impl Lost {
    /// How many events.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.last.0 - self.first.0).saturating_add(1)
    }
}

impl Report {
    /// Is nothing wrong that harms the log?
    #[must_use]
    pub fn is_well(&self) -> bool {
        !self.findings.iter().any(|finding| finding.problem.harms())
    }

    /// All events that are lost or not to be believed.
    pub fn lost(&self) -> impl Iterator<Item = &Lost> {
        self.findings.iter().flat_map(|finding| &finding.events)
    }
}
