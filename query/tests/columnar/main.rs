//! Events as columns, written and read back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

mod exports;
mod interop;
mod log;
mod measure;
mod ocsf;
mod outputs;
mod queries;
mod round_trip;
