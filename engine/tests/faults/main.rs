//! What was acknowledged outlives every crash and every fault of the disk.
//!
//! One run of a random workload on a disk in memory gives a log of its operations; from the log any
//! number of crashes are made and recovered from ([`crash`]). Other tests let operations fail while
//! the engine runs ([`live`]).
//!
//! | variable | what it does |
//! |---|---|
//! | `DAYBOOK_SEED` | runs this workload only |
//! | `DAYBOOK_CRASH_AT` | and crashes it after this operation only |
//! | `DAYBOOK_SOAK_SECONDS` | the soak goes on for so long, from a seed of its own |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::print_stdout, reason = "tests")]

mod check;
mod crash;
mod live;
mod model;
mod regressions;
mod workload;
