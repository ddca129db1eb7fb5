//! The search benchmark: many events, and how long each class of queries takes, cold and warm.

mod daybook;
mod draw;
mod generate;
mod measure;
mod queries;
mod seeded;
mod template;

use crate::source::Source;
use anyhow::Result;
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
    pub quick: bool,
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
    let figures = daybook::ask(&mine, &asks, effort)?;
    measure::print(&figures);
    Ok(())
}
