//! The search benchmark: many events, and how long each class of queries takes, cold and warm.

mod clickhouse;
mod daybook;
mod draw;
mod generate;
mod indexing;
mod measure;
mod peer;
mod postgres;
mod queries;
mod seeded;
mod sql;
mod template;

use crate::source::Source;
use anyhow::{Result, ensure};
use measure::Effort;
use std::path::{Path, PathBuf};

const SEED: u64 = 1;

/// What is measured.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    pub events: u64,
    pub producers: usize,
    /// Where what is loaded stays, to be used again.
    pub keep: Option<&'a Path>,
    /// How long a peer may load, in seconds.
    pub peer_seconds: u64,
    pub quick: bool,
}

/// Indexes the texts of the first events, beside tantivy.
pub(crate) fn indexing(dir: &Path, source: &Source, events: u64) -> Result<()> {
    indexing::report(dir, &generate::Stream::new(source, events, SEED)?)
}

/// Loads the events and asks for them.
pub(crate) fn report(dir: &Path, source: &Source, options: &Options<'_>) -> Result<()> {
    let stream = generate::Stream::new(source, options.events, SEED)?;
    let asks = draw::draw(&stream, SEED)?;
    let effort = Effort::of(options.quick);
    println!(
        "search     {} events in {} sessions over {} days, {} queries in {} classes",
        stream.events,
        stream.sessions(),
        generate::DAYS,
        asks.len(),
        queries::Class::ALL.len()
    );
    let place = |name: &str, events: u64| -> Result<PathBuf> {
        let place = options.keep.unwrap_or(dir).join(format!("{name}-{events}"));
        std::fs::create_dir_all(&place)?;
        Ok(place)
    };
    let mine = place("daybook", stream.events)?;
    daybook::load(&mine, &stream, options.producers, options.quick)?;
    let (figures, wrong) = daybook::ask(&mine, &asks, effort)?;
    measure::print(&figures);
    // A quick run is a test, too.
    ensure!(!options.quick || wrong == 0, "{wrong} answers of a search are wrong");
    let share = peer::Share { events: options.events, seconds: options.peer_seconds, seed: SEED };
    let theirs = place("postgres", stream.events)?;
    if let Some(peer) = postgres::report(&theirs, source, share, (effort, options.quick))? {
        measure::print_beside("PostgreSQL", &peer, &figures);
    }
    let theirs = place("clickhouse", stream.events)?;
    if let Some(peer) = clickhouse::report(&theirs, source, share, effort)? {
        measure::print_beside("chDB", &peer, &figures);
    }
    Ok(())
}
