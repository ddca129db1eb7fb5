//! Searches, lists, timelines and replays against the obvious model of a log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod lines;
mod lists;
mod model;
mod real;
mod replays;
mod searches;
mod timelines;
