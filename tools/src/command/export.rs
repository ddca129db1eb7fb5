//! `daybook export`: matching events to a file.

use crate::cli::Exit;
use crate::filter::FilterArgs;
use crate::output;
use crate::source::{Source, TargetArgs};
use anyhow::{Context as _, anyhow};
use daybook_query::export::{Format, Schema};
use daybook_query::ocsf::{Class, Mapping, Outputs, Version};
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
    #[command(flatten)]
    schema: SchemaArgs,
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
    format: (Format, Schema),
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
