//! The macro benchmark: daybook as its users meet it, beside what bounds it, all in one run.
//!
//! Every figure is a ratio to something measured in the same run: the disk's own write + fdatasync, or
//! raw tantivy over the same text on one thread. Nothing here passes or fails; it prints a report.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/daybook-bench --corpus DIR     real sessions, *.ndjson or *.ndjson.zst
//! target/release/daybook-bench                  sample sessions
//! target/release/daybook-bench --quick          a few seconds, to see that it runs
//! ```
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

mod clickhouse;
mod costs;
mod disk;
mod feed;
mod ingest;
mod long_session;
mod outcome;
mod postgres;
mod producers;
mod reads;
mod recovery;
mod retention;
mod search;
mod server;
mod source;
mod tantivy_alone;

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;

// What runs in this process is measured as it runs in daybook's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures daybook beside the disk and raw tantivy.
#[derive(Debug, Parser)]
struct Arguments {
    /// A directory of NDJSON files (`.ndjson`, `.ndjson.zst`) to load; sample sessions without it.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// Where to put the data; the disk below it is the one that is measured.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Producers that send at the same time.
    #[arg(long, default_value_t = 8)]
    producers: usize,
    /// Sessions in the list that is measured.
    #[arg(long, default_value_t = 1_000_000)]
    sessions: u64,
    /// Segments at the start that is measured.
    #[arg(long, default_value_t = 1_000)]
    segments: u64,
    /// The length of the long session, such as 10GiB.
    #[arg(long, default_value = "1GiB", value_parser = daybook_tools::config::setting::size)]
    session_bytes: u64,
    /// How many producers and how many events in a batch, such as `64:1`, instead of all that are measured.
    #[arg(long, value_delimiter = ',', value_parser = producers::run)]
    runs: Vec<(usize, usize)>,
    /// How long the soak takes, in seconds.
    #[arg(long, default_value_t = 600)]
    soak_seconds: u64,
    /// Events that are searched; with `--quick` at most 5,000.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// Where what the search loads stays, to be used again by the next run with as many events of the same corpus:
    /// sample sessions are others each time.
    #[arg(long, requires = "corpus")]
    keep: Option<PathBuf>,
    /// How long a peer of the search may load, in seconds: it gets as many of the events as it loads in that time.
    #[arg(long, default_value_t = 1_200)]
    peer_seconds: u64,
    /// Only some parts of the report.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Section>,
    /// Everything small: to see that it runs.
    #[arg(long)]
    quick: bool,
}

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Section {
    /// The disk alone.
    Disk,
    /// tantivy alone.
    Tantivy,
    /// Appending without indexing.
    Journal,
    /// Everything on.
    Sustained,
    /// What the Merkle log and encryption cost.
    Costs,
    /// What feeds cost, and how fast and how small their files are.
    Feed,
    /// A start after a crash with a full journal.
    Recovery,
    /// Acknowledgements at half the sustained rate, and when an event can be found.
    Latency,
    /// Many producers, by how many and how much at once.
    Producers,
    /// Memory under pressure: a thousand slow producers, and 64 that send as fast as they can.
    Pressure,
    /// A load that goes on for `--soak-seconds`: does anything grow? Only where it is asked for.
    Soak,
    /// The same of PostgreSQL.
    Postgres,
    /// The same of ClickHouse.
    Clickhouse,
    /// A list of many sessions.
    List,
    /// A long session among many.
    Timeline,
    /// One session of `--session-bytes`, page by page.
    LongSession,
    /// A start with many segments.
    Start,
    /// Deleting segments of any size.
    Retention,
    /// The text index alone, of the first of `--events` events, beside tantivy.
    Indexing,
    /// Searches of all kinds in `--events` events. Only where it is asked for, and with `--quick`.
    Search,
}

fn main() -> Result<()> {
    daybook_tools::client::set_up_tls();
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments.sessions = arguments.sessions.min(5_000);
        arguments.segments = arguments.segments.min(10);
        arguments.events = arguments.events.min(5_000);
        arguments.session_bytes = arguments.session_bytes.min(16 << 20);
    }
    let wanted = |section| arguments.only.is_empty() || arguments.only.contains(&section);
    let holder = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let dir = holder.path();
    let source = source::load(arguments.corpus.as_deref(), arguments.quick)?;
    println!(
        "input      {}: {} events, {:.1} MB of NDJSON, {:.1} MB of text, {} producers",
        source.name,
        source.lines.len(),
        mb(source.raw_bytes),
        mb(source.text_bytes),
        arguments.producers
    );
    if wanted(Section::Disk) {
        disk::report(dir, arguments.quick)?;
    }
    if wanted(Section::Tantivy) {
        tantivy_alone::report(&dir.join("tantivy"), &source)?;
    }
    let mut rate = 5_000.0;
    if wanted(Section::Journal) {
        ingest::journal_only(&dir.join("journal-only"), &source, arguments.producers)?;
    }
    if wanted(Section::Sustained) {
        rate = ingest::sustained(&dir.join("sustained"), &source, arguments.producers)?;
    }
    if wanted(Section::Costs) {
        costs::report(&dir.join("costs"), &source, arguments.producers, arguments.quick)?;
    }
    if wanted(Section::Feed) {
        feed::report(&dir.join("feed"), &source, arguments.producers, arguments.quick)?;
    }
    if wanted(Section::Recovery) {
        recovery::report(&dir.join("recovery"), &source, arguments.producers, arguments.quick)?;
    }
    if wanted(Section::Latency) {
        ingest::latency(
            &dir.join("latency"),
            &source,
            arguments.producers,
            rate / 2.0,
            arguments.quick,
        )?;
    }
    if wanted(Section::Producers) {
        producers::report(&dir.join("producers"), &source, &arguments.runs, arguments.quick)?;
    }
    if wanted(Section::Pressure) {
        producers::pressure(&dir.join("pressure"), &source, arguments.quick)?;
    }
    if arguments.only.contains(&Section::Soak) {
        let lasts = std::time::Duration::from_secs(arguments.soak_seconds);
        producers::soak(&dir.join("soak"), &source, lasts)?;
    }
    if wanted(Section::Postgres) {
        postgres::report(&dir.join("postgres"), &source, arguments.quick)?;
    }
    if wanted(Section::Clickhouse) {
        clickhouse::report(&dir.join("clickhouse"), &source, arguments.quick)?;
    }
    if wanted(Section::List) {
        reads::list(&dir.join("list"), arguments.sessions)?;
    }
    if wanted(Section::Timeline) {
        reads::timeline(&dir.join("timeline"), arguments.quick)?;
    }
    if wanted(Section::LongSession) {
        long_session::report(&dir.join("long-session"), arguments.session_bytes)?;
    }
    if wanted(Section::Start) {
        reads::start(&dir.join("start"), arguments.segments)?;
    }
    if wanted(Section::Retention) {
        retention::report(&dir.join("retention"), arguments.quick)?;
    }
    if wanted(Section::Indexing) {
        search::indexing(&dir.join("indexing"), &source, arguments.events)?;
    }
    if arguments.only.contains(&Section::Search) || (arguments.quick && wanted(Section::Search)) {
        let options = search::Options {
            events: arguments.events,
            producers: arguments.producers,
            keep: arguments.keep.as_deref(),
            peer_seconds: arguments.peer_seconds,
            quick: arguments.quick,
        };
        search::report(dir, &source, &options)?;
    }
    Ok(())
}

/// Bytes as megabytes.
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
