//! What `verify` finds, and what `repair` mends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod clean;
mod rot;
mod shrunk;
mod support;
mod tamper;
