//! The command line: what can be asked for, and where it goes.

use crate::command::{
    backup, case, config, download, export, feed, hold, import, inspect, keygen, links, load, note,
    notifications, producers, proof, push, record, rekey, repair, replay, report, rerun, retention,
    review, runner, search, searches, serve, sessions, share, share_profile, show, tail, token,
    verify,
};
use clap::{Parser, Subcommand};

/// The book of original entry for privileged access.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say nothing but errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Print the effective configuration: a file with every setting, and what happens at each bound
    Config(config::Args),
    /// Load files: NDJSON, and what asciinema, sudo, tlog, hoop and Teleport recorded; safe to run again
    Import(import::Args),
    /// Record a terminal session, live; kept here while the server is away
    Record(record::Args),
    /// Have a command run again, and show what differs
    Rerun(rerun::Args),
    /// Take commands that are to be run again, and run them here
    Runner(runner::Args),
    /// List sessions
    Sessions(sessions::Args),
    /// Find events by what was typed and what came back
    Search(search::Args),
    /// Save searches on a server, and have what matches posted to a webhook
    Searches(searches::Args),
    /// Show the collectors that a server sends events to, and have refused ones sent again
    Push(push::Args),
    /// List access requests, and approve or reject them
    Review(review::Args),
    /// Follow events as they arrive
    Tail(tail::Args),
    /// Show what happened in a session
    Show(show::Args),
    /// Play a session's terminal, or its commands if it has none
    Replay(replay::Args),
    /// Write matching events to a file: .parquet, .arrow, .ndjson or .csv
    Export(export::Args),
    /// Write a session to a file: .txt, .ndjson, .csv or .zip, .cast, .parquet or .html
    Download(download::Args),
    /// Make a link to a session, or to its file, for who has no token
    Share(share::Args),
    /// List the links that a server made, and revoke them
    Links(links::Args),
    /// List the feeds of Parquet files, and pull their new files into a directory
    Feed(feed::Args),
    /// Write the proof that a session is as it was recorded
    Proof(proof::Args),
    /// Check a data directory (every file, every event, the signed tree), the proof of a session, or a case's export
    Verify(verify::Args),
    /// Make again what is derived from the log and damaged: indexes, catalog, Parquet
    Repair(repair::Args),
    /// Back up a running server, or a data directory at rest, into a new directory
    Backup(backup::Args),
    /// Put everything under the first encryption key
    Rekey(rekey::Args),
    /// Make a data directory of a backup, and verify it
    Restore(backup::RestoreArgs),
    /// Show what a file or a directory of the log holds, and any damage in it
    Inspect(inspect::Args),
    /// Show or change how long what is kept; delete what is past that
    Retention(retention::Args),
    /// Place, list and release legal holds
    Hold(hold::Args),
    /// Write a note on a session, or show those that there are
    Note(note::Args),
    /// Show who is told of access requests, and send again what could not be delivered
    Notifications(notifications::Args),
    /// Show what each producer says that it sent, and what of it is stored
    Producers(producers::Args),
    /// Gather sessions in cases: notes, a legal hold, an export with proofs
    Case(case::Args),
    /// Report what happened in a period: what was blocked, approved, not reviewed, out of hours
    Report(report::Args),
    /// Make, list and revoke tokens: who may send events, and who may ask
    Token(token::Args),
    /// Make a profile for clients of Delta Sharing, with a token
    ShareProfile(share_profile::Args),
    /// Print a new encryption key for the file that --encryption-key-file names
    Keygen(keygen::Args),
    /// Send generated or recorded events to a server, and measure it
    Load(load::Args),
}

/// How a command that ran ended; an error is beside this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything is well: exit code 0.
    Well,
    /// It ran, and found what the caller should look at (rejected lines, damage): exit code 1.
    Look,
    /// A command that it ran ended with this exit code.
    Code(u8),
}

/// Runs a command.
///
/// # Errors
/// What could not be done, where, and how to mend it: exit code 2.
pub async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let quiet = cli.quiet;
    match cli.command {
        Command::Serve(args) => serve::run(args, quiet).await,
        Command::Config(args) => config::run(&args),
        Command::Import(args) => import::run(args, quiet).await,
        Command::Record(args) => record::run(args, quiet).await,
        Command::Rerun(args) => rerun::run(args, quiet).await,
        Command::Runner(args) => runner::run(args, quiet).await,
        Command::Sessions(args) => sessions::run(args).await,
        Command::Search(args) => search::run(args).await,
        Command::Searches(args) => searches::run(args).await,
        Command::Push(args) => push::run(args).await,
        Command::Review(args) => review::run(args).await,
        Command::Tail(args) => tail::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Export(args) => export::run(args, quiet).await,
        Command::Download(args) => download::run(args, quiet).await,
        Command::Share(args) => share::run(args).await,
        Command::Links(args) => links::run(args).await,
        Command::Feed(args) => feed::run(args, quiet).await,
        Command::Proof(args) => proof::run(args, quiet).await,
        Command::Verify(args) => verify::run(&args, quiet),
        Command::Repair(args) => repair::run(args, quiet).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Rekey(args) => rekey::run(args).await,
        Command::Restore(args) => backup::restore(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Retention(args) => retention::run(args).await,
        Command::Hold(args) => hold::run(args).await,
        Command::Note(args) => note::run(args).await,
        Command::Notifications(args) => notifications::run(args).await,
        Command::Producers(args) => producers::run(args).await,
        Command::Case(args) => case::run(args).await,
        Command::Report(args) => report::run(args).await,
        Command::Token(args) => token::run(args),
        Command::ShareProfile(args) => share_profile::run(args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Load(args) => load::run(args, quiet).await,
    }
}
