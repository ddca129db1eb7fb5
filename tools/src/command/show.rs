//! `daybook show`: what happened in a session, in order.

use crate::cli::Exit;
use crate::output::{self, Csv, Form, FormArgs, Out, PagerArgs, Paint};
use crate::rows::{events, field};
use crate::show::{Story, header};
use crate::source::{PAGE_MAX, Page, Source, TargetArgs};
use serde_json::Value;

/// The arguments of `daybook show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook show SESSION
  daybook show --full SESSION
  daybook show --csv SESSION > session.csv

What is longer than the terminal goes through $DAYBOOK_PAGER, $PAGER or less.
--json and --csv have every event by itself, and texts whole.

Columns of --csv:
  offset, session, seq, time, kind, verdict, rule, language, input, output,
  text, error, stream, command, exit_code, duration_ms, rows, masked, review,
  decision, by, action, target, details (other fields, as JSON), received,
  producer; of the session user, user_name, role, type, subtype, agent,
  client_ip, tags (joined by ;), status")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Show outputs whole, not their first lines
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    pager: PagerArgs,
    /// The session's id
    id: String,
}

/// How many lines of an output are shown without `--full`.
const OUTPUT_LINES_MAX: usize = 12;

/// Runs the command.
///
/// # Errors
/// No such session, or what the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let source = Source::open(&args.target)?;
    match args.form.form() {
        Form::People => {
            let mut out = Out::new(args.pager);
            let told = people(&args, &source, &mut out).await;
            out.finish()?;
            told?;
        }
        Form::Json => each(&args, &source, false, &mut |item| output::print_json(item)).await?,
        Form::Csv => {
            let of_session = events::of_session(&source.details(&args.id).await?);
            let mut csv = Csv::new(events::COLUMNS);
            let mut print = |item: &Value| csv.record(&events::record(item, &of_session)?);
            each(&args, &source, false, &mut print).await?;
            csv.header()?;
        }
    }
    Ok(Exit::Well)
}

async fn people(args: &Args, source: &Source, out: &mut Out) -> anyhow::Result<()> {
    let paint = Paint::stdout();
    let mut story = Story::new(paint, if args.full { usize::MAX } else { OUTPUT_LINES_MAX });
    let details = source.details(&args.id).await?;
    story.starts_with(&prompt_of(&details));
    if out.print(&header(&details, paint))? {
        each(args, source, true, &mut |item| out.print(&story.tell(item))).await?;
        out.print(&story.end())?;
    }
    Ok(())
}

/// Has each item of the timeline printed, until no more are wanted.
async fn each(
    args: &Args,
    source: &Source,
    fold: bool,
    print: &mut dyn FnMut(&Value) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut cursor = None::<String>;
    loop {
        let page = Page { cursor: cursor.as_deref(), limit: PAGE_MAX };
        let answer = source.timeline(&args.id, fold, page).await?;
        let items = answer.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            if !print(item)? {
                return Ok(());
            }
        }
        cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// What stands before a command: the resource's own prompt where it has one.
fn prompt_of(details: &Value) -> String {
    match field(details, "type") {
        "database" => format!("{}> ", field(details, "subtype")),
        _ => "$ ".to_owned(),
    }
}
