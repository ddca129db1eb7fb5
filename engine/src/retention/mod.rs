//! Retention: kept as long as it must, no longer.
//!
//! ```text
//!   policy ─┐
//!   holds ──┼─► decide: what goes ──► erase: note, take away, fold again, tell
//!   time ───┘                            │
//!   retention.json                       └─► erasing.json, while it happens
//! ```
//!
//! A pass looks at the sealed segments, oldest first. What is past its age (by the rules for its
//! user, role and type) and not held is erased: a whole segment by deleting its directory, which reads
//! neither its events nor its texts and costs the same whatever they are; some sessions of one by
//! writing it again without them. Each deletion, each hold and release and each change of the policy
//! is an event of the session `daybook`, which itself is never deleted. The Merkle log keeps the
//! hashes of what went, so that old checkpoints still verify.
//!
//! *Exactly once* holds for what the log has: an event whose number was erased and that a producer
//! sends again is taken again, as a new event.
//!
//! Only what is sealed is looked at: events stay at least until their journal has become a segment.
//!
//! | module | what is there |
//! |---|---|
//! | `age`, `policy`, `holds` | how long what is kept, and what is held |
//! | `decide` | what goes, as a pure function |
//! | `state` | what is remembered, in files that know their checksum (`sealed`) |
//! | `keeper` | changing policy and holds, and telling of it |
//! | `pass` | looking at all segments |
//! | `erase` | making things go, whole and in part |

mod age;
mod decide;
#[cfg(test)]
mod decide_tests;
mod erase;
mod holds;
mod keeper;
mod pass;
mod policy;
mod state;

pub use age::Keep;
pub use decide::{Candidate, Cause, Decision, Plan, Planned, SessionFacts, held, plan};
pub use holds::{HOLDS_MAX, Hold, Keys, NAMES_MAX, NewHold, Scope};
pub use keeper::HoldQueries;
pub(crate) use keeper::Keeper;
pub use pass::{Failed, Gone, Report};
pub use policy::{Names, Policy, RULES_MAX, Rule};
