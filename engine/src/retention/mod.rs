//! Retention: kept as long as it must, no longer.
mod age;
mod decide;
#[cfg(test)]
mod decide_tests;
mod holds;
mod policy;

pub use age::Keep;
pub use decide::{Candidate, Cause, Decision, Plan, Planned, SessionFacts, held, plan};
pub use holds::{HOLDS_MAX, Hold, Keys, NAMES_MAX, NewHold, Scope};
pub use policy::{Names, Policy, RULES_MAX, Rule};
