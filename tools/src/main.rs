//! The `daybook` binary: reads the command line, runs a command, and says how it went.

use clap::Parser as _;
use daybook_tools::cli::{Cli, Exit, run};
use std::process::ExitCode;

/// Uploads, batches and blocks are large and short-lived, and the system's allocator gives each back
/// page by page; a profile of ingest had a tenth of its time there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("can't start threads")),
    };
    match runtime.block_on(run(cli)) {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Look) => ExitCode::from(1),
        Ok(Exit::Code(code)) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("daybook: {error:#}");
    ExitCode::from(2)
}
