//! The server as its clients see it: a real one, on a port of its own, over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod alerts;
mod audit;
mod bodies;
mod bulk;
mod casework;
mod clients;
mod contract;
mod downloads;
mod feeds;
mod limits;
mod lines;
mod links;
mod notify;
mod otlp;
mod pages;
mod push;
mod reads;
mod retention;
mod reviews;
mod runs;
mod stop;
mod stream;
mod sudo;
mod support;
mod tail;
mod tls;
mod tokens;
