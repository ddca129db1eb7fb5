//! `daybook search`: events by what was typed and what came back.

use super::sessions::{field, number};
use crate::cli::Exit;
use crate::filter::FilterArgs;
use crate::output::{self, Paint, clean};
use crate::source::{PAGE_MAX, Page, Source, TargetArgs};
use serde_json::Value;

/// The arguments of `daybook search`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook search DROP TABLE
  daybook search '\"drop table customers\" verdict:blocked since:7d'
  daybook search --by-session /etc/shadow
  daybook search --role 'prod-*' 'output:denied OR output:refused'
  daybook search '~\"select .* from (cards|accounts)\"'")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many
    #[arg(long, short = 'n', default_value_t = 25)]
    limit: usize,
    /// Show each session once, with how many of its events match and the latest of them
    #[arg(long)]
    by_session: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// What to look for
    #[arg(required = true)]
    query: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// A query that can't be read, or what the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let query = args.filter.narrow(&args.query.join(" "))?;
    let source = Source::open(&args.target)?;
    let paint = Paint::stdout();
    let (mut shown, mut unreadable, mut cursor) = (0, 0, None::<String>);
    while shown < args.limit {
        let page = Page { cursor: cursor.as_deref(), limit: (args.limit - shown).min(PAGE_MAX) };
        let answer = match args.by_session {
            true => source.search_sessions(&query, page).await?,
            false => source.search(&query, page).await?,
        };
        let none = Vec::new();
        let items = answer.get("items").and_then(Value::as_array).unwrap_or(&none);
        for hit in items {
            let more = if args.json {
                output::print_json(hit)?
            } else {
                match args.by_session {
                    true => output::print(&group(hit, paint))?,
                    false => output::print(&text(hit, paint))?,
                }
            };
            if !more {
                return Ok(Exit::Well);
            }
        }
        shown += items.len();
        unreadable = unreadable.max(answer.get("unreadable").and_then(Value::as_u64).unwrap_or(0));
        cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if !args.json {
        let what = if args.by_session { "session" } else { "event" };
        let text = match (shown, &cursor) {
            (0, _) => "nothing found\n".to_owned(),
            (_, Some(_)) => format!("the latest {shown}; there are more: --limit shows them\n"),
            (1, None) => format!("1 {what}\n"),
            (_, None) => format!("{shown} {what}s\n"),
        };
        output::print(&paint.dim(&text))?;
    }
    if unreadable > 0 {
        tracing::warn!(
            "{unreadable} events that may match can't be read: a part of the log is damaged; `daybook verify` says which"
        );
        return Ok(Exit::Look);
    }
    Ok(Exit::Well)
}

/// A session with hits.
fn group(group: &Value, paint: Paint) -> String {
    let session = group.get("session").unwrap_or(&Value::Null);
    let matches = number(group, "matches");
    let hits = if matches == 1 { "1 event".to_owned() } else { format!("{matches} events") };
    let latest = text(group.get("latest").unwrap_or(&Value::Null), paint);
    format!("{}  {}\n  {latest}", paint.bold(&hits), clean::line(field(session, "summary")))
}

/// A hit, for people.
pub(super) fn text(hit: &Value, paint: Paint) -> String {
    let verdict = field(hit, "verdict");
    let kind = match verdict {
        "" => paint.dim(field(hit, "kind")),
        _ => paint.state(verdict, verdict),
    };
    let mut text = format!(
        "{}  {kind}  {}  {}  {}\n",
        paint.bold(&output::moment(field(hit, "time"))),
        clean::line(field(hit, "user")),
        clean::line(field(hit, "role")),
        paint.dim(&format!("{} #{}", clean::line(field(hit, "session")), number(hit, "seq"))),
    );
    let none = Vec::new();
    for snippet in hit.get("snippets").and_then(Value::as_array).unwrap_or(&none) {
        let body = marked(snippet, paint);
        let dots = |name| snippet.get(name).and_then(Value::as_bool).unwrap_or(false);
        for (index, line) in body.lines().enumerate() {
            let before = if index == 0 && dots("more_before") { "…" } else { "" };
            let after =
                if dots("more_after") && index + 1 == body.lines().count() { "…" } else { "" };
            text.push_str(&format!("    {before}{line}{after}\n"));
        }
    }
    text
}

/// A snippet's text with what matched marked. Highlights are in bytes of UTF-8.
fn marked(snippet: &Value, paint: Paint) -> String {
    let raw = field(snippet, "text");
    let none = Vec::new();
    let mut out = String::new();
    let mut at = 0;
    for range in snippet.get("highlights").and_then(Value::as_array).unwrap_or(&none) {
        let bound = |index| range.get(index).and_then(Value::as_u64).unwrap_or(0) as usize;
        let (start, end) = (bound(0), bound(1));
        let pieces = raw.get(at..start).zip(raw.get(start..end));
        let Some((between, found)) = pieces else { break };
        out.push_str(&clean::text(between));
        out.push_str(&paint.found(&clean::text(found)));
        at = end;
    }
    out.push_str(&clean::text(raw.get(at..).unwrap_or_default()));
    out
}
