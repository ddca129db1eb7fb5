//! `daybook sessions`: the list of sessions.

use crate::cli::Exit;
use crate::filter::FilterArgs;
use crate::output::{self, Csv, Form, FormArgs, Out, PagerArgs, Paint, count};
use crate::rows::sessions;
use crate::source::{PAGE_MAX, Page, SessionsWanted, Source, TargetArgs};
use daybook_query::lang::number::duration_micros;
use serde_json::Value;

/// The arguments of `daybook sessions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook sessions --role 'pg-*' --status open
  daybook sessions --sort -blocked 'verdict:blocked since:7d'
  daybook sessions --like 7f3c --window 7d
  daybook sessions --csv -n 100000 --after 2026-03-01 > march.csv

What is longer than the terminal goes through $DAYBOOK_PAGER, $PAGER or less.

Columns of --csv:
  session, user, user_name, role, type, subtype, agent, tags (joined by ;),
  started_at, ended_at, duration_ms, status, events, commands, blocked,
  approved, pending, masked, bytes, summary")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Sort by started, ended, duration, commands, blocked, masked, bytes...; `-` for largest first
    #[arg(long, default_value = "-started", allow_hyphen_values = true)]
    sort: String,
    /// At most this many
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    pager: PagerArgs,
    /// Only sessions like this one: same user, same resource role, at about the same time
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["query", "user", "role", "kind", "status", "tag", "after", "before"]
    )]
    like: Option<String>,
    /// With --like: started at most so long before or after it
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span)]
    window: i64,
    /// Only sessions with an event that matches
    query: Vec<String>,
}

/// Reads how long, in microseconds.
fn span(text: &str) -> Result<i64, String> {
    duration_micros(text).ok_or_else(|| format!("`{text}` is not how long, such as 24h or 7d"))
}

/// Runs the command.
///
/// # Errors
/// What the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let source = Source::open(&args.target)?;
    let query = args.query.join(" ");
    let wanted = SessionsWanted {
        query: (!query.trim().is_empty()).then_some(query),
        facts: args.filter.facts(),
        after: args.filter.after,
        before: args.filter.before,
        sort: args.sort.clone(),
        like: args.like.clone().map(|id| (id, args.window)),
    };
    let mut items: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    let mut total = None;
    loop {
        let limit = (args.limit - items.len()).min(PAGE_MAX);
        if limit == 0 {
            break;
        }
        let page = Page { cursor: cursor.as_deref(), limit };
        let mut answer = source.sessions(&wanted, page).await?;
        total = answer.get("count").and_then(Value::as_u64).or(total);
        cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        let Some(Value::Array(more)) = answer.get_mut("items").map(Value::take) else { break };
        let none = more.is_empty();
        items.extend(more);
        if cursor.is_none() || none {
            break;
        }
    }
    match args.form.form() {
        Form::Json => {
            for item in &items {
                if !output::print_json(item)? {
                    break;
                }
            }
        }
        Form::Csv => {
            let mut csv = Csv::new(sessions::COLUMNS);
            csv.header()?;
            for item in &items {
                if !csv.record(&sessions::record(item))? {
                    break;
                }
            }
        }
        Form::People => {
            let mut out = Out::new(args.pager);
            let printed = out.print(&text(&items, total));
            out.finish()?;
            printed?;
        }
    }
    Ok(Exit::Well)
}

fn text(items: &[Value], total: Option<u64>) -> String {
    if items.is_empty() {
        return "no sessions match\n".to_owned();
    }
    let paint = Paint::stdout();
    let mut text = sessions::table(items).render(paint, output::terminal_width());
    if let Some(total) = total {
        let shown = count(items.len() as u64);
        text.push_str(&paint.dim(&format!("{shown} of {} sessions", count(total))));
        text.push('\n');
    }
    text
}
