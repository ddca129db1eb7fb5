//! `daybook show`: what happened in a session, in order.

use super::sessions::{field, number};
use crate::cli::Exit;
use crate::output::{self, Paint};
use crate::show::{Story, header};
use crate::source::{PAGE_MAX, Page, Source, TargetArgs};
use serde_json::Value;

/// The arguments of `daybook show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Show outputs whole, not their first lines
    #[arg(long)]
    full: bool,
    /// Print one JSON object an event, not folded
    #[arg(long)]
    json: bool,
    /// The session's id
    id: String,
}

/// Runs the command.
///
/// # Errors
/// No such session, or what the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let source = Source::open(&args.target)?;
    let paint = Paint::stdout();
    let mut story = Story::new(paint, if args.full { usize::MAX } else { 12 });
    if !args.json {
        let details = source.details(&args.id).await?;
        story.starts_with(&prompt_of(&details));
        if !output::print(&header(&details, paint))? {
            return Ok(Exit::Well);
        }
    }
    let mut cursor = None::<String>;
    loop {
        let page = Page { cursor: cursor.as_deref(), limit: PAGE_MAX };
        let answer = source.timeline(&args.id, !args.json, page).await?;
        let none = Vec::new();
        for item in answer.get("items").and_then(Value::as_array).unwrap_or(&none) {
            let more = if args.json {
                output::print_json(item)?
            } else {
                output::print(&story.tell(item))?
            };
            if !more {
                return Ok(Exit::Well);
            }
        }
        cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if !args.json {
        output::print(&story.end())?;
    }
    Ok(Exit::Well)
}

/// What stands before a command: the resource's own prompt where it has one.
fn prompt_of(details: &Value) -> String {
    match (field(details, "type"), number(details, "cols")) {
        ("database", _) => format!("{}> ", field(details, "subtype")),
        _ => "$ ".to_owned(),
    }
}
