//! `daybook export`: matching events to a file.

mod slices;

use crate::cli::Exit;
use crate::filter::FilterArgs;
use crate::output;
use crate::source::{Source, TargetArgs};
use anyhow::{Context as _, anyhow};
use daybook_query::export::{Format, Schema};
use daybook_query::lang::Query;
use daybook_query::ocsf::{Class, Mapping, Outputs, Version};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    #[command(flatten)]
    schema: SchemaArgs,
    /// How many offsets of the log are asked for at once
    #[arg(long, hide = true, default_value_t = 250_000, value_parser = clap::value_parser!(u64).range(1..))]
    slice: u64,
    /// Which events; all of them if unsaid
    query: Vec<String>,
}

/// Another schema than daybook's own.
#[derive(Debug, clap::Args)]
struct SchemaArgs {
    /// Rows of OCSF instead of events: 1.8.0, or =1.3.0 for Amazon Security Lake
    #[arg(
        long,
        value_name = "VERSION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1.8.0",
        value_parser = ["1.8.0", "1.3.0"]
    )]
    ocsf: Option<String>,
    /// Only rows of this class, such as datastore_activity or 6005; Parquet and Arrow files have one
    #[arg(long, requires = "ocsf", value_parser = parse_class)]
    class: Option<Class>,
    /// What rows have of outputs that commands carry: hash and size, text, or none
    #[arg(long, requires = "ocsf", value_parser = ["hash", "text", "none"])]
    outputs: Option<String>,
    /// A blocked command is a row of detection_finding, too
    #[arg(long, requires = "ocsf")]
    findings: bool,
}

impl SchemaArgs {
    fn schema(&self) -> Schema {
        let Some(version) = &self.ocsf else { return Schema::Native };
        let version = Version::ALL.into_iter().find(|of| of.name() == version);
        let outputs = self.outputs.as_deref();
        let outputs = Outputs::ALL.into_iter().find(|of| Some(of.name()) == outputs);
        let mapping = Mapping {
            version: version.unwrap_or_default(),
            outputs: outputs.unwrap_or_default(),
            findings: self.findings,
        };
        Schema::Ocsf { mapping, class: self.class }
    }
}

fn parse_class(text: &str) -> Result<Class, String> {
    let names = || Class::ALL.map(Class::name).join(", ");
    Class::of(text).ok_or_else(|| format!("there are {}", names()))
}

/// Runs the command.
///
/// # Errors
/// A query that can't be read, a file that can't be written, or what the server or the log says.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let query = args.filter.narrow(&args.query.join(" "))?;
    let format = (format_of(&args.output)?, args.schema.schema());
    let source = Source::open(&args.target)?;
    if args.output == Path::new("-") {
        source.export(&query, format, 0..u64::MAX, &mut io::stdout()).await?;
        return Ok(Exit::Well);
    }
    let bar = progress(quiet);
    // Written beside and renamed, so that an export that breaks leaves no half file that looks whole.
    let part = beside(&args.output, ".part");
    match format.0 {
        // What is appended to a file of lines is as good as what was written at once.
        Format::Ndjson | Format::Csv => {
            slices::export(&source, &query, format, &part, args.slice, &bar).await?;
        }
        Format::Parquet | Format::Arrow => {
            let written = whole(&source, &query, format, &part, &bar).await;
            if written.is_err() {
                let _ = std::fs::remove_file(&part);
            }
            written?;
        }
    }
    bar.finish_and_clear();
    let bytes = std::fs::metadata(&part).map_or(0, |file| file.len());
    std::fs::rename(&part, &args.output)
        .with_context(|| format!("can't rename {} to {}", part.display(), args.output.display()))?;
    slices::forget(&part);
    if !quiet {
        output::print(&format!("{} to {}\n", output::bytes(bytes), args.output.display()))?;
    }
    Ok(Exit::Well)
}

/// A file beside another one.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    PathBuf::from(name)
}

/// A bar that shows how much was written, and of how much of the log.
fn progress(hidden: bool) -> ProgressBar {
    if hidden || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("exporting {spinner} {msg} {bytes_per_sec}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

async fn whole(
    source: &Source,
    query: &Query,
    format: (Format, Schema),
    part: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let file = File::create(part).with_context(|| format!("can't create {}", part.display()))?;
    let mut out = Shown { out: BufWriter::with_capacity(1 << 20, file), bar, bytes: 0 };
    source.export(query, format, 0..u64::MAX, &mut out).await?;
    out.flush().with_context(|| format!("can't write {}", part.display()))
}

/// Writes, and shows how much.
struct Shown<'a, W> {
    out: W,
    bar: &'a ProgressBar,
    bytes: u64,
}

impl<W: Write> Write for Shown<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        self.bar.set_position(self.bytes);
        self.bar.set_message(output::bytes(self.bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
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
