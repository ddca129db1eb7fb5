//! `daybook inspect`: what a file or a directory of the log holds, and any damage in it.

use crate::cli::Exit;
use crate::inspect::{Report, inspect};
use crate::keys::KeyArgs;
use crate::output::{self, Paint};
use std::path::PathBuf;

/// The arguments of `daybook inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show every block, not the first and last only
    #[arg(long)]
    all: bool,
    /// Print JSON, one object a file
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: KeyArgs,
    /// A journal, a segment's directory or one of its files, an index, or a whole data directory
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Runs the command; damage makes the exit code 1.
///
/// # Errors
/// A path that is not there, or that is not a file of daybook's.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paint = Paint::stdout();
    let mut damaged = false;
    let disk = args.keys.disk()?;
    for path in &args.paths {
        for report in inspect(&*disk, path)? {
            damaged |= report.is_damaged();
            let more = if args.json {
                output::print_json(&report)?
            } else {
                output::print(&text(&report, paint, args.all))?
            };
            if !more {
                return Ok(Exit::Well);
            }
        }
    }
    Ok(if damaged { Exit::Look } else { Exit::Well })
}

fn text(report: &Report, paint: Paint, all: bool) -> String {
    let mut text = paint.bold(&report.path.display().to_string());
    text.push_str(&format!("  {}, {}\n", report.kind, output::bytes(report.bytes)));
    for (name, value) in &report.fields {
        let value = match value {
            serde_json::Value::String(value) => output::clean::line(value),
            other => other.to_string(),
        };
        text.push_str(&format!("  {name:<14} {value}\n"));
    }
    if !report.blocks.is_empty() {
        text.push_str(&report.blocks_table(paint, all));
    }
    for damage in &report.damage {
        let what = format!("  damaged at byte {}: {}", damage.at, damage.what);
        text.push_str(&paint.state("error", &what));
        text.push('\n');
    }
    text.push('\n');
    text
}
