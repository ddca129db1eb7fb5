//! `daybook sessions`: the list of sessions.

use crate::cli::Exit;
use crate::filter::FilterArgs;
use crate::output::{self, Align, Column, Paint, Table, clean, count};
use crate::source::{PAGE_MAX, Page, SessionsWanted, Source, TargetArgs};
use serde_json::Value;

/// The arguments of `daybook sessions`.
#[derive(Debug, clap::Args)]
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
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Only sessions with an event that matches
    query: Vec<String>,
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
    };
    let mut items = Vec::new();
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
    if args.json {
        for item in &items {
            if !output::print_json(item)? {
                break;
            }
        }
        return Ok(Exit::Well);
    }
    output::print(&text(&items, total))?;
    Ok(Exit::Well)
}

/// A field's text, or nothing.
pub(super) fn field<'a>(item: &'a Value, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A field's number, or zero.
pub(super) fn number(item: &Value, name: &str) -> u64 {
    item.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn text(items: &[Value], total: Option<u64>) -> String {
    if items.is_empty() {
        return "no sessions match\n".to_owned();
    }
    let column = |name, align, least| Column { name, align, least };
    let mut table = Table::new(&[
        column("STARTED (UTC)", Align::Left, 0),
        column("USER", Align::Left, 12),
        column("ROLE", Align::Left, 10),
        column("TYPE", Align::Left, 0),
        column("STATUS", Align::Left, 0),
        column("TOOK", Align::Right, 0),
        column("SUMMARY", Align::Left, 10),
        column("SESSION", Align::Left, 0),
    ]);
    for item in items {
        let plain = |text: String| (text, String::new());
        let status = field(item, "status");
        let user = match field(item, "agent") {
            "" => clean::line(field(item, "user")),
            agent => format!("{} ({})", clean::line(field(item, "user")), clean::line(agent)),
        };
        table.row(vec![
            plain(output::moment(field(item, "started_at"))),
            plain(user),
            plain(clean::line(field(item, "role"))),
            plain(clean::line(field(item, "type"))),
            (status.replace('_', " "), status.to_owned()),
            plain(output::duration_ms(number(item, "duration_ms"))),
            plain(clean::line(field(item, "summary"))),
            plain(clean::line(field(item, "id"))),
        ]);
    }
    let mut text = table.render(Paint::stdout(), output::terminal_width());
    if let Some(total) = total {
        let shown = count(items.len() as u64);
        text.push_str(&Paint::stdout().dim(&format!("{shown} of {} sessions", count(total))));
        text.push('\n');
    }
    text
}
