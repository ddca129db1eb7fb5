//! What the tests of the query layer share.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

pub mod model;
pub mod naive;
pub mod narrow;
pub mod random;
pub mod searches;
