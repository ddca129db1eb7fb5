//! daybook's tools: what the `daybook` binary is made of, and what tests and measurements share with
//! it.
//!
//! | module | what is there |
//! |---|---|
//! | [`cli`], [`command`] | the command line; one module a command |
//! | [`config`] | what the server runs with: every bound in one place |
//! | [`source`], [`client`] | where commands read and write: a server, or a data directory |
//! | [`producer`] | events to a server as they happen: batched, tried again, spilled while it is away |
//! | [`record`] | terminal sessions, recorded live |
//! | [`runner`] | takes commands that are to be run again, and runs them |
//! | [`diff`] | what differs between two texts |
//! | [`admin`] | policy and legal holds, of either |
//! | [`filter`] | the flags that narrow lists and searches |
//! | [`keys`] | the encryption keys that a command was given |
//! | [`output`], [`show`] | what people see |
//! | [`pull`] | a feed's files into a directory |
//! | [`rows`] | what a list holds: rows for people, records for programs |
//! | [`import`], [`asciicast`], [`foreign`] | files to events |
//! | [`line`](mod@line) | one event as a line |
//! | [`demo`] | sample sessions |
//! | [`load`] | what the load generator sends |
//! | [`inspect`] | the log's files, read without the engine |

pub mod admin;
pub mod asciicast;
pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod demo;
pub mod diff;
pub mod filter;
pub mod findings;
pub mod foreign;
pub mod import;
pub mod inspect;
pub mod keys;
pub mod line;
pub mod load;
pub mod output;
pub mod producer;
pub mod pull;
pub mod record;
pub mod rows;
pub mod runner;
pub mod show;
pub mod source;
