//! `daybook export`: matching events to a file.

use crate::cli::Exit;
use crate::filter::FilterArgs;
use crate::output;
use crate::source::{Source, TargetArgs};
use anyhow::{Context as _, anyhow};
use daybook_query::export::Format;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// The arguments of `daybook export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// The file to write; its ending is the format. - is standard output, as NDJSON
    #[arg(long, short)]
    output: PathBuf,
    /// Which events; all of them if unsaid
    query: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// A query that can't be read, a file that can't be written, or what the server or the log says.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let query = args.filter.narrow(&args.query.join(" "))?;
    let format = format_of(&args.output)?;
    let source = Source::open(&args.target)?;
    if args.output == Path::new("-") {
        source.export(&query, format, &mut std::io::stdout()).await?;
        return Ok(Exit::Well);
    }
    // Written beside and renamed, so that an export that breaks leaves no half file that looks whole.
    let mut name = args.output.clone().into_os_string();
    name.push(".part");
    let part = PathBuf::from(name);
    let written = write(&source, &query, format, &part).await;
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(error) => {
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
    };
    std::fs::rename(&part, &args.output)
        .with_context(|| format!("can't rename {} to {}", part.display(), args.output.display()))?;
    if !quiet {
        output::print(&format!("{} to {}\n", output::bytes(bytes), args.output.display()))?;
    }
    Ok(Exit::Well)
}

async fn write(
    source: &Source,
    query: &daybook_query::lang::Query,
    format: Format,
    part: &Path,
) -> anyhow::Result<u64> {
    let file = File::create(part).with_context(|| format!("can't create {}", part.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let bytes = source.export(query, format, &mut out).await?;
    out.flush().with_context(|| format!("can't write {}", part.display()))?;
    Ok(bytes)
}

fn format_of(path: &Path) -> anyhow::Result<Format> {
    if path == Path::new("-") {
        return Ok(Format::Ndjson);
    }
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let names = || Format::ALL.map(|format| format!(".{}", format.name())).join(", ");
    Format::from_name(&ending.to_ascii_lowercase()).ok_or_else(|| {
        anyhow!("{} names no format by its ending; there are {}", path.display(), names())
    })
}
